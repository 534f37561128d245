"""The visible text of a page as Markdown: what a reader sees, in a form that one parser reads.

Headings become `#` lines, links `[text](absolute address)`, list entries `- `, table rows `| a | b |`,
<pre> a fence; scripts, styles, navigation and hidden parts are left out. The title is the first heading.
The same page with the same address gives the same text. Pages of any size and nesting are rendered in
bounded time: of a page with more than MAX_TAGS tags only the beginning is rendered.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, Declaration, Doctype, NavigableString, ProcessingInstruction
from bs4.exceptions import ParserRejectedMarkup

MAX_CHARACTERS = 4_000_000
MAX_TAGS = 25_000

_SKIPPED = frozenset(
    "script style noscript template svg math nav head select option textarea object embed audio video canvas map".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form "
    "header hgroup hr html li main ol p section summary table tbody thead tfoot caption ul br".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSEEN = (Comment, Declaration, Doctype, ProcessingInstruction)

# Content that no reader sees and that can hold half of a page's bytes; unclosed ones are left to the parser.
UNSEEN_ELEMENT = re.compile(r"<(script|style|svg|noscript|template)\b[^<>]{0,2000}>", re.IGNORECASE)
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Plain text at the beginning of a line that Markdown would take for a mark.
LOOKS_LIKE_MARK = re.compile(r"^(?:\#{1,6}(?=\s|$)|`{3}|~{3}|-{3,}$|={3,}$|[-*+](?=\s)|>(?=\s))", re.VERBOSE)
UNSAFE_IN_ADDRESS = {
    " ": "%20",
    "(": "%28",
    ")": "%29",
    "<": "%3C",
    ">": "%3E",
    "\\": "%5C",
    "\n": "",
    "\r": "",
    "\t": "",
}


def render_html(page: str, url: str = "", left_out: Callable[[Tag], bool] | None = None) -> str:
    """The visible text of a page as Markdown; links are made absolute with the page's address.

    `left_out` names further elements that are not rendered.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Beautiful Soup guesses that short pages are file names.
        try:
            soup = BeautifulSoup(_bounded(page), "lxml")
        except (ParserRejectedMarkup, RecursionError, AssertionError, ValueError):
            return ""
    renderer = _Renderer(base=_base(soup, url), layouts=_layout_tables(soup))
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    if title:
        renderer.add("paragraph", "# " + " ".join(title.split()))
    for node, is_opening in _walk(soup, renderer, left_out):
        if not is_opening:
            renderer.close(node)
    renderer.flush()
    return renderer.result()


def _bounded(page: str) -> str:
    """The page without unseen elements, cut before the tag that is one too many."""
    page = page[:MAX_CHARACTERS].replace("\x00", "")
    lowered = page.lower()
    if len(lowered) != len(page):
        lowered = page
    parts, reached = [], 0
    unclosed: set[str] = set()
    for match in UNSEEN_ELEMENT.finditer(page):
        name = match[1].lower()
        if match.start() < reached or name in unclosed:
            continue
        close = lowered.find(f"</{name}", match.end())
        if close < 0:
            unclosed.add(name)
            continue
        parts.append(page[reached : match.start()])
        reached = (page.find(">", close) + 1) or len(page)
    page = "".join([*parts, page[reached:]])
    position = -1
    for _ in range(MAX_TAGS + 1):
        position = page.find("<", position + 1)
        if position < 0:
            return page
    return page[:position]


def _base(soup: BeautifulSoup, url: str) -> str:
    tag = soup.find("base", href=True)
    return _absolute(url, str(tag["href"])) or url if isinstance(tag, Tag) else url


def _absolute(base: str, href: str) -> str | None:
    """The absolute http(s) address, fit to stand in brackets; None for anything else."""
    href = href.strip()
    if not href or href.startswith("#"):
        return None
    try:
        address = urljoin(base, href)
        scheme = urlsplit(address).scheme
    except ValueError:
        return None
    if scheme not in ("http", "https") or len(address) > 2000:
        return None
    return "".join(UNSAFE_IN_ADDRESS.get(character, character) for character in address)


