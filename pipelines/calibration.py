"""Confidence that means something: how often proposals of a row were right, drawn together for small data.

A row of a rule's table decides few of the rated cells, often two or three, too few to say how far it
can be trusted. So what is measured is pooled twice. First the row's own hits are drawn towards what
its author expects, which counts as much as PRIOR_WEIGHT cells. Then all rows are put in that order
and cut into blocks of at least BLOCK_CELLS cells, from the least to the most trusted; a block's
share of right cells is the confidence of its rows, save for a small part that keeps their order.
Blocks out of order are joined (pool adjacent violators, Ayer et al. 1955, doi:10.1214/aoms/1177728423).

Whether that holds for projects that nobody has rated yet is checked by leaving out one family of
models at a time: projects that share a base are no independent witnesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

from pipelines.evidence import EvidenceSet
from pipelines.model import JsonValue, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, Verdict

PRIOR_WEIGHT = 8
"""Cells that the expectation of a row's author counts as much as."""
BLOCK_CELLS = 90
"""Cells below which a block's share is mostly chance: with fewer, families left out are overrated."""
OWN_PART = 0.1
"""The part of a confidence that is the row's own estimate and not its block's."""

FILE = "confidence.yaml"
_HEADER = """\
# How often proposals of each row of the rules' tables were right, and the confidence that follows.
# Made by `openness calibrate RATINGS.csv --output pipelines/data/confidence.yaml`; a row is named by its reason.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rated cell: whose it is, which row decided it, what its author expects of it, and was it right."""

    slug: str
    dimension: str
    because: str
    expected: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows of like trust: the lowest estimate among them, their cells and how many of these were right."""

    low: float
    right: int
    n: int

    @property
    def share(self) -> float:
        """The share that is right, with one cell of doubt on either side."""
        return (self.right + 1) / (self.n + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Hits and cells of each row (dimension, reason), and the blocks in rising order."""

    rows: Mapping[tuple[str, str], tuple[int, int]]
    blocks: tuple[Block, ...]

    def estimate(self, dimension: str, because: str, expected: float) -> float:
        """A row's hits, drawn towards what its author expects."""
        right, n = self.rows.get((dimension, because), (0, 0))
        return (right + PRIOR_WEIGHT * expected) / (n + PRIOR_WEIGHT)

    def confidence(self, dimension: str, because: str, expected: float) -> float:
        """How often a proposal of this row should be right, from 0 to 1."""
        estimate = self.estimate(dimension, because, expected)
        if not self.blocks:
            return estimate
        block = self.blocks[0]
        for higher in self.blocks[1:]:
            if estimate >= higher.low:
                block = higher
        # More digits would say more than a few hundred cells can.
        return round((1 - OWN_PART) * block.share + OWN_PART * estimate, 2)


def judge(
    verdicts: Iterable[tuple[str, Verdict]], published: Mapping[tuple[str, str], Rating]
) -> list[Judged]:
    """What the published ratings say of verdicts, each with the project's slug; unrated cells are left out."""
    return [
        Judged(
            slug=slug,
            dimension=verdict.rule.dimension,
            because=verdict.row.because,
            expected=verdict.row.confidence,
            right=verdict.row.rating is published[slug, verdict.rule.dimension],
        )
        for slug, verdict in verdicts
        if verdict.row is not None and (slug, verdict.rule.dimension) in published
    ]


def fit(cells: Sequence[Judged]) -> Calibration:
    """The calibration by these cells; without any, every row has what its author expects."""
    hits: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for cell in cells:
        counts[cell.dimension, cell.because] += 1
        hits[cell.dimension, cell.because] += cell.right
    rows = {row: (hits[row], counts[row]) for row in sorted(counts)}
    alone = Calibration(rows=rows, blocks=())
    estimates: dict[float, list[bool]] = {}
    for cell in cells:
        estimate = alone.estimate(cell.dimension, cell.because, cell.expected)
        estimates.setdefault(estimate, []).append(cell.right)
    return Calibration(rows=rows, blocks=tuple(_blocks(estimates)))


