"""Projects, ratings, proposals, evidence, candidates and runs for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.exceptions import HTTPException

from db.candidate_row import CandidateStatus
from db.candidates import adopt_candidate, dismiss_candidate, load_candidates, merge_candidate
from db.load import load_evidence, load_run, load_runs
from db.matrix import MatrixSort, ProjectState, load_matrix
from db.project_pages import load_project_page
from db.proposals import load_proposals
from db.ratings import load_ratings
from db.review_values import UserRole
from db.runs import load_slugs
from db.values import StoredCandidate
from pipelines.model import Role
from review.api.asking import asking, errors
from review.api.shapes import (
    CandidateOut,
    CandidatesOut,
    Dimensions,
    EvidenceListOut,
    Given,
    Id,
    Limit,
    Offset,
    ProjectPageOut,
    ProjectsOut,
    ProposalsOut,
    RatingsOut,
    RunOut,
    RunsOut,
    Slug,
    Slugs,
)
from review.api.telling import (
    candidate_out,
    evidence_out,
    project_out,
    project_page_out,
    proposal_out,
    rating_out,
    run_out,
)
from review.calls import Call

router = APIRouter()

MAX_REASON = 2_000

_After = Annotated[str | None, Query(max_length=100, description="Projects after this slug.")]
_Projects = Annotated[int, Query(ge=1, le=100, description="How many projects at most.")]


class AdoptIn(Given):
    """Make a candidate a project, under another slug if one is given."""

    slug: str = Field(default="", max_length=100)
    reason: str = Field(default="", max_length=MAX_REASON)


class MergeIn(Given):
    """Make a candidate an artifact of a project that there is; in the role of its seed entry if none is given."""

    project: str = Field(min_length=1, max_length=100)
    role: Role | None = None
    reason: str = Field(default="", max_length=MAX_REASON)


class DismissIn(Given):
    """Turn a candidate down for good."""

    reason: str = Field(min_length=1, max_length=MAX_REASON)


def _some(
    call: Call, projects: list[str] | None, after: str | None, limit: int
) -> tuple[list[str], str | None]:
    """The slugs of the next projects, and where to go on. Raises UsageError for an unknown one."""
    slugs = [slug for slug in load_slugs(call.session, projects) if after is None or slug > after]
    return slugs[:limit], slugs[limit - 1] if len(slugs) > limit else None


@router.get("/ratings", tags=["ratings"], responses=errors())
def read_ratings(
    request: Request,
    project: Slugs = None,
    dimension: Dimensions = None,
    limit: _Projects = 50,
    after: _After = None,
) -> RatingsOut:
    """The published ratings, project by project."""
    with asking(request) as call:
        slugs, following = _some(call, project, after, limit)
        found = load_ratings(call.session, slugs)
    items = [
        rating_out(slug, name, rating)
        for (slug, name), rating in found.items()
        if not dimension or name in dimension
    ]
    return RatingsOut(items=items, next=following)


@router.get("/proposals", tags=["ratings"], responses=errors())
def read_proposals(
    request: Request,
    project: Slugs = None,
    dimension: Dimensions = None,
    limit: Annotated[int, Query(ge=1, le=25, description="How many projects at most.")] = 10,
    after: _After = None,
) -> ProposalsOut:
    """What the rules say now, with evidence and findings, project by project."""
    with asking(request) as call:
        slugs, following = _some(call, project, after, limit)
        found = load_proposals(call.session, slugs=slugs, dimensions=dimension or None)
        return ProposalsOut(items=[proposal_out(item) for item in found], next=following)


@router.get("/projects", tags=["projects"], responses=errors())
def read_projects(
    request: Request,
    search: Annotated[str, Query(max_length=200, description="Words in slug, name or maker.")] = "",
    org: Annotated[str | None, Query(max_length=300, description="Of this maker.")] = None,
    state: ProjectState = ProjectState.ACTIVE,
    sort: MatrixSort = MatrixSort.NAME,
    limit: Limit = 100,
    offset: Offset = 0,
) -> ProjectsOut:
    """Projects with their classes."""
    with asking(request) as call:
        found = load_matrix(
            call.session,
            call.context.rubric,
            call.now,
            search=search,
            org=org,
            state=state,
            sort=sort,
            limit=limit,
            offset=offset,
        )
    return ProjectsOut(total=found.total, items=[project_out(row) for row in found.rows])


@router.get("/projects/{slug}", tags=["projects"], responses=errors(404))
def read_project(request: Request, slug: Slug) -> ProjectPageOut:
    """A project with its artifacts, how their visits ended, and its ratings."""
    with asking(request) as call:
        page = load_project_page(call.session, slug)
        if page is None:
            raise HTTPException(404, "There is no such project.")
        return project_page_out(page)


@router.get("/projects/{slug}/evidence", tags=["projects"], responses=errors(404))
def read_evidence(
    request: Request,
    slug: Slug,
    kind: Annotated[
        list[Annotated[str, Field(max_length=60)]] | None,
        Query(max_length=50, description="Only these kinds of evidence."),
    ] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> EvidenceListOut:
    """The evidence in what stands of a project's artifacts, in a fixed order."""
    with asking(request) as call:
        page = load_project_page(call.session, slug)
        if page is None:
            raise HTTPException(404, "There is no such project.")
        refs = [artifact.ref for artifact in page.project.artifacts]
        found = load_evidence(call.session, dict.fromkeys(refs), kind or None)
    return EvidenceListOut(
        total=len(found), items=[evidence_out(item) for item in found[offset : offset + limit]]
    )


