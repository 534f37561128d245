"""The queue: what is asked, grouped by project, in the order in which a curator gains most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response

from db.gain import gain_at
from db.questions import load_facets, load_page
from db.review_values import QueueItem, Sort, UserRole
from review.calls import Call, route, view
from review.last_decision import last_decision
from review.queue_query import QueueQuery, queue_query
from review.templating import words

PAGE = 50
"""Questions on a page."""

SORT_WORDS = {
    Sort.GAIN: "what is gained",
    Sort.AGE: "longest waiting",
    Sort.CONFIDENCE: "surest",
    Sort.CHANGE: "biggest change",
    Sort.PROJECT: "project",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The questions of a page that are about one project."""

    slug: str
    project: str
    org: str
    items: tuple[QueueItem, ...]


def _grouped(items: Iterable[QueueItem]) -> list[Group]:
    """By project, each where its first question stands."""
    found: dict[str, list[QueueItem]] = {}
    for item in items:
        found.setdefault(item.slug, []).append(item)
    return [
        Group(slug=slug, project=some[0].project, org=some[0].org, items=tuple(some))
        for slug, some in found.items()
    ]


@view()
def queue(call: Call) -> Response:
    """A page of the queue."""
    asked = queue_query(call.query, call.context.rubric)
    found = load_page(call.session, asked.filter, call.now, sort=asked.sort, limit=PAGE, after=asked.after)
    return call.page(
        "queue.html",
        asked=asked,
        groups=_grouped(found.items),
        total=found.total,
        shown=len(found.items),
        next=None if found.next is None else asked.address("/queue", after=found.next),
        chosen=_chosen(asked),
        sort_words=SORT_WORDS,
        gain_at=gain_at,
        may_decide=call.visitor.may(UserRole.CURATOR),
        last=last_decision(call),
    )


@view()
def selection(call: Call) -> Response:
    """The form that narrows the queue, with how many questions there are of each sort."""
    asked = queue_query(call.query, call.context.rubric)
    return call.page(
        "queue_selection.html",
        asked=asked,
        facets=load_facets(call.session, asked.filter, call.now),
        sort_words=SORT_WORDS,
        may_decide=call.visitor.may(UserRole.CURATOR),
    )


def _chosen(asked: QueueQuery) -> list[tuple[str, str]]:
    """What restricts, in words, each with the address without it."""
    filters = asked.filter
    told = {
        "dimensions": ", ".join(filters.dimensions),
        "kinds": ", ".join(words(kind) for kind in filters.kinds),
        "ratings": ", ".join(rating.value.replace("_", " ") for rating in filters.ratings),
        "orgs": ", ".join(filters.orgs),
        "slugs": ", ".join(filters.slugs),
        "change": (filters.change or "").replace(">", " → ").replace("_", " "),
        "min_confidence": f"at least {filters.min_confidence:g}" if filters.min_confidence else "",
    }
    return [(words, asked.without(name).address("/queue")) for name, words in told.items() if words]


routes = [route("/queue", queue), route("/queue/selection", selection)]
