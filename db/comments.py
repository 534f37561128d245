"""Comments: what curators say about a cell without deciding. They are only ever added."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, bindparam, select
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


_OF_CELL = (
    select(CommentRow, ProjectRow.slug)
    .join(ProjectRow, ProjectRow.id == CommentRow.project_id)
    .where(ProjectRow.slug == bindparam("slug"), CommentRow.dimension == bindparam("dimension"))
    .order_by(CommentRow.id.desc())
    .limit(bindparam("limit", type_=Integer))
)


def load_comments(session: Session, slug: str, dimension: str, *, limit: int) -> list[StoredComment]:
    """The latest comments on a cell, `limit` at most, oldest first."""
    rows = session.execute(_OF_CELL, {"slug": slug, "dimension": dimension, "limit": limit}).all()
    return [
        StoredComment(
            id=row.id, slug=slug, dimension=row.dimension, curator=row.curator, text=row.text, at=row.at
        )
        for row, slug in reversed(rows)
    ]
