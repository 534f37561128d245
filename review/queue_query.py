"""Which questions an address asks for: the filter, the order and the place in it.

The filter goes with a curator from question to question as the query of every address. What is not
known is refused, never passed over: a filter that finds more than it says could confirm more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import TypeVar
from urllib.parse import quote, urlencode

from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException

from db.question_filter import parse_change
from db.review_values import CellName, QuestionKind, QueueFilter, Sort
from pipelines.errors import UsageError
from pipelines.model import Rating
from pipelines.rubric import Rubric

Choice = TypeVar("Choice", bound=StrEnum)

MAX_VALUES = 50
MAX_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuery:
    """What an address asks of the queue."""

    filter: QueueFilter = field(default_factory=QueueFilter)
    sort: Sort = Sort.GAIN
    after: str | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names and values as they stand in an address, without the place."""
        filters = self.filter
        found = [("dimension", value) for value in filters.dimensions]
        found += [("kind", value.value) for value in filters.kinds]
        found += [("class", value.value) for value in filters.ratings]
        found += [("org", value) for value in filters.orgs]
        found += [("project", value) for value in filters.slugs]
        if filters.change:
            found.append(("change", filters.change))
        if filters.min_confidence > 0:
            found.append(("min_confidence", f"{filters.min_confidence:g}"))
        if self.sort is not Sort.GAIN:
            found.append(("sort", self.sort.value))
        return found

    @property
    def is_whole(self) -> bool:
        """Does the filter leave nothing out?"""
        return self.filter == QueueFilter()

    def address(self, path: str, **more: str | None) -> str:
        """An address that asks for the same."""
        pairs = self.pairs + [(name, value) for name, value in more.items() if value]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def question(self, cell: CellName) -> str:
        """The address of a question, with this filter."""
        return self.address(question_path(*cell))

    def without(self, name: str) -> QueueQuery:
        """The same without one restriction, by its name in `QueueFilter`."""
        nothing: object = {"min_confidence": 0.0, "change": None}.get(name, ())
        changed: QueueFilter = replace(self.filter, **{name: nothing})  # type: ignore[arg-type]
        return replace(self, filter=changed, after=None)


def question_path(slug: str, dimension: str) -> str:
    """Where a question stands."""
    return f"/questions/{quote(slug, safe='')}/{quote(dimension, safe='')}"


def queue_query(given: ImmutableMultiDict[str, str], rubric: Rubric) -> QueueQuery:
    """What the query of an address, or a form with the same fields, asks for. HTTPException 400 for what is unknown."""
    confidence = _texts(given, "min_confidence")
    change = _texts(given, "change")
    sort = _texts(given, "sort")
    if change:
        try:
            parse_change(change[0])
        except UsageError as error:
            raise HTTPException(400, str(error)) from None
    after = given.get("after", "")
    return QueueQuery(
        filter=QueueFilter(
            dimensions=_known(given, "dimension", rubric.dimension_ids),
            ratings=_members(given, "class", Rating),
            kinds=_members(given, "kind", QuestionKind),
            orgs=_texts(given, "org"),
            slugs=_texts(given, "project"),
            min_confidence=_confidence(confidence[0]) if confidence else 0.0,
            change=change[0] if change else None,
        ),
        sort=_one("sort", sort[0], Sort) if sort else Sort.GAIN,
        after=after or None,
    )


def _texts(given: ImmutableMultiDict[str, str], name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(text for value in given.getlist(name) if (text := value.strip())))
    if len(values) > MAX_VALUES or any(len(value) > MAX_TEXT for value in values):
        raise HTTPException(400, f"Too much is given for {name}.")
    return values


def _known(given: ImmutableMultiDict[str, str], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    values = _texts(given, name)
    for value in values:
        if value not in known:
            raise HTTPException(400, f"There is no {name} {value[:60]!r}.")
    return values


def _members(
    given: ImmutableMultiDict[str, str], name: str, kind: Callable[[str], Choice]
) -> tuple[Choice, ...]:
    return tuple(_one(name, value, kind) for value in _texts(given, name))


def _one(name: str, value: str, kind: Callable[[str], Choice]) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise HTTPException(400, f"There is no {name} {value[:60]!r}.") from None


def _confidence(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not isfinite(value) or not 0 <= value <= 1:
        raise HTTPException(400, "A confidence is a number from 0 to 1.")
    return value
