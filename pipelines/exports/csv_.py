"""Confirmed ratings as CSV: `slug,dimension,class,link`, the form that `import ratings` reads.

The class is `open`, `partial`, `closed`, or empty for not applicable. A dimension that nobody has
decided has no line. Open the file with `newline=""`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from pipelines.exports.cells import class_text, guarded
from pipelines.exports.rows import RatingRow

SUFFIX = ".csv"
HEADER = ("slug", "dimension", "class", "link")


def write(rows: Iterable[RatingRow], out: TextIO) -> None:
    """Write the ratings in the order given."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow(
            (guarded(row.slug), guarded(row.dimension), class_text(row.rating), guarded(row.link))
        )
