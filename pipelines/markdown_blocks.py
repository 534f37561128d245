"""The blocks of a Markdown text as ranges of lines: headings, paragraphs, code, HTML.

markdown-it-py reads the block structure (its inline stage is switched off: it gives no offsets and
can be made slow). Texts too long for it, and texts it cannot read, get a line-based reading that knows
fences, headings and paragraphs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

# Above this many characters the line-based reading is used: hostile nesting costs seconds per megabyte.
MAX_PARSED = 300_000
MAX_LINES = 10_000
MAX_NESTING = 20

# The line ends of markdown-it; str.splitlines knows more of them (form feeds, U+2028).
NEWLINE = re.compile(r"\r\n|\r|\n")

FENCE = re.compile(r"^[ ]{0,3}(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\r\n]{0,200})")
ATX_HEADING = re.compile(r"^[ ]{0,3}(?P<marks>\#{1,6})(?=[ \t]|$)", re.VERBOSE)
SETEXT_UNDERLINE = re.compile(r"^[ ]{0,3}(?P<mark>=+|-+)[ \t]*$")
CLOSING_FENCE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[ \t]*$")
PRE_TAG = re.compile(r"^[ ]{0,3}<pre\b", re.IGNORECASE)


class BlockKind(Enum):
    """What a block is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    FENCE = "fence"
    INDENTED_CODE = "indented code"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines first (inclusive) to last (exclusive). `level` of a heading is 1 to 6, else 0.

    `depth` counts the lists and quotes around it; `info` is the word after a fence.
    """

    kind: BlockKind
    first: int
    last: int
    depth: int = 0
    level: int = 0
    info: str = ""


class Lines:
    """Where the lines of a text begin and end."""

    __slots__ = ("_ends", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0]
        self._ends: list[int] = []
        if "\r" not in text:
            lengths = [len(line) + 1 for line in text.split("\n")]
            bounds = list(accumulate(lengths))
            self.starts += bounds[:-1]
            self._ends = [bound - 1 for bound in bounds]
            return
        for match in NEWLINE.finditer(text):
            self._ends.append(match.start())
            self.starts.append(match.end())
        self._ends.append(len(text))

    def __len__(self) -> int:
        return len(self.starts)

    def start(self, line: int) -> int:
        """Offset of the first character of a line; the length of the text behind the last one."""
        return self.starts[line] if line < len(self.starts) else len(self.text)

    def end(self, line: int) -> int:
        """Offset behind the last character of a line, without its line end."""
        return self._ends[line] if line < len(self._ends) else len(self.text)

    def line(self, line: int) -> str:
        """The characters of a line without its line end."""
        return self.text[self.start(line) : self.end(line)]

    def at(self, offset: int) -> int:
        """The number of the line that holds an offset."""
        return bisect_right(self.starts, offset) - 1


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": MAX_NESTING})
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.before("code", "plain", _plain_beginning)
    parser.block.ruler.at("lheading", _text_lines)
    return parser


BLOCK_BEGINS = frozenset("`~>*-_+#<[0123456789")
"""With one of these a line begins that is more than text, if it is not indented: every other rule looks for them."""


def _plain_beginning(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A rule of markdown-it: text at a line that no other rule would take, so that none is asked."""
    if state.sCount[first] - state.blkIndent > 3:
        return False
    if state.src[state.bMarks[first] + state.tShift[first]] in BLOCK_BEGINS:
        return False
    return _text_lines(state, first, last, silent)


UNDERLINES = {"~": "h3", "^": "h4", '"': "h5"}
"""Further marks that reStructuredText underlines headings with. Markdown would take the tildes for a fence."""


def _underlines(source: str, start: int, end: int, begin: int, behind: int) -> bool:
    """Is a line nothing but one mark, as long as the line above it?"""
    line = source[begin:behind].rstrip()
    over = len(line) - len(source[start:end].rstrip())
    return 0 <= over <= 2 and len(line) >= 4 and not line.strip(line[0])


