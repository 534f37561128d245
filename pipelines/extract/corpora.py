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


def find_corpora(text: str) -> Iterator[tuple[Corpus, int, int]]:
    """(corpus, start, end) for each place where a text names one."""
    pattern, by_name = _pattern(True)
    if any(map(text.__contains__, by_name)):
        for match in pattern.finditer(text):
            yield by_name[match[0]], match.start(), match.end()
    pattern, by_name = _pattern(False)
    if any(map(folded(text).__contains__, by_name)):
        for match in pattern.finditer(text):
            yield by_name[folded(match[0])], match.start(), match.end()


def is_pretraining_corpus(name: str) -> bool:
    """Is a dataset's identifier the name of a body of text that models are pretrained on?"""
    bare = _bare(name)
    return bare in _pretraining() or any(
        bare.startswith(known) and VERSION.fullmatch(bare, len(known)) for known in _pretraining()
    )


@lru_cache(maxsize=1)
def _pretraining() -> frozenset[str]:
    return frozenset(
        _bare(name) for corpus in all_corpora() if corpus.use == "pretraining" for name in corpus.names
    )


VERSION = re.compile(r"(?:v?\d[\d.]*[bkmt]?|data|dedup(?:ed|licated|lication)?|baseline|samples?|edu|en)+")
"""What may follow a corpus's name in an identifier: how much of it, which version ("SlimPajama-627B")."""


def _bare(name: str) -> str:
    """The name without its owner, in one piece of small letters."""
    return re.sub(r"[-_ ]", "", name.rsplit("/", 1)[-1].lower())
