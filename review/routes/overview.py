"""The front page: how the index stands at a glance, what is waiting, what the last nights came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from starlette.responses import Response

from db.candidates import count_candidates
from db.disputes import count_open_disputes
from db.matrix import MatrixSort, count_projects, load_matrix, load_totals
from db.opinions import load_asked
from db.overview import Night, load_aftermath, load_nights
from db.questions import load_facets
from db.review_values import QuestionKind, QueueFilter, UserRole
from pipelines.model import Rating, VisitStatus
from review.calls import Call, route, view
from review.charts import Bar, bar_chart, share_bar
from review.paging import address, choice_of, page_of, text_of
from review.templating import words

ROWS = 100
"""Projects on one page of the matrix."""

NIGHTS = 30

SORT_WORDS = {
    MatrixSort.NAME: "name",
    MatrixSort.WAITING: "most questions",
    MatrixSort.OPEN: "most open",
    MatrixSort.CLOSED: "least open",
    MatrixSort.NEWEST: "newest",
}


@view()
def overview(call: Call) -> Response:
    """The index at a glance."""
    session, now, rubric = call.session, call.now, call.context.rubric
    search, sort = text_of(call.query, "search"), choice_of(call.query, "sort", MatrixSort.NAME)
    page = page_of(call.query)
    matrix = load_matrix(session, rubric, now, search=search, sort=sort, limit=ROWS, offset=(page - 1) * ROWS)
    facets = load_facets(session, QueueFilter(), now)
    totals = load_totals(session)
    projects = count_projects(session)
    nights = load_nights(session, NIGHTS)
    curator = call.visitor.name if call.visitor.may(UserRole.CURATOR) else ""
    return call.page(
        "overview.html",
        matrix=matrix,
        search=search,
        sort=sort,
        sorts=SORT_WORDS,
        page=page,
        pages_total=max(1, -(-matrix.total // ROWS)),
        page_address=lambda number: address("/", search=search, sort=sort.value, page=number) + "#matrix",
        projects=projects,
        waiting={kind: facets.kinds.get(kind, 0) for kind in QuestionKind},
        questions=facets.total,
        candidates=count_candidates(session),
        disputes=count_open_disputes(session) if curator else None,
        opinions=len(load_asked(session, curator, call.context.options.second_opinions)) if curator else None,
        totals={
            dimension.id: _totals_bar(dimension.id, dimension.heading, totals.get(dimension.id, {}), projects)
            for dimension in rubric.dimensions
        },
        rated=sum(sum(counts.values()) for counts in totals.values()),
        nights=nights,
        charts=night_charts(nights),
        aftermath=load_aftermath(session, now),
    )


def _totals_bar(dimension: str, heading: str, counts: Mapping[Rating, int], projects: int) -> Markup:
    """How the classes of a dimension share the projects."""
    pieces = [(rating, counts.get(rating, 0)) for rating in (*_SHOWN, Rating.NOT_APPLICABLE)]
    unrated = max(0, projects - sum(number for _, number in pieces))
    says = ", ".join(f"{number} {words(rating)}" for rating, number in pieces)
    return share_bar(
        f"total-{dimension}",
        heading,
        [*((words(rating).replace(" ", "-"), float(number)) for rating, number in pieces), ("none", unrated)],
        f"{says}, {unrated} not rated.",
    )


_SHOWN = (Rating.OPEN, Rating.PARTIAL, Rating.CLOSED)

_READ = (VisitStatus.OK, VisitStatus.UNCHANGED)


def night_charts(nights: Sequence[Night]) -> list[tuple[str, Markup]]:
    """What the last nights came to, a small chart each with its heading."""
    if not nights:
        return []
    days = f"{len(nights)} runs from {nights[0].started_at:%Y-%m-%d} to {nights[-1].started_at:%Y-%m-%d}"
    last = nights[-1]
    read = sum(last.visits[status] for status in _READ)
    visits = [
        Bar(
            label=f"{night.started_at:%Y-%m-%d}: {sum(night.visits[s] for s in _READ)} read,"
            f" {night.visits[VisitStatus.MISSING]} missing, {night.visits[VisitStatus.DENIED]} denied,"
            f" {night.visits[VisitStatus.FAILED]} failed",
            pieces=(
                ("read", sum(night.visits[status] for status in _READ)),
                ("missing", night.visits[VisitStatus.MISSING]),
                ("denied", night.visits[VisitStatus.DENIED]),
                ("failed", night.visits[VisitStatus.FAILED]),
            ),
        )
        for night in nights
    ]
    return [
        (
            "Visits",
            bar_chart(
                "nights-visits",
                "Visits by night",
                visits,
                f"{days}; the last one: {read} read, {last.visits[VisitStatus.FAILED]} failed.",
            ),
        ),
        _simple(nights, "New snapshots", "snapshots", days, [n.new_snapshots for n in nights]),
        _simple(nights, "Questions raised", "questions", days, [n.questions or 0 for n in nights]),
        _simple(nights, "Minutes", "minutes", days, [round((n.seconds or 0.0) / 60, 1) for n in nights]),
    ]


def _simple(
    nights: Sequence[Night], title: str, name: str, days: str, values: Sequence[float]
) -> tuple[str, Markup]:
    bars = [
        Bar(label=f"{night.started_at:%Y-%m-%d}: {value:g}", pieces=(("plain", value),))
        for night, value in zip(nights, values, strict=True)
    ]
    says = f"{days}; the highest {max(values):g}, the last one {values[-1]:g}."
    return title, bar_chart(f"nights-{name}", f"{title} by night", bars, says)


routes = [route("/", overview)]
