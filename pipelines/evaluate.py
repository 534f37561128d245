"""Agreement of the heuristics with published ratings.

Every published cell counts. One that the heuristics leave unrated counts against coverage and is a
miss in accuracy; one that is published as not applicable is met by not applicable only. Proposals for
cells that nobody has rated are left aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipelines.agreement import (
    SHARE,
    Agreement,
    Counts,
    agreement_of,
    bootstrap,
    confusion_of,
    distance,
    no_counts,
    position,
    share_interval,
)
from pipelines.exports.rows import RatingRow
from pipelines.model import JsonValue, Proposal, Rating

HIGH_CONFIDENCE = 0.8
RESAMPLES = 1000
SEED = 20230719
BINS = 10
WORST = 10
QUOTES = 3
"""Pieces of evidence given for a cell that is far off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What a proposal says of a cell: its rating (None: cannot tell) and how sure it is, from 0 to 1.

    `rationale` and `quotes` say why; they are shown where it is furthest off.
    """

    rating: Rating | None
    confidence: float = 0.0
    rationale: str = ""
    quotes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"a confidence runs from 0 to 1, not {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The rated cells whose confidence is at least `low` and below `high` (the last bin holds 1 too)."""

    low: float
    high: float
    n: int
    accuracy: float
    mean_confidence: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HighConfidence:
    """The share of all cells proposed with at least `threshold`, and how many of those are right."""

    threshold: float
    coverage: float | None
    accuracy: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A cell in which another rating was proposed than is published."""

    slug: str
    dimension: str
    published: Rating
    proposed: Rating
    confidence: float
    rationale: str = ""
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The whole comparison.

    `baseline` is the accuracy of always naming the class that is most frequent in the dimension.
    `missing` are the projects with published ratings of which nothing was proposed. `worst` begins
    with what is furthest off and was proposed with the most confidence. Intervals of a dimension, a bin
    and the sure proposals are those of their accuracy, over resampled projects like all others.
    """

    overall: Agreement
    baseline: float | None
    per_dimension: Mapping[str, Agreement]
    dimension_intervals: Mapping[str, tuple[float, float] | None]
    confusion: Mapping[str, Mapping[str, Mapping[str, int]]]
    calibration: tuple[Bin, ...]
    calibration_error: float | None
    high_confidence: HighConfidence
    intervals: Mapping[str, tuple[float, float] | None]
    resamples: int
    seed: int
    projects: int
    missing: tuple[str, ...]
    worst: tuple[Miss, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """The evaluation as `openness evaluate --json` prints it; shares are rounded to six digits."""
        high = self.high_confidence
        return {
            "n": self.overall.n,
            "coverage": _rounded(self.overall.coverage),
            "accuracy": _rounded(self.overall.accuracy),
            "within_one": _rounded(self.overall.within_one),
            "kappa_weighted": _rounded(self.overall.kappa_weighted),
            "kappa": _rounded(self.overall.kappa),
            "flips": _rounded(self.overall.flips),
            "baseline": _rounded(self.baseline),
            "per_dimension": {
                dimension: {
                    "n": found.n,
                    "coverage": _rounded(found.coverage),
                    "accuracy": _rounded(found.accuracy),
                    "accuracy_interval": _bounds(self.dimension_intervals.get(dimension)),
                    "within_one": _rounded(found.within_one),
                    "kappa_weighted": _rounded(found.kappa_weighted),
                    "flips": _rounded(found.flips),
                    "confusion": self.confusion[dimension],
                }
                for dimension, found in self.per_dimension.items()
            },
            "calibration": [
                {
                    "confidence": [entry.low, entry.high],
                    "n": entry.n,
                    "accuracy": _rounded(entry.accuracy),
                    "mean_confidence": _rounded(entry.mean_confidence),
                    "interval": _bounds(entry.interval),
                }
                for entry in self.calibration
            ],
            "calibration_error": _rounded(self.calibration_error),
            "high_confidence": {
                "threshold": high.threshold,
                "coverage": _rounded(high.coverage),
                "accuracy": _rounded(high.accuracy),
                "interval": _bounds(high.interval),
            },
            "bootstrap": {
                "resamples": self.resamples,
                "seed": self.seed,
                "share": SHARE,
                "intervals": {measure: _bounds(interval) for measure, interval in self.intervals.items()},
            },
            "projects": self.projects,
            "missing_projects": list(self.missing),
            "worst": [
                {
                    "slug": miss.slug,
                    "dimension": miss.dimension,
                    "published": miss.published.value,
                    "proposed": miss.proposed.value,
                    "confidence": _rounded(miss.confidence),
                    "rationale": miss.rationale,
                    "quotes": list(miss.quotes),
                }
                for miss in self.worst
            ],
        }


def proposed_of(proposals: Iterable[Proposal]) -> dict[tuple[str, str], Proposed]:
    """The proposals by project and dimension, as `evaluate` takes them."""
    return {
        (proposal.slug, proposal.dimension): Proposed(
            rating=proposal.rating,
            confidence=proposal.confidence,
            rationale=proposal.rationale,
            quotes=tuple(f"{item.ref} {item.part}: {item.passage}" for item in proposal.evidence[:QUOTES]),
        )
        for proposal in proposals
    }


def evaluate(
    proposed: Mapping[tuple[str, str], Proposed],
    published: Sequence[RatingRow],
    *,
    threshold: float = HIGH_CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Evaluation:
    """Compare what was proposed with what is published.

    The order of dimensions is that of the published ratings. ValueError when a cell is published twice.
    """
    cells = {(row.slug, row.dimension): row.rating for row in published}
    if len(cells) != len(published):
        raise ValueError("a project's dimension is published twice")
    by_dimension: dict[str, Counts] = {}
    by_project: dict[str, Counts] = {}
    hits: dict[str, dict[str, tuple[int, int]]] = {}
    rated: list[_Rated] = []
    unknown = Proposed(rating=None)
    for (slug, dimension), rating in cells.items():
        said = proposed.get((slug, dimension), unknown)
        place = position(rating, said.rating)
        by_dimension.setdefault(dimension, no_counts())[place] += 1
        by_project.setdefault(slug, no_counts())[place] += 1
        hits.setdefault(dimension, {})[slug] = (int(said.rating is rating), 1)
        if said.rating is not None:
            rated.append(_Rated(slug=slug, dimension=dimension, published=rating, said=said))
    slugs = {slug for slug, _ in proposed}
    tables = [by_project[slug] for slug in sorted(by_project)]
    draw = partial(share_interval, resamples=resamples, seed=seed)
    calibration = _calibration(rated, draw)
    return Evaluation(
        overall=agreement_of(_total(tables)),
        baseline=_baseline(published),
        per_dimension={dimension: agreement_of(counts) for dimension, counts in by_dimension.items()},
        dimension_intervals={
            dimension: draw([found for _, found in sorted(mine.items())]) for dimension, mine in hits.items()
        },
        confusion={dimension: confusion_of(counts) for dimension, counts in by_dimension.items()},
        calibration=calibration,
        calibration_error=_calibration_error(calibration),
        high_confidence=_high_confidence(rated, len(cells), threshold, draw),
        intervals=bootstrap(tables, resamples=resamples, seed=seed),
        resamples=resamples,
        seed=seed,
        projects=len(by_project),
        missing=tuple(sorted(slug for slug in by_project if slug not in slugs)),
        worst=_worst(rated),
    )


def _total(tables: Iterable[Counts]) -> Counts:
    total = no_counts()
    for table in tables:
        total = [left + right for left, right in zip(total, table, strict=True)]
    return total


def _baseline(published: Sequence[RatingRow]) -> float | None:
    frequencies: dict[str, Counter[Rating]] = {}
    for row in published:
        frequencies.setdefault(row.dimension, Counter())[row.rating] += 1
    hits = sum(max(counter.values()) for counter in frequencies.values())
    return hits / len(published) if published else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rated:
    """A published cell that has a proposed class."""

    slug: str
    dimension: str
    published: Rating
    said: Proposed

    @property
    def is_right(self) -> bool:
        return self.published is self.said.rating


_Draw = Callable[[Sequence[tuple[int, int]]], tuple[float, float] | None]


def _interval_of(cells: Sequence[_Rated], draw: _Draw) -> tuple[float, float] | None:
    by_project: dict[str, tuple[int, int]] = {}
    for cell in cells:
        right, n = by_project.get(cell.slug, (0, 0))
        by_project[cell.slug] = (right + cell.is_right, n + 1)
    return draw([found for _, found in sorted(by_project.items())])


def _calibration(rated: Iterable[_Rated], draw: _Draw) -> tuple[Bin, ...]:
    """Bins of equal width; those without a cell are left out."""
    found: dict[int, list[_Rated]] = {}
    for cell in rated:
        # 0.7 * 10 is a little less than 7 in floating point for some sums that mean 0.7.
        number = min(BINS - 1, int(cell.said.confidence * BINS + 1e-9))
        found.setdefault(number, []).append(cell)
    return tuple(
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            n=len(cells),
            accuracy=sum(cell.is_right for cell in cells) / len(cells),
            mean_confidence=sum(cell.said.confidence for cell in cells) / len(cells),
            interval=_interval_of(cells, draw),
        )
        for number, cells in sorted(found.items())
    )


def _calibration_error(bins: Sequence[Bin]) -> float | None:
    """The mean gap between confidence and accuracy, every rated cell counting the same."""
    n = sum(entry.n for entry in bins)
    if not n:
        return None
    return sum(entry.n * abs(entry.accuracy - entry.mean_confidence) for entry in bins) / n


def _high_confidence(rated: Sequence[_Rated], n: int, threshold: float, draw: _Draw) -> HighConfidence:
    sure = [cell for cell in rated if cell.said.confidence >= threshold]
    return HighConfidence(
        threshold=threshold,
        coverage=len(sure) / n if n else None,
        accuracy=sum(cell.is_right for cell in sure) / len(sure) if sure else None,
        interval=_interval_of(sure, draw),
    )


def _worst(rated: Iterable[_Rated]) -> tuple[Miss, ...]:
    misses = [
        Miss(
            slug=cell.slug,
            dimension=cell.dimension,
            published=cell.published,
            proposed=cell.said.rating,
            confidence=cell.said.confidence,
            rationale=cell.said.rationale,
            quotes=cell.said.quotes,
        )
        for cell in rated
        if cell.said.rating is not None and not cell.is_right
    ]
    misses.sort(
        key=lambda miss: (
            -distance(miss.published, miss.proposed),
            -miss.confidence,
            miss.slug,
            miss.dimension,
        )
    )
    return tuple(misses[:WORST])


def _bounds(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [_rounded(bound) for bound in interval]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
