"""A project as a whole: what the seeds say of it, its artifacts with how reading them went, its cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.evidence_sets import load_inputs, load_sets
from db.keys import artifact_key
from db.load import load_projects
from db.models import (
    ArtifactRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    ProposalRow,
    SnapshotRow,
    VisitRow,
)
from db.ratings import load_ratings
from db.review_rows import QuestionRow
from db.review_values import QuestionKind
from db.states import PartState, load_states
from db.values import ConfirmedRating
from pipelines.claims import Contradiction, contradictions
from pipelines.model import MAIN_PART, Artifact, ArtifactRef, Project, Rating, VisitStatus

_TROUBLE = (VisitStatus.FAILED, VisitStatus.DENIED, VisitStatus.MISSING)
"""The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectArtifact:
    """An artifact of a project with its parts. `status` is that of the main part, None before its first visit.

    `worst` is how the worst latest visit of any part ended, None where all parts were read.
    """

    artifact: Artifact
    parts: tuple[PartState, ...]
    status: VisitStatus | None
    worst: VisitStatus | None
    last_visit: datetime | None
    is_stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A dimension of a project: its rating, what the rules say now, whether and why a curator is asked."""

    dimension: str
    rating: ConfirmedRating | None
    proposal_id: int | None
    proposed: Rating | None
    confidence: float
    rationale: str
    link: str
    said_since: datetime | None
    asked: QuestionKind | None
    asked_since: datetime | None
    deferred_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """All of a project but its timeline. `id` is that of its row; `cells` are those with a rating or a proposal."""

    id: int
    project: Project
    is_active: bool
    added_at: datetime
    changed_at: datetime
    artifacts: tuple[ProjectArtifact, ...]
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVisit:
    """One attempt to read one part. `sha256` names what was read, `is_new` tells that its bytes were."""

    run_id: int
    part: str
    url: str
    at: datetime
    status: VisitStatus
    http_status: int | None
    reason: str
    sha256: str
    size: int | None
    is_new: bool


def load_project_page(session: Session, slug: str) -> ProjectPage | None:
    """A project, also one that is retired; None when there is none of that slug."""
    row = session.scalars(select(ProjectRow).where(ProjectRow.slug == slug)).one_or_none()
    if row is None:
        return None
    project = load_projects(session, [slug])[0]
    states: dict[ArtifactRef, list[PartState]] = {}
    for state in load_states(session, {artifact.ref for artifact in project.artifacts}):
        states.setdefault(state.visit.ref, []).append(state)
    return ProjectPage(
        id=row.id,
        project=project,
        is_active=row.active,
        added_at=row.added_at,
        changed_at=row.changed_at,
        artifacts=tuple(_artifact(artifact, states.get(artifact.ref, [])) for artifact in project.artifacts),
        cells=_load_cells(session, row.id, slug),
    )


def _artifact(artifact: Artifact, states: list[PartState]) -> ProjectArtifact:
    visits = [state.visit for state in states]
    main = next((visit for visit in visits if visit.part == MAIN_PART[artifact.ref.kind]), None)
    met = {visit.status for visit in visits}
    return ProjectArtifact(
        artifact=artifact,
        parts=tuple(states),
        status=None if main is None else main.status,
        worst=next((status for status in _TROUBLE if status in met), None),
        last_visit=max((visit.at for visit in visits), default=None),
        is_stale=any(visit.stale for visit in visits),
    )


def _load_cells(session: Session, project_id: int, slug: str) -> dict[str, Cell]:
    ratings = {dimension: rating for (_, dimension), rating in load_ratings(session, [slug]).items()}
    query = select(ProposalRow).where(ProposalRow.project_id == project_id, ProposalRow.is_current)
    proposals = {row.dimension: row for row in session.scalars(query)}
    asked_query = select(QuestionRow).where(QuestionRow.project_id == project_id)
    asked = {row.dimension: row for row in session.scalars(asked_query)}
    return {
        dimension: _cell(dimension, ratings.get(dimension), proposals.get(dimension), asked.get(dimension))
        for dimension in sorted({*ratings, *proposals, *asked})
    }


def _cell(
    dimension: str, rating: ConfirmedRating | None, proposal: ProposalRow | None, asked: QuestionRow | None
) -> Cell:
    return Cell(
        dimension=dimension,
        rating=rating,
        proposal_id=proposal.id if proposal else None,
        proposed=proposal.rating if proposal else None,
        confidence=proposal.confidence if proposal else 0.0,
        rationale=proposal.rationale if proposal else "",
        link=proposal.link if proposal else "",
        said_since=proposal.current_since if proposal else None,
        asked=asked.kind if asked else None,
        asked_since=asked.since if asked else None,
        deferred_until=asked.defer_until if asked else None,
    )


def load_rated_dimensions(
    session: Session, slug: str
) -> tuple[str, str, Mapping[str, ConfirmedRating]] | None:
    """Slug, name and ratings by dimension of a project; None when there is none or it is retired."""
    query = select(ProjectRow.slug, ProjectRow.name).where(ProjectRow.slug == slug, ProjectRow.active)
    row = session.execute(query).first()
    if row is None:
        return None
    ratings = load_ratings(session, [slug])
    return row[0], row[1], {dimension: rating for (_, dimension), rating in ratings.items()}


def load_past_visits(
    session: Session, slug: str, ref: ArtifactRef, *, limit: int = 100, before_id: int | None = None
) -> tuple[list[PastVisit], int | None]:
    """The latest visits of an artifact that a project has or had, newest first, and where to go on; None at the end.

    Empty when the project has no such artifact.
    """
    query = (
        select(VisitRow, PartRow.name, SnapshotRow.sha256, SnapshotRow.size, SnapshotRow.fetched_at)
        .join(PartRow, PartRow.id == VisitRow.part_id)
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .outerjoin(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
        .where(
            ArtifactRow.key == artifact_key(ref),
            select(ProjectArtifactRow.id)
            .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
            .where(ProjectRow.slug == slug, ProjectArtifactRow.artifact_id == ArtifactRow.id)
            .exists(),
        )
        .order_by(VisitRow.id.desc())
        .limit(limit + 1)
    )
    if before_id is not None:
        query = query.where(VisitRow.id < before_id)
    rows = session.execute(query).all()
    found = [
        PastVisit(
            run_id=visit.run_id,
            part=part,
            url=visit.url,
            at=visit.at,
            status=visit.status,
            http_status=visit.http_status,
            reason=visit.reason,
            sha256=sha256 or "",
            size=size,
            is_new=visit.status is VisitStatus.OK and fetched_at == visit.at,
        )
        for visit, part, sha256, size, fetched_at in rows[:limit]
    ]
    return found, rows[limit - 1][0].id if len(rows) > limit else None


def load_claims(session: Session, project: Project) -> tuple[Contradiction, ...]:
    """What the project says of its openness that its own evidence speaks against."""
    found = load_sets(session, [project], load_inputs(session, [project]))
    return contradictions(found[0])
