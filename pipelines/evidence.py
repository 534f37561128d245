"""What kinds of evidence there are, and the set of it that the rules of one project see."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

from pipelines.known import Having, Known, OfKind, in_order, known_of
from pipelines.known import Reading as Reading
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    JsonValue,
    Origin,
    Project,
    Role,
    VisitStatus,
)

Worth = TypeVar("Worth")
# See `pipelines.known`: named once.
_SEED, _MISSING = Origin.SEED, VisitStatus.MISSING
_ONLY = {role: frozenset({role}) for role in Role}

# Every kind that an extractor may yield, with the keys of its value. A test holds extractors to it.
EVIDENCE_KINDS: dict[str, str] = {
    "repository.fact": "fact: archived|disabled|fork|description|full_name; value",
    "tree.files": "role: a TreeRole; count; size: bytes in powers of two; paths: up to eight, shallow first",
    "tree.truncated": "no keys: the service did not list all files",
    "section": "topic; title; words; items: list entries and table rows; template: is it a form not filled in; "
    "instructs: does it tell readers what to do; code: has it a code block",
    "link": "kind; id; topic: of the section it stands in; text; own: does the passage speak in the first person; bibtex: is it an entry to cite",
    "statement": "says: a key of pipelines.extract.statements; about: data|weights|code|None",
    "corpus.named": "corpus: id in corpora.yaml; access: open|partial|closed; context: pretraining|tuning|None",
    "install": "package: normalised name; own: does it stand in the project's own installation instructions",
    "licence.text": "licence: id; score; scope: code|weights|data|None",
    "licence.tag": "licence: id or 'other' or 'unknown'; raw; list: further licences",
    "licence.mention": "licence: id; scope: code|weights|data|None",
    "hub.gated": "gated: no|auto|manual",
    "hub.weights": "count; formats; form: full|delta|adapter|quantised",
    "hub.data_files": "count; formats; script: only a loading script",
    "hub.base_model": "ids; relation: finetune|adapter|merge|quantized|None",
    "hub.datasets": "ids",
    "hub.inference": "enabled: bool",
    "hub.disabled": "no keys: the Hub has switched the repository off",
    "package.release": "name; versions; latest; yanked",
    "package.link": "kind; id: an artifact the package's metadata points to",
    "package.summary": "text",
    "paper.entry": "id; title; authors: up to 20; summary",
    "paper.review": "where: journal_ref|comment|doi|page; text",
    "paper.title": "title; url: a page of proceedings or of a paper",
    "page.title": "title",
    "lineage.fact": "about: data|weights|licence|architecture|datasheet|preprint; rating; licence; source; base",
    "document.problem": "problem: broken_front_matter|undecodable|empty|malformed",
}


@dataclass(frozen=True, kw_only=True)
class EvidenceSet:
    """All that the rules may know of one project: its artifacts, the evidence, how reading went.

    Evidence is kept in one order (artifact, part, position), so that shuffled input gives the same
    findings. Queries return tuples in that order.
    """

    project: Project
    evidence: tuple[Evidence, ...]
    readings: tuple[Reading, ...] = field(default_factory=tuple)
    _known: Mapping[ArtifactRef, Known] = field(init=False, repr=False, compare=False)
    _groups: dict[Hashable, _Group] = field(init=False, repr=False, compare=False, default_factory=dict)
    _asked: list[object] = field(init=False, repr=False, compare=False, default_factory=list)
    kept: dict[Hashable, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What was worked out once for this set, by what it is (a function, a rule). Any: of many types."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", in_order(self.evidence))
        object.__setattr__(self, "_known", known_of(self.evidence, self.readings))

    @classmethod
    def of_known(cls, project: Project, known: Mapping[ArtifactRef, Known]) -> EvidenceSet:
        """The set of a project from what is known of its artifacts, which other sets may share."""
        made = cls.__new__(cls)
        # They are what an instance has, however it was made; a frozen one takes them by no other way.
        made.__dict__.update(project=project, _known=known, _groups={}, _asked=[], kept={})
        return made

    def __getattr__(self, name: str) -> object:
        # Of a set made from what is known, all evidence is put together when somebody asks: rules do not.
        if name == "evidence":
            found: object = in_order([item for known in self._known.values() for item in known.everything()])
        elif name == "readings":
            found = tuple([reading for ref in sorted(self._known) for reading in self._known[ref].readings])
        else:
            raise AttributeError(name)
        object.__setattr__(self, name, found)
        return found

    def once(self, what: Hashable, work_out: Callable[[], Worth]) -> Worth:
        """What `work_out` gives, worked out on the first call for `what` (a function, a rule) and kept."""
        try:
            kept: Worth = self.kept[what]
        except KeyError:
            kept = self.kept[what] = work_out()
        return kept

    @cached_property
    def stale_refs(self) -> frozenset[ArtifactRef]:
        """The artifacts of which something could not be read again tonight, while what was read earlier stands."""
        return frozenset([ref for ref, known in self._known.items() if known.is_stale])

    @cached_property
    def roles(self) -> dict[ArtifactRef, frozenset[Role]]:
        """The roles of each artifact in this project."""
        roles: dict[ArtifactRef, frozenset[Role]] = {}
        for artifact in self.project.artifacts:
            only = _ONLY[artifact.role]
            others = roles.get(artifact.ref)
            roles[artifact.ref] = only if others is None else others | only
        return roles

    def refs(self, *roles: Role, kind: ArtifactKind | None = None) -> tuple[ArtifactRef, ...]:
        """The project's artifacts in any of these roles, seeds first, in the project's order."""
        asked = (roles, kind)
        found: tuple[ArtifactRef, ...] | None = self.kept.get(asked)
        if found is None:
            found = self.kept[asked] = self._refs(roles, kind)
        return found

    def _refs(self, roles: tuple[Role, ...], kind: ArtifactKind | None) -> tuple[ArtifactRef, ...]:
        if len(roles) == 1:
            found = self._by_role.get(roles[0], ())
        else:
            found = [artifact.ref for artifact in self._seeds_first if artifact.role in roles]
        return tuple(dict.fromkeys([ref for ref in found if kind is None or ref.kind is kind]))

    @cached_property
    def _by_role(self) -> Mapping[Role, Sequence[ArtifactRef]]:
        found: dict[Role, list[ArtifactRef]] = {}
        for artifact in self._seeds_first:
            found.setdefault(artifact.role, []).append(artifact.ref)
        return found

    @cached_property
    def _seeds_first(self) -> list[Artifact]:
        artifacts = self.project.artifacts
        seeds = [artifact for artifact in artifacts if artifact.origin is _SEED]
        return seeds + [artifact for artifact in artifacts if artifact.origin is not _SEED]

    def of(
        self,
        kind: str,
        /,
        refs: Iterable[ArtifactRef] | None = None,
        having: Having | None = None,
        at_most: int | None = None,
        **values: JsonValue,
    ) -> tuple[Evidence, ...]:
        """Evidence of one kind, of these artifacts (all, when None), whose value has these entries.

        A tuple or set as an entry means: any of them. `having` is asked of a value; only where it is
        true is there a piece of evidence made of it. It is known again by being the same function.
        With `at_most` given, no more than the first so many.
        """
        if type(refs) is tuple:
            if not refs:
                return ()
            group = self._groups.get(id(refs)) or self._group(refs)
            found = (group.only or group).of_kind(kind)
        elif type(refs) is list and len(refs) == 1:
            known = self._known.get(refs[0])
            found = () if known is None else known.of_kind(kind)
        else:
            found = self._group(refs).of_kind(kind)
        if len(found) == 1:
            return found[0].find(values, having, at_most)
        items: tuple[Evidence, ...] = ()
        for of_artifact in found:
            items += of_artifact.find(values, having, at_most)
            if at_most is not None and len(items) >= at_most:
                return items[:at_most]
        return items

    def values(
        self, kind: str, /, refs: Iterable[ArtifactRef] | None = None, **values: JsonValue
    ) -> list[Mapping[str, JsonValue]]:
        """The values of that evidence, for those who need nothing else of it."""
        return [value for found in self._group(refs).of_kind(kind) for value in found.values(values)]

    def _group(self, refs: Iterable[ArtifactRef] | None) -> _Group:
        """Some artifacts that rules ask about together: a tuple or an only artifact is known again by being the
        same object."""
        if refs is None:
            refs = self._everything
        if type(refs) is not tuple:
            asked = tuple(refs)
            return self._of_one(asked) if len(asked) == 1 else _Group(asked, self._known)
        found = self._groups.get(id(refs))
        if found is None:
            found = self._of_one(refs) if len(refs) == 1 else _Group(refs, self._known)
            self._keep(refs, found)
        return found

    def _of_one(self, refs: tuple[ArtifactRef, ...]) -> _Group:
        found = self._groups.get(id(refs[0]))
        if found is None:
            found = _Group(refs, self._known)
            self._keep(refs[0], found)
        return found

    def _keep(self, asked: object, group: _Group) -> None:
        self._groups[id(asked)] = group
        # So that nothing else can come to be at its place.
        self._asked.append(asked)

    @cached_property
    def _everything(self) -> tuple[ArtifactRef, ...]:
        return tuple(self._known)

    def known(self, ref: ArtifactRef) -> Known | None:
        """What is known of an artifact; None where nothing is."""
        return self._known.get(ref)

    def is_read(self, ref: ArtifactRef) -> bool:
        """Was the artifact's main part read, tonight or earlier?"""
        known = self._known.get(ref)
        return known is not None and known.main is not None and known.main.is_readable

    def is_missing(self, ref: ArtifactRef) -> bool:
        """Did the service say that there is no such artifact?"""
        known = self._known.get(ref)
        return known is not None and known.main is not None and known.main.status is _MISSING

    def unread(self, refs: Iterable[ArtifactRef], *parts: str) -> tuple[Reading, ...]:
        """Attempts at these artifacts that told nothing (denied or failed, nothing stored).

        With parts given, only those of these parts or of the main part count. An artifact that
        was never asked counts as one failed attempt.
        """
        if type(refs) is tuple:
            unread = (self._groups.get(id(refs)) or self._group(refs)).unread if refs else ()
        else:
            unread = self._group(refs).unread
        if not unread or not parts:
            return unread
        return tuple(
            [
                reading
                for reading in unread
                if reading.part in parts or reading.part == MAIN_PART[reading.ref.kind]
            ]
        )

    def places(self, refs: Iterable[ArtifactRef], what: str = "") -> tuple[str, ...]:
        """The places looked at, in words, with how each could be read: for 'searched in vain'."""
        if type(refs) is tuple:
            return (self._groups.get(id(refs)) or self._group(refs)).places(what) if refs else ()
        return self._group(refs).places(what)