@router.get("/candidates", tags=["candidates"], responses=errors())
def read_candidates(
    request: Request,
    status: Annotated[list[CandidateStatus] | None, Query(max_length=10)] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> CandidatesOut:
    """The candidates with one of the statuses, or all of them."""
    with asking(request) as call:
        found = load_candidates(call.session, status or None)
    return CandidatesOut(
        total=len(found), items=[candidate_out(item) for item in found[offset : offset + limit]]
    )


def _candidate(call: Call, number: int) -> str:
    """How the functions of `db` are told which candidate. HTTPException 404 for one that is not there."""
    if not any(item.id == number for item in load_candidates(call.session)):
        raise HTTPException(404, "There is no such candidate, or it is in the seeds by now.")
    return str(number)


def _done(call: Call, action: str, item: StoredCandidate) -> CandidateOut:
    subject = item.slug or str(item.candidate.ref)
    call.record(action, subject, candidate=item.id, artifact=str(item.candidate.ref), reason=item.reason)
    return candidate_out(item)


@router.post("/candidates/{candidate}/adopt", tags=["candidates"], responses=errors(404, 409))
def adopt(request: Request, candidate: Id, given: AdoptIn) -> CandidateOut:
    """Make a candidate a project."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        done = adopt_candidate(
            call.session,
            _candidate(call, candidate),
            curator=call.visitor.name,
            now=call.now,
            slug=given.slug,
            reason=given.reason,
        )
        return _done(call, "candidate-adopted", done)


@router.post("/candidates/{candidate}/merge", tags=["candidates"], responses=errors(404, 409))
def merge(request: Request, candidate: Id, given: MergeIn) -> CandidateOut:
    """Make a candidate one more artifact of a project that there is."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        done = merge_candidate(
            call.session,
            _candidate(call, candidate),
            slug=given.project,
            curator=call.visitor.name,
            now=call.now,
            role=given.role,
            reason=given.reason,
        )
        return _done(call, "candidate-merged", done)


@router.post("/candidates/{candidate}/dismiss", tags=["candidates"], responses=errors(404, 409))
def dismiss(request: Request, candidate: Id, given: DismissIn) -> CandidateOut:
    """Turn a candidate down for good."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        done = dismiss_candidate(
            call.session,
            _candidate(call, candidate),
            curator=call.visitor.name,
            reason=given.reason,
            now=call.now,
        )
        return _done(call, "candidate-dismissed", done)


@router.get("/runs", tags=["runs"], responses=errors())
def read_runs(
    request: Request,
    kind: Annotated[list[Annotated[str, Field(max_length=40)]] | None, Query(max_length=10)] = None,
    limit: Limit = 50,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Runs before this number.")] = None,
) -> RunsOut:
    """The runs, newest first, without their reports."""
    with asking(request) as call:
        found = load_runs(call.session, kinds=kind or None, limit=limit + 1, before_id=before)
    return RunsOut(
        items=[run_out(run, with_report=False) for run in found[:limit]],
        next=found[limit - 1].id if len(found) > limit else None,
    )


@router.get("/runs/{run}", tags=["runs"], responses=errors(404))
def read_run(request: Request, run: Id) -> RunOut:
    """A run with its report."""
    with asking(request) as call:
        found = load_run(call.session, run)
        if found is None:
            raise HTTPException(404, "There is no such run.")
        return run_out(found, with_report=True)
