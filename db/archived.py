"""What the archive should hold, and all that is known of it: for checking and for export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from db.keys import chunks, project_ids
from db.models import (
    ArtifactRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    PrunedBodyRow,
    SnapshotRow,
    VisitRow,
)
from db.pins import begins_with
from db.rows import ref_from, snapshot_from
from db.values import StoredSnapshot
from pipelines.model import ArtifactRef, Role, VisitStatus

# Made once: an alias of a table costs more than the query that it is used in.
_VISIT = aliased(VisitRow)

SNAPSHOTS_AT_ONCE = 50
"""Each brings all its visits with it: one a night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBody:
    """A body that snapshots name. `size` in bytes; `is_pruned`: it was removed on purpose."""

    sha256: str
    size: int
    is_pruned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A part of which a body is a snapshot; `is_standing`: the one that was read last."""

    ref: ArtifactRef
    part: str
    is_standing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A visit that read a snapshot, newly or again."""

    visit_id: int
    at: datetime
    status: VisitStatus
    http_status: int | None
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedSnapshot:
    """A snapshot with all that is known of it, without its bytes.

    `pruned_at`: when its bytes were removed on purpose, None while they are there. `projects` are
    the slugs of the projects that its artifact belongs to, each with the artifact's role.
    """

    snapshot: StoredSnapshot
    etag: str
    last_modified: str
    token: str
    pruned_at: datetime | None
    projects: tuple[tuple[str, Role], ...]
    readings: tuple[Reading, ...]


