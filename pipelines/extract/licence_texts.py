"""Which licences' texts a file holds: comparison by pairs of words.

The words of the file are compared with some 700 texts by the share of word pairs they have in common
(Dice). For each likely licence the stretch of the file is sought that belongs to it, so that headers,
appendices and further licences in one file do not blur the comparison. What the texts leave over is read
for titles (licences whose texts are not packaged) and for notices ("portions under the … License").
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from heapq import nsmallest
from typing import NamedTuple

from pipelines.extract.licence_notices import LicenceMatch, by_notice, by_title, make_match
from pipelines.extract.licence_table import LicenceId, licence_facts, packaged_data, written_facts
from pipelines.licence_words import Word, words_of

MAX_WORDS = 25_000
MAX_MATCHES = 8
CANDIDATES = 10

# Two copies of one licence score 0.97 and more; the nearest other licences reach 0.95.
SAME_TEXT = 0.95
# A text without its preamble or appendix: nearly all words are the licence's, most of it is there.
PART_PURITY, PART_COVERAGE, PART_PAIRS = 0.96, 0.80, 100
# A text that is a chapter of the packaged one (the LGPL as published is a quarter of SPDX's text of it).
CHAPTER_PURITY, CHAPTER_PAIRS = 0.97, 250
MARGIN = 0.01
# Short texts name their holder in the middle; a few names weigh more in them.
SHORT_PAIRS, SAME_SHORT_TEXT = 300, 0.90
# What a word outside the licence costs against what one inside gives, when its stretch is sought, and
# the loss at which the stretch has ended. Whole numbers, so that gain and loss can be even.
INSIDE, OUTSIDE, ENDED = 10, 13, 800
# So many foreign words in a row are an addition to the licence, not a holder's name.
ADDITION = 14
SHORTEST = 12


class _Index(NamedTuple):
    """Packaged texts by number: identifiers, sets of word pairs, and texts by pair."""

    identifiers: list[LicenceId]
    pairs: list[frozenset[int]]
    beginnings: list[tuple[int, ...]]
    postings: dict[int, list[int]]
    vocabulary: dict[str, int]


class _Candidate(NamedTuple):
    """A licence and the stretch of words that is most its own. Larger is better."""

    dice: float
    coverage: float
    is_written: bool
    purity: float
    common: int
    number: int
    first: int
    last: int


@lru_cache(maxsize=1)
def _index() -> _Index:
    vocabulary: dict[str, int] = {}
    postings: defaultdict[int, list[int]] = defaultdict(list)
    index = _Index([], [], [], postings, vocabulary)
    for number, entry in enumerate(packaged_data()["texts"]):
        ids = [vocabulary.setdefault(word, len(vocabulary)) for word in entry["words"].split()]
        pairs = frozenset([(one << 20) | other for one, other in itertools.pairwise(ids)])
        index.identifiers.append(entry["id"])
        index.pairs.append(pairs)
        index.beginnings.append(tuple(ids[:6]))
        for pair in pairs:
            postings[pair].append(number)
    return index


def _pair(one: int, other: int) -> int:
    return (one << 20) | other


# Every other repository has the same Apache License.
@lru_cache(maxsize=32)
def match_licence_text(text: str) -> tuple[LicenceMatch, ...]:
    """The licences whose text, title or notice a file holds, in order of their place; () for none.

    A licence's name as the whole file ("MIT") counts as a notice.
    """
    words = words_of(text)[:MAX_WORDS]
    found, is_covered = _by_text(words)
    found = by_title(text, found)
    for position, word in enumerate(words):
        if any(match.basis == "title" and match.start <= word.start < match.end for match in found):
            is_covered[position] = True
    rest = len(words) - sum(is_covered)
    found += by_notice(text, words, is_covered, found)
    found.sort(key=lambda match: (match.start, match.end, match.id))
    return tuple(replace(match, rest=rest) for match in found)


def _by_text(words: list[Word]) -> tuple[list[LicenceMatch], list[bool]]:
    """Licences by their words, best first, and which words they cover.

    Each takes its stretch away from the next ones. What was added inside a text is not covered.
    """
    index = _index()
    ids = [index.vocabulary.get(word.text, -1) for word in words]
    pairs: list[int | None] = [
        None if one < 0 or other < 0 else _pair(one, other) for one, other in itertools.pairwise(ids)
    ]
    found: list[LicenceMatch] = []
    covered = [False] * len(words)
    for _ in range(MAX_MATCHES):
        candidates = sorted(_candidates(index, pairs), reverse=True)
        best = _accepted(index, candidates, ids, pairs)
        if best is None:
            break
        start, end = words[best.first].start, words[best.last + 1].end
        found.append(make_match(index.identifiers[best.number], start, end, "text", best.dice, best.coverage))
        covered[best.first : best.last + 2] = [True] * (best.last + 2 - best.first)
        for first, last in _additions(pairs, index.pairs[best.number], best.first, best.last):
            covered[first + 1 : last + 1] = [False] * (last - first)
        pairs[best.first : best.last + 1] = [None] * (best.last + 1 - best.first)
    return found, covered


def _candidates(index: _Index, pairs: list[int | None]) -> Iterator[_Candidate]:
    present = {pair for pair in pairs if pair is not None}
    if len(present) < SHORTEST:
        return
    common: Counter[int] = Counter()
    for pair in present:
        common.update(index.postings.get(pair, ()))
    likely = {
        *_best(common, lambda number: common[number] / (len(present) + len(index.pairs[number]))),
        *_best(common, lambda number: common[number] / len(index.pairs[number])),
    }
    if not any(_may_be_accepted(common[number], len(index.pairs[number])) for number in likely):
        return
    for number in sorted(likely):
        own = index.pairs[number]
        if len(own) >= SHORTEST and (stretch := _stretch(pairs, own)) is not None:
            first, last = stretch
            inside = {pair for pair in pairs[first : last + 1] if pair is not None}
            unknown = sum(1 for pair in pairs[first : last + 1] if pair is None)
            shared = len(inside & own)
            size = len(inside) + unknown
            identifier = index.identifiers[number]
            yield _Candidate(
                dice=2 * shared / (size + len(own)),
                coverage=shared / len(own),
                is_written=identifier in _written_identifiers(),
                purity=shared / size,
                common=shared,
                number=number,
                first=first,
                last=last,
            )


@lru_cache(maxsize=1)
def _written_identifiers() -> frozenset[LicenceId]:
    return frozenset(facts.id for facts in written_facts())


def _best(common: Counter[int], value: Callable[[int], float]) -> list[int]:
    """The numbers of the most likely texts by a value; the lower number where two are equal."""
    return nsmallest(CANDIDATES, common, key=lambda number: (-value(number), number))


def _stretch(pairs: list[int | None], own: frozenset[int]) -> tuple[int, int] | None:
    """(first, last) of the run of pairs with the most of the licence's own and the fewest others.

    A run ends where it has lost ENDED since its best point: a second copy of the text is another run.
    """
    best, span = 0, None
    total, peak, begin, reached = 0, 0, 0, 0
    for position in [position for position, pair in enumerate(pairs) if pair in own]:
        # The pairs in between are others'.
        lost = OUTSIDE * (position - reached)
        if peak - total + lost > ENDED:
            total = peak = 0
        else:
            total -= lost
        if total <= 0:
            total, peak, begin = 0, 0, position
        total += INSIDE
        peak = max(peak, total)
        if total > best:
            best, span = total, (begin, position)
        reached = position + 1
    return span


def _additions(pairs: list[int | None], own: frozenset[int], first: int, last: int) -> list[tuple[int, int]]:
    """(first, last) of runs of foreign pairs inside a stretch that are too long for a name."""
    found, begin = [], first
    for position in range(first, last + 2):
        if position > last or pairs[position] in own:
            if position - begin > ADDITION:
                found.append((begin, position - 1))
            begin = position + 1
    return found


def _accepted(
    index: _Index, candidates: list[_Candidate], ids: list[int], pairs: list[int | None]
) -> _Candidate | None:
    """The best candidate if it is the licence's text; None where it is another text or cannot be told."""
    for best in candidates[:3]:
        own = index.pairs[best.number]
        is_short = len(own) < SHORT_PAIRS
        is_same = best.dice >= (SAME_SHORT_TEXT if is_short else SAME_TEXT)
        if is_short and _additions(pairs, own, best.first, best.last):
            continue
        is_part = best.purity >= PART_PURITY and best.coverage >= PART_COVERAGE and best.common >= PART_PAIRS
        is_chapter = (
            best.purity >= CHAPTER_PURITY
            and best.common >= CHAPTER_PAIRS
            and _begins_there(index.beginnings[best.number], ids[max(0, best.first - 10) : best.first + 60])
        )
        if (is_same or is_part or is_chapter) and _is_told_apart(index, best, candidates):
            return best
    return None


def _may_be_accepted(common: int, own: int) -> bool:
    """Can a text of `own` pairs, so many of which the file has somewhere, be accepted at all?"""
    # 2c / (c + own) is the most that Dice can come to; a chapter needs no share, but a number.
    is_same = 2 * common >= SAME_SHORT_TEXT * (common + own)
    return is_same or common >= PART_COVERAGE * own or common >= CHAPTER_PAIRS


def _begins_there(beginning: tuple[int, ...], ids: list[int]) -> bool:
    return any(tuple(ids[at : at + len(beginning)]) == beginning for at in range(len(ids)))


def _is_told_apart(index: _Index, best: _Candidate, candidates: list[_Candidate]) -> bool:
    """Is no licence of another kind as near? Variants of one kind (BSD, HPND) need no telling apart."""
    facts = licence_facts(index.identifiers[best.number])
    for other in candidates:
        other_facts = licence_facts(index.identifiers[other.number])
        if (
            other is not best
            and facts is not None
            and other_facts is not None
            and other_facts.kind != facts.kind
            and other.dice >= SAME_TEXT
            and other.dice > best.dice - MARGIN
        ):
            return False
    return True
