"""Web pages: artifacts that have no API.

Part: `page`, the raw bytes of the page.

The pages are read by a worker, an operating-system process of its own (`spiders.worker`). This
module starts it, takes over what it reads as it comes, and turns a worker that crashed, was killed, hangs or
takes too long into failed visits of the pages that are still missing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

import spiders
from crawler.sources.base import Usage
from pipelines.errors import UsageError
from pipelines.model import (
    ArtifactKind,
    ArtifactRef,
    Capture,
    Validators,
    Visit,
    VisitRequest,
    VisitStatus,
    digest_bytes,
)
from spiders.addresses import without_secrets
from spiders.gateway import Gateway, GatewayError
from spiders.protocol import (
    MAX_LINE,
    Counters,
    Job,
    Limits,
    Message,
    PageJob,
    PageResult,
    ProtocolError,
    body_file,
    parse_message,
)

logger = logging.getLogger(__name__)

PART = "page"
WORKER = (sys.executable, "-P", "-m", "spiders.worker")
# All that a worker needs of the environment. Tokens are not among it: it talks to strangers.
ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONWARNINGS"),
)
STDERR_LINES = 30
END_PATIENCE = 5.0


class WebSource:
    """Reads web pages through a worker process a call.

    `gateway` is an address template, see `spiders.gateway`; `allow_private_hosts` holds `host:port`.
    `limits` are the worker's; `stall` is the longest silence of a worker, in seconds: it says every
    few seconds that it lives. `clock` gives the time of a visit. `command` starts a worker; the
    spool folder is appended. Raises UsageError when the gateway's template is malformed.
    """

    name = "web"
    kinds = frozenset({ArtifactKind.WEB})

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Callable[[], datetime],
        gateway: str | None = None,
        allow_private_hosts: frozenset[str] = frozenset(),
        limits: Limits | None = None,
        stall: float = 60.0,
        command: Sequence[str] = WORKER,
    ) -> None:
        if gateway:
            try:
                Gateway(gateway)
            except GatewayError as error:
                raise UsageError(f"OPENNESS_WEB_GATEWAY: {error}") from error
        if not user_agent.isascii() or not user_agent.isprintable():
            raise UsageError("OPENNESS_USER_AGENT: a user agent is one line of ASCII characters")
        self._gateway = gateway or None
        self._allowed = tuple(sorted(host.strip().lower() for host in allow_private_hosts))
        self._user_agent = user_agent
        self._clock = clock
        self._limits = limits or Limits()
        self._stall = stall
        self._command = tuple(command)
        self._spent: list[Counters] = []
        self._running: set[_Worker] = set()

    @property
    def usage(self) -> Usage:
        """Requests (robots.txt and redirects included) and body bytes; nothing is charged for."""
        return Usage(
            requests=sum(counters.requests for counters in self._spent),
            bytes=sum(counters.bytes for counters in self._spent),
        )

    def close(self) -> None:
        """End workers that are still running."""
        for worker in tuple(self._running):
            worker.stop()

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        """Read the pages and yield a visit for each, in the order in which they answer."""
        pages: dict[int, VisitRequest] = {}
        for index, request in enumerate(requests):
            if request.ref.kind is ArtifactKind.WEB:
                pages[index] = request
            else:
                yield self._failed(request.ref, "not a web page")
        if not pages:
            return
        with tempfile.TemporaryDirectory(prefix="openness-web-", ignore_cleanup_errors=True) as folder:
            yield from self._read(pages, Path(folder))

    def _read(self, pages: dict[int, VisitRequest], spool: Path) -> Iterator[Visit]:
        Job(
            pages=tuple(_page_job(index, request) for index, request in pages.items()),
            user_agent=self._user_agent,
            gateway=self._gateway,
            allow_private_hosts=self._allowed,
            limits=self._limits,
        ).write(spool)
        counters = Counters()
        self._spent.append(counters)
        try:
            worker = _Worker(self._command, spool)
        except OSError as error:
            logger.error("the web worker cannot be started: %s", error)
            for request in pages.values():
                yield self._failed(request.ref, f"the web worker cannot be started ({type(error).__name__})")
            return
        self._running.add(worker)
        pending = dict(pages)
        try:
            try:
                for message in worker.messages(self._limits.deadline, self._stall):
                    _take_over(counters, message.counters)
                    if message.page is not None and message.page.index in pending:
                        yield self._visit_of(pending.pop(message.page.index), message.page, spool)
                    if message.end or not pending:
                        break
                reason = "the web worker left the page out"
                worker.finish(counters)
            except _WorkerLostError as error:
                reason = str(error)
                logger.error("%s; %d pages are not read%s", reason, len(pending), worker.last_words())
            for request in pending.values():
                yield self._failed(request.ref, reason)
        finally:
            worker.stop()
            self._running.discard(worker)

    def _visit_of(self, request: VisitRequest, page: PageResult, spool: Path) -> Visit:
        status, reason, capture = page.status, page.reason, None
        if status is VisitStatus.OK:
            body = _read_body(spool, page.index)
            if body is None:
                status, reason = VisitStatus.FAILED, "the web worker handed over no body"
            elif digest_bytes(body) == request.known.get(PART, Validators()).sha256:
                status = VisitStatus.UNCHANGED
            else:
                capture = Capture(
                    body=body, media_type=page.media_type, etag=page.etag, last_modified=page.last_modified
                )
        return Visit(
            ref=request.ref,
            part=PART,
            url=page.url,
            at=self._clock(),
            status=status,
            capture=capture,
            http_status=page.http_status,
            reason=reason,
        )

    def _failed(self, ref: ArtifactRef, reason: str) -> Visit:
        return Visit(
            ref=ref,
            part=PART,
            url=without_secrets(ref.id),
            at=self._clock(),
            status=VisitStatus.FAILED,
            reason=reason,
        )


def _page_job(index: int, request: VisitRequest) -> PageJob:
    known = request.known.get(PART, Validators())
    return PageJob(index=index, url=request.ref.id, etag=known.etag, last_modified=known.last_modified)


def _take_over(counters: Counters, told: Counters) -> None:
    """A worker counts up: its last word is what it has spent, also when it is killed afterwards."""
    counters.requests, counters.bytes, counters.errors = told.requests, told.bytes, told.errors


def _read_body(spool: Path, index: int) -> bytes | None:
    path = body_file(spool, index)
    try:
        body = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        path.unlink()
    return body


class _WorkerLostError(Exception):
    """The worker says nothing more; the text tells why."""


class _Worker:
    """A running worker: its process, and two threads that keep its pipes from filling up.

    Bodies go through the spool folder, so what waits here is small however slowly it is taken.
    """

    def __init__(self, command: Sequence[str], spool: Path) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._process = subprocess.Popen(
            [*command, str(spool)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=spool,
            env=_environment(),
            # A session of its own: Ctrl-C reaches this process alone, which then ends the worker.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = (self._process.stdout, self._process.stderr)
        self._threads = (
            threading.Thread(target=self._drain_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._drain_stderr, args=(self._process.stderr,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def messages(self, deadline: float, stall: float) -> Iterator[Message]:
        """What the worker says. Raises _WorkerLostError when it ends, hangs or takes too long."""
        end = time.monotonic() + deadline
        while True:
            left = end - time.monotonic()
            try:
                # What was read in time counts, also when it is taken late: whoever saves it may be slow.
                line = self._lines.get(timeout=max(0.0, min(left, stall)))
            except queue.Empty:
                if left > stall:
                    raise _WorkerLostError(f"the web worker hung: no sign of life for {stall:g} s") from None
                raise _WorkerLostError(f"the web worker did not finish within {deadline:g} s") from None
            if line is None:
                raise _WorkerLostError(self._how_it_ended())
            try:
                yield parse_message(line)
            except ProtocolError as error:
                raise _WorkerLostError("the web worker spoke nonsense") from error

    def finish(self, counters: Counters) -> None:
        """Take the worker's last figures and its exit status; errors of ours are not passed over."""
        with contextlib.suppress(_WorkerLostError):
            for message in self.messages(END_PATIENCE, END_PATIENCE):
                _take_over(counters, message.counters)
                if message.end:
                    break
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=END_PATIENCE)
        if code or counters.errors:
            logger.error(
                "the web worker met %d errors of its own (exit status %s)%s",
                counters.errors,
                code,
                self.last_words(),
            )

    def last_words(self) -> str:
        """The end of what the worker wrote to standard error, for the log."""
        return "".join("\n  " + line for line in tuple(self._stderr))

    def stop(self) -> None:
        """End the worker and all that belongs to it. No process is left, no pipe, no thread."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=END_PATIENCE)
        for pipe, thread in zip(self._pipes, self._threads, strict=True):
            if not thread.is_alive():
                pipe.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=END_PATIENCE)
        except subprocess.TimeoutExpired:
            return "the web worker closed its output"
        if code < 0:
            return f"the web worker was killed by signal {-code}"
        return f"the web worker ended with exit status {code}"

    def _drain_lines(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            # A line longer than any message is cut here and fails to parse.
            while line := pipe.readline(MAX_LINE):
                self._lines.put(line)
        self._lines.put(None)

    def _drain_stderr(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := pipe.readline(MAX_LINE):
                self._stderr.append(line.decode("utf-8", "replace").rstrip()[:500])


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # The worker must find the same packages from whatever folder this process was started.
    root = str(Path(spiders.__file__).resolve().parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH", ""))))
    return kept
