"""The words of a licence text, with their places: what texts are compared by.

Everything that differs between two copies of one licence is left out: case, punctuation, line
breaks, comment signs, copyright lines, addresses and placeholders.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# A line that says who holds the copyright: it differs in every copy.
# "Copyright and Related Rights" or "copyright notice" begin sentences of licences and stay.
COPYRIGHT_LINE = re.compile(
    r"""
    ^ [^\w\r\n]{0,12} (?:portions[ \t]+)?
    (?: (?:copyright|\(c\)|©) [ \t:]*
        (?: \(c\) | © | \d{4} | <[^>\r\n]{1,40}> | \[[^]\r\n]{1,40}\] ) [^\r\n]{0,300}
      | all\ rights\ reserved\.? [ \t]*
    ) \r? $
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)

# Addresses, and the placeholders of templates: <year>, [yyyy], {name of author}.
ADDRESS_OR_PLACEHOLDER = re.compile(
    r"""
    <? https?:// [^\s<>"')\]]{1,400} >?
    | < [a-z][^<>\n]{1,60} >
    | \[ (?:yyyy|year|name\ of|full\ ?name|owner)[^\]\n]{0,40} \]
    | \{ (?:yyyy|year|name\ of|owner)[^}\n]{0,40} \}
    """,
    re.VERBOSE | re.IGNORECASE,
)

WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)*", re.IGNORECASE)

# British spelling is the only spelling difference between copies.
_SPELLING = {"licence": "license", "licences": "licenses", "sublicence": "sublicense", "licenced": "licensed"}

# A licence text has some thousand words; more is a collection, of which the beginning is read.
MAX_CHARACTERS = 400_000


class Word(NamedTuple):
    """A word as it is compared and where it stands in the text."""

    text: str
    start: int
    end: int


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def words_of(text: str) -> list[Word]:
    """The words of the first MAX_CHARACTERS of a text. Never raises."""
    kept = ADDRESS_OR_PLACEHOLDER.sub(_blank, text[:MAX_CHARACTERS])
    kept = COPYRIGHT_LINE.sub(_blank, kept)
    found = []
    for match in WORD.finditer(kept):
        word = match.group().lower()
        found.append(Word(_SPELLING.get(word, word), match.start(), match.end()))
    return found
