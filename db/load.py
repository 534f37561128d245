"""Everything that is read back: projects, what stands of their artifacts, evidence, runs.

Projects, ratings and proposals have their own modules and can be imported from here as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from db.evidence import load_evidence_of
from db.keys import artifact_key, chunks
from db.links import load_only_mentioned
from db.models import (
    ArtifactRow,
    ExtractionRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    RunRow,
    RunStatus,
    SnapshotRow,
    VisitRow,
)
from db.projects import load_artifacts, load_projects
from db.proposals import load_proposals
from db.ratings import load_decisions, load_ratings
from db.rows import ref_from, snapshot_from
from db.states import TELLING, load_states, load_understood
from db.values import BodyArchive, StoredRun, StoredSnapshot, StoredVisit
from pipelines.model import (
    ArtifactKind,
    ArtifactRef,
    Evidence,
    Snapshot,
    Validators,
    VisitRequest,
    VisitStatus,
)

__all__ = [
    "load_artifacts",
    "load_current_snapshots",
    "load_decisions",
    "load_evidence",
    "load_evidence_and_visits",
    "load_kinds",
    "load_known",
    "load_latest_visits",
    "load_projects",
    "load_proposals",
    "load_ratings",
    "load_requests",
    "load_run",
    "load_run_visits",
    "load_runs",
    "load_snapshot",
    "load_stored_snapshots",
    "load_unextracted",
    "load_validators",
    "load_visited",
]


def load_kinds(session: Session) -> set[ArtifactKind]:
    """The kinds of artifacts that projects have."""
    query = (
        select(ArtifactRow.kind)
        .join(ProjectArtifactRow, ProjectArtifactRow.artifact_id == ArtifactRow.id)
        .where(ProjectArtifactRow.active)
        .distinct()
    )
    return set(session.scalars(query))


def has_much_unvisited(session: Session, number: int) -> bool:
    """Do projects have at least so many artifacts that were never visited?"""
    unvisited = (
        select(ProjectArtifactRow.artifact_id)
        .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
        .where(
            ProjectRow.active,
            ProjectArtifactRow.active,
            ~exists().where(PartRow.artifact_id == ProjectArtifactRow.artifact_id),
        )
        .distinct()
        .limit(number)
        .subquery()
    )
    return session.execute(select(func.count()).select_from(unvisited)).scalar_one() >= number


def load_known(session: Session, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, dict[str, Validators]]:
    """For each artifact and part that was ever read: what its service needs to tell whether it changed."""
    known: dict[ArtifactRef, dict[str, Validators]] = {ref: {} for ref in refs}
    for state in load_states(session, list(known)):
        if state.validators is not None:
            known[state.visit.ref][state.visit.part] = state.validators
    return known


def load_requests(session: Session, refs: Iterable[ArtifactRef], *, full: bool = False) -> list[VisitRequest]:
    """What a source is told of artifacts that it is to visit; with `full` nothing of what is stored."""
    wanted = list(dict.fromkeys(refs))
    known: dict[ArtifactRef, dict[str, Validators]] = {ref: {} for ref in wanted}
    absent: set[ArtifactRef] = set()
    for state in [] if full else load_states(session, wanted):
        if state.validators is not None:
            known[state.visit.ref][state.visit.part] = state.validators
        if state.is_absent and not state.visit.doubtful:
            absent.add(state.visit.ref)
    mentioned = set() if full else load_only_mentioned(session, wanted)
    return [
        VisitRequest(
            ref=ref, known=known[ref], was_missing=ref in absent, absence_counts=ref not in mentioned
        )
        for ref in wanted
    ]


def load_validators(session: Session, ref: ArtifactRef) -> dict[str, Validators]:
    """`load_known` of one artifact."""
    return load_known(session, [ref])[ref]


def load_latest_visits(session: Session, refs: Iterable[ArtifactRef]) -> list[StoredVisit]:
    """What the latest attempt to read each part came to, sorted by artifact and part."""
    return [state.visit for state in load_states(session, refs)]


def load_stored_snapshots(session: Session, refs: Iterable[ArtifactRef]) -> list[StoredSnapshot]:
    """The snapshots that stand, without their bytes, sorted by artifact and part.

    Of each part the one that was read last, unless the part or its whole artifact was found missing
    since. Failure and denial change nothing, neither a snapshot nor an absence.
    """
    return [state.standing for state in load_states(session, refs) if state.standing is not None]


def load_current_snapshots(
    session: Session, archive: BodyArchive, refs: Iterable[ArtifactRef]
) -> list[Snapshot]:
    """The snapshots that stand, with their bytes. Raises StorageError when bytes are gone or damaged."""
    return [stored.read(archive) for stored in load_stored_snapshots(session, refs)]


def load_unextracted(
    session: Session, extractor_version: str, refs: Iterable[ArtifactRef]
) -> list[StoredSnapshot]:
    """The snapshots that stand and that this version of the extractors has not read yet."""
    standing = load_stored_snapshots(session, refs)
    read: set[int] = set()
    for ids in chunks(snapshot.id for snapshot in standing):
        query = select(ExtractionRow.snapshot_id).where(
            ExtractionRow.snapshot_id.in_(ids), ExtractionRow.extractor_version == extractor_version
        )
        read.update(session.scalars(query))
    return [snapshot for snapshot in standing if snapshot.id not in read]


def load_evidence(
    session: Session, refs: Iterable[ArtifactRef], kinds: Collection[str] | None = None
) -> list[Evidence]:
    """The evidence in the snapshots that stand, as the latest extractors found it, in a fixed order.

    Of the kinds named, or of every kind. Where no extractor could read a snapshot, an earlier one speaks.
    """
    return load_evidence_of(session, *load_understood(session, load_states(session, refs)), kinds)


def load_evidence_and_visits(
    session: Session, refs: Iterable[ArtifactRef]
) -> tuple[list[Evidence], list[StoredVisit]]:
    """`load_evidence` and how reading went: as `load_latest_visits`, but what no extractor could read has failed."""
    states, extractions = load_understood(session, load_states(session, refs))
    return load_evidence_of(session, states, extractions), [state.visit for state in states]


def load_snapshot(session: Session, sha256: str) -> StoredSnapshot | None:
    """The snapshot with this digest, without its bytes; the earliest where several parts share it."""
    row = session.execute(
        select(ArtifactRow, PartRow, SnapshotRow)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
        .where(SnapshotRow.sha256 == sha256)
        .order_by(SnapshotRow.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    return snapshot_from(*row)


def load_run(session: Session, run_id: int) -> StoredRun | None:
    """A run and its report."""
    row = session.get(RunRow, run_id)
    return None if row is None else _stored_run(row)


def load_runs(
    session: Session,
    *,
    kinds: Iterable[str] | None = None,
    statuses: Iterable[RunStatus] | None = None,
    limit: int = 20,
    before_id: int | None = None,
) -> list[StoredRun]:
    """The latest runs, newest first; those before a number if one is given."""
    query = select(RunRow).order_by(RunRow.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(RunRow.id < before_id)
    if kinds is not None:
        query = query.where(RunRow.kind.in_(list(kinds)))
    if statuses is not None:
        query = query.where(RunRow.status.in_(list(statuses)))
    return [_stored_run(row) for row in session.scalars(query)]


def _stored_run(row: RunRow) -> StoredRun:
    report: Mapping[str, object] = row.report
    return StoredRun(
        id=row.id,
        kind=row.kind,
        started_at=row.started_at,
        ended_at=row.ended_at,
        status=row.status,
        exit_code=row.exit_code,
        pid=row.pid,
        host=row.host,
        report=report,
        asked=row.asked or {},
        spent=row.spent or {},
    )


def load_visited(
    session: Session, run_id: int, refs: Iterable[ArtifactRef] | None = None
) -> set[ArtifactRef]:
    """The artifacts, of those named or of all, of which the run has stored a visit: a resumed run leaves them out.

    An artifact counts from its first stored visit, so the visits of one artifact belong into one
    transaction.
    """
    if refs is None:
        visited = (
            select(PartRow.artifact_id)
            .join(VisitRow, VisitRow.part_id == PartRow.id)
            .where(VisitRow.run_id == run_id)
        )
        rows = session.scalars(select(ArtifactRow).where(ArtifactRow.id.in_(visited)))
        return {ref_from(row) for row in rows}
    wanted = {artifact_key(ref): ref for ref in refs}
    found: set[ArtifactRef] = set()
    for keys in chunks(wanted):
        # By the artifact, not by the run: a run has visited more than anybody asks about.
        query = (
            select(ArtifactRow.key)
            .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
            .join(VisitRow, VisitRow.part_id == PartRow.id)
            .where(ArtifactRow.key.in_(keys), VisitRow.run_id == run_id)
            .distinct()
        )
        found.update(wanted[key] for key in session.scalars(query))
    return found


def load_run_visits(session: Session, run_id: int) -> list[tuple[StoredVisit, bool]]:
    """The visits that a run has stored, in their order, and whether each brought a new snapshot."""
    query = (
        select(ArtifactRow, PartRow.name, VisitRow, SnapshotRow.fetched_at)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .outerjoin(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
        .where(VisitRow.run_id == run_id)
        .order_by(VisitRow.id)
    )
    found = []
    for artifact, part, row, fetched_at in session.execute(query):
        visit = StoredVisit(
            ref=ref_from(artifact),
            part=part,
            url=row.url,
            at=row.at,
            status=row.status,
            http_status=row.http_status,
            reason=row.reason,
            known=row.status if row.status in TELLING else None,
            stale=False,
        )
        found.append((visit, row.status is VisitStatus.OK and fetched_at == row.at))
    return found