def _text_lines(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A rule of markdown-it: a paragraph or an underlined heading, as its own two rules find them.

    The lines are gone through once, other rules are asked about those lines only that they may take,
    and the text, which nobody reads, is not put together.
    """
    source, begins, shifts, ends = state.src, state.bMarks, state.tShift, state.eMarks
    others = state.md.block.ruler.getRules("paragraph")
    before, state.parentType = state.parentType, "paragraph"
    number = first + 1
    while number < state.lineMax:
        position = begins[number] + shifts[number]
        if position >= ends[number]:
            break
        indent = state.sCount[number]
        if 0 <= indent <= state.blkIndent + 3:
            mark = source[position]
            if (mark == "-" or mark == "=") and number < last and indent >= state.blkIndent:
                behind = state.skipSpaces(state.skipCharsStr(position, mark))
                if behind >= ends[number]:
                    _push(state, "heading", "h1" if mark == "=" else "h2", first, number + 1)
                    state.parentType = before
                    return True
            if (
                mark in UNDERLINES
                and number == first + 1
                and _underlines(source, begins[first] + shifts[first], ends[first], position, ends[number])
            ):
                _push(state, "heading", UNDERLINES[mark], first, number + 1)
                state.parentType = before
                return True
            if mark in BLOCK_BEGINS and any(rule(state, number, last, True) for rule in others):
                break
        number += 1
    # Behind a paragraph it stays as it is here: so the rules of markdown-it leave it, and that for lists looks at it.
    _push(state, "paragraph", "p", first, number)
    return True


# Behind what opens a paragraph or heading the rule for lists expects its text and what closes it. Nobody reads these.
_REST = [Token("", "", 0)] * 2


def _push(state: StateBlock, kind: str, tag: str, first: int, last: int) -> None:
    state.line = last
    state.tokens += [Token(f"{kind}_open", tag, 1, map=[first, last], level=state.level), *_REST]


def blocks_of(lines: Lines) -> list[Block]:
    """The blocks of a text in order. Never raises."""
    if len(lines.text) <= MAX_PARSED and len(lines) <= MAX_LINES:
        try:
            return list(_blocks_of_tokens(_parser().parse(lines.text)))
        except (RecursionError, IndexError, ValueError):
            pass  # A defect of the parser on odd input; the plain reading below has no such cases.
    return list(_blocks_of_lines(lines))


def _blocks_of_tokens(tokens: list[Token]) -> Iterator[Block]:
    depth = level = 0
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open", "blockquote_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close", "blockquote_close"):
            depth -= 1
        if token.map is None:
            continue
        first, last = token.map
        match token.type:
            case "heading_open":
                level = int(token.tag[1])
                yield Block(kind=BlockKind.HEADING, first=first, last=last, depth=depth, level=level)
            case "paragraph_open":
                yield Block(kind=BlockKind.PARAGRAPH, first=first, last=last, depth=depth)
            case "fence":
                info = token.info.strip()
                yield Block(kind=BlockKind.FENCE, first=first, last=last, depth=depth, info=info)
            case "code_block":
                yield Block(kind=BlockKind.INDENTED_CODE, first=first, last=last, depth=depth)
            case "html_block":
                yield Block(kind=BlockKind.HTML, first=first, last=last, depth=depth)


def _blocks_of_lines(lines: Lines) -> Iterator[Block]:
    paragraph: int | None = None
    number, count = 0, len(lines)
    while number < count:
        # No marker needs more than this of a line that may be megabytes long.
        line = lines.text[lines.start(number) : min(lines.end(number), lines.start(number) + 400)]
        fence, heading = FENCE.match(line), ATX_HEADING.match(line)
        underline = SETEXT_UNDERLINE.match(line) if paragraph is not None else None
        if (fence or heading or underline or not line.strip()) and paragraph is not None:
            if underline:
                level = 1 if underline["mark"][0] == "=" else 2
                yield Block(kind=BlockKind.HEADING, first=paragraph, last=number + 1, level=level)
            else:
                yield Block(kind=BlockKind.PARAGRAPH, first=paragraph, last=number)
            paragraph = None
        if fence:
            last = _fence_end(lines, number, fence["mark"])
            yield Block(kind=BlockKind.FENCE, first=number, last=last, info=fence["info"].strip())
            number = last
            continue
        if heading:
            yield Block(kind=BlockKind.HEADING, first=number, last=number + 1, level=len(heading["marks"]))
        elif not underline and line.strip() and paragraph is None:
            paragraph = number
        number += 1
    if paragraph is not None:
        yield Block(kind=BlockKind.PARAGRAPH, first=paragraph, last=count)


def _fence_end(lines: Lines, first: int, mark: str) -> int:
    for number in range(first + 1, len(lines)):
        line = lines.text[lines.start(number) : min(lines.end(number), lines.start(number) + 400)].strip()
        if len(line) >= len(mark) and not line.strip(mark[0]):
            return number + 1
    return len(lines)


def code_span(lines: Lines, block: Block) -> tuple[int, int]:
    """(start, end) of the code inside a fence or an indented block, without the fence's own lines."""
    first, last = block.first, block.last
    if block.kind is BlockKind.FENCE:
        first += 1
        if last > first and CLOSING_FENCE.match(lines.line(last - 1)[:400]):
            last -= 1
    start = lines.start(first)
    return start, max(start, lines.end(last - 1) if last > first else start)
