"""A web of its own on loopback: servers that answer as badly as a test asks for."""

from __future__ import annotations

import gzip
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest

from crawler.sources.web import WebSource
from pipelines.model import ArtifactKind, ArtifactRef, Validators, Visit, VisitRequest
from spiders.protocol import Limits

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
AGENT = "openness-crawler/0.1 (+https://contact.example)"

Route = Callable[["Handler"], None]


@dataclass
class Seen:
    """A request as a server met it; `at` in monotonic seconds."""

    path: str
    headers: dict[str, str]
    at: float


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.seen.append(
            Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, time.monotonic())
        )
        route = self.server.routes.get(self.path) or self.server.routes.get(self.path.split("?")[0])
        if route is None:
            self.answer(404, b"nothing here")
        else:
            route(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        if status != 304:
            self.send_header("Content-Length", headers.pop("Content-Length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Site(socketserver.ThreadingTCPServer):
    """A server. `routes` is filled by the test; a path that is not there is 404."""

    routes: dict[str, Route] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __post_init__(self) -> None:
        self.stopped = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def base(self) -> str:
        return f"http://{self.place}"

    def page(self, path: str, body: bytes | str, status: int = 200, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        headers.setdefault("Content_Type", "text/html; charset=utf-8")
        self.routes[path] = lambda handler: handler.answer(status, data, **headers)

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        self.routes[path] = lambda handler: handler.answer(status, Location=location)

    def asked(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that hang up are what many tests are about

    def stop(self) -> None:
        self.stopped.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


@pytest.fixture(scope="module")
def new_site() -> Iterator[Callable[[], Site]]:
    """Starts servers, and stops them after the module's tests."""
    sites: list[Site] = []

    def start() -> Site:
        sites.append(Site())
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


FAST = Limits(
    timeout=1.5, deadline=20, delay=0, per_host=16, max_size=200_000, retry_wait=0.1, retry_after=2.0
)


_made: list[WebSource] = []


def source(**changes: object) -> WebSource:
    """A source, closed at the end of the test."""
    arguments: dict[str, object] = {"user_agent": AGENT, "clock": lambda: NOW, "limits": FAST, **changes}
    _made.append(WebSource(**arguments))
    return _made[-1]


@pytest.fixture(autouse=True)
def close_sources() -> Iterator[None]:
    """Leave no worker behind."""
    yield
    while _made:
        _made.pop().close()


def web(url: str, **known: str) -> VisitRequest:
    return VisitRequest(
        ref=ArtifactRef(kind=ArtifactKind.WEB, id=url), known={"page": Validators(**known)} if known else {}
    )


def visit_all(web_source: WebSource, *requests: VisitRequest | str) -> dict[str, Visit]:
    """Visit everything; the visits by the address asked for. Exactly one for each."""
    wanted = [web(request) if isinstance(request, str) else request for request in requests]
    visits = list(web_source.visit(wanted))
    web_source.close()
    assert sorted(visit.ref.id for visit in visits) == sorted(request.ref.id for request in wanted)
    return {visit.ref.id: visit for visit in visits}


def article(words: str) -> str:
    """A page long enough to be one."""
    filler = "The Quillfeather team writes about its small language models. " * 6
    return (
        f"<html><head><title>Quillfeather</title></head><body><h1>{words}</h1><p>{filler}</p></body></html>"
    )


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


@pytest.fixture(scope="module")
def helpers() -> type[Helpers]:
    return Helpers


class Helpers:
    """What the tests of this folder share."""

    source = staticmethod(source)
    web = staticmethod(web)
    visit_all = staticmethod(visit_all)
    article = staticmethod(article)
    packed = staticmethod(packed)
    FAST = FAST
    NOW = NOW
    AGENT = AGENT
