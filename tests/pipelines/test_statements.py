"""What sentences state, and what they do not: each pattern with what it must match and what it must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.extract.base import folded
from pipelines.extract.statements import FIRST_PERSON, NOT_NEEDED, STATEMENTS, statements_in
from pipelines.extract.triggers import STATEMENT_TRIGGERS

SAYS: dict[str, tuple[str, ...]] = {
    "withheld": (
        "We will not release the training data.",
        "The dataset is not publicly available.",
        "The weights cannot be shared.",
        "The code is not yet available.",
        "We have no plans to release the corpus.",
        "The sources of the data remain undisclosed.",
        "We do not provide the data.",
        "The annotations are not provided.",
        "The data won't be made public.",
        "We never published the prompts.",
        "We do not plan to make the training data public.",
        "The corpus stays internal.",
        "We have no permission to publish the dialogues.",
        "We may not release the user-shared conversations.",
        "The recordings are not redistributed.",
        "The rest of the corpus remains private.",
        "We cannot give away the recordings for now.",
        "训练数据不会公开。",
    ),
    "coming_soon": (
        "Training code coming soon!",
        "The weights will be released next month.",
        "We plan to release the dataset.",
        "Data: to be released.",
        "Stay tuned for the weights.",
        "即将开源。",
    ),
    "released": (
        "We release the weights.",
        "We also open-source our data.",
        "The data has been released.",
        "The checkpoints are freely available.",
        "The weights can be downloaded here.",
        "我们开源了代码。",
    ),
    "vague_data": (
        "It was pretrained on publicly available data.",
        "We used a wide variety of sources.",
        "The text is taken from the internet, text from the web.",
        "High-quality web data was used.",
        "使用互联网数据。",
    ),
    "own_data": (
        "A proprietary dataset was added.",
        "It was tuned on in-house data.",
        "It saw internally collected data.",
        "We bought licensed data.",
        "It was tuned on an in-house set of 90k dialogues.",
        "Two epochs on private logs.",
        "使用私有数据训练。",
        "使用自有数据训练。",
    ),
    "token_count": ("It was trained on 2 trillion tokens.", "We used 1.4T tokens.", "训练了2万亿token。"),
    "part_only": (
        "We publish a subset of the data.",
        "This is a sample of our training dataset.",
        "Only a part can be shared.",
        "There are 9 million pages in this public extract of Hedgerow.",
        "A publicly released slice of Hedgerow.",
        "This is the part of Hedgerow that was made public.",
        "仅开放部分数据。",
    ),
    "access_on_request": (
        "Fill out this form.",
        "Please request access first.",
        "The weights are available upon request.",
        "You must accept the licence.",
        "Access is gated.",
        "Apply for a licence here.",
        "请填写申请表。",
    ),
    "delta": ("These are delta weights.", "Download the weight diff.", "The files here are deltas.", "Weight differences only.", "Add these to the original Bramble weights.", "Then apply the delta.", "发布增量权重。"),
    "derived": (
        "Sorrel is fine-tuned from Bramble 7B.",
        "It is based on Bramble.",
        "Initialized from a checkpoint of Bramble.",
        "基于某模型微调。",
    ),
    "sign_up": (
        "Sign up for the waitlist.",
        "Get an API key.",
        "See our pricing.",
        "Please register to download.",
        "A paid plan is offered.",
        "请先注册账号。",
    ),
    "api_offer": ("Use our API.", "It has a REST API.", "An OpenAI-compatible API is offered.", "Start the OpenAI-compatible server.", "A REST endpoint listens.", "The API server listens.", "提供API服务。"),
    "demo_offer": ("Try the online demo.", "Demo: https://sorrel.example", "There is a web chat.", "在线体验"),
    "non_commercial": (
        "For non-commercial use.",
        "For research purposes only.",
        "Commercial use is prohibited.",
        "不得用于商业用途。",
    ),
    "container_image": (
        "docker pull meadowlab/sorrel",
        "docker run -it --gpus all meadowlab/sorrel:latest",
        "Images are at ghcr.io/meadowlab/sorrel.",
        "There is an official Docker image.",
    ),
    "unreleased_library": (
        "Sorrel needs the development version (4.2.dev) of `gardentools`.",
        "Use the nightly branch of gardentools.",
        "pip install -U git+https://git.example/gardentools",
    ),
    "open_claim": ("Sorrel is fully open source.", "It is open-sourced.", "完全开源。"),
    "commercial_claim": (
        "Sorrel is free for research and commercial use.",
        "It is commercially usable.",
        "Commercial use is allowed.",
        "可以免费商用。",
    ),
    "reproduce": ("To reproduce our results, run this.", "The training recipe is below.", "复现步骤"),
}  # fmt: skip

SAYS_NOT: dict[str, tuple[str, ...]] = {
    "withheld": (
        "The model was not only released but documented.",
        "The model was not trained on the released data.",
        "The model does not provide medical advice.",
        "This is not a public service announcement.",
        "We do not provide support.",
        "We never share your data with others.",
        "We release the data.",
        "Do not water it at noon.",
        "数据已公开。",
    ),
    "coming_soon": ("The meeting will be held tomorrow.", "We released the weights.", "Spring comes early."),
    "released": (
        "We will not release the training data.",
        "The dataset is not publicly available.",
        "We plan to release the dataset.",
        "The code is long.",
        "Press here.",
    ),
    "vague_data": ("We trained on Wikipedia.", "The data structure is a tree.", "Sources of light."),
    "own_data": ("A licensed electrician came.", "The house data was lost.", "Internal errors are logged."),
    "token_count": ("A context of 8192 tokens.", "Two tokens are added.", "7B parameters."),
    "part_only": ("Part of the community left.", "A part of Hedgerow House.", "Take a small sample.", "All of the data is published."),
    "access_on_request": ("The request failed.", "It has gated recurrent units.", "A formal garden.", "Signs of rain."),
    "delta": ("The Mississippi delta.", "Add water to the original soil.", "The difference between models.", "A different model.", "Diffuse weights."),
    "derived": ("A derivative work.", "Trained gardeners.", "The base of the tree."),
    "sign_up": (
        "No sign-up is needed.",
        "You can use it without an API key.",
        "A priceless garden.",
        "Unpaid labour.",
        "The worker will register itself.",
        "Significant upside.",
        "无需注册即可使用。",
    ),
    "api_offer": ("The Python API changed.", "The server is down.", "Rapid growth.", "Capital letters."),
    "demo_offer": ("Demographic data.", "A democracy.", "We chatted online."),
    "non_commercial": ("Commercial use is allowed.", "For research.", "The commerce of plants."),
    "container_image": ("docker build .", "Build the docker image yourself.", "docker run sorrel", "An image of a plant.", "https://docker.example/x"),
    "unreleased_library": ("The development of gardens.", "pip install gardentools", "A version of dev tools."),
    "open_claim": ("An open door.", "Open the source file.", "opens sources"),
    "commercial_claim": ("Commercial use is prohibited.", "A commercial product.", "For non-commercial use only."),
    "reproduce": ("Product of the year.", "A train script of a film.", "Retrainings."),
}  # fmt: skip


def says(sentence: str) -> set[str]:
    return {statement for statement, _ in statements_in(sentence)}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_is_found_where_it_is_made(statement: str) -> None:
    for sentence in SAYS[statement]:
        assert statement in says(sentence), sentence


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_is_not_found_where_it_is_not_made(statement: str) -> None:
    for sentence in SAYS_NOT[statement]:
        assert statement not in says(sentence), sentence


def test_every_statement_is_shown_both_ways() -> None:
    assert set(SAYS) == set(SAYS_NOT) == set(STATEMENTS) == set(STATEMENT_TRIGGERS)


@pytest.mark.parametrize(
    ("sentence", "statement", "about"),
    [
        ("We will not release the training data.", "withheld", "data"),
        ("We will not release the weights.", "withheld", "weights"),
        ("We will not release the code.", "withheld", "code"),
        ("We will not release it.", "withheld", None),
        ("The code is public, the corpus will not be released.", "withheld", "data"),
        ("数据不会公开", "withheld", "data"),
        ("权重即将发布", "coming_soon", "weights"),
        (
            "Data was cleaned by hand" + " and by hand" * 12 + "; some of it will not be published.",
            "withheld",
            None,
        ),
    ],
)
def test_a_statement_is_about_the_nearest_noun(sentence: str, statement: str, about: str | None) -> None:
    assert (statement, about) in statements_in(sentence)


def test_of_a_very_long_sentence_the_beginning_is_read() -> None:
    assert "delta" in says("These are delta weights " + "and so on " * 10_000)
    assert "delta" not in says("and so on " * 10_000 + "these are delta weights")


EVERYTHING = [sentence for told in (*SAYS.values(), *SAYS_NOT.values()) for sentence in told]
LETTERS = st.sampled_from(["", " ", "\u0130", "\u0131", "\u017f", "\u212a", "ß", "é", "的"])


@given(
    pieces=st.lists(st.sampled_from(EVERYTHING) | LETTERS | st.text(max_size=8), max_size=4),
    upper=st.booleans(),
)
def test_looking_for_words_first_overlooks_nothing(pieces: list[str], upper: bool) -> None:
    sentence = " ".join(pieces)[:1500]
    sentence = sentence.upper() if upper else sentence
    found = {
        statement
        for statement, pattern in STATEMENTS.items()
        if pattern.search(sentence) and not (statement == "sign_up" and NOT_NEEDED.search(sentence))
    }
    assert says(sentence) == found


@pytest.mark.parametrize("letters", ["\u0130i", "\u0131i", "\u017fs", "\u212ak", "Éé", "ẞß", "Aa"])
def test_letters_that_match_each_other_are_folded_alike(letters: str) -> None:
    assert folded(letters[0]) == folded(letters[1])
    assert len(folded(letters)) == len(letters)


@pytest.mark.parametrize(
    "text", ["We present Sorrel.", "This repository holds", "Please cite", "our data", "本项目"]
)
def test_makers_speak_in_the_first_person(text: str) -> None:
    assert FIRST_PERSON.search(text)


@pytest.mark.parametrize("text", ["They present Bramble.", "See also", "Weeds", "hours", "Using it"])
def test_others_do_not(text: str) -> None:
    assert not FIRST_PERSON.search(text)
