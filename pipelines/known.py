"""What is known of one artifact: its evidence by kind and in order, and how reading its parts went.

Projects share artifacts, so the sets of evidence of several projects share this as well, and with it
whatever was worked out of one artifact alone. Evidence is made when a rule asks for its kind: many
kinds of many artifacts are never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import Any, Protocol

from pipelines.model import MAIN_PART, ArtifactRef, Evidence, JsonValue, Quote, VisitStatus


class Pieces(Protocol):
    """The evidence of one artifact and one kind, in order, each piece made when it is asked for."""

    @property
    def values(self) -> Sequence[Mapping[str, JsonValue]]:
        """Their normalised values."""
        ...

    def make(self, place: int) -> Evidence:
        """The piece at this place. Raises StorageError where what is stored there is none."""
        ...


Maker = Callable[[], Pieces]
Asked = Mapping[str, JsonValue]
"""Keys of a value, each with what has to stand under it. A tuple or set means: any of them."""
Having = Callable[[Mapping[str, JsonValue]], bool]
"""Whether a value is asked for."""


# Named once: an enum of Python 3.11 gives a member in five times the time that a name takes.
_MISSING = VisitStatus.MISSING
_READ = (VisitStatus.OK, VisitStatus.UNCHANGED)
_UNREAD = (VisitStatus.DENIED, VisitStatus.FAILED)


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
        if self.status is _MISSING:
            return False
        return self.stale or self.status in _READ

    @property
    def is_unknown(self) -> bool:
        """Nothing was read, and that says nothing about the project."""
        return not self.stale and self.status in _UNREAD


class Known:
    """An artifact's evidence and readings. What is worked out of them is kept."""

    __slots__ = (
        "_of_kind",
        "_unread",
        "_words",
        "is_stale",
        "kinds",
        "main",
        "name",
        "notes",
        "readings",
        "ref",
    )

    def __init__(
        self, ref: ArtifactRef, readings: Iterable[Reading], makers: Mapping[str, Maker] | None = None
    ) -> None:
        self.ref = ref
        self.name = str(ref)
        self.readings = tuple(readings)
        self.notes: dict[Hashable, Any] = {}
        """What rules have worked out of this artifact alone, by the function that did. Any: of many types."""
        self.main: Reading | None = None
        """The reading that speaks for the whole artifact; None where there was none yet."""
        self.is_stale = False
        """Could something of it not be read again tonight, while what was read earlier stands?"""
        part = MAIN_PART[ref.kind]
        for reading in self.readings:
            if self.main is None and reading.part == part:
                self.main = reading
            if reading.stale:
                self.is_stale = True
        self.kinds: Mapping[str, Maker] = makers or {}
        """The kinds of which it has any evidence, each with what makes that."""
        self._of_kind: dict[str, Sequence[OfKind]] = {}
        self._unread: tuple[Reading, ...] | None = None
        self._words = ""

    def of_kind(self, kind: str) -> Sequence[OfKind]:
        """Its evidence of one kind, for those who ask for some of it; nothing where it has none."""
        found = self._of_kind.get(kind)
        if found is None:
            maker = self.kinds.get(kind)
            found = self._of_kind[kind] = () if maker is None else (OfKind(self.name, maker()),)
        return found

    def everything(self) -> list[Evidence]:
        """All its evidence, one kind after the other."""
        return [item for kind in self.kinds for found in self.of_kind(kind) for item in found.all()]

    @property
    def unread(self) -> tuple[Reading, ...]:
        """Attempts that told nothing: mostly none. An artifact that was never asked for counts as one failed attempt."""
        if self._unread is None:
            if self.readings:
                self._unread = tuple([reading for reading in self.readings if reading.is_unknown])
            else:
                self._unread = (not_visited(self.ref),)
        return self._unread

    @property
    def state_words(self) -> str:
        """How its main part could be read, in words."""
        if not self._words:
            self._words = _state_words(self.main)
        return self._words


