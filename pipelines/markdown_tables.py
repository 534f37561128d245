"""The tables of a Markdown text, of pipes and of HTML, with the exact range of every row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from pipelines.markdown_blocks import Block, BlockKind, Lines
from pipelines.markdown_links import plain

DELIMITER_ROW = re.compile(
    r"^[ \t>]*+ (?:\|[ \t]*+)? :?-++:?[ \t]*+ (?: \|[ \t]*+:?-++:?[ \t]*+ )*+ \|?[ \t]*+ $", re.VERBOSE
)
CELL_EDGE = re.compile(r"(?<!\\)\|")
TABLE_ROW_TAG = re.compile(r"<tr\b[^<>]{0,500}>", re.IGNORECASE)
TABLE_CELL_TAG = re.compile(r"<t[dh]\b[^<>]{0,1000}>", re.IGNORECASE)
ROW_CLOSE_TAG = re.compile(r"</(?:tr|table|tbody|thead)\s{0,10}>", re.IGNORECASE)

MAX_ROWS = 5_000

# What precedes the words of a line: quotes, list marks, check boxes.
LINE_MARKS = re.compile(r"(?:[ \t]*(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])|\[[ xX]\](?=[ \t])))*[ \t]*")
LINE_MARK_BEGINS = frozenset(" \t>-*+[")
"""What LINE_MARKS begins with, besides digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: its cells as plain text."""

    start: int
    end: int
    cells: tuple[str, ...]


def markdown_tables(lines: Lines, blocks: list[Block], visible: str) -> list[list[Row]]:
    """Tables of pipes and hyphens: paragraphs whose second line delimits columns."""
    found = []
    for block in blocks:
        if block.kind is not BlockKind.PARAGRAPH:
            continue
        for number in range(block.first + 1, block.last):
            line = lines.line(number)
            if len(line) <= 5000 and "|" in line and "-" in line and DELIMITER_ROW.match(line):
                numbers = [number - 1, *range(number + 1, min(block.last, number + MAX_ROWS))]
                rows = [_row(lines.start(n), lines.end(n), visible) for n in numbers]
                found.append([row for row in rows if row.cells])
                break
    return [rows for rows in found if rows]


def _row(start: int, end: int, visible: str) -> Row:
    line = visible[start : min(end, start + 20_000)]
    marks = LINE_MARKS.match(line)
    start += marks.end() if marks else 0
    line = line[marks.end() :].strip() if marks else line.strip()
    cells = [plain(cell) for cell in CELL_EDGE.split(line.strip("|"))] if line else []
    return Row(start=start, end=end, cells=tuple(cells))


def html_tables(visible: str) -> list[list[Row]]:
    """Tables of <tr> and <td>."""
    found: list[list[Row]] = []
    reached = -1
    rows = list(islice(TABLE_ROW_TAG.finditer(visible), MAX_ROWS))
    for number, match in enumerate(rows):
        limit = rows[number + 1].start() if number + 1 < len(rows) else len(visible)
        end = ROW_CLOSE_TAG.search(visible, match.end(), limit)
        stop = end.end() if end else min(limit, match.end() + 20_000)
        cells = TABLE_CELL_TAG.split(visible[match.end() : min(stop, match.end() + 20_000)])[1:]
        if not cells:
            continue
        row = Row(start=match.start(), end=stop, cells=tuple(plain(cell) for cell in cells))
        if found and "<table" not in visible[reached : match.start()].lower():
            found[-1].append(row)
        else:
            found.append([row])
        reached = stop
    return found
