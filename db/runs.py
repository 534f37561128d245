"""How far a run has come: what it was asked to do, what it has visited and spent, which projects it is done with.

A run that was cut off is gone on with from here, and its report is about the whole of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from db.keys import chunks, project_ids
from db.models import (
    ArtifactRow,
    PartRow,
    ProjectRow,
    ProposalRow,
    RunProjectRow,
    RunRow,
    SnapshotRow,
    VisitRow,
)
from db.rows import ref_from
from db.waiting import NOT_YET
from pipelines.model import ArtifactKind, JsonValue, Visit, VisitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVisits:
    """What a run has visited so far: visits by kind of artifact and status, artifacts by kind.

    `new_snapshots` counts the visits that brought bytes that were not stored before. `waiting` are
    parts, by kind, that were not asked for because no more was left to be spent; they are no visits.
    """

    visits: Mapping[tuple[ArtifactKind, VisitStatus], int] = field(default_factory=dict)
    artifacts: Mapping[ArtifactKind, int] = field(default_factory=dict)
    new_snapshots: int = 0
    waiting: Mapping[ArtifactKind, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRatings:
    """What a run has rated so far: projects, their current proposals, how many of those the run made first."""

    projects: int
    proposals: int
    new: int
    cannot_tell: int


def load_run_totals(session: Session, run_id: int) -> RunVisits:
    """The visits of a run, counted."""
    visits: Counter[tuple[ArtifactKind, VisitStatus]] = Counter()
    waiting: Counter[ArtifactKind] = Counter()
    waits = VisitRow.reason.like(f"{NOT_YET}%")
    query = (
        select(ArtifactRow.kind, VisitRow.status, waits, func.count())
        .join(PartRow, PartRow.id == VisitRow.part_id)
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .where(VisitRow.run_id == run_id)
        .group_by(ArtifactRow.kind, VisitRow.status, waits)
    )
    for kind, status, not_yet, number in session.execute(query):
        if not_yet:
            waiting[kind] += number
        else:
            visits[kind, status] += number
    artifacts = (
        select(ArtifactRow.kind, func.count(ArtifactRow.id.distinct()))
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .where(VisitRow.run_id == run_id)
        .group_by(ArtifactRow.kind)
    )
    new = (
        select(func.count())
        .select_from(VisitRow)
        .join(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
        .where(VisitRow.run_id == run_id, _is_new())
    )
    by_kind: Counter[ArtifactKind] = Counter()
    for kind, number in session.execute(artifacts):
        by_kind[kind] = number
    return RunVisits(
        visits=visits,
        artifacts=by_kind,
        new_snapshots=session.scalar(new) or 0,
        waiting=waiting,
    )


def _is_new() -> ColumnElement[bool]:
    return and_(VisitRow.status == VisitStatus.OK, SnapshotRow.fetched_at == VisitRow.at)


def load_unread(session: Session, run_id: int, status: VisitStatus, limit: int) -> list[Visit]:
    """The first visits of a run that ended so and read nothing, by artifact and part."""
    query = (
        select(ArtifactRow, PartRow.name, VisitRow)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .where(VisitRow.run_id == run_id, VisitRow.status == status, ~VisitRow.reason.like(f"{NOT_YET}%"))
        .order_by(ArtifactRow.kind, ArtifactRow.identifier, PartRow.name)
        .limit(limit)
    )
    return [
        Visit(
            ref=ref_from(artifact),
            part=part,
            url=row.url,
            at=row.at,
            status=row.status,
            http_status=row.http_status,
            reason=row.reason,
        )
        for artifact, part, row in session.execute(query)
    ]


def save_spent(session: Session, run_id: int, spent: Mapping[str, JsonValue]) -> None:
    """Note what a run has spent so far, by service: the whole of it, not what came to it."""
    session.execute(update(RunRow).where(RunRow.id == run_id).values(spent=dict(spent)))


def save_done(session: Session, run_id: int, slugs: Iterable[str], now: datetime) -> None:
    """Note that a run is done with projects: whoever goes on with it leaves them out."""
    ids = project_ids(session, slugs)
    known: set[int] = set()
    for some in chunks(sorted(ids.values())):
        known.update(session.connection().execute(_DONE, {"run_id": run_id, "ids": some}).scalars())
    rows = [
        {"run_id": run_id, "project_id": project_id, "done_at": now}
        for project_id in ids.values()
        if project_id not in known
    ]
    if rows:
        session.execute(insert(RunProjectRow), rows)


# Made once: making a statement costs as much as one project's answer to it.
_DONE = select(RunProjectRow.project_id).where(
    RunProjectRow.run_id == bindparam("run_id"),
    RunProjectRow.project_id.in_(bindparam("ids", expanding=True)),
)


def load_starts(session: Session, run_ids: Iterable[int]) -> dict[int, datetime]:
    """When these runs began, as far as they are known."""
    found: dict[int, datetime] = {}
    for some in chunks(run_ids):
        query = select(RunRow.id, RunRow.started_at).where(RunRow.id.in_(some))
        found |= {row.id: row.started_at for row in session.execute(query)}
    return found


def load_done(session: Session, run_id: int) -> set[str]:
    """The projects that a run is done with."""
    query = (
        select(ProjectRow.slug)
        .join(RunProjectRow, RunProjectRow.project_id == ProjectRow.id)
        .where(RunProjectRow.run_id == run_id)
    )
    return set(session.scalars(query))


def load_slugs(session: Session, slugs: Sequence[str] | None = None) -> list[str]:
    """The projects named, or all that are not retired, sorted. Raises UsageError that names unknown ones."""
    if slugs is not None:
        return sorted(project_ids(session, slugs))
    # Not by the database: PostgreSQL sorts by the server's language.
    return sorted(session.scalars(select(ProjectRow.slug).where(ProjectRow.active)))


def load_run_ratings(session: Session, run_id: int) -> RunRatings:
    """What the projects that a run is done with were rated, and which of it was new with this run."""
    done = select(RunProjectRow.project_id).where(RunProjectRow.run_id == run_id)
    current = select(func.count()).where(ProposalRow.is_current, ProposalRow.project_id.in_(done))
    return RunRatings(
        projects=session.scalar(select(func.count()).select_from(done.subquery())) or 0,
        proposals=session.scalar(current) or 0,
        new=session.scalar(select(func.count()).where(ProposalRow.run_id == run_id)) or 0,
        cannot_tell=session.scalar(current.where(ProposalRow.rating.is_(None))) or 0,
    )
