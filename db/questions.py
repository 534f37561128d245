"""The queue of questions, from the index: pages of it in any order, counts by sort, neighbours of a question.

Pages are found by the key of the last question, not by a number to skip: whatever is decided meanwhile,
none is shown twice or passed over.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, bindparam, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.columns import UtcDateTime
from db.keys import project_ids
from db.models import ProjectRow, ProposalRow, QuestionRow
from db.question_counts import count_matching, load_facets
from db.question_filter import conditions, is_due
from db.question_index import rebuild_questions, refresh_questions
from db.review_values import (
    CellName,
    Facets,
    QuestionKind,
    QuestionPage,
    QueueFilter,
    QueueItem,
    Sort,
)
from pipelines.errors import UsageError

__all__ = [
    "CellName",
    "Facets",
    "QuestionKind",
    "QuestionPage",
    "QueueFilter",
    "QueueItem",
    "Sort",
    "count_matching",
    "load_facets",
    "load_first",
    "load_item",
    "load_neighbours",
    "load_next",
    "load_page",
    "rebuild_questions",
    "refresh_questions",
]

FEW = 3000
"""So many questions are sorted as they are found; more are looked up in the order that is asked for, where the
first page does not wait for the last."""

_Key = InstrumentedAttribute[Any]  # columns have many types

# All keys of an order go one way, so that a database compares them as one.
_ORDERS: dict[Sort, tuple[tuple[_Key, ...], bool]] = {
    Sort.GAIN: (
        (QuestionRow.project_gain, QuestionRow.project_id, QuestionRow.gain, QuestionRow.dimension),
        True,
    ),
    Sort.AGE: ((QuestionRow.since, QuestionRow.project_id, QuestionRow.dimension), False),
    Sort.CONFIDENCE: (
        (QuestionRow.confidence, QuestionRow.change, QuestionRow.project_id, QuestionRow.dimension),
        True,
    ),
    Sort.CHANGE: (
        (QuestionRow.change, QuestionRow.confidence, QuestionRow.project_id, QuestionRow.dimension),
        True,
    ),
    Sort.PROJECT: ((QuestionRow.slug, QuestionRow.dimension), False),
}


# Made once, as the pages of the review desk wait for them.
_PLACES = {
    sort: select(*keys).where(
        QuestionRow.slug == bindparam("slug"), QuestionRow.dimension == bindparam("dimension")
    )
    for sort, (keys, _) in _ORDERS.items()
}


class _Found(NamedTuple):
    """A cell in an order."""

    dimension: str
    slug: str


def load_page(
    session: Session,
    filters: QueueFilter,
    now: datetime,
    *,
    sort: Sort = Sort.GAIN,
    limit: int = 50,
    after: str | None = None,
) -> QuestionPage:
    """Up to `limit` questions that are not deferred, in order, after those of an earlier page.

    Raises UsageError for an unknown project and for an `after` that no page gave.
    """
    total = count_matching(session, filters, now)
    if total == 0:
        return QuestionPage(items=(), total=0, next=None)
    start = None if after is None else _parsed(sort, after)
    restricting = _restricting(session, filters, total)
    behind = start is not None
    query = (
        _page(sort, behind)
        if not restricting
        else _with_items(sort, _cells(sort, False, behind), restricting)
    )
    rows = session.execute(query, _values(now, limit + 1, start)).all()
    items = tuple(_item(row) for row in rows[:limit])
    following = _text(sort, tuple(rows[limit - 1])[len(_ITEM) :]) if len(rows) > limit else None
    return QuestionPage(items=items, total=total, next=following)


def load_item(session: Session, slug: str, dimension: str) -> QueueItem | None:
    """The question of a cell as the queue lists it, deferred or not; None where nothing is asked."""
    project_id = project_ids(session, [slug])[slug]
    row = session.execute(_ONE_ITEM, {"project_id": project_id, "dimension": dimension}).first()
    return None if row is None else _item(row)


def load_neighbours(
    session: Session, filters: QueueFilter, sort: Sort, cell: CellName, now: datetime
) -> tuple[CellName | None, CellName | None]:
    """The questions before and after that of a cell in the queue; None at its ends.

    A cell that is not asked about has no place in the queue: nothing is before it, and the first
    question of all is after it. Raises UsageError for an unknown project.
    """
    total = _total(session, filters, now)
    if total == 0:
        return None, None
    place = _place(session, sort, cell)
    if place is None:
        return None, _first(_load_cells(session, filters, now, sort, total, 1, None))
    before = _load_cells(session, filters, now, sort, total, 1, place, backwards=True)
    return _first(before), _first(_load_cells(session, filters, now, sort, total, 1, place))


def load_next(
    session: Session, filters: QueueFilter, sort: Sort, cell: CellName, now: datetime
) -> CellName | None:
    """The question after that of a cell, as `load_neighbours` gives it, at less cost."""
    total = _total(session, filters, now)
    if total == 0:
        return None
    return _first(_load_cells(session, filters, now, sort, total, 1, _place(session, sort, cell)))


def load_first(session: Session, filters: QueueFilter, sort: Sort, now: datetime) -> CellName | None:
    """The question at the head of the queue, at less cost than a page of it; None where nothing is asked."""
    total = _total(session, filters, now)
    return None if total == 0 else _first(_load_cells(session, filters, now, sort, total, 1, None))


def _total(session: Session, filters: QueueFilter, now: datetime) -> int:
    """How many questions there are, where that decides how they are found: it does not where nothing restricts."""
    return FEW + 1 if filters == QueueFilter() else count_matching(session, filters, now)


def _place(session: Session, sort: Sort, cell: CellName) -> tuple[Any, ...] | None:
    """The place of a cell in an order; None where it has none. Raises UsageError for an unknown project."""
    found = session.execute(_PLACES[sort], {"slug": cell[0], "dimension": cell[1]}).first()
    if found is None:
        project_ids(session, [cell[0]])
        return None
    return tuple(found)


def _first(found: Sequence[_Found]) -> CellName | None:
    return None if not found else (found[0].slug, found[0].dimension)


def _load_cells(
    session: Session,
    filters: QueueFilter,
    now: datetime,
    sort: Sort,
    total: int,
    limit: int,
    start: tuple[Any, ...] | None,
    *,
    backwards: bool = False,
) -> list[_Found]:
    """Cells in an order, from behind a place on."""
    query = _cells(sort, backwards, start is not None)
    if restricting := _restricting(session, filters, total):
        query = query.where(*restricting)
    found = session.execute(query, _values(now, limit, start))
    return [_Found(row[1], row[2]) for row in found]


def _restricting(session: Session, filters: QueueFilter, total: int) -> list[ColumnElement[bool]]:
    return conditions(session, filters, in_order=total > FEW and not filters.slugs)


def _values(now: datetime, limit: int, start: tuple[Any, ...] | None) -> dict[str, Any]:  # Any: as the keys
    place = {f"key{number}": value for number, value in enumerate(start or ())}
    return {"now": now, "limit": limit, **place}


@cache
def _cells(
    sort: Sort, backwards: bool, behind: bool
) -> Select[*tuple[Any, ...]]:  # Any: keys have many types
    """Cells in an order; `behind`: those behind the place that `key0`, `key1`, … say."""
    keys, descending = _ORDERS[sort]
    downwards = descending is not backwards
    query = select(QuestionRow.project_id, QuestionRow.dimension, QuestionRow.slug, *keys)
    query = query.where(is_due(bindparam("now", type_=UtcDateTime())))
    if behind:
        place = tuple_(*(bindparam(f"key{number}", type_=key.type) for number, key in enumerate(keys)))
        here = tuple_(*keys)
        query = query.where(here < place if downwards else here > place)
    ordered = query.order_by(*(key.desc() if downwards else key.asc() for key in keys))
    return ordered.limit(bindparam("limit", type_=Integer()))


_ITEM = (
    QuestionRow.dimension,
    QuestionRow.proposal_id,
    QuestionRow.slug,
    ProjectRow.name,
    ProjectRow.org,
    QuestionRow.kind,
    QuestionRow.rating,
    QuestionRow.current_rating,
    QuestionRow.change,
    QuestionRow.confidence,
    QuestionRow.gain,
    func.coalesce(ProposalRow.rationale, ""),
    func.coalesce(ProposalRow.link, ""),
    QuestionRow.since,
    QuestionRow.proposes,
)
_ITEM_FIELDS = (
    "dimension",
    "proposal_id",
    "slug",
    "project",
    "org",
    "kind",
    "rating",
    "current",
    "change",
    "confidence",
    "gain",
    "rationale",
    "link",
    "since",
    "proposes",
)


_ONE_ITEM = (
    select(*_ITEM)
    .join(ProjectRow, ProjectRow.id == QuestionRow.project_id)
    .outerjoin(ProposalRow, ProposalRow.id == QuestionRow.proposal_id)
    .where(QuestionRow.project_id == bindparam("project_id"), QuestionRow.dimension == bindparam("dimension"))
)


def _with_items(
    sort: Sort, cells: Select[*tuple[Any, ...]], restricting: Sequence[ColumnElement[bool]] = ()
) -> Select[*tuple[Any, ...]]:  # Any: keys have many types
    """What the queue lists of some cells, then their keys. The cells are found first, and the rest of them only."""
    page = cells.where(*restricting).subquery("page")
    keys = list(page.c)[3:]
    return (
        select(*_ITEM, *keys)
        .select_from(page)
        .join(
            QuestionRow,
            and_(QuestionRow.project_id == page.c.project_id, QuestionRow.dimension == page.c.dimension),
        )
        .join(ProjectRow, ProjectRow.id == QuestionRow.project_id)
        .outerjoin(ProposalRow, ProposalRow.id == QuestionRow.proposal_id)
        .order_by(*(key.desc() if _ORDERS[sort][1] else key.asc() for key in keys))
    )


@cache
def _page(sort: Sort, behind: bool) -> Select[*tuple[Any, ...]]:  # Any: keys have many types
    """A page of the whole queue."""
    return _with_items(sort, _cells(sort, False, behind))


def _item(row: Row[*tuple[Any, ...]]) -> QueueItem:  # Any: columns have many types
    return QueueItem(**dict(zip(_ITEM_FIELDS, row, strict=False)))


def _text(sort: Sort, key: tuple[Any, ...]) -> str:
    """A place in an order as text for an address."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in key]
    packed = json.dumps([sort.value, *values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _parsed(sort: Sort, text: str) -> tuple[Any, ...]:
    keys, _ = _ORDERS[sort]
    try:
        unpacked = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(unpacked, list) or unpacked[:1] != [sort.value] or len(unpacked) != len(keys) + 1:
            raise ValueError
        return tuple(_typed(key, value) for key, value in zip(keys, unpacked[1:], strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise UsageError("there is no such page of the queue in this order; begin with the first") from None


_KINDS: Mapping[str, type] = {
    "since": str,
    "dimension": str,
    "slug": str,
    "project_id": int,
    "change": int,
}


def _typed(key: _Key, value: object) -> Any:  # whatever the column holds
    kind = _KINDS.get(key.key)
    if kind is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError
    if key.key == "since":
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if kind is None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        return float(value)
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError
    return value
