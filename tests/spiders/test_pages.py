"""Every way a page can end, read by one worker from servers on loopback."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.model import Visit, VisitStatus, digest_bytes

if TYPE_CHECKING:
    from crawler.sources.web import WebSource

OK, UNCHANGED = VisitStatus.OK, VisitStatus.UNCHANGED
MISSING, DENIED, FAILED = VisitStatus.MISSING, VisitStatus.DENIED, VisitStatus.FAILED


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        if handler.server.stopped.wait(0.1):
            return
        handler.wfile.write(b"x")
        handler.wfile.flush()


def hang(handler: Any) -> None:
    handler.server.stopped.wait(20)


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b"x" * 10_000)


def reset(handler: Any) -> None:
    import socket

    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def echo_conditions(handler: Any) -> None:
    if handler.headers.get("If-None-Match") == '"v1"':
        handler.answer(304)
    else:
        handler.answer(200, b"<p>You sent no condition, but you did get a page</p>", Content_Type="text/html")


def slow_robots(handler: Any) -> None:
    time.sleep(0.3)
    handler.answer(200, b"User-agent: *\nDisallow: /private\nAllow: /\n", Content_Type="text/plain")


@dataclass
class Run:
    visits: dict[str, Visit]
    site: Any
    base: str
    source: WebSource
    extra: dict[str, Any]

    def __getitem__(self, path: str) -> Visit:
        return self.visits[path if path.startswith("http") else self.base + path]


@pytest.fixture(scope="module")
def run(helpers: Any, new_site: Callable[[], Any]) -> Run:
    site = new_site()
    page = helpers.article("Weights and data")
    body = page.encode()
    site.page("/page", page, ETag='"v1"', Last_Modified="Mon, 06 May 2024 07:00:00 GMT")
    site.page(
        "/hostile-headers", page, ETag='"' + "e" * 9000 + '"', Content_Type="text/html; charset=\x1b[31m"
    )
    site.routes["/conditional"] = echo_conditions
    site.routes["/unasked-304"] = lambda handler: handler.answer(304)
    site.page("/same-bytes", page)
    site.page("/gone", "", status=410)
    for status in (401, 403, 451, 418, 500, 202, 204, 206):
        site.page(f"/status-{status}", "<p>no</p>" if status != 204 else "", status=status)
    site.redirect("/members", "/login?next=/members")
    site.page("/login", "<form>Your name and password, please</form>")
    site.page("/wall", "<title>Just a moment...</title><p>Verify you are human to continue</p>")
    site.page("/scripted", '<div id="app"></div><script src="app.js"></script>')
    site.page("/pdf", b"%PDF-1.7" + b"x" * 100_000, Content_Type="application/pdf")
    site.routes["/endless-zip"] = lambda handler: (
        handler.send_response(200),
        handler.send_header("Content-Type", "application/zip"),
        handler.end_headers(),
        [handler.wfile.write(b"x" * 10_000) for _ in range(100_000)],
    )
    site.page("/announced-too-large", "x" * 300_000)
    site.routes["/endless"] = endless
    site.page("/bomb", helpers.packed("a" * 50_000_000), Content_Encoding="gzip")
    site.page("/packed", helpers.packed(page), Content_Encoding="gzip")
    site.page("/packed-cut", helpers.packed(page)[:-20], Content_Encoding="gzip")
    site.page("/packed-oddly", b"....", Content_Encoding="br")
    site.routes["/truncated"] = lambda handler: handler.raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n" + body[:100]
    )
    site.routes["/truncated-chunks"] = lambda handler: handler.raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )
    site.routes["/drip"] = drip
    site.routes["/hang"] = hang
    site.routes["/reset"] = reset
    site.routes["/not-http"] = lambda handler: handler.raw(b"\x00\xff\xfe SSH-2.0 \r\n\r\n\r\n")
    site.redirect("/moved", "/moved-again", status=301)
    site.redirect("/moved-again", "page#weights", status=308)
    site.page("/refresh", '<meta http-equiv="refresh" content="0; url=/page"><p>moved</p>')
    site.redirect("/loop", "/loop")
    site.redirect("/to-file", "file:///etc/passwd")
    site.redirect("/to-metadata", "http://169.254.169.254/latest/meta-data/")
    site.redirect("/to-private", "http://10.0.0.1/")
    site.redirect("/to-odd", "http://2130706433/")
    site.redirect("/to-v6", "http://[::1]/")
    site.redirect("/to-port", "https://quillfeather.example:6379/")
    site.redirect("/to-user", "http://user:hunter2@quillfeather.example/")
    site.redirect("/to-broken", "http://[::1")
    site.redirect("/to-long", "/" + "x" * 5000)
    site.routes["/no-location"] = lambda handler: handler.answer(302)

    forbidding, broken, wandering, other = (new_site() for _ in range(4))
    forbidding.routes["/robots.txt"] = slow_robots
    broken.page("/robots.txt", "User-agent: *\nAllow: /\n", status=503)
    broken.page("/page", page)
    wandering.redirect("/robots.txt", f"{forbidding.base}/robots.txt")
    wandering.page("/page", page)
    wandering.page("/private", page)
    other.page("/robots.txt", "User-agent: *\nDisallow: /\n", status=404)
    other.page("/page", page, ETag='"v1"')
    site.redirect("/to-forbidden", f"{forbidding.base}/private/x")
    for i in range(16):
        forbidding.page(f"/private/{i}", page)
        forbidding.page(f"/public/{i}", page)

    # A port at which nobody listens: bound once, closed again.
    empty = new_site()
    nobody = empty.place
    empty.server_close()

    web = helpers.web
    requests = [
        *(
            site.base + path
            for path in site.routes
            if path not in ("/conditional", "/same-bytes", "/login", "/moved-again")
        ),
        site.base + "/absent",
        web(site.base + "/conditional", etag='"v1"', sha256="0" * 64),
        web(site.base + "/same-bytes", sha256=digest_bytes(body)),
        web(site.base + "/page#with-a-hostile-validator", etag='"v1"\r\nX-Injected: yes', sha256="0" * 64),
        *(f"{forbidding.base}/private/{i}" for i in range(16)),
        *(f"{forbidding.base}/public/{i}" for i in range(16)),
        broken.base + "/page",
        wandering.base + "/page",
        wandering.base + "/private",
        other.base + "/page",
        f"http://{nobody}/page",
        "http://127.0.0.1:1/page",
        "https://" + site.place + "/page",
        "http://me:hunter2@quillfeather.example/",
        "not an address",
        "",
    ]
    sites = (site, forbidding, broken, wandering, other)
    allowed = frozenset([*(one.place for one in sites), nobody])
    source = helpers.source(allow_private_hosts=allowed)
    visits = helpers.visit_all(source, *requests)
    extra = {
        "forbidding": forbidding,
        "broken": broken,
        "wandering": wandering,
        "other": other,
        "nobody": nobody,
    }
    return Run(
        visits=visits, site=site, base=site.base, source=source, extra={**extra, "body": body, "sites": sites}
    )


def test_a_page_is_captured_with_its_validators(run: Run, helpers: Any) -> None:
    visit = run["/page"]
    assert (visit.status, visit.http_status, visit.url, visit.part) == (OK, 200, run.base + "/page", "page")
    assert visit.at == helpers.NOW
    assert visit.capture is not None
    assert visit.capture.body == run.extra["body"]
    assert visit.capture.media_type == "text/html; charset=utf-8"
    assert visit.capture.etag == '"v1"'
    assert visit.capture.last_modified == "Mon, 06 May 2024 07:00:00 GMT"
    assert run.site.asked("/page")[0].headers["user-agent"] == helpers.AGENT


def test_hostile_headers_are_not_stored_and_hostile_validators_not_sent(run: Run) -> None:
    capture = run["/hostile-headers"].capture
    assert capture is not None
    assert (capture.media_type, capture.etag) == ("text/html", "")
    assert run["/page#with-a-hostile-validator"].status is OK
    assert not any("x-injected" in seen.headers for seen in run.site.seen)


def test_nothing_new_is_unchanged(run: Run) -> None:
    assert (run["/conditional"].status, run["/conditional"].http_status) == (UNCHANGED, 304)
    assert (run["/same-bytes"].status, run["/same-bytes"].http_status) == (UNCHANGED, 200)
    assert run["/unasked-304"].status is FAILED


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/absent", MISSING, "answered 404 Not Found"),
        ("/gone", MISSING, "answered 410 Gone"),
        ("/status-401", DENIED, "answered 401 Unauthorized"),
        ("/status-403", DENIED, "answered 403 Forbidden"),
        ("/status-451", DENIED, "answered 451"),
        ("/members", DENIED, "redirected to a login page"),
        ("/wall", DENIED, "a bot wall answers instead of the page"),
        ("/to-forbidden", DENIED, "robots.txt of 127.0.0.1 disallows it"),
        ("/status-418", FAILED, "answered 418"),
        ("/status-500", FAILED, "answered 500 Internal Server Error"),
        ("/status-202", FAILED, "answered 202"),
        ("/status-204", FAILED, "answered 204"),
        ("/status-206", FAILED, "answered 206"),
        ("/scripted", FAILED, "shows nothing without JavaScript"),
        ("/pdf", FAILED, "not a page: application/pdf"),
        ("/endless-zip", FAILED, "not a page: application/zip"),
        ("/announced-too-large", FAILED, "too large: more than 200000 bytes"),
        ("/endless", FAILED, "too large: more than 200000 bytes"),
        ("/bomb", FAILED, "too large once unpacked"),
        ("/packed-cut", FAILED, "truncated or broken"),
        ("/packed-oddly", FAILED, "packed in a way that was not asked for"),
        ("/truncated", FAILED, "truncated: the connection ended"),
        ("/truncated-chunks", FAILED, "truncated: the connection ended"),
        ("/drip", FAILED, "no complete answer within 1.5 s"),
        ("/hang", FAILED, "no complete answer within 1.5 s"),
        ("/reset", FAILED, "the connection broke off"),
        ("/not-http", FAILED, "the connection broke off or the answer is not HTTP"),
        ("/loop", FAILED, "more than 5 redirects"),
        ("/no-location", FAILED, "answered 302 Found, without an address"),
        ("/to-file", FAILED, "answered 302 Found, without an address that can be followed"),
        ("/to-broken", FAILED, "redirected to a malformed address"),
        ("/to-long", FAILED, "refused: an address of 50"),
        ("/to-metadata", FAILED, "refused: 169.254.169.254 is not a public address"),
        ("/to-private", FAILED, "refused: 10.0.0.1 is not a public address"),
        ("/to-odd", FAILED, "refused: 2130706433 is an odd spelling"),
        ("/to-v6", FAILED, "refused: ::1 is not a public address"),
        ("/to-port", FAILED, "refused: port 6379"),
        ("/to-user", FAILED, "refused: the address holds a user name or password"),
        ("http://127.0.0.1:1/page", FAILED, "refused: port 1 of"),
        ("http://me:hunter2@quillfeather.example/", FAILED, "refused: the address holds"),
        ("not an address", FAILED, "refused: a malformed address"),
        ("", FAILED, "refused: only http and https"),
    ],
)
def test_what_is_no_page_has_its_status_and_reason(
    run: Run, path: str, status: VisitStatus, reason: str
) -> None:
    visit = run[path] if path.startswith(("/", "http")) else run.visits[path]
    assert (visit.status, visit.reason[: len(reason)]) == (status, reason)
    assert "hunter2" not in visit.url + visit.reason


def test_redirects_are_followed_to_the_address_that_answers(run: Run) -> None:
    for path in ("/moved", "/refresh"):
        assert (run[path].status, run[path].url) == (OK, run.base + "/page")


def test_a_redirect_loop_ends_after_five(run: Run) -> None:
    assert len(run.site.asked("/loop")) == 6


def test_a_packed_page_is_stored_unpacked(run: Run) -> None:
    capture = run["/packed"].capture
    assert capture is not None
    assert capture.body == run.extra["body"]


def test_robots_rules_hold_for_requests_that_come_at_once(run: Run) -> None:
    forbidding = run.extra["forbidding"]
    private = [run[f"{forbidding.base}/private/{i}"] for i in range(16)]
    assert {(visit.status, visit.reason) for visit in private} == {
        (DENIED, "robots.txt of 127.0.0.1 disallows it")
    }
    assert {run[f"{forbidding.base}/public/{i}"].status for i in range(16)} == {OK}
    assert not [seen for seen in forbidding.seen if seen.path.startswith("/private")]
    # Once for its own pages, once as the target of another site's redirect.
    assert len(forbidding.asked("/robots.txt")) == 2


def test_a_robots_file_that_cannot_be_read_fails_the_page_and_denies_nothing(run: Run) -> None:
    broken, nobody = run.extra["broken"], run.extra["nobody"]
    visit = run[f"{broken.base}/page"]
    assert visit.status is FAILED
    assert visit.reason == "robots.txt of 127.0.0.1 cannot be read: answered 503 Service Unavailable"
    assert not broken.asked("/page")
    assert len(broken.asked("/robots.txt")) == 3
    assert run[f"http://{nobody}/page"].reason == "robots.txt of 127.0.0.1 cannot be read: connection refused"


def test_a_missing_robots_file_allows_whatever_its_body_says(run: Run) -> None:
    assert run[f"{run.extra['other'].base}/page"].status is OK


def test_a_redirected_robots_file_holds_for_the_site_it_was_asked_of(run: Run) -> None:
    wandering = run.extra["wandering"]
    assert run[f"{wandering.base}/page"].status is OK
    assert run[f"{wandering.base}/private"].status is DENIED


def test_plain_http_where_tls_is_expected_fails(run: Run) -> None:
    visit = run[f"https://{run.site.place}/page"]
    assert visit.status is FAILED
    assert "TLS" in visit.reason


def test_usage_counts_every_request_and_the_bytes(run: Run) -> None:
    usage = run.source.usage
    met = sum(len(site.seen) for site in run.extra["sites"])
    # Requests that no server met: to the closed port, and the TLS one.
    assert met <= usage.requests <= met + 4
    assert usage.bytes > 20 * len(run.extra["body"])
    assert usage.charged == 0
    assert usage.remaining is None
