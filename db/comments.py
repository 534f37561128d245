"""Comments: what curators say about a cell without deciding. They are only ever added."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.keys import project_ids
from db.models import CommentRow, ProjectRow
from db.review_values import StoredComment as StoredComment
from pipelines.errors import DecisionError, UsageError

MAX_COMMENT = 4000
"""Characters."""


def save_comment(
    session: Session, slug: str, dimension: str, *, curator: str, text: str, now: datetime
) -> int:
    """Store a comment; its id. Raises DecisionError for an unknown project and for nothing or too much said."""
    try:
        project_id = project_ids(session, [slug])[slug]
    except UsageError as error:
        raise DecisionError(str(error)) from None
    text = text.strip()
    if not curator.strip():
        raise DecisionError("a comment needs the name of its curator")
    if not text or len(text) > MAX_COMMENT:
        raise DecisionError(f"a comment has 1 to {MAX_COMMENT} characters")
    row = CommentRow(project_id=project_id, dimension=dimension, curator=curator.strip(), text=text, at=now)
    session.add(row)
    session.flush()
    return row.id


def load_comments(
    session: Session,
    *,
    slugs: Iterable[str] | None = None,
    dimension: str | None = None,
    limit: int | None = None,
) -> list[StoredComment]:
    """The comments on some cells, oldest first; the latest ones where there are more than `limit`."""
    query = select(CommentRow, ProjectRow.slug).join(ProjectRow, ProjectRow.id == CommentRow.project_id)
    if slugs is not None:
        query = query.where(CommentRow.project_id.in_(sorted(project_ids(session, slugs).values())))
    if dimension is not None:
        query = query.where(CommentRow.dimension == dimension)
    rows = session.execute(query.order_by(CommentRow.id.desc()).limit(limit)).all()
    return [
        StoredComment(
            id=row.id, slug=slug, dimension=row.dimension, curator=row.curator, text=row.text, at=row.at
        )
        for row, slug in reversed(rows)
    ]
