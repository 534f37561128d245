"""Sections of documents by topic, with their substance: how many words and entries, whether anyone filled them in.

A section holds those within it. What there is of it is counted stretch by stretch between one heading and
the next, each by itself and once, however many sections it lies in.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
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


TITLED_BY_NAME = re.compile(r"card|file:readme[^/]*", re.IGNORECASE)
"""Parts whose title is the name of a model or project. A README of a folder is titled by what it is about."""
COMMAND = re.compile(
    r"`*\s*(?:\$\s+)?(?:python[\d.]*|torchrun|deepspeed|accelerate|bash|sh|sbatch|srun|git|make|docker|\./[\w./-]+)\s+\S+\s+\S"
)
"""Code within a line that is a command: a program with at least two words behind it."""


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
        self._commands = [start for start, end in document.inline_code if COMMAND.match(text, start, end)]
        self._found: dict[tuple[int, int], Substance] = {}

    def has_code(self, start: int, end: int) -> bool:
        """Does a block of code begin in a stretch, or does a command stand in its text?"""
        return any(
            bisect_left(starts, start) < bisect_left(starts, end)
            for starts in (self._code_starts, self._commands)
        )

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
    titled_by_name = bool(TITLED_BY_NAME.fullmatch(source.snapshot.part))
    for section, found in _telling_sections(document.sections, stretches, titled_by_name):
        words = found.words + found.signs // 2
        is_template = words < 40 and bool(TEMPLATE.search(stretches.text(section.body_start, section.end)))
        for topic in _topics(section, stretches):
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


_SET_UP = re.compile(
    r"learning[ _-]?rate|\blr\b|batch[ _-]?size|\bepochs?\b|warm-?\ ?up|weight[ _-]?decay|optimi[sz]er|\bbetas?\b|\badamw?\b|学习率|批次|优化器|轮数",
    re.IGNORECASE,
)
_BUILD = re.compile(
    r"\blayers\b|\bheads\b|\bhidden\b|d_model|\bembedding\b|vocab|context|sequence length|head_dim|n_layers|层数|词表|注意力头",
    re.IGNORECASE,
)
_SEVERAL = 3
"""So many different words of _SET_UP or _BUILD in tables and lists tell of hyper-parameters or of the architecture."""


def _topics(section: Section, stretches: _Stretches) -> tuple[Topic, ...]:
    """What the heading names; in a section on training also what its own tables and lists tell."""
    named = topics_of(section.title)
    if not {Topic.TRAINING, Topic.ARCHITECTURE, Topic.HYPERPARAMETERS} & set(named):
        return named
    text = stretches.text(section.body_start, section.own_end)
    rows = "\n".join(line for line in text.split("\n") if TABLE_ROW.match(line) or LIST_ITEM.match(line))
    more = [
        topic
        for topic, words in ((Topic.HYPERPARAMETERS, _SET_UP), (Topic.ARCHITECTURE, _BUILD))
        if topic not in named and len({match[0].lower() for match in words.finditer(rows)}) >= _SEVERAL
    ]
    return (*named, *more)


def _is_title(number: int, sections: Sequence[Section]) -> bool:
    """Is a heading the document's title, with all that follows below it?"""
    return number == 0 and len(sections) > 2 and sections[0].end >= sections[-1].end


def _telling_sections(
    sections: Sequence[Section], stretches: _Stretches, titled_by_name: bool
) -> Iterator[tuple[Section, Substance]]:
    """The first sections whose headings name a topic, each with what there is of it and of those within it.

    A title that is the name of a project ("Sorrel Chat", "RLHF Tools") speaks for what stands between
    it and the next heading, not for the whole document.
    """
    starts = [section.start for section in sections]
    telling = (number for number, section in enumerate(sections) if topics_of(section.title))
    for number in islice(telling, SECTIONS):
        section = sections[number]
        found = [stretches.substance(section.body_start, section.own_end)]
        if titled_by_name and _is_title(number, sections):
            yield replace(section, end=section.own_end), found[0]
            continue
        # Levels are few, so that no stretch is added up often.
        for inner in sections[number + 1 : bisect_left(starts, section.end)]:
            found.append(stretches.substance(inner.start, inner.body_start))
            found.append(stretches.substance(inner.body_start, inner.own_end))
        yield section, Substance(*map(sum, zip(*found, strict=True)))
