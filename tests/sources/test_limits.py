"""Limits: what is not sent, what is waited for, and how often something is tried."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crawler.http import Answer, TransportRules, Unread
from crawler.limits import MOST_REFUSALS, Budget, Door, asked_pause, nearest, with_patience
from crawler.sources.base import Allowance
from pipelines.model import VisitStatus

NOW = datetime(2031, 5, 3, 1, 0, tzinfo=UTC)
RULES = TransportRules(user_agent="t", retries=2, backoff=0.01)


class Clock:
    """A clock that is set by hand; waiting does not move it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make(max_wait: float = 0.0, clock: Callable[[], datetime] = lambda: NOW) -> Budget:
    return Budget(Door(clock, "The service", max_wait), clock, lambda limit: f"{limit} requests are used up")


def left(remaining: int, seconds: float = 300, limit: int | None = 60) -> Allowance:
    return Allowance(remaining=remaining, resets_at=NOW + timedelta(seconds=seconds), limit=limit)


def open_budget(**options: Any) -> Budget:
    """One whose first request was answered already."""
    budget = make(**options)
    budget.door.welcome(budget.take())
    budget.settle(None)
    return budget


def test_what_would_be_refused_is_not_sent() -> None:
    clock = Clock()
    budget = open_budget(clock=clock)
    budget.note(left(2))
    budget.take()
    budget.take()
    with pytest.raises(Unread, match="not asked yet: 60 requests are used up"):
        budget.take()
    clock.now += timedelta(seconds=300)
    budget.take()


def test_answers_that_overtake_each_other_do_not_bring_requests_back() -> None:
    budget = open_budget()
    budget.note(left(3))
    budget.note(left(5, seconds=302))
    assert budget.allowance == left(3)
    budget.note(left(4000, seconds=3900))
    assert budget.allowance == left(4000, seconds=3900)


def test_a_limit_that_begins_anew_soon_is_waited_for() -> None:
    budget = open_budget(max_wait=0.2)
    budget.note(left(0, seconds=0.1))
    began = time.monotonic()
    budget.take()
    assert 0.1 <= time.monotonic() - began < 1


def test_the_nearest_limit_is_told() -> None:
    some, more, none = open_budget(), open_budget(), open_budget()
    some.note(left(7))
    more.note(left(9))
    assert nearest([more, some, none]) == left(7)
    assert nearest([none]) is None


def test_a_door_that_was_closed_stays_closed() -> None:
    clock = Clock()
    budget = open_budget(clock=clock, max_wait=9)
    assert budget.door.close("the token was refused")
    assert not budget.door.close("again")
    clock.now += timedelta(days=9)
    with pytest.raises(Unread, match="the token was refused") as caught:
        budget.take()
    assert caught.value.status is VisitStatus.FAILED


def test_a_long_pause_ends_the_asking_until_it_is_over() -> None:
    clock = Clock()
    budget = open_budget(clock=clock, max_wait=5)
    budget.door.hold(budget.take(), 9)
    with pytest.raises(Unread, match="not asked: The service asks to wait 9 s"):
        budget.take()
    clock.now += timedelta(seconds=9)
    budget.take()


def test_a_pause_without_a_time_is_a_minute_and_doubles() -> None:
    clock = Clock()
    budget = open_budget(clock=clock, max_wait=300)
    for seconds in (60, 120):
        budget.door.hold(budget.take(), None)
        assert budget.door.reason == f"The service asks to wait {seconds} s"
        budget.settle(None)
        clock.now += timedelta(seconds=seconds)
    budget.door.hold(budget.take(), None)
    with pytest.raises(Unread, match=f"refused {MOST_REFUSALS} times in a row"):
        budget.take()


def test_an_answer_between_two_refusals_makes_the_next_one_the_first_again() -> None:
    clock = Clock()
    budget = open_budget(clock=clock, max_wait=300)
    for _ in range(3):
        budget.door.hold(budget.take(), None)
        assert budget.door.reason.endswith(" 60 s")
        clock.now += timedelta(seconds=60)
        budget.door.welcome(budget.take())


def test_a_service_that_only_ever_asks_to_wait_is_left() -> None:
    clock = Clock()
    budget = open_budget(clock=clock, max_wait=300)
    for _ in range(4):
        budget.door.hold(budget.take(), 299)
        clock.now += timedelta(seconds=299)
        budget.door.welcome(budget.take())
    budget.door.hold(budget.take(), 299)
    with pytest.raises(Unread, match="again and again"):
        budget.take()


def test_refusals_of_requests_that_were_under_way_together_count_once() -> None:
    budget = open_budget(max_wait=300)
    turns = [budget.take() for _ in range(8)]
    for turn in turns:
        budget.door.hold(turn, None)
    assert budget.door.reason.endswith(" 60 s")
    assert budget.within_reach


