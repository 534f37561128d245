"""What a curator can do: confirm, override, reject or defer a proposal, and take a decision back.

Every function appends one decision that says who did it and when, in the caller's writing
transaction, and gives back its id. They raise DecisionError, with nothing written, when the
proposal is unknown, superseded or decided already, when a reason is missing, and when `expected`
(the latest decision of the cell that the curator has seen, 0 for none) is not the latest any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from db.decided import (
    Cell,
    Decided,
    Decision,
    load_decisions_of,
    lock_cell,
    lock_project,
    next_ordinal,
    unless_stale,
)
from db.models import DecisionRow, ProposalRow, QuestionKind, QuestionRow
from db.question_index import refresh_questions
from db.ratings import TURNS_DOWN
from pipelines.errors import DecisionError
from pipelines.model import DecisionKind, JsonValue, Rating

# Made once, as a curator waits for them.
_PROJECT_OF = select(ProposalRow.project_id).where(ProposalRow.id == bindparam("proposal_id"))
_PROPOSAL = (
    select(ProposalRow)
    .where(ProposalRow.id == bindparam("proposal_id"))
    .execution_options(populate_existing=True)
)
_ASKED = select(QuestionRow.kind).where(
    QuestionRow.project_id == bindparam("project_id"), QuestionRow.dimension == bindparam("dimension")
)


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
    proposal, decided = _open_proposal(session, proposal_id, expected)
    cell = decided.cell
    rating = _proposed(proposal, cell)
    return _decide(
        session,
        decided,
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
    proposal, decided = _open_proposal(session, proposal_id, expected)
    cell = decided.cell
    if rating is proposal.rating:
        raise DecisionError(f"{cell}: the proposal says {rating} already; accept it instead")
    return _decide(
        session,
        decided,
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
    decided = lock_cell(session, slug, dimension, expected)
    query = select(ProposalRow).where(
        ProposalRow.project_id == decided.cell.project_id,
        ProposalRow.dimension == dimension,
        ProposalRow.is_current,
    )
    proposal = session.scalars(query).one_or_none()
    if proposal is not None and proposal.rating is rating:
        proposal = None
    return _decide(
        session,
        decided,
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
    proposal, decided = _open_proposal(session, proposal_id, expected)
    cell = decided.cell
    rating = _proposed(proposal, cell)
    current = decided.current
    if current is not None and current.rating is rating:
        raise DecisionError(f"{cell} is rated {rating} already: override it, or undo the decision")
    return _decide(
        session, decided, DecisionKind.REJECT, curator=curator, now=now, reason=reason, proposal=proposal
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
    proposal, decided = _open_proposal(session, proposal_id, expected)
    cell = decided.cell
    _proposed(proposal, cell)
    if until <= now:
        raise DecisionError(
            f"{cell}: a question can be deferred only into the future, not to {until:%Y-%m-%d}"
        )
    return _decide(
        session,
        decided,
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
    decided = lock_cell(session, slug, dimension, expected)
    cell = decided.cell
    standing = [each for each in decided.in_force if decision_id in (None, each.id)]
    target = standing[-1] if standing else None
    if target is None:
        what = "no decision" if decision_id is None else f"no decision {decision_id}"
        raise DecisionError(f"{cell}: there is {what} in force that could be undone")
    return _decide(
        session,
        decided,
        DecisionKind.UNDO,
        curator=curator,
        now=now,
        reason=reason,
        undoes_decision_id=target.id,
    )


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
    ordinal: int | None = None,
    **values: JsonValue,
) -> int:
    """Add a decision to a cell whose project is locked. Raises DecisionError without curator or reason.

    `ordinal` is its number among those of the cell, the next one when None. Whoever calls this has to let the index of questions know: `refresh_questions`.
    """
    if not curator.strip():
        raise DecisionError(f"{cell}: a decision needs the name of its curator")
    if kind is not DecisionKind.CONFIRM and not reason.strip():
        raise DecisionError(f"{cell}: say why: only confirming a proposal needs no reason")
    if ordinal is None:
        ordinal = next_ordinal(load_decisions_of(session, cell))
    values |= {
        "project_id": cell.project_id,
        "dimension": cell.dimension,
        "ordinal": ordinal,
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
    return session.execute(_ADD, values).scalar_one()


_ADD = insert(DecisionRow).returning(DecisionRow.id)


def _decide(
    session: Session, decided: Decided, kind: DecisionKind, **values: Any
) -> int:  # Any: see append_decision
    """Add a decision, and let the index of questions know of it."""
    ordinal = next_ordinal(decided.decisions)
    decision_id = append_decision(session, decided.cell, kind, ordinal=ordinal, **values)
    refresh_questions(session, [decided.cell.project_id])
    return decision_id


def _open_proposal(session: Session, proposal_id: int, expected: int | None) -> tuple[ProposalRow, Decided]:
    """The proposal and its cell, locked, provided that it can still be decided upon."""
    project_id = session.scalar(_PROJECT_OF, {"proposal_id": proposal_id})
    if project_id is None:
        raise DecisionError(f"there is no proposal {proposal_id}")
    slug = lock_project(session, project_id)
    # Read under the lock, since it may have been superseded while we waited.
    proposal = session.scalars(_PROPOSAL, {"proposal_id": proposal_id}).one()
    cell = Cell(project_id=project_id, slug=slug, dimension=proposal.dimension)
    decided = unless_stale(session, cell, expected)
    if not proposal.is_current:
        raise DecisionError(f"proposal {proposal_id} is superseded: {cell} has a newer one by now")
    _refuse_decided(session, decided, proposal)
    return proposal, decided


def _refuse_decided(session: Session, decided: Decided, proposal: ProposalRow) -> None:
    current = decided.current
    answered = [
        each
        for each in decided.in_force
        if each.kind in TURNS_DOWN
        and each.proposed_rating is proposal.rating
        and each.evidence_digest == proposal.evidence_digest
    ]
    if current is not None and current.proposal_id == proposal.id:
        answered = [current]
    if answered and not _asked_by_people(session, decided.cell):
        raise _decided(decided.cell, proposal, answered[-1])


def _asked_by_people(session: Session, cell: Cell) -> bool:
    """Whether a dispute or a disagreement asks about the cell: then what was decided may be decided again."""
    kind = session.scalar(_ASKED, {"project_id": cell.project_id, "dimension": cell.dimension})
    return kind in (QuestionKind.DISPUTE, QuestionKind.DISAGREEMENT)


def _decided(cell: Cell, proposal: ProposalRow, decision: Decision) -> DecisionError:
    return DecisionError(
        f"proposal {proposal.id} ({cell}) is decided already: {decision.kind} by {decision.curator}"
        f" on {decision.at:%Y-%m-%d %H:%M} UTC; undo that first"
    )


def _proposed(proposal: ProposalRow, cell: Cell) -> Rating:
    if proposal.rating is None:
        raise DecisionError(f"{cell}: proposal {proposal.id} gives no class; override it or leave it")
    return proposal.rating
