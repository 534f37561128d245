"""Which licences' texts a file holds: comparison by pairs of words.

The words of the file are compared with some 700 texts by the share of word pairs they have in common
(Dice). For each likely licence the stretch of the file is sought that belongs to it, so that headers,
appendices and further licences in one file do not blur the comparison. What the texts leave over is read
for titles (licences whose texts are not packaged) and for notices ("portions under the … License").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from pipelines.extract.licence_index import LicenceIndex, apart, licence_index
from pipelines.extract.licence_notices import LicenceMatch, by_notice, by_title, make_match
from pipelines.extract.licence_table import LicenceId, licence_facts, written_facts
from pipelines.licence_arrays import UNKNOWN, pairs_of
from pipelines.licence_words import MAX_CHARACTERS, Words, words_of

MAX_WORDS = 25_000
MAX_MATCHES = 8

# Two copies of one licence score 0.97 and more; the nearest other licences reach 0.95.
SAME_TEXT = 0.95
# A text without its preamble or appendix: nearly all words are the licence's, most of it is there.
PART_PURITY, PART_COVERAGE, PART_PAIRS = 0.96, 0.80, 100
# A long text without both: of the rest nearly all is there.
BODY_COVERAGE, BODY = 0.60, 0.93
# A text that is a chapter of the packaged one (the LGPL as published is a quarter of SPDX's text of it).
CHAPTER_PURITY, CHAPTER_PAIRS = 0.97, 250
# So much nearer has a licence to be than one of another kind; else what only one of the two says decides.
MARGIN, CLEARLY = 0.01, 0.25
# Short texts name their holder in the middle; a few names weigh more in them, the less the longer they are.
SHORT_PAIRS, LONG_PAIRS, SAME_SHORT_TEXT = 300, 600, 0.87
# How much a preamble or appendix counts that a file leaves out: one part in so many.
CUT_COUNTS = 4
# Of variants that differ in a few words the one that is in `licences.yaml` is meant: so many pairs in its
# favour, as a share of its own and at most.
WELL_KNOWN, WELL_KNOWN_PAIRS = 0.06, 10
# A file so near to a text, as a share of the text, is compared with the text's own neighbours only.
NEAR = 0.05
# Texts whose values are so close are told apart by nothing that is left in the file.
EVEN = 2
# A text so near needs no second look among its variants.
CLOSE = 0.985
# What a word outside the licence costs against one inside, when its stretch is sought, and the loss
# at which the stretch has ended.
OUTSIDE, ENDED = 1.3, 80.0
# So many foreign words in a row are an addition to the licence, not a holder's name; one of these words
# is one by itself: MIT "for non-commercial purposes" is not the MIT License.
ADDITION = 14
AROUND = 4
TELLING = ("commercial", "noncommercial", "commercially", "noncommercially")
SHORTEST = 12

# Runs in a row of marks: pairs that are the licence's own; words that no licence covers.
MARKED, UNMARKED = re.compile(rb"\x01+"), re.compile(rb"\x00+")


class _Candidate(NamedTuple):
    """A licence and the stretch of the file, pairs first to last, that is most its own.

    `value` is what it explains of the file, in pairs: those in common, less those that only one has, of
    which `cut`, the preamble or appendix of a long text that was left out, counts little; `distance` is how many pairs only one of licence and whole file has.
    """

    value: int
    distance: int
    number: int
    dice: float
    coverage: float
    common: int
    foreign: int
    cut: int
    first: int
    last: int

    @property
    def purity(self) -> float:
        return self.common / (self.common + self.foreign)


# Every other repository has the same Apache License.
@lru_cache(maxsize=32)
def match_licence_text(text: str) -> tuple[LicenceMatch, ...]:
    """The licences whose text, title or notice a file holds, in order of their place; () for none.

    A licence's name as the whole file ("MIT") counts as a notice. Of a text longer than
    MAX_CHARACTERS the beginning is read.
    """
    text = text[:MAX_CHARACTERS]
    words = words_of(text)
    found, covered = _by_text(words)
    found = by_title(text, found)
    for match in found:
        if match.basis == "title":
            _cover(words, covered, match)
    rest = covered.count(0)
    found += by_notice(text, words, covered, found)
    found.sort(key=lambda match: (match.start, match.end, match.id))
    return tuple(replace(match, rest=rest) for match in found)


def _cover(words: Words, covered: bytearray, match: LicenceMatch) -> None:
    for position, start in enumerate(words.starts[: len(covered)]):
        if match.start <= start < match.end:
            covered[position] = 1


def _by_text(words: Words) -> tuple[list[LicenceMatch], bytearray]:
    """Licences by their words, best first, and which of the first MAX_WORDS words they cover.

    Each takes its stretch away from the next ones. What was added inside a text is not covered.
    """
    index = licence_index()
    texts = words.texts[:MAX_WORDS]
    covered = bytearray(len(texts))
    found: list[LicenceMatch] = []
    ids = index.word_ids(texts)
    whole = index.whole_text(texts, ids)
    if whole is not None:
        covered[:] = b"\x01" * len(texts)
        start, end = words.starts[0], words.ends[-1]
        return [make_match(index.identifiers[whole], start, end, "text", 1.0, 1.0)], covered
    pairs = pairs_of(ids)
    for _ in range(MAX_MATCHES):
        best = _best(index, ids, pairs)
        if best is None:
            break
        start, end = words.starts[best.first], words.ends[best.last + 1]
        found.append(make_match(index.identifiers[best.number], start, end, "text", best.dice, best.coverage))
        covered[best.first : best.last + 2] = b"\x01" * (best.last + 2 - best.first)
        for first, last in _additions(index, best, ids, pairs):
            covered[first + 1 : last + 1] = bytes(last - first)
        pairs[best.first : best.last + 1] = [UNKNOWN] * (best.last + 1 - best.first)
    return found, covered


def _best(index: LicenceIndex, ids: list[int], pairs: list[int]) -> _Candidate | None:
    """The licence whose text explains most of the file; None where there is none or it cannot be told."""
    present = set(pairs)
    present.discard(UNKNOWN)
    if len(present) < SHORTEST:
        return None
    for helping in index.likely(present):
        best = _best_of(index, helping, ids, pairs)
        if best is None:
            continue
        if best.dice < CLOSE:
            # A variant may be nearer that other licences in the file have kept from the first places.
            variants = next(index.likely(set(pairs[best.first : best.last + 1])))
            best = _best_of(index, [best.number, *variants], ids, pairs)
        if best is not None:
            return best
    return None


def _best_of(index: LicenceIndex, numbers: list[int], ids: list[int], pairs: list[int]) -> _Candidate | None:
    compared: list[_Candidate] = []
    best: _Candidate | None = None
    for number in numbers:
        # What is further from the best text than twice the file is cannot be nearer to the file.
        if (
            best is not None
            and best.distance <= NEAR * best.common
            and apart(best.number, number) > 2 * best.distance + MARGIN * best.common
        ):
            continue
        candidate = _compared(index, number, pairs)
        if candidate is None:
            continue
        compared.append(candidate)
        if (best is None or _is_better(index, candidate, best)) and _is_that_text(
            index, candidate, ids, pairs
        ):
            best = candidate
    if best is not None and all(_is_told_apart(index, best, other, pairs) for other in compared):
        return best
    return None


def _compared(index: LicenceIndex, number: int, pairs: list[int]) -> _Candidate | None:
    """How a licence compares with the stretch of the file that is most its own; None without much of it."""
    own = index.pairs(number)
    marks = bytes(map(own.__contains__, pairs))
    there = marks.count(1)
    if len(own) < SHORTEST or (there < CHAPTER_PAIRS and there < PART_COVERAGE * len(own)):
        return None
    first, last = _stretch(marks)
    inside = own.intersection(pairs[first : last + 1])
    common = len(inside)
    foreign = marks.count(0, first, last + 1)
    missing = len(own) - common
    is_long = len(own) >= LONG_PAIRS
    cut = _cut_off(index.sequence(number), inside) if is_long and missing > ADDITION else 0
    known = min(WELL_KNOWN_PAIRS, int(WELL_KNOWN * len(own))) if _is_well_known(index, number) else 0
    return _Candidate(
        value=common - foreign - missing + cut - cut // CUT_COUNTS + known,
        distance=missing + len(pairs) - there,
        number=number,
        dice=2 * common / (common + foreign + len(own)),
        coverage=common / len(own),
        common=common,
        foreign=foreign,
        cut=cut,
        first=first,
        last=last,
    )


def _cut_off(sequence: tuple[int, ...], inside: frozenset[int]) -> int:
    """How many pairs a text has before and after what the file has of it: preamble, appendix, chapters."""
    first, last = _stretch(bytes(map(inside.__contains__, sequence)))
    return len({*sequence[:first], *sequence[last + 1 :]} - inside)


def _is_well_known(index: LicenceIndex, number: int) -> bool:
    return index.identifiers[number] in _written_identifiers()


@lru_cache(maxsize=1)
def _written_identifiers() -> frozenset[LicenceId]:
    return frozenset(facts.id for facts in written_facts())


def _is_better(index: LicenceIndex, one: _Candidate, other: _Candidate) -> bool:
    """Does it explain more of the file, or as much with the plainer name (QPL-1.0, not a variant of it)?"""
    if abs(one.value - other.value) > EVEN:
        return one.value > other.value
    return len(index.identifiers[one.number]) < len(index.identifiers[other.number])


def _stretch(marks: bytes) -> tuple[int, int]:
    """(first, last) of the run of marks with the most of the licence's own and the fewest others.

    A run ends where it has lost ENDED since its best point: a second copy of the text is another run.
    """
    best, span = 0.0, (0, 0)
    total, peak, begin, reached = 0.0, 0.0, 0, 0
    for run in MARKED.finditer(marks):
        start, end = run.span()
        total -= OUTSIDE * (start - reached)
        if total <= 0 or peak - total > ENDED:
            total, peak, begin = 0.0, 0.0, start
        total += end - start
        peak = max(peak, total)
        reached = end
        if total > best:
            best, span = total, (begin, end - 1)
    return span


def _additions(
    index: LicenceIndex, one: _Candidate, ids: list[int], pairs: list[int]
) -> Iterator[tuple[int, int]]:
    """(first, last) of runs of foreign pairs inside a stretch that are more than a name."""
    if not one.foreign:
        return
    telling = set(index.word_ids(TELLING)) & set(ids[one.first : one.last + 2])
    if one.foreign <= ADDITION and not telling:
        return
    own = index.pairs(one.number)
    for run in UNMARKED.finditer(bytes(map(own.__contains__, pairs[one.first : one.last + 1]))):
        first, end = one.first + run.start(), one.first + run.end()
        # Of n foreign pairs in a row the n - 1 words between them are foreign. What a few of them say is
        # understood only with the words around them.
        if not telling.isdisjoint(ids[first + 1 : end]):
            yield max(one.first, first - AROUND), min(one.last, end - 1 + AROUND)
        elif end - first > ADDITION:
            yield first, end - 1


def _is_that_text(index: LicenceIndex, one: _Candidate, ids: list[int], pairs: list[int]) -> bool:
    """Is the stretch a copy of the licence, a copy without an end or appendix, or a chapter of it?"""
    own = index.pairs(one.number)
    if len(own) < SHORT_PAIRS:
        if one.dice >= SAME_SHORT_TEXT or _is_part(one):
            return not any(_additions(index, one, ids, pairs))
        return False
    return (
        one.dice
        >= min(
            SAME_TEXT,
            SAME_SHORT_TEXT
            + (SAME_TEXT - SAME_SHORT_TEXT) * (len(own) - SHORT_PAIRS) / (LONG_PAIRS - SHORT_PAIRS),
        )
        or _is_part(one)
        or (
            one.purity >= CHAPTER_PURITY
            and one.common >= CHAPTER_PAIRS
            and _begins_there(index.beginning(one.number), ids[max(0, one.first - 10) : one.first + 60])
        )
    )


def _is_part(one: _Candidate) -> bool:
    """Are nearly all words the licence's, and most of it there, or all but preamble and appendix?"""
    whole = one.common / one.coverage
    return (
        one.purity >= PART_PURITY
        and one.common >= PART_PAIRS
        and (
            one.coverage >= PART_COVERAGE
            or (one.coverage >= BODY_COVERAGE and one.common >= BODY * (whole - one.cut))
        )
    )


def _begins_there(beginning: list[int], ids: list[int]) -> bool:
    return any(ids[at : at + len(beginning)] == beginning for at in range(len(ids)))


def _is_told_apart(index: LicenceIndex, best: _Candidate, other: _Candidate, pairs: list[int]) -> bool:
    """Is the other licence not as near, of the same kind (BSD, HPND), or without what only it says?"""
    if other is best or other.dice < SAME_TEXT or other.dice <= best.dice - MARGIN:
        return True
    here, there = (
        licence_facts(index.identifiers[best.number]),
        licence_facts(index.identifiers[other.number]),
    )
    if here is None or there is None or here.kind == there.kind:
        return True
    inside = set(pairs[best.first : best.last + 1])
    one, another = index.pairs(best.number), index.pairs(other.number)
    return _share(inside, one - another) - _share(inside, another - one) >= CLEARLY


def _share(inside: set[int], pairs: frozenset[int]) -> float:
    """How many of some pairs are there; a half where there are none to ask for."""
    return len(inside & pairs) / len(pairs) if pairs else 0.5