def together(count: int, work: Callable[[], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_one_request_goes_ahead_and_the_others_follow_its_answer() -> None:
    budget, entered = make(), list[int]()
    threads = together(6, lambda: entered.append(budget.take()))
    time.sleep(0.05)
    assert len(entered) == 1
    budget.door.welcome(entered[0])
    for thread in threads:
        thread.join(2)
    assert len(entered) == 6


def test_a_request_that_got_no_answer_does_not_hold_up_the_others() -> None:
    budget = make()
    budget.door.lost(budget.take())
    assert [budget.take(), budget.take()] == [0, 0]


def test_all_threads_wait_for_one_moment_and_not_one_after_the_other() -> None:
    budget = open_budget(max_wait=1)
    budget.door.hold(budget.take(), 0.2)
    began = time.monotonic()
    threads = together(8, lambda: budget.door.welcome(budget.take()))
    for thread in threads:
        thread.join(5)
    assert 0.2 <= time.monotonic() - began < 1


def test_whoever_waits_is_woken_when_the_source_is_closed() -> None:
    budget, said = open_budget(max_wait=60), list[str]()
    budget.door.hold(budget.take(), 30)

    def ask() -> None:
        try:
            budget.take()
        except Unread as error:
            said.append(error.reason)

    threads = together(3, ask)
    time.sleep(0.05)
    budget.door.leave()
    for thread in threads:
        thread.join(1)
    assert said == ["not asked: the run was stopped"] * 3


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7.0),
        (503, {"retry-after": "Sat, 03 May 2031 01:01:00 GMT"}, 60.0),
        (403, {"retry-after": "7"}, 7.0),
        (429, {}, None),
        (429, {"retry-after": "soon"}, None),
    ],
)
def test_a_pause_is_read_from_the_answer(status: int, headers: dict[str, str], seconds: float | None) -> None:
    pause = asked_pause(Answer(status=status, headers=headers, body=b""), NOW)
    assert pause is not None
    assert pause.seconds == seconds


@pytest.mark.parametrize(("status", "headers"), [(200, {"retry-after": "7"}), (403, {}), (503, {})])
def test_other_answers_ask_for_no_pause(status: int, headers: dict[str, str]) -> None:
    assert asked_pause(Answer(status=status, headers=headers, body=b""), NOW) is None


def tries(*script: Any, max_wait: float = 0.0) -> tuple[Any, int]:
    """with_patience over a script of statuses, pauses (status, seconds) and exceptions; how many were tried."""
    steps, budget = list(script), open_budget(max_wait=max_wait)

    def attempt() -> Answer:
        turn = budget.take()
        budget.settle(None)
        step = steps.pop(0)
        if isinstance(step, Exception):
            budget.door.lost(turn)
            raise step
        status, seconds = step if isinstance(step, tuple) else (step, None)
        if seconds is None:
            budget.door.welcome(turn)
        else:
            budget.door.hold(turn, seconds)
        return Answer(status=status, headers={}, body=b"", limited=seconds is not None)

    try:
        result: Any = with_patience(RULES, budget, attempt).status
    except Unread as error:
        result = error.reason
    return result, len(script) - len(steps)


def broken(again: bool) -> Unread:
    return Unread(VisitStatus.FAILED, "broke", again=again)


def silent() -> Unread:
    return Unread(VisitStatus.FAILED, "silence", silent=True)


@pytest.mark.parametrize(
    ("script", "result", "tried"),
    [
        ([200], 200, 1),
        ([503, 502, 200], 200, 3),
        ([503, 503, 503], 503, 3),
        ([404, 200], 404, 1),
        ([(429, 0.02), 200], 200, 2),
        ([(403, 60), 200], 403, 1),
        ([(429, 0.01), (429, 0.01), (429, 0.01)], 429, 3),
        ([broken(True), 200], 200, 2),
        ([broken(True), broken(True), broken(True)], "broke", 3),
        ([broken(False), 200], "broke", 1),
        ([silent(), 200], 200, 2),
        ([silent(), silent(), 200], "silence", 2),
        ([silent(), 503, 200], 200, 3),
        ([503, silent(), silent()], "silence", 3),
    ],
)
def test_patience_is_bounded(script: list[Any], result: Any, tried: int) -> None:
    assert tries(*script, max_wait=0.1) == (result, tried)


def test_a_service_that_answers_nobody_in_time_is_asked_once_by_each_until_it_answers() -> None:
    budget = open_budget()
    tried = 0

    def attempt() -> Answer:
        nonlocal tried
        tried += 1
        budget.door.lost(budget.take())
        budget.settle(None)
        raise silent()

    counts = []
    for _ in range(4):
        tried = 0
        with pytest.raises(Unread):
            with_patience(RULES, budget, attempt)
        counts.append(tried)
    assert counts == [2, 2, 1, 1]
    budget.door.welcome(budget.take())
    tried = 0
    with pytest.raises(Unread):
        with_patience(RULES, budget, attempt)
    assert tried == 2
