"""Licence texts as people leave them in repositories: wrapped, commented, re-headed, marked up, cut.

Every change is one that leaves the licence what it is. All chance is seeded by the caller.
"""

from __future__ import annotations

import random
import re
import textwrap
from collections.abc import Callable, Sequence

HOLDERS = (
    "Robin Finch", "Finch Labs, Inc.", "The Wren Authors", "Møller & Söhne GmbH", "Heron University",
    "Robin Finch <robin@finch.example>", "Wren Foundation (https://wren.example/)", "知更鸟实验室",
)  # fmt: skip
PROJECTS = ("Robin", "wren-tools", "Heron 2", "libfinch", "Kestrel Chat 7B")
QUOTES = (('"', '"'), ("“", "”"), ("``", "''"), ("'", "'"), ("«", "»"))
BULLETS = ("* ", "- ", "• ", "o ", "+ ")
COMMENTS = (
    ("", "# ", ""),
    ("/*\n", " * ", "\n */"),
    ("", "// ", ""),
    ("", "> ", ""),
    ("", ";; ", ""),
    ("<!--\n", "  ", "\n-->"),
)

HEADING_FILLERS = frozenset(
    "the a of license licence agreement version v public terms and conditions for use text full legalcode".split()
)  # fmt: skip
SENTENCE_END = re.compile(r"(?<=[a-z])\. ")


def plausible(words: Sequence[str], name: str, rng: random.Random) -> str:
    """Prose made of packaged words: heading, paragraphs, sentences with signs between the same words."""
    words = list(words)
    heading = _heading_length(words, name)
    paragraphs = [" ".join(words[:heading]).title()] if heading else []
    position = heading
    while position < len(words):
        length = rng.randint(30, 140)
        paragraphs.append(_paragraph(words[position : position + length], rng))
        position += length
    return "\n\n".join(paragraphs) + "\n"


