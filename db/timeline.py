"""What happened to a project, newest first: what was read, what the rules said, what people did.

A visit that came to the same as the one before is no event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Select, SQLColumnExpression, Subquery, and_, case, false, func, or_, select
from sqlalchemy.orm import Session

from db.keys import chunks
from db.models import (
    ArtifactRow,
    DecisionRow,
    EvidenceRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    ProposalRow,
    SnapshotRow,
    VisitRow,
)
from db.ratings import in_force
from db.review_rows import CommentRow, DisputeRow
from db.waiting import NOT_ASKED
from pipelines.model import ArtifactRef, DecisionKind, Rating, VisitStatus

_READ = (VisitStatus.OK, VisitStatus.UNCHANGED)


class EventKind(StrEnum):
    """What sort of thing happened."""

    PROJECT = "project"
    ARTIFACT = "artifact"
    SNAPSHOT = "snapshot"
    VISIT = "visit"
    PROPOSAL = "proposal"
    DECISION = "decision"
    COMMENT = "comment"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. Fields that do not apply are empty or None.

    `number` is the id of its row, so that two events of one moment have an order. `text` is free text of
    a person or of a service, `evidence` counts pieces found in a snapshot. `is_over`: a decision that was
    taken back since, an artifact that left the project, a dispute that was dismissed.
    """

    at: datetime
    kind: EventKind
    number: int
    ref: ArtifactRef | None = None
    part: str = ""
    url: str = ""
    sha256: str = ""
    size: int = 0
    evidence: int = 0
    status: VisitStatus | None = None
    dimension: str = ""
    rating: Rating | None = None
    confidence: float | None = None
    rule: str = ""
    decision: DecisionKind | None = None
    imported: bool = False
    is_over: bool = False
    who: str = ""
    text: str = ""
    link: str = ""

    @property
    def place(self) -> Place:
        """Where it stands in the order."""
        return Place(at=self.at, kind=self.kind, number=self.number)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A place in a timeline: that of one event."""

    at: datetime
    kind: EventKind
    number: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.kind.value}~{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The place that this text names; None when it names none."""
        at, _, rest = text.partition("~")
        kind, _, number = rest.partition("~")
        try:
            moment = datetime.fromisoformat(at)
            found = cls(at=moment, kind=EventKind(kind), number=int(number[:18]))
        except ValueError:
            return None
        return found if moment.tzinfo is not None else None


def load_timeline(
    session: Session, project_id: int, *, limit: int = 50, after: Place | None = None
) -> tuple[list[Event], Place | None]:
    """The latest events of a project, or those that follow a place; and the place to go on from, None at the end."""
    parts = _parts_of(project_id)
    sources = (_projects, _artifacts, _proposals, _decisions, _comments, _disputes)
    found = [event for source in sources for event in source(session, project_id, after, limit + 1)]
    found += _snapshots(session, parts, after, limit + 1)
    found += _turns(session, parts, after, limit + 1)
    found.sort(key=lambda event: event.place, reverse=True)
    page = found[:limit]
    return page, page[-1].place if len(found) > limit else None


def _from(
    query: Select[*tuple[Any, ...]],  # Any: columns have many types
    kind: EventKind,
    at: SQLColumnExpression[Any],
    number: SQLColumnExpression[int],
    after: Place | None,
    limit: int,
) -> Select[*tuple[Any, ...]]:
    """The rows of one kind that follow a place, as many as may be shown."""
    if after is not None:
        same = number < after.number if kind == after.kind else _truth(kind < after.kind)
        query = query.where(or_(at < after.at, and_(at == after.at, same)))
    return query.order_by(at.desc(), number.desc()).limit(limit)


def _truth(value: bool) -> SQLColumnExpression[bool]:
    return ~false() if value else false()


def _parts_of(project_id: int) -> Subquery:
    """The parts of the artifacts that the project has or had."""
    artifacts = select(ProjectArtifactRow.artifact_id).where(ProjectArtifactRow.project_id == project_id)
    return (
        select(PartRow.id, PartRow.name, ArtifactRow.kind, ArtifactRow.identifier)
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .where(PartRow.artifact_id.in_(artifacts))
        .subquery()
    )


