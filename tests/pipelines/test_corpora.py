"""The table of corpora, and where a text names one."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pipelines.extract.corpora import all_corpora, find_corpora, is_pretraining_corpus

CORPORA = all_corpora()


def named(text: str) -> list[str]:
    return [corpus.id for corpus, _, _ in find_corpora(text)]


def contexts(extracted, text: str) -> list[tuple[str, str]]:
    found = extracted("hf_model", "card", text)
    return [(item.value["corpus"], item.value["context"]) for item in found if item.kind == "corpus.named"]


def test_every_corpus_is_told_whole() -> None:
    for corpus in CORPORA:
        assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", corpus.id)
        assert corpus.use in ("pretraining", "tuning"), corpus.id
        assert corpus.access in ("open", "partial", "closed"), corpus.id
        assert re.match(r"https://\S+$", corpus.source), corpus.id
        assert corpus.names, corpus.id


def test_no_id_is_given_twice_and_no_name_to_two() -> None:
    assert len({corpus.id for corpus in CORPORA}) == len(CORPORA)
    names = Counter(name for corpus in CORPORA for name in {name.lower() for name in corpus.names})
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.id)
def test_every_name_matches_itself(corpus) -> None:
    for name in corpus.names:
        for text in (name, f"We train on {name}, and more.", f"({name})", f"数据包括{name}等"):
            spans = [text[start:end] for found, start, end in find_corpora(text) if found is corpus]
            assert spans == [name], text


@pytest.mark.parametrize(
    "text",
    [
        "the pile of leaves", "a c4 charge", "the stack overflowed", "Wikipedias", "XWikipedia", "Wikipedia2", "non-Wikipedia",
        "dolma leaves", "FLAN pudding", "a lima bean", "sharegpts", "no robots allowed", "natural instructions", "capybara pictures", "webtext", "common corpus",
    ],
)  # fmt: skip
def test_what_resembles_a_name_is_none(text: str) -> None:
    assert named(text) == []


@pytest.mark.parametrize(
    "name",
    ["cerebras/SlimPajama-627B", "orchard/C4-v2", "thicket/the_pile_deduplicated", "wren/dolma-sample"],
)
def test_how_much_of_a_corpus_and_which_version_is_the_corpus(name: str) -> None:
    assert is_pretraining_corpus(name)


@pytest.mark.parametrize(
    "name", ["orchard/c4-instructions", "wren/dolma-chat", "meadowlab/627B", "thicket/the_pile_of_leaves"]
)
def test_what_else_is_called_after_a_corpus_is_not(name: str) -> None:
    assert not is_pretraining_corpus(name)


@pytest.mark.parametrize("text", ["WIKIPEDIA", "wikipedia", "W\u0130K\u0131PED\u0130A", "Wi\u212aipedia"])
def test_case_is_ignored_for_ordinary_names(text: str) -> None:
    assert named(text) == ["wikipedia"]


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("Sorrel was pretrained on Wikipedia.", "pretraining"),
        ("It was fine-tuned on Wikipedia.", "tuning"),
        ("It was trained on Wikipedia.", "pretraining"),
        ("It was trained on UltraChat.", "tuning"),
        ("# Pretraining data\n\n- UltraChat", "pretraining"),
        ("## Training\n\n### Fine-tuning\n\nWikipedia was used.", "tuning"),
        ("我们在维基百科上训练。", "pretraining"),
    ],
)
def test_a_corpus_has_the_context_of_its_passage(extracted, text: str, context: str) -> None:
    assert [found for _, found in contexts(extracted, text)] == [context]


@pytest.mark.parametrize(
    "text",
    [
        "Trained models are evaluated on Wikipedia.",
        "We measure perplexity on C4 after training.",
        "Unlike models trained on Wikipedia, Sorrel is small.",
        "It outperforms models trained on the Pile.",
        "## Evaluation\n\nModels were trained and tested on Wikipedia.",
        "## Benchmarks\n\n| set | score |\n|---|---|\n| Wikipedia | 3 |",
        "## Citation\n\nWikipedia is a training corpus.",
        "Ask it anything about Wikipedia.",
        "在维基百科上训练并评测。",
    ],
)
def test_a_corpus_that_is_measured_compared_or_only_named_is_no_training_data(extracted, text: str) -> None:
    assert contexts(extracted, text) == []


def test_a_corpus_is_told_once_in_each_context(extracted) -> None:
    text = "It was pretrained on Wikipedia. Again pretrained on Wikipedia. Then fine-tuned on Wikipedia."
    assert contexts(extracted, text) == [("wikipedia", "pretraining"), ("wikipedia", "tuning")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("allenai/c4", True), ("c4", True), ("someone/Wikipedia", True), ("someone/red-pajama", True), ("HuggingFaceH4/ultrachat_200k", False), ("meadowlab/sorrel", False), ("", False), ("/", False)],
)  # fmt: skip
def test_pretraining_corpora_are_told_by_the_last_part_of_their_name(name: str, expected: bool) -> None:
    assert is_pretraining_corpus(name) is expected
