"""Whether the rules find in the sandbox what a careful reader finds: `make bench ARGS=demo`.

Runs the two nights of `openness demo` against the bundled sandbox and compares what is proposed after
each with sandbox/world/expected.csv and expected_night2.csv, cell by cell. The invented projects are
clear on purpose, so that a cell that differs is a rule to look at, or an expectation. Needs no
recorded corpus, no token and no network.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from world import ROOT, Desk, parser, report

sys.path.insert(0, str(ROOT))

from pipelines.agreement import agreement_of, no_counts, position
from pipelines.model import Rating
from sandbox import EXPECTED, EXPECTED_NIGHT2, LINEAGE, SEEDS, Sandbox

Cell = tuple[str, str]


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "demo")
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="openness-sandbox-") as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder)
    return report(figures, {}, options.json)


def measure(folder: Path) -> dict[str, object]:
    """Both nights; the figures, after the cells that differ."""
    figures: dict[str, object] = {}
    expected = load_expected(EXPECTED, "class")
    second = expected | load_expected(EXPECTED_NIGHT2, "class_after")
    for number, (should_be, found) in enumerate(
        zip((expected, second), load_nights(folder), strict=True), start=1
    ):
        counts = no_counts()
        differing = []
        for cell, rating in should_be.items():
            proposed, why = found.get(cell, (None, "nothing was proposed"))
            counts[position(rating, proposed)] += 1
            if proposed is not rating:
                differing.append((cell, rating, proposed, why))
        print(f"Night {number}: {len(differing)} of {len(should_be)} cells differ")
        for (slug, dimension), rating, proposed, why in differing:
            print(
                f"  {slug:<24} {dimension:<12} {shown(proposed):>14} instead of {shown(rating):<14} {why[:150]}"
            )
        print()
        measures = agreement_of(counts)
        by_dimension = Counter(cell[1] for cell, *_ in differing)
        figures |= {
            f"cells, night {number}": measures.n,
            f"cells that differ, night {number}": len(differing),
            f"agreement, night {number}": measures.accuracy,
            f"weighted kappa, night {number}": measures.kappa_weighted,
            f"open-closed flips, night {number}": measures.flips,
            f"cells that differ by dimension, night {number}": dict(by_dimension.most_common()),
        }
    return figures


def load_expected(path: Path, column: str) -> dict[Cell, Rating | None]:
    """The class that each cell of a file should have; None: that nothing can be told."""
    with open(path, newline="", encoding="utf-8") as file:
        return {(row["slug"], row["dimension"]): rating_of(row[column]) for row in csv.DictReader(file)}


def load_nights(folder: Path) -> Iterator[dict[Cell, tuple[Rating | None, str]]]:
    """What is proposed after each night, with the reason."""
    with Sandbox(night=1) as sandbox:
        desk = Desk(folder=folder, env=environment(sandbox.addresses, folder))
        desk.scratch.mkdir(exist_ok=True)
        desk.run("import", "seeds", str(SEEDS))
        for night in (1, 2):
            sandbox.set_night(night)
            desk.night()
            exported = folder / f"proposals-{night}.csv"
            desk.run("export", "proposals", str(exported))
            with open(exported, newline="", encoding="utf-8") as file:
                yield {
                    (row["slug"], row["dimension"]): (rating_of(row["class"]), row["rationale"])
                    for row in csv.DictReader(file)
                }


def environment(addresses: dict[str, str], folder: Path) -> dict[str, str]:
    """The settings of a command at a folder, pointed at the sandbox; other settings are taken away."""
    ours = ("OPENNESS_", "GITHUB_", "HF_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        **addresses,
        "OPENNESS_DATABASE_URL": f"sqlite:///{folder}/openness.db",
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "OPENNESS_LINEAGE": str(LINEAGE),
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_PAGE_DELAY": "0",
        "GITHUB_TOKEN": "sandbox",
        "HF_HOME": str(folder / "hf"),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "scratch"),
    }


def rating_of(text: str) -> Rating | None:
    """A class as files write it."""
    if text == "cannot_tell":
        return None
    return Rating(text) if text else Rating.NOT_APPLICABLE


def shown(rating: Rating | None) -> str:
    """A class as people read it."""
    return rating.value if rating else "cannot tell"


if __name__ == "__main__":
    sys.exit(main())