def _projects(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(ProjectRow).where(ProjectRow.id == project_id)
    query = _from(query, EventKind.PROJECT, ProjectRow.added_at, ProjectRow.id, after, limit)
    for (row,) in session.execute(query):
        yield Event(at=row.added_at, kind=EventKind.PROJECT, number=row.id, text=row.name)


def _artifacts(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    row = ProjectArtifactRow
    query = (
        select(row, ArtifactRow.kind, ArtifactRow.identifier)
        .join(ArtifactRow, ArtifactRow.id == row.artifact_id)
        .where(row.project_id == project_id, row.added_at.is_not(None))
    )
    query = _from(query, EventKind.ARTIFACT, row.added_at, row.id, after, limit)
    for link, kind, identifier in session.execute(query):
        assert link.added_at is not None
        yield Event(
            at=link.added_at,
            kind=EventKind.ARTIFACT,
            number=link.id,
            ref=ArtifactRef(kind=kind, id=identifier),
            text=f"{link.role.value}, named by {link.origin.value}",
            is_over=not link.active,
        )


def _snapshots(session: Session, parts: Subquery, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(SnapshotRow, parts.c.kind, parts.c.identifier, parts.c.name).join(
        parts, parts.c.id == SnapshotRow.part_id
    )
    query = _from(query, EventKind.SNAPSHOT, SnapshotRow.fetched_at, SnapshotRow.id, after, limit)
    found = session.execute(query).all()
    numbers = _count_evidence(session, [snapshot.id for snapshot, *_ in found])
    for snapshot, kind, identifier, part in found:
        yield Event(
            at=snapshot.fetched_at,
            kind=EventKind.SNAPSHOT,
            number=snapshot.id,
            ref=ArtifactRef(kind=kind, id=identifier),
            part=part,
            url=snapshot.url,
            sha256=snapshot.sha256,
            size=snapshot.size,
            evidence=numbers.get(snapshot.id, 0),
        )


def _count_evidence(session: Session, snapshot_ids: Sequence[int]) -> dict[int, int]:
    """The pieces of evidence in snapshots, each identity counted once, whichever extractors found it."""
    found: dict[int, int] = {}
    for some in chunks(snapshot_ids):
        query = (
            select(EvidenceRow.snapshot_id, func.count(EvidenceRow.key.distinct()))
            .where(EvidenceRow.snapshot_id.in_(some))
            .group_by(EvidenceRow.snapshot_id)
        )
        found.update((snapshot_id, number) for snapshot_id, number in session.execute(query))
    return found


def _turns(session: Session, parts: Subquery, after: Place | None, limit: int) -> Iterator[Event]:
    """The visits that ended otherwise than the one before, without those that only read the part for the first time."""
    sort = case((VisitRow.status.in_(_READ), "read"), else_=VisitRow.status)
    visits = (
        select(
            VisitRow.id,
            VisitRow.at,
            VisitRow.status,
            VisitRow.reason,
            VisitRow.url,
            parts.c.kind,
            parts.c.identifier,
            parts.c.name,
            sort.label("sort"),
            func.lag(sort).over(partition_by=VisitRow.part_id, order_by=VisitRow.id).label("before"),
        )
        .join(parts, parts.c.id == VisitRow.part_id)
        .where(~and_(VisitRow.status == VisitStatus.FAILED, VisitRow.reason.like(f"{NOT_ASKED}%")))
        .subquery()
    )
    query = select(visits).where(
        or_(
            and_(visits.c.before.is_(None), visits.c.sort != "read"),
            visits.c.before != visits.c.sort,
        )
    )
    query = _from(query, EventKind.VISIT, visits.c.at, visits.c.id, after, limit)
    for row in session.execute(query):
        yield Event(
            at=row.at,
            kind=EventKind.VISIT,
            number=row.id,
            ref=ArtifactRef(kind=row.kind, id=row.identifier),
            part=row.name,
            url=row.url,
            status=row.status,
            text=row.reason,
        )


def _proposals(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(ProposalRow).where(ProposalRow.project_id == project_id)
    query = _from(query, EventKind.PROPOSAL, ProposalRow.created_at, ProposalRow.id, after, limit)
    for (row,) in session.execute(query):
        yield Event(
            at=row.created_at,
            kind=EventKind.PROPOSAL,
            number=row.id,
            dimension=row.dimension,
            rating=row.rating,
            confidence=row.confidence,
            rule=f"{row.rule}@{row.rule_version}",
            text=row.rationale,
            link=row.link,
            is_over=not row.is_current,
        )


def _decisions(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(DecisionRow, in_force(DecisionRow)).where(DecisionRow.project_id == project_id)
    query = _from(query, EventKind.DECISION, DecisionRow.at, DecisionRow.id, after, limit)
    for row, is_in_force in session.execute(query):
        yield Event(
            at=row.at,
            kind=EventKind.DECISION,
            number=row.id,
            dimension=row.dimension,
            rating=row.rating or row.proposed_rating,
            decision=row.kind,
            imported=row.imported,
            is_over=not is_in_force,
            who=row.curator,
            text=row.reason or row.note,
            link=row.link,
        )


def _comments(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(CommentRow).where(CommentRow.project_id == project_id)
    query = _from(query, EventKind.COMMENT, CommentRow.at, CommentRow.id, after, limit)
    for (row,) in session.execute(query):
        yield Event(
            at=row.at,
            kind=EventKind.COMMENT,
            number=row.id,
            dimension=row.dimension,
            who=row.curator,
            text=row.text,
        )


def _disputes(session: Session, project_id: int, after: Place | None, limit: int) -> Iterator[Event]:
    query = select(DisputeRow).where(DisputeRow.project_id == project_id)
    query = _from(query, EventKind.DISPUTE, DisputeRow.filed_at, DisputeRow.id, after, limit)
    for (row,) in session.execute(query):
        yield Event(
            at=row.filed_at,
            kind=EventKind.DISPUTE,
            number=row.id,
            dimension=row.dimension,
            text=row.text,
            link=row.link,
            is_over=row.closed_at is not None,
        )
