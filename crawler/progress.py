"""What a person sees of a run while it runs: a live table on a terminal, a line a minute in a log."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from crawler.budget import Plan, ServicePlan
from crawler.sources.base import Usage

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

log = logging.getLogger(__name__)

PHASES = ("planning", "visiting", "extracting", "rating", "discovery")
"""What a night goes through; visiting and extracting by turns, as long as links lead on."""

NARROWEST = 60
"""Columns that the table needs."""

A_MINUTE = 60.0


class Progress(Protocol):
    """What a run tells of itself as it goes on. Called from one thread."""

    def phase(self, text: str) -> None:
        """What the run begins to do: one of PHASES, or anything else in a word or two."""
        ...

    def planned(self, plan: Plan) -> None:
        """What the night may spend, known before the first request; again when more was found."""
        ...

    def progress(self, name: str, done: int, total: int, usage: Usage | None = None) -> None:
        """How many of the artifacts known so far a source has done, and what it has spent."""
        ...


class NullProgress:
    """Tells nobody."""

    def phase(self, text: str) -> None:
        pass

    def planned(self, plan: Plan) -> None:
        pass

    def progress(self, name: str, done: int, total: int, usage: Usage | None = None) -> None:
        pass


@dataclass(slots=True)
class _Row:
    """One source. `began` and `before`: when, in seconds, and at how many done, its pace was first measured."""

    began: float
    before: int = 0
    done: int = 0
    total: int = 0
    usage: Usage | None = None
    plan: ServicePlan | None = None

    def seconds_left(self, now: float) -> float | None:
        """How long it will take at its pace so far; None while that cannot be told."""
        if self.done >= self.total:
            return 0.0
        passed, done = now - self.began, self.done - self.before
        return None if done <= 0 or passed <= 0 else passed / done * (self.total - self.done)

    @property
    def left(self) -> int | None:
        """Requests that the service has left."""
        if self.usage is not None and self.usage.remaining is not None:
            return self.usage.remaining
        return self.plan.left if self.plan else None

    @property
    def limit(self) -> int | None:
        if self.usage is not None and self.usage.limit is not None:
            return self.usage.limit
        return self.plan.limit if self.plan else None

    def waits_until(self, now: datetime) -> datetime | None:
        """When the limit that keeps it from going on begins anew; None where none does."""
        resets = self.usage.resets_at if self.usage and self.usage.resets_at else None
        if resets is None and self.plan is not None:
            resets = self.plan.resets_at
        if self.done >= self.total or resets is None or now >= resets:
            return None
        return resets if self.left is not None and self.left <= 0 else None


@dataclass(slots=True)
class _State:
    """What has been told so far; the drawing thread reads it under the lock."""

    seconds: Callable[[], float]
    clock: Callable[[], datetime]
    began: float = 0.0
    phase: str = ""
    since: float = 0.0
    rows: dict[str, _Row] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.began = self.since = self.seconds()

    def row(self, name: str) -> _Row:
        if name not in self.rows:
            self.rows[name] = _Row(began=self.since)
        return self.rows[name]

    def longest(self, now: float) -> float | None:
        """Seconds until the slowest source is through; None while none can tell."""
        told = [left for row in self.rows.values() if (left := row.seconds_left(now))]
        return max(told, default=None)


class _Listener:
    """Notes what a run tells; how it is shown is for subclasses to say."""

    def __init__(
        self,
        *,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = _State(seconds=seconds, clock=clock)

    def phase(self, text: str) -> None:
        with self._state.lock:
            self._state.phase, self._state.since = text, self._state.seconds()

    def planned(self, plan: Plan) -> None:
        with self._state.lock:
            for part in plan.services:
                row = self._state.row(part.service)
                row.plan = part
                row.total = max(row.total, part.fits)

    def progress(self, name: str, done: int, total: int, usage: Usage | None = None) -> None:
        with self._state.lock:
            row = self._state.row(name)
            if done < row.done:
                # Counted anew: its pace is that since the phase began.
                row.began, row.before = self._state.since, 0
            elif 0 < row.total <= row.done and total > row.total:
                # It was through, and more was found.
                row.began, row.before = self._state.seconds(), row.done
            row.done, row.total = done, total
            row.usage = usage if usage is not None else row.usage


class NightProgress(_Listener):
    """A live table on a terminal: a bar for each source, its requests, what it has left, and how long it takes."""

    def __init__(
        self,
        console: Console,
        *,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(seconds=seconds, clock=clock)
        self.console = console

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._state.lock:
            yield from _drawn(self._state, ascii_only=options.ascii_only)


def _drawn(state: _State, *, ascii_only: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    now = state.seconds()
    longest = state.longest(now)
    told = f"{duration(now - state.began)} gone" + (f", {duration(longest)} left" if longest else "")
    if state.phase:
        phases = _phases(state.phase, ascii_only=ascii_only)
        yield Text(phases, style="bold", no_wrap=True, overflow="ellipsis")
    yield Text(told, no_wrap=True)
    if state.rows:
        yield _table(state, now)
    for note in _notes(state):
        yield Text(note, style="yellow", no_wrap=True, overflow="ellipsis")


def _phases(phase: str, *, ascii_only: bool) -> str:
    done, current, coming = ("+", ">", "-") if ascii_only else ("✓", "▸", "·")
    if phase not in PHASES:
        return f"{current} {phase}"
    at = PHASES.index(phase)
    marks = [done if n < at else current if n == at else coming for n in range(len(PHASES))]
    return "  ".join(f"{mark} {name}" for mark, name in zip(marks, PHASES, strict=True))


def _table(state: _State, now: float) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column("source", no_wrap=True, max_width=11)
    table.add_column("", ratio=1, min_width=6)
    for title in ("done", "requests", "budget", "left"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in sorted(state.rows.items()):
        bar = ProgressBar(total=max(1, row.total), completed=row.done if row.total else 1)
        table.add_row(
            name, bar, f"{row.done}/{row.total}", _requests(row), _budget(row), _left(state, row, now)
        )
    return table


def _requests(row: _Row) -> str:
    return str(row.usage.requests) if row.usage else ""


def _budget(row: _Row) -> str:
    if row.left is None:
        return ""
    return f"{row.left}/{row.limit}" if row.limit is not None else str(row.left)


def _left(state: _State, row: _Row, now: float) -> str:
    if row.waits_until(state.clock()) is not None:
        return "waits"
    seconds = row.seconds_left(now)
    return "" if seconds is None else "done" if seconds == 0 else duration(seconds)


def _notes(state: _State) -> Iterator[str]:
    """Who waits for a limit, and what waits for another night."""
    now = state.clock()
    for name, row in sorted(state.rows.items()):
        until = row.waits_until(now)
        if until is not None:
            yield f"{name}: limit used up, begins anew at {until.astimezone(UTC):%H:%M} UTC"
        if row.plan is not None and row.plan.waits:
            yield f"{name}: {row.plan.fits} fit the budget, {row.plan.waits} wait for another night"


def duration(seconds: float) -> str:
    """Seconds as people read them: 0:05, 12:30, 3:00:00."""
    whole = max(0, math.ceil(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class LogProgress(_Listener):
    """A line a minute in the log, for whoever reads it while nobody sits at a terminal."""

    def line(self) -> str:
        """How far the run is, in one line."""
        with self._state.lock:
            now = self._state.seconds()
            sources = "; ".join(
                self._of_source(name, row, now) for name, row in sorted(self._state.rows.items())
            )
            gone = duration(now - self._state.began)
            return f"{self._state.phase or 'running'}, {gone} gone" + (f": {sources}" if sources else "")

    def _of_source(self, name: str, row: _Row, now: float) -> str:
        parts = [f"{name} {row.done} of {row.total}"]
        if row.usage is not None:
            parts.append(f"{row.usage.requests} requests")
        if row.left is not None:
            parts.append(f"{row.left} left" if row.limit is None else f"{row.left} of {row.limit} left")
        until, seconds = row.waits_until(self._state.clock()), row.seconds_left(now)
        if until is not None:
            parts.append(f"waits for its limit until {until.astimezone(UTC):%H:%M} UTC")
        elif seconds:
            parts.append(f"{duration(seconds)} to go")
        return ", ".join(parts)


@contextmanager
def shown_on(console: Console) -> Iterator[NightProgress]:
    """A live table on a terminal, gone at the end. What is logged meanwhile goes above it."""
    from rich.live import Live

    shown = NightProgress(console)
    with (
        Live(shown, console=console, transient=True, redirect_stdout=False, vertical_overflow="crop"),
        _logs_above(console),
    ):
        yield shown


@contextmanager
def _logs_above(console: Console) -> Iterator[None]:
    """Let the handlers that write to the console's terminal write past the table."""
    from rich.file_proxy import FileProxy

    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is console.file
    ]
    try:
        for handler in handlers:
            handler.setStream(FileProxy(console, console.file))
        yield
    finally:
        for handler in handlers:
            handler.setStream(console.file)


@contextmanager
def logged(every: float = A_MINUTE) -> Iterator[LogProgress]:
    """A line in the log every so many seconds, also while nothing happens."""
    told, over = LogProgress(), threading.Event()

    def tell() -> None:
        while not over.wait(every):
            log.info("%s", told.line())

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield told
    finally:
        over.set()
        teller.join()
