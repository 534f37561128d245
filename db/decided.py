"""A cell with what was decided about it, read while nobody else can decide about its project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.keys import project_ids
from db.models import DecisionRow, ProjectRow
from db.ratings import RATES
from pipelines.errors import DecisionError, UsageError
from pipelines.model import DecisionKind, Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A dimension of a project."""

    project_id: int
    slug: str
    dimension: str

    def __str__(self) -> str:
        return f"{self.slug} {self.dimension}"


class Decision(NamedTuple):
    """What of a decision matters to the next one."""

    id: int
    ordinal: int
    kind: DecisionKind
    rating: Rating | None
    proposal_id: int | None
    proposed_rating: Rating | None
    evidence_digest: str | None
    curator: str
    at: datetime
    undoes_decision_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A cell whose project is locked, with all that was decided about it, oldest first."""

    cell: Cell
    decisions: tuple[Decision, ...]

    @property
    def in_force(self) -> list[Decision]:
        """The decisions that stand, oldest first: no undo and none that was undone."""
        undone = {each.undoes_decision_id for each in self.decisions}
        return [
            each for each in self.decisions if each.kind is not DecisionKind.UNDO and each.id not in undone
        ]

    @property
    def current(self) -> Decision | None:
        """The decision that gives the cell its rating."""
        return next((each for each in reversed(self.in_force) if each.kind in RATES), None)


# Made once, as a curator waits for them.
_LOCKED_PROJECT = select(ProjectRow.slug).where(ProjectRow.id == bindparam("project_id")).with_for_update()
_DECISIONS = (
    select(*(getattr(DecisionRow, name) for name in Decision._fields))
    .where(DecisionRow.project_id == bindparam("project_id"), DecisionRow.dimension == bindparam("dimension"))
    .order_by(DecisionRow.id)
)


def lock_cell(session: Session, slug: str, dimension: str, expected: int | None) -> Decided:
    """The cell, locked; see `unless_stale`. Raises DecisionError, also for an unknown project."""
    try:
        project_id = project_ids(session, [slug])[slug]
    except UsageError as error:
        raise DecisionError(str(error)) from None
    lock_project(session, project_id)
    return unless_stale(session, Cell(project_id=project_id, slug=slug, dimension=dimension), expected)


def lock_project(session: Session, project_id: int) -> str:
    """Make other deciders of this project wait for this transaction; the project's slug.

    SQLite knows one writer at a time anyhow.
    """
    return session.execute(_LOCKED_PROJECT, {"project_id": project_id}).scalar_one()


def unless_stale(session: Session, cell: Cell, expected: int | None) -> Decided:
    """What was decided about a locked cell, provided that `expected` is the latest of it (0: nothing, None: any).

    Raises DecisionError where the curator has not seen all of it.
    """
    decided = Decided(cell=cell, decisions=load_decisions_of(session, cell))
    if expected is None:
        return decided
    latest = decided.decisions[-1] if decided.decisions else None
    if latest is not None and latest.id != expected:
        raise DecisionError(
            f"{cell} was decided meanwhile: {latest.kind} by {latest.curator}"
            f" on {latest.at:%Y-%m-%d %H:%M} UTC; look again"
        )
    if latest is None and expected:
        raise DecisionError(f"{cell} has no decision {expected}; look again")
    return decided


def next_ordinal(decisions: Sequence[Decision]) -> int:
    """The number of the next decision of a cell."""
    return max((each.ordinal for each in decisions), default=0) + 1


def load_decisions_of(session: Session, cell: Cell) -> tuple[Decision, ...]:
    """All that was decided about a cell, oldest first."""
    rows = session.execute(_DECISIONS, {"project_id": cell.project_id, "dimension": cell.dimension})
    return tuple(Decision._make(row) for row in rows)
