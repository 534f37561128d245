"""Pauses and distances between the requests to one host."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from spiders.pace import HostAsksToWait, Pace


def test_a_short_pause_is_waited_for_and_a_long_one_is_not() -> None:
    async def main() -> None:
        pace = Pace(limit=5)
        clock = asyncio.get_running_loop().time
        pace.pause("busy.example", 0.1)
        pace.pause("closed.example", 3600)
        started = clock()
        await pace.turn("free.example")
        assert clock() - started < 0.09
        await pace.turn("busy.example")
        assert clock() - started >= 0.1
        with pytest.raises(HostAsksToWait, match=r"asks to wait 3[56][0-9]+ s"):
            await pace.turn("closed.example")

    asyncio.run(main())


def test_a_shorter_pause_does_not_cut_a_longer_one_short() -> None:
    async def main() -> None:
        pace = Pace(limit=5)
        pace.pause("closed.example", 3600)
        pace.pause("closed.example", 0)
        with pytest.raises(HostAsksToWait):
            await pace.turn("closed.example")

    asyncio.run(main())


def test_a_distance_is_kept_between_requests_that_come_at_once() -> None:
    async def main() -> list[float]:
        pace = Pace(limit=5)
        pace.keep_distance("slow.example", 0.1)

        async def one() -> float:
            await pace.turn("slow.example")
            return asyncio.get_running_loop().time()

        return sorted(await asyncio.gather(*(one() for _ in range(4))))

    times = asyncio.run(main())
    assert all(later - earlier > 0.095 for earlier, later in pairwise(times))
