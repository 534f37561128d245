"""Ratings files: published ratings as lines of `slug,dimension,class,link`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from pipelines.errors import RatingsError
from pipelines.exports.cells import unguarded
from pipelines.exports.csv_ import HEADER
from pipelines.exports.rows import RatingRow
from pipelines.model import Rating
from pipelines.rubric import load_rubric
from pipelines.seeds import SLUG

MAX_SHOWN = 50

_CLASSES = {
    "open": Rating.OPEN,
    "partial": Rating.PARTIAL,
    "closed": Rating.CLOSED,
    "": Rating.NOT_APPLICABLE,
}
# A link that begins with a scheme has to be a web address; a page that shows it must not run it.
OTHER_SCHEME = re.compile(r"(?!https?:) [A-Za-z][A-Za-z0-9+.-]* :", re.VERBOSE | re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_ratings(text: str, file_name: str, *, dimensions: Sequence[str] | None = None) -> list[RatingRow]:
    """The ratings of a file, in its order; `dimensions` are the allowed ones (the default rubric's).

    An empty class is a rating: not applicable. Raises RatingsError with every mistake of the file,
    each with line and column; then nothing of it may be taken over.
    """
    allowed = load_rubric().dimension_ids if dimensions is None else tuple(dimensions)
    problems: list[str] = []
    rows: list[RatingRow] = []
    first_lines: dict[tuple[str, str], int] = {}
    for line, fields in _records(text, file_name, problems):
        row, wrong = _row(fields, allowed)
        if row is not None:
            first = first_lines.setdefault((row.slug, row.dimension), line)
            if first != line:
                wrong = [("dimension", f"{row.slug} {row.dimension} is already rated on line {first}")]
            rows.append(row)
        problems += [f"{file_name}:{line}: {column}: {message}" for column, message in wrong]
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        end = f"{len(problems)} {noun} in {file_name}; nothing was taken over"
        more = [f"... and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
        raise RatingsError("\n".join([*problems[:MAX_SHOWN], *more, end]))
    return rows


def _records(text: str, file_name: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The records after the header, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    header_seen = False
    line = 1
    try:
        for fields in reader:
            if fields and not header_seen:
                header_seen = True
                if tuple(field.strip() for field in fields) != HEADER:
                    found = ",".join(fields)[:80]
                    problems.append(
                        f"{file_name}:{line}: header: {','.join(HEADER)} is expected, not {found!r}"
                    )
                    return
            elif fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"{file_name}:{line}: not valid CSV: {error}")
        return
    if not header_seen:
        problems.append(f"{file_name}:1: header: the file is empty; {','.join(HEADER)} is expected")


def _row(fields: list[str], allowed: Sequence[str]) -> tuple[RatingRow | None, list[tuple[str, str]]]:
    """The rating in a record, or what is wrong with it by column."""
    if len(fields) != len(HEADER):
        column = HEADER[min(len(fields), len(HEADER) - 1)]
        return None, [(column, f"{len(HEADER)} columns are expected, here are {len(fields)}")]
    slug, dimension, class_text, link = (field.strip() for field in fields)
    link = unguarded(link)
    wrong: list[tuple[str, str]] = []
    if not SLUG.fullmatch(slug):
        wrong.append(("slug", f"{slug[:80]!r} is no slug"))
    if dimension not in allowed:
        wrong.append(("dimension", f"unknown dimension {dimension[:80]!r} (known: {', '.join(allowed)})"))
    if class_text not in _CLASSES:
        wrong.append(
            (
                "class",
                f"unknown class {class_text[:80]!r} (open, partial, closed, or empty for not applicable)",
            )
        )
    if CONTROL.search(link) or OTHER_SCHEME.match(link):
        wrong.append(("link", f"{link[:80]!r} is no web address"))
    if wrong:
        return None, wrong
    return RatingRow(slug=slug, dimension=dimension, rating=_CLASSES[class_text], link=link), []