class _Group:
    """What is known of some artifacts together: answers are kept, since fourteen rules ask much the same."""

    __slots__ = ("_known", "_of_kind", "_places", "_unread", "only")

    def __init__(self, refs: tuple[ArtifactRef, ...], known: Mapping[ArtifactRef, Known]) -> None:
        self._known = [known.get(ref) or Known(ref, ()) for ref in refs]
        self._of_kind: dict[str, Sequence[OfKind]] = {}
        self._places: dict[str, tuple[str, ...]] = {}
        self._unread: tuple[Reading, ...] | None = None
        self.only = self._known[0] if len(refs) == 1 else None
        """What is known of the artifact, where it is one alone."""

    @property
    def unread(self) -> tuple[Reading, ...]:
        """Attempts at any of them that told nothing."""
        if self._unread is None:
            self._unread = tuple([reading for each in self._known for reading in each.unread])
        return self._unread

    def of_kind(self, kind: str) -> Sequence[OfKind]:
        """Their evidence of a kind, of each that has any, in the order of the artifacts' names."""
        found = self._of_kind.get(kind)
        if found is None:
            found = [pieces for known in self._known for pieces in known.of_kind(kind)]
            if len(found) > 1:
                by_name = {pieces.name: pieces for pieces in found}
                found = [by_name[name] for name in sorted(by_name)]
            self._of_kind[kind] = found
        return found

    def places(self, what: str) -> tuple[str, ...]:
        """Where was looked for something, in words."""
        found = self._places.get(what)
        if found is None:
            detail = f" ({what})" if what else ""
            found = self._places[what] = tuple(
                [f"{known.name}{detail}: {known.state_words}" for known in self._known]
            )
        return found


def kept(function: Callable[[EvidenceSet], Worth]) -> Callable[[EvidenceSet], Worth]:
    """A function of an evidence set that is worked out once for each set, however many rules ask it."""

    @wraps(function)
    def once(evidence: EvidenceSet) -> Worth:
        try:
            found: Worth = evidence.kept[function]
        except KeyError:
            found = evidence.kept[function] = function(evidence)
        return found

    return once


def kept_of_artifact(
    function: Callable[[EvidenceSet, ArtifactRef], Worth],
) -> Callable[[EvidenceSet, ArtifactRef], Worth]:
    """A function of one artifact that is worked out once for all sets that share what is known of it.

    It may ask for evidence and readings of this artifact and for nothing else, above all not for the project.
    """

    @wraps(function)
    def once(evidence: EvidenceSet, ref: ArtifactRef) -> Worth:
        known = evidence.known(ref)
        if known is None:
            return function(evidence, ref)
        try:
            found: Worth = known.notes[function]
        except KeyError:
            found = known.notes[function] = function(evidence, ref)
        return found

    return once
