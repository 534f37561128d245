"""The queue of candidates: what discovery has found, and what a curator makes of it.

All functions work in the caller's transaction and commit nothing themselves. A row is never
deleted: what was dismissed once is never asked about again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.candidate_row import CandidateRow, CandidateStatus
from db.keys import chunks, ensure_artifacts
from db.load import load_projects
from db.models import ArtifactRow, ProjectArtifactRow, ProjectRow
from db.question_index import refresh_questions
from db.save import save_project
from db.values import StoredCandidate
from pipelines.artifact_ids import same_thing
from pipelines.candidates import Candidate, seed_from_json, seed_json
from pipelines.errors import DecisionError, UsageError
from pipelines.model import ArtifactRef, JsonValue, Origin, Project, Role, digest_of
from pipelines.model_kinds import Reason
from pipelines.seeds import SLUG


def save_candidates(
    session: Session, candidates: Iterable[Candidate], run_id: int | None, now: datetime
) -> list[int]:
    """Add the candidates that are new, and give their ids. Open ones are brought up to date, decided ones left alone."""
    wanted = {_key(candidate.ref): candidate for candidate in candidates}
    rows: dict[str, CandidateRow] = {}
    for keys in chunks(wanted):
        found = session.scalars(select(CandidateRow).where(CandidateRow.key.in_(keys)))
        rows |= {row.key: row for row in found}
    new = []
    for key, candidate in wanted.items():
        row = rows.get(key)
        if row is None:
            row = _row(key, candidate, run_id, now)
            session.add(row)
            new.append(row)
        elif row.status is CandidateStatus.OPEN:
            row.reasons, row.seed = _reasons_json(candidate.reasons), seed_json(candidate.seed)
    session.flush()
    return [row.id for row in new]


def _key(ref: ArtifactRef) -> str:
    kind, identifier = same_thing(ref)
    return digest_of([kind.value, identifier])


def _row(key: str, candidate: Candidate, run_id: int | None, now: datetime) -> CandidateRow:
    return CandidateRow(
        key=key,
        kind=candidate.ref.kind,
        identifier=candidate.ref.id,
        run_id=run_id,
        found_at=now,
        maker=candidate.maker,
        name=candidate.name,
        reasons=_reasons_json(candidate.reasons),
        seed=seed_json(candidate.seed),
        status=CandidateStatus.OPEN,
        curator="",
        decided_at=None,
        reason="",
        project_id=None,
        in_seeds=False,
    )


def _reasons_json(reasons: Iterable[Reason]) -> JsonValue:
    return [{"field": reason.field, "value": reason.value, "says": reason.says} for reason in reasons]


def load_candidates(
    session: Session, statuses: Iterable[CandidateStatus] | None = None
) -> list[StoredCandidate]:
    """The candidates with one of the statuses (all, when None), oldest first.

    An open one that a seed file names by now is no question any more and left out.
    """
    query = (
        select(CandidateRow, ProjectRow.slug)
        .outerjoin(ProjectRow, ProjectRow.id == CandidateRow.project_id)
        .where(_is_asked())
        .order_by(CandidateRow.id)
    )
    if statuses is not None:
        query = query.where(CandidateRow.status.in_(list(statuses)))
    return [_stored(row, slug or "") for row, slug in session.execute(query)]


def count_candidates(session: Session) -> int:
    """How many candidates wait for a curator."""
    query = select(func.count()).select_from(CandidateRow)
    return session.scalar(query.where(CandidateRow.status == CandidateStatus.OPEN, _is_asked())) or 0


def load_all_projects(session: Session) -> list[Project]:
    """All projects, the retired ones too: what a curator has dropped is no discovery."""
    return load_projects(session, session.scalars(select(ProjectRow.slug)).all())


def _is_asked() -> ColumnElement[bool]:
    """Not open, or not named as a seed of an active project. The Hub takes names in any case."""
    named = (
        select(ProjectArtifactRow.id)
        .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
        .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
        .where(
            ProjectRow.active,
            ProjectArtifactRow.active,
            ProjectArtifactRow.origin == Origin.SEED,
            ArtifactRow.kind == CandidateRow.kind,
            func.lower(ArtifactRow.identifier) == func.lower(CandidateRow.identifier),
        )
    )
    return (CandidateRow.status != CandidateStatus.OPEN) | ~named.exists()


def _stored(row: CandidateRow, slug: str) -> StoredCandidate:
    candidate = Candidate(
        ref=ArtifactRef(kind=row.kind, id=row.identifier),
        maker=row.maker,
        name=row.name,
        reasons=tuple(Reason(field=r["field"], value=r["value"], says=r["says"]) for r in row.reasons),
        seed=seed_from_json(row.seed),
    )
    return StoredCandidate(
        id=row.id,
        candidate=candidate,
        found_at=row.found_at,
        status=row.status,
        curator=row.curator,
        decided_at=row.decided_at,
        reason=row.reason,
        slug=slug,
        in_seeds=row.in_seeds,
    )


def _find(session: Session, name: str) -> CandidateRow:
    wanted = name.strip()
    if wanted.isascii() and wanted.isdecimal():
        query = select(CandidateRow).where(CandidateRow.id == int(wanted[:18]))
    else:
        identifier = wanted.split(":", 1)[1] if ":" in wanted and "://" not in wanted else wanted
        identifier = identifier.removeprefix("https://huggingface.co/").strip("/")
        query = select(CandidateRow).where(func.lower(CandidateRow.identifier) == identifier.lower())
    row = session.scalars(query.order_by(CandidateRow.id)).first()
    if row is None:
        raise UsageError(f"there is no candidate {name!r}: openness candidates list --status all")
    return row


def adopt_candidate(
    session: Session, name: str, *, curator: str, now: datetime, slug: str = "", reason: str = ""
) -> StoredCandidate:
    """Make a candidate a project, as its proposed seed entry says, under another slug if one is given.

    The project stays through imports of seeds until a seed file has named it or the candidate is
    dismissed. Raises DecisionError when it is decided upon already, UsageError when there is no
    such candidate or the slug is taken or malformed.
    """
    row = _find(session, name)
    _check_curator(curator)
    if row.status is not CandidateStatus.OPEN:
        raise DecisionError(_decided(row))
    project = seed_from_json(row.seed)
    if slug:
        if not SLUG.fullmatch(slug):
            raise UsageError(f"{slug!r} is no slug: up to 100 letters, digits, dots, dashes, underscores")
        project = replace(project, slug=slug)
    row.project_id = save_project(session, project, now)
    row.seed = seed_json(project)
    row.status, row.curator, row.decided_at, row.reason = CandidateStatus.ADOPTED, curator, now, reason
    session.flush()
    return _stored(row, project.slug)


def merge_candidate(
    session: Session,
    name: str,
    *,
    slug: str,
    curator: str,
    now: datetime,
    role: Role | None = None,
    reason: str = "",
) -> StoredCandidate:
    """Make a candidate one more artifact of a project that there is already; in the role of its seed entry, if none is given.

    The artifact stays through imports of seeds until a seed file has named it for the project or the candidate
    is dismissed. Raises DecisionError when the candidate is decided upon already or the project has the
    artifact in that role, UsageError when there is no such candidate or project.
    """
    row = _find(session, name)
    _check_curator(curator)
    if row.status is not CandidateStatus.OPEN:
        raise DecisionError(_decided(row))
    project = session.scalars(
        select(ProjectRow).where(ProjectRow.slug == slug, ProjectRow.active)
    ).one_or_none()
    if project is None:
        raise UsageError(f"there is no project {slug!r} that a candidate could be merged into")
    ref = ArtifactRef(kind=row.kind, id=row.identifier)
    _add_to_project(session, project.id, ref, role or _own_role(row), now)
    project.changed_at = now
    row.project_id = project.id
    row.status, row.curator, row.decided_at, row.reason = CandidateStatus.MERGED, curator, now, reason
    session.flush()
    return _stored(row, project.slug)


def _own_role(row: CandidateRow) -> Role:
    """What the artifact is to the project that its own seed entry would make of it."""
    ref = ArtifactRef(kind=row.kind, id=row.identifier)
    own = (artifact.role for artifact in seed_from_json(row.seed).artifacts if artifact.ref == ref)
    return next(own, Role.OTHER)


def _add_to_project(session: Session, project_id: int, ref: ArtifactRef, role: Role, now: datetime) -> None:
    artifact_id = ensure_artifacts(session, [ref])[ref]
    links = session.scalars(
        select(ProjectArtifactRow).where(ProjectArtifactRow.project_id == project_id)
    ).all()
    of_seeds = [link.position for link in links if link.origin is Origin.SEED and link.active]
    position = max(of_seeds, default=-1) + 1
    link = next((link for link in links if (link.artifact_id, link.role) == (artifact_id, role)), None)
    if link is None:
        session.add(
            ProjectArtifactRow(
                project_id=project_id,
                artifact_id=artifact_id,
                role=role,
                origin=Origin.SEED,
                position=position,
                active=True,
                added_at=now,
            )
        )
        return
    if link.active and link.origin is Origin.SEED:
        raise DecisionError(f"the project has {ref} already, as its {role.value}")
    link.origin, link.active, link.position = Origin.SEED, True, position
    link.named_by_artifact_id = link.named_by_part = link.named_by_text = None


def dismiss_candidate(
    session: Session, name: str, *, curator: str, reason: str, now: datetime
) -> StoredCandidate:
    """Turn a candidate down for good; it never comes back.

    One that was adopted is turned down again, and its project retired, as long as no seed file has
    named it; one that was merged leaves its project again. Raises DecisionError when it cannot be,
    UsageError when there is no such candidate.
    """
    row = _find(session, name)
    _check_curator(curator)
    if not reason.strip():
        raise DecisionError("a candidate is dismissed with a reason")
    if row.status is CandidateStatus.DISMISSED:
        raise DecisionError(_decided(row))
    slug = ""
    if row.status in (CandidateStatus.ADOPTED, CandidateStatus.MERGED):
        project = session.get(ProjectRow, row.project_id)
        if project is not None:
            slug = project.slug
            if row.in_seeds:
                what = slug if row.status is CandidateStatus.ADOPTED else row.identifier
                raise DecisionError(
                    f"{what} is in the seed file by now: it goes when it is taken out of the file"
                )
            if row.status is CandidateStatus.ADOPTED:
                project.active = False
            else:
                _take_out(session, project.id, row)
            project.changed_at = now
            session.flush()
            refresh_questions(session, [project.id])
    row.status, row.curator, row.decided_at, row.reason = CandidateStatus.DISMISSED, curator, now, reason
    session.flush()
    return _stored(row, slug)


def _take_out(session: Session, project_id: int, row: CandidateRow) -> None:
    """Take a merged artifact out of its project."""
    query = (
        select(ProjectArtifactRow)
        .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
        .where(
            ProjectArtifactRow.project_id == project_id,
            ProjectArtifactRow.origin == Origin.SEED,
            ArtifactRow.kind == row.kind,
            ArtifactRow.identifier == row.identifier,
        )
    )
    for link in session.scalars(query):
        link.active = False


def _check_curator(curator: str) -> None:
    if not curator.strip():
        raise DecisionError("a decision needs a curator's name")


def _decided(row: CandidateRow) -> str:
    when = f" on {row.decided_at:%Y-%m-%d}" if row.decided_at else ""
    return f"candidate {row.id} ({row.identifier}) was {row.status.value} by {row.curator}{when}"
