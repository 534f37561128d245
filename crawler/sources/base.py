"""What a source is: an API client that turns visit requests into visits.

A source fills in how one service is asked; it knows no project, no database and no rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipelines.model import ArtifactKind, Visit, VisitRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a service says is left of its limit, and when the count begins anew.

    `limit` is the whole of it, None where that is not told.
    """

    remaining: int
    resets_at: datetime
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a source has spent so far.

    `requests` counts every request sent; `charged` those that count against the service's limit
    (a GraphQL query by its cost; an authorised 304 at GitHub not at all). `bytes` are body bytes
    received. `remaining`, `limit` and `resets_at` are what the service said last of the limit that is
    nearest to its end; None where it says nothing.
    """

    requests: int = 0
    charged: int = 0
    bytes: int = 0
    remaining: int | None = None
    limit: int | None = None
    resets_at: datetime | None = None


class Source(Protocol):
    """A service that artifacts are read from."""

    name: str
    kinds: frozenset[ArtifactKind]

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        """Read the artifacts and yield a visit for every part, as the answers come.

        No failure of one artifact raises: it is a visit with status missing, denied or failed.
        """
        ...

    def fetch_allowance(self) -> Allowance | None:
        """What the service says is left, before anything is spent; None where it does not tell in advance.

        Costs nothing of what it tells about, and never raises: a service that does not answer tells nothing.
        """
        ...

    @property
    def usage(self) -> Usage:
        """What has been spent since the source was made."""
        ...

    def close(self) -> None:
        """Give back connections and processes."""
        ...
