"""Everything that the crawl and the rules write: projects, runs, visits, evidence.

Proposals are written by `db.save_proposals`, decisions by `db.decide`. All functions work in the
caller's transaction and commit nothing themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.candidate_row import CandidateRow, CandidateStatus
from db.keys import chunks, ensure_artifacts, ensure_part, find_or_add, insert_missing, project_ids
from db.models import (
    ArtifactRow,
    EvidenceRow,
    ExtractionRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    RunRow,
    RunStatus,
    SnapshotRow,
    VisitRow,
)
from db.save_proposals import evidence_values, save_proposal, save_proposals
from db.session import refresh_statistics
from db.values import BodyArchive, ImportResult, SavedVisit
from pipelines.errors import StorageError, UsageError
from pipelines.model import (
    Artifact,
    ArtifactRef,
    Capture,
    Evidence,
    JsonValue,
    Origin,
    Project,
    Role,
    Visit,
    VisitStatus,
)

__all__ = [
    "begin_run",
    "end_run",
    "save_artifacts",
    "save_extraction",
    "save_interrupted_runs",
    "save_project",
    "save_projects",
    "save_proposal",
    "save_proposals",
    "save_visit",
]

_AFTER_SEEDS = 1_000_000
"""Position of linked artifacts: behind those of the seed entry."""


def save_projects(session: Session, projects: Sequence[Project], now: datetime) -> ImportResult:
    """Take over the seeds: they are the truth for projects and for artifacts that seeds name.

    Projects that the seeds no longer name are retired (and come back when they name them again);
    artifacts that were found by links or lineage stay. A project that was adopted from a candidate
    stays as well until the seeds have named it once: then they rule over it too.
    """
    rows = {row.slug: row for row in session.scalars(select(ProjectRow))}
    refs = {artifact.ref for project in projects for artifact in project.artifacts}
    artifact_ids = ensure_artifacts(session, refs)
    links = _load_links(session)
    added, changed, unchanged = [], [], []
    for project in projects:
        row = rows.get(project.slug)
        if row is None:
            _add_project(session, project, artifact_ids, now)
            added.append(project.slug)
            continue
        fields = _set_fields(row, project)
        artifacts = _set_seed_artifacts(session, row.id, project, artifact_ids, links.get(row.id, {}))
        if fields or artifacts or not row.active:
            row.active = True
            row.changed_at = now
            changed.append(project.slug)
        else:
            unchanged.append(project.slug)
    named = {project.slug for project in projects}
    unnamed = {slug for slug, row in rows.items() if row.active and slug not in named}
    kept = _settle_adopted(session, named) & unnamed
    retired = sorted(unnamed - kept)
    for slug in retired:
        rows[slug].active = False
        rows[slug].changed_at = now
    session.flush()
    return ImportResult(
        added=tuple(added),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        retired=tuple(retired),
        kept=tuple(sorted(kept)),
    )


def _settle_adopted(session: Session, named: Collection[str]) -> set[str]:
    """Hand adopted projects that a seed file names over to it; the slugs of those that no file has named yet."""
    query = (
        select(CandidateRow, ProjectRow.slug)
        .join(ProjectRow, ProjectRow.id == CandidateRow.project_id)
        .where(CandidateRow.status == CandidateStatus.ADOPTED, CandidateRow.in_seeds.is_(False))
    )
    kept = set()
    for candidate, slug in session.execute(query):
        if slug in named:
            candidate.in_seeds = True
        else:
            kept.add(slug)
    return kept


def save_project(session: Session, project: Project, now: datetime) -> int:
    """Add one project beside those that there are; the id of its row.

    Raises UsageError when its slug is taken, by a retired project too: its decisions are kept under it.
    """
    for row in session.scalars(select(ProjectRow)):
        if row.slug.casefold() == project.slug.casefold():
            state = "" if row.active else " (retired)"
            raise UsageError(f"{row.slug} is already the slug of the project {row.name!r}{state}")
    artifact_ids = ensure_artifacts(session, [artifact.ref for artifact in project.artifacts])
    added = _add_project(session, project, artifact_ids, now)
    session.flush()
    return added.id


def _add_project(
    session: Session, project: Project, artifact_ids: Mapping[ArtifactRef, int], now: datetime
) -> ProjectRow:
    row = ProjectRow(slug=project.slug, active=True, added_at=now, changed_at=now)
    _set_fields(row, project)
    session.add(row)
    session.flush()
    _set_seed_artifacts(session, row.id, project, artifact_ids, {})
    return row


def _load_links(session: Session) -> dict[int, dict[tuple[int, Role], ProjectArtifactRow]]:
    links: dict[int, dict[tuple[int, Role], ProjectArtifactRow]] = {}
    for link in session.scalars(select(ProjectArtifactRow)):
        links.setdefault(link.project_id, {})[(link.artifact_id, link.role)] = link
    return links


def _set_fields(row: ProjectRow, project: Project) -> bool:
    """Set what the seed entry says of the project; whether anything was otherwise before."""
    values: dict[str, JsonValue] = {
        "name": project.name,
        "org": project.org,
        "llmbase": list(project.llmbase),
        "rlbase": list(project.rlbase),
        "homepage": project.homepage,
    }
    different = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in different.items():
        setattr(row, name, value)
    return bool(different)


def _set_seed_artifacts(
    session: Session,
    project_id: int,
    project: Project,
    artifact_ids: Mapping[ArtifactRef, int],
    links: Mapping[tuple[int, Role], ProjectArtifactRow],
) -> bool:
    """Set the artifacts that the seed entry names; whether anything was otherwise before."""
    seeds = dict.fromkeys(
        (artifact_ids[artifact.ref], artifact.role)
        for artifact in project.artifacts
        if artifact.origin is Origin.SEED
    )
    different = False
    for position, (artifact_id, role) in enumerate(seeds):
        link = links.get((artifact_id, role))
        if link is None:
            session.add(_link(project_id, artifact_id, role, Origin.SEED, position))
            different = True
        elif (link.origin, link.active, link.position) != (Origin.SEED, True, position):
            link.origin, link.active, link.position = Origin.SEED, True, position
            link.named_by_artifact_id = link.named_by_part = link.named_by_text = None
            different = True
    for key, link in links.items():
        if link.origin is Origin.SEED and link.active and key not in seeds:
            link.active = False
            different = True
    return different


def _link(project_id: int, artifact_id: int, role: Role, origin: Origin, position: int) -> ProjectArtifactRow:
    return ProjectArtifactRow(
        project_id=project_id,
        artifact_id=artifact_id,
        role=role,
        origin=origin,
        position=position,
        active=True,
    )


def save_artifacts(session: Session, slug: str, artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """Add artifacts that links or lineage name to a project; those that are new to it are given back.

    What the project has already, in the same role, stays as it is. Raises UsageError for an
    unknown project and ValueError for an artifact that only seeds may name.
    """
    if any(artifact.origin is Origin.SEED for artifact in artifacts):
        raise ValueError(f"{slug}: artifacts of seeds are saved with the project")
    project_id = project_ids(session, [slug])[slug]
    sources = {artifact.named_by.artifact for artifact in artifacts if artifact.named_by is not None}
    artifact_ids = ensure_artifacts(session, sources | {artifact.ref for artifact in artifacts})
    query = select(ProjectArtifactRow).where(ProjectArtifactRow.project_id == project_id)
    links = {(link.artifact_id, link.role): link for link in session.scalars(query)}
    new = []
    for artifact in artifacts:
        key = (artifact_ids[artifact.ref], artifact.role)
        link = links.get(key)
        if link is not None and link.active:
            continue
        if link is None:
            link = links[key] = _link(project_id, *key, artifact.origin, _AFTER_SEEDS)
            session.add(link)
        link.origin, link.active, link.position = artifact.origin, True, _AFTER_SEEDS
        if artifact.named_by is not None:
            link.named_by_artifact_id = artifact_ids[artifact.named_by.artifact]
            link.named_by_part = artifact.named_by.part
            link.named_by_text = artifact.named_by.text
        new.append(artifact)
    session.flush()
    return tuple(new)


def begin_run(session: Session, kind: str, now: datetime, pid: int, host: str) -> int:
    """Note that a run has begun; its id."""
    run = RunRow(kind=kind, started_at=now, status=RunStatus.RUNNING, pid=pid, host=host, report={})
    session.add(run)
    session.flush()
    return run.id


def end_run(
    session: Session,
    run_id: int,
    now: datetime,
    status: RunStatus,
    exit_code: int | None,
    report: Mapping[str, JsonValue],
) -> None:
    """Note how a run has ended. Raises UsageError when there is no such run."""
    run = session.get(RunRow, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id}")
    run.ended_at, run.status, run.exit_code, run.report = now, status, exit_code, dict(report)
    session.flush()
    refresh_statistics(session)


def save_interrupted_runs(session: Session, now: datetime) -> list[int]:
    """Mark the runs that still count as running as interrupted: call it holding the run lock. Their ids."""
    query = select(RunRow.id).where(RunRow.status == RunStatus.RUNNING).order_by(RunRow.id)
    found = list(session.scalars(query))
    for run_ids in chunks(found):
        values = {"status": RunStatus.INTERRUPTED, "ended_at": now}
        session.execute(update(RunRow).where(RunRow.id.in_(run_ids)).values(values))
    return found


def save_visit(session: Session, archive: BodyArchive, run_id: int, visit: Visit) -> SavedVisit:
    """Store one visit and, if it brought new bytes, a snapshot. The one road from sources into the database.

    The bytes are in the archive before the row is committed. Bytes equal to those that stood
    before make the visit an unchanged one; so the same capture twice adds no snapshot. A visit
    that claims to be unchanged although nothing is stored is kept as failed.
    """
    part_id = ensure_part(session, visit.ref, visit.part)
    standing = _load_standing(session, part_id)
    values: dict[str, JsonValue] = {"status": visit.status, "reason": visit.reason, "snapshot_id": None}
    values |= {"etag": "", "last_modified": "", "token": ""}
    is_new = False
    if visit.capture is not None:
        sha256 = archive.put(visit.capture.body)
        values |= {name: getattr(visit.capture, name) for name in ("etag", "last_modified", "token")}
        if standing is not None and standing[0].sha256 == sha256:
            values |= {"status": VisitStatus.UNCHANGED, "snapshot_id": standing[0].id}
        else:
            values["snapshot_id"], is_new = _save_snapshot(session, part_id, visit, visit.capture, sha256)
    elif visit.status is VisitStatus.UNCHANGED and standing is not None:
        values["snapshot_id"] = standing[0].id
        values |= {name: getattr(standing[1], name) for name in ("etag", "last_modified", "token")}
    elif visit.status is VisitStatus.UNCHANGED:
        values |= {
            "status": VisitStatus.FAILED,
            "reason": "said to be unchanged, but nothing is stored of it",
        }
    values |= {"run_id": run_id, "part_id": part_id, "url": visit.url, "at": visit.at}
    session.execute(insert(VisitRow), values | {"http_status": visit.http_status})
    return SavedVisit(status=values["status"], snapshot_id=values["snapshot_id"], is_new_snapshot=is_new)


def _load_standing(session: Session, part_id: int) -> tuple[SnapshotRow, VisitRow] | None:
    """The snapshot of the latest visit that read the part, and that visit."""
    row = session.execute(
        select(SnapshotRow, VisitRow)
        .join(VisitRow, VisitRow.snapshot_id == SnapshotRow.id)
        .where(VisitRow.part_id == part_id, VisitRow.snapshot_id.is_not(None))
        .order_by(VisitRow.id.desc())
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def _save_snapshot(
    session: Session, part_id: int, visit: Visit, capture: Capture, sha256: str
) -> tuple[int, bool]:
    values = {
        "part_id": part_id,
        "sha256": sha256,
        "url": visit.url,
        "media_type": capture.media_type,
        "size": len(capture.body),
        "fetched_at": visit.at,
        "etag": capture.etag,
        "last_modified": capture.last_modified,
        "token": capture.token,
    }
    return find_or_add(session, SnapshotRow, values, ["part_id", "sha256"])


def save_extraction(
    session: Session, snapshot_id: int, extractor_version: str, evidence: Sequence[Evidence]
) -> bool:
    """Store what a version of the extractors found in a snapshot; False when that is stored already.

    Raises StorageError when there is no such snapshot or the evidence is not of it.
    """
    row = session.execute(
        select(ArtifactRow.kind, ArtifactRow.identifier, PartRow.name, SnapshotRow.sha256)
        .join(PartRow, PartRow.id == SnapshotRow.part_id)
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .where(SnapshotRow.id == snapshot_id)
    ).one_or_none()
    if row is None:
        raise StorageError(f"there is no snapshot {snapshot_id} to store evidence of")
    owner = (ArtifactRef(kind=row[0], id=row[1]), row[2], row[3])
    for item in evidence:
        if (item.ref, item.part, item.sha256) != owner:
            raise StorageError(f"evidence of {item.ref} {item.part} is not of snapshot {snapshot_id}")
    version = {"snapshot_id": snapshot_id, "extractor_version": extractor_version}
    extraction_id = insert_missing(session, ExtractionRow, version, ["snapshot_id", "extractor_version"])
    if extraction_id is None:
        return False
    rows = [
        evidence_values(item, snapshot_id) | {"extraction_id": extraction_id, "ordinal": ordinal}
        for ordinal, item in enumerate(evidence)
    ]
    if rows:
        session.execute(insert(EvidenceRow), rows)
    return True
