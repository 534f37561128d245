"""Limits of services: what is left of them, and how long a service wants to be left alone.

Whoever asks takes leave first (`Budget.take`). A request that is known to be refused is not sent: a
short wait is waited out, once for all threads together; a long one ends the asking for this night.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crawler.http import RETRIED, Answer, TransportRules, Unread, seconds_to_wait
from crawler.sources.base import Allowance
from db.waiting import NOT_ASKED, NOT_YET
from pipelines.model import VisitStatus

UNTOLD = 60.0
"""Seconds to keep away after a refusal that names no time; doubled with every further one."""

MOST_REFUSALS = 3
"""Refusals in a row, each after a wait that was kept, after which a service is left for the night."""

MOST_SILENCES = 3
"""Requests in a row without an answer in time after which a service is taken to be down: none is tried again."""

MOST_PATIENCE = 4
"""How many times the longest wait may be spent on refusals in one night, all in all."""

_SAME_WINDOW = timedelta(seconds=5)
"""Times of renewal nearer together than this are the same one, told in seconds from now."""


@dataclass(frozen=True, slots=True, eq=False)
class _Barrier:
    """What stands in the way of a request until then; None: for the rest of the night."""

    reason: str
    until: datetime | None

    def seconds(self, now: datetime) -> float | None:
        """How long it stands yet; 0 when it is over, None for good."""
        return None if self.until is None else max(0.0, (self.until - now).total_seconds())


class Door:
    """Whether a service wants to be asked at all. Several limits of one service may share it.

    `who` begins the reasons. Waits of at most `max_wait` seconds are waited out. Safe to share
    between threads: all wait for the same moment, and refusals of requests that were under way
    together count once. At first, and after every refusal, one request goes ahead alone, and only
    when it is answered the others follow.
    """

    def __init__(self, clock: Callable[[], datetime], who: str, max_wait: float) -> None:
        self._clock = clock
        self._who = who
        self.max_wait = max_wait
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._leaving = threading.Event()
        self._barrier: _Barrier | None = None
        self._open = False
        self._one_ahead = False
        self._turn = 0
        self._refusals = 0
        self._silences = 0
        self._patience = 0.0
        self._said = ""

    def enter(self) -> int:
        """Wait until asking is allowed. The turn, with which the end is told: `welcome`, `hold` or `lost`."""
        while True:
            self.rest(0)
            with self._answered:
                barrier = self._standing()
                if barrier is None:
                    if self._open or not self._one_ahead:
                        self._one_ahead = not self._open
                        return self._turn
                    self._answered.wait(1.0)
                    continue
            self.wait_for(barrier)
            with self._lock:
                # By the clock of a test, or one that was set back, it might stand for ever.
                if self._barrier is barrier:
                    self._barrier = None

    def wait_for(self, barrier: _Barrier) -> None:
        """Wait until it is over. Raises Unread where that takes too long."""
        seconds = barrier.seconds(self._clock())
        if seconds is None or seconds > self.max_wait:
            raise Unread(VisitStatus.FAILED, barrier.reason)
        self.rest(seconds)

    def rest(self, seconds: float) -> None:
        """Do nothing for a while. Raises Unread when the source is closed meanwhile."""
        if self._leaving.wait(seconds):
            raise Unread(VisitStatus.FAILED, "not asked: the run was stopped")

    def welcome(self, turn: int) -> None:
        """An answer came that is no refusal: earlier ones are forgotten."""
        with self._lock:
            self._silences = 0
            if turn == self._turn:
                self._refusals = 0
                self._go_on(is_open=True)

    def lost(self, turn: int, *, sent: bool = True) -> None:
        """No answer came: that is no reason to ask one at a time. Or it was not sent after all."""
        with self._lock:
            if turn == self._turn:
                self._go_on(is_open=self._open or sent)

    def is_late(self) -> bool:
        """No answer came in time. Is the service one that answers others, and a second try worth its time?"""
        with self._lock:
            self._silences += 1
            return self._silences <= MOST_SILENCES

    def _go_on(self, *, is_open: bool) -> None:
        self._open, self._one_ahead = is_open, False
        self._answered.notify_all()

    def hold(self, turn: int, seconds: float | None) -> None:
        """The service asks to be left alone for that long (None: it names no time)."""
        with self._lock:
            now = self._clock()
            if turn == self._turn:
                self._turn += 1
                self._refusals += 1
                self._go_on(is_open=False)
            elif seconds is None:
                # Under way together with a request that was refused already: that is nothing new.
                return
            pause = UNTOLD * 2 ** (self._refusals - 1) if seconds is None else seconds
            until = now + timedelta(seconds=pause)
            standing = self._standing()
            if standing is not None and (standing.until is None or standing.until >= until):
                return
            self._said = f"{self._who} asks to wait {pause:.0f} s"
            self._patience += pause
            if self._refusals >= MOST_REFUSALS:
                self._said = f"{self._who} refused {self._refusals} times in a row"
                self._barrier = _Barrier(_not_asked(self._said), None)
            elif self._patience > MOST_PATIENCE * max(pause, self.max_wait):
                self._said = f"{self._who} asked to wait again and again"
                self._barrier = _Barrier(_not_asked(self._said), None)
            else:
                self._barrier = _Barrier(_not_asked(self._said), until)

    def close(self, reason: str) -> bool:
        """Refuse everything for the rest of the night. True the first time."""
        with self._lock:
            first = self._barrier is None or self._barrier.until is not None
            if first:
                self._barrier = _Barrier(reason, None)
            return first

    def leave(self) -> None:
        """Wake everybody who waits: the source is being closed."""
        self._leaving.set()

    @property
    def reason(self) -> str:
        """What the service asked for last."""
        with self._lock:
            return self._said

    @property
    def within_reach(self) -> bool:
        """Would a wait that is worth while do?"""
        with self._lock:
            barrier = self._standing()
            seconds = 0.0 if barrier is None else barrier.seconds(self._clock())
            return seconds is not None and seconds <= self.max_wait

    def _standing(self) -> _Barrier | None:
        if self._barrier is not None and self._barrier.seconds(self._clock()) == 0:
            self._barrier = None
        return self._barrier


def _not_asked(why: str) -> str:
    return f"{NOT_ASKED}: {why}"


class Budget:
    """One limit of one service: asks only while something is left of it.

    `describe` makes the reason out of the limit (None where it was not told). Requests under way
    count as spent.
    """

    def __init__(
        self, door: Door, clock: Callable[[], datetime], describe: Callable[[int | None], str]
    ) -> None:
        self.door = door
        self.describe = describe
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._allowance: Allowance | None = None

    def take(self) -> int:
        """Reserve one request, after a wait where one is worth while; Unread where it would be refused."""
        while True:
            turn = self.door.enter()
            with self._lock:
                told = self._told()
                if told is None or told.remaining - self._under_way > 0:
                    self._under_way += 1
                    return turn
            self.door.lost(turn, sent=False)
            self.door.wait_for(_Barrier(f"{NOT_YET}: {self.describe(told.limit)}", told.resets_at))
            with self._lock:
                if self._allowance is told:
                    self._allowance = None

    def settle(self, allowance: Allowance | None) -> None:
        """Give back the reservation and note what the answer said is left."""
        with self._lock:
            self._under_way -= 1
            self._note(allowance)

    def note(self, allowance: Allowance | None) -> None:
        """Note what is left, as the service told it beside a request."""
        with self._lock:
            self._note(allowance)

    @property
    def allowance(self) -> Allowance | None:
        """What is left, as far as it was told; None when it was not, or the count has begun anew."""
        with self._lock:
            return self._told()

    @property
    def within_reach(self) -> bool:
        """Would a wait that is worth while do?"""
        told = self.allowance
        if told is not None and told.remaining <= 0:
            return (told.resets_at - self._clock()).total_seconds() <= self.door.max_wait
        return self.door.within_reach

    def _note(self, allowance: Allowance | None) -> None:
        if allowance is None:
            return
        told = self._told()
        if told is not None and abs(allowance.resets_at - told.resets_at) <= _SAME_WINDOW:
            # Answers overtake each other: within one count the smaller number is the later one.
            allowance = min(allowance, told, key=lambda known: known.remaining)
        self._allowance = allowance

    def _told(self) -> Allowance | None:
        if self._allowance is not None and self._clock() >= self._allowance.resets_at:
            self._allowance = None
        return self._allowance


def nearest(budgets: Iterable[Budget]) -> Allowance | None:
    """What is left of the limit that is nearest to its end."""
    told = [allowance for budget in budgets if (allowance := budget.allowance) is not None]
    return min(told, key=lambda allowance: allowance.remaining, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A service asks to be left alone: for that many seconds, None where it names no time."""

    seconds: float | None


