"""How general the rules are: `make bench ARGS=invented`.

Serves the twelve invented projects of tests/corpus/invented with the server of recorded services, runs
one cold night over them, and evaluates against their ratings. These were settled by reading the rubric
before any rule saw the projects; which cells two careful curators could rate otherwise is in
debatable.csv, and accuracy is told without them as well. Every cell that differs is listed. Confidence
must not be fitted here: the figures are worth something as long as nothing is tuned to them.

Fails when a bound of BOUNDS is not kept.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from world import ROOT, Desk, parser, report, say, serve, set_up, working_folder

INVENTED = Path(__file__).resolve().parent / "invented"
LICENCE_TEXTS = ROOT / "sandbox" / "world" / "licences"

BOUNDS = {
    "accuracy": (">=", 0.80),
    "kappa_weighted": (">=", 0.80),
    "flips": ("<=", 0.03),
    "coverage": (">=", 0.95),
    "accuracy of the undebatable cells": (">=", 0.85),
}

Cell = tuple[str, str]
Row = dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__, "invented").parse_args(arguments)
    with working_folder(options) as folder:
        corpus = lay_out(folder / "invented")
        with serve(options.shared, corpus=corpus) as services:
            desk = set_up(services, folder / "desk", seeds=corpus / "projects.yaml")
            figures = measure(desk, corpus)
        return report(figures, BOUNDS, options.json)


def lay_out(folder: Path) -> Path:
    """The corpus as the server reads it: a copy with the licence texts, which the sandbox keeps once."""
    shutil.copytree(INVENTED, folder, dirs_exist_ok=True)
    for row in rows_of(INVENTED / "licences.csv"):
        shutil.copyfile(LICENCE_TEXTS / f"{row['text']}.txt", folder / row["file"])
    return folder


def measure(desk: Desk, corpus: Path) -> dict[str, object]:
    """One night and its evaluation over all cells and over the undebatable ones; the figures."""
    night = desk.night()
    proposals_file = desk.folder / "proposals.csv"
    desk.run("export", "proposals", str(proposals_file))
    ratings = rows_of(corpus / "ratings.csv")
    debatable = {cell_of(row) for row in rows_of(corpus / "debatable.csv")}
    tell_differing(ratings, rows_of(proposals_file), debatable)
    settled = [row for row in ratings if cell_of(row) not in debatable]
    over_all = evaluation(desk, ratings)
    over_settled = evaluation(desk, settled)
    return {
        "projects rated": night.report["projects"],
        "failed visits": night.report["failed"],
        "internal errors": len(night.report["internal_errors"]),
        "cells": over_all["n"],
        **{name: over_all[name] for name in ("accuracy", "kappa_weighted", "flips", "coverage", "baseline")},
        "undebatable cells": over_settled["n"],
        "accuracy of the undebatable cells": over_settled["accuracy"],
        "kappa_weighted of the undebatable cells": over_settled["kappa_weighted"],
    }


def evaluation(desk: Desk, ratings: list[Row]) -> dict[str, Any]:
    """What `openness evaluate` says of these ratings."""
    chosen = desk.folder / "chosen.csv"
    with open(chosen, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(ratings[0]))
        writer.writeheader()
        writer.writerows(ratings)
    found: dict[str, Any] = json.loads(desk.run("evaluate", str(chosen), "--json").out)
    return found


def tell_differing(ratings: Iterable[Row], proposals: Iterable[Row], debatable: set[Cell]) -> None:
    """Every cell that is proposed otherwise than rated, with the reason that the rules give."""
    proposed = {cell_of(row): row for row in proposals}
    for row in ratings:
        found = proposed.get(cell_of(row), {"class": "nothing", "rationale": ""})
        if found["class"] != row["class"]:
            note = ", debatable" if cell_of(row) in debatable else ""
            say(
                f"{row['slug']:<20} {row['dimension']:<12} {found['class']:>11} "
                f"instead of {row['class'] + note:<19} {found['rationale'][:120]}"
            )


def rows_of(path: Path) -> list[Row]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cell_of(row: Row) -> Cell:
    return row["slug"], row["dimension"]


if __name__ == "__main__":
    sys.exit(main())
