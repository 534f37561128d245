"""What kinds of evidence there are, and the set of it that the rules of one project see."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, wraps
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TypeVar, cast

from pipelines.model import (
    MAIN_PART,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    JsonValue,
    Project,
    Quote,
    Role,
    VisitStatus,
)

Worth = TypeVar("Worth")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the latest attempt to read one part of an artifact ended.

    `stale` means: the attempt was denied or failed, and what an earlier one read still stands.
    """

    ref: ArtifactRef
    part: str
    url: str
    status: VisitStatus
    at: datetime
    reason: str = ""
    stale: bool = False

    @property
    def is_readable(self) -> bool:
        """Is there something to read: of this night, or of an earlier one?"""
        if self.status is VisitStatus.MISSING:
            return False
        return self.stale or self.status in (VisitStatus.OK, VisitStatus.UNCHANGED)

    @property
    def is_unknown(self) -> bool:
        """Nothing was read, and that says nothing about the project."""
        return not self.is_readable and self.status is not VisitStatus.MISSING


@dataclass(frozen=True, kw_only=True)
class EvidenceSet:
    """All that the rules may know of one project: its artifacts, the evidence, how reading went.

    Evidence is kept in one order (artifact, part, position), so that shuffled input gives the same
    findings. Queries return tuples in that order.
    """

    project: Project
    evidence: tuple[Evidence, ...]
    readings: tuple[Reading, ...] = ()
    _by_kind: dict[str, dict[ArtifactRef, list[Evidence]]] = field(init=False, repr=False, compare=False)
    _by_ref: dict[ArtifactRef, list[Reading]] = field(init=False, repr=False, compare=False)
    _kept: dict[Hashable, object] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        ordered = _ordered(self.evidence)
        object.__setattr__(self, "evidence", ordered)
        by_kind: dict[str, dict[ArtifactRef, list[Evidence]]] = {}
        for ref, of_ref in groupby(ordered, key=_ref_of):
            for item in of_ref:
                of_kind = by_kind.get(item.kind)
                if of_kind is None:
                    of_kind = by_kind[item.kind] = {}
                items = of_kind.get(ref)
                if items is None:
                    of_kind[ref] = [item]
                else:
                    items.append(item)
        by_ref: dict[ArtifactRef, list[Reading]] = {}
        for reading in self.readings:
            by_ref.setdefault(reading.ref, []).append(reading)
        object.__setattr__(self, "_by_kind", by_kind)
        object.__setattr__(self, "_by_ref", by_ref)

    def once(self, what: Hashable, work_out: Callable[[], Worth]) -> Worth:
        """What `work_out` gives, worked out on the first call for `what` (a function, a rule) and kept."""
        try:
            return cast("Worth", self._kept[what])
        except KeyError:
            found = self._kept[what] = work_out()
            return found

    @cached_property
    def _unknown(self) -> dict[ArtifactRef, list[Reading]]:
        """Of each artifact that was asked for, the attempts that told nothing: mostly none."""
        return {ref: [reading for reading in of if reading.is_unknown] for ref, of in self._by_ref.items()}

    @cached_property
    def stale_refs(self) -> frozenset[ArtifactRef]:
        """The artifacts of which something could not be read again tonight, while what was read earlier stands."""
        return frozenset(reading.ref for reading in self.readings if reading.stale)

    @cached_property
    def roles(self) -> dict[ArtifactRef, frozenset[Role]]:
        """The roles of each artifact in this project."""
        roles: dict[ArtifactRef, set[Role]] = {}
        for artifact in self.project.artifacts:
            roles.setdefault(artifact.ref, set()).add(artifact.role)
        return {ref: frozenset(found) for ref, found in roles.items()}

    def refs(self, *roles: Role, kind: ArtifactKind | None = None) -> tuple[ArtifactRef, ...]:
        """The project's artifacts in any of these roles, seeds first, in the project's order."""
        return self.once((roles, kind), lambda: self._refs(roles, kind))

    def _refs(self, roles: tuple[Role, ...], kind: ArtifactKind | None) -> tuple[ArtifactRef, ...]:
        seen: dict[ArtifactRef, None] = {}
        for artifact in sorted(self.project.artifacts, key=lambda a: a.origin.value != "seed"):
            if artifact.role in roles and (kind is None or artifact.ref.kind is kind):
                seen.setdefault(artifact.ref, None)
        return tuple(seen)

    def of(
        self,
        kind: str,
        /,
        refs: Iterable[ArtifactRef] | None = None,
        where: Callable[[Evidence], bool] | None = None,
        **values: JsonValue,
    ) -> tuple[Evidence, ...]:
        """Evidence of one kind, of these artifacts (all, when None), whose value has these entries.

        A tuple or set as an entry means: any of them.
        """
        items = self._of_kind(kind, None if refs is None else tuple(refs))
        if not items:
            return items
        for key, value in values.items():
            several = value if isinstance(value, tuple | frozenset | set) else (value,)
            items = tuple([item for item in items if item.value.get(key) in several])
        return items if where is None else tuple(filter(where, items))

    def _of_kind(self, kind: str, refs: tuple[ArtifactRef, ...] | None) -> tuple[Evidence, ...]:
        # Fourteen rules ask much the same: the answer without any condition is kept.
        return self.once(("of", kind, refs), lambda: self._find(kind, refs))

    def _find(self, kind: str, refs: tuple[ArtifactRef, ...] | None) -> tuple[Evidence, ...]:
        found = self._by_kind.get(kind)
        if not found:
            return ()
        wanted = found if refs is None else set(refs) & found.keys()
        # The order of all evidence is that of the artifacts' names first.
        ordered = wanted if refs is None or len(wanted) < 2 else sorted(wanted, key=str)
        return tuple([item for ref in ordered for item in found[ref]])

    def _main_reading(self, ref: ArtifactRef) -> Reading | None:
        main = MAIN_PART[ref.kind]
        return next((reading for reading in self._by_ref.get(ref, ()) if reading.part == main), None)

    def is_read(self, ref: ArtifactRef) -> bool:
        """Was the artifact's main part read, tonight or earlier?"""
        main = self._main_reading(ref)
        return main is not None and main.is_readable

    def is_missing(self, ref: ArtifactRef) -> bool:
        """Did the service say that there is no such artifact?"""
        main = self._main_reading(ref)
        return main is not None and main.status is VisitStatus.MISSING

    def unread(self, refs: Iterable[ArtifactRef], *parts: str) -> tuple[Reading, ...]:
        """Attempts at these artifacts that told nothing (denied or failed, nothing stored).

        With parts given, only those of these parts or of the main part count. An artifact that
        was never asked counts as one failed attempt.
        """
        found: list[Reading] = []
        for ref in refs:
            unknown = self._unknown.get(ref)
            if unknown is None:
                found.append(
                    Reading(
                        ref=ref,
                        part=MAIN_PART[ref.kind],
                        url="",
                        status=VisitStatus.FAILED,
                        at=datetime.min.replace(tzinfo=UTC),
                        reason="not visited yet",
                    )
                )
            elif unknown:
                main = MAIN_PART[ref.kind]
                found += [
                    reading
                    for reading in unknown
                    if not parts or reading.part == main or reading.part in parts
                ]
        return tuple(found)

    def places(self, refs: Iterable[ArtifactRef], what: str = "") -> tuple[str, ...]:
        """The places looked at, in words, with how each could be read: for 'searched in vain'."""
        detail = f" ({what})" if what else ""
        return tuple([f"{ref}{detail}: {self._state_words(ref)}" for ref in refs])

    def _state_words(self, ref: ArtifactRef) -> str:
        main = self._main_reading(ref)
        if main is None:
            return "not visited yet"
        state = _STATE_WORDS[main.status]
        return "read earlier, tonight " + state if main.stale and main.is_readable else state


