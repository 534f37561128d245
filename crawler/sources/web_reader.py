"""Reading pages by a worker that stays: who asks for what, and what becomes of it.

A worker takes a second to start. So one is started, and told of further pages as they are found. What
several callers ask for is read together: hosts are waited for at the same time. A worker that crashed,
was killed or hangs costs the pages that it was asked for; for the next ones another is started.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crawler.scratch import scratch_folder
from crawler.sources.web_worker import END_PATIENCE, Worker, WorkerLostError
from spiders.protocol import Counters, Job, Manners, PageJob, PageResult, write_pages

logger = logging.getLogger(__name__)

WORKER_PAGES = 5000
"""Pages after which a worker has had its time: what it remembers of hosts grows with them."""

ROBOTS_SECONDS = 24 * 3600.0
"""How long a robots.txt may be gone by without asking again (RFC 9309, section 2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLost:
    """A page that the worker said nothing of, and why."""

    index: int
    reason: str


@dataclass(slots=True, kw_only=True)
class _Call:
    """Pages that were asked for together: which are still to come, and what has come."""

    pending: set[int]
    come: queue.SimpleQueue[PageResult | str] = field(default_factory=queue.SimpleQueue)


class _Running:
    """A worker at its work, with a thread that hands on what it says."""

    def __init__(self, command: Sequence[str], job: Job, stall: float) -> None:
        self._folder = scratch_folder("web")
        self.spool = Path(self._folder.name)
        self.counters = Counters()
        self._stall = stall
        self._changed = threading.Condition()
        self._call_of: dict[int, _Call] = {}
        self._told = 0
        self._taken = 0
        self._lost = ""
        self._closing = False
        try:
            job.write(self.spool)
            self._worker = Worker(command, self.spool)
        except OSError:
            self._folder.cleanup()
            raise
        self._thread = threading.Thread(target=self._hand_on, name="web-reader", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Has it been told of as many pages as one worker is to read?"""
        return self._taken >= WORKER_PAGES

    def ask(self, pages: Sequence[PageJob], *, is_new: bool) -> _Call | None:
        """Let pages be read; None when another worker has to: this one is lost, and is not a new one."""
        call = _Call(pending={page.index for page in pages})
        with self._changed:
            if self._lost and is_new:
                call.come.put(self._lost)
                call.pending.clear()
                return call
            if self._lost or self._closing:
                return None
            self._call_of |= dict.fromkeys(call.pending, call)
            self._taken += len(pages)
            number, self._told = self._told, self._told + 1
            write_pages(self.spool, number, pages)
        self._worker.announce(number)
        return call

    def forget(self, call: _Call) -> None:
        """Nobody waits for what is left of a call. A worker that nobody waits for is ended."""
        with self._changed:
            if not call.pending:
                return
            for index in call.pending:
                self._call_of.pop(index, None)
            call.pending.clear()
            is_idle = not self._call_of
            self._closing = self._closing or is_idle
        if is_idle:
            self._worker.stop()
            self._thread.join()

    def wait_until_idle(self) -> None:
        """Wait until all that was asked for has come, or the worker is lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._call_of)

    def close(self) -> Manners:
        """End the worker: at once where somebody still waits for it. What hosts have asked it for."""
        with self._changed:
            is_idle = not self._call_of and not self._lost
            self._closing = True
        if is_idle:
            self._worker.end_orders()
            self._thread.join(END_PATIENCE)
        self._worker.stop()
        self._thread.join()
        return Manners.read(self.spool)

    def clean(self) -> None:
        """Remove the spool. What was not taken of it is lost."""
        self._folder.cleanup()

    def _hand_on(self) -> None:
        try:
            for message in self._worker.messages(self._stall):
                told = message.counters
                counters = self.counters
                # A worker counts up: its last word is what it has spent, also when it is killed afterwards.
                counters.requests, counters.bytes, counters.errors = told.requests, told.bytes, told.errors
                if message.page is not None:
                    self._hand_over(message.page)
                if message.end:
                    break
            reason = "the web worker left the page out"
            self._worker.finish(self.counters)
        except WorkerLostError as error:
            reason = str(error)
            # A worker that we end ourselves is no news.
            level = logging.DEBUG if self._closing else logging.ERROR
            left, words = len(self._call_of), self._worker.last_words()
            logger.log(level, "%s; %d pages are not read%s", reason, left, words)
        finally:
            self._worker.stop()
        with self._changed:
            self._lost = reason
            for index, call in self._call_of.items():
                call.pending.discard(index)
                call.come.put(reason)
            self._call_of.clear()
            self._changed.notify_all()

    def _hand_over(self, page: PageResult) -> None:
        with self._changed:
            call = self._call_of.pop(page.index, None)
            if call is not None:
                call.pending.discard(page.index)
                call.come.put(page)
                self._changed.notify_all()


class PageReader:
    """Reads pages for any number of callers, through one worker at a time.

    `job` is what every worker is told, without pages. `command` starts a worker; the spool folder is appended.
    """

    def __init__(self, command: Sequence[str], job: Job, stall: float) -> None:
        self._command = command
        self._job = job
        self._stall = stall
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._ended: list[_Running] = []
        self._manners = _KnownManners()

    def prepare(self) -> None:
        """Start a worker: there will be pages, and it takes its time."""
        with self._lock:
            if self._running is None:
                with contextlib.suppress(OSError):
                    self._start()

    def read(self, pages: Sequence[PageJob]) -> Iterator[tuple[PageResult, Path] | PageLost]:
        """The pages as they come, with the spool that their bodies are in. Their indexes are nobody else's.

        Raises OSError when no worker can be started.
        """
        running, call = self._ask(pages)
        return self._coming({page.index for page in pages}, running, call)

    def _coming(
        self, left: set[int], running: _Running, call: _Call
    ) -> Iterator[tuple[PageResult, Path] | PageLost]:
        deadline = self._job.limits.deadline
        until = time.monotonic() + deadline
        come: PageResult | str = ""
        try:
            while left:
                try:
                    # What was read in time counts, also when it is taken late: whoever saves it may be slow.
                    come = call.come.get(timeout=max(0.0, until - time.monotonic()))
                except queue.Empty:
                    come = f"the web worker did not finish within {deadline:g} s"
                    logger.error("%s; %d pages are not read", come, len(left))
                if isinstance(come, str):
                    break
                left.discard(come.index)
                yield come, running.spool
        finally:
            running.forget(call)
        for index in sorted(left):
            yield PageLost(index=index, reason=str(come))

    def spent(self) -> Counters:
        """What all workers have spent so far."""
        all_of_them = [*self._ended, *([self._running] if self._running is not None else ())]
        return Counters(
            requests=sum(running.counters.requests for running in all_of_them),
            bytes=sum(running.counters.bytes for running in all_of_them),
        )

    def close(self) -> None:
        """End the worker, and remove what it has left."""
        # Without the lock: somebody may hold it while waiting for the worker.
        running = self._running
        if running is not None:
            self._manners.learn(running.close())
        for each in (*self._ended, *([running] if running is not None else ())):
            each.clean()

    def _ask(self, pages: Sequence[PageJob]) -> tuple[_Running, _Call]:
        with self._lock:
            if (running := self._running) is not None:
                if running.is_full:
                    running.wait_until_idle()
                elif (call := running.ask(pages, is_new=False)) is not None:
                    return running, call
                self._manners.learn(running.close())
            running = self._start()
            call = running.ask(pages, is_new=True)
            if call is None:
                raise InterruptedError("the source is being closed")
            return running, call

    def _start(self) -> _Running:
        if self._running is not None:
            self._ended.append(self._running)
            self._running = None
        job = replace(self._job, manners=self._manners.told())
        self._running = _Running(self._command, job, self._stall)
        return self._running


class _KnownManners:
    """What hosts have asked for so far tonight, for the next worker. Times by the monotonic clock."""

    def __init__(self) -> None:
        self._robots: dict[str, tuple[float, str]] = {}
        self._rest_until: dict[str, float] = {}

    def told(self) -> Manners:
        """What still holds."""
        now = time.monotonic()
        return Manners(
            robots={site: rules for site, (until, rules) in self._robots.items() if until > now},
            rest={host: until - now for host, until in self._rest_until.items() if until > now},
        )

    def learn(self, manners: Manners) -> None:
        """Take over what a worker was asked for."""
        now = time.monotonic()
        for site, rules in manners.robots.items():
            # What the worker was told itself is not newer for it.
            if self._robots.get(site, (0.0, None))[1] != rules or self._robots[site][0] <= now:
                self._robots[site] = (now + ROBOTS_SECONDS, rules)
        for host, seconds in manners.rest.items():
            self._rest_until[host] = now + seconds
