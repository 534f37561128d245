"""Turns: as many as there are at a time, in the order in which they are asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from crawler.turns import Turns


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_no_more_are_let_in_at_a_time_than_there_are_turns() -> None:
    turns, lock = Turns(3), threading.Lock()
    inside: list[int] = []
    most = 0

    def work(number: int) -> None:
        nonlocal most
        for _ in range(50):
            with turns:
                with lock:
                    inside.append(number)
                    most = max(most, len(inside))
                time.sleep(0)
                with lock:
                    inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (most, inside) == (3, [])


def test_whoever_came_first_goes_first_also_before_one_that_comes_again() -> None:
    turns = Turns(1)
    order: list[str] = []

    def work(name: str) -> None:
        with turns:
            order.append(name)

    turns.__enter__()
    waiting = []
    for name in ("first", "second", "third"):
        waiting.append(threading.Thread(target=work, args=(name,)))
        waiting[-1].start()
        wait_until(lambda: len(turns._waiting) == len(waiting))
    turns.__exit__()
    work("again")
    for thread in waiting:
        thread.join(10)
    assert order == ["first", "second", "third", "again"]


class Interrupted:
    """A lock on which the second one to take it is interrupted, after something has happened."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens
        self._taken = False

    def acquire(self) -> bool:
        if self._taken:
            self._happens()
            raise KeyboardInterrupt
        self._taken = True
        return True

    def release(self) -> None:
        pass


@pytest.mark.parametrize("was_called", [False, True])
def test_one_that_is_interrupted_keeps_no_turn(monkeypatch: pytest.MonkeyPatch, was_called: bool) -> None:
    """Neither while it waits nor just as it is let in."""
    turns = Turns(1)
    turns.__enter__()
    happens = turns.__exit__ if was_called else list
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Lock", lambda: Interrupted(happens))
        with pytest.raises(KeyboardInterrupt):
            turns.__enter__()
    if not was_called:
        turns.__exit__()
    done = threading.Event()

    def work() -> None:
        with turns:
            done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(10)