def _heading_length(words: list[str], name: str) -> int:
    """How many words at the beginning belong to the licence's name; 0 where the text has no heading."""
    own = HEADING_FILLERS | set(re.findall(r"[a-z]+|\d+(?:\.\d+)*", name.lower()))
    length = 0
    while length < min(len(words) // 3, 14) and words[length] in own:
        length += 1
    return length


def _paragraph(words: list[str], rng: random.Random) -> str:
    pieces: list[str] = []
    is_first, left = True, rng.randint(8, 28)
    for word in words:
        if word in ("s", "t") and pieces:
            pieces[-1] += f"'{word}"
            continue
        piece = word.capitalize() if is_first else word
        is_first = False
        left -= 1
        if left == 0:
            sign = rng.choice((".", ".", ",", ",", ";", ":"))
            piece += sign
            is_first, left = sign == ".", rng.randint(8, 28)
        elif rng.random() < 0.01 and len(word) > 4:
            piece = f'"{piece}"'
        elif rng.random() < 0.01:
            piece = f"({piece})"
        pieces.append(piece)
    return " ".join(pieces) + "."


def altered(text: str, name: str, rng: random.Random) -> str:
    """A licence file with this text in it, changed in several ways at once."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n[ \t\r]*\n", text) if part.strip()]
    paragraphs = _copyright(_heading(paragraphs, name, rng), rng)
    if rng.random() < 0.5:
        paragraphs = _cut(paragraphs, rng)
    paragraphs = [_signs(part, rng) for part in paragraphs]
    dress: Callable[[list[str], random.Random], str] = rng.choice(
        (_plain, _plain, _capitals, _commented, _markdown, _html)
    )
    return _blanks(dress(paragraphs, rng), rng)


def _heading(paragraphs: list[str], name: str, rng: random.Random) -> list[str]:
    """Without the heading, or with another one."""
    body = list(paragraphs)
    first = body[0] if body else ""
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)*", first.lower())
    if len(body) > 1 and words and _heading_length([*words, *["x"] * 60], name) == len(words):
        body = body[1:]
    other = rng.choice(
        (
            "",
            "",
            "LICENSE",
            "License",
            "Licence",
            f"License of {rng.choice(PROJECTS)}",
            rng.choice(PROJECTS),
            first,
        )
    )
    return [other, *body] if other and other != body[0] else body


def _copyright(paragraphs: list[str], rng: random.Random) -> list[str]:
    """One to three lines on who holds the copyright, at the top or below the heading."""
    year = rng.randint(1996, 2025)
    line = rng.choice(
        (
            "Copyright (c) {year} {holder}",
            "Copyright {year} {holder}. All rights reserved.",
            "© {year}-{later} {holder}",
            "(c) {year}, {later} {holder}",
            "Copyright (C) {year} {holder}\nCopyright (C) {later} {other}",
            "COPYRIGHT (C) {year} {holder}\nAll Rights Reserved.",
            "Portions Copyright (c) {year} {holder}",
            "Copyright (c) {holder}. All rights reserved.",
        )
    )
    lines = line.format(
        year=year, later=year + rng.randint(1, 9), holder=rng.choice(HOLDERS), other=rng.choice(HOLDERS)
    )
    place = rng.randint(0, 1) if paragraphs and len(paragraphs[0]) < 80 else 0
    return [*paragraphs[:place], lines, *paragraphs[place:]]


def _cut(paragraphs: list[str], rng: random.Random) -> list[str]:
    """Without up to three in a hundred of the words, at the end."""
    total = sum(len(part.split()) for part in paragraphs)
    left = int(total * rng.uniform(0.0, 0.03))
    body = list(paragraphs)
    while left > 0 and body:
        words = body[-1].split(" ")
        if len(words) > left:
            body[-1] = " ".join(words[: len(words) - left])
            break
        left -= len(words)
        body.pop()
    return body


def _signs(text: str, rng: random.Random) -> str:
    """Other quotation marks, dashes, apostrophes and numbering."""
    opening, closing = rng.choice(QUOTES)
    text = re.sub(r'"([^"\n]*)"', lambda match: f"{opening}{match[1]}{closing}", text)
    if rng.random() < 0.5:
        text = text.replace("'", "’")
    if rng.random() < 0.3:
        text = text.replace(" - ", rng.choice((" — ", " – ", " -- ")))
    if rng.random() < 0.3:
        text = re.sub(r"^([*•-]|o(?= )) ", lambda _: rng.choice(BULLETS), text)
    if rng.random() < 0.2:
        text = re.sub(
            r"^\(?(\w{1,2})[.)] ",
            lambda match: rng.choice((f"({match[1]}) ", f"{match[1]}) ", f"{match[1]}. ")),
            text,
        )
    return text


def _plain(paragraphs: list[str], rng: random.Random) -> str:
    return "\n\n".join(
        _wrapped(part, rng.choice((0, 50, 72, 79, 100)), rng.choice(("", "", "   "))) for part in paragraphs
    )


def _wrapped(text: str, width: int, indent: str = "") -> str:
    """Wrapped to a width in characters; 0 leaves the paragraph on one line. Line ends in it stay."""
    if not width:
        return indent + text
    return "\n".join(
        textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        for line in text.split("\n")
    )


def _capitals(paragraphs: list[str], rng: random.Random) -> str:
    """Headings, single paragraphs, or everything in capitals or small letters."""
    way = rng.randrange(3)
    if way == 0:
        paragraphs = [part.upper() if len(part) < 60 or rng.random() < 0.2 else part for part in paragraphs]
    elif way == 1:
        paragraphs = [part.upper() for part in paragraphs]
    else:
        paragraphs = [part.lower() for part in paragraphs]
    return _plain(paragraphs, rng)


def _commented(paragraphs: list[str], rng: random.Random) -> str:
    before, sign, after = rng.choice(COMMENTS)
    lines = _plain(paragraphs, rng).split("\n")
    return before + "\n".join((sign + line).rstrip() for line in lines) + after


def _markdown(paragraphs: list[str], rng: random.Random) -> str:
    parts = []
    for number, part in enumerate(paragraphs):
        if len(part) < 60 and number < 3 and "opyright" not in part:
            part = rng.choice((f"# {part}", f"**{part}**", f"{part}\n{'=' * len(part)}", f"## {part}"))
        else:
            part = re.sub(
                r"\b([A-Z][a-z]{4,})\b", lambda match: _often(rng, match[1], "**{}**", "_{}_", "`{}`"), part
            )
            part = _wrapped(part, rng.choice((0, 80)))
        parts.append(part)
    return "\n\n".join(parts)


def _often(rng: random.Random, word: str, *forms: str) -> str:
    return rng.choice(forms).format(word) if rng.random() < 0.1 else word


def _html(paragraphs: list[str], rng: random.Random) -> str:
    """A file of plain text in which somebody left tags and entities."""
    parts = []
    for part in paragraphs:
        part = (
            part.replace("&", "&amp;").replace("“", "&ldquo;").replace("”", "&rdquo;").replace('"', "&quot;")
        )
        part = re.sub(
            r"\b([A-Z][a-z]{4,})\b", lambda match: _often(rng, match[1], "<b>{}</b>", "<em>{}</em>"), part
        )
        parts.append(f"<p>{part.replace(chr(10), '<br/>' + chr(10))}</p>")
    return "\n".join(_wrapped(part, rng.choice((0, 90))) for part in parts)


def _blanks(text: str, rng: random.Random) -> str:
    """Line ends, trailing blanks, tabs, wide gaps, a byte order mark."""
    if rng.random() < 0.3:
        text = SENTENCE_END.sub(".  ", text)
    if rng.random() < 0.2:
        text = text.replace("\n\n", "\n \t\n\n")
    if rng.random() < 0.2:
        text = re.sub(r"(?<=\w) (?=\w)", lambda _: "\u00a0" if rng.random() < 0.02 else " ", text)
    if rng.random() < 0.2:
        text = text.replace("\n\n", "\n\f\n", 1)
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if rng.random() < 0.1 else "") + text + rng.choice(("", "\n", "\n\n\n"))