def _layout_tables(soup: BeautifulSoup) -> set[int]:
    """Identities of tables that arrange a page: they hold headings, lists, code or tables."""
    found: set[int] = set()
    opened: list[int] = []
    stack: list[tuple[Tag, bool]] = [(soup, True)]
    while stack:
        tag, is_opening = stack.pop()
        if not is_opening:
            opened.pop()
            continue
        if opened and (tag.name in _HEADINGS or tag.name in ("table", "pre", "ul", "ol")):
            found.add(opened[-1])
        if tag.name == "table":
            opened.append(id(tag))
            stack.append((tag, False))
        stack.extend((child, True) for child in reversed(tag.contents) if isinstance(child, Tag))
    return found


def _walk(
    soup: BeautifulSoup, renderer: _Renderer, left_out: Callable[[Tag], bool] | None
) -> Iterator[tuple[Tag, bool]]:
    """(tag, False) when a tag is left; texts and openings go to the renderer. Without recursion."""
    stack: list[tuple[Tag | NavigableString, bool]] = [(soup, True)]
    while stack:
        node, is_opening = stack.pop()
        if not isinstance(node, Tag):
            if not isinstance(node, _UNSEEN):
                renderer.text(str(node))
            continue
        if not is_opening:
            yield node, False
            continue
        if _is_unseen(node) or (left_out is not None and left_out(node)):
            continue
        renderer.open(node)
        stack.append((node, False))
        stack.extend(
            (child, True) for child in reversed(node.contents) if isinstance(child, Tag | NavigableString)
        )


def _is_unseen(tag: Tag) -> bool:
    if tag.name in _SKIPPED or tag.get("role") == "navigation" or tag.has_attr("hidden"):
        return True
    style = tag.get("style")
    return isinstance(style, str) and bool(HIDDEN_STYLE.search(style))


@dataclass(slots=True)
class _Wrapper:
    """An open link, code or bold element: where its words begin in the line being built."""

    tag: Tag
    start: int


