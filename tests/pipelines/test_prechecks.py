"""What is looked for before a pattern is tried never hides what the pattern would find: both ways are compared."""

from __future__ import annotations

import random
import re

import pytest
from markdown_it import MarkdownIt

from pipelines import volatile
from pipelines.extract import base, corpora, licence_mentions, tree
from pipelines.extract.links import ARXIV_MENTION, _arxiv_mentions
from pipelines.extract.statements import _BY_BIT, _TRIGGERS
from pipelines.extract.topics import _ADDRESSED
from pipelines.folding import folded
from pipelines.markdown_blocks import MAX_NESTING, Lines, _blocks_of_tokens, blocks_of

MARKS = """\n|\n\n| |  |**|#|\n# |\n- |\n1. |\n2) |> |\n    |\t|\n===\n|\n---|\n***|\n```\n|~~~|\n<div>|<b>|\n<!-- |\n[a]: /b|`|(|)|"|'|’|.|,|:|;
""".rstrip("\n").split("|")
OTHER = ["\u0130", "\u0131", "\u017f", "\u212a", "\u00a0", "\u2028", "的", "许可", "前", "数据"]
WORDS = (
    "we will not release the data set|released under the|MIT|MIT License|Apache 2.0|Llama 2 Community|GPLv3|CC BY-NC 4.0|license"
    "|licensed|governed by|for research only|non-commercial use only|commercial use is prohibited|our model is open-source|weights"
    "|fill out the form|sign up|API|12:30 UTC|3 days ago|just now|3 天前|500 stars|Downloads: 500|last updated: 2024-05-01|today is"
    "|May 3|generated in 3 ms|request id: abcdef12|build hash 1234567|nonce: abcdefgh|?session=ab|-0123456789abcdef.js|© 2023"
    "|(c) 2020-2024|copyright|you|your|yourself|you're|thank-you|youth|arXiv:2301.01234|eprint = {2301.01234}|arxiv.org/abs/"
    "|10.48550/arXiv.2301.01234|huggingface.co/papers/2301.01234|hf.co/papers/2301.01234|hep-th/9901001|The Pile|C4|wikipedia"
    "|common crawl|The|pile|visitors count: 7|下载量：12"
).split("|")
FOLDERS = (
    "third_party vendor .git .github ci tests test_a a_test unit_tests examples recipe sample docs wiki conf configs src data"
    " datasets licences weights"
).split()
NAMES = (
    "train zero3 ds_config readme LICENSE use_policy copying dockerfile setup conda install_linux one_click datasheet model-card"
    " pytorch_model model mkdocs vocab a"
).split()
ENDS = ".py .md .MD .rst .ipynb .yaml .yml .json .j\u017fon .g\u0131n .toml .cfg .bin .pth .safetensors .csv .gz .sh .txt \n _x".split(
    " "
)


