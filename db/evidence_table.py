"""The table of evidence for those who store `evidence_values`: of plain types, which convert nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Text, column, insert, table
from sqlalchemy.orm import Session

from db.models import EvidenceRow

Row = dict[str, Any]  # Any: columns have many types

_PLAIN = table(
    EvidenceRow.__tablename__,
    *[
        column(each.name, Integer() if isinstance(each.type, Integer) else Text())
        for each in EvidenceRow.__table__.columns
    ],
)
_ADD = insert(_PLAIN)
_ADD_ONE = insert(_PLAIN).returning(_PLAIN.c.id)


def add_evidence(session: Session, rows: Sequence[Row]) -> None:
    """Store rows of evidence: `evidence_values` with extraction and ordinal."""
    if rows:
        session.execute(_ADD, rows)


def add_piece(session: Session, row: Row) -> int:
    """Store one row; its id."""
    added: int = session.execute(_ADD_ONE, row).scalar_one()
    return added
