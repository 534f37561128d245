"""Ctrl-C and SIGTERM at moments at which they do no harm.

An exception in the midst of a transaction may strike where the database's library gives a
connection back, which then goes on holding the write lock. So whoever interrupts a transaction
interrupts what comes after it: transactions are short.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.session import session_scope

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the end of the block. Only the main thread is ever interrupted by one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, remember) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: a handler that was not set by Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if caught:
            signal.raise_signal(caught[0])


@contextmanager
def write_scope(engine: Engine) -> Iterator[Session]:
    """A writing `session_scope` that is not interrupted."""
    with uninterrupted(), session_scope(engine, write=True) as session:
        yield session
