"""What may be over in a moment is asked for again, what is not is asked once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.model import VisitStatus

OK, FAILED, MISSING = VisitStatus.OK, VisitStatus.FAILED, VisitStatus.MISSING


def cut_off(handler: Any) -> None:
    handler.raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<html>half a page"
    )


def hang_up(handler: Any) -> None:
    handler.raw(b"")


def say_nothing(handler: Any) -> None:
    handler.server.stopped.wait(3)
    handler.raw(b"")


def says(status: int) -> Callable[[Any], None]:
    return lambda handler: handler.answer(status, b"", Content_Type="text/html")


class Troubled:
    """A route that answers in the given ways, one after the other, and then with a page."""

    def __init__(self, article: str, *ways: Callable[[Any], None]) -> None:
        self._page = article.encode()
        self._ways = list(ways)

    def __call__(self, handler: Any) -> None:
        if self._ways:
            self._ways.pop(0)(handler)
        else:
            handler.answer(200, self._page, Content_Type="text/html; charset=utf-8")


CASES = {
    # path: (what the server does before it gives the page, status, requests)
    "/500-502": ((says(500), says(502)), OK, 3),
    "/504-cut": ((says(504), cut_off), OK, 3),
    "/hung-up": ((hang_up, hang_up), OK, 3),
    "/503": ((says(503),), OK, 2),
    "/silent": ((say_nothing,), OK, 2),
    "/silent-twice": ((say_nothing, say_nothing), FAILED, 2),
    "/429-twice": ((says(429), says(429)), FAILED, 2),
    "/501": ((says(501),), FAILED, 1),
    "/404": ((says(404),), MISSING, 1),
    "/ever": ((says(500),) * 9, FAILED, 3),
}


@pytest.fixture(scope="module")
def run(helpers: Any, new_site: Callable[[], Any]) -> dict[str, tuple[Any, int]]:
    """Every case on a site of its own: the visit, and how often the page was asked for."""
    sites = {path: new_site() for path in CASES}
    for path, (ways, _, _) in CASES.items():
        sites[path].routes[path] = Troubled(helpers.article("At last"), *ways)
    source = helpers.source(allow_private_hosts=frozenset(site.place for site in sites.values()))
    visits = helpers.visit_all(source, *(site.base + path for path, site in sites.items()))
    return {path: (visits[site.base + path], len(sites[path].asked(path))) for path, site in sites.items()}


@pytest.mark.parametrize("path", CASES)
def test_a_page_is_asked_for_again_as_often_as_it_helps(run: dict[str, tuple[Any, int]], path: str) -> None:
    visit, asked = run[path]
    assert (visit.status, asked) == CASES[path][1:]


def test_robots_are_asked_for_again_too(helpers: Any, new_site: Callable[[], Any]) -> None:
    site = new_site()
    rules = [says(500), hang_up, lambda handler: handler.answer(200, b"User-agent: *\nDisallow: /no\n")]
    site.routes["/robots.txt"] = lambda handler: rules.pop(0)(handler)
    for path in ("/yes", "/no"):
        site.page(path, helpers.article("A page"))
    source = helpers.source(allow_private_hosts=frozenset([site.place]))
    visits = helpers.visit_all(source, site.base + "/yes", site.base + "/no")
    assert visits[site.base + "/yes"].status is OK
    assert visits[site.base + "/no"].status is VisitStatus.DENIED
    assert len(site.asked("/robots.txt")) == 3


def test_a_host_that_never_gets_better_is_not_tried_for_every_page(
    helpers: Any, new_site: Callable[[], Any]
) -> None:
    site = new_site()
    paths = [f"/{number}" for number in range(12)]
    for path in paths:
        site.page(path, "", status=502)
    limits = helpers.FAST.__class__(
        **{name: getattr(helpers.FAST, name) for name in helpers.FAST.__slots__} | {"per_host": 1}
    )
    source = helpers.source(allow_private_hosts=frozenset([site.place]), limits=limits)
    began = time.monotonic()
    visits = helpers.visit_all(source, *(site.base + path for path in paths))
    assert {visit.reason for visit in visits.values()} == {"answered 502 Bad Gateway"}
    assert sum(len(site.asked(path)) for path in paths) < 24
    assert time.monotonic() - began < 20