def _blocks(estimates: Mapping[float, Sequence[bool]]) -> list[Block]:
    """Cells in order of their estimates, in blocks of enough of them whose shares rise."""
    blocks: list[Block] = []
    open_block: Block | None = None
    for low, found in sorted(estimates.items()):
        before = open_block or Block(low=low, right=0, n=0)
        open_block = Block(low=before.low, right=before.right + sum(found), n=before.n + len(found))
        if open_block.n >= BLOCK_CELLS:
            blocks.append(open_block)
            open_block = None
    if open_block is not None:
        # What is left at the upper end is too little to stand alone.
        blocks.append(_joined(blocks.pop(), open_block) if blocks else open_block)
    risen: list[Block] = []
    for block in blocks:
        while risen and risen[-1].share >= block.share:
            block = _joined(risen.pop(), block)
        risen.append(block)
    return risen


def _joined(lower: Block, higher: Block) -> Block:
    return Block(low=lower.low, right=lower.right + higher.right, n=lower.n + higher.n)


def families(sets: Iterable[EvidenceSet]) -> dict[str, str]:
    """The family of each project, by slug: projects whose bases share a telling name are one family.

    A family has the name of its first project in alphabetical order.
    """
    family: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    by_token: dict[str, str] = {}
    for evidence in sorted(sets, key=lambda found: found.project.slug):
        slug = evidence.project.slug
        family[slug], members[slug] = slug, {slug}
        for token in sorted(views.base_tokens(evidence)):
            first = family[by_token.setdefault(token, slug)]
            mine = family[slug]
            if first != mine:
                keep, go = min(first, mine), max(first, mine)
                members[keep] |= members.pop(go)
                family.update(dict.fromkeys(members[keep], keep))
    return family


def leave_families_out(cells: Sequence[Judged], family: Mapping[str, str]) -> list[tuple[Judged, float]]:
    """Each cell with the confidence it would have, had nobody rated any project of its family."""
    found = []
    for left_out in sorted({family[cell.slug] for cell in cells}):
        calibration = fit([cell for cell in cells if family[cell.slug] != left_out])
        found += [
            (cell, calibration.confidence(cell.dimension, cell.because, cell.expected))
            for cell in cells
            if family[cell.slug] == left_out
        ]
    return found


def write_calibration(calibration: Calibration, rules: Mapping[str, Rule]) -> str:
    """The calibration of the rules' present tables as the text of the data file."""
    out: dict[str, JsonValue] = {
        "blocks": [{"low": block.low, "right": block.right, "n": block.n} for block in calibration.blocks],
        "rows": {
            dimension: {
                row.because: list(calibration.rows[dimension, row.because])
                for row in rule.table
                if (dimension, row.because) in calibration.rows
            }
            for dimension, rule in sorted(rules.items())
        },
    }
    return _HEADER + yaml.safe_dump(
        out, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )


def parse_calibration(text: str) -> Calibration:
    """The calibration that the text of a data file holds."""
    found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return Calibration(
        rows={
            (dimension, because): (right, n)
            for dimension, rows in found["rows"].items()
            for because, (right, n) in rows.items()
        },
        blocks=tuple(Block(**block) for block in found["blocks"]),
    )


@lru_cache(maxsize=1)
def load_calibration() -> Calibration:
    """The calibration that comes with the rules."""
    return parse_calibration(resources.files("pipelines.data").joinpath(FILE).read_text(encoding="utf-8"))


def confidence_of(rule: Rule, row: Row) -> float:
    """How often proposals of this row are right, by the calibration that comes with the rules."""
    return _confidence(rule.dimension, row.because, row.confidence)


@lru_cache(maxsize=1024)
def _confidence(dimension: str, because: str, expected: float) -> float:
    return load_calibration().confidence(dimension, because, expected)
