"""Bodies of text that documents refer to by name: which, and whether anyone can download them.

The names are data (`pipelines/data/corpora.yaml`), each with a source address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

from pipelines.extract.base import Triggers, bits_of, folded

DATA_FILE = Path(__file__).parent.parent / "data" / "corpora.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A named body of text: what it is for, whether it can be downloaded, where that can be seen."""

    id: str
    use: str
    access: str
    names: tuple[str, ...]
    source: str
    exact: bool = False


@lru_cache(maxsize=1)
def all_corpora() -> tuple[Corpus, ...]:
    """The table, in the order of the file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(DATA_FILE.read_text(encoding="utf-8"), Loader=loader)
    return tuple(Corpus(**{**entry, "names": tuple(entry["names"])}) for entry in entries)


# What a word goes on with. Chinese and Japanese have no spaces: there a name begins and ends anywhere.
# Case is nothing to them; to say so makes the pattern in half the time.
_LETTER = r"(?-i:[^\W\u3040-\u30ff\u3400-\u9fff])"


@lru_cache(maxsize=2)
def _pattern(exact: bool) -> tuple[re.Pattern[str], dict[str, Corpus]]:
    by_name = {
        (name if exact else folded(name)): corpus
        for corpus in all_corpora()
        if corpus.exact is exact
        for name in corpus.names
    }
    # Longest first, so that a name wins over its own beginning.
    names = "|".join(re.escape(name) for name in sorted(by_name, key=len, reverse=True))
    pattern = rf"(?<!{_LETTER})(?<!-)(?:{names})(?!{_LETTER})"
    return re.compile(pattern, 0 if exact else re.IGNORECASE), by_name


class Names(NamedTuple):
    """Names of corpora that stand somewhere in a text: as they are written, and in small letters."""

    exact: list[str]
    folded: list[str]


def names_in(text: str) -> Names:
    """The names that may be found in a text or in any part of it."""
    found = Names([], [])
    small = folded(text)
    names, longest_words = _by_longest_word()
    told = longest_words.of(small)
    while told:
        bit = told.bit_length() - 1
        told -= 1 << bit
        exact, name = names[bit]
        if name in (text if exact else small):
            (found.exact if exact else found.folded).append(name)
    return found


@lru_cache(maxsize=1)
def _by_longest_word() -> tuple[list[tuple[bool, str]], Triggers]:
    """(is it exact, name) for all names, and which of them have their longest word in some word of a text."""
    names = [(exact, name) for exact in (True, False) for name in _pattern(exact)[1]]
    return names, Triggers(bits_of([(max(folded(name).split(), key=len),) for _, name in names]))


def find_corpora(text: str, names: Names | None = None) -> Iterator[tuple[Corpus, int, int]]:
    """(corpus, start, end) for each place where a text names one; `names` are those of a text that it is part of."""
    exact_names, folded_names = names_in(text) if names is None else names
    if exact_names and any(map(text.__contains__, exact_names)):
        pattern, by_name = _pattern(True)
        for match in pattern.finditer(text):
            yield by_name[match[0]], match.start(), match.end()
    if folded_names and any(map(folded(text).__contains__, folded_names)):
        pattern, by_name = _pattern(False)
        for match in pattern.finditer(text):
            yield by_name[folded(match[0])], match.start(), match.end()


def is_pretraining_corpus(name: str) -> bool:
    """Is a dataset's identifier the name of a body of text that models are pretrained on?"""
    return _bare(name) in _pretraining()


@lru_cache(maxsize=1)
def _pretraining() -> frozenset[str]:
    return frozenset(
        _bare(name) for corpus in all_corpora() if corpus.use == "pretraining" for name in corpus.names
    )


def _bare(name: str) -> str:
    """The name without its owner, in one piece of small letters."""
    return re.sub(r"[-_ ]", "", name.rsplit("/", 1)[-1].lower())
