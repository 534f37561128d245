"""Links, images and code spans of a Markdown text with exact offsets, in time linear in its length."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

MAX_LINKS = 5_000
MAX_TRIED = 20_000
MAX_OPEN = 200
MAX_LINK_TEXT = 2_000

BLANK_LINE = re.compile(r"(?:\r\n|\r|\n)[ \t]*(?=\r|\n)")
BACKTICKS = re.compile(r"`+")
BRACKET = re.compile(r"\\.|\[|\]|(?:\r\n|\r|\n)[ \t]*(?=\r|\n)")

# ( <address> "title" ) or ( address_(with_one_level) "title" )
DESTINATION = re.compile(
    r"""
    \( [ \t]* (?:\r?\n[ \t]*)?
    (?: < (?P<angled>[^<>\r\n]{0,2000}) >
      | (?P<bare> (?: [^\s()\\] | \\. | \( (?:[^\s()\\]|\\.){0,300} \) ){0,2000} )
    )
    (?: \s{1,20} (?: "[^"]{0,500}" | '[^']{0,500}' | \([^()]{0,500}\) ) )?
    \s{0,20} \)
    """,
    re.VERBOSE,
)
REFERENCE = re.compile(
    r"""
    (?:^|(?<=\r)) [ ]{0,3} \[ (?P<label>[^\[\]\r\n]{1,300}) \] : [ \t]*
    (?: <(?P<angled>[^<>\r\n]{1,2000})> | (?P<bare>\S{1,2000}) )
    (?: [ \t]+ (?: "[^"\r\n]{0,500}" | '[^'\r\n]{0,500}' | \([^()\r\n]{0,500}\) ) )? [ \t]* (?=[\r\n]|\Z)
    """,
    re.VERBOSE | re.MULTILINE,
)
ANCHOR_OR_IMAGE = re.compile(r"<(?P<tag>a|img)\b(?P<attributes>[^<>]{0,3000})>", re.IGNORECASE)
ATTRIBUTE = re.compile(
    r"""
    (?<![\w-]) (?P<name>href|src|alt) \s{0,20} = \s{0,20}
    (?: "(?P<double>[^"]{0,2500})" | '(?P<single>[^']{0,2500})' | (?P<bare>[^\s"'<>]{1,2500}) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
AUTOLINK = re.compile(r"<(?P<url>https?://[^\s<>]{1,2000})>", re.IGNORECASE)
# An address in running text; Chinese punctuation ends it. Not what stands inside a longer word.
BARE_URL = re.compile(
    r"""
    (?<![A-Za-z0-9_/]) https?:// [^\s<>"`|\\\[\]{}\u3000-\u303f\uff00-\uffef“”‘’]{1,2000}
    """,
    re.VERBOSE | re.IGNORECASE,
)
BACKSLASHED = re.compile(r"\\([!-/:-@\[-`{-~])")

IMAGE_MARK = re.compile(r"!\[([^\[\]]{0,500})\]\([^()\s]{0,2000}(?:\s[^()]{0,300})?\)")
LINK_MARK = re.compile(r"\[([^\[\]]{0,1000})\](?:\([^()\s]{0,2000}(?:\s[^()]{0,300})?\)|\[[^\[\]]{0,300}\])")
HTML_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,3000}>")
EMPHASIS = re.compile(r"(?<!\\)(\*{1,3}|~~)|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)")
ANCHOR_NAME = re.compile(r"\{\#[\w-]{1,100}\}$", re.VERBOSE)
# Without any of these characters a text has no marks.
MARK = re.compile(r"[\[<*~_`\\&{]")


class RawLink(NamedTuple):
    """A link before it knows its section: text[start:end] is the whole construct."""

    start: int
    end: int
    url: str
    text: str
    is_image: bool
    # The part of the construct that a reader does not see: (start, end) of address and title.
    hidden: tuple[int, int]


def plain(text: str) -> str:
    """Inline Markdown and HTML as a reader sees it: no marks, no addresses, images gone, one line."""
    text = text[:MAX_LINK_TEXT]
    if not MARK.search(text):
        return " ".join(text.split())
    text = IMAGE_MARK.sub(" ", text)
    text = LINK_MARK.sub(r"\1", text)
    text = HTML_TAG.sub(" ", text)
    text = EMPHASIS.sub("", text.replace("`", ""))
    text = BACKSLASHED.sub(r"\1", unescape(ANCHOR_NAME.sub("", text.rstrip())))
    return " ".join(text.split())


def _label_of_images(text: str) -> str:
    """The link's text, or, where it holds only images, what they say of themselves."""
    text = text[:MAX_LINK_TEXT]
    if "![" not in text and "<" not in text:
        return plain(text)
    alts = [alt for alt in IMAGE_MARK.findall(text) if alt]
    for tag in ANCHOR_OR_IMAGE.finditer(text):
        alt = _attributes(tag["attributes"]).get("alt")
        if alt:
            alts.append(alt)
    return plain(text) or plain(" ".join(alts))


