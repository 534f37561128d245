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


def test_one_that_is_interrupted_while_it_waits_takes_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(1)
    turns.__enter__()
    real = threading.Lock

    class Interrupted:
        """A lock on which the second one to take it is interrupted."""

        def __init__(self) -> None:
            self._taken = False

        def acquire(self) -> bool:
            if self._taken:
                raise KeyboardInterrupt
            self._taken = True
            return True

        def release(self) -> None:
            pass

    monkeypatch.setattr(threading, "Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        turns.__enter__()
    monkeypatch.setattr(threading, "Lock", real)
    turns.__exit__()
    with turns:
        pass


def test_one_that_is_interrupted_as_it_is_called_hands_its_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(1)
    turns.__enter__()
    real = threading.Lock

    class Called:
        """A lock whose taker is interrupted just after it was let in."""

        def __init__(self) -> None:
            self._taken = False

        def acquire(self) -> bool:
            if self._taken:
                turns.__exit__()
                raise KeyboardInterrupt
            self._taken = True
            return True

        def release(self) -> None:
            pass

    monkeypatch.setattr(threading, "Lock", Called)
    with pytest.raises(KeyboardInterrupt):
        turns.__enter__()
    monkeypatch.setattr(threading, "Lock", real)
    done = threading.Event()

    def work() -> None:
        with turns:
            done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(10)
