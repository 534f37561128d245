"""How well two ratings of the same cells agree: counts in, shares and kappas out.

All measures are functions of one table of counts: published class by proposed class. So a resample
of projects is a sum of tables, and a thousand of them take a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.model import Rating

CLASSES = (Rating.CLOSED, Rating.PARTIAL, Rating.OPEN)
PUBLISHED = (*CLASSES, Rating.NOT_APPLICABLE)
PROPOSED: tuple[Rating | None, ...] = (*PUBLISHED, None)

# How much of the resamples an interval holds.
SHARE = 0.95

_WIDTH = len(PROPOSED)
_LEVEL = {rating: level for level, rating in enumerate(PUBLISHED)}
_COLUMN = {rating: column for column, rating in enumerate(PROPOSED)}
_UNRATED = _COLUMN[None]
_MASK = (1 << 64) - 1

Counts = list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Measures over a set of cells; a share of nothing, and a kappa without variation, is None.

    `coverage`: cells with a proposed rating. `accuracy`: cells where it is the published one, an
    unrated cell being a miss. `within_one`: the same class or a neighbouring one. `flips`: open where
    closed is published, or the reverse. Those are shares of all `n` cells; the kappas are over the
    pairs in which both are classes. Not applicable agrees with not applicable and with nothing else.
    """

    n: int
    coverage: float | None
    accuracy: float | None
    within_one: float | None
    kappa_weighted: float | None
    kappa: float | None
    flips: float | None


def no_counts() -> Counts:
    """A table without a cell."""
    return [0] * (len(PUBLISHED) * _WIDTH)


def position(published: Rating, proposed: Rating | None) -> int:
    """Where a pair is counted in a table."""
    return _LEVEL[published] * _WIDTH + _COLUMN[proposed]


def distance(published: Rating, proposed: Rating) -> int:
    """How far apart two ratings are: 0 to 2 between classes; not applicable is 1 from every class."""
    if Rating.NOT_APPLICABLE in (published, proposed):
        return int(published is not proposed)
    return abs(_LEVEL[published] - _LEVEL[proposed])


def agreement_of(counts: Sequence[int]) -> Agreement:
    """All measures of a table of counts."""
    n = sum(counts)
    same = near = flipped = unrated = 0
    for level, published in enumerate(PUBLISHED):
        for column, proposed in enumerate(PROPOSED):
            count = counts[level * _WIDTH + column]
            if not count:
                continue
            if proposed is None:
                unrated += count
                continue
            apart = distance(published, proposed)
            same += count * (apart == 0)
            near += count * (apart <= 1 and _both_or_neither_apply(published, proposed))
            flipped += count * (apart == 2)
    return Agreement(
        n=n,
        coverage=_share(n - unrated, n),
        accuracy=_share(same, n),
        within_one=_share(near, n),
        kappa_weighted=kappa_of(counts, weighted=True),
        kappa=kappa_of(counts, weighted=False),
        flips=_share(flipped, n),
    )


def kappa_of(counts: Sequence[int], *, weighted: bool) -> float | None:
    """Cohen's kappa over the pairs of classes, with quadratic weights or none; None without variation."""
    size = len(CLASSES)
    table = [[counts[row * _WIDTH + column] for column in range(size)] for row in range(size)]
    total = sum(map(sum, table))
    rows = [sum(row) for row in table]
    columns = [sum(row[column] for row in table) for column in range(size)]
    observed = expected = 0
    for row in range(size):
        for column in range(size):
            weight = (row - column) ** 2 if weighted else int(row != column)
            observed += weight * table[row][column]
            expected += weight * rows[row] * columns[column]
    return None if expected == 0 else 1.0 - observed * total / expected


def confusion_of(counts: Sequence[int]) -> dict[str, dict[str, int]]:
    """A table of counts with its names: published class → proposed class → number of cells."""
    return {
        published.value: {
            "cannot_tell" if proposed is None else proposed.value: counts[position(published, proposed)]
            for proposed in PROPOSED
        }
        for published in PUBLISHED
    }


def bootstrap(
    tables: Sequence[Sequence[int]], *, resamples: int, seed: int
) -> Mapping[str, tuple[float, float] | None]:
    """Intervals of the measures when whole projects are drawn with replacement; one table a project.

    The cells of a project depend on one another, so a project is drawn or left whole. The same seed
    gives the same intervals everywhere. A measure that no resample defines has None.
    """
    measures = ("coverage", "accuracy", "within_one", "kappa_weighted", "kappa", "flips")
    values: dict[str, list[float]] = {measure: [] for measure in measures}
    sparse = [[(place, count) for place, count in enumerate(table) if count] for table in tables]
    numbers = _numbers(seed)
    for _ in range(resamples if sparse else 0):
        counts = no_counts()
        for _ in sparse:
            for place, count in sparse[next(numbers) % len(sparse)]:
                counts[place] += count
        agreement = agreement_of(counts)
        for measure in measures:
            value = getattr(agreement, measure)
            if value is not None:
                values[measure].append(value)
    return {measure: _interval(sorted(found)) for measure, found in values.items()}


def share_interval(
    projects: Sequence[tuple[int, int]], *, resamples: int, seed: int
) -> tuple[float, float] | None:
    """The interval of a share (right, of how many) when whole projects, one pair each, are drawn with replacement."""
    values: list[float] = []
    numbers = _numbers(seed)
    for _ in range(resamples if projects else 0):
        right = n = 0
        for _ in projects:
            mine = projects[next(numbers) % len(projects)]
            right, n = right + mine[0], n + mine[1]
        if n:
            values.append(right / n)
    return _interval(sorted(values))


def _both_or_neither_apply(published: Rating, proposed: Rating) -> bool:
    return (published is Rating.NOT_APPLICABLE) == (proposed is Rating.NOT_APPLICABLE)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _interval(found: Sequence[float]) -> tuple[float, float] | None:
    if not found:
        return None
    last = len(found) - 1
    tail = (1.0 - SHARE) / 2.0
    return found[round(last * tail)], found[round(last * (1.0 - tail))]


def _numbers(seed: int) -> Iterator[int]:
    """SplitMix64: numbers that look random and depend on nothing but the seed and this text."""
    state = seed & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield mixed ^ (mixed >> 31)
