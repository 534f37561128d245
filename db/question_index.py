"""Keeping the index of questions in step with what proposals, decisions, disputes and opinions say.

`refresh_questions` is called by whatever changes a cell, in the same transaction. It writes only what is
different, and with it the sums from which the queue is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.base import Base
from db.keys import chunks
from db.many_rows import execute_rows, insertion, table_of
from db.models import ProjectRow, QuestionCountRow, QuestionOrgRow, QuestionRow
from db.question_rows import Cell, IndexRow, derive_rows

AT_ONCE = 100
"""Projects that are worked on together."""

CellCount = tuple[str, str, str, str, bool, int]
"""What questions that are counted together have in common: the key of `question_counts`."""

_STORED = select(*(QuestionRow.__table__.columns[name] for name in IndexRow._fields)).where(
    QuestionRow.project_id.in_(bindparam("ids", expanding=True))
)
"""Made once: making a statement costs as much as one project's answer to it."""


def percent_of(confidence: float) -> int:
    """A confidence in whole hundredths, rounded down; 0.29 is 29, though 100 x 0.29 is less in binary."""
    return int(round(confidence * 100, 6))


def refresh_questions(session: Session, project_ids: Iterable[int]) -> int:
    """Let the index say of these projects what proposals and decisions say now; how many rows had to change.

    Whether a deferral is over is asked when the queue is read, so no clock is needed here.
    """
    counts: Counter[CellCount] = Counter()
    orgs: Counter[str] = Counter()
    changed = 0
    session.flush()
    # In one order everywhere, so that two processes cannot wait for each other.
    for some in chunks(sorted(set(project_ids)), AT_ONCE):
        wanted = derive_rows(session, some, lock=True)
        stored = load_rows(session, some)
        gone = [cell for cell in stored if cell not in wanted]
        new = [row for cell, row in wanted.items() if cell not in stored]
        other = [row for cell, row in wanted.items() if cell in stored and stored[cell] != row]
        add_to_counts(counts, orgs, [stored[cell] for cell in gone], -1)
        add_to_counts(counts, orgs, [stored[row.project_id, row.dimension] for row in other], -1)
        add_to_counts(counts, orgs, [*new, *other], 1)
        _write(session, gone, new, other)
        changed += len(gone) + len(new) + len(other)
    _add_counts(session, counts, orgs)
    return changed


def rebuild_questions(session: Session) -> int:
    """Make the whole index anew, sums included; how many questions there are."""
    for table in (QuestionRow, QuestionCountRow, QuestionOrgRow):
        session.execute(delete(table))
    projects = session.scalars(select(ProjectRow.id).where(ProjectRow.active)).all()
    return refresh_questions(session, projects)


def load_rows(session: Session, project_ids: Sequence[int]) -> dict[Cell, IndexRow]:
    rows = session.connection().execute(_STORED, {"ids": list(project_ids)})
    return {(row[0], row[1]): IndexRow(*row) for row in rows}


def _write(
    session: Session, gone: Sequence[Cell], new: Sequence[IndexRow], other: Sequence[IndexRow]
) -> None:
    execute_rows(session, _GONE, _OF_KEY, gone)
    execute_rows(session, _NEW, IndexRow._fields, new)
    execute_rows(session, _OTHER, _OF_ROW, other)


def add_to_counts(counts: Counter[CellCount], orgs: Counter[str], rows: Iterable[IndexRow], by: int) -> None:
    for row in rows:
        if row.defer_until is None:
            counts[_counted_as(row)] += by
            orgs[row.org] += by


def _counted_as(row: IndexRow) -> CellCount:
    return (
        row.dimension,
        row.kind.value,
        row.rating.value if row.rating else "",
        row.current_rating.value if row.current_rating else "",
        row.proposes,
        percent_of(row.confidence),
    )


COUNT_KEY = ("dimension", "kind", "rating", "current_rating", "proposes", "percent")


def _add_counts(session: Session, counts: Counter[CellCount], orgs: Counter[str]) -> None:
    _add(
        session,
        QuestionCountRow,
        [dict(zip(COUNT_KEY, key, strict=True)) | {"number": by} for key, by in sorted(counts.items()) if by],
    )
    _add(session, QuestionOrgRow, [{"org": org, "number": by} for org, by in sorted(orgs.items()) if by])


def _add(session: Session, row: type[Base], values: Sequence[dict[str, Any]]) -> None:  # Any: columns
    """Add to the numbers of some sums. Those that come to nothing stay as 0: others may be adding to them."""
    if not values:
        return
    session.execute(_addition(row, session.get_bind().dialect.name), list(values))


@cache
def _addition(row: type[Base], dialect: str) -> Executable:
    table = table_of(row)
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"number": table.c.number + statement.excluded.number},
    )


# A cell at a time: SQLite looks for several pairs of values in the whole table.
_KEY = ("project_id", "dimension")
_OF_KEY = tuple([f"of_{name}" for name in _KEY])
_OF_ROW = tuple([f"of_{name}" if name in _KEY else name for name in IndexRow._fields])
_OF_CELL = and_(*(table_of(QuestionRow).columns[name] == bindparam(f"of_{name}") for name in _KEY))
_GONE = delete(table_of(QuestionRow)).where(_OF_CELL)
_NEW = insertion(QuestionRow, IndexRow._fields)
_OTHER = (
    update(table_of(QuestionRow))
    .where(_OF_CELL)
    .values({name: bindparam(name) for name in IndexRow._fields if name not in _KEY})
)


def count_questions(session: Session) -> int:
    """How many rows the index has."""
    return session.scalar(select(func.count()).select_from(QuestionRow)) or 0
