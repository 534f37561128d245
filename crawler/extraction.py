"""Extraction beside everything else: snapshots in, what was found in them out, in any order.

A few small documents are read here, between two other things. Where there is much to read,
processes of their own read it, while the next answers arrive. What is found is the same.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from types import TracebackType
from typing import Any

from crawler.archive import Archive
from crawler.extraction_worker import Extracted, begin, read
from crawler.scratch import scratch_folder
from db.values import StoredSnapshot
from pipelines.model import Snapshot

log = logging.getLogger(__name__)

WORTH_PROCESSES = 300_000
"""Bytes waiting from which processes pay: they take half a second to start, and one reads a megabyte in three."""

MOST_PROCESSES = 4
AHEAD = 3
"""Documents handed to each process before it asks for more."""

MOST_TRIES = 3
"""Processes that may die over a document before it is given up: others died beside it, maybe."""

HURRY_SECONDS = 0.5
"""How long processes that are just being started are waited for when the run was cut off."""

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
        # One of its own: whoever puts bodies into an archive holds what cannot be handed to a process.
        self._archive = Archive(archive.path)
        self._wake = wake
        self._processes = usual_processes() if processes is None else processes
        self._worth = worth
        self._soon: deque[_Task] = deque()
        self._waiting: deque[_Task] = deque()
        self._bytes = 0
        self._under_way: dict[Future[Extracted], _Task] = {}
        self._starting: _Starting | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._heard = 0.0

    def __enter__(self) -> Extraction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        in_a_hurry = error is not None
        if in_a_hurry:
            # First of all: what is being started is waited for by whoever starts it.
            _end_server(in_a_hurry=True)
        self._end_pool(in_a_hurry)
        _end_server(in_a_hurry=in_a_hurry)

    @property
    def is_busy(self) -> bool:
        """Is there anything that was added and not collected?"""
        return bool(self._soon or self._waiting or self._under_way)

    @property
    def wants_to_read(self) -> bool:
        """Would `collect` read something here, in this thread?"""
        return bool(self._soon or self._waiting) and not self._uses_processes

    @property
    def _uses_processes(self) -> bool:
        is_there = self._pool is not None or self._starting is not None
        return is_there or (self._processes > 0 and self._bytes >= self._worth)

    def prepare(self) -> None:
        """Start the processes: there will be much to read, and they take their time."""
        if self._processes > 0 and self._pool is None and self._starting is None:
            self._starting = _Starting(self._processes, self._wake)

    def add(self, stored: StoredSnapshot, *, soon: bool = False) -> None:
        """Let a snapshot be read; before the others if it is wanted soon."""
        (self._soon if soon else self._waiting).append(_Task(stored=stored))
        self._bytes += stored.size

    def collect(self, seconds: float) -> list[Extracted]:
        """What was read by now. Keeps the processes busy; where there are none, reads here for about so long."""
        found = []
        if self._uses_processes:
            found = self._take_back()
            self._hand_out()
        until = time.monotonic() + seconds
        while self.wants_to_read:
            stored = self._next().stored
            found.append(read(self._archive, stored.id, _bare(stored)))
            if time.monotonic() >= until:
                break
        return found

    def wait(self, seconds: float) -> None:
        """Wait so long at most for something to collect, or for processes that it can be handed to."""
        if self._starting is not None:
            self._starting.join(seconds)
        elif self._under_way:
            wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)

    def _next(self) -> _Task:
        task = (self._soon or self._waiting).popleft()
        self._bytes -= task.stored.size
        return task

    def _hand_out(self) -> None:
        self.prepare()
        if self._starting is not None:
            if self._starting.is_alive():
                return
            self._pool, self._starting = self._starting.pool, None
        assert self._pool is not None
        while (self._soon or self._waiting) and len(self._under_way) < AHEAD * self._processes:
            task = self._next()
            if not self._under_way:
                self._heard = time.monotonic()
            try:
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
        if self._starting is not None:
            # Processes that begin only now end by themselves: they do so with the one that started them.
            self._starting.join(HURRY_SECONDS if in_a_hurry else None)
            if self._starting.is_alive():
                return
            self._pool, self._starting = self._starting.pool, None
        if self._pool is None:
            return
        if in_a_hurry:
            self._kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


class _Starting(threading.Thread):
    """Starts the processes while others go on with their work: starting them means to wait for their imports."""

    def __init__(self, processes: int, wake: Callable[[], None]) -> None:
        super().__init__(name="extraction-start", daemon=True)
        self.pool = _start(processes)
        self._processes = processes
        self._wake = wake
        self.start()

    def run(self) -> None:
        try:
            with _blocked():
                for _ in range(self._processes):
                    self.pool.submit(os.getpid)
        except (BrokenProcessPool, EOFError, OSError):
            # Whoever hands it a document hears of it again, and starts another one.
            log.debug("the processes that read ended as they began", exc_info=True)
        finally:
            self._wake()


def usual_processes() -> int:
    """How many processes read beside this one, which mostly waits: none on a machine with a single core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_PROCESSES, cores) if cores > 1 else 0


@contextmanager
def _blocked() -> Iterator[None]:
    """Processes started meanwhile never hear of Ctrl-C, not even before they have begun; this one does, after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def begun_early(is_much_new: bool) -> Iterator[None]:
    """Where much will be read: start what the processes are forked from, which imports for all of them.

    That takes as long as all that comes before the first request. An Extraction finds it ready; at the end it is gone.
    """
    if is_much_new and usual_processes() > 0:
        _forking_context()
        with _blocked():
            forkserver.ensure_running()
    try:
        yield
    finally:
        _end_server(in_a_hurry=sys.exception() is not None)


def _start(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=processes, mp_context=_forking_context(), initializer=begin)


def _forking_context() -> ForkServerContext:
    # Forking would copy the locks of the threads that run here: the processes are forked by one that has none,
    # and has imported for all of them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crawler.extraction_ready"])
    _keep_socket_in(_socket_folder().name)
    return context


@cache
def _socket_folder() -> tempfile.TemporaryDirectory[str]:
    """Where the server that processes are forked by has its address; the next run removes it if this one is killed."""
    return scratch_folder("read", for_socket=True)


def _keep_socket_in(folder: str) -> None:
    """The library would make a folder that says not who made it, and stays when its maker is killed."""
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # offers no other way
    config.setdefault("tempdir", folder)


def _end_server(*, in_a_hurry: bool) -> None:
    """End what processes are forked from, if it was started: the library does so only when this one ends.

    Until then it would keep its memory and our standard error, and what it and they have computed would
    count for nobody.
    """
    # The library knows no other way.
    server = getattr(forkserver, "_forkserver", None)
    pid, stop = getattr(server, "_forkserver_pid", None), getattr(server, "_stop", None)
    if pid is None or stop is None:
        return
    if in_a_hurry:
        # It may be in the midst of its imports, and looks up only afterwards.
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    stop()


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
