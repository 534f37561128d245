"""Keeps a schedule: begins a night when it is due, as a process of its own, and outlives all of them.

A night that crashes takes nothing with it, and its memory goes back to the machine. APScheduler says
when a night is due, passes over one that came too late or while another one runs, and makes one of
several that were slept through; a beat every few seconds tells it to look at the clock, as a machine
that was asleep does not count that time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from apscheduler.events import (  # type: ignore[import-untyped]
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]

from crawler.health import GOOD_CODES, Night, write_health
from crawler.schedule import CronTimes

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
"""How often the clock is looked at and the health file written."""

_JOB = "night"
_ENDED = 0
"""What the main loop is told when a night has ended, among the numbers of signals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the scheduler is to do; times in seconds.

    `command` begins a night; one that runs longer than `time_limit` is ended. `grace` is how late a
    night may still begin, `stop_grace` how long one that is to end may take to store what it has.
    """

    times: CronTimes
    command: tuple[str, ...]
    environment: dict[str, str]
    grace: int
    time_limit: int
    stop_grace: float
    at_once: bool = False
    once: bool = False
    health_file: Path | None = None


@dataclass(slots=True)
class _State:
    """What the threads share, under the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: bool = False
    process: subprocess.Popen[bytes] | None = None
    last: Night | None = None


class Scheduler:
    """One schedule, one night at a time."""

    def __init__(self, plan: Plan, clock: Callable[[], datetime]) -> None:
        self._plan = plan
        self._clock = clock
        self._state = _State()
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._scheduler = BackgroundScheduler(
            timezone=plan.times.zone, executors={"default": ThreadPoolExecutor(max_workers=1)}
        )

    def run(self) -> int:
        """Keep the schedule until a signal, or with `once` until a night has ended; the exit code.

        That of a signal is 128 and its number, as shells have it. Has to be called by the main thread.
        """
        # What else there is to say of its jobs is said here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_listener(self._tell_passed_over, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_listener(lambda event: self._told.put(_ENDED), EVENT_JOB_ERROR)
        self._scheduler.add_job(
            self._night,
            self._plan.times,
            id=_JOB,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=self._plan.grace,
            **({"next_run_time": self._clock()} if self._plan.at_once else {}),
        )
        with self._signals_to_us():
            self._scheduler.start()
            if not self._plan.at_once:
                log.info("the first night begins at %s", self._next_in_words())
            try:
                return self._loop()
            finally:
                self._scheduler.shutdown(wait=True)
                if self._plan.health_file is not None:
                    with contextlib.suppress(OSError):
                        self._plan.health_file.unlink(missing_ok=True)

    def _loop(self) -> int:
        while True:
            self._beat()
            try:
                told = self._told.get(timeout=BEAT_SECONDS)
            except queue.Empty:
                self._scheduler.wakeup()
                continue
            if told != _ENDED:
                self._stop(told)
                return 128 + told
            if self._plan.once:
                last = self._state.last
                code = 1 if last is None or last.code is None else last.code
                return code if code >= 0 else 128 - code

    @contextmanager
    def _signals_to_us(self) -> Iterator[None]:
        def tell(number: int, frame: FrameType | None) -> None:
            # The one queue that may be put to from within a signal handler.
            self._told.put(number)

        before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _night(self) -> None:
        """One night, from its start to its end; called by APScheduler in its thread."""
        started = self._clock()
        try:
            with self._state.lock:
                if self._state.stopping:
                    return
                log.info("a night begins")
                self._state.process = process = subprocess.Popen(
                    self._plan.command,
                    env=self._plan.environment,
                    stdin=subprocess.DEVNULL,
                    # A session of its own: Ctrl-C reaches us alone, and its end is ours to order.
                    start_new_session=True,
                )
                self._state.last = Night(started=started)
        except OSError as error:
            self._end(
                Night(started=started, ended=self._clock(), problem=f"it could not be started: {error}")
            )
            return
        problem = ""
        try:
            process.wait(self._plan.time_limit)
        except subprocess.TimeoutExpired:
            problem = (
                f"ended after {timedelta(seconds=self._plan.time_limit)}, the longest that a night may take"
            )
            log.error("the night is %s", problem)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._plan.stop_grace)
            _kill(process)
        self._end(Night(started=started, ended=self._clock(), code=process.wait(), problem=problem))

    def _end(self, night: Night) -> None:
        with self._state.lock:
            self._state.process = None
            self._state.last = night
            stopping = self._state.stopping
        took = (night.ended or night.started) - night.started
        log.log(
            logging.INFO if night.code in GOOD_CODES and not night.problem else logging.ERROR,
            "the night ended with code %s after %.0f s (%s)%s",
            night.code,
            took.total_seconds(),
            night.meaning,
            "" if stopping or self._plan.once else f"; the next one begins at {self._next_in_words()}",
        )
        self._told.put(_ENDED)

    def _stop(self, number: int) -> None:
        """Let a night that runs store what it has, and wait for its end. A second signal ends it at once."""
        with self._state.lock:
            self._state.stopping = True
            process = self._state.process
        if process is None:
            return
        log.info("the night is asked to end; it stores what it has")
        process.send_signal(number)
        deadline = time.monotonic() + self._plan.stop_grace
        while (left := deadline - time.monotonic()) > 0:
            try:
                told = self._told.get(timeout=left)
            except queue.Empty:
                break
            if told == _ENDED:
                return
            log.warning("asked again: the night is killed")
            break
        _kill(process)

    def _tell_passed_over(self, event: JobEvent) -> None:
        if event.code == EVENT_JOB_MISSED:
            log.error(
                "the night of %s is left out: its time is more than %s ago; the next one begins at %s",
                self._in_words(event.scheduled_run_time),
                timedelta(seconds=self._plan.grace),
                self._next_in_words(),
            )
        else:
            log.warning(
                "the night of %s is left out: the one before it still runs",
                self._in_words(event.scheduled_run_times[-1]),
            )

    def _next(self) -> datetime | None:
        job = self._scheduler.get_job(_JOB)
        # A job has no next time yet before the scheduler was started.
        moment: datetime | None = getattr(job, "next_run_time", None)
        return moment

    def _next_in_words(self) -> str:
        moment = self._next()
        return self._in_words(moment) if moment else "no time at all"

    def _in_words(self, moment: datetime) -> str:
        return moment.astimezone(self._plan.times.zone).isoformat(sep=" ", timespec="seconds")

    def _beat(self) -> None:
        """Write the health file; that it cannot be written ends nothing, and whoever reads it sees it age."""
        if self._plan.health_file is None:
            return
        with self._state.lock:
            last = self._state.last
        try:
            write_health(
                self._plan.health_file,
                alive=self._clock(),
                schedule=str(self._plan.times),
                upcoming=self._next(),
                last=last,
            )
        except OSError as error:
            log.warning("the health file %s cannot be written: %s", self._plan.health_file, error.strerror)


def night_command(before: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """What begins a night: this program anew, with options for all commands and for `nightly`."""
    # -P: a folder named like one of our packages in the working folder is not taken for it.
    return (sys.executable, "-P", "-m", "crawler", *before, "nightly", *options)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a night that did not end when asked to, with what it has started in its session."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
