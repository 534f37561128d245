"""Turns: how many questions are on their way to a service at the same time, whoever asks them."""

from __future__ import annotations

import threading
from collections import deque

HUB_AT_ONCE = 8
"""Questions that are on their way to the Hub at the same time."""


class Turns:
    """Lets so many threads in at a time, in the order in which they came.

    A semaphore of the library lets a thread that has just left in again, before those that it has woken.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        try:
            called.acquire()
        except BaseException:
            # Interrupted: whoever comes next must not wait for a turn that nobody takes.
            with self._lock:
                was_called = called not in self._waiting
                if not was_called:
                    self._waiting.remove(called)
            if was_called:
                self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
