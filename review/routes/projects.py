"""Projects: the list, the page of one with all that is known of it, and having it visited again."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.disputes import load_disputes
from db.matrix import MatrixSort, ProjectState, load_matrix, load_orgs
from db.project_pages import PastVisit, ProjectPage, load_claims, load_past_visits, load_project_page
from db.review_values import UserRole
from db.rows import parse_ref
from db.timeline import Place, load_timeline
from review.calls import Call, route, view
from review.paging import address, choice_of, number_of, page_of, text_of
from review.routes.overview import SORT_WORDS

ROWS = 50
EVENTS = 40
VISITS = 50
MAKERS = 300
"""Makers that the list offers to choose from; others are found by their name."""


@view()
def project_list(call: Call) -> Response:
    """All projects, searched and ordered."""
    search, org = text_of(call.query, "search"), text_of(call.query, "org")
    sort = choice_of(call.query, "sort", MatrixSort.NAME)
    state = choice_of(call.query, "state", ProjectState.ACTIVE)
    page = page_of(call.query)
    found = load_matrix(
        call.session,
        call.context.rubric,
        call.now,
        search=search,
        org=org or None,
        state=state,
        sort=sort,
        limit=ROWS,
        offset=(page - 1) * ROWS,
    )
    return call.page(
        "projects.html",
        found=found,
        search=search,
        org=org,
        orgs=load_orgs(call.session)[:MAKERS],
        sort=sort,
        sorts=SORT_WORDS,
        state=state,
        states=tuple(ProjectState),
        page=page,
        pages_total=max(1, -(-found.total // ROWS)),
        page_address=lambda number: address(
            "/projects", search=search, org=org, sort=sort.value, state=state.value, page=number
        ),
    )


@view()
def project_page(call: Call) -> Response:
    """One project."""
    page = found_project(call)
    slug = page.project.slug
    ref = parse_ref(text_of(call.query, "artifact", 2_100))
    visits: list[PastVisit] = []
    older_visits = None
    if ref is not None:
        visits, older_visits = load_past_visits(
            call.session, slug, ref, limit=VISITS, before_id=number_of(call.query, "visits_before")
        )
    after = Place.parse(text_of(call.query, "after"))
    events, older_events = load_timeline(call.session, page.id, limit=EVENTS, after=after)
    may_see_disputes = call.visitor.may(UserRole.CURATOR)
    return call.page(
        "project.html",
        page=page,
        project=page.project,
        cells=[page.cells[d] for d in call.context.rubric.dimension_ids if d in page.cells],
        claims=load_claims(call.session, page.project),
        disputes=load_disputes(call.session, slugs=[slug], limit=20) if may_see_disputes else [],
        chosen=ref,
        visits=visits,
        older_visits=address(f"/projects/{slug}", artifact=ref, visits_before=older_visits) + "#visits"
        if older_visits
        else "",
        events=events,
        is_first=after is None,
        older_events=address(f"/projects/{slug}", after=older_events) + "#timeline" if older_events else "",
        may_decide=call.visitor.may(UserRole.CURATOR),
        may_visit=call.context.start_visit is not None,
    )


def found_project(call: Call) -> ProjectPage:
    """The project that the address names. Raises HTTPException 404 when there is none."""
    page = load_project_page(call.session, call.path["slug"])
    if page is None:
        raise HTTPException(404, "There is no such project.")
    return page


@view(role=UserRole.CURATOR, write=True)
def visit_again(call: Call) -> Response:
    """Have a project visited again, in the background."""
    page = found_project(call)
    slug = page.project.slug
    if not page.is_active:
        raise HTTPException(409, "A retired project is not visited.")
    if call.context.start_visit is None:
        raise HTTPException(503, "Visits cannot be started from here: openness crawl in a terminal.")
    said = call.context.start_visit(slug, call.visitor.name)
    call.record("visit-requested", slug, said=said)
    return call.redirect(f"/projects/{slug}", said=said)


routes = [
    route("/projects", project_list),
    route("/projects/{slug}", project_page),
    route("/projects/{slug}/visit", visit_again),
]
