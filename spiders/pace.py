"""When a host may be asked next.

Scrapy's slots keep the delay and the number of requests at once. What hosts themselves ask for,
Crawl-delay and Retry-After, is kept here and held to in the download handler: behind it no queue is
left from which a request could slip out early.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from scrapy.exceptions import IgnoreRequest


class HostAsksToWait(IgnoreRequest):
    """The host wants no request for longer than is waited."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the host asks to wait {math.ceil(seconds)} s")


def retry_after_seconds(value: str, date: str) -> float | None:
    """The wait a Retry-After header asks for, in seconds; None when it says nothing readable.

    A date is measured against the answer's own Date header, so that clocks need not agree.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else math.inf
    until, now = _http_date(value), _http_date(date)
    if until is None or now is None:
        return None
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    if not value or len(value) > 100:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Pace:
    """Pauses and distances between requests, by host. `limit` is the longest pause that is waited for.

    `rest` holds pauses that were asked for before, in seconds from now.
    """

    def __init__(self, limit: float, rest: Mapping[str, float] | None = None) -> None:
        self._limit = limit
        self._rest = dict(rest or {})
        self._paused_until: dict[str, float] = {}
        self._distance: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def pause(self, host: str, seconds: float) -> None:
        """Ask the host nothing for so long."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until[host] = max(until, self._paused_until.get(host, 0.0))

    def keep_distance(self, host: str, seconds: float) -> None:
        """Let so much time pass between two requests to the host."""
        self._distance[host] = seconds

    def rest(self) -> dict[str, float]:
        """How many seconds each host is still to be left alone."""
        now = asyncio.get_running_loop().time()
        until = dict(self._paused_until)
        for host, then in self._next.items():
            until[host] = max(then, until.get(host, 0.0))
        left = {host: then - now for host, then in until.items() if then > now}
        return left | self._rest

    async def turn(self, host: str) -> None:
        """Wait until the host may be asked. Raises HostAsksToWait when that is too long."""
        if host in self._rest:
            # Counted from the first question: the seconds until then were waited as well.
            self.pause(host, self._rest.pop(host))
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            pause = self._paused_until.get(host, 0.0) - now
            if pause > self._limit:
                raise HostAsksToWait(pause)
            wait = max(pause, self._next.get(host, 0.0) - now)
            if wait <= 0:
                # Between the check and this line nothing else runs, so no second request takes the same turn.
                self._next[host] = now + self._distance.get(host, 0.0)
                return
            await asyncio.sleep(wait)
