"""What the evidence said when the cell was rated, and what it says now: word by word, within bounds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipelines.model import Evidence

MAX_CHANGES = 20
"""Changes that are shown; of more it is said how many there are."""

MAX_WORDS = 400
"""Words of a passage that are compared; what is longer is cut."""

_TOKEN = re.compile(
    r"""
      \s+
    | \w+ (?: [.+/_-] \w+ )*  # the name of a licence or a file is one word
    | [^\w\s]
    """,
    re.VERBOSE,
)


class Piece(StrEnum):
    """What became of some words."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A passage then and now. One of the two is None where there is no counterpart."""

    then: Evidence | None
    now: Evidence | None
    pieces: tuple[tuple[Piece, str], ...]

    @property
    def place(self) -> Evidence:
        """Where it stands: the passage of now, or the one that is gone."""
        found = self.now or self.then
        assert found is not None
        return found


def differences(then: Sequence[Evidence], now: Sequence[Evidence]) -> list[Difference]:
    """The passages that are not what they were: changed, gone, new.

    Passages are the same when they say the same; a counter within them does not count.
    """
    keys_then, keys_now = {item.key for item in then}, {item.key for item in now}
    gone = [item for item in then if item.key not in keys_now]
    new = [item for item in now if item.key not in keys_then]
    found = []
    for same_kind in (True, False):
        for item in list(gone):
            match = next((other for other in new if _fits(item, other, same_kind)), None)
            if match is not None:
                gone.remove(item)
                new.remove(match)
                found.append(Difference(then=item, now=match, pieces=_compared(item.passage, match.passage)))
    found += [Difference(then=item, now=None, pieces=((Piece.GONE, _cut(item.passage)),)) for item in gone]
    found += [Difference(then=None, now=item, pieces=((Piece.NEW, _cut(item.passage)),)) for item in new]
    return found


def _fits(then: Evidence, now: Evidence, same_kind: bool) -> bool:
    """May the one have become the other? They stand in the same document."""
    return then.ref == now.ref and then.part == now.part and (then.kind == now.kind or not same_kind)


def _cut(passage: str) -> str:
    return "".join(_TOKEN.findall(passage)[:MAX_WORDS])


def _compared(then: str, now: str) -> tuple[tuple[Piece, str], ...]:
    before, after = _TOKEN.findall(then)[:MAX_WORDS], _TOKEN.findall(now)[:MAX_WORDS]
    pieces: list[tuple[Piece, str]] = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append((Piece.SAME, "".join(before[a:b])))
            continue
        if a < b:
            pieces.append((Piece.GONE, "".join(before[a:b])))
        if c < d:
            pieces.append((Piece.NEW, "".join(after[c:d])))
    return tuple(pieces)
