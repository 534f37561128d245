"""Where a document holds entries of BibTeX: what is named in one is to be cited."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

ENTRY = re.compile(r"@[A-Za-z]+[ \t]*\{")
END = re.compile(r"\n[ \t]*\r?\n|\n[ \t]{0,3}(?:```|~~~|#)")
"""An empty line, the end of a block of code, or a heading: what follows belongs to no entry that was left unclosed."""
BRACKET = re.compile(r"[{}]")
LONGEST = 4000
"""Characters after which an entry has ended, closed or not: papers have some hundred authors at the most."""


class Entries:
    """The entries of one document."""

    def __init__(self, text: str) -> None:
        self._spans = list(_entries(text)) if "@" in text else []
        self._starts = [start for start, _ in self._spans]

    def hold(self, position: int) -> bool:
        """Does a position stand in an entry: behind where one begins, and before its brackets close?"""
        place = bisect_right(self._starts, position) - 1
        return place >= 0 and position < self._spans[place][1]


def _entries(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each, in order. None begins within another, so that all takes one look at the text."""
    reached = 0
    while entry := ENTRY.search(text, reached):
        start = entry.end()
        end = min(len(text), start + LONGEST)
        if stop := END.search(text, start, end):
            end = stop.start()
        depth = 1
        for bracket in BRACKET.finditer(text, start, end):
            depth += 1 if bracket.group() == "{" else -1
            if not depth:
                end = bracket.start()
                break
        yield start, end
        reached = max(start, end)
