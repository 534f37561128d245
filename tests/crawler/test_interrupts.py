"""Who presses Ctrl-C in the midst of a transaction interrupts what comes after it."""

from __future__ import annotations

import signal
import threading

import pytest

from crawler.interrupts import uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_comes_after_what_must_not_be_interrupted(number):
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    done, before = [], signal.signal(number, stop)

    def work():
        with uninterrupted():
            signal.raise_signal(number)
            done.append("whole")

    try:
        with pytest.raises(Stopped):
            work()
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert done == ["whole"]


def test_without_an_interruption_nothing_is_otherwise():
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_failure_of_what_was_not_interrupted_is_told_as_such():
    with pytest.raises(ValueError, match="of its own"), uninterrupted():
        raise ValueError("a failure of its own")


def test_threads_need_no_protection():
    entered = []

    def work():
        with uninterrupted():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [signal.getsignal(signal.SIGINT)]
