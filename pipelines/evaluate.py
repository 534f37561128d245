"""Agreement of the heuristics with published ratings.

Every published cell counts. One that the heuristics leave unrated counts against coverage and is a
miss in accuracy; one that is published as not applicable is met by not applicable only. Proposals for
cells that nobody has rated are left aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
)
from pipelines.exports.rows import RatingRow
from pipelines.model import JsonValue, Proposal, Rating

HIGH_CONFIDENCE = 0.8
RESAMPLES = 1000
SEED = 20230719
BINS = 10
WORST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What a proposal says of a cell: its rating (None: cannot tell) and how sure it is, from 0 to 1."""

    rating: Rating | None
    confidence: float = 0.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HighConfidence:
    """The share of all cells proposed with at least `threshold`, and how many of those are right."""

    threshold: float
    coverage: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A cell in which another rating was proposed than is published."""

    slug: str
    dimension: str
    published: Rating
    proposed: Rating
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The whole comparison.

    `baseline` is the accuracy of always naming the class that is most frequent in the dimension.
    `missing` are the projects with published ratings of which nothing was proposed. `worst` begins
    with what is furthest off and was proposed with the most confidence.
    """

    overall: Agreement
    baseline: float | None
    per_dimension: Mapping[str, Agreement]
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
                }
                for entry in self.calibration
            ],
            "calibration_error": _rounded(self.calibration_error),
            "high_confidence": {
                "threshold": high.threshold,
                "coverage": _rounded(high.coverage),
                "accuracy": _rounded(high.accuracy),
            },
            "bootstrap": {
                "resamples": self.resamples,
                "seed": self.seed,
                "share": SHARE,
                "intervals": {
                    measure: None if interval is None else [_rounded(bound) for bound in interval]
                    for measure, interval in self.intervals.items()
                },
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
                }
                for miss in self.worst
            ],
        }


def proposed_of(proposals: Iterable[Proposal]) -> dict[tuple[str, str], Proposed]:
    """The proposals by project and dimension, as `evaluate` takes them."""
    return {
        (proposal.slug, proposal.dimension): Proposed(rating=proposal.rating, confidence=proposal.confidence)
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
    rated: list[tuple[str, str, Rating, Rating, float]] = []
    unknown = Proposed(rating=None)
    for (slug, dimension), rating in cells.items():
        said = proposed.get((slug, dimension), unknown)
        place = position(rating, said.rating)
        by_dimension.setdefault(dimension, no_counts())[place] += 1
        by_project.setdefault(slug, no_counts())[place] += 1
        if said.rating is not None:
            rated.append((slug, dimension, rating, said.rating, said.confidence))
    slugs = {slug for slug, _ in proposed}
    tables = [by_project[slug] for slug in sorted(by_project)]
    calibration = _calibration(rated)
    return Evaluation(
        overall=agreement_of(_total(tables)),
        baseline=_baseline(published),
        per_dimension={dimension: agreement_of(counts) for dimension, counts in by_dimension.items()},
        confusion={dimension: confusion_of(counts) for dimension, counts in by_dimension.items()},
        calibration=calibration,
        calibration_error=_calibration_error(calibration),
        high_confidence=_high_confidence(rated, len(cells), threshold),
        intervals=bootstrap(tables, resamples=resamples, seed=seed),
        resamples=resamples,
        seed=seed,
        projects=len(by_project),
        missing=tuple(sorted(slug for slug in by_project if slug not in slugs)),
        worst=_worst(rated),
    )


def format_table(evaluation: Evaluation) -> str:
    """The evaluation for people, as plain text."""
    overall, high = evaluation.overall, evaluation.high_confidence
    names = {
        "coverage": "coverage",
        "accuracy": "accuracy",
        "within_one": "within one class",
        "kappa_weighted": "kappa, weighted",
        "kappa": "kappa",
        "flips": "open-closed flips",
    }
    lines = [f"{overall.n} published ratings of {evaluation.projects} projects", ""]
    for measure, name in names.items():
        interval = evaluation.intervals.get(measure)
        bounds = "" if interval is None else f"   {SHARE:.0%}: {interval[0]:.3f} to {interval[1]:.3f}"
        lines.append(f"{name:<18}{_shown(getattr(overall, measure))}{bounds}")
    lines.append(f"{'baseline accuracy':<18}{_shown(evaluation.baseline)}   most frequent class a dimension")
    lines += ["", f"{'dimension':<14}{'n':>5}{'rated':>8}{'accuracy':>10}{'kappa w':>9}{'flips':>8}"]
    lines += [
        f"{dimension:<14}{found.n:>5}{_shown(found.coverage):>8}{_shown(found.accuracy):>10}"
        f"{_shown(found.kappa_weighted):>9}{_shown(found.flips):>8}"
        for dimension, found in evaluation.per_dimension.items()
    ]
    lines += ["", f"{'confidence':<14}{'n':>5}{'said':>8}{'right':>10}"]
    for entry in evaluation.calibration:
        confidence = f"{entry.low:.1f} to {entry.high:.1f}"
        lines.append(f"{confidence:<14}{entry.n:>5}{entry.mean_confidence:>8.3f}{entry.accuracy:>10.3f}")
    lines += ["", f"confidence {high.threshold:g} or more: {_shown(high.coverage)} of the cells, "]
    lines[-1] += f"{_shown(high.accuracy)} of them right"
    if evaluation.worst:
        lines += ["", "furthest off"]
    lines += [
        f"  {miss.slug} {miss.dimension}: {miss.proposed.value} proposed with {miss.confidence:.2f}, "
        f"{miss.published.value} published"
        for miss in evaluation.worst
    ]
    if evaluation.missing:
        lines += ["", f"nothing proposed of: {', '.join(evaluation.missing)}"]
    return "\n".join(lines) + "\n"


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


def _calibration(rated: Iterable[tuple[str, str, Rating, Rating, float]]) -> tuple[Bin, ...]:
    """Bins of equal width; those without a cell are left out."""
    found: dict[int, list[tuple[bool, float]]] = {}
    for _, _, published, said, confidence in rated:
        # 0.7 * 10 is a little less than 7 in floating point for some sums that mean 0.7.
        number = min(BINS - 1, int(confidence * BINS + 1e-9))
        found.setdefault(number, []).append((published is said, confidence))
    return tuple(
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            n=len(cells),
            accuracy=sum(right for right, _ in cells) / len(cells),
            mean_confidence=sum(confidence for _, confidence in cells) / len(cells),
        )
        for number, cells in sorted(found.items())
    )


def _calibration_error(bins: Sequence[Bin]) -> float | None:
    """The mean gap between confidence and accuracy, every rated cell counting the same."""
    n = sum(entry.n for entry in bins)
    if not n:
        return None
    return sum(entry.n * abs(entry.accuracy - entry.mean_confidence) for entry in bins) / n


def _high_confidence(
    rated: Sequence[tuple[str, str, Rating, Rating, float]], n: int, threshold: float
) -> HighConfidence:
    sure = [published is said for _, _, published, said, confidence in rated if confidence >= threshold]
    return HighConfidence(
        threshold=threshold,
        coverage=len(sure) / n if n else None,
        accuracy=sum(sure) / len(sure) if sure else None,
    )


def _worst(rated: Iterable[tuple[str, str, Rating, Rating, float]]) -> tuple[Miss, ...]:
    misses = [
        Miss(slug=slug, dimension=dimension, published=published, proposed=said, confidence=confidence)
        for slug, dimension, published, said, confidence in rated
        if published is not said
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