def soups(seed: int, count: int) -> list[str]:
    """Texts put together at random of what the patterns look for."""
    chance = random.Random(seed)
    pieces = [*WORDS, *WORDS, *MARKS, *OTHER]
    texts = [
        "".join(chance.choice(pieces) + chance.choice(["", " "]) for _ in range(30)) for _ in range(count)
    ]
    return [*texts, *(text.upper() for text in texts[: count // 4])]


TEXTS = soups(1, 400)


def test_a_hint_of_what_changes_by_itself_stands_in_all_of_it() -> None:
    for text in TEXTS:
        small = folded(text)
        for pattern, _, _, hint in volatile._BY_WORD:
            for match in pattern.finditer(text):
                assert hint.search(small), (pattern.pattern, match)
        if volatile.LABELLED_COUNTER.search(text):
            assert volatile._LABEL.search(small)
        if "前" in text and volatile.AGO.search(text):
            assert volatile._tells_age(text.lower())


def test_marks_stand_where_the_patterns_alone_would_put_them() -> None:
    pieces = (
        "3 days ago|an hour ago|A  few minutes ago|one week ago|just now|Just\nnow|.5 days ago|x3 days ago|3天前|12 个月前|3 月前"
        "|request id: abcdef12|array id abcdefgh|ray-id=abcdefgh|RAY_ID #ABCDEFG1|csrf token 0123456|session-id|nonce: 1234567"
        "|nonce\n=abcdefg|Build-Number 123456789|trace|\u212aey|inc\u0131dent id 1234567|\u017fession id abcdefg|a|one|ago| |\n|.|_"
    ).split("|")
    chance = random.Random(6)
    texts = ["".join(chance.choice(pieces) + chance.choice(["", " "]) for _ in range(8)) for _ in range(2000)]
    for text in [*TEXTS, *texts, *map(str.upper, texts)]:
        small = folded(text)
        for pattern, begins in (
            (volatile.AGO, volatile._BEGINS_AGO),
            (volatile.KEY, volatile._BEGINS_KEY),
        ):
            assert volatile._marked(pattern, begins, text, small) == pattern.sub(volatile.MARK, text)


def test_a_word_of_every_statement_is_found() -> None:
    pieces = (
        "fill out the form|submit|your|request|application|requesting|access|upon request|you must|need to|agree|accept|sign|apply"
        "|acknowledge|gated model|is gated|accepting the terms|agreeing to the licence|apply for a license|填写|sign up|sign-up|signup"
        "|signing-up|\u017fign up|waitlist|wait list|log in to|login required|create an account|please register|register now|api key"
        "|API-keys|pricing|prices|paid|subscribe|注册|online demo|live|web chat|hosted playground|try it out|try the demo|demo:|demo :"
        "|在线体验|transformers|significant|chatbot"
    ).split("|")
    chance = random.Random(7)
    ends = [" ", " ", " ", "\n", "", "-", "(", ").", "\x1f", "\u3000"]
    texts = [
        "".join(chance.choice(pieces) + chance.choice(ends) for _ in range(chance.randrange(1, 7)))
        for _ in range(4000)
    ]
    for text in [*TEXTS, *texts]:
        told = _TRIGGERS.of(folded(text))
        assert [says for bit, says, pattern in _BY_BIT if pattern.search(text) and not told & bit] == []


def test_licences_are_found_that_would_be_found_without_looking_for_words(monkeypatch) -> None:
    found = [licence_mentions.find_licence_mentions(text) for text in TEXTS]
    assert sum(map(len, found)) > 100
    monkeypatch.setattr(licence_mentions, "what_is_told", lambda prose: ~0)
    monkeypatch.setattr(licence_mentions, "may_name", lambda told, title: True)
    assert [licence_mentions.find_licence_mentions(text) for text in TEXTS] == found


def test_numbers_of_papers_are_found_that_a_search_would_find() -> None:
    spans = [[match.span() for match in ARXIV_MENTION.finditer(text)] for text in TEXTS]
    assert sum(map(len, spans)) > 100
    assert [[match.span() for match in _arxiv_mentions(text)] for text in TEXTS] == spans


def test_readers_are_addressed_as_often_as_by_the_plain_pattern() -> None:
    plain = re.compile(r"\b(?:you|your|you're|you'd|you'll|yourself)\b", re.IGNORECASE)
    for text in TEXTS:
        assert len(_ADDRESSED.findall(folded(text))) == len(plain.findall(text))


def test_corpora_are_found_that_their_patterns_find() -> None:
    for text in TEXTS:
        found = [(start, end) for _, start, end in corpora.find_corpora(text)]
        patterns = (corpora._pattern(exact)[0] for exact in (True, False))
        assert found == [match.span() for pattern in patterns for match in pattern.finditer(text)]


def test_names_of_corpora_in_a_text_are_those_in_its_parts() -> None:
    for text in TEXTS:
        names = corpora.names_in(text)
        for start in range(0, len(text), 25):
            part = text[start : start + 60]
            assert list(corpora.find_corpora(part, names)) == list(corpora.find_corpora(part))


def test_what_words_tell_is_the_same_after_they_were_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(base, "MOST_WORDS", 3)
    looked: list[str] = []
    triggers = base.Triggers(
        lambda word: looked.append(word) or (2 if "b" in word else 1 if "a" in word else 0)
    )
    long = "b" * (base.LONGEST_WORD + 1)
    for text, bits in (("a x", 1), ("b a", 3), ("x y z", 0), ("a b", 3), ("", 0), (long, 2), (long, 2)):
        assert triggers.of(text) == bits
        assert len(triggers._of_word) <= 3
    assert looked.count("a") == 2
    assert looked.count(long) == 2


def test_what_every_path_of_a_role_holds_is_in_it() -> None:
    chance = random.Random(2)
    for _ in range(4000):
        folders = [chance.choice(FOLDERS + NAMES) for _ in range(chance.randrange(4))]
        path = "/".join([*folders, chance.choice(NAMES) + chance.choice(ENDS) + chance.choice(ENDS)])
        small = folded(path)
        for pattern, words in (
            (tree.NOT_OURS, tree._NOT_OURS),
            (tree.TEST_PATH, tree._TEST),
            (tree.EXAMPLE_FILE, tree._EXAMPLE),
            (tree.WEIGHT_FILE, tree._WEIGHTS),
            (tree.LICENCE_FILE, tree._LICENCE),
        ):
            assert not pattern.search(path) or any(word in small for word in words), path
        for pattern, ends in ((tree.DOCS_FILE, tree._DOCS_ENDS), (tree.CONFIG_FILE, tree._CONFIG_ENDS)):
            assert not pattern.search(path) or small.removesuffix("\n").endswith(ends), path


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_blocks_are_those_of_the_library_s_own_rules(seed: int) -> None:
    library = MarkdownIt("commonmark", {"html": True, "maxNesting": MAX_NESTING})
    library.core.ruler.enableOnly(["normalize", "block"])
    chance = random.Random(seed)
    pieces = [
        *MARKS,
        *MARKS,
        "\n",
        "\n  ",
        "\n    ",
        "\n> ",
        "word",
        "words of a line",
        "3",
        "-",
        "=",
        "\\",
        "_",
        "*",
    ]
    for _ in range(400):
        text = "".join(chance.choice(pieces) for _ in range(40))
        assert blocks_of(Lines(text)) == list(_blocks_of_tokens(library.parse(text))), text
