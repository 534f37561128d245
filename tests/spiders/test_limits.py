"""What a host may take of time, memory and manners, however it answers."""

from __future__ import annotations

import gzip
import itertools
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipelines.model import VisitStatus
from spiders.middlewares import UnreadableBody, gunzip

OK, MISSING, FAILED = VisitStatus.OK, VisitStatus.MISSING, VisitStatus.FAILED


def endless_headers(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        handler.wfile.write(b"X-Filler-%d: %s\r\n" % (number, b"x" * 500))


def endless_line(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    for _ in range(20_000):
        handler.wfile.write(b"x" * 10_000)


def endless_interim_answers(handler: Any) -> None:
    for _ in range(2_000_000):
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")


def endless_trailers(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
    for number in range(200_000):
        handler.wfile.write(b"X-Filler-%d: %s\r\n" % (number, b"x" * 500))


def endless_not_found(handler: Any) -> None:
    handler.send_response(404)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    for _ in range(100_000):
        handler.wfile.write(b"nothing here " * 1000)


@pytest.fixture(scope="module")
def read(helpers: Any, new_site: Callable[[], Any]) -> Any:
    site = new_site()
    page = helpers.article("Weights and data")
    site.routes["/endless-headers"] = endless_headers
    site.routes["/endless-line"] = endless_line
    site.routes["/endless-interim"] = endless_interim_answers
    site.routes["/endless-trailers"] = endless_trailers
    site.routes["/endless-404"] = endless_not_found
    headers = {f"X_Many_{number}": "x" * 100 for number in range(90)}
    site.page("/many-headers", page, **headers)
    site.page("/own-status", page, status=404, X_Openness_Status="200")
    site.page("/broken-404", b"no gzip at all", status=404, Content_Encoding="gzip")
    site.page("/404-that-leads-on", '<meta http-equiv="refresh" content="0; url=/many-headers">', status=404)
    site.page("/bomb-gzip", gzip.compress(b"a" * 30_000_000), Content_Encoding="gzip")
    site.page("/bomb-deflate", zlib.compress(b"a" * 30_000_000), Content_Encoding="deflate")
    site.page("/bomb-twice", gzip.compress(gzip.compress(b"a" * 30_000_000)), Content_Encoding="gzip, gzip")
    site.page("/bomb-thrice", page, Content_Encoding="gzip, gzip, gzip")
    site.page("/bomb-brotli", b"\xcf\xff\xff\xff", Content_Encoding="br")
    site.page("/bomb-zstd", b"(\xb5/\xfd", Content_Encoding="zstd")
    site.page("/cookies", page, Set_Cookie="session=tracked; Path=/", WWW_Authenticate="Basic realm=x")
    site.routes["/cookies-on-the-way"] = lambda handler: handler.answer(
        302, Location="/cookies", Set_Cookie="session=tracked; Path=/"
    )
    site.page(
        "/with-much-beside-it",
        page + "<script src=/s.js></script><link rel=stylesheet href=/c.css><link rel=preload href=/p.js>"
        "<iframe src=/i.html></iframe><img src=/i.png><object data=/o></object><form action=/f></form>"
        "<script>fetch('/x')</script><base href=http://127.0.0.1/>",
    )
    started = time.monotonic()
    source = helpers.source(
        allow_private_hosts=frozenset([site.place]), limits=replace(helpers.FAST, timeout=10, deadline=60)
    )
    visits = helpers.visit_all(source, *(site.base + path for path in site.routes))
    return {
        "visits": {url.removeprefix(site.base): visit for url, visit in visits.items()},
        "site": site,
        "seconds": time.monotonic() - started,
        "bytes": source.usage.bytes,
    }


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/endless-headers", FAILED, "too large: the headers do not end"),
        ("/endless-line", FAILED, ""),
        ("/endless-interim", FAILED, "too large: the headers do not end"),
        ("/endless-trailers", FAILED, ""),
        ("/endless-404", MISSING, "answered 404 Not Found"),
        ("/many-headers", OK, ""),
        ("/own-status", MISSING, "answered 404 Not Found"),
        ("/broken-404", MISSING, "answered 404 Not Found"),
        ("/404-that-leads-on", MISSING, "answered 404 Not Found"),
        ("/bomb-gzip", FAILED, "too large once unpacked"),
        ("/bomb-deflate", FAILED, "too large once unpacked"),
        ("/bomb-twice", FAILED, "too large once unpacked"),
        ("/bomb-thrice", FAILED, "packed in a way that was not asked for"),
        ("/bomb-brotli", FAILED, "packed in a way that was not asked for"),
        ("/bomb-zstd", FAILED, "packed in a way that was not asked for"),
    ],
)
def test_an_answer_without_end_ends(read: Any, path: str, status: VisitStatus, reason: str) -> None:
    visit = read["visits"][path]
    assert visit.status is status
    assert visit.reason.startswith(reason)


def test_it_ends_soon_and_little_is_read(read: Any) -> None:
    assert read["seconds"] < 20
    assert read["bytes"] < 2_000_000


def test_no_cookie_is_kept_and_no_header_sent_that_names_anybody(read: Any) -> None:
    assert read["visits"]["/cookies"].status is read["visits"]["/cookies-on-the-way"].status is OK
    usual = {"host", "user-agent", "accept", "accept-language", "accept-encoding", "connection"}
    for seen in read["site"].seen:
        assert seen.headers.keys() <= usual, seen


def test_nothing_is_fetched_that_a_page_would_load(read: Any) -> None:
    assert read["visits"]["/with-much-beside-it"].status is OK
    wanted = {*read["site"].routes, "/robots.txt"}
    assert {seen.path for seen in read["site"].seen} == wanted


def test_a_body_of_countless_empty_members_is_not_unpacked() -> None:
    with pytest.raises(UnreadableBody, match="too many pieces"):
        gunzip(gzip.compress(b"") * 100_000, 1000)


class TestFromOneWorkerToTheNext:
    """A night starts a worker for every round of links: hosts are not asked anew what they have said."""

    def test_robots_are_asked_for_once_and_a_crawl_delay_holds(
        self, helpers: Any, new_site: Callable[[], Any]
    ) -> None:
        site, bare = new_site(), new_site()
        rules = "User-agent: *\nDisallow: /private\nCrawl-delay: 1.5\n"
        site.page("/robots.txt", rules, Content_Type="text/plain")
        for path in ("/1", "/2", "/private/3"):
            site.page(path, helpers.article("A page"))
        bare.page("/1", helpers.article("A page"))
        # Two names of this machine: a distance is kept from a host, whatever its port.
        elsewhere = bare.base.replace("127.0.0.1", "localhost")
        allowed = frozenset([site.place, elsewhere.removeprefix("http://")])
        source = helpers.source(allow_private_hosts=allowed)
        first = helpers.visit_all(source, site.base + "/1", elsewhere + "/1")
        second = helpers.visit_all(source, site.base + "/2", site.base + "/private/3", elsewhere + "/1")
        assert {visit.status for visit in first.values()} == {OK}
        assert [visit.status for visit in second.values()].count(VisitStatus.DENIED) == 1
        assert len(site.asked("/robots.txt")) == len(bare.asked("/robots.txt")) == 1
        assert not site.asked("/private/3")
        assert len(bare.asked("/1")) == 2
        (one,), (two,) = site.asked("/1"), site.asked("/2")
        assert two.at - one.at > 1.45

    def test_robots_that_could_not_be_read_are_asked_for_again(
        self, helpers: Any, new_site: Callable[[], Any]
    ) -> None:
        site = new_site()
        site.page("/robots.txt", "", status=500)
        site.page("/1", helpers.article("A page"))
        source = helpers.source(allow_private_hosts=frozenset([site.place]))
        (first,) = helpers.visit_all(source, site.base + "/1").values()
        site.page("/robots.txt", "User-agent: *\nAllow: /\n")
        (second,) = helpers.visit_all(source, site.base + "/1").values()
        assert (first.status, second.status) == (FAILED, OK)

    def test_a_host_that_asked_to_wait_is_left_alone(self, helpers: Any, new_site: Callable[[], Any]) -> None:
        site = new_site()
        site.page("/1", "", status=429, Retry_After="3600")
        site.page("/2", helpers.article("A page"))
        source = helpers.source(allow_private_hosts=frozenset([site.place]))
        (first,) = helpers.visit_all(source, site.base + "/1").values()
        (second,) = helpers.visit_all(source, site.base + "/2").values()
        assert first.reason == "answered 429 Too Many Requests"
        assert second.status is FAILED
        assert "the host asks to wait 3" in second.reason
        assert not site.asked("/2")


def test_a_delay_is_kept_between_the_pages_of_a_host(helpers: Any, new_site: Callable[[], Any]) -> None:
    site = new_site()
    for path in ("/1", "/2", "/3"):
        site.page(path, helpers.article("A page"))
    source = helpers.source(
        allow_private_hosts=frozenset([site.place]),
        limits=replace(helpers.FAST, delay=0.3, per_host=1, timeout=10),
    )
    visits = helpers.visit_all(source, *(site.base + path for path in site.routes))
    assert {visit.status for visit in visits.values()} == {OK}
    # The delay is varied by half: never less than 0.15 s.
    times = [seen.at for seen in site.seen]
    assert all(later - earlier > 0.14 for earlier, later in itertools.pairwise(times))
