"""Rate limits in fixed windows, by service and caller, as the services announce them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests (or points) in a window of so many seconds."""

    amount: int
    window: int


@dataclass(slots=True)
class Bucket:
    """What one caller has spent in the present window."""

    limit: Limit
    spent: int = 0
    began: float = field(default_factory=time.time)

    @property
    def remaining(self) -> int:
        """What is left, never below zero; a window that is over is begun anew."""
        if time.time() - self.began >= self.limit.window:
            self.spent, self.began = 0, time.time()
        return max(0, self.limit.amount - self.spent)

    @property
    def resets_at(self) -> int:
        """Unix time in seconds."""
        return ceil(self.began + self.limit.window)

    @property
    def resets_in(self) -> int:
        """Seconds."""
        return max(0, ceil(self.began + self.limit.window - time.time()))


LIMITS = {
    "github.core.anonymous": Limit(60, 3600),
    "github.core.token": Limit(5000, 3600),
    "github.graphql.token": Limit(5000, 3600),
    "hub.api.anonymous": Limit(500, 300),
    "hub.api.token": Limit(1000, 300),
    "hub.resolvers.anonymous": Limit(3000, 300),
    "hub.resolvers.token": Limit(5000, 300),
}


class Limits:
    """The buckets of all callers."""

    def __init__(self) -> None:
        self._amounts = dict(LIMITS)
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def set(self, name: str, amount: int) -> None:
        """Change one limit, for example `github.core.anonymous`, and begin its windows anew."""
        self._amounts[name] = Limit(amount, self._amounts[name].window)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] != name}

    def bucket(self, name: str, token: str | None) -> Bucket:
        """The bucket of a caller; `name` without its last part, which the token decides."""
        full = f"{name}.{'token' if token else 'anonymous'}"
        return self._buckets.setdefault((full, token or ""), Bucket(self._amounts[full]))

    def reset(self) -> None:
        """The usual limits again, with a new window for everybody."""
        self._amounts = dict(LIMITS)
        self._buckets.clear()
