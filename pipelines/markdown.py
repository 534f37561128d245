"""A Markdown document as evidence needs it: every part with the exact range of characters it stands in.

`text[part.start:part.end]` is the part, for every part. Nothing is rendered. Texts of any length
and content are read in bounded time: of a text longer than MAX_TEXT only the beginning is read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from pipelines.front_matter import parse_front_matter
from pipelines.markdown_blocks import PRE_TAG, Block, BlockKind, Lines, blocks_of, code_span
from pipelines.markdown_links import HTML_TAG, RawLink, code_spans, plain, raw_links
from pipelines.markdown_tables import LINE_MARK_BEGINS, LINE_MARKS, Row, html_tables, markdown_tables
from pipelines.model import JsonValue

MAX_TEXT = 500_000
MAX_SENTENCE = 4_000
MAX_TITLE = 300
MAX_HEADINGS = 5_000

BOLD_LINE = re.compile(
    r"""
    [ ]{0,3} (?P<mark>\*\*|__) (?=\S) (?P<title>(?:(?!\*\*|__).){1,120}) (?P=mark) [ \t]*:?[ \t]*\\?
    """,
    re.VERBOSE,
)
# A bold sentence is emphasis, not a heading.
ENDS_AS_SENTENCE = re.compile(r"[.!?。！？…,;]\s*$")
HEADING_TAG = re.compile(r"<h(?P<level>[1-6])\b[^<>]{0,500}>", re.IGNORECASE)

# Latin sentences end before a space and a new beginning; Chinese ones at their mark. A run of marks
# or spaces is looked at once: a document that is nothing but dots must not take hours.
# All of them begin with one of a few characters, to the next of which the search leaps.
SENTENCE_END = re.compile(
    r"""
    [.!?…。！？；\ \\<]
    (?: (?<=[.!?…]) (?<![.!?…][.!?…]) [.!?…]*+ ["'”’)\]*_`]{0,4}
            (?= \s++ ["'“‘(\[*_`<!]{0,4} [A-Z0-9\u00c0-\u00de\u4e00-\u9fff] )
      | (?<=[。！？；]) [。！？；]* [”’"')）」』*_]{0,4}
      | (?<=\ ) (?<!\ \ ) \ ++ (?:\r\n|\r|\n)
      | (?<=\\) (?:\r\n|\r|\n)
      | (?<=<) (?i: /?(?:p|div|br|li|td|th|tr|h[1-6]|ul|ol|table|summary|details|center)\b[^<>]{0,500}> )
    )
    """,
    re.VERBOSE,
)
ABBREVIATION = re.compile(
    r"""
    \b (?: (?i: e\.g | i\.e | etc | vs | cf | et\ al | figs? | eqs? | secs? | dr | mrs? | prof | no | approx
              | inc | ltd | corp | vo?l? | ver | st )
        | [A-Z] ) $
    """,
    re.VERBOSE,
)
WITHIN_LINE = re.compile(r"[^\r\n]+")
WORD_CHARACTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it.

    `start` is the heading's own first character, `body_start` the first one below it; `own_end` is
    where the next heading of any level begins, `end` where the next one of this or a higher level
    does. `path` holds the titles of the sections around it, outermost first.
    """

    level: int
    title: str
    start: int
    end: int
    body_start: int
    own_end: int
    path: tuple[str, ...] = ()
    is_bold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link or an image. `section` is the index of its section, None before the first heading."""

    url: str
    text: str
    start: int
    end: int
    section: int | None
    is_image: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """The code of a fence, an indented block or a <pre>; without the fence's own lines."""

    language: str
    start: int
    end: int
    text: str
    section: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first of `rows` is its head."""

    start: int
    end: int
    rows: tuple[Row, ...]
    section: int | None


class Sentence(NamedTuple):
    """A sentence, a list entry, or a row of a table. Not code, not a heading."""

    start: int
    end: int
    text: str
    section: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What `parse_markdown` found in `text`.

    `prose` is the text with front matter, code blocks, comments, HTML tags and the addresses of links
    blanked, character for character, so that its offsets are the text's.
    """

    text: str = field(repr=False)
    prose: str = field(repr=False)
    front_matter: dict[str, JsonValue] | None
    front_matter_error: str | None
    front_matter_span: tuple[int, int] | None
    sections: tuple[Section, ...]
    links: tuple[Link, ...]
    code_blocks: tuple[CodeBlock, ...]
    inline_code: tuple[tuple[int, int], ...]
    tables: tuple[Table, ...]
    paragraphs: tuple[tuple[int, int], ...]
    _sentences: list[tuple[Sentence, ...]] = field(
        init=False, repr=False, compare=False, default_factory=list
    )

    def section_at(self, offset: int) -> int | None:
        """The index of the innermost section that holds an offset; None before the first heading."""
        index = bisect_right(self.sections, offset, key=lambda section: section.start) - 1
        return index if index >= 0 else None

    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences of paragraphs and lists and the rows of tables, in order; looked for once."""
        if not self._sentences:
            self._sentences.append(tuple(self._find_sentences()))
        return self._sentences[0]

    def _find_sentences(self) -> Iterator[Sentence]:
        text, has_word, prose = self.text, WORD_CHARACTER.search, self.prose
        starts = [section.start for section in self.sections]
        spans = [span for start, end in self.paragraphs for span in _sentence_spans(text, start, end)]
        spans += [(row.start, row.end) for table in self.tables for row in table.rows]
        for start, end in sorted(spans):
            if has_word(prose, start, end):
                section = bisect_right(starts, start) - 1
                yield Sentence(start, end, text[start:end], section if section >= 0 else None)


@dataclass(frozen=True, slots=True)
class _Heading:
    start: int
    end: int
    level: int
    title: str
    is_bold: bool = False


@lru_cache(maxsize=16)
def parse_markdown(text: str) -> Document:
    """Read a Markdown text. Never raises; the same text gives the same document."""
    front_matter, error, span = parse_front_matter(text)
    read = text[:MAX_TEXT]
    body = _blanked(read, [span] if span else [])
    lines = Lines(body)
    blocks = blocks_of(lines)
    codes = [(block, *code_span(lines, block)) for block in blocks if _is_code(lines, block)]
    code_lines = [(lines.start(block.first), lines.end(block.last - 1)) for block, _, _ in codes]
    without_code = _blanked(body, code_lines)
    comments = _comments(without_code)
    visible = _blanked(without_code, comments)
    inline = code_spans(visible)
    links = raw_links(_blanked(visible, inline))
    hidden = [link.hidden for link in links] + [match.span() for match in HTML_TAG.finditer(visible)]
    tables = markdown_tables(lines, blocks, visible) + html_tables(visible)
    headings = _headings(lines, blocks, visible)
    sections = _sections(headings, len(text))
    starts = [section.start for section in sections]

    def section_at(offset: int) -> int | None:
        return bisect_right(starts, offset) - 1 if starts and offset >= starts[0] else None

    return Document(
        text=text,
        prose=_blanked(visible, hidden) + " " * (len(text) - len(read)),
        front_matter=front_matter,
        front_matter_error=error,
        front_matter_span=span,
        sections=sections,
        links=tuple(_placed(link, section_at(link.start)) for link in links),
        code_blocks=tuple(
            CodeBlock(
                language=_language(block),
                start=start,
                end=end,
                text=text[start:end],
                section=section_at(start),
            )
            for block, start, end in codes
        ),
        inline_code=tuple(inline),
        tables=tuple(
            Table(start=rows[0].start, end=rows[-1].end, rows=tuple(rows), section=section_at(rows[0].start))
            for rows in sorted(tables, key=lambda rows: rows[0].start)
        ),
        paragraphs=tuple(_paragraphs(lines, blocks, visible, headings, tables)),
    )


def _placed(link: RawLink, section: int | None) -> Link:
    return Link(
        url=link.url, text=link.text, start=link.start, end=link.end, section=section, is_image=link.is_image
    )


def _language(block: Block) -> str:
    words = block.info.split()
    return words[0].strip("{}.").lower()[:40] if words else ""


def _is_code(lines: Lines, block: Block) -> bool:
    if block.kind is BlockKind.HTML:
        return bool(PRE_TAG.match(lines.line(block.first)[:100]))
    return block.kind in (BlockKind.FENCE, BlockKind.INDENTED_CODE)


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with some ranges as spaces; line ends stay, so that lines keep their numbers."""
    parts, reached = [], 0
    for start, end in sorted(spans):
        start = max(start, reached)
        if end > start:
            hidden = text[start:end]
            has_ends = "\n" in hidden or "\r" in hidden
            blank = WITHIN_LINE.sub(_blank, hidden) if has_ends else " " * len(hidden)
            parts += [text[reached:start], blank]
            reached = end
    return "".join([*parts, text[reached:]]) if parts else text


def _comments(text: str) -> list[tuple[int, int]]:
    spans, start = [], text.find("<!--")
    while start >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        spans.append((start, end + 3))
        start = text.find("<!--", end + 3)
    return spans


def _headings(lines: Lines, blocks: list[Block], visible: str) -> list[_Heading]:
    found: list[_Heading] = []
    for block in blocks:
        if len(found) >= MAX_HEADINGS:
            break
        if block.kind is BlockKind.HEADING and block.depth == 0:
            found.append(_marked_heading(lines, block, visible))
        elif block.kind is BlockKind.PARAGRAPH and block.depth == 0:
            found += _bold_headings(lines, block, visible)
    for match in islice(HEADING_TAG.finditer(visible), MAX_HEADINGS):
        closing = re.compile(rf"</h{match['level']}\s{{0,10}}>", re.IGNORECASE)
        close = closing.search(visible, match.end(), match.end() + 3000)
        if close:
            title = plain(visible[match.end() : close.start()])
            found.append(_Heading(match.start(), close.end(), int(match["level"]), title[:MAX_TITLE]))
    kept: list[_Heading] = []
    for heading in sorted(found, key=lambda heading: (heading.start, heading.level)):
        if heading.title and (not kept or heading.start >= kept[-1].end):
            kept.append(heading)
    return kept[:MAX_HEADINGS]


def _marked_heading(lines: Lines, block: Block, visible: str) -> _Heading:
    start, end = lines.start(block.first), lines.end(block.last - 1)
    raw = visible[start : min(end, start + 4000)]
    start += len(raw) - len(raw.lstrip(" "))
    raw = raw.strip()
    if raw.startswith("#"):
        raw = raw.lstrip("#")
        unclosed = raw.rstrip("#")
        raw = unclosed if unclosed[-1:].isspace() else raw
    else:
        raw = raw.rpartition("\n")[0] or raw.rpartition("\r")[0]
    return _Heading(start, end, block.level, plain(raw)[:MAX_TITLE])


def _bold_headings(lines: Lines, block: Block, visible: str) -> Iterator[_Heading]:
    for number in range(block.first, block.last):
        start, end = lines.start(number), lines.end(number)
        match = BOLD_LINE.fullmatch(visible[start:end]) if end - start <= 140 else None
        if match and not ENDS_AS_SENTENCE.search(match["title"]):
            title = plain(match["title"]).rstrip(" :：")
            yield _Heading(start + match.start("mark"), end, 6, title[:MAX_TITLE], is_bold=True)


def _sections(headings: list[_Heading], length: int) -> tuple[Section, ...]:
    ends: list[int] = [length] * len(headings)
    around: list[int] = []
    paths: list[tuple[str, ...]] = []
    for index, heading in enumerate(headings):
        while around and headings[around[-1]].level >= heading.level:
            ends[around.pop()] = heading.start
        paths.append(tuple(headings[outer].title for outer in around))
        around.append(index)
    return tuple(
        Section(
            level=heading.level,
            title=heading.title,
            start=heading.start,
            end=ends[index],
            body_start=heading.end,
            own_end=headings[index + 1].start if index + 1 < len(headings) else length,
            path=paths[index],
            is_bold=heading.is_bold,
        )
        for index, heading in enumerate(headings)
    )


def _paragraphs(
    lines: Lines, blocks: list[Block], visible: str, headings: list[_Heading], tables: list[list[Row]]
) -> Iterator[tuple[int, int]]:
    """Ranges of running text: blocks without the headings and table rows that stand in them."""
    holes = sorted([(h.start, h.end) for h in headings] + [(rows[0].start, rows[-1].end) for rows in tables])
    starts = [start for start, _ in holes]
    for block in blocks:
        if block.kind not in (BlockKind.PARAGRAPH, BlockKind.HTML) or _is_code(lines, block):
            continue
        start, end = lines.start(block.first), lines.end(block.last - 1)
        index = max(bisect_right(starts, start) - 1, 0)
        while index < len(holes) and holes[index][0] < end:
            if holes[index][1] > start:
                if holes[index][0] > start:
                    yield start, holes[index][0]
                start = holes[index][1]
            index += 1
        if start < end:
            yield start, end


def _sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Trimmed ranges of the sentences in text[start:end], without list marks at the beginning."""
    begin = start
    for match in SENTENCE_END.finditer(text, start, end):
        word = text[max(begin, match.start() - 8) : match.start()]
        if match.group()[0] == "." and ABBREVIATION.search(word):
            continue
        if match.group()[0] == "<":
            yield from _trimmed(text, begin, match.start())
        else:
            yield from _trimmed(text, begin, match.end())
        begin = match.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        piece = min(end, start + MAX_SENTENCE)
        if piece < end:
            space = text.rfind(" ", start + 1, piece)
            piece = space if space > start + MAX_SENTENCE // 2 else piece
        first = start
        if text[start] in LINE_MARK_BEGINS or text[start].isdecimal():
            marks = LINE_MARKS.match(text, start, piece)
            first = marks.end() if marks else start
        while first < piece and text[first].isspace():
            first += 1
        last = piece
        while last > first and text[last - 1].isspace():
            last -= 1
        if first < last:
            yield first, last
        start = piece