def asked_pause(answer: Answer, now: datetime) -> Pause | None:
    """The pause that an answer asks for; None where it asks for none."""
    seconds = seconds_to_wait(answer.headers, now) if answer.status in (403, 429, 503) else None
    return Pause(seconds=seconds) if seconds is not None or answer.status == 429 else None


def with_patience(rules: TransportRules, budget: Budget, attempt: Callable[[], Answer]) -> Answer:
    """One request, tried again a bounded number of times.

    Tried again are broken connections, truncated answers, noise, 5xx, and limits that end soon:
    `attempt` takes leave of the budget, and that waits. Where no answer came in time, once is
    enough: it has cost its time already. The last answer is returned whatever its status; an
    exception of the last try is raised.
    """
    silences = 0
    for tried in range(rules.retries + 1):
        last = tried == rules.retries
        try:
            answer = attempt()
        except Unread as error:
            silences += error.silent
            is_late = error.silent and budget.door.is_late() and silences == 1
            if last or not (error.again or is_late):
                raise
        else:
            if last or not (answer.limited or answer.status in RETRIED):
                return answer
            if answer.limited:
                if not budget.within_reach:
                    return answer
                continue
        budget.door.rest(rules.backoff * 2**tried)
    raise AssertionError("the loop returns or raises in its last turn")
