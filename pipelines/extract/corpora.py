"""Bodies of text that documents refer to by name: which, and whether anyone can download them.

The names are data (`pipelines/data/corpora.yaml`), each with a source address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from pipelines.extract.base import folded

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
    entries = yaml.safe_load(DATA_FILE.read_text(encoding="utf-8"))
    return tuple(Corpus(**{**entry, "names": tuple(entry["names"])}) for entry in entries)


# What a word goes on with. Chinese and Japanese have no spaces: there a name begins and ends anywhere.
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"


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


Names = tuple[Collection[str], Collection[str]]
"""Names of corpora: those that are exact, those that are not."""


def names_in(text: str) -> Names:
    """The names that stand somewhere in a text: none of its sentences has another."""
    exact, folded_text = _pattern(True)[1], folded(text)
    return (
        [name for name in exact if name in text],
        [name for name in _pattern(False)[1] if name in folded_text],
    )


def find_corpora(text: str, names: Names | None = None) -> Iterator[tuple[Corpus, int, int]]:
    """(corpus, start, end) for each place where a text names one. `names` are those that it can have at all."""
    for exact in (True, False):
        pattern, by_name = _pattern(exact)
        possible = by_name if names is None else names[not exact]
        # Looking for each name is quicker than the pattern, and most texts have none.
        if not possible or not any(map((text if exact else folded(text)).__contains__, possible)):
            continue
        for match in pattern.finditer(text):
            yield by_name[match[0] if exact else folded(match[0])], match.start(), match.end()


def is_pretraining_corpus(name: str) -> bool:
    """Is a dataset's identifier the name of a body of text that models are pretrained on?"""
    bare = re.sub(r"[-_ ]", "", name.rsplit("/", 1)[-1].lower())
    return any(
        corpus.use == "pretraining"
        and bare in {re.sub(r"[-_ ]", "", known.rsplit("/", 1)[-1].lower()) for known in corpus.names}
        for corpus in all_corpora()
    )
