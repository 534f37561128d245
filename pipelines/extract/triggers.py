"""What the words of a passage may tell. A pattern is tried where one of its words stands: looking for words is quicker.

Statements, corpora and licences are looked for in the same passages, so their words are looked for together.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain

from pipelines.extract.base import any_of
from pipelines.extract.corpora import all_corpora
from pipelines.extract.licence_table import telling_words
from pipelines.folding import folded

LONGEST_WORD = 60
"""Characters of a word that is remembered: nobody repeats longer ones."""
MOST_WORDS = 1 << 15
"""Words that are remembered. With one more all of them are forgotten: which ones are worth it would cost more to tell."""

STATEMENT_TRIGGERS: dict[str, tuple[str, ...]] = {
    says: tuple(words.split("|"))
    for says, words in {
        "withheld": "not|n't|never|unable|plan|intention|undisclosed|unreleased|kept|remain|stay|permission|公开|开源|发布|提供|开放",
        "coming_soon": "soon|will|plan|going|intend|hope|working|released|stay|即将|敬请期待|后续",
        "released": "release|open|publish|share|provide|available|downloaded|found|accessed|公开|开源|发布",
        "vague_data": "publicly|web|internet|online|sources|quality|curated|filtered|synthetic|公开|互联网|多种来源",
        "own_data": "proprietary|house|internal|licensed|confidential|private|自|私有|内部",
        "token_count": "token",
        "part_only": "subset|sample|portion|extract|excerpt|part|fraction|slice|included|contained|部分|子集",
        "access_on_request": "form|request|application|agree|accept|sign|apply|acknowledge|gated|申请|填写",
        "delta": "delta|diff|xor|add|增量|差分|差值",
        "derived": "tun|train|initiali|built|derived|based|基于|以",
        "sign_up": "sign|wait|log|account|regist|api|pric|paid|subscri|注册|付费|密钥|收费",
        "api_offer": "api|openai|endpoint|server|interface|service|接口",
        "demo_offer": "demo|playground|chat|try|在线",
        "non_commercial": "commercial|only|商|研究",
        "container_image": "docker|container|ghcr.io|quay.io|image",
        "unreleased_library": "development|dev|nightly|unreleased|git+http",
        "open_claim": "open|开源",
        "commercial_claim": "commercial|商",
        "reproduce": "reproduc|training|复现",
    }.items()
}
"""Of these, in small letters, at least one stands in whatever the pattern of a statement matches."""

# Of these the trigger is a whole word, and many others have it in them: "transformers", "significant", "chatbot".
_WHOLE_WORDS: dict[str, re.Pattern[str]] = {
    "access_on_request": re.compile(
        r"\b(?:form|request(?:ing)?|application|(?:agree|accept)(?:ing)?|sign|apply|acknowledge|gated)\b|申请|填写"
    ),
    "sign_up": re.compile(
        r"\b(?:sign(?:ing)?(?:-?up)?|wait(?:list)?|log(?:in)?|account|register|api|pric(?:ing|es?)|paid|subscri(?:be|ption))\b"
        r"|注册|付费|密钥|收费"
    ),
    "demo_offer": re.compile(r"\b(?:demo|playground|chat|try)\b|在线"),
}

LICENCE_TRIGGERS = (
    *("under", "governed", "covered", "subject", "according", "pursuant", "licen"),
    *("许可", "协议", "授权"),
)
"""Of these, in small letters, at least one stands in whatever CUE_BEFORE, CUE_AFTER or LICENCE_WORD match."""

# At least one of these, in small letters, stands in whatever the patterns of terms without a name match.
RESEARCH_TRIGGERS = ("research", "academic", "educational", "learning", "scientific", "研究", "学习", "学术")
COMMERCIAL_TRIGGERS = ("commercial", "商")
# And of these in whatever allows research only: machines that learn are in every other sentence.
ONLY_TRIGGERS = ("only", "solely", "exclusively", "strictly", "limited", "restricted", "used", "仅", "只")
CUSTOM_TRIGGER = "licen"

# What a passage may tell, as bits: each of the statements, and these.
STATEMENT_BITS = {says: 1 << bit for bit, says in enumerate(STATEMENT_TRIGGERS)}
CORPUS, LICENCE, LICENCE_NAME, TERMS = (
    1 << bit for bit in range(len(STATEMENT_BITS), len(STATEMENT_BITS) + 4)
)
"""A corpus by name; that a licence is spoken of; one by a name that needs no such words; terms without a name."""


# Whoever looks for one thing in a passage is followed by one who looks for another. Families of models repeat much.
@lru_cache(maxsize=4096)
def what_is_told(passage: str) -> int:
    """What the words of a passage may tell, as bits; 0 where it is nothing."""
    told = 0
    # Few words have bits that the others have not: no loop over all of them in Python.
    for bits in set(map(_words().__getitem__, folded(passage).split())):
        told |= bits
    return told


class RememberedWords(dict[str, int]):
    """What words (in small letters, no blanks in them) tell, as bits: texts repeat their words."""

    def __init__(self, look: Callable[[str], int]) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, word: str) -> int:
        bits = self._look(word)
        if len(word) <= LONGEST_WORD:
            if len(self) >= MOST_WORDS:
                self.clear()
            self[word] = bits
        return bits


@lru_cache(maxsize=1)
def _words() -> RememberedWords:
    told = bits_of(_triggers())
    whole = [(STATEMENT_BITS[says], pattern) for says, pattern in _WHOLE_WORDS.items()]
    names_licence = re.compile(rf"(?<![a-z])(?:{any_of(telling_words()).pattern})(?![a-z])").search

    def look(word: str) -> int:
        bits = told(word)
        if bits:
            for bit, pattern in whole:
                if bits & bit and not pattern.search(word):
                    bits -= bit
        return bits | LICENCE_NAME if names_licence(word) else bits

    return RememberedWords(look)


def _triggers() -> dict[str, int]:
    """The bits of every trigger. None has a blank in it: of a corpus's name it is the word that fewest names have."""
    names = [set(folded(name).split()) for corpus in all_corpora() for name in corpus.names]
    shared = Counter(chain.from_iterable(names))
    corpora = [min(words, key=lambda word: (shared[word], -len(word), word)) for words in names]
    triggers: defaultdict[str, int] = defaultdict(int)
    for bit, words in (
        *((STATEMENT_BITS[says], words) for says, words in STATEMENT_TRIGGERS.items()),
        (CORPUS, corpora),
        (LICENCE, LICENCE_TRIGGERS),
        (TERMS, (*RESEARCH_TRIGGERS, *COMMERCIAL_TRIGGERS, CUSTOM_TRIGGER)),
    ):
        for word in words:
            triggers[word] |= bit
    return triggers


def bits_of(triggers: Mapping[str, int]) -> Callable[[str], int]:
    """Tells of a word the bits of all triggers that stand anywhere in it."""
    by_first: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for trigger, bits in triggers.items():
        by_first[trigger[0]].append((trigger, bits))
    search = any_of(triggers).search

    def told(word: str) -> int:
        found = 0
        match = search(word)
        while match is not None:
            start = match.start()
            # Where one begins, others may begin as well; and the next one may begin within it.
            for trigger, bits in by_first[word[start]]:
                if word.startswith(trigger, start):
                    found |= bits
            match = search(word, start + 1)
        return found

    return told
