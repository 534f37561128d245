"""How many questions there are of each sort, out of the sums that the index keeps.

Sums know no deferrals: what was deferred and is due is counted by itself, and it is little. Where a filter
asks for what the sums do not tell (projects, organisations, a confidence between two hundredths), the index is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from db.columns import UtcDateTime
from db.models import QuestionCountRow, QuestionOrgRow, QuestionRow
from db.question_filter import HAIR, change_text, conditions, is_due, parse_change
from db.question_rows import MAX_ORG
from db.review_values import Facets, QuestionKind, QueueFilter
from pipelines.model import Rating

T = TypeVar("T")

MOST_ORGS = 20
BANDS = tuple(f"{tenth / 10:.1f}" for tenth in range(10))
"""Least confidences, in tenths."""

_NONE = ""
"""A class that is not there, as the sums have it."""


def count_matching(session: Session, filters: QueueFilter, now: datetime) -> int:
    """How many questions a filter finds. Raises UsageError for an unknown project and a malformed change."""
    alike = _alike(session, filters)
    query = select(func.sum(alike.c.number)).where(*_restricted(alike, filters))
    return session.scalar(query, {"now": now}) or 0


def load_facets(session: Session, filters: QueueFilter, now: datetime) -> Facets:
    """The counts of each sort; see `Facets` for what adds up to what."""
    alike = _alike(session, filters)
    columns = alike.c
    nothing = cast(null(), Text)
    # One statement, so that where the index has to be counted it is gone through once.
    facets = (
        ("dimension", columns.dimension, nothing, replace(filters, dimensions=())),
        ("kind", columns.kind, nothing, replace(filters, kinds=())),
        ("rating", columns.rating, nothing, replace(filters, ratings=())),
        ("change", columns.current, columns.rating, replace(filters, change=None)),
        ("confidence", cast(columns.confidence, Text), nothing, replace(filters, min_confidence=0.0)),
        ("total", nothing, nothing, filters),
    )
    parts = [
        select(literal(name), first.label("first"), second.label("second"), func.sum(columns.number))
        .where(*_restricted(alike, left))
        .group_by(first, second)
        for name, first, second, left in facets
    ]
    found: dict[str, dict[tuple[str, str], int]] = {name: {} for name, *_ in facets}
    for name, one, other, number in session.execute(union_all(*parts), {"now": now}):
        found[name][one, other] = int(number)
    return Facets(
        total=sum(found["total"].values()),
        dimensions={one: number for (one, _), number in sorted(found["dimension"].items())},
        kinds=_in_order({one: number for (one, _), number in found["kind"].items()}, QuestionKind),
        ratings=_in_order(
            {_rating(one): number for (one, _), number in found["rating"].items()}, (*reversed(Rating), None)
        ),
        changes={
            change_text(_rating(one), _rating(other)): number
            for (one, other), number in sorted(found["change"].items())
        },
        bands=_bands(found["confidence"]),
        orgs=_load_orgs(session, filters, now),
    )


def _rating(text: str) -> Rating | None:
    return Rating(text) if text else None


def _in_order(counts: Mapping[Any, int], order: Iterable[T]) -> dict[T, int]:
    return {each: counts[each] for each in order if each in counts}


def _bands(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    bands = dict.fromkeys(reversed(BANDS), 0)
    for (confidence, _), number in counts.items():
        bands[BANDS[min(int(float(confidence) * 10 + HAIR), len(BANDS) - 1)]] += number
    return {band: number for band, number in bands.items() if number}


def _restricted(alike: CTE, filters: QueueFilter) -> list[ColumnElement[bool]]:
    """What of a filter the sums can tell."""
    columns = alike.c
    found: list[ColumnElement[bool]] = []
    if filters.dimensions:
        found.append(columns.dimension.in_(filters.dimensions))
    if filters.kinds:
        found.append(columns.kind.in_([kind.value for kind in filters.kinds]))
    if filters.ratings:
        found.append(columns.rating.in_([rating.value for rating in filters.ratings]))
    if filters.change is not None:
        current, rating = parse_change(filters.change)
        found.append(columns.current == (current.value if current else _NONE))
        found.append(columns.rating == (rating.value if rating else _NONE))
    if filters.rated is not None:
        found.append(columns.current != _NONE if filters.rated else columns.current == _NONE)
    if filters.proposes is not None:
        found.append(columns.proposes.is_(filters.proposes))
    if filters.min_confidence > 0:
        found.append(columns.confidence >= filters.min_confidence - HAIR)
    return found


def _alike(session: Session, filters: QueueFilter) -> CTE:
    """Questions that are due at `now` with their numbers: all, or those of the projects and organisations of a filter."""
    whole = abs(filters.min_confidence * 100 - round(filters.min_confidence * 100)) < 1e-6
    if filters.slugs or filters.orgs or not whole:
        least = 0.0 if whole else filters.min_confidence
        narrow = QueueFilter(slugs=filters.slugs, orgs=filters.orgs, min_confidence=least)
        return _of_index(is_due(_NOW), *conditions(session, narrow)).cte("alike")
    return _summed()


_NOW = bindparam("now", type_=UtcDateTime())


@cache
def _summed() -> CTE:
    """All questions with their numbers. Made once: every page of the queue waits for it."""
    summed = select(
        QuestionCountRow.dimension.label("dimension"),
        QuestionCountRow.kind.label("kind"),
        QuestionCountRow.rating.label("rating"),
        QuestionCountRow.current_rating.label("current"),
        QuestionCountRow.proposes.label("proposes"),
        (QuestionCountRow.percent / 100.0).label("confidence"),
        QuestionCountRow.number.label("number"),
    ).where(QuestionCountRow.number > 0)
    return union_all(summed, _of_index(QuestionRow.defer_until <= _NOW)).cte("alike")


def _of_index(*wanted: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:  # Any: columns have many types
    return select(
        QuestionRow.dimension.label("dimension"),
        type_coerce(QuestionRow.kind, Text).label("kind"),
        func.coalesce(type_coerce(QuestionRow.rating, Text), _NONE).label("rating"),
        func.coalesce(type_coerce(QuestionRow.current_rating, Text), _NONE).label("current"),
        QuestionRow.proposes.label("proposes"),
        QuestionRow.confidence.label("confidence"),
        literal(1).label("number"),
    ).where(*wanted)


def _load_orgs(session: Session, filters: QueueFilter, now: datetime) -> dict[str, int]:
    """How many of the questions are those of each of the organisations with the most of all, and of those chosen."""
    most = select(QuestionOrgRow.org).where(QuestionOrgRow.number > 0)
    most = most.order_by(QuestionOrgRow.number.desc(), QuestionOrgRow.org).limit(MOST_ORGS)
    orgs = sorted({*session.scalars(most), *(org[:MAX_ORG] for org in filters.orgs)})
    if not orgs:
        return {}
    if replace(filters, orgs=()) == QueueFilter():
        summed = select(QuestionOrgRow.org, QuestionOrgRow.number).where(QuestionOrgRow.org.in_(orgs))
        due = select(QuestionRow.org, literal(1)).where(
            QuestionRow.defer_until <= now, QuestionRow.org.in_(orgs)
        )
        counted = union_all(summed.where(QuestionOrgRow.number > 0), due).subquery()
        query = select(counted.c.org, func.sum(counted.c.number)).group_by(counted.c.org)
    else:
        wanted = conditions(session, replace(filters, orgs=tuple(orgs)))
        query = select(QuestionRow.org, func.count()).where(is_due(now), *wanted).group_by(QuestionRow.org)
    counts = {org: int(number) for org, number in session.execute(query)}
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
