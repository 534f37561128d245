"""What is looked for before a pattern is tried never hides what the pattern would find: both ways are compared."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
import yaml
from markdown_it import MarkdownIt

from pipelines import front_matter, volatile
from pipelines.extract import corpora, licence_mentions, tree, triggers
from pipelines.extract.licence_table import name_parts, strong_names
from pipelines.extract.links import ARXIV_MENTION, _arxiv_mentions
from pipelines.extract.statements import _BY_BIT
from pipelines.extract.topics import _ADDRESSED
from pipelines.folding import folded
from pipelines.markdown_blocks import MAX_NESTING, Lines, _blocks_of_tokens, blocks_of
from pipelines.markdown_links import BARE_URL, _bare_urls

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
        told = triggers.what_is_told(text)
        assert [says for bit, says, pattern in _BY_BIT if pattern.search(text) and not told & bit] == []


def test_licences_are_found_that_would_be_found_without_looking_for_words(monkeypatch) -> None:
    found = [licence_mentions.find_licence_mentions(text) for text in TEXTS]
    assert sum(map(len, found)) > 100
    monkeypatch.setattr(licence_mentions, "what_is_told", lambda prose: ~0)
    assert [licence_mentions.find_licence_mentions(text) for text in TEXTS] == found


def test_terms_without_a_name_have_a_word_of_each_group() -> None:
    pieces = (
        "for|to|be|academic|research|educational|learning|scientific|only|solely|exclusively|strictly|limited|restricted|not|used|outside|of"
        "|other|than|or|,|/|\n|仅|只|可|能|用于|学术|研究|学习|on\u017fly|\u017fcientific|re\u017fearch"
    ).split("|")
    chance = random.Random(13)
    texts = [" ".join(chance.choice(pieces) for _ in range(8)) for _ in range(4000)]
    texts += [text.replace(" ", "") for text in texts if not text.isascii()]
    matched = [text for text in [*TEXTS, *texts] if licence_mentions.RESEARCH_ONLY.search(text)]
    assert len(matched) > 300
    for text in matched:
        for group in (triggers.RESEARCH_TRIGGERS, triggers.ONLY_TRIGGERS):
            assert any(word in folded(text) for word in group), text


def test_numbers_of_papers_are_found_that_a_search_would_find() -> None:
    spans = [[match.span() for match in ARXIV_MENTION.finditer(text)] for text in TEXTS]
    assert sum(map(len, spans)) > 100
    assert [[match.span() for match in _arxiv_mentions(text)] for text in TEXTS] == spans


def test_addresses_are_found_that_a_search_would_find() -> None:
    pieces = "http|https|HTTP|Http\u017f|://|:|/|//|s|x|a.example|_|(|<| |\n|？|http://a.example|https://b.example/c?d=http://e.example".split(
        "|"
    )
    chance = random.Random(9)
    texts = ["".join(chance.choice(pieces) for _ in range(10)) for _ in range(4000)]
    spans = [[match.span() for match in BARE_URL.finditer(text)] for text in texts]
    assert sum(map(len, spans)) > 1000
    assert [[match.span() for match in _bare_urls(text)] for text in texts] == spans


def test_readers_are_addressed_as_often_as_by_the_plain_pattern() -> None:
    plain = re.compile(r"\b(?:you|your|you're|you'd|you'll|yourself)\b", re.IGNORECASE)
    for text in TEXTS:
        assert len(_ADDRESSED.findall(folded(text))) == len(plain.findall(text))


def test_corpora_are_found_that_their_patterns_find() -> None:
    for text in TEXTS:
        found = [(start, end) for _, start, end in corpora.find_corpora(text)]
        patterns = (corpora._pattern(exact)[0] for exact in (True, False))
        assert found == [match.span() for pattern in patterns for match in pattern.finditer(text)]


def test_a_word_of_every_corpus_and_licence_is_found() -> None:
    spellings = [
        "creativecommons",
        "GPLv3",
        "AGPLv3+",
        "gplv2",
        "CreativeML OpenRAILM",
        "StabilityAI",
        "mulanpsl2",
    ]
    names = [name for corpus in corpora.all_corpora() for name in corpus.names]
    texts = [
        *TEXTS,
        *names,
        *(name.upper() for name in names),
        *spellings,
        *(f"x({name})" for name in spellings),
    ]
    for text in texts:
        told = triggers.what_is_told(text)
        assert told & triggers.CORPUS or not list(corpora.find_corpora(text)), text
        parts = [part for _, _, parts in name_parts(text) for part in parts]
        for name in strong_names():
            places = range(len(parts) - len(name) + 1)
            is_there = any(tuple(parts[place : place + len(name)]) == name for place in places)
            assert told & triggers.LICENCE_NAME or not is_there, (text, name)


def test_all_triggers_in_a_word_are_told_also_where_they_overlap() -> None:
    words = {"open": 1, "pen": 2, "pending": 4, "end": 8, "ding": 16, "o": 32, "dd": 64}
    told = triggers.bits_of(words)
    chance = random.Random(8)
    texts = ["".join(chance.choice("opendig") for _ in range(12)) for _ in range(2000)]
    for text in ["opending", "openddd", "x", "", *texts]:
        assert told(text) == sum(bits for word, bits in words.items() if word in text), text


def test_what_words_tell_is_the_same_after_they_were_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(triggers, "MOST_WORDS", 3)
    looked: list[str] = []
    words = triggers.RememberedWords(
        lambda word: looked.append(word) or (2 if "b" in word else 1 if "a" in word else 0)
    )
    long = "b" * (triggers.LONGEST_WORD + 1)
    for word, bits in (
        ("a", 1),
        ("x", 0),
        ("b", 2),
        ("y", 0),
        ("z", 0),
        ("a", 1),
        (long, 2),
        (long, 2),
        ("b", 2),
    ):
        assert words[word] == bits
        assert len(words) <= 3
    assert looked.count("a") == 2
    assert looked.count(long) == 2


YAML = [
    *(
        "key: value|: |- |\n- |\n  - |\n  |\n    |a: b|\"x y\"|'it''s'| #c|\n# c\n|\n\n|[a, b]|[a: b]|{a: 1}|--- |\n...\n|no|12"
    ).split("|"),
    *(
        "1.5|<<: |::|- - |-\n|\"\"|[]| :|\n:|'a\n\n b'|http://x.y/z?|k: 'v' x|x: [1,\n  2]\n|? |&a |*a|!!str |!x |>-\n  "
    ).split("|"),
    *("|\n  ", "|2-\n   ", "|#", ">#", "\\n", "v", "w x", "null"),
]
SIGNS = "abz019 .,-_:'\"#[]{}/()+=~;<>|!&*?%@`\\\t\r\x85\u2028\ufeff\xa0é中\U0001f600\n\n\n\n     "


def _read(load: Callable[[str], object], text: str) -> str:
    try:
        return repr(load(text))
    except (yaml.YAMLError, front_matter._TooLargeError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("seed", [10, 11])
def test_front_matter_is_read_as_by_the_slow_reader_alone(seed: int) -> None:
    chance = random.Random(seed)
    texts = ["".join(chance.choice(YAML) for _ in range(chance.randint(1, 14))) for _ in range(1000)]
    texts += ["".join(chance.choice(SIGNS) for _ in range(chance.randint(1, 40))) for _ in range(1000)]
    for _ in range(2000):
        lines = range(chance.randint(1, 8))
        begins = [chance.choice(["- ", "", f"k{line}: ", f"k{line}:", "- k: "]) for line in lines]
        texts.append("\n".join(begin + chance.choice(YAML) for begin in begins))
        texts.append("\n".join("  " * chance.randint(0, 3) + begin + chance.choice(YAML) for begin in begins))
    read = [_read(front_matter._loaded, f"{text}\n") for text in texts]
    assert sum(1 for values in read if values[0] in "[{") > 400
    for text, values in zip(texts, read, strict=True):
        assert values == _read(lambda text: yaml.load(text, Loader=front_matter.CardLoader), f"{text}\n"), (
            text
        )


@pytest.mark.parametrize("unit", ["-", "- " * 19 + "-", "- " * 19 + "b:", "a:", "a: ", "- " * 25 + "a"])
def test_front_matter_that_nests_deep_is_refused(unit: str) -> None:
    lines: list[str] = []
    indent = 0
    while sum(map(len, lines)) + indent < 90_000:
        lines.append(" " * indent + unit)
        indent += len(unit) if unit[0] == "-" else 1
    values, error, _ = front_matter.parse_front_matter("\n".join(["---", *lines, "---\n"]))
    assert values is None
    assert error


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
