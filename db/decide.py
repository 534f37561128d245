"""What a curator can do: confirm, override, reject or defer a proposal, and take a decision back.

Every function appends one decision that says who did it and when, in the caller's writing
transaction, and gives back its id. They raise DecisionError, with nothing written, when the
proposal is unknown, superseded or decided already, when a reason is missing, and when `expected`
(the latest decision of the cell that the curator has seen, 0 for none) is not the latest any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from db.keys import project_ids
from db.models import DecisionRow, ProjectRow, ProposalRow, QuestionKind, QuestionRow
from db.question_index import refresh_questions
from db.ratings import RATES, TURNS_DOWN, in_force
from pipelines.errors import DecisionError, UsageError
from pipelines.model import DecisionKind, JsonValue, Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A dimension of a project."""

    project_id: int
    slug: str
    dimension: str

    def __str__(self) -> str:
        return f"{self.slug} {self.dimension}"


def accept(
    session: Session,
    proposal_id: int,
    *,
    curator: str,
    now: datetime,
    note: str | None = None,
    link: str | None = None,
    expected: int | None = None,
) -> int:
    """Confirm a proposal: its class becomes the rating.

    Note and link are published with it; those of the proposal (its rationale, its link) when None.
    """
    proposal, cell = _open_proposal(session, proposal_id, expected)
    rating = _proposed(proposal, cell)
    return _decide(
        session,
        cell,
        DecisionKind.CONFIRM,
        curator=curator,
        now=now,
        proposal=proposal,
        rating=rating,
        note=proposal.rationale if note is None else note,
        link=proposal.link if link is None else link,
    )


def override(
    session: Session,
    proposal_id: int,
    *,
    rating: Rating,
    curator: str,
    now: datetime,
    reason: str,
    note: str | None = None,
    link: str | None = None,
    expected: int | None = None,
) -> int:
    """Give the cell another class than the proposal says. The note is the reason when None."""
    proposal, cell = _open_proposal(session, proposal_id, expected)
    if rating is proposal.rating:
        raise DecisionError(f"{cell}: the proposal says {rating} already; accept it instead")
    return _decide(
        session,
        cell,
        DecisionKind.OVERRIDE,
        curator=curator,
        now=now,
        reason=reason,
        proposal=proposal,
        rating=rating,
        note=reason if note is None else note,
        link=proposal.link if link is None else link,
    )


def rate(
    session: Session,
    slug: str,
    dimension: str,
    *,
    rating: Rating,
    curator: str,
    now: datetime,
    reason: str,
    note: str | None = None,
    link: str = "",
    expected: int | None = None,
) -> int:
    """Rate a cell by hand, whether or not there is a proposal for it. It stands as an override.

    If the rules propose another class at present, that proposal counts as turned down.
    """
    cell = _lock_cell(session, slug, dimension)
    _refuse_stale(session, cell, expected)
    query = select(ProposalRow).where(
        ProposalRow.project_id == cell.project_id,
        ProposalRow.dimension == dimension,
        ProposalRow.is_current,
    )
    proposal = session.scalars(query).one_or_none()
    if proposal is not None and proposal.rating is rating:
        proposal = None
    return _decide(
        session,
        cell,
        DecisionKind.OVERRIDE,
        curator=curator,
        now=now,
        reason=reason,
        proposal=proposal,
        rating=rating,
        note=reason if note is None else note,
        link=link,
    )


def reject(
    session: Session,
    proposal_id: int,
    *,
    curator: str,
    now: datetime,
    reason: str,
    expected: int | None = None,
) -> int:
    """Turn a proposal down: the rating stays, and the same class on the same evidence does not come back."""
    proposal, cell = _open_proposal(session, proposal_id, expected)
    rating = _proposed(proposal, cell)
    current = current_decision(session, cell)
    if current is not None and current.rating is rating:
        raise DecisionError(f"{cell} is rated {rating} already: override it, or undo the decision")
    return _decide(
        session, cell, DecisionKind.REJECT, curator=curator, now=now, reason=reason, proposal=proposal
    )


