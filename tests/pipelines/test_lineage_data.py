from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SeedError
from pipelines.lineage_data import BaseModel, find_base, name_key, parse_lineage
from pipelines.model import Rating

FACT = "{class: closed, statement: Nothing is told., source: 'https://ink.example/'}"


def lineage(*entries: str) -> str:
    return "".join(entries)


def entry(name: str, *, aliases: str = "[]", maker: str = "Paperwing Labs", extra: str = "") -> str:
    return (
        f"- name: {name}\n  aliases: {aliases}\n  maker: {maker}\n  facts:\n"
        f"    data: {FACT}\n    weights: {FACT}\n    license: {FACT}\n    architecture: {FACT}\n{extra}"
    )


@pytest.fixture(scope="module")
def bases() -> list[BaseModel]:
    text = lineage(
        entry("Inkwell", aliases="[Inkwell 1, Inkwell original]"),
        entry("Inkwell-3.5", aliases="[ScribeChat, Inkwell 3.5 turbo]"),
        entry("Inkwell 4"),
        entry("Instruct-Nib"),
        entry("text-blotter-003"),
        entry("墨水"),
    )
    return parse_lineage(text, "lineage.yaml")


def errors_of(text: str) -> list[str]:
    with pytest.raises(SeedError) as caught:
        parse_lineage(text, "lineage.yaml")
    return str(caught.value).splitlines()


def test_every_field_is_read() -> None:
    text = """\
- name: Inkwell
  aliases: [Ink]
  maker: Paperwing
  facts:
    data: {class: partial, statement: Two corpora are named., source: "https://arxiv.org/abs/2301.01234"}
    weights: {class: open, statement: Anybody can fetch them., source: "https://ink.example/w"}
    license: {class: open, id: Apache-2.0, statement: The terms are free., source: "https://ink.example/l"}
    architecture: {class: closed, statement: Only a name is given., source: "https://ink.example/a"}
    datasheet: {class: partial, statement: One corpus is documented., source: "https://ink.example/d"}
"""
    (base,) = parse_lineage(text, "lineage.yaml")
    assert (base.name, base.aliases, base.maker) == ("Inkwell", ("Ink",), "Paperwing")
    assert base.data.rating is Rating.PARTIAL
    assert base.data.statement == "Two corpora are named."
    assert base.data.source == "https://arxiv.org/abs/2301.01234"
    assert base.data.path == "$[0].facts.data"
    assert base.license.license_id == "Apache-2.0"
    assert base.datasheet is not None
    assert base.datasheet.rating is Rating.PARTIAL


def test_a_datasheet_fact_may_be_absent() -> None:
    assert parse_lineage(entry("Inkwell"), "l")[0].datasheet is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lineage.yaml:1: the file is empty"),
        ("a: b\n", "a list of base models is expected"),
        ("- name: Ink\n", "[0].maker: is missing"),
        ("- name: Ink\n  maker: P\n  facts: none\n", "[0].facts: a mapping is expected"),
        ("- name: Ink\n  maker: P\n  facts: {data: x}\n", "[0].facts.data: a mapping is expected"),
        (entry("Ink").replace("class: closed", "class: secret", 1), "unknown class 'secret'"),
        (entry("Ink").replace("https", "ftp", 1), "lineage.yaml:5: [0].facts.data.source: "),
        (entry("Ink").replace("{class: closed, ", "{", 1), "[0].facts.data.class: is missing"),
        (entry("Ink").replace("{class", "{id: MIT, class", 1), "[0].facts.data.id: unknown key"),
        (entry("Ink").replace("license: {", "license: {id: a b, "), "'a b' is no licence id"),
        (entry("Ink", extra="    price: 3\n"), "lineage.yaml:9: [0].facts.price: unknown key"),
        (entry("Ink") + entry("INK 7B"), "'INK 7B' is the same name as 'Ink' on line 1"),
        (entry("Ink", aliases="[nk, Pen, I.N.K.]"), "[0].aliases[2]: 'I.N.K.' is the same name as 'Ink'"),
        (entry("13B"), "'13B' has no name in it"),
        (entry("Ink", aliases="&x [*x]"), "aliases (*x) are not allowed"),
    ],
)
def test_a_malformed_file_is_refused(text: str, expected: str) -> None:
    lines = errors_of(text)
    assert any(expected in line for line in lines), lines
    assert lines[-1].endswith("nothing was taken over")


