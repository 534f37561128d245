"""Extraction beside everything else: snapshots in, what was found in them out, in any order.

A few small documents are read here, between two other things. Where there is much to read,
processes of their own read it, while the next answers arrive. What is found is the same.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from crawler.archive import Archive
from crawler.extraction_worker import Extracted, begin, read
from db.values import StoredSnapshot
from pipelines.model import Snapshot

log = logging.getLogger(__name__)

WORTH_PROCESSES = 300_000
"""Bytes waiting from which processes pay: one takes a second to start, and reads a megabyte in three."""

MOST_PROCESSES = 4
AHEAD = 3
"""Documents handed to each process before it asks for more."""

BACKLOG = 12
"""Documents that may wait for a process. What is more is read here, while there is nothing else to do."""

MOST_TRIES = 3
"""Processes that may die over a document before it is given up: others died beside it, maybe."""

LONGEST_SILENCE = 300.0
"""Seconds without any result after which the processes are ended: one of them reads and reads."""


@dataclass(slots=True, kw_only=True)
class _Task:
    stored: StoredSnapshot
    tries: int = 0


class Extraction:
    """Reads snapshots. `wake` is called from another thread when there is something to collect.

    A context: at its end no process is left, whatever happened.
    """

    def __init__(
        self,
        archive: Archive,
        wake: Callable[[], None] = lambda: None,
        *,
        processes: int | None = None,
        worth: int = WORTH_PROCESSES,
    ) -> None:
        self._archive = archive
        self._wake = wake
        self._processes = usual_processes() if processes is None else processes
        self._worth = worth
        self._soon: deque[_Task] = deque()
        self._waiting: deque[_Task] = deque()
        self._bytes = 0
        self._under_way: dict[Future[Extracted], _Task] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._heard = 0.0

    def __enter__(self) -> Extraction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_pool(in_a_hurry=error is not None)

    @property
    def is_busy(self) -> bool:
        """Is there anything that was added and not collected?"""
        return bool(self._soon or self._waiting or self._under_way)

    @property
    def wants_to_read(self) -> bool:
        """Would `collect` read something here, in this thread?"""
        return len(self._soon) + len(self._waiting) > (BACKLOG if self._uses_processes else 0)

    @property
    def _uses_processes(self) -> bool:
        return self._pool is not None or (self._processes > 0 and self._bytes >= self._worth)

    def add(self, stored: StoredSnapshot, *, soon: bool = False) -> None:
        """Let a snapshot be read; before the others if it is wanted soon."""
        (self._soon if soon else self._waiting).append(_Task(stored=stored))
        self._bytes += stored.size

    def collect(self, seconds: float) -> list[Extracted]:
        """What was read by now. Keeps the processes busy; where they do not keep up, reads here for about so long."""
        found = []
        if self._uses_processes:
            found = self._take_back()
            self._hand_out()
        until = time.monotonic() + seconds
        while self.wants_to_read and (not self._uses_processes or time.monotonic() < until):
            stored = self._next().stored
            found.append(read(self._archive, stored.id, _bare(stored)))
            if time.monotonic() >= until:
                break
        return found

    def wait(self, seconds: float) -> None:
        """Wait so long at most for something to collect."""
        if self._under_way:
            wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)

    def _next(self) -> _Task:
        task = (self._soon or self._waiting).popleft()
        self._bytes -= task.stored.size
        return task

    def _hand_out(self) -> None:
        while (self._soon or self._waiting) and len(self._under_way) < AHEAD * self._processes:
            task = self._next()
            if not self._under_way:
                self._heard = time.monotonic()
            try:
                if self._pool is None:
                    self._pool = _start(self._processes)
                with _blocked():
                    future = self._pool.submit(read, self._archive, task.stored.id, _bare(task.stored))
            except BrokenProcessPool:
                # Those under way say so as well, and are counted there.
                self._put_back(task)
                if not self._under_way:
                    self._end_pool(in_a_hurry=True)
                return
            self._under_way[future] = task
            future.add_done_callback(lambda _: self._wake())

    def _take_back(self) -> list[Extracted]:
        found: list[Extracted] = []
        lost: list[_Task] = []
        for future in [future for future in self._under_way if future.done()]:
            task = self._under_way.pop(future)
            self._heard = time.monotonic()
            error = future.exception()
            if error is None:
                found.append(future.result())
            elif isinstance(error, BrokenProcessPool):
                lost.append(task)
            else:
                found.append(Extracted(snapshot_id=task.stored.id, error=f"{type(error).__name__}: {error}"))
        if lost:
            self._end_pool(in_a_hurry=True)
            lost += self._under_way.values()
            self._under_way.clear()
            found += self._try_again(lost)
        elif self._under_way and time.monotonic() - self._heard > LONGEST_SILENCE:
            self._kill()
        return found

    def _try_again(self, lost: list[_Task]) -> list[Extracted]:
        """Tasks over which a process died, back to those that wait; given up those over which it was once too often."""
        given_up = []
        for task in lost:
            task.tries += 1
            if task.tries < MOST_TRIES:
                self._put_back(task)
            else:
                reason = f"the process that read it was lost {task.tries} times"
                log.error("%s (%s) could not be extracted: %s", task.stored.ref, task.stored.part, reason)
                given_up.append(Extracted(snapshot_id=task.stored.id, error=reason))
        return given_up

    def _put_back(self, task: _Task) -> None:
        self._soon.appendleft(task)
        self._bytes += task.stored.size

    def _kill(self) -> None:
        # The library knows no other way to end a process that is busy (Python 3.14 has one).
        processes = getattr(self._pool, "_processes", None) or {}
        for process in list(processes.values()):
            process.kill()

    def _end_pool(self, in_a_hurry: bool) -> None:
        if self._pool is None:
            return
        if in_a_hurry:
            self._kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def usual_processes() -> int:
    """How many processes read beside this one: none on a machine with a single core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_PROCESSES, cores - 1)


@contextmanager
def _blocked() -> Iterator[None]:
    """Processes started meanwhile never hear of Ctrl-C, not even before they have begun; this one does, after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=processes,
        # Forking would copy the locks of the threads that run here.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin,
    )


def _bare(stored: StoredSnapshot) -> Snapshot:
    """The snapshot without its bytes: who reads it takes them from the archive."""
    return Snapshot(
        ref=stored.ref,
        part=stored.part,
        url=stored.url,
        fetched_at=stored.fetched_at,
        sha256=stored.sha256,
        media_type=stored.media_type,
        body=b"",
    )
