"""READMEs and cards as other authors write them: headings, order and noise changed, the meaning kept.

Every alteration takes the body of a document (without front matter) and gives another. Code, comments and
preformatted text stay as they are. Nothing is left to chance: what turns, turns by a digest of the text.
"""

from __future__ import annotations

import itertools
import re
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path

import yaml

Alteration = Callable[[str], str]
Retold = Callable[[int, str], str | None]
"""A heading's level and words to the lines that stand for it; None leaves it."""

WORDS = yaml.safe_load(Path(__file__).with_name("altered_words.yaml").read_text("utf-8"))
HEADINGS = [(re.compile(entry["what"], re.IGNORECASE), entry["others"]) for entry in WORDS["headings"]]
SENTENCES = [(re.compile(entry["what"]), entry["others"]) for entry in WORDS["sentences"]]

FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})[ \t]*([\w+-]*)")
HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*\r?")
PREFORMATTED = re.compile(r"<pre\b(?!.*</pre)", re.IGNORECASE)
"""What begins on a line and is not over on it."""
MARKED = re.compile(r"[*`<&]|\]\(")
"""What means something else in capitals, or between tags."""
MADE_UP_NAME = "Zelkova"

BADGES = """\
[![Build](https://badges.example.org/build-passing.svg)](https://ci.example.org/build) ![visitors](https://badges.example.org/visitors)
[![Forum](https://badges.example.org/forum.svg)](https://forum.example.org/) [![Stars](https://badges.example.org/stars.svg)](https://example.org/stars)

"""
HAPPENINGS = (
    "We moved our weekly meeting to Thursday.",
    "Thanks to everybody who came to the meet-up by the lake!",
    "Fixed a typo in the logo.",
    "We reached 1,000 stars, thank you all!",
    "The team welcomes two new members.",
    "We were mentioned in a podcast about cooking.",
    "The mailing list has moved.",
    "Happy new year!",
)
NEWS = "## News\n\n" + "".join(
    f"- **[2023/{month:02}/05]** {text}\n" for month, text in enumerate(HAPPENINGS, 1)
)
CONTRIBUTORS = (
    "## Contributors\n\nThanks go to these wonderful people:\n\n"
    + "".join(f"- [@person{number}](https://people.example.org/person{number})\n" for number in range(40))
    + '\n<a href="https://people.example.org/graphs"><img src="https://people.example.org/wall.png" /></a>\n'
)


def lines_of(text: str) -> list[tuple[str, bool]]:
    """The lines, each with whether it is code, of a comment or preformatted."""
    found: list[tuple[str, bool]] = []
    fence = ""
    comment = preformatted = False
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            found.append((line, True))
            if mark and mark[1].startswith(fence) and not line.strip().strip("`~"):
                fence = ""
            continue
        if mark and "`" not in line.strip().lstrip("`"):
            fence = mark[1]
            found.append((line, True))
            continue
        comment = comment or ("<!--" in line and "-->" not in line)
        preformatted = preformatted or bool(PREFORMATTED.search(line))
        found.append((line, comment or preformatted))
        comment = comment and "-->" not in line
        preformatted = preformatted and "</pre" not in line.lower()
    return found


def headings_of(text: str) -> list[tuple[int, int, str]]:
    """Line number, level and words of every heading that begins with #."""
    matches = (
        (number, None if code else HEADING.fullmatch(line))
        for number, (line, code) in enumerate(lines_of(text))
    )
    return [(number, len(match[1]), match[2]) for number, match in matches if match]


def with_headings(retold: Retold) -> Alteration:
    """Every heading told as it says."""

    def altered(text: str) -> str:
        lines = text.split("\n")
        for number, level, words in headings_of(text):
            told = retold(level, words)
            lines[number] = lines[number] if told is None else told
        return "\n".join(lines)

    return altered


def turn_of(text: str) -> int:
    """A number that stands for a text, the same in every run."""
    return zlib.crc32(text.encode("utf-8", "replace"))


# Forms of headings


def numbered_capitals(text: str) -> str:
    """`## 3. USAGE`; the title has no number."""
    number = 0

    def retold(level: int, words: str) -> str:
        nonlocal number
        number += level > 1
        shown = words if MARKED.search(words) else words.upper()
        return f"{'#' * level} {shown}" if level == 1 else f"{'#' * level} {number}. {shown}"

    return with_headings(retold)(text)


def underlined_or_tagged(level: int, words: str) -> str | None:
    """The two highest levels underlined or as tags of HTML, by turns; lower ones, which have no line, as tags."""
    tagged = None if MARKED.search(words) else f"\n<h{level}>{words}</h{level}>\n"
    if level > 2 or (tagged and turn_of(words) % 2):
        return tagged
    return f"\n{words}\n{'=-'[level - 1] * max(3, len(words))}\n"


def decorated(level: int, words: str) -> str:
    """With a picture, in bold, with a colon and closed: what one maker or another does to each heading."""
    shown = words if words.endswith((":", "?", "!")) else f"{words}:"
    return f"{'#' * level} 🚀 {shown if '*' in words else f'**{shown}**'} {'#' * level}"


