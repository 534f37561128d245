"""Sections of documents by topic, with their substance: how many words and entries, whether anyone filled them in.

A section holds those within it. What there is of it is counted stretch by stretch between one heading and
the next, each by itself and once, however many sections it lies in.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from pipelines.extract.base import Source, rounded
from pipelines.extract.topics import (
    TEMPLATE,
    Topic,
    count_addressed,
    count_words,
    is_instruction,
    topics_of,
    words_and_signs,
)
from pipelines.markdown import Document, Section
from pipelines.model import Evidence
from pipelines.volatile import steady

SECTIONS = 400

# Blanks at the beginning of a line are those of this line: over all the empty lines that follow, the time
# would grow with their square.
LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE)
TABLE_ROW = re.compile(r"^[ \t]*\|.*\|.*$|^[^|\n]+\|[^|\n]+\|.*$", re.MULTILINE)
LABELLED_LINE = re.compile(
    r"^[ \t]*(?:[-*+][ \t]+)?\*\*([^*\n]{3,60}?)[:.]?\*\*[:.]?[ \t]+(\S[^\n]{2,}(?:\n(?![\s*#>|+-])[^\n]+)*)",
    re.MULTILINE,
)
"""A line such as "- **Training data:** ten billion words": a section of one line."""


class Substance(NamedTuple):
    """What there is of a text: words, CJK characters, entries of lists and tables, words that address the reader."""

    words: int
    signs: int
    items: int
    addressed: int


class _Stretches:
    """The text of a document, without its code, between headings."""

    def __init__(self, text: str, document: Document) -> None:
        self._text = text
        self._code = [(block.start, block.end) for block in document.code_blocks]
        self._code_starts = [start for start, _ in self._code]
        self._code_ends = [end for _, end in self._code]
        self._found: dict[tuple[int, int], Substance] = {}

    def has_code(self, start: int, end: int) -> bool:
        """Does code begin in a stretch?"""
        return bisect_left(self._code_starts, start) < bisect_left(self._code_starts, end)

    def text(self, start: int, end: int) -> str:
        """A stretch of text without the code blocks in it."""
        kept: list[str] = []
        for block_start, block_end in islice(self._code, bisect_right(self._code_ends, start), None):
            if block_start >= end:
                break
            kept.append(self._text[start : max(start, block_start)])
            start = min(max(start, block_end), end)
        kept.append(self._text[start:end])
        return "\n".join(kept)

    def substance(self, start: int, end: int) -> Substance:
        """What there is of a stretch. It is looked at once."""
        found = self._found.get((start, end))
        if found is None:
            text = self.text(start, end)
            items = len(LIST_ITEM.findall(text)) + len(TABLE_ROW.findall(text))
            found = Substance(*words_and_signs(steady(text)), items, count_addressed(text))
            self._found[start, end] = found
        return found


def extract_sections(source: Source, document: Document) -> Iterator[Evidence]:
    """Sections whose headings name a topic, then lines that are labelled with one."""
    stretches = _Stretches(source.text, document)
    for section, found in _telling_sections(document.sections, stretches):
        words = found.words + found.signs // 2
        is_template = words < 40 and bool(TEMPLATE.search(stretches.text(section.body_start, section.end)))
        for topic in topics_of(section.title):
            yield source.quote(
                "section",
                section.start,
                section.end,
                topic=topic.value,
                title=section.title[:120],
                words=rounded(words),
                items=rounded(found.items),
                template=is_template,
                instructs=is_instruction(found.addressed, words),
                code=stretches.has_code(section.body_start, section.end),
            )
    for match in islice(LABELLED_LINE.finditer(source.text), SECTIONS):
        for topic in topics_of(match[1]):
            if topic is not Topic.LICENCE:
                yield source.quote(
                    "section",
                    match.start(),
                    match.end(),
                    topic=topic.value,
                    title=match[1],
                    words=rounded(count_words(match[2])),
                    items=0,
                    template=bool(TEMPLATE.search(match[2])),
                    instructs=False,
                    code=False,
                )


def _telling_sections(
    sections: Sequence[Section], stretches: _Stretches
) -> Iterator[tuple[Section, Substance]]:
    """The first sections whose headings name a topic, each with what there is of it and of those within it."""
    starts = [section.start for section in sections]
    telling = (number for number, section in enumerate(sections) if topics_of(section.title))
    for number in islice(telling, SECTIONS):
        section = sections[number]
        found = [stretches.substance(section.body_start, section.own_end)]
        # Levels are few, so that no stretch is added up often.
        for inner in sections[number + 1 : bisect_left(starts, section.end)]:
            found.append(stretches.substance(inner.start, inner.body_start))
            found.append(stretches.substance(inner.body_start, inner.own_end))
        yield section, Substance(*map(sum, zip(*found, strict=True)))
