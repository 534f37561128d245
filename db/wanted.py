"""A decision as somebody asks for it, and its way to the service function that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db import decide
from db.models import ProjectRow, ProposalRow
from pipelines.errors import DecisionError
from pipelines.model import DecisionKind, Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDecision:
    """What a curator wants of a cell. `kind` is any but undo.

    `proposal_id`: what the curator has seen the rules say; None: the cell is given a class by hand.
    `expected`: the latest decision that the curator has seen, 0 for none. `rating` goes with an override,
    `until` with a deferral. `note` and `link` None: what follows from the rest.
    """

    kind: DecisionKind
    proposal_id: int | None
    expected: int
    rating: Rating | None = None
    reason: str = ""
    note: str | None = None
    link: str | None = None
    until: datetime | None = None


def carry_out(
    session: Session, slug: str, dimension: str, wanted: WantedDecision, *, curator: str, now: datetime
) -> int:
    """Make the decision; its id. Raises as the functions of `db.decide` do, and where the rules say something else now."""
    proposal_id, expected, reason = wanted.proposal_id, wanted.expected, wanted.reason
    if proposal_id is None:
        if wanted.rating is None:
            raise DecisionError(f"{slug} {dimension} is no question now: give it a class, or leave it")
        return decide.rate(
            session,
            slug,
            dimension,
            rating=wanted.rating,
            curator=curator,
            now=now,
            reason=reason,
            note=wanted.note,
            link=wanted.link or "",
            expected=expected,
        )
    _refuse_another(session, slug, dimension, proposal_id)
    if wanted.kind is DecisionKind.CONFIRM:
        return decide.accept(
            session,
            proposal_id,
            curator=curator,
            now=now,
            note=wanted.note,
            link=wanted.link,
            expected=expected,
        )
    if wanted.kind is DecisionKind.REJECT:
        return decide.reject(session, proposal_id, curator=curator, now=now, reason=reason, expected=expected)
    if wanted.kind is DecisionKind.DEFER:
        return decide.defer(
            session,
            proposal_id,
            until=wanted.until or now,
            curator=curator,
            now=now,
            reason=reason,
            expected=expected,
        )
    if wanted.rating is None:
        raise DecisionError(f"{slug} {dimension}: say which class it is to have")
    return decide.override(
        session,
        proposal_id,
        rating=wanted.rating,
        curator=curator,
        now=now,
        reason=reason,
        note=wanted.note,
        link=wanted.link,
        expected=expected,
    )


_CURRENT = (
    select(ProposalRow.id)
    .join(ProjectRow, ProjectRow.id == ProposalRow.project_id)
    .where(
        ProjectRow.slug == bindparam("slug"),
        ProposalRow.dimension == bindparam("dimension"),
        ProposalRow.is_current,
    )
)


def _refuse_another(session: Session, slug: str, dimension: str, proposal_id: int) -> None:
    current = session.scalar(_CURRENT, {"slug": slug, "dimension": dimension})
    if current != proposal_id:
        raise DecisionError(
            f"proposal {proposal_id} is not what the rules say of {slug} {dimension} now; look again"
        )