def leaves_in_bold(text: str) -> str:
    """The lowest headings, well below the top, as a bold line with a colon. Higher ones would lose their rank."""
    lines, found = text.split("\n"), headings_of(text)
    top = min((level for _, level, _ in found), default=1)
    following = [*(level for _, level, _ in found[1:]), 0]
    for (number, level, words), after in zip(found, following, strict=False):
        if level >= 3 and level > top + 1 and after <= level and "*" not in words:
            lines[number] = f"\n**{words.rstrip(':')}:**\n"
    return "\n".join(lines)


# Other words


def plain_words(words: str) -> str:
    """A heading without marks, links, tags and number, and without what closes it."""
    words = re.sub(r"<[^>]*>|[*_`]", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", words))
    return re.sub(r"^[^\w]+|[\s:.!]+$", "", re.sub(r"^\s*[\d.]+\s+", "", words)).strip()


def other_headings(variant: int) -> Alteration:
    """Headings of the table in one of the other words; which, turns with the heading and the document."""

    def altered(text: str) -> str:
        def retold(level: int, words: str) -> str | None:
            plain = plain_words(words)
            for pattern, others in HEADINGS:
                if pattern.fullmatch(plain):
                    turn = turn_of(start + plain) + variant
                    return f"{'#' * level} {others[turn % len(others)]}"
            return None

        start = text[:200]
        return with_headings(retold)(text)

    return altered


def other_sentences(variant: int) -> Alteration:
    """Phrases of the table in the other words of one column."""

    def altered(text: str) -> str:
        for pattern, others in SENTENCES:
            text = pattern.sub(others[variant], text)
        return text

    return altered


def other_title(text: str) -> str:
    """The first heading as a name that nobody has."""
    lines = text.split("\n")
    for number, level, _ in headings_of(text)[:1]:
        lines[number] = f"{'#' * level} {MADE_UP_NAME}"
    return "\n".join(lines)


# Order


def sections_reversed(text: str) -> str:
    """The highest level that has three sections or more, its sections in reverse order below each parent."""
    found, lines = headings_of(text), text.split("\n")
    levels = [level for _, level, _ in found]
    level = next((level for level in range(1, 7) if levels.count(level) >= 3), 0)
    parents = [0, *(number for number, other, _ in found if other < level), len(lines)]
    told: list[str] = []
    for start, end in itertools.pairwise(parents):
        own = [number for number, other, _ in found if other == level and start <= number < end]
        told += lines[start : own[0] if own else end]
        for first, last in reversed(list(zip(own, [*own[1:], end], strict=False))):
            section = lines[first:last]
            # What came last in the file has no empty line behind it.
            told += section if not section[-1].strip() else [*section, ""]
    return "\n".join(told)


# Noise


def surrounded(text: str) -> str:
    """Badges above, a table of contents above the second heading, news and contributors at the end."""
    found, lines = headings_of(text), text.split("\n")
    if len(found) >= 3:
        entries = []
        for _, level, words in found:
            shown = re.sub(r"[\]\[*`]|\([^)]*\)|<[^>]*>", "", words)
            anchor = re.sub(r"[^a-z0-9 -]", "", words.lower()).replace(" ", "-")
            entries.append(f"{'  ' * (level - 1)}- [{shown}](#{anchor})")
        # Not below the first: what introduces the title would then belong to the contents.
        second = found[1][0]
        lines[second:second] = ["", "## Table of Contents", "", *entries, ""]
    return f"{BADGES}{chr(10).join(lines).rstrip()}\n\n{NEWS}\n{CONTRIBUTORS}"


def reflowed(text: str) -> str:
    """Long lines wrapped hard, some spaces that do not break, line ends of another system."""
    lines: list[str] = []
    for line, code in lines_of(text.replace("\r\n", "\n")):
        prose = not code and not re.match(r"\s*(?:[|#>*+=-]|\d+\.)|\s{2,}", line)
        if not prose or re.search(r"[<|`]|\]\(|http", line):
            lines.append(line)
            continue
        line = re.sub(r"(?<=\w) (?=\w)", _some_do_not_break, line)
        lines += textwrap.wrap(line, 60, break_long_words=False, break_on_hyphens=False) or [line]
    return "\r\n".join(lines)


def _some_do_not_break(space: re.Match[str]) -> str:
    return "\u00a0" if space.start() % 3 == 0 else " "


# Another markup


def restructured(text: str) -> str:
    """Headings, code, links and pictures as reStructuredText."""
    lines: list[str] = []
    inside = False
    for line, code in lines_of(text):
        mark = FENCE.match(line) if code else None
        if mark:
            lines += [""] if inside else ["", f".. code-block:: {mark[2]}" if mark[2] else "::", ""]
            inside = not inside
            continue
        heading = None if code else HEADING.fullmatch(line)
        if code:
            lines.append(f"    {line}")
        elif heading:
            words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"[*`]", "", heading[2]))
            lines += ["", words, "=-~^\"'"[len(heading[1]) - 1] * max(len(words), 3), ""]
        else:
            lines.append(_restructured_line(line))
    return "\n".join(lines)


def _restructured_line(line: str) -> str:
    line = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", line)
    if line.strip().startswith("!["):
        line = re.sub(r"!\[[^\]]*\]\(([^)\s]+)[^)]*\)", r".. image:: \1", line)
    return re.sub(r"(?<!!)\[([^\][]+)\]\(([^)\s]+)\)", r"`\1 <\2>`_", line)
