"""What a heading says a section is about, and what it does not."""

from __future__ import annotations

import pytest

from pipelines.extract.topics import TEMPLATE, Topic, count_words, topics_of

T = Topic

TOPICS = {
    "Training data": {T.DATA, T.TRAINING},
    "Datasets": {T.DATA},
    "Corpus": {T.DATA},
    "训练数据": {T.DATA, T.TRAINING},
    "语料": {T.DATA},
    "Data collection": {T.DATA, T.COLLECTION},
    "Curation rationale": {T.COLLECTION},
    "Annotations": {T.COLLECTION},
    "Source Data": {T.DATA, T.COLLECTION},
    "数据来源": {T.DATA, T.COLLECTION},
    "Preprocessing": {T.PREPROCESSING},
    "Filtering and deduplication": {T.PREPROCESSING},
    "数据清洗": {T.DATA, T.PREPROCESSING},
    "Data fields": {T.DATA, T.COMPOSITION},
    "Data Splits": {T.DATA, T.COMPOSITION},
    "Dataset Summary": {T.COMPOSITION},
    "Datasheet": {T.COLLECTION},
    "Data Statement": {T.DATA, T.COLLECTION},
    "Datos de entrenamiento": {T.DATA, T.TRAINING},
    "Évaluation": {T.EVALUATION},
    "Einschränkungen": {T.LIMITATIONS},
    "学習データ": {T.DATA, T.TRAINING},
    "사용": {T.USAGE},
    "Evals": {T.EVALUATION},
    "Training set": {T.DATA, T.TRAINING},
    "What was it trained on?": {T.DATA, T.TRAINING},
    "Where does the data come from?": {T.DATA, T.COLLECTION},
    "How we collected the data": {T.DATA, T.COLLECTION},
    "Dataset contents": {T.DATA, T.COMPOSITION},
    "Instruction tuning": {T.TRAINING},
    "Hparams": {T.HYPERPARAMETERS},
    "Optimizer settings": {T.HYPERPARAMETERS},
    "Configuration used for training": {T.TRAINING, T.HYPERPARAMETERS},
    "Network design": {T.ARCHITECTURE},
    "Under the hood": {T.ARCHITECTURE},
    "CO2 emissions": {T.COMPUTE},
    "Scores": {T.EVALUATION},
    "How good is it?": {T.EVALUATION},
    "Purpose": {T.INTENDED_USE},
    "What it is for": {T.INTENDED_USE},
    "Not suitable for": {T.INTENDED_USE},
    "Shortcomings": {T.LIMITATIONS},
    "Things it cannot do": {T.LIMITATIONS},
    "Terms and conditions": {T.LICENCE},
    "Legal": {T.LICENCE},
    "Prompt format": {T.USAGE},
    "Prerequisites": {T.INSTALLATION},
    "OpenAI-compatible server": {T.API},
    "Training procedure": {T.TRAINING},
    "Fine-tuning": {T.TRAINING},
    "RLHF": {T.TRAINING},
    "微调": {T.TRAINING},
    "Hyperparameters": {T.HYPERPARAMETERS},
    "Training hyper-parameters": {T.TRAINING, T.HYPERPARAMETERS},
    "超参数": {T.HYPERPARAMETERS},
    "Model architecture": {T.ARCHITECTURE},
    "模型结构": {T.ARCHITECTURE},
    "Compute infrastructure": {T.COMPUTE},
    "Environmental Impact": {T.COMPUTE},
    "环境影响": {T.COMPUTE},
    "Evaluation results": {T.EVALUATION},
    "评测": {T.EVALUATION},
    "Intended uses & limitations": {T.INTENDED_USE, T.LIMITATIONS},
    "Out-of-scope use": {T.INTENDED_USE},
    "适用场景": {T.INTENDED_USE},
    "Bias, Risks, and Limitations": {T.LIMITATIONS},
    "Ethical considerations": {T.LIMITATIONS},
    "局限性": {T.LIMITATIONS},
    "免责声明": {T.LIMITATIONS},
    "License": {T.LICENCE},
    "Licence and terms of use": {T.LICENCE},
    "许可协议": {T.LICENCE},
    "Citation": {T.CITATION},
    "Our papers": {T.CITATION},
    "References": {T.CITATION},
    "引用": {T.CITATION},
    "How to use": {T.USAGE},
    "Quickstart": {T.USAGE},
    "Text generation": {T.USAGE},
    "使用方法": {T.USAGE},
    "Installation": {T.INSTALLATION},
    "Environment setup": {T.INSTALLATION},
    "安装": {T.INSTALLATION},
    "环境": {T.INSTALLATION},
    "API": {T.API},
    "Serving": {T.API},
    "接口": {T.API},
}

