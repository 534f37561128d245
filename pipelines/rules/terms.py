"""What stated licences mean for a rule: how open each is, what it covers, and where statements disagree.

Nothing here rates; `license` asks it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from pipelines.evidence import EvidenceSet, kept_of_artifact
from pipelines.extract.licence_table import is_open, licence_facts
from pipelines.extract.parts import LICENCE_PART, NAMELESS, OTHER, UNRECOGNISED
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, FieldValue

LICENCE_KINDS = ("licence.text", "licence.tag", "licence.mention")
FILE = "file:"
UNNAMED = "unnamed"
"""The family of terms without a name: "for research only", "a custom licence"."""

RESTRICTED = frozenset({"non-commercial", "no-derivatives", "rail", "bespoke"})

_FIELDS = {"license_name": "the licence name", "license_link": "the licence link"}
_OWN_SCOPE = {ArtifactKind.HF_MODEL: "weights", ArtifactKind.HF_DATASET: "data"}


def licences_of(item: Evidence) -> tuple[str, ...]:
    """Every licence that a piece of evidence states."""
    return (item.value["licence"], *item.value.get("list", ()))


@lru_cache(maxsize=1024)
def kind_of(licence: str) -> str:
    """`open`, or what restricts: a kind of `licences.yaml`; `unknown` where nobody knows it."""
    # `other` is what a tag says of terms that are nobody else's.
    if licence in (UNRECOGNISED, OTHER):
        return "bespoke"
    facts = licence_facts(licence)
    if facts is None:
        return "unknown"
    return "open" if is_open(facts.id) else facts.kind


def kinds_of(item: Evidence) -> frozenset[str]:
    """How open the licences of a piece of evidence are; several where it states several."""
    return frozenset(map(kind_of, licences_of(item)))


_BY_NAME = attrgetter("kind", "id")
"""The order of names: no kind begins with another one."""


def stated(
    evidence: EvidenceSet,
    refs: Iterable[ArtifactRef],
    scopes: tuple[str | None, ...],
    kinds: frozenset[str],
) -> tuple[Evidence, ...]:
    """Statements of these artifacts on these parts of the project, with a licence of one of these kinds."""
    # By kind first: what a licence file says comes before a tag, and a tag before prose.
    found = [
        one
        for ref in sorted(set(refs), key=_BY_NAME)
        for one in _counting(evidence, ref)
        if one.scope in scopes and one.kinds & kinds
    ]
    if len(found) > 1:
        return tuple([one.item for name in LICENCE_KINDS for one in found if one.item.kind == name])
    return tuple([one.item for one in found])


class _Statement(NamedTuple):
    """A statement of a licence that counts: on which part, and how open it is."""

    item: Evidence
    scope: str | None
    kinds: frozenset[str]


@kept_of_artifact
def _counting(evidence: EvidenceSet, ref: ArtifactRef) -> tuple[_Statement, ...]:
    """The statements of an artifact that count."""
    return tuple(
        [
            _Statement(item, item.value.get("scope"), kinds_of(item))
            for name in LICENCE_KINDS
            for item in evidence.of(name, [ref])
            if _counts(evidence, item)
        ]
    )


def _counts(evidence: EvidenceSet, item: Evidence) -> bool:
    """Not: a tag that names no licence beside a text that is one; a folder's licence below the whole's.

    Nor where such a text may stand in a file that could not be read.
    """
    if item.kind == "licence.mention":
        return True
    texts = evidence.of("licence.text", [item.ref])
    if item.kind == "licence.tag" and licences_of(item) == (OTHER,):
        known = any(text.value["licence"] != UNRECOGNISED for text in texts)
        return not known and not _unread_licence_files(evidence, item.ref)
    if item.kind == "licence.text" and item.value.get("scope") is None and _is_nested(item):
        of_all = any(text.value.get("scope") is None and not _is_nested(text) for text in texts)
        return not of_all and not any("/" not in path for path in _unread_licence_files(evidence, item.ref))
    return True


def _unread_licence_files(evidence: EvidenceSet, ref: ArtifactRef) -> list[str]:
    return [
        reading.part.removeprefix(FILE)
        for reading in evidence.unread([ref])
        if LICENCE_PART.fullmatch(reading.part)
    ]


def _is_nested(item: Evidence) -> bool:
    path = item.part.removeprefix(FILE)
    return "/" in path and not path.lower().startswith(("licenses/", "licences/"))


# --- statements that disagree --------------------------------------------------------------------


class Disagreement(NamedTuple):
    """Two statements on one part of the project that cannot both be all of it."""

    one: Evidence
    other: Evidence

    @property
    def on_openness(self) -> bool:
        """Is one of them open and the other not?"""
        return ("open" in kinds_of(self.one)) != ("open" in kinds_of(self.other))

    def __str__(self) -> str:
        return f"{_told(self.one)}, {_told(self.other)}"


def disagreements(evidence: EvidenceSet, refs: Iterable[ArtifactRef]) -> tuple[Disagreement, ...]:
    """Where tag, licence file, package metadata and prose of one artifact name different licences."""
    return tuple([found for ref in dict.fromkeys(refs) for found in _disagreements_at(evidence, ref)])


@kept_of_artifact
def _disagreements_at(evidence: EvidenceSet, ref: ArtifactRef) -> tuple[Disagreement, ...]:
    return tuple(_within(evidence, ref))


def _within(evidence: EvidenceSet, ref: ArtifactRef) -> Iterator[Disagreement]:
    own = _OWN_SCOPE.get(ref.kind, "code")
    by_place: dict[tuple[str, str], list[Evidence]] = {}
    for item, scope, _ in _counting(evidence, ref):
        by_place.setdefault((scope or own, _place(item)), []).append(item)
    for ((part, _), ones), ((other_part, _), others) in itertools.combinations(by_place.items(), 2):
        if part == other_part and not any(_agree(one, other) for one in ones for other in others):
            found = Disagreement(ones[0], others[0])
            # Prose names licences of much else; it contradicts only what it denies or restricts.
            if found.on_openness or "licence.mention" not in (found.one.kind, found.other.kind):
                yield found


def _agree(one: Evidence, other: Evidence) -> bool:
    return any(_mean_the_same(here, there) for here in licences_of(one) for there in licences_of(other))


def _mean_the_same(here: str, there: str) -> bool:
    """Are two identifiers one licence, versions of one, or one licence and terms that describe it?"""
    if here == there or NAMELESS & {here, there}:
        return True
    one, other = licence_facts(here), licence_facts(there)
    if one is None or other is None:
        return UNRECOGNISED not in (here, there) or kind_of(here) == kind_of(there)
    if one.family == other.family and one.kind == other.kind:
        return True
    return UNNAMED in (one.family, other.family) and not is_open(here) and not is_open(there)


def base_binds_more(
    evidence: EvidenceSet, tuned: tuple[ArtifactRef, ...], bases: tuple[ArtifactRef, ...]
) -> Disagreement | None:
    """An open statement on the tuned weights over a base whose own terms restrict."""
    scopes = (None, "weights")
    opened = stated(evidence, tuned, scopes, frozenset({"open"}))
    bound = [
        item
        for item in stated(evidence, bases, scopes, RESTRICTED)
        if item.kind != "licence.mention" and item.ref not in tuned
    ]
    return Disagreement(opened[0], bound[0]) if opened and bound else None


def _place(item: Evidence) -> str:
    """Where a statement stands, in words: the places are compared with one another."""
    path = item.part.removeprefix(FILE)
    if item.kind == "licence.text":
        return "the licence file"
    if item.kind == "licence.tag":
        if item.part.startswith(FILE):
            return path
        key = item.where.path.rpartition(".")[2] if isinstance(item.where, FieldValue) else ""
        return _FIELDS.get(key, "the tag")
    return "the card" if item.part == "card" else path


def _told(item: Evidence) -> str:
    names = " and ".join(licences_of(item)[:3])
    place = item.part.removeprefix(FILE) if item.kind == "licence.text" else _place(item)
    return f"{place} of {item.ref.id} says {names}"
