"""The words of a licence text, with their places: what texts are compared by.

Everything that differs between two copies of one licence is left out: case, punctuation, line
breaks, comment signs, tags and entities, copyright lines, addresses and placeholders.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

# The patterns here read small letters: texts are lowered before, which saves a third of the time.

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
    re.VERBOSE | re.MULTILINE,
)

# Addresses, tags and entities, and the placeholders of templates: <year>, [yyyy], {name of author}.
# Each alternative begins with a letter or sign of its own, so that the search leaps to the next one.
NO_WORDS = re.compile(
    r"""
      <https?:// [^\s<>"')\]]{1,400} >?
    | https?:// [^\s<>"')\]]{1,400} >?
    | < [a-z][^<>\n]{0,60} >
    | </ [a-z][^<>\n]{0,20} >
    | &(?: [a-z]{2,8} | \#\d{2,5} | \#x[0-9a-f]{2,4} );
    | \[ (?:yyyy|year|name\ of|full\ ?name|owner)[^\]\n]{0,40} \]
    | \{ (?:yyyy|year|name\ of|owner)[^}\n]{0,40} \}
    """,
    re.VERBOSE,
)

WORD = re.compile(r"([a-z]+|\d+(?:\.\d+)*)")

# British spelling is the only spelling difference between copies.
SPELLING = {"licence": "license", "licences": "licenses", "sublicence": "sublicense", "licenced": "licensed"}

# A licence text has some thousand words; more is a collection, of which the beginning is read.
MAX_CHARACTERS = 400_000


class Words(NamedTuple):
    """The words of a text as they are compared; words[n] stands at text[starts[n]:ends[n]]."""

    texts: list[str]
    starts: list[int]
    ends: list[int]


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def words_of(text: str) -> Words:
    """The words of the first MAX_CHARACTERS of a text, in small letters. Never raises."""
    # A dotted capital I would become two characters, and every place after it be one off.
    kept = text[:MAX_CHARACTERS].replace("\u0130", "i").lower()
    kept = NO_WORDS.sub(_blank, kept)
    kept = COPYRIGHT_LINE.sub(_blank, kept)
    # What stands between the words and the words take turns.
    pieces = WORD.split(kept)
    bounds = list(accumulate(map(len, pieces)))
    return Words(pieces[1::2], bounds[0:-1:2], bounds[1::2])
