"""The packaged licence texts, ready for comparison: their pairs of words, and which texts share a pair."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, chain, count, pairwise, repeat
from typing import NamedTuple

from pipelines.extract.licence_table import LicenceId, packaged_data
from pipelines.licence_words import SPELLING

UNKNOWN = 0
"""Stands for a word that no packaged text has, and for a pair that is of no interest any more."""

# A pair that so few texts have tells them from the others; so many votes of such pairs are enough.
RARE, ENOUGH_RARE = 10, 250
# Else, as in short texts of which there are many variants, the file's rarest pairs cast so many votes. A
# pair that more texts have tells none of them.
VOTES, COMMONPLACE = 5_000, 250
# Texts that are compared in full: those with most votes. Only where the licence is not among them, as
# in a short text below much else, more of them and those with most votes for their length.
FIRST, BY_VOTES, BY_SHARE = 6, 30, 16
# Of so many pairs of a text half have to be in the file, before the rest is looked at.
PROBES = 24
BEGINNING = 6
"""Words by which the beginning of a text is known."""


class LicenceIndex(NamedTuple):
    """Packaged texts by number: their pairs as a set, and in the order of the text."""

    identifiers: list[LicenceId]
    pairs: list[frozenset[int]]
    sequences: list[tuple[int, ...]]
    probes: dict[int, tuple[int, ...]]
    beginnings: list[tuple[int, ...]]
    postings: dict[int, tuple[int, ...]]
    rare: dict[int, tuple[int, ...]]
    vocabulary: dict[str, int]
    whole: dict[str, int]

    def word_ids(self, words: Iterable[str]) -> list[int]:
        """The number of each word; UNKNOWN for one that no text has."""
        return list(map(self.vocabulary.get, words, repeat(UNKNOWN)))

    def likely(self, present: set[int]) -> Iterator[list[int]]:
        """Texts that may be in a file with these pairs, in two helpings, the likelier ones first."""
        votes, ranked = self._ranked(present)
        first = ranked[:FIRST]
        yield [number for number in first if self._may_be_in(number, present)]
        shares = sorted((-count / len(self.pairs[number]), number) for number, count in votes.items())
        more = dict.fromkeys([*ranked[FIRST:], *(number for _, number in shares[:BY_SHARE])])
        yield [number for number in more if number not in first and self._may_be_in(number, present)]

    def _ranked(self, present: set[int]) -> tuple[Counter[int], list[int]]:
        """How many of the file's telling pairs each text has, and the texts with most, best first."""
        rare = list(chain.from_iterable(filter(None, map(self.rare.get, present))))
        if len(rare) >= ENOUGH_RARE:
            votes = Counter(rare)
            return votes, [number for number, _ in votes.most_common(BY_VOTES)]
        lists = sorted(filter(None, map(self.postings.get, present)), key=len)
        lists = lists[: 1 + bisect_right(list(accumulate(map(len, lists))), VOTES)]
        votes = Counter(chain.from_iterable(lists))
        # Nearly all pairs have voted: what a text lacks and what it has beside them counts as well.
        ranked = sorted(
            (-count / (len(lists) + len(self.pairs[number])), number)
            for number, count in votes.most_common(BY_VOTES)
        )
        return votes, [number for _, number in ranked]

    def _may_be_in(self, number: int, present: set[int]) -> bool:
        """Are most of a text's pairs in the file, by a sample, or at least its first words?"""
        probes = self.probes.get(number)
        if probes is None:
            pairs = sorted(self.pairs[number])
            probes = self.probes[number] = tuple(pairs[:: max(1, len(pairs) // PROBES)])
        return 2 * sum(map(present.__contains__, probes)) >= len(probes) or present.issuperset(
            pairs_of(list(self.beginnings[number]))
        )


@lru_cache(maxsize=8192)
def apart(one: int, other: int) -> int:
    """How many pairs only one of two packaged texts has."""
    pairs = licence_index().pairs
    return len(pairs[one] ^ pairs[other])


def pairs_of(ids: list[int]) -> list[int]:
    """The pairs of neighbouring words, in order, each as one number."""
    return [one << 20 | other for one, other in pairwise(ids)]


@lru_cache(maxsize=1)
def licence_index() -> LicenceIndex:
    """The index over all packaged texts; built on the first call, in a fraction of a second."""
    # A hundred thousand lists are made, none of them garbage: looking for some among them takes a third of the time.
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        return _build()
    finally:
        if is_collecting:
            gc.enable()


def _build() -> LicenceIndex:
    entries = packaged_data()["texts"]
    texts = [[SPELLING.get(word, word) for word in entry["words"].split()] for entry in entries]
    # Numbered as they come up first; loops over all words and pairs are those of the library.
    vocabulary = dict(zip(dict.fromkeys(chain.from_iterable(texts)), count(1), strict=False))
    postings: defaultdict[int, list[int]] = defaultdict(list)
    index = LicenceIndex([], [], [], {}, [], {}, {}, vocabulary, {})
    for number, (entry, words) in enumerate(zip(entries, texts, strict=True)):
        ids = list(map(vocabulary.__getitem__, words))
        sequence = tuple(pairs_of(ids))
        pairs = frozenset(sequence)
        index.identifiers.append(entry["id"])
        index.pairs.append(pairs)
        index.sequences.append(sequence)
        index.beginnings.append(tuple(ids[:BEGINNING]))
        index.whole.setdefault(entry["words"], number)
        deque(map(list.append, map(postings.__getitem__, pairs), repeat(number)), maxlen=0)
    for british, american in SPELLING.items():
        if american in vocabulary:
            vocabulary[british] = vocabulary[american]
    for pair, numbers in postings.items():
        if len(numbers) <= COMMONPLACE:
            index.postings[pair] = tuple(numbers)
        if len(numbers) <= RARE:
            index.rare[pair] = index.postings[pair]
    return index
