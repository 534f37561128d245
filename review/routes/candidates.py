"""Candidates: what discovery has found, and what a curator makes of each."""

from __future__ import annotations

from starlette.responses import Response

from db.candidate_row import CandidateStatus
from db.candidates import (
    adopt_candidate,
    count_candidates,
    dismiss_candidate,
    load_candidates,
    merge_candidate,
)
from db.review_values import UserRole
from pipelines.candidates import HUB
from pipelines.errors import UsageError
from pipelines.model import Role
from pipelines.seeds import dump_seeds
from review.calls import Call, FormProblem, conflict_status, route, view
from review.paging import address, page_of, text_of

ROWS = 25
ALL = "all"
MAX_REASON = 2_000


def _list(call: Call, *, status_code: int = 200, problem: str = "") -> Response:
    status = text_of(call.query, "status") or CandidateStatus.OPEN.value
    known = [value.value for value in CandidateStatus]
    status = status if status in (*known, ALL) else CandidateStatus.OPEN.value
    found = load_candidates(call.session, None if status == ALL else [CandidateStatus(status)])
    page = page_of(call.query)
    shown = found[(page - 1) * ROWS : page * ROWS]
    return call.page(
        "candidates.html",
        status=status_code,
        chosen=status,
        statuses=[*known, ALL],
        waiting=count_candidates(call.session),
        shown=[(item, dump_seeds([item.candidate.seed])) for item in shown],
        hub=HUB,
        roles=[role.value for role in Role],
        problem=problem,
        page_number=page,
        pages_total=max(1, -(-len(found) // ROWS)),
        total=len(found),
        page_address=lambda number: address("/candidates", status=status, page=number),
        may_decide=call.visitor.may(UserRole.CURATOR),
    )


@view()
def candidate_list(call: Call) -> Response:
    """The candidates that wait, or those decided upon."""
    return _list(call)


def _refused(call: Call, error: UsageError) -> Response:
    return _list(call, status_code=conflict_status(error), problem=str(error))


def _reason(call: Call) -> str:
    reason = call.form.get("reason", "").strip()
    if len(reason) > MAX_REASON:
        raise FormProblem(f"a reason has at most {MAX_REASON} characters")
    return reason


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def adopt(call: Call) -> Response:
    """Make a candidate a project."""
    done = adopt_candidate(
        call.session,
        str(call.path["id"]),
        curator=call.visitor.name,
        now=call.now,
        slug=call.form.get("slug", "").strip(),
        reason=_reason(call),
    )
    call.record("candidate-adopted", done.slug, candidate=done.id, artifact=str(done.candidate.ref))
    return call.redirect(
        f"/projects/{done.slug}/seed", said=f"{done.slug} is a project now. Put its entry into the seed file."
    )


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def dismiss(call: Call) -> Response:
    """Turn a candidate down for good."""
    done = dismiss_candidate(
        call.session,
        str(call.path["id"]),
        curator=call.visitor.name,
        reason=_reason(call),
        now=call.now,
    )
    call.record(
        "candidate-dismissed", str(done.candidate.ref), candidate=done.id, reason=done.reason, slug=done.slug
    )
    return call.redirect("/candidates", said=f"{done.candidate.ref.id} is dismissed and does not come back.")


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def merge(call: Call) -> Response:
    """Make a candidate one more artifact of a project that there is."""
    role = call.form.get("role", "")
    done = merge_candidate(
        call.session,
        str(call.path["id"]),
        slug=call.form.get("project", "").strip(),
        curator=call.visitor.name,
        now=call.now,
        role=Role(role) if role in tuple(Role) else None,
        reason=_reason(call),
    )
    call.record("candidate-merged", done.slug, candidate=done.id, artifact=str(done.candidate.ref), role=role)
    return call.redirect(
        f"/projects/{done.slug}/seed",
        said=f"{done.candidate.ref.id} belongs to {done.slug} now. Put it into the seed file, too.",
    )


routes = [
    route("/candidates", candidate_list),
    route("/candidates/{id:int}/adopt", adopt),
    route("/candidates/{id:int}/dismiss", dismiss),
    route("/candidates/{id:int}/merge", merge),
]
