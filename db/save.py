"""Everything that the crawl and the rules write: projects, runs, visits, evidence.

Visits and evidence are written by `db.save_visits`, proposals by `db.save_proposals`, decisions by
`db.decide`; the first two can be imported from here as well. All functions work in the
caller's transaction and commit nothing themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Table, and_, bindparam, insert, select, update
from sqlalchemy.orm import Session

from db.candidate_row import CandidateRow, CandidateStatus
from db.keys import chunks, ensure_artifacts, project_ids
from db.models import (
    ArtifactRow,
    ProjectArtifactRow,
    ProjectRow,
    RunRow,
    RunStatus,
)
from db.question_index import refresh_questions
from db.save_proposals import save_proposal, save_proposals
from db.save_visits import save_extraction, save_extractions, save_visit, save_visits
from db.session import refresh_statistics
from db.values import ImportResult
from pipelines.artifact_ids import same_thing
from pipelines.errors import UsageError
from pipelines.model import (
    Artifact,
    ArtifactRef,
    JsonValue,
    Origin,
    Project,
    Role,
)

__all__ = [
    "begin_run",
    "end_run",
    "resume_run",
    "save_artifacts",
    "save_extraction",
    "save_extractions",
    "save_interrupted_runs",
    "save_project",
    "save_projects",
    "save_proposal",
    "save_proposals",
    "save_seed_entry",
    "save_visit",
    "save_visits",
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
    merged = _settle_merged(session, projects)
    added, changed, unchanged = [], [], []
    for project in projects:
        row = rows.get(project.slug)
        if row is None:
            _add_project(session, project, artifact_ids, now)
            added.append(project.slug)
            continue
        fields = _set_fields(row, project)
        artifacts = _set_seed_artifacts(
            session, row.id, project, artifact_ids, links.get(row.id, {}), now, merged.get(row.id, ())
        )
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
    # A retired project is asked nothing, one that is back again is; the index knows organisations as well.
    refresh_questions(session, [rows[slug].id for slug in (*changed, *retired)])
    return ImportResult(
        added=tuple(added),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        retired=tuple(retired),
        kept=tuple(sorted(kept)),
    )


def save_seed_entry(session: Session, project: Project, now: datetime) -> bool:
    """Take over one entry of the seeds and leave all others alone; whether it changed anything.

    A project that is new is added, one that was retired comes back.
    """
    row = session.scalars(select(ProjectRow).where(ProjectRow.slug == project.slug)).one_or_none()
    artifact_ids = ensure_artifacts(session, [artifact.ref for artifact in project.artifacts])
    merged = _settle_merged(session, [project])
    _settle_adopted(session, {project.slug})
    if row is None:
        _add_project(session, project, artifact_ids, now)
        session.flush()
        return True
    query = select(ProjectArtifactRow).where(ProjectArtifactRow.project_id == row.id)
    links = {(link.artifact_id, link.role): link for link in session.scalars(query)}
    fields = _set_fields(row, project)
    artifacts = _set_seed_artifacts(
        session, row.id, project, artifact_ids, links, now, merged.get(row.id, ())
    )
    changed = fields or artifacts or not row.active
    if changed:
        row.active, row.changed_at = True, now
    session.flush()
    refresh_questions(session, [row.id])
    return changed


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


def _settle_merged(session: Session, projects: Sequence[Project]) -> dict[int, set[int]]:
    """Hand merged artifacts that the seeds name over to them; those that they have not named yet, by project."""
    named = {project.slug: {same_thing(a.ref) for a in project.artifacts} for project in projects}
    query = (
        select(CandidateRow, ProjectRow.slug, ArtifactRow.id)
        .join(ProjectRow, ProjectRow.id == CandidateRow.project_id)
        .join(
            ArtifactRow,
            and_(ArtifactRow.kind == CandidateRow.kind, ArtifactRow.identifier == CandidateRow.identifier),
        )
        .where(CandidateRow.status == CandidateStatus.MERGED, CandidateRow.in_seeds.is_(False))
    )
    kept: dict[int, set[int]] = {}
    for candidate, slug, artifact_id in session.execute(query):
        ref = ArtifactRef(kind=candidate.kind, id=candidate.identifier)
        if same_thing(ref) in named.get(slug, ()):
            candidate.in_seeds = True
        elif candidate.project_id is not None:
            kept.setdefault(candidate.project_id, set()).add(artifact_id)
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
    _set_seed_artifacts(session, row.id, project, artifact_ids, {}, now)
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
    now: datetime,
    merged: Collection[int] = (),
) -> bool:
    """Set the artifacts that the seed entry names; whether anything was otherwise before.

    Those merged into the project from candidates stay, though it does not name them.
    """
    seeds = dict.fromkeys(
        (artifact_ids[artifact.ref], artifact.role)
        for artifact in project.artifacts
        if artifact.origin is Origin.SEED
    )
    different = False
    for position, (artifact_id, role) in enumerate(seeds):
        link = links.get((artifact_id, role))
        if link is None:
            session.add(_link(project_id, artifact_id, role, Origin.SEED, position, now))
            different = True
        elif (link.origin, link.active, link.position) != (Origin.SEED, True, position):
            link.origin, link.active, link.position = Origin.SEED, True, position
            link.named_by_artifact_id = link.named_by_part = link.named_by_text = None
            different = True
    for key, link in links.items():
        if link.origin is Origin.SEED and link.active and key not in seeds and key[0] not in merged:
            link.active = False
            different = True
    return different


def _link(
    project_id: int, artifact_id: int, role: Role, origin: Origin, position: int, now: datetime | None
) -> ProjectArtifactRow:
    return ProjectArtifactRow(
        project_id=project_id,
        artifact_id=artifact_id,
        role=role,
        origin=origin,
        position=position,
        active=True,
        added_at=now,
    )


_LINKS = select(
    ProjectArtifactRow.id,
    ProjectArtifactRow.artifact_id,
    ProjectArtifactRow.role,
    ProjectArtifactRow.active,
).where(ProjectArtifactRow.project_id == bindparam("project_id"))


def save_artifacts(
    session: Session, slug: str, artifacts: Sequence[Artifact], now: datetime | None = None
) -> tuple[Artifact, ...]:
    """Add artifacts that links or lineage name to a project; those that are new to it are given back.

    `now` is noted as the time since which they wait for their first visit; where it is not given
    they wait since their project was added.

    What the project has already, in the same role, stays as it is. Raises UsageError for an
    unknown project and ValueError for an artifact that only seeds may name.
    """
    if any(artifact.origin is Origin.SEED for artifact in artifacts):
        raise ValueError(f"{slug}: artifacts of seeds are saved with the project")
    project_id = project_ids(session, [slug])[slug]
    sources = {artifact.named_by.artifact for artifact in artifacts if artifact.named_by is not None}
    artifact_ids = ensure_artifacts(session, sources | {artifact.ref for artifact in artifacts})
    # Mapped rows take several times as long to load, and hardly one of them is changed.
    found = session.execute(_LINKS, {"project_id": project_id})
    links = {(artifact_id, role): (link_id, active) for link_id, artifact_id, role, active in found}
    new = []
    rows: dict[tuple[int, Role], dict[str, object]] = {}
    for artifact in artifacts:
        key = (artifact_ids[artifact.ref], artifact.role)
        link = links.get(key)
        link_id, is_active = link or (None, False)
        if key in rows or is_active:
            continue
        named_by = artifact.named_by
        fields = {
            "origin": artifact.origin,
            "active": True,
            "position": _AFTER_SEEDS,
            "named_by_artifact_id": artifact_ids[named_by.artifact] if named_by else None,
            "named_by_part": named_by.part if named_by else None,
            "named_by_text": named_by.text if named_by else None,
        }
        if link_id is None:
            place = {"project_id": project_id, "artifact_id": key[0], "role": key[1], "added_at": now}
            rows[key] = place | fields
        else:
            row = session.get_one(ProjectArtifactRow, link_id)
            for name, value in fields.items():
                if named_by is not None or not name.startswith("named_by"):
                    setattr(row, name, value)
            links[key] = (link_id, True)
        new.append(artifact)
    if rows:
        # The table itself: a hundred mapped rows are a hundred statements.
        table = ProjectArtifactRow.__table__
        assert isinstance(table, Table)
        session.execute(insert(table), list(rows.values()))
    session.flush()
    return tuple(new)


def begin_run(
    session: Session,
    kind: str,
    now: datetime,
    pid: int,
    host: str,
    asked: Mapping[str, JsonValue] | None = None,
) -> int:
    """Note that a run has begun, and what it was asked to do; its id."""
    run = RunRow(
        kind=kind,
        started_at=now,
        status=RunStatus.RUNNING,
        pid=pid,
        host=host,
        report={},
        asked=dict(asked or {}),
    )
    session.add(run)
    session.flush()
    return run.id


def resume_run(session: Session, run_id: int, pid: int, host: str) -> None:
    """Note that a run that was cut off is gone on with. Raises UsageError when there is no such run."""
    run = session.get(RunRow, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id}")
    run.status, run.ended_at, run.exit_code, run.pid, run.host = RunStatus.RUNNING, None, None, pid, host
    session.flush()


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
