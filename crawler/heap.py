"""Memory that was used once comes to be used again.

The C library gives every thread a heap of its own, up to eight a core. Each keeps what its busiest
moment needed, though the threads of a night are busy one after the other: that makes twice the
memory that there is any use for.
"""

from __future__ import annotations

import ctypes

HEAPS = 2
"""Threads wait for one another where there are few; Python's own lock makes them do that anyway."""

_M_ARENA_MAX = -8


def share_heaps() -> None:
    """Let all threads that begin from now on share a few heaps. Without effect on other systems than Linux with glibc."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)
    except (OSError, AttributeError, TypeError):
        return
