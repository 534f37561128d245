"""Bodies of text that documents refer to by name: which, and whether anyone can download them.

The names are data (`pipelines/data/corpora.yaml`), each with a source address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from pipelines.extract.base import Triggers, any_of, folded

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


def _may_name(word: str) -> int:
    """Has a word (in small letters) the longest word of any name?"""
    return 1 if _longest_words().search(word) else 0


@lru_cache(maxsize=1)
def _longest_words() -> re.Pattern[str]:
    names = (name for exact in (True, False) for name in _pattern(exact)[1])
    return any_of(max(folded(name).split(), key=len) for name in names)


_WORDS = Triggers(_may_name)


def find_corpora(text: str) -> Iterator[tuple[Corpus, int, int]]:
    """(corpus, start, end) for each place where a text names one."""
    small = folded(text)
    if not _WORDS.of(small):
        return
    for exact in (True, False):
        pattern, by_name = _pattern(exact)
        # Looking for each name is quicker than the pattern, and most texts have none.
        if not any(map((text if exact else small).__contains__, by_name)):
            continue
        for match in pattern.finditer(text):
            yield by_name[match[0] if exact else folded(match[0])], match.start(), match.end()


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
