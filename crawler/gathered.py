"""What a run has gathered so far: counts, and the first of what could not be read.

However many projects there are, this stays small: what is named is named up to a number, what is
counted is counted whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from crawler.budget import Plan
from crawler.extraction_worker import Extracted
from crawler.sources.base import Source, Usage
from db.runs import load_run_totals, load_unread
from db.values import SavedVisit, StoredRun, StoredSnapshot
from db.waiting import NOT_YET
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, JsonValue, Visit, VisitStatus

T = TypeVar("T")

MOST_NAMED = 500
"""Parts of each status that are named; reports show fewer."""

MOST_ERRORS = 100

UNREAD = (VisitStatus.DENIED, VisitStatus.FAILED, VisitStatus.MISSING)


class FirstOf(Generic[T]):
    """The first of many values in an order, and how many there were.

    Which ones are kept does not depend on when they came.
    """

    def __init__(self, limit: int, order: Callable[[T], Any]) -> None:  # Any: whatever can be compared
        self.count = 0
        self._limit = limit
        self._order = order
        self._kept: list[T] = []

    def add(self, value: T) -> None:
        self.count += 1
        self._kept.append(value)
        if len(self._kept) >= 2 * self._limit:
            self._cut()

    def _cut(self) -> None:
        self._kept = sorted(self._kept, key=self._order)[: self._limit]

    def __iter__(self) -> Iterator[T]:
        self._cut()
        return iter(self._kept)

    def __len__(self) -> int:
        """How many are kept."""
        return min(len(self._kept), self._limit)


def _by_place(visit: Visit) -> tuple[str, str]:
    return str(visit.ref), visit.part


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What a run has gathered so far.

    `artifacts` counts what was visited, by kind. `waiting` counts parts, by source, that were not asked
    for because no more was left to be spent: that is no failure, and no visit. `unread` holds the first parts of each status that
    were not read, `visits` counts all of them. `problems` are documents that an extractor could not
    make sense of. `usage` is what the sources have spent, with the `earlier` usage of a run that was
    cut off. `plan` is what the night may spend, None where nothing was planned.
    """

    visits: Counter[tuple[str, VisitStatus]] = field(default_factory=Counter)
    artifacts: Counter[ArtifactKind] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    new_snapshots: int = 0
    unread_by_status: dict[VisitStatus, FirstOf[Visit]] = field(
        default_factory=lambda: {status: FirstOf(MOST_NAMED, _by_place) for status in UNREAD}
    )
    problems: FirstOf[Evidence] = field(
        default_factory=lambda: FirstOf(MOST_NAMED, lambda item: (str(item.ref), item.part, item.key))
    )
    errors: FirstOf[str] = field(default_factory=lambda: FirstOf(MOST_ERRORS, str))
    usage: dict[str, Usage] = field(default_factory=dict)
    earlier: dict[str, Usage] = field(default_factory=dict)
    plan: Plan | None = None

    @property
    def unread(self) -> list[Visit]:
        """The first parts that could not be read: denied, failed, missing."""
        return [visit for status in UNREAD for visit in self.unread_by_status[status]]

    @property
    def unread_count(self) -> int:
        """How many parts could not be read, those included that are not named."""
        return sum(first.count for first in self.unread_by_status.values())

    @property
    def internal_errors(self) -> list[str]:
        """Defects of ours that the run met, the first of them."""
        told = list(self.errors)
        more = self.errors.count - len(told)
        return [*told, f"… and {more} more"] if more else told

    def count(self, *statuses: VisitStatus) -> int:
        """How many visits ended so."""
        return sum(number for (_, status), number in self.visits.items() if status in statuses)

    @property
    def has_read_anything(self) -> bool:
        """Was anything of the project's world read (or found unchanged, or found to be missing)?"""
        telling = {VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING}
        return any(
            number
            for (source, status), number in self.visits.items()
            if status in telling and source != "lineage"
        )

    def note_visit(self, source: str, visit: Visit, saved: SavedVisit) -> None:
        """Count a visit that was stored."""
        if saved.status is VisitStatus.FAILED and visit.reason.startswith(NOT_YET):
            self.waiting[source] += 1
            return
        self.visits[source, saved.status] += 1
        self.new_snapshots += saved.is_new_snapshot
        if saved.status in UNREAD:
            self.unread_by_status[saved.status].add(visit)

    def note_artifact(self, ref: ArtifactRef) -> None:
        """Count an artifact that was visited."""
        self.artifacts[ref.kind] += 1

    def note_usage(self, sources: list[Source]) -> None:
        """Take over what the sources have spent, on top of what was spent before the run was cut off."""
        for source in sources:
            if source.kinds != {ArtifactKind.LINEAGE}:
                self.usage[source.name] = added(self.earlier.get(source.name), source.usage)

    def spent(self) -> dict[str, JsonValue]:
        """The usage as it is stored with the run."""
        return {
            name: {"requests": usage.requests, "charged": usage.charged, "bytes": usage.bytes}
            for name, usage in self.usage.items()
        }


def added(earlier: Usage | None, usage: Usage) -> Usage:
    """The usage with what was spent earlier on top."""
    if earlier is None:
        return usage
    return replace(
        usage,
        requests=usage.requests + earlier.requests,
        charged=usage.charged + earlier.charged,
        bytes=usage.bytes + earlier.bytes,
    )


def gathered_before(session: Session, run: StoredRun, source_of: Mapping[ArtifactKind, Source]) -> Gathered:
    """What a run had gathered when it was cut off: its report and exit code are about the whole of it."""
    result = Gathered()
    totals = load_run_totals(session, run.id)
    for (kind, status), number in totals.visits.items():
        result.visits[source_of[kind].name, status] += number
    for kind, number in totals.waiting.items():
        result.waiting[source_of[kind].name] += number
    result.artifacts.update(totals.artifacts)
    result.new_snapshots = totals.new_snapshots
    for status in UNREAD:
        first = result.unread_by_status[status]
        for visit in load_unread(session, run.id, status, MOST_NAMED):
            first.add(visit)
        first.count = sum(n for (_, other), n in totals.visits.items() if other is status)
    for name, spent in run.spent.items():
        result.earlier[name] = result.usage[name] = Usage(
            requests=spent.get("requests", 0), charged=spent.get("charged", 0), bytes=spent.get("bytes", 0)
        )
    return result


def note_extracted(result: Gathered, stored: StoredSnapshot, found: Extracted) -> None:
    """Note what was amiss with a document."""
    if found.error:
        result.errors.add(f"extraction of {stored.ref} {stored.part}: {found.error}")
    for problem in found.problems:
        result.problems.add(problem)
