"""The packaged licence texts, ready for comparison: their pairs of words, and which texts share a pair."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate, chain, pairwise, repeat
from typing import NamedTuple

from pipelines.extract.licence_table import LicenceId
from pipelines.licence_arrays import UNKNOWN, pairs_of, unpacked
from pipelines.licence_words import SPELLING

# A pair that so few texts have tells them from the others; so many votes of such pairs are enough.
RARE, ENOUGH_RARE = 10, 250
# Else, as in short texts of which there are many variants, the file's rarest pairs cast so many votes.
VOTES = 5_000
# Texts that are compared in full: those with most votes. Only where the licence is not among them, as
# in a short text below much else, more of them and those with most votes for their length.
FIRST, BY_VOTES, BY_SHARE = 6, 30, 16
BEGINNING = 6
"""Words by which the beginning of a text is known."""


class TextPairs(NamedTuple):
    """The pairs of a text: in its order, and as a set."""

    sequence: tuple[int, ...]
    pairs: frozenset[int]


class LicenceIndex(NamedTuple):
    """Packaged texts by number: their words, how many pairs they have, and which of them share a pair (see `LicenceTexts`).

    `rare` are the groups that tell their texts from the others; in the place of any other there is nothing.
    """

    identifiers: list[LicenceId]
    texts: list[array[int]]
    pair_counts: list[int]
    probe_places: list[array[int]]
    sharing: dict[int, int]
    groups: list[tuple[int, ...]]
    rare: list[tuple[int, ...]]
    words: list[str]
    vocabulary: dict[str, int]
    whole: dict[bytes, int]

    def word_ids(self, words: Iterable[str]) -> list[int]:
        """The number of each word; UNKNOWN for one that no text has."""
        return list(map(self.vocabulary.get, words, repeat(UNKNOWN)))

    def whole_text(self, words: list[str], ids: list[int]) -> int | None:
        """The text that has exactly these words, spelt like this; None where there is none."""
        if UNKNOWN in ids or not SPELLING.keys().isdisjoint(words):
            return None
        return self.whole.get(array("H", ids).tobytes())

    def written_texts(self) -> Iterator[tuple[LicenceId, str]]:
        """Every text with its licence as it is packaged: its words, with blanks between them."""
        for identifier, text in zip(self.identifiers, self.texts, strict=True):
            yield identifier, " ".join(self.words[number - 1] for number in text)

    def sequence(self, number: int) -> tuple[int, ...]:
        """The pairs of a text in its order."""
        return text_pairs(number).sequence

    def pairs(self, number: int) -> frozenset[int]:
        """The pairs of a text."""
        return text_pairs(number).pairs

    def beginning(self, number: int) -> list[int]:
        """The first words of a text."""
        return self.texts[number][:BEGINNING].tolist()

    def likely(self, present: set[int]) -> Iterator[list[int]]:
        """Texts that may be in a file with these pairs, in two helpings, the likelier ones first."""
        votes, ranked = self._ranked(present)
        first = ranked[:FIRST]
        yield [number for number in first if self._may_be_in(number, present)]
        shares = sorted((-count / self.pair_counts[number], number) for number, count in votes.items())
        more = dict.fromkeys([*ranked[FIRST:], *(number for _, number in shares[:BY_SHARE])])
        yield [number for number in more if number not in first and self._may_be_in(number, present)]

    def _ranked(self, present: set[int]) -> tuple[Counter[int], list[int]]:
        """How many of the file's telling pairs each text has, and the texts with most, best first."""
        # Thousands of pairs: loops over them are those of the library.
        groups = list(map(self.sharing.__getitem__, filter(self.sharing.__contains__, present)))
        rare = list(chain.from_iterable(map(self.rare.__getitem__, groups)))
        if len(rare) >= ENOUGH_RARE:
            votes = Counter(rare)
            return votes, [number for number, _ in votes.most_common(BY_VOTES)]
        lists = sorted(map(self.groups.__getitem__, groups), key=len)
        lists = lists[: 1 + bisect_right(list(accumulate(map(len, lists))), VOTES)]
        votes = Counter(chain.from_iterable(lists))
        # Nearly all pairs have voted: what a text lacks and what it has beside them counts as well.
        ranked = sorted(
            (-count / (len(lists) + self.pair_counts[number]), number)
            for number, count in votes.most_common(BY_VOTES)
        )
        return votes, [number for _, number in ranked]

    def _may_be_in(self, number: int, present: set[int]) -> bool:
        """Are most of a text's pairs in the file, by a sample, or at least its first words?"""
        probes = text_probes(number)
        return 2 * sum(map(present.__contains__, probes)) >= len(probes) or present.issuperset(
            pairs_of(self.beginning(number))
        )


# Of the texts few are ever compared, the same ones again and again; there are fewer than this.
@lru_cache(maxsize=1024)
def text_pairs(number: int) -> TextPairs:
    """The pairs of a packaged text."""
    sequence = tuple(pairs_of(licence_index().texts[number]))
    return TextPairs(sequence, frozenset(sequence))


@lru_cache(maxsize=1024)
def text_probes(number: int) -> list[int]:
    """Some of the pairs of a packaged text."""
    index = licence_index()
    text = index.texts[number]
    return [text[place] << 20 | text[place + 1] for place in index.probe_places[number]]


@lru_cache(maxsize=8192)
def apart(one: int, other: int) -> int:
    """How many pairs only one of two packaged texts has."""
    return len(text_pairs(one).pairs ^ text_pairs(other).pairs)


@lru_cache(maxsize=1)
def licence_index() -> LicenceIndex:
    """The index over all packaged texts; read on the first call, in a twentieth of a second."""
    kept = unpacked(files("pipelines").joinpath("data/licence_texts.gz").read_bytes())
    vocabulary = {word: number for number, word in enumerate(kept.words, start=1)}
    for british, american in SPELLING.items():
        if american in vocabulary:
            vocabulary[british] = vocabulary[american]
    # Each number once, however many groups it is in.
    shared = list(map(list(range(len(kept.texts))).__getitem__, kept.shared))
    groups = [tuple(shared[start:end]) for start, end in pairwise(kept.starts)]
    return LicenceIndex(
        identifiers=kept.licences,
        texts=kept.texts,
        pair_counts=kept.pair_counts,
        probe_places=kept.probe_places,
        sharing=kept.sharing,
        groups=groups,
        rare=[numbers if len(numbers) <= RARE else () for numbers in groups],
        words=kept.words,
        vocabulary=vocabulary,
        # Of texts that are the same the first one counts.
        whole={text.tobytes(): number for number, text in reversed(list(enumerate(kept.texts)))},
    )