_STATE_WORDS = {
    VisitStatus.OK: "read",
    VisitStatus.UNCHANGED: "read",
    VisitStatus.MISSING: "not there",
    VisitStatus.DENIED: "access denied",
    VisitStatus.FAILED: "could not be read",
}


def kept(function: Callable[[EvidenceSet], Worth]) -> Callable[[EvidenceSet], Worth]:
    """A function of an evidence set that is worked out once for each set, however many rules ask it."""

    @wraps(function)
    def once(evidence: EvidenceSet) -> Worth:
        return evidence.once(function, lambda: function(evidence))

    return once


_ref_of = attrgetter("ref")


def _ordered(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """By artifact, part, kind and place; the identity, which takes longest to work out, decides only ties."""
    groups: dict[tuple[ArtifactRef, str], list[Evidence]] = {}
    for place, following in groupby(evidence, key=attrgetter("ref", "part")):
        groups.setdefault(place, []).extend(following)
    ordered: list[Evidence] = []
    for _, items in sorted(groups.items(), key=lambda group: (str(group[0][0]), group[0][1])):
        keyed = [(_place(item), item) for item in items]
        keyed.sort(key=itemgetter(0))
        for _, alike in groupby(keyed, key=itemgetter(0)):
            same = [item for _, item in alike]
            ordered += same if len(same) == 1 else sorted(same, key=lambda item: item.key)
    return tuple(ordered)


def _place(item: Evidence) -> tuple[str, int, str]:
    where = item.where
    return (item.kind, where.start, "") if isinstance(where, Quote) else (item.kind, -1, where.path)
