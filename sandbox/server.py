"""The sandbox as a running server on loopback.

It lives as long as its context:

    with Sandbox(night=1) as sandbox:
        os.environ.update(sandbox.environment)
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, Unpack

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox import arxiv, github, graphql, hub, pypi, web
from sandbox.faults import TRANSPORT, Fault, Faults, Kind
from sandbox.limits import Limits
from sandbox.wire import State
from sandbox.world import Order, World

# Longer than any answer takes to prepare; a thread that has not come up by then will not.
START_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One request that the sandbox got. Status 0: it was given no answer."""

    service: str
    method: str
    path: str
    query: str
    status: int
    authorised: bool
    conditional: bool
    bytes: int
    user_agent: str
    fault: str


class RequestLog:
    """ASGI middleware that keeps a line about every request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.entries: list[LogEntry] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = {"status": 0, "bytes": 0}
        length: int | None = None

        async def count(message: Message) -> None:
            nonlocal length
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                length = _body_length(scope["method"], message)
            seen["bytes"] += len(message.get("body", b""))
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last or (length is not None and seen["bytes"] >= length):
                # Before the last byte leaves, so that whoever has the answer finds it in the log.
                self._note(scope, seen)
            await send(message)

        try:
            await self.app(scope, receive, count)
        finally:
            self._note(scope, seen)

    def _note(self, scope: Scope, seen: dict[str, int]) -> None:
        if scope.setdefault("sandbox.noted", False):
            return
        scope["sandbox.noted"] = True
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["raw_path"].decode("latin-1")
        self.entries.append(
            LogEntry(
                service=service_of(path),
                method=scope["method"],
                path=path,
                query=scope["query_string"].decode("latin-1"),
                status=seen["status"],
                authorised="authorization" in headers,
                conditional="if-none-match" in headers or "if-modified-since" in headers,
                bytes=seen["bytes"],
                user_agent=headers.get("user-agent", ""),
                fault=scope.get("sandbox.fault", ""),
            )
        )


def _body_length(method: str, start: Message) -> int | None:
    """How many bytes a client waits for after the head of an answer; None where the head does not say."""
    if method == "HEAD" or start["status"] in (204, 304):
        return 0
    lengths = [value for name, value in start["headers"] if name.lower() == b"content-length"]
    return int(lengths[0]) if lengths else None


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which also tells the application the transport, for faults to break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:  # uvicorn's types differ from Starlette's
            scope[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


class Sandbox:
    """The public services with invented projects, served by a thread on 127.0.0.1.

    Port 0 takes a free one. Use it as a context manager, or `start` and `stop` it.
    """

    def __init__(self, night: int = 1, *, port: int = 0) -> None:
        self.world = World(night)
        self.state = State(world=self.world)
        app = Starlette(
            routes=[
                *graphql.routes(self.state),
                *github.routes(self.state),
                *hub.routes(self.state),
                *pypi.routes(self.state),
                *arxiv.routes(self.state),
                *web.routes(self.state),
            ]
        )
        self._faults = Faults(app)
        self._log = RequestLog(self._faults)
        self._port = port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bind and serve. Raises OSError where the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the sandbox is already running")
        # asyncio sends without delay only on sockets that name their protocol; without it an answer takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", self._port))
        except OSError:
            self._socket.close()
            raise
        self._port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._log,
            http=_Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving; connections that are still open are closed."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join(10)
        if self._socket is not None:
            self._socket.close()
        self._server = self._thread = self._socket = None

    def _serve(self) -> None:
        assert self._server is not None
        assert self._socket is not None
        self._server.run(sockets=[self._socket])

    @property
    def base(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def addresses(self) -> dict[str, str]:
        """The settings, by their environment variables, that lead here instead of to the open network."""
        return {
            "GITHUB_API_URL": f"{self.base}/github/api/v3",
            "GITHUB_GRAPHQL_URL": f"{self.base}/github/api/graphql",
            "HF_ENDPOINT": f"{self.base}/hf",
            "OPENNESS_PYPI_URL": self.base,
            "OPENNESS_ARXIV_URL": f"{self.base}/arxiv/api/query",
            "OPENNESS_WEB_GATEWAY": self.base + "/web/{scheme}/{host}{path}",
            "OPENNESS_ALLOW_PRIVATE_HOSTS": f"127.0.0.1:{self._port}",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The addresses together with made-up tokens that the sandbox accepts."""
        return {**self.addresses, "GITHUB_TOKEN": "sandbox-token", "HF_TOKEN": "sandbox-token"}

    @property
    def requests(self) -> list[LogEntry]:
        """What was asked so far, oldest first."""
        return list(self._log.entries)

    def clear_log(self) -> None:
        """Forget what was asked."""
        self._log.entries.clear()

    @property
    def limits(self) -> Limits:
        """The rate limits, to be set or forgotten."""
        return self.state.limits

    def set_night(self, night: int) -> None:
        """Serve the world as of that night; changes made by `change` are undone."""
        self.world.set_night(night)

    def change(self, path: str, **order: Unpack[Order]) -> None:
        """Change a document while serving; see `World.change` for the paths."""
        self.world.change(path, **order)

    def fault(
        self,
        pattern: str,
        kind: Kind,
        *,
        times: int | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        seconds: float | None = None,
        size: int = 256_000_000,
    ) -> None:
        """Answer wrongly where the pattern is found in path and query; see `sandbox.faults` for the kinds."""
        fault = Fault(
            pattern=re.compile(pattern),
            kind=kind,
            times=times,
            status=status,
            retry_after=retry_after,
            seconds=seconds,
            size=size,
        )
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Answer rightly again."""
        self._faults.rules.clear()


def service_of(path: str) -> str:
    """The service that a path belongs to."""
    if path.startswith("/github/"):
        return "github"
    if path.startswith("/hf/"):
        return "huggingface"
    first = path.split("/")[1]
    return first if first in ("pypi", "arxiv", "web") else ""
