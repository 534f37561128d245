"""A loopback server that replays recordings, and the sources under test.

`recordings/<source>/` holds one file for a URL, and a second one (`.visit2`) for what the service says
on the second visit. All of it is invented.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crawler.http import TransportRules
from crawler.sources.arxiv import ArxivSource
from crawler.sources.github import GitHubSource
from crawler.sources.huggingface import HuggingFaceSource
from crawler.sources.pypi import PyPISource
from pipelines.model import (
    ArtifactKind,
    ArtifactRef,
    Validators,
    Visit,
    VisitRequest,
    VisitStatus,
    digest_bytes,
)

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings"
TOKEN = "secret-token-of-nobody"
NOW = datetime(2031, 5, 3, 1, 0, tzinfo=UTC)
RULES = TransportRules(user_agent="openness-tests/1", retries=1, backoff=0.01)
IMPATIENT = replace(RULES, connect_timeout=1.0, read_timeout=0.6, total_timeout=1.2)
"""For a service that keeps us waiting; on a busy machine any other may seem to."""


def clock() -> datetime:
    return NOW


@dataclass(kw_only=True)
class Fault:
    """What happens instead of the recorded answer, to requests whose path matches."""

    match: str
    kind: str = "status"
    status: int = 503
    body: bytes = b'{"message": "Server Error"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = -1


@dataclass(kw_only=True)
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Service:
    """One recorded service on loopback; `night` chooses what it says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.night = 1
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.extra: dict[str, tuple[int, Mapping[str, str], bytes]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                service.serve(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that leave in the middle are what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def paths(self) -> list[str]:
        """What was asked for, without the list of properties that the Hub is told to give."""
        return [asked.path.split("?expand=")[0] for asked in self.asked]

    def fault(self, match: str, kind: str = "status", **more: Any) -> None:
        self.faults.append(Fault(match=match, kind=kind, **more))

    def say(self, path: str, value: Any, status: int = 200, **headers: str) -> None:
        """Answer this path with a value instead of a recording."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.extra[path] = (status, headers, body)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {k.lower(): v for k, v in handler.headers.items()}
        self.asked.append(Asked(method=handler.command, path=handler.path, headers=headers, body=body))
        for fault in self.faults:
            if fault.times and re.search(fault.match, handler.path):
                fault.times -= 1
                self.misbehave(handler, fault)
                return
        status, more, answer = self.answer(handler.path, body)
        etag = f'"{hashlib.sha256(answer).hexdigest()[:16]}"'
        if status == 200 and self.name != "arxiv" and handler.command == "GET":
            more = {"ETag": etag, **more}
            if headers.get("if-none-match") == etag:
                status, answer = 304, b""
        self.send(handler, status, more, answer)

    def answer(self, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        if self.name == "huggingface" and "?expand=" in path:
            path, asked = path.split("?", 1)
            return self.expanded(path, {"_id", "id", *parse_qs(asked)["expand"]})
        if path in self.extra:
            return self.extra[path]
        if self.name == "arxiv":
            return 200, {"Content-Type": "application/atom+xml"}, self.feed(path)
        if path.endswith("/graphql"):
            path = "graphql_facts" if b"fragment facts" in body else "graphql_blobs"
        found = self.recorded(path)
        if found is not None:
            text = self.name == "huggingface" and "/resolve/" in path
            return 200, {"Content-Type": "text/plain" if text else "application/json"}, found
        if self.name == "huggingface":
            code = "EntryNotFound" if "/resolve/" in path else "RepoNotFound"
            return 404, {"X-Error-Code": code, "X-Error-Message": "not found"}, b'{"error": "not found"}'
        return 404, {"Content-Type": "application/json"}, b'{"message": "Not Found", "status": "404"}'

    def expanded(self, path: str, wanted: set[str]) -> tuple[int, Mapping[str, str], bytes]:
        """Of the Hub's whole answer what was asked for, as the Hub does it."""
        status, headers, body = self.answer(path, b"")
        if status == 200:
            whole = json.loads(body)
            body = json.dumps({key: value for key, value in whole.items() if key in wanted}).encode()
        return status, headers, body

    def recorded(self, path: str) -> bytes | None:
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", path).strip("_")
        for suffix in [".visit2", ""] if self.night == 2 else [""]:
            file = RECORDINGS / self.name / (name + suffix)
            if file.is_file():
                return file.read_bytes()
        return None

    def feed(self, path: str) -> bytes:
        ids = parse_qs(urlsplit(path).query).get("id_list", [""])[0].split(",")
        entries = [entry for name in ids if (entry := self.recorded(name)) is not None]
        head = (
            '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
            'xmlns:arxiv="http://arxiv.org/schemas/atom" '
            'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
            f"<opensearch:totalResults>{len(entries)}</opensearch:totalResults>"
        )
        return head.encode() + b"".join(entries) + b"</feed>\n"

    def send(
        self, handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def misbehave(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        wire = handler.wfile
        handler.close_connection = True
        if fault.kind == "status":
            self.send(
                handler, fault.status, {"Content-Type": "application/json", **fault.headers}, fault.body
            )
        elif fault.kind == "hang":
            time.sleep(1.5)
        elif fault.kind == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif fault.kind == "truncated":
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
        elif fault.kind == "garbage":
            self.send(handler, 200, {"Content-Type": "application/json"}, bytes(range(256)) * 4)
        elif fault.kind == "not_http":
            wire.write(b"\x16\x03\x01 this is no answer\r\n\r\n")
        elif fault.kind == "other_json":
            self.send(handler, 200, {"Content-Type": "application/json"}, b'[["list"], {"data": 7}]')
        elif fault.kind == "deep_json":
            self.send(handler, 200, {"Content-Type": "application/json"}, b"[" * 100_000)
        elif fault.kind == "login_page":
            self.send(handler, 200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")
        elif fault.kind == "huge":
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            for _ in range(50):
                wire.write(b" " * (1 << 20))
        elif fault.kind == "dripping":
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n")
            for _ in range(20):
                wire.write(b" ")
                wire.flush()
                time.sleep(0.1)
        elif fault.kind == "elsewhere":
            self.send(handler, 301, {"Location": "http://elsewhere.example/login"}, b"")
        elif fault.kind == "in_circles":
            where = "/b" if handler.path == "/a" else "/a"
            self.send(handler, 301, {"Location": self.url + where}, b"")
            self.faults.append(Fault(match="^/[ab]$", kind="in_circles"))
        else:
            raise AssertionError(fault.kind)


Known = dict[ArtifactRef, dict[str, Validators]]


def request(ref: ArtifactRef, known: Known | None = None) -> VisitRequest:
    return VisitRequest(ref=ref, known=(known or {}).get(ref, {}))


def remember(visits: Sequence[Visit]) -> Known:
    """What the database would hold after these visits."""
    known: Known = {}
    for visit in visits:
        capture = visit.capture
        if capture is not None:
            known.setdefault(visit.ref, {})[visit.part] = Validators(
                sha256=digest_bytes(capture.body),
                etag=capture.etag,
                last_modified=capture.last_modified,
                token=capture.token,
            )
        elif visit.validators is not None:
            known.setdefault(visit.ref, {})[visit.part] = visit.validators
    return known


def statuses(visits: Sequence[Visit]) -> dict[str, VisitStatus]:
    return {visit.part: visit.status for visit in visits}


@dataclass(kw_only=True)
class Case:
    """One source with its recorded service, and what the recordings hold."""

    name: str
    service: Service
    make: Callable[..., Any]
    ref: ArtifactRef
    absent: ArtifactRef
    main: str
    parts: frozenset[str]
    changed: frozenset[str]
    main_path: str
    conditional: bool = True

    def visit(self, known: Known | None = None, *refs: ArtifactRef, **options: Any) -> list[Visit]:
        """Visit with a source of its own, as another night's process would."""
        source = self.make(**options)
        try:
            return list(source.visit([request(ref, known) for ref in refs or (self.ref,)]))
        finally:
            source.close()

    def token_sent(self) -> str:
        """The token that the service has seen; "" for none."""
        seen = {
            asked.headers["authorization"] for asked in self.service.asked if "authorization" in asked.headers
        }
        return seen.pop().split(" ")[-1] if seen else ""


def _ref(kind: ArtifactKind, name: str) -> ArtifactRef:
    return ArtifactRef(kind=kind, id=name)


_FILES = ("LICENSE", "MODEL_CARD.md", "README.md", "docs/guide.md")
_GITHUB_PARTS = frozenset({"repository", "tree", "tags", "releases", *(f"file:{path}" for path in _FILES)})


def _github(service: Service, token: str | None) -> Case:
    def make(**options: Any) -> GitHubSource:
        return GitHubSource(
            **{
                "api_url": service.url,
                "graphql_url": f"{service.url}/a/place/of/its/own/graphql",
                "token": token,
                "user_agent": "openness-tests/1",
                "clock": clock,
                "max_workers": 2,
                "max_wait": 0.2,
                "rules": RULES,
                **options,
            }
        )

    return Case(
        name="github",
        service=service,
        make=make,
        ref=_ref(ArtifactKind.GITHUB, "willow-lab/seedling"),
        absent=_ref(ArtifactKind.GITHUB, "willow-lab/weed"),
        main="repository",
        parts=_GITHUB_PARTS,
        changed=frozenset({"repository", "tree", "file:README.md"}),
        main_path="graphql$" if token else "^/repos/willow-lab/seedling$",
        conditional=token is None,
    )


def _hub(service: Service, kind: ArtifactKind) -> Case:
    def make(**options: Any) -> HuggingFaceSource:
        return HuggingFaceSource(
            **{
                "endpoint": service.url,
                "token": TOKEN,
                "user_agent": "openness-tests/1",
                "clock": clock,
                "max_workers": 2,
                "max_wait": 0.2,
                "rules": RULES,
                **options,
            }
        )

    model = kind is ArtifactKind.HF_MODEL
    name = "willow-lab/seedling-1b" if model else "willow-lab/seedling-corpus"
    return Case(
        name="huggingface",
        service=service,
        make=make,
        ref=_ref(kind, name),
        absent=_ref(kind, "willow-lab/weed"),
        main="info",
        parts=frozenset({"info", "card", "file:LICENSE.txt"} if model else {"info", "card"}),
        changed=frozenset({"info", "card"}),
        main_path=f"^/api/{'models' if model else 'datasets'}/{name}[?]",
    )


def _pypi(service: Service) -> Case:
    def make(**options: Any) -> PyPISource:
        defaults = {"base_url": service.url, "user_agent": "openness-tests/1", "clock": clock, "rules": RULES}
        return PyPISource(**{**defaults, "max_wait": 0.2, **options})

    return Case(
        name="pypi",
        service=service,
        make=make,
        ref=_ref(ArtifactKind.PYPI, "Seedling_Tools"),
        absent=_ref(ArtifactKind.PYPI, "weed"),
        main="metadata",
        parts=frozenset({"metadata"}),
        changed=frozenset({"metadata"}),
        main_path="json$",
    )


def _arxiv(service: Service) -> Case:
    def make(**options: Any) -> ArxivSource:
        defaults = {"query_url": f"{service.url}/query", "user_agent": "openness-tests/1", "clock": clock}
        return ArxivSource(**{**defaults, "delay_seconds": 0, "rules": RULES, **options})

    return Case(
        name="arxiv",
        service=service,
        make=make,
        ref=_ref(ArtifactKind.ARXIV, "2413.00001"),
        absent=_ref(ArtifactKind.ARXIV, "2413.99999"),
        main="entry",
        parts=frozenset({"entry"}),
        changed=frozenset({"entry"}),
        main_path="query",
        conditional=False,
    )


MAKERS: dict[str, tuple[str, Callable[[Service], Case]]] = {
    "github": ("github", lambda service: _github(service, TOKEN)),
    "github_without_token": ("github", lambda service: _github(service, None)),
    "hf_model": ("huggingface", lambda service: _hub(service, ArtifactKind.HF_MODEL)),
    "hf_dataset": ("huggingface", lambda service: _hub(service, ArtifactKind.HF_DATASET)),
    "pypi": ("pypi", _pypi),
    "arxiv": ("arxiv", _arxiv),
}


@pytest.fixture
def make_case() -> Iterator[Callable[[str], Case]]:
    services: list[Service] = []

    def make(name: str) -> Case:
        folder, maker = MAKERS[name]
        service = Service(folder)
        services.append(service)
        return maker(service)

    yield make
    for service in services:
        service.close()


@pytest.fixture(params=list(MAKERS))
def case(request: pytest.FixtureRequest, make_case: Callable[[str], Case]) -> Case:
    """Every source in turn."""
    return make_case(request.param)


@pytest.fixture
def tools() -> Any:
    """What test modules share: they cannot import each other under importmode=importlib."""

    class Tools:
        token = TOKEN
        now = NOW
        rules = RULES
        impatient = IMPATIENT
        remember = staticmethod(remember)
        statuses = staticmethod(statuses)
        request = staticmethod(request)
        ref = staticmethod(_ref)

    return Tools