def defer(
    session: Session,
    proposal_id: int,
    *,
    until: datetime,
    curator: str,
    now: datetime,
    reason: str,
    expected: int | None = None,
) -> int:
    """Put a question off until a moment in the future. A later deferral takes the place of an earlier one."""
    proposal, cell = _open_proposal(session, proposal_id, expected)
    _proposed(proposal, cell)
    if until <= now:
        raise DecisionError(
            f"{cell}: a question can be deferred only into the future, not to {until:%Y-%m-%d}"
        )
    return _decide(
        session,
        cell,
        DecisionKind.DEFER,
        curator=curator,
        now=now,
        reason=reason,
        proposal=proposal,
        defer_until=until,
    )


def undo(
    session: Session,
    slug: str,
    dimension: str,
    *,
    curator: str,
    now: datetime,
    reason: str,
    decision_id: int | None = None,
    expected: int | None = None,
) -> int:
    """Take back a decision of a cell: the given one, or the latest in force.

    The rating is then what the other decisions add up to, and the question is open again if it
    was only this decision that closed it. An undo cannot be taken back: decide anew.
    """
    cell = _lock_cell(session, slug, dimension)
    _refuse_stale(session, cell, expected)
    query = select(DecisionRow).where(
        DecisionRow.project_id == cell.project_id,
        DecisionRow.dimension == dimension,
        DecisionRow.kind != DecisionKind.UNDO,
        in_force(DecisionRow),
    )
    if decision_id is not None:
        query = query.where(DecisionRow.id == decision_id)
    target = session.scalars(query.order_by(DecisionRow.id.desc()).limit(1)).first()
    if target is None:
        what = "no decision" if decision_id is None else f"no decision {decision_id}"
        raise DecisionError(f"{cell}: there is {what} in force that could be undone")
    return _decide(
        session,
        cell,
        DecisionKind.UNDO,
        curator=curator,
        now=now,
        reason=reason,
        undoes_decision_id=target.id,
    )


def current_decision(session: Session, cell: Cell) -> DecisionRow | None:
    """The decision that gives a cell its rating."""
    return session.scalars(
        select(DecisionRow)
        .where(
            DecisionRow.project_id == cell.project_id,
            DecisionRow.dimension == cell.dimension,
            DecisionRow.kind.in_(RATES),
            in_force(DecisionRow),
        )
        .order_by(DecisionRow.id.desc())
        .limit(1)
    ).first()


def append_decision(
    session: Session,
    cell: Cell,
    kind: DecisionKind,
    *,
    curator: str,
    now: datetime,
    proposal: ProposalRow | None = None,
    reason: str = "",
    note: str = "",
    link: str = "",
    imported: bool = False,
    **values: JsonValue,
) -> int:
    """Add a decision to a cell whose project is locked. Raises DecisionError without curator or reason.

    Whoever calls this has to let the index of questions know: `refresh_questions`.
    """
    if not curator.strip():
        raise DecisionError(f"{cell}: a decision needs the name of its curator")
    if kind is not DecisionKind.CONFIRM and not reason.strip():
        raise DecisionError(f"{cell}: say why: only confirming a proposal needs no reason")
    ordinal = session.scalar(
        select(func.max(DecisionRow.ordinal)).where(
            DecisionRow.project_id == cell.project_id, DecisionRow.dimension == cell.dimension
        )
    )
    values |= {
        "project_id": cell.project_id,
        "dimension": cell.dimension,
        "ordinal": (ordinal or 0) + 1,
        "kind": kind,
        "proposal_id": None if proposal is None else proposal.id,
        "proposed_rating": None if proposal is None else proposal.rating,
        "evidence_digest": None if proposal is None else proposal.evidence_digest,
        "curator": curator.strip(),
        "at": now,
        "reason": reason.strip(),
        "note": note.strip(),
        "link": link.strip(),
        "imported": imported,
    }
    return session.execute(insert(DecisionRow).returning(DecisionRow.id), values).scalar_one()


def _decide(
    session: Session, cell: Cell, kind: DecisionKind, **values: Any
) -> int:  # Any: see append_decision
    """Add a decision, and let the index of questions know of it."""
    decision_id = append_decision(session, cell, kind, **values)
    refresh_questions(session, [cell.project_id])
    return decision_id


