"""Memory that was used once comes to be used again, and nobody looks for garbage where there is none.

The C library gives every thread a heap of its own, up to eight a core. Each keeps what its busiest
moment needed, though the threads of a night are busy one after the other: that makes twice the
memory that there is any use for.

Python looks for cycles of objects after every 700 that were made. A run makes many, imports first of
all, and hardly any cycles: a tenth of its time, and a third of that of rating, went into looking, in vain.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

HEAPS = 2
"""Threads wait for one another where there are few; Python's own lock makes them do that anyway."""

GARBAGE = 50_000
"""Objects made between two looks for garbage: some megabytes at most."""

_M_ARENA_MAX = -8


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let Python look for garbage less often; as before in the end."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], GARBAGE), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_up_memory_at_once() -> None:
    """Let the process end without looking for garbage first: half a second after a night, for memory that goes anyway.

    For the end of a process alone: what is there by now is never looked at again.
    """
    gc.freeze()


def share_heaps() -> None:
    """Let all threads that begin from now on share a few heaps. Without effect on other systems than Linux with glibc."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)
    except (OSError, AttributeError, TypeError):
        return