@dataclass(slots=True)
class _Renderer:
    base: str
    layouts: set[int]
    _blocks: list[tuple[str, str]] = field(default_factory=list)
    _line: list[str] = field(default_factory=list)
    _wrappers: list[_Wrapper] = field(default_factory=list)
    _lists: int = 0
    _mark: str = ""
    _pre: Tag | None = None
    _table: Tag | None = None
    _rows: list[list[str]] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        """A finished block."""
        self._blocks.append((kind, text))

    def text(self, text: str) -> None:
        """Words of a text node."""
        self._line.append(text)

    def result(self) -> str:
        """The blocks, list entries and table rows below each other, everything else apart."""
        parts: list[str] = []
        before = ""
        for kind, text in self._blocks:
            if parts:
                parts.append("\n" if kind == before and kind in ("entry", "row") else "\n\n")
            parts.append(text)
            before = kind
        return "".join([*parts, "\n"]) if parts else ""

    def flush(self) -> None:
        """End the line being built: it becomes a block of its own."""
        words = " ".join("".join(self._line).split())
        self._line.clear()
        for wrapper in self._wrappers:
            wrapper.start = 0
        if words.strip("*` "):
            if self._mark:
                kind = "entry" if self._mark.lstrip().startswith("-") else "paragraph"
                self.add(kind, self._mark + words)
            else:
                self.add("paragraph", "\\" + words if LOOKS_LIKE_MARK.match(words) else words)
            if self._mark.lstrip().startswith("-"):
                self._mark = " " * len(self._mark)
        if self._mark.startswith("#"):
            self._mark = ""

    @property
    def _is_inline(self) -> bool:
        """Within a link or a cell every block is part of one line."""
        return self._table is not None or any(wrapper.tag.name == "a" for wrapper in self._wrappers)

    def open(self, tag: Tag) -> None:
        """Take note that an element begins."""
        name = tag.name
        if self._pre is not None:
            if name == "br":
                self._line.append("\n")
        elif name == "img":
            self._image(tag)
        elif name == "iframe":
            address = _absolute(self.base, str(tag.get("src") or ""))
            if address:
                self._line.append(f" [{_label(str(tag.get('title') or 'embedded page'))}]({address}) ")
        elif name in ("a", "code", "b", "strong") and len(self._wrappers) < 20:
            self._wrappers.append(_Wrapper(tag, len(self._line)))
        elif self._table is not None:
            self._open_in_table(name)
        elif name == "table" and id(tag) not in self.layouts and not self._is_inline:
            self.flush()
            self._table, self._rows = tag, []
        elif self._is_inline:
            if name in _BLOCKS or name in _HEADINGS:
                self._line.append(" ")
        else:
            self._open_block(tag)

    def _open_in_table(self, name: str) -> None:
        if name == "tr":
            self._rows.append([])
            self._line.clear()
        elif name in ("td", "th"):
            self._line.clear()
            for wrapper in self._wrappers:
                wrapper.start = 0
        else:
            self._line.append(" " if name in _BLOCKS or name in _HEADINGS else "")

    def _open_block(self, tag: Tag) -> None:
        name = tag.name
        if name not in _BLOCKS and name not in _HEADINGS and name not in ("pre", "tr", "td", "th"):
            return
        self.flush()
        if name in _HEADINGS:
            self._mark = "#" * _HEADINGS[name] + " "
        elif name in ("ul", "ol"):
            self._lists += 1
        elif name in ("li", "dd"):
            self._mark = "  " * min(max(self._lists - 1, 0), 6) + "- "
        elif name == "pre":
            self._pre = tag

    def close(self, tag: Tag) -> None:
        """Take note that an element ends."""
        name = tag.name
        if self._wrappers and self._wrappers[-1].tag is tag:
            self._wrap(self._wrappers.pop())
        elif self._pre is not None:
            if tag is self._pre:
                self._end_code()
        elif self._table is not None:
            self._close_in_table(tag)
        elif self._is_inline:
            if name in _BLOCKS or name in _HEADINGS:
                self._line.append(" ")
        elif name in _BLOCKS or name in _HEADINGS or name in ("tr", "td", "th"):
            self.flush()
            if name in ("ul", "ol"):
                self._lists = max(self._lists - 1, 0)
            if name in ("li", "dd", "ul", "ol", *_HEADINGS):
                self._mark = ""

    def _close_in_table(self, tag: Tag) -> None:
        if tag is self._table:
            self._end_table()
        elif tag.name in ("td", "th"):
            if self._rows:
                self._rows[-1].append(" ".join("".join(self._line).split()).replace("|", "\\|"))
            self._line.clear()
        elif tag.name == "caption":
            caption = " ".join("".join(self._line).split())
            self._line.clear()
            if caption:
                self.add("paragraph", caption)
        elif tag.name in _BLOCKS:
            self._line.append(" ")

    def _end_table(self) -> None:
        self._table = None
        self._line.clear()
        rows = [row for row in self._rows if any(row)]
        if max((len(row) for row in rows), default=0) < 2:
            for row in rows:
                self.add("paragraph", "\\" + row[0] if LOOKS_LIKE_MARK.match(row[0]) else row[0])
            return
        for number, row in enumerate(rows):
            self.add("row", "| " + " | ".join(row) + " |")
            if number == 0:
                self.add("row", "|" + " --- |" * len(row))

    def _end_code(self) -> None:
        self._pre = None
        code = "".join(self._line).strip("\r\n").rstrip()
        self._line.clear()
        if code.strip():
            longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
            fence = "`" * (longest + 1)
            self.add("code", f"{fence}\n{code}\n{fence}")

    def _image(self, tag: Tag) -> None:
        address = _absolute(self.base, str(tag.get("src") or ""))
        label = _label(str(tag.get("alt") or ""))
        if address and label:
            self._line.append(f"![{label}]({address})")

    def _wrap(self, wrapper: _Wrapper) -> None:
        inner = "".join(self._line[wrapper.start :])
        words = " ".join(inner.split())
        if not words:
            return
        before, after = " " * (inner[0].isspace()), " " * (inner[-1].isspace())
        name = wrapper.tag.name
        if name == "a":
            address = _absolute(self.base, str(wrapper.tag.get("href") or ""))
            marked = f"[{_label(words)}]({address})" if address else words
        elif name == "code":
            marked = words if "`" in words else f"`{words}`"
        else:
            marked = words if "**" in words else f"**{words}**"
        self._line[wrapper.start :] = [before + marked + after]


def _label(text: str) -> str:
    """Words that can stand between square brackets; an image among them stays an image."""
    words = " ".join(text.split())[:1000]
    return words if "](" in words else words.replace("[", "(").replace("]", ")")