def code_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of inline code with its backticks; a span ends within its paragraph."""
    spans: list[tuple[int, int]] = []
    runs = [(match.start(), match.end()) for match in BACKTICKS.finditer(text)]
    if not runs:
        return spans
    edges = [match.start() for match in BLANK_LINE.finditer(text)]
    by_length: dict[int, list[int]] = {}
    for start, end in runs:
        by_length.setdefault(end - start, []).append(start)
    reached = 0
    for start, end in runs:
        if start < reached:
            continue
        same = by_length[end - start]
        following = bisect_right(same, start)
        edge = bisect_right(edges, start)
        limit = edges[edge] if edge < len(edges) else len(text)
        if following < len(same) and same[following] < limit:
            reached = same[following] + (end - start)
            spans.append((start, reached))
    return spans


def references(text: str) -> tuple[dict[str, str], list[tuple[int, int]]]:
    """Link reference definitions: addresses by label, and where the definitions stand."""
    found: dict[str, str] = {}
    spans: list[tuple[int, int]] = []
    if "]:" not in text:
        return found, spans
    for match in REFERENCE.finditer(text):
        label = " ".join(match["label"].casefold().split())
        found.setdefault(label, match["angled"] or match["bare"])
        spans.append(match.span())
    return found, spans


def raw_links(text: str) -> list[RawLink]:
    """Every link and image of a text whose code and comments were blanked, in order. Never raises."""
    labels, definitions = references(text)
    defined = _Spans(definitions)
    found = [link for link in _bracketed(text, labels) if not defined.holds(link.start)]
    found += _html(text)
    covered = _Spans([(link.start, link.end) for link in found] + definitions)
    for match in AUTOLINK.finditer(text):
        if not covered.holds(match.start()):
            found.append(_link(match.start(), match.end(), match["url"], match["url"], False, match.span()))
    covered = _Spans([(link.start, link.end) for link in found] + definitions)
    for match in _bare_urls(text):
        if not covered.holds(match.start()):
            url = trimmed_url(match.group())
            end = match.start() + len(url)
            if url.partition("://")[2]:
                found.append(_link(match.start(), end, url, url, False, (match.start(), end)))
    return sorted(found)[:MAX_LINKS]


def _bare_urls(text: str) -> Iterator[re.Match[str]]:
    """What BARE_URL finds, tried only where an address can begin."""
    reached = colon = 0
    while (colon := text.find("://", colon)) >= 0:
        for start in (colon - len("https"), colon - len("http")):
            if start >= reached and (match := BARE_URL.match(text, start)):
                yield match
                reached = match.end()
                break
        colon += 3


def trimmed_url(url: str) -> str:
    """An address from running text without the sentence's punctuation and unpaired brackets."""
    while url:
        last = url[-1]
        if last in ".,;:!?*_'\"~$&" or (last == ")" and url.count(")") > url.count("(")):
            url = url[:-1]
        else:
            break
    return url


def _link(start: int, end: int, url: str, text: str, is_image: bool, hidden: tuple[int, int]) -> RawLink:
    return RawLink(start, end, unescape(BACKSLASHED.sub(r"\1", url.strip())), text, is_image, hidden)


def _bracketed(text: str, labels: dict[str, str]) -> Iterator[RawLink]:
    pairs = _bracket_pairs(text)
    closing = {opened: closed for closed, opened in pairs}
    tried = 0
    labels_used: set[int] = set()
    for closed, opened in pairs:
        if opened in labels_used:
            continue
        after = text[closed + 1 : closed + 2]
        is_image = opened > 0 and text[opened - 1] == "!"
        start = opened - 1 if is_image else opened
        inner = text[opened + 1 : min(closed, opened + 1 + MAX_LINK_TEXT)]
        if after == "(":
            tried += 1
            match = DESTINATION.match(text, closed + 1) if tried <= MAX_TRIED else None
            if match:
                url = match["angled"] if match["angled"] is not None else match["bare"]
                yield _link(start, match.end(), url, _text(inner, is_image), is_image, (closed, match.end()))
                continue
        label_open, label_close = (closed + 1, closing.get(closed + 1)) if after == "[" else (opened, closed)
        if label_close is None or label_close - label_open > 400:
            continue
        label = text[label_open + 1 : label_close] if label_close - label_open > 1 else inner
        found = labels.get(" ".join(label.casefold().split()))
        if found is not None:
            labels_used.add(label_open)
            end = max(closed, label_close) + 1
            yield _link(start, end, found, _text(inner, is_image), is_image, (closed, end))


def _text(inner: str, is_image: bool) -> str:
    return plain(inner) if is_image else _label_of_images(inner)


def _bracket_pairs(text: str) -> list[tuple[int, int]]:
    """(closing, opening) positions of brackets that belong together within a paragraph, by closing."""
    pairs, opened = [], []
    for match in BRACKET.finditer(text):
        mark = match.group()
        if mark == "[":
            opened.append(match.start())
            if len(opened) > MAX_OPEN:
                opened.clear()
        elif mark == "]":
            if opened:
                pairs.append((match.start(), opened.pop()))
        elif mark[0] != "\\":
            opened.clear()
    return pairs


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in ATTRIBUTE.finditer(text):
        value = match["double"] if match["double"] is not None else match["single"] or match["bare"] or ""
        found.setdefault(match["name"].lower(), unescape(value))
    return found


def _html(text: str) -> Iterator[RawLink]:
    lowered = text.lower() if "<" in text else ""
    if len(lowered) != len(text):
        # Lower-casing lengthens a few letters (İ); the offsets then do not fit.
        lowered = text
    for tried, match in enumerate(ANCHOR_OR_IMAGE.finditer(text)):
        if tried >= MAX_TRIED:
            return
        values = _attributes(match["attributes"])
        if match["tag"].lower() == "img":
            if "src" in values:
                yield _link(*match.span(), values["src"], plain(values.get("alt", "")), True, match.span())
        elif "href" in values:
            close = lowered.find("</a", match.end(), match.end() + MAX_LINK_TEXT)
            end = match.end() if close < 0 else text.find(">", close, close + 10) + 1 or close
            inner = text[match.end() : close] if close >= 0 else ""
            yield _link(match.start(), end, values["href"], _label_of_images(inner), False, match.span())


class _Spans:
    """A set of ranges that answers whether an offset lies in one of them."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def holds(self, offset: int) -> bool:
        """Does the offset lie in one of the ranges?"""
        index = bisect_left(self._starts, offset + 1) - 1
        return index >= 0 and offset < self._ends[index]