NOT_TOPICS = {
    "Database": {T.DATA},
    "Metadata": {T.DATA},
    "Update log": {T.DATA},
    "数据结构": {T.DATA},
    "Strain gauges": {T.TRAINING},
    "Restraints": {T.TRAINING},
    "Environmental Impact": {T.INSTALLATION},
    "环境影响": {T.INSTALLATION},
    "Users": {T.INTENDED_USE},
    "Because": {T.INTENDED_USE},
    "A general-purpose assistant": {T.INTENDED_USE},
    "General Purpose Chatbot": {T.INTENDED_USE},
    "Models trained on it": {T.DATA},
    "Training settled": {T.DATA},
    "Legally binding": {T.LICENCE},
    "In terms of speed": {T.LICENCE},
    "Computers": {T.COMPUTE},
    "How will it be distributed (e.g., tarball on website, API, GitHub)?": {T.API},
    "Hardware requirements": {T.COMPUTE},
    "硬件需求": {T.COMPUTE},
    "Fine-tuned Chat Models": {T.TRAINING},
    "Pretrained weights": {T.TRAINING},
    "免责声明": {T.LICENCE},
    "Preference": {T.CITATION},
    "Preferences": {T.CITATION},
    "Excited to announce": {T.CITATION},
    "City": {T.CITATION},
    "Regenerate": {T.USAGE},
    "Democracy": {T.USAGE},
    "Chateau": {T.USAGE},
    "Rapid growth": {T.API},
    "Capital": {T.API},
    "Sizes of gardens": {T.ARCHITECTURE},
}

NOTHING = ("News", "Contact", "Acknowledgements", "Contributors", "Roadmap", "FAQ", "Table of contents", "Sorrel 7B", "致谢", "更新日志", "", "!!!")  # fmt: skip


@pytest.mark.parametrize("title", TOPICS)
def test_a_heading_names_its_topics(title: str) -> None:
    assert set(topics_of(title)) >= TOPICS[title]


@pytest.mark.parametrize("title", NOT_TOPICS)
def test_a_heading_does_not_name_what_it_resembles(title: str) -> None:
    assert not set(topics_of(title)) & NOT_TOPICS[title]


@pytest.mark.parametrize("title", NOTHING)
def test_a_heading_about_something_else_has_no_topic(title: str) -> None:
    assert topics_of(title) == ()


def test_every_topic_is_shown_in_english_and_chinese() -> None:
    for chinese in (False, True):
        shown = {
            topic for title, topics in TOPICS.items() for topic in topics if title.isascii() is not chinese
        }
        assert shown >= set(Topic) - ({T.COMPOSITION} if chinese else set())


def test_topics_come_in_the_order_of_the_enumeration() -> None:
    order = list(Topic)
    for title in TOPICS:
        topics = topics_of(title)
        assert list(topics) == sorted(topics, key=order.index)


@pytest.mark.parametrize(
    "text",
    ["[More Information Needed]", "[needs more information]", "TODO", "<!-- Provide a summary. -->", "{{ card }}", "To be added", "待补充"],
)  # fmt: skip
def test_words_of_a_form_are_seen(text: str) -> None:
    assert TEMPLATE.search(text)
    assert count_words(text.replace("{{ card }}", "{{ card")) <= 3


@pytest.mark.parametrize(
    "text", ["Informed gardeners need more water.", "todos", "We added more information.", "mastodon"]
)
def test_ordinary_words_are_no_form(text: str) -> None:
    assert not TEMPLATE.search(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Sorrel is green.", 3),
        ("Don't over-water it", 3),
        ("**Bold** _and_ `code`", 3),
        ("see https://sorrel.example/a/b/c", 1),
        ("![a picture of it](https://sorrel.example/x.png)", 0),
        ("[a link](https://sorrel.example)", 2),
        ("<div align='center'>text</div>", 1),
        ("| a | b |", 2),
        ("12 34 5.6", 0),
        ("我们训练模型", 3),
        ("用 Sorrel 训练", 2),
    ],
)
def test_words_of_prose_are_counted(text: str, words: int) -> None:
    assert count_words(text) == words
