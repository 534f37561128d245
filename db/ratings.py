"""What the decisions add up to.

The rating of a cell (a dimension of a project) is that of its latest confirmation or override
that no later decision has taken back. Nothing here is stored: it is derived every time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.keys import project_ids
from db.models import DecisionRow, ProjectRow
from db.values import ConfirmedRating, StoredDecision
from pipelines.model import DecisionKind

RATES = (DecisionKind.CONFIRM, DecisionKind.OVERRIDE)
"""The decisions that give a cell its rating."""

TURNS_DOWN = (DecisionKind.REJECT, DecisionKind.OVERRIDE)
"""The decisions after which the same class on the same evidence is no question any more."""


# Made once: an alias of a table costs more than the query that it is used in.
_UNDO = aliased(DecisionRow)


def in_force(decision: type[DecisionRow]) -> ColumnElement[bool]:
    """Whether no other decision has taken this one back."""
    return ~exists().where(_UNDO.undoes_decision_id == decision.id)


def rating_decisions() -> Subquery:
    """Columns project_id, dimension, decision_id: the decision that gives each rated cell its rating."""
    return (
        select(
            DecisionRow.project_id,
            DecisionRow.dimension,
            func.max(DecisionRow.id).label("decision_id"),
        )
        .where(DecisionRow.kind.in_(RATES), in_force(DecisionRow))
        .group_by(DecisionRow.project_id, DecisionRow.dimension)
        .subquery()
    )


def load_ratings(
    session: Session, slugs: Iterable[str] | None = None
) -> dict[tuple[str, str], ConfirmedRating]:
    """The ratings by (slug, dimension), sorted: of the named projects, or of all that are not retired."""
    latest = rating_decisions()
    # Columns and not rows as objects: an export of 140,000 ratings takes a third of the time.
    query = (
        select(ProjectRow.slug, DecisionRow.dimension, *_RATING_COLUMNS)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .join(latest, latest.c.decision_id == DecisionRow.id)
        .where(_of_projects(session, slugs))
    )
    found = {
        (slug, dimension): ConfirmedRating(**dict(zip(_RATING_FIELDS, values, strict=True)))
        for slug, dimension, *values in session.execute(query)
    }
    return dict(sorted(found.items()))


_RATING_COLUMNS = (
    DecisionRow.rating,
    DecisionRow.link,
    DecisionRow.note,
    DecisionRow.curator,
    DecisionRow.at,
    DecisionRow.imported,
    DecisionRow.id,
    DecisionRow.proposal_id,
)
_RATING_FIELDS = ("rating", "link", "note", "curator", "at", "imported", "decision_id", "proposal_id")


def load_decisions(
    session: Session,
    *,
    slugs: Iterable[str] | None = None,
    dimension: str | None = None,
    since: datetime | None = None,
) -> list[StoredDecision]:
    """Decisions, oldest first, of the named projects or of all that are not retired."""
    query = _DECISIONS
    if dimension is not None:
        query = query.where(DecisionRow.dimension == dimension)
    if since is not None:
        query = query.where(DecisionRow.at >= since)
    rows = session.execute(query.where(_of_projects(session, slugs)))
    return [decision_from(slug, decision, undo_id is None) for slug, decision, undo_id in rows]


def load_history(session: Session, project_id: int, dimension: str) -> list[StoredDecision]:
    """The decisions about one cell, oldest first."""
    rows = session.execute(_HISTORY, {"project_id": project_id, "dimension": dimension})
    return [decision_from(slug, decision, undo_id is None) for slug, decision, undo_id in rows]


# Made once: the review desk waits for them.
_DECISIONS = (
    select(ProjectRow.slug, DecisionRow, _UNDO.id.label("undo_id"))
    .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
    .outerjoin(_UNDO, _UNDO.undoes_decision_id == DecisionRow.id)
    .order_by(DecisionRow.id)
)
_HISTORY = _DECISIONS.where(
    DecisionRow.project_id == bindparam("project_id"), DecisionRow.dimension == bindparam("dimension")
)


def decision_from(slug: str, decision: DecisionRow, is_in_force: bool) -> StoredDecision:
    """A decision as a value."""
    return StoredDecision(
        id=decision.id,
        slug=slug,
        dimension=decision.dimension,
        kind=decision.kind,
        rating=decision.rating,
        proposal_id=decision.proposal_id,
        proposed_rating=decision.proposed_rating,
        link=decision.link,
        note=decision.note,
        reason=decision.reason,
        curator=decision.curator,
        imported=decision.imported,
        at=decision.at,
        defer_until=decision.defer_until,
        undoes_decision_id=decision.undoes_decision_id,
        in_force=is_in_force,
    )


def _of_projects(session: Session, slugs: Iterable[str] | None) -> ColumnElement[bool]:
    if slugs is None:
        return ProjectRow.active.is_(True)
    return ProjectRow.id.in_(sorted(project_ids(session, slugs).values()))