def load_bodies(session: Session, prefix: str) -> dict[str, NamedBody]:
    """Every body that snapshots name whose digest begins with the prefix, by digest."""
    query = (
        select(SnapshotRow.sha256, func.max(SnapshotRow.size), func.max(PrunedBodyRow.pruned_at))
        .outerjoin(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
        .where(begins_with(prefix))
        .group_by(SnapshotRow.sha256)
        .order_by(SnapshotRow.sha256)
    )
    return {
        sha256: NamedBody(sha256=sha256, size=size, is_pruned=pruned_at is not None)
        for sha256, size, pruned_at in session.execute(query)
    }


def load_bodies_there(session: Session, digests: Iterable[str]) -> set[str]:
    """Those of the digests that snapshots name, without those that were removed on purpose."""
    found: set[str] = set()
    for chunk in chunks(digests):
        query = (
            select(SnapshotRow.sha256)
            .outerjoin(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
            .where(SnapshotRow.sha256.in_(chunk), PrunedBodyRow.sha256.is_(None))
        )
        found.update(session.scalars(query))
    return found


def count_bodies(session: Session) -> int:
    """How many bodies snapshots name, at most: several may have the same bytes."""
    return session.scalar(select(func.count(SnapshotRow.id))) or 0


def load_owners(session: Session, digests: Iterable[str]) -> dict[str, tuple[Owner, ...]]:
    """The parts of which these bodies are snapshots, by digest."""
    latest = _latest_reading()
    found: dict[str, list[Owner]] = {}
    for chunk in chunks(digests):
        query = (
            select(ArtifactRow, PartRow.name, SnapshotRow.sha256, SnapshotRow.id == latest)
            .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
            .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
            .where(SnapshotRow.sha256.in_(chunk))
            .order_by(SnapshotRow.id)
        )
        for artifact, part, sha256, is_standing in session.execute(query):
            owner = Owner(ref=ref_from(artifact), part=part, is_standing=bool(is_standing))
            found.setdefault(sha256, []).append(owner)
    return {sha256: tuple(owners) for sha256, owners in found.items()}


def _latest_reading() -> ColumnElement[int | None]:
    """The snapshot that the part of the outer query's snapshot was last read as."""
    return (
        select(_VISIT.snapshot_id)
        .where(_VISIT.part_id == SnapshotRow.part_id, _VISIT.snapshot_id.is_not(None))
        .order_by(_VISIT.id.desc())
        .limit(1)
        .correlate(SnapshotRow)
        .scalar_subquery()
    )


def count_snapshots(
    session: Session, slugs: Sequence[str] | None = None, since: datetime | None = None
) -> tuple[int, datetime | None]:
    """How many snapshots `load_archived` gives, and when the latest reading among them was.

    Raises UsageError for an unknown slug.
    """
    query = select(func.count(SnapshotRow.id.distinct()), func.max(VisitRow.at)).join(
        VisitRow, VisitRow.snapshot_id == SnapshotRow.id
    )
    if since is not None:
        query = query.where(VisitRow.at >= since)
    if slugs is not None:
        query = query.join(PartRow, PartRow.id == SnapshotRow.part_id).where(_of_projects(session, slugs))
    count, latest = session.execute(query).one()
    return count, latest


def load_archived(
    session: Session, slugs: Sequence[str] | None = None, since: datetime | None = None
) -> Iterator[ArchivedSnapshot]:
    """The snapshots of all artifacts, or of those that ever belonged to some projects, as they were stored.

    With `since` only what was read then or later, newly or again. In constant memory. Raises
    UsageError for an unknown slug.
    """
    of_projects = None if slugs is None else _of_projects(session, slugs)
    after = 0
    while True:
        query = (
            select(ArtifactRow, PartRow, SnapshotRow, PrunedBodyRow.pruned_at)
            .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
            .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
            .outerjoin(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
            .where(SnapshotRow.id > after)
            .order_by(SnapshotRow.id)
            .limit(SNAPSHOTS_AT_ONCE)
        )
        if of_projects is not None:
            query = query.where(of_projects)
        if since is not None:
            recent = select(_VISIT.id).where(_VISIT.snapshot_id == SnapshotRow.id, _VISIT.at >= since)
            query = query.where(recent.correlate(SnapshotRow).exists())
        rows = session.execute(query).all()
        if not rows:
            return
        readings = _load_readings(session, {row[2].id: row[2].fetched_at for row in rows}, since)
        projects = _load_projects_of(session, {row[0].id for row in rows})
        for artifact, part, row, pruned_at in rows:
            yield ArchivedSnapshot(
                snapshot=snapshot_from(artifact, part, row),
                etag=row.etag,
                last_modified=row.last_modified,
                token=row.token,
                pruned_at=pruned_at,
                projects=projects.get(artifact.id, ()),
                readings=readings.get(row.id, ()),
            )
        after = rows[-1][2].id
        # The session would keep every row that it has seen.
        session.expunge_all()


def _of_projects(session: Session, slugs: Sequence[str]) -> ColumnElement[bool]:
    """Whether the part of the outer query is of an artifact that belongs or belonged to one of the projects."""
    projects = sorted(project_ids(session, slugs).values())
    return PartRow.artifact_id.in_(
        select(ProjectArtifactRow.artifact_id).where(ProjectArtifactRow.project_id.in_(projects))
    )


def _load_readings(
    session: Session, fetched: dict[int, datetime], since: datetime | None
) -> dict[int, tuple[Reading, ...]]:
    query = (
        select(VisitRow.snapshot_id, VisitRow.id, VisitRow.at, VisitRow.status, VisitRow.http_status)
        .where(VisitRow.snapshot_id.in_(list(fetched)))
        .order_by(VisitRow.id)
    )
    if since is not None:
        query = query.where(VisitRow.at >= since)
    found: dict[int, list[Reading]] = {}
    for snapshot_id, visit_id, at, status, http_status in session.execute(query):
        assert snapshot_id is not None
        earlier = found.setdefault(snapshot_id, [])
        reading = Reading(
            visit_id=visit_id,
            at=at,
            status=status,
            http_status=http_status,
            is_first=not earlier and at == fetched[snapshot_id],
        )
        earlier.append(reading)
    return {snapshot_id: tuple(readings) for snapshot_id, readings in found.items()}


def _load_projects_of(session: Session, artifact_ids: set[int]) -> dict[int, tuple[tuple[str, Role], ...]]:
    query = (
        select(ProjectArtifactRow.artifact_id, ProjectRow.slug, ProjectArtifactRow.role)
        .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
        .where(ProjectArtifactRow.artifact_id.in_(list(artifact_ids)), ProjectArtifactRow.active)
    )
    found: dict[int, list[tuple[str, Role]]] = {}
    for artifact_id, slug, role in session.execute(query):
        found.setdefault(artifact_id, []).append((slug, role))
    return {artifact_id: tuple(sorted(projects)) for artifact_id, projects in found.items()}
