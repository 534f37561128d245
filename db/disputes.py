"""Disputes: a producer says, with a link, that a rating is wrong. Each is a question to a curator, and nothing more.

A dispute is answered by the next confirmation, override or rejection of its cell, or it is dismissed with
a reason. All functions work in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from db.keys import project_ids
from db.models import DecisionRow, ProjectRow
from db.questions import refresh_questions
from db.ratings import in_force
from db.review_rows import AuditRow, DisputeRow
from db.review_values import DisputeStatus
from pipelines.artifact_ids import address_problem
from pipelines.errors import DecisionError, UsageError
from pipelines.model import DecisionKind
from pipelines.rubric import Rubric

FILED = "dispute-filed"
"""The action under which the audit log has one."""

MAX_TEXT = 4_000
MAX_CONTACT = 200
AN_HOUR_OF_AN_ADDRESS = 3
A_DAY_OF_ALL = 100
"""How many disputes are taken. The form is public, and every one of them costs a curator's time."""

_ANSWERS = (DecisionKind.CONFIRM, DecisionKind.OVERRIDE, DecisionKind.REJECT)


class DisputeState(StrEnum):
    """What became of a dispute."""

    OPEN = "open"
    ANSWERED = "answered"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDispute:
    """A dispute. `contact` is what its author gave to be reached by, maybe empty: never published.

    `closed_at`, `closed_by` and `reason` are those of a dismissal.
    """

    id: int
    slug: str
    project: str
    dimension: str
    link: str
    text: str
    contact: str
    filed_at: datetime
    state: DisputeState
    closed_at: datetime | None
    closed_by: str
    reason: str


def too_many_disputes(session: Session, address: str, now: datetime) -> bool:
    """Have so many been filed, by this address in the last hour or by all in the last day, that it is enough?"""
    filed = select(func.count()).select_from(AuditRow).where(AuditRow.action == FILED)
    of_address = filed.where(AuditRow.address == address, AuditRow.at > now - timedelta(hours=1))
    of_all = filed.where(AuditRow.at > now - timedelta(days=1))
    return (session.scalar(of_address) or 0) >= AN_HOUR_OF_AN_ADDRESS or (
        session.scalar(of_all) or 0
    ) >= A_DAY_OF_ALL


def save_dispute(
    session: Session,
    rubric: Rubric,
    *,
    slug: str,
    dimension: str,
    link: str,
    text: str,
    contact: str,
    now: datetime,
) -> int:
    """Store a dispute, and ask a curator about it; its id. Raises UsageError that says what is wrong with it."""
    project_id = _active_project(session, slug)
    rubric.dimension(dimension)
    link, text, contact = link.strip(), text.strip(), " ".join(contact.split())
    if problem := address_problem(link):
        raise UsageError(f"the link to the evidence: {problem}")
    if not text:
        raise UsageError("say what is wrong with the rating")
    if len(text) > MAX_TEXT:
        raise UsageError(f"the text is longer than {MAX_TEXT} characters")
    if len(contact) > MAX_CONTACT:
        raise UsageError(f"the contact is longer than {MAX_CONTACT} characters")
    row = DisputeRow(
        project_id=project_id,
        dimension=dimension,
        link=link,
        text=text,
        contact=contact,
        filed_at=now,
        status=DisputeStatus.OPEN,
        closed_at=None,
        closed_by="",
        reason="",
    )
    session.add(row)
    session.flush()
    refresh_questions(session, [project_id])
    return row.id


def dismiss_dispute(
    session: Session, dispute_id: int, *, curator: str, reason: str, now: datetime
) -> StoredDispute:
    """Turn a dispute down. Raises UsageError when there is none, DecisionError when it is closed or gives no reason."""
    row = session.get(DisputeRow, dispute_id, with_for_update=True)
    if row is None:
        raise UsageError(f"there is no dispute {dispute_id}")
    if not curator.strip() or not reason.strip():
        raise DecisionError("a dispute is dismissed by a curator with a reason")
    stored = _load(session, DisputeRow.id == dispute_id)[0]
    if stored.state is not DisputeState.OPEN:
        raise DecisionError(f"dispute {dispute_id} is {stored.state.value} already")
    row.status, row.closed_at, row.closed_by, row.reason = (
        DisputeStatus.DISMISSED,
        now,
        curator.strip(),
        reason.strip(),
    )
    session.flush()
    refresh_questions(session, [row.project_id])
    return _load(session, DisputeRow.id == dispute_id)[0]


def load_disputes(
    session: Session, *, slugs: Iterable[str] | None = None, limit: int = 100, before_id: int | None = None
) -> list[StoredDispute]:
    """The latest disputes, newest first, of the named projects or of all; those before a number if one is given."""
    conditions: list[ColumnElement[bool]] = []
    if slugs is not None:
        conditions.append(DisputeRow.project_id.in_(sorted(project_ids(session, slugs).values())))
    if before_id is not None:
        conditions.append(DisputeRow.id < before_id)
    return _load(session, *conditions, limit=limit)


def count_open_disputes(session: Session) -> int:
    """How many disputes of projects that are not retired wait for a curator."""
    query = (
        select(func.count())
        .select_from(DisputeRow)
        .join(ProjectRow, ProjectRow.id == DisputeRow.project_id)
        .where(ProjectRow.active, DisputeRow.status == DisputeStatus.OPEN, ~_is_answered())
    )
    return session.scalar(query) or 0


def _is_answered() -> ColumnElement[bool]:
    return exists().where(
        DecisionRow.project_id == DisputeRow.project_id,
        DecisionRow.dimension == DisputeRow.dimension,
        DecisionRow.kind.in_(_ANSWERS),
        DecisionRow.at > DisputeRow.filed_at,
        ~DecisionRow.imported,
        in_force(DecisionRow),
    )


def _load(session: Session, *conditions: ColumnElement[bool], limit: int = 100) -> list[StoredDispute]:
    query = (
        select(DisputeRow, ProjectRow.slug, ProjectRow.name, _is_answered())
        .join(ProjectRow, ProjectRow.id == DisputeRow.project_id)
        .where(*conditions)
        .order_by(DisputeRow.id.desc())
        .limit(limit)
    )
    return [
        StoredDispute(
            id=row.id,
            slug=slug,
            project=project,
            dimension=row.dimension,
            link=row.link,
            text=row.text,
            contact=row.contact,
            filed_at=row.filed_at,
            state=_state(row.status, is_answered),
            closed_at=row.closed_at,
            closed_by=row.closed_by or "",
            reason=row.reason or "",
        )
        for row, slug, project, is_answered in session.execute(query)
    ]


def _state(status: DisputeStatus, is_answered: bool) -> DisputeState:
    if status is DisputeStatus.DISMISSED:
        return DisputeState.DISMISSED
    return DisputeState.ANSWERED if is_answered else DisputeState.OPEN


def _active_project(session: Session, slug: str) -> int:
    query = select(ProjectRow.id).where(ProjectRow.slug == slug, ProjectRow.active)
    project_id = session.scalar(query)
    if project_id is None:
        raise UsageError(f"there is no project {slug!r}")
    return project_id
