"""Words without which a passage says nothing of licences: they are looked for before any pattern is tried."""

from __future__ import annotations

from pipelines.extract.base import Triggers, bits_of, folded
from pipelines.extract.licence_table import LICENCE_WORD, name_parts_in

CUE_TRIGGERS = (
    *("under", "governed", "covered", "subject", "according", "pursuant", "licen"),
    *("许可", "协议", "授权"),
)
"""Of these, in small letters, at least one stands in whatever CUE_BEFORE of `licence_mentions` matches: looking for words is quicker.

So it does in what CUE_AFTER and LICENCE_WORD match.
"""

# At least one of these, in small letters, stands in whatever the patterns of terms without a name match.
RESEARCH_TRIGGERS = ("research", "academic", "educational", "learning", "scientific", "研究", "学习", "学术")
COMMERCIAL_TRIGGERS = ("commercial", "商")
CUSTOM_TRIGGER = "licen"
UNNAMED_TRIGGERS = (*RESEARCH_TRIGGERS, *COMMERCIAL_TRIGGERS, CUSTOM_TRIGGER)

SPOKEN_OF, TERMS, BEGINNING, TELLING = 1, 2, 4, 8
_said = bits_of([CUE_TRIGGERS, UNNAMED_TRIGGERS])


def _tells(word: str) -> int:
    """What one word (in small letters) may tell: that a licence is spoken of, terms without a name, a name."""
    beginning, telling = name_parts_in(word)
    return _said(word) | BEGINNING * beginning | TELLING * telling


_WORDS = Triggers(_tells)


def what_is_told(prose: str) -> int:
    """What the words of a passage may tell, as bits; 0 where it is nothing."""
    return _WORDS.of(folded(prose))


def may_name(told: int, title: str) -> bool:
    """May a passage name a licence: is one spoken of, or has it a name that needs no such words?"""
    if not told & BEGINNING:
        return False
    return bool(told & (SPOKEN_OF | TELLING)) or bool(LICENCE_WORD.search(title))