def test_all_mistakes_are_named_at_once() -> None:
    text = entry("Ink").replace("class: closed", "class: secret")
    assert len(errors_of(text)) == 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Inkwell", "Inkwell"),
        ("INKWELL", "Inkwell"),
        ("Inkwell 13B", "Inkwell"),
        ("inkwell-7b-hf", "Inkwell"),
        ("Inkwell13B", "Inkwell"),
        ("Inkwell (65B)", "Inkwell"),
        ("Inkwell 6.9b", "Inkwell"),
        ("Inkwell 540 billion", "Inkwell"),
        ("Inkwell 8x7B", "Inkwell"),
        ("Inkwell v1", "Inkwell"),
        ("Ink-well", "Inkwell"),
        ("Paperwing Inkwell", "Inkwell"),
        ("Paperwing Labs Inkwell 30B", "Inkwell"),
        ("Inkwell-3.5", "Inkwell-3.5"),
        ("Inkwell 3.5", "Inkwell-3.5"),
        ("inkwell3.5", "Inkwell-3.5"),
        ("Scribe Chat", "Inkwell-3.5"),
        ("inkwell-4-32k", "Inkwell 4"),
        ("Inkwell 4.0", "Inkwell 4"),
        ("Inkwell version 4", "Inkwell 4"),
        ("InstructNib", "Instruct-Nib"),
        ("instruct nib 13b", "Instruct-Nib"),
        ("text-blotter-003", "text-blotter-003"),
        ("墨水-13B", "墨水"),
    ],
)
def test_a_name_is_found_however_it_is_spelt(bases: list[BaseModel], name: str, expected: str) -> None:
    found = find_base(bases, name)
    assert found is not None
    assert found.name == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "13B",
        "Inkwell2",
        "Inkwell 2 13B",
        "Inkwell 3",
        "Inkwell 4o",
        "Inkwell 4.1",
        "Inkwell 35",
        "Inkwell-3.50",
        "CodeInkwell",
        "OpenInkwell 7B",
        "Inkwell & Nib",
        "text-blotter-002",
        "text-blotter-3",
        "Paperwing",
        "Nib",
        "various",
        "someone/inkwell-7b",
    ],
)
def test_another_model_is_not_taken_for_it(bases: list[BaseModel], name: str) -> None:
    assert find_base(bases, name) is None


def test_a_size_alone_is_no_version() -> None:
    assert name_key("Inkwell 7B") == name_key("Inkwell 70b") == ("inkwell",)
    assert name_key("Inkwell 2 7B") == ("inkwell", "2")


@pytest.mark.parametrize("text", ["inkwell 4turbo", "7bit", "3.5", "b", "4 turbo"])
def test_what_only_resembles_a_size_stays(text: str) -> None:
    assert name_key(text) == name_key(text.replace("turbo", " turbo"))
    assert name_key(text)


@given(st.text(max_size=60))
def test_a_key_does_not_depend_on_case_or_punctuation_around(text: str) -> None:
    key = name_key(text)
    assert all(key)
    assert name_key(f" ({text}) ") == key


def test_the_projects_own_lineage_file_is_good(root: Path) -> None:
    found = parse_lineage((root / "lineage.yaml").read_text(encoding="utf-8"), "lineage.yaml")
    assert len(found) >= 12
    expected = {
        "LLaMA 13B": "LLaMA",
        "Meta LLaMA": "LLaMA",
        "GPT 3.5": "GPT-3.5",
        "ChatGPT": "GPT-3.5",
        "GPT2": "GPT-2",
        "Instruct-GPT": "InstructGPT",
        "OpenAI GPT-4": "GPT-4",
        "PaLM2": "PaLM 2",
        "LLaMA2": "Llama 2",
        "Meta Llama 3": "Llama 3",
        "GPT-J 6B": "GPT-J",
    }
    for name, base in expected.items():
        match = find_base(found, name)
        assert match is not None, name
        assert match.name == base
    for other in (
        "GPT-NeoX-20B",
        "CodeLlama",
        "OpenLLaMA",
        "ChatGLM-6B",
    ):
        assert find_base(found, other) is None, other


def test_statements_of_the_own_file_are_single_sentences(root: Path) -> None:
    for base in parse_lineage((root / "lineage.yaml").read_text(encoding="utf-8"), "lineage.yaml"):
        for fact in (base.data, base.weights, base.license, base.architecture, base.datasheet):
            assert fact is None or fact.statement.endswith(".")
            assert fact is None or ". " not in fact.statement