class OfKind:
    """The evidence of one kind that an artifact has, with an index of its values.

    Answers are kept: fourteen rules of several projects ask much the same.
    """

    __slots__ = ("_all", "_answers", "_by_value", "_made", "_make", "_values", "name")

    def __init__(self, name: str, pieces: Pieces) -> None:
        self.name = name
        """That of the artifact."""
        self._make = pieces.make
        self._values = pieces.values
        self._made: list[Evidence | None] = [None] * len(self._values)
        self._all: tuple[Evidence, ...] | None = None
        self._by_value: dict[str, dict[JsonValue, list[int]]] = {}
        self._answers: dict[Hashable, tuple[Evidence, ...]] = {}

    def all(self) -> tuple[Evidence, ...]:
        """All of it, in order."""
        if self._all is None:
            self._all = self._at(range(len(self._values)))
        return self._all

    def find(
        self, asked: Asked, having: Having | None = None, at_most: int | None = None
    ) -> tuple[Evidence, ...]:
        """The pieces whose value has, under each of these keys, what is asked for, and of which `having` is true.

        The first of them, where `at_most` says how much. No others are made.
        """
        if not asked and having is None and at_most is None:
            return self.all()
        if having is None and at_most is None and len(asked) == 1:
            # Found again as quickly as remembered.
            places = self._with(asked)
            return self._at(places) if places else ()
        question = (having, at_most, *asked.items())
        found = self._answers.get(question)
        if found is None:
            places = self._with(asked)
            if having is not None and places:
                values = self._values
                places = [place for place in places if having(values[place])]
            if at_most is not None:
                places = places[:at_most]
            found = self._answers[question] = self._at(places) if places else ()
        return found

    def values(self, asked: Asked) -> list[Mapping[str, JsonValue]]:
        """The values of `find`, for which no evidence is made."""
        values = self._values
        return [values[place] for place in self._with(asked)]

    def _with(self, asked: Asked) -> Sequence[int]:
        places: Sequence[int] | None = None
        for key, wanted in asked.items():
            if places is None:
                places = self._places(key, wanted)
            elif isinstance(wanted, _ANY_OF):
                places = [place for place in places if self._values[place].get(key) in wanted]
            else:
                places = [place for place in places if self._values[place].get(key) == wanted]
        return range(len(self._values)) if places is None else places

    def _places(self, key: str, wanted: JsonValue) -> Sequence[int]:
        by_value = self._by_value.get(key)
        if by_value is None:
            by_value = self._by_value[key] = _by_value(self._values, key)
        if not isinstance(wanted, _ANY_OF):
            return by_value.get(wanted, ())
        hits = [by_value[value] for value in dict.fromkeys(wanted) if value in by_value]
        if len(hits) < 2:
            return hits[0] if hits else ()
        return sorted([place for places in hits for place in places])

    def _at(self, places: Sequence[int]) -> tuple[Evidence, ...]:
        made = self._made
        for place in places:
            if made[place] is None:
                made[place] = self._make(place)
        return tuple([made[place] for place in places])  # type: ignore[misc]


class Made:
    """Pieces that are there already, in any order."""

    __slots__ = ("_items", "values")

    def __init__(self, items: Iterable[Evidence]) -> None:
        self._items = in_order(items)
        self.values = [item.value for item in self._items]

    def make(self, place: int) -> Evidence:
        """The piece at this place."""
        return self._items[place]


def not_visited(ref: ArtifactRef) -> Reading:
    """The reading of an artifact that nobody has asked for yet."""
    return Reading(
        ref=ref,
        part=MAIN_PART[ref.kind],
        url="",
        status=VisitStatus.FAILED,
        at=datetime.min.replace(tzinfo=UTC),
        reason="not visited yet",
    )


def known_of(evidence: Iterable[Evidence], readings: Iterable[Reading]) -> dict[ArtifactRef, Known]:
    """What is known of each artifact, from its evidence and readings in any order."""
    kinds: dict[ArtifactRef, dict[str, list[Evidence]]] = {}
    for item in evidence:
        kinds.setdefault(item.ref, {}).setdefault(item.kind, []).append(item)
    attempts: dict[ArtifactRef, list[Reading]] = {}
    for reading in readings:
        attempts.setdefault(reading.ref, []).append(reading)
    return {
        ref: Known(
            ref,
            attempts.get(ref, ()),
            {kind: partial(Made, items) for kind, items in kinds.get(ref, {}).items()},
        )
        for ref in {**kinds, **attempts}
    }


def in_order(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """By artifact, part, kind and place; the identity, which takes longest to work out, decides only ties."""
    groups: dict[tuple[ArtifactRef, str], list[Evidence]] = {}
    for place, following in groupby(evidence, key=attrgetter("ref", "part")):
        groups.setdefault(place, []).extend(following)
    ordered: list[Evidence] = []
    for _, items in sorted(groups.items(), key=_part_of) if len(groups) > 1 else groups.items():
        if len(items) == 1:
            ordered += items
            continue
        keyed = [(_place(item), item) for item in items]
        keyed.sort(key=itemgetter(0))
        if all(one[0] != other[0] for one, other in pairwise(keyed)):
            ordered += [item for _, item in keyed]
            continue
        for _, alike in groupby(keyed, key=itemgetter(0)):
            same = [item for _, item in alike]
            ordered += same if len(same) == 1 else sorted(same, key=attrgetter("key"))
    return tuple(ordered)


def _part_of(group: tuple[tuple[ArtifactRef, str], list[Evidence]]) -> tuple[str, str]:
    (ref, part), _ = group
    return str(ref), part


def _place(item: Evidence) -> tuple[str, int, str]:
    where = item.where
    return (item.kind, where.start, "") if isinstance(where, Quote) else (item.kind, -1, where.path)


_ANY_OF = (tuple, frozenset, set)


def _by_value(values: Sequence[Mapping[str, JsonValue]], key: str) -> dict[JsonValue, list[int]]:
    """The places of values by what they have under a key."""
    found: dict[JsonValue, list[int]] = {}
    for place, value in enumerate(values):
        entry = value.get(key)
        try:
            found[entry].append(place)
        except KeyError:
            found[entry] = [place]
        except TypeError:
            # A list or a mapping is none of the words and flags that rules ask for.
            continue
    return found


def _state_words(main: Reading | None) -> str:
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
