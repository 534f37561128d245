"""What a filter of the queue means as conditions on the index."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, SQLColumnExpression, or_
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from db.keys import project_ids
from db.models import QuestionRow
from db.question_rows import MAX_ORG
from db.review_values import UNRATED, QueueFilter
from pipelines.errors import UsageError
from pipelines.model import Rating

HAIR = 1e-8
"""Less than a confidence is told apart by: what is counted in whole hundredths is found in them."""


_AS_IT_IS: custom_op[Any] = custom_op("+")
"""Makes a column one that no index is on, in SQLite's words."""


def is_due(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Whether a question is not put off."""
    return or_(QuestionRow.defer_until.is_(None), QuestionRow.defer_until <= now)


def conditions(
    session: Session, filters: QueueFilter, *, in_order: bool = False
) -> list[ColumnElement[bool]]:
    """The restrictions of a filter. Raises UsageError for an unknown project and a malformed change.

    With `in_order` SQLite is kept from finding rows by them: it goes along the index of the order instead
    and stops at the end of the page, where it would else sort tens of thousands of rows.
    """

    def named(column: InstrumentedAttribute[Any]) -> SQLColumnExpression[Any]:  # columns have many types
        if in_order and session.get_bind().dialect.name == "sqlite":
            return UnaryExpression(column.expression, operator=_AS_IT_IS, type_=column.type)
        return column

    found: list[ColumnElement[bool]] = []
    if filters.dimensions:
        found.append(named(QuestionRow.dimension).in_(filters.dimensions))
    if filters.ratings:
        found.append(named(QuestionRow.rating).in_(filters.ratings))
    if filters.kinds:
        found.append(named(QuestionRow.kind).in_(filters.kinds))
    if filters.orgs:
        found.append(named(QuestionRow.org).in_([org[:MAX_ORG] for org in filters.orgs]))
    if filters.slugs:
        found.append(QuestionRow.project_id.in_(sorted(project_ids(session, filters.slugs).values())))
    if filters.min_confidence > 0:
        found.append(named(QuestionRow.confidence) >= filters.min_confidence - HAIR)
    if filters.change is not None:
        current, rating = parse_change(filters.change)
        found.append(
            QuestionRow.current_rating.is_(None) if current is None else QuestionRow.current_rating == current
        )
        found.append(QuestionRow.rating.is_(None) if rating is None else QuestionRow.rating == rating)
    if filters.rated is not None:
        rated = QuestionRow.current_rating
        found.append(rated.is_not(None) if filters.rated else rated.is_(None))
    if filters.proposes is not None:
        found.append(QuestionRow.proposes.is_(filters.proposes))
    return found


def parse_change(text: str) -> tuple[Rating | None, Rating | None]:
    """The classes of `closed>open`, from and to; None for unrated. Raises UsageError."""
    before, separator, after = text.partition(">")
    try:
        if not separator:
            raise ValueError
        return _class(before), _class(after)
    except ValueError:
        raise UsageError(f"{text!r} is no change of class; one looks like closed>open") from None


def _class(text: str) -> Rating | None:
    return None if text == UNRATED else Rating(text)


def change_text(current: Rating | None, rating: Rating | None) -> str:
    """A change of class as filters write it."""
    return f"{current.value if current else UNRATED}>{rating.value if rating else UNRATED}"