def _lock_cell(session: Session, slug: str, dimension: str) -> Cell:
    try:
        project_id = project_ids(session, [slug])[slug]
    except UsageError as error:
        raise DecisionError(str(error)) from None
    lock_project(session, project_id)
    return Cell(project_id=project_id, slug=slug, dimension=dimension)


def lock_project(session: Session, project_id: int) -> str:
    """Make other deciders of this project wait for this transaction; the project's slug.

    SQLite knows one writer at a time anyhow.
    """
    query = select(ProjectRow.slug).where(ProjectRow.id == project_id)
    return session.execute(query.with_for_update()).scalar_one()


def _refuse_stale(session: Session, cell: Cell, expected: int | None) -> None:
    if expected is None:
        return
    query = select(DecisionRow).where(
        DecisionRow.project_id == cell.project_id, DecisionRow.dimension == cell.dimension
    )
    latest = session.scalars(query.order_by(DecisionRow.id.desc()).limit(1)).first()
    if latest is not None and latest.id != expected:
        raise DecisionError(
            f"{cell} was decided meanwhile: {latest.kind} by {latest.curator}"
            f" on {latest.at:%Y-%m-%d %H:%M} UTC; look again"
        )
    if latest is None and expected:
        raise DecisionError(f"{cell} has no decision {expected}; look again")


def _open_proposal(session: Session, proposal_id: int, expected: int | None) -> tuple[ProposalRow, Cell]:
    """The proposal and its cell, locked, provided that it can still be decided upon."""
    project_id = session.scalar(select(ProposalRow.project_id).where(ProposalRow.id == proposal_id))
    if project_id is None:
        raise DecisionError(f"there is no proposal {proposal_id}")
    slug = lock_project(session, project_id)
    # Read under the lock, since it may have been superseded while we waited.
    query = select(ProposalRow).where(ProposalRow.id == proposal_id)
    proposal = session.scalars(query.execution_options(populate_existing=True)).one()
    cell = Cell(project_id=project_id, slug=slug, dimension=proposal.dimension)
    _refuse_stale(session, cell, expected)
    if not proposal.is_current:
        raise DecisionError(f"proposal {proposal_id} is superseded: {cell} has a newer one by now")
    _refuse_decided(session, cell, proposal)
    return proposal, cell


def _refuse_decided(session: Session, cell: Cell, proposal: ProposalRow) -> None:
    if _asked_by_people(session, cell):
        return
    current = current_decision(session, cell)
    if current is not None and current.proposal_id == proposal.id:
        raise _decided(cell, proposal, current)
    query = select(DecisionRow).where(
        DecisionRow.project_id == cell.project_id,
        DecisionRow.dimension == cell.dimension,
        DecisionRow.kind.in_(TURNS_DOWN),
        DecisionRow.proposed_rating == proposal.rating,
        DecisionRow.evidence_digest == proposal.evidence_digest,
        in_force(DecisionRow),
    )
    answered = session.scalars(query.order_by(DecisionRow.id.desc()).limit(1)).first()
    if answered is not None:
        raise _decided(cell, proposal, answered)


def _asked_by_people(session: Session, cell: Cell) -> bool:
    """Whether a dispute or a disagreement asks about the cell: then what was decided may be decided again."""
    query = select(QuestionRow.kind).where(
        QuestionRow.project_id == cell.project_id, QuestionRow.dimension == cell.dimension
    )
    return session.scalar(query) in (QuestionKind.DISPUTE, QuestionKind.DISAGREEMENT)


def _decided(cell: Cell, proposal: ProposalRow, decision: DecisionRow) -> DecisionError:
    return DecisionError(
        f"proposal {proposal.id} ({cell}) is decided already: {decision.kind} by {decision.curator}"
        f" on {decision.at:%Y-%m-%d %H:%M} UTC; undo that first"
    )


def _proposed(proposal: ProposalRow, cell: Cell) -> Rating:
    if proposal.rating is None:
        raise DecisionError(f"{cell}: proposal {proposal.id} gives no class; override it or leave it")
    return proposal.rating
