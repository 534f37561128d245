"""Licences: facts, names, whole texts, mentions in prose."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import licence_words
from pipelines.extract import licence_badges, licence_mentions, licence_notices, licence_scope, licence_table
from pipelines.extract.licence_index import licence_index
from pipelines.extract.licence_table import KINDS, RESTRICTIONS, name_key, packaged_data, written_facts
from pipelines.extract.licences import (
    find_licence_mentions,
    licence_facts,
    licences,
    licences_in_expression,
    match_licence_text,
    normalise_licence,
)

# --- facts --------------------------------------------------------------------------------------


def test_every_written_licence_has_a_source_a_kind_and_its_own_identifier() -> None:
    facts = written_facts()
    assert len({one.id for one in facts}) == len(facts)
    assert len({one.id.lower() for one in licences().values()}) == len(licences())
    for one in facts:
        assert re.fullmatch(r"https://[\w.-]+/?\S*", one.source), one.id
        assert one.kind in KINDS, one.id
        assert set(one.restrictions) <= set(RESTRICTIONS), one.id
        assert one.name
        assert one.family


def test_no_spelling_means_two_licences() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for one in written_facts():
        for name in (one.id, one.name, *one.names, *one.weak_names, *one.titles):
            assert seen.setdefault(name_key(name), one.id) == one.id, name


def test_osi_approval_is_that_of_the_spdx_list() -> None:
    spdx = {entry["id"]: entry["osi"] for entry in packaged_data()["names"]}
    for one in written_facts():
        if one.id in spdx:
            assert one.osi_approved == spdx[one.id], one.id
        elif one.family != "gnu" and one.id != "BSD":
            assert not one.osi_approved, one.id


def test_restrictions_and_kinds_agree() -> None:
    for one in licences().values():
        if one.kind in ("permissive", "public-domain", "bespoke-open"):
            assert not one.restrictions, one.id
        if one.kind == "non-commercial":
            assert "non-commercial" in one.restrictions, one.id
        if one.osi_approved:
            assert one.kind in ("permissive", "copyleft", "public-domain"), one.id


def test_facts_of_licences_that_nobody_wrote_down() -> None:
    eupl, nc = licence_facts("EUPL-1.2"), licence_facts("CC-BY-NC-SA-2.0")
    assert eupl is not None
    assert nc is not None
    assert (eupl.osi_approved, eupl.kind) == (True, "copyleft")
    assert (nc.kind, nc.restrictions) == ("non-commercial", ("non-commercial", "share-alike"))
    assert licence_facts("apache-2.0") is licence_facts("Apache-2.0")
    assert licence_facts("LicenseRef-of-nobody") is None


def test_the_data_file_says_where_its_texts_come_from() -> None:
    assert "SPDX" in packaged_data()["sources"]["spdx"]
    assert "CC-BY-4.0" in packaged_data()["sources"]["scancode"]
    assert set(licence_index().identifiers) <= set(licences())


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("License :: OSI Approved :: Apache Software License", "Apache-2.0"),
        ("mit", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("License :: OSI Approved :: MIT License", "MIT"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
        ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
        ("odc-by", "ODC-By-1.0"),
        ("GPLv3", "GPL-3.0"),
        ("License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("GPL-3.0-only", "GPL-3.0-only"),
        ("New BSD License", "BSD-3-Clause"),
        ("bigscience-bloom-rail-1.0", "bigscience-bloom-rail-1.0"),
        ("RAIL License v1.0", "bigscience-bloom-rail-1.0"),
        ("OpenRAIL-M", "openrail"),
        ("creativeml-openrail-m", "creativeml-openrail-m"),
        ("openrail++", "openrail++"),
        ("llama2", "llama2"),
        ("Llama 2 Community License", "llama2"),
        ("llama3.1", "llama3.1"),
        ("gemma", "gemma"),
        ("tongyi-qianwen", "tongyi-qianwen"),
        ("tongyi-qianwen-research", "tongyi-qianwen-research"),
        ("microsoft-research-license", "microsoft-research-license"),
        ("yi-license", "yi-license"),
        ("ai2-impact-license-low-risk", "ai2-impact-low"),
        ("non-commercial bespoke license", "LicenseRef-non-commercial"),
        ("other", "other"),
        ("unknown", "unknown"),
        ("NOASSERTION", "unknown"),
        ("MIT OR Apache-2.0", "MIT"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0"),
        ("License :: Other/Proprietary License", "LicenseRef-proprietary"),
    ],
)
def test_spellings_of_licences(name: str, identifier: str) -> None:
    assert normalise_licence(name) == identifier


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "license",
        "robin",
        "see LICENSE file",
        "MIT AND Apache-2.0",
        "Llama 9",
        "Apache Spark",
        "x" * 500,
    ],
)
def test_what_is_no_licence(name: str | None) -> None:
    assert normalise_licence(name) is None


def test_every_identifier_and_every_written_spelling_means_its_licence() -> None:
    for identifier, facts in licences().items():
        # The plus of older identifiers is "or later" today.
        assert normalise_licence(identifier) in (identifier, identifier.replace("+", "-or-later"))
        for name in (*facts.names, *facts.weak_names):
            assert normalise_licence(name) == identifier, name


def test_lists_of_licences() -> None:
    assert licences_in_expression("MIT AND (Apache-2.0 OR robin)") == ("MIT", "Apache-2.0")
    assert licences_in_expression("apache-2.0, cc-by-4.0") == ("Apache-2.0", "CC-BY-4.0")
    assert licences_in_expression("robin") == ()


# --- texts --------------------------------------------------------------------------------------

MIT = """MIT License

Copyright (c) 2030 Finch Labs

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def packaged(identifier: str) -> str:
    """The words of a packaged text."""
    return next(words for licence, words in licence_index().written_texts() if licence == identifier)


def found(text: str, basis: str | None = None) -> list[str]:
    return [match.id for match in match_licence_text(text) if basis is None or match.basis == basis]


@pytest.mark.parametrize(
    "text",
    [
        MIT,
        MIT.replace("\n", "\r\n"),
        MIT.upper(),
        "\n".join("# " + line for line in MIT.splitlines()),
        MIT.partition("\n\n")[2],
        "Robin tools\n===========\n\nAll of this is ours.\n\n" + MIT,
    ],
    ids=["plain", "windows", "capitals", "comment", "no title", "header"],
)
def test_a_short_text_is_recognised_in_every_dress(text: str) -> None:
    (match,) = match_licence_text(text)
    assert (match.id, match.basis) == ("MIT", "text")
    assert match.score > 0.97
    assert "permission" in text[match.start : match.end].lower()


@pytest.mark.parametrize(
    "identifier",
    "Apache-2.0 GPL-2.0 GPL-3.0 AGPL-3.0 MPL-2.0 BSD-3-Clause BSD-2-Clause CC-BY-4.0 CC-BY-NC-4.0 CC-BY-SA-4.0 CC0-1.0 "
    "ODC-By-1.0 Unlicense llama2 llama3.1 llama3.2 llama3.3 llama4 llama1 gemma bigscience-bloom-rail-1.0 "
    "creativeml-openrail-m bigcode-openrail-m tongyi-qianwen qwen deepseek falcon-2-11b-1.0 Commons-Clause".split(),
)
def test_a_text_with_a_foreign_head_and_a_cut_end_is_recognised(identifier: str) -> None:
    words = packaged(identifier).split()
    text = "Robin of Finch Labs, all files of it.\n\n" + " ".join(words[: int(len(words) * 0.97)])
    assert found(text)[:1] == [identifier]


def test_an_appendix_that_is_missing_does_not_matter() -> None:
    words = packaged("Apache-2.0").split()
    (match,) = match_licence_text(" ".join(words[: words.index("appendix")]))
    assert match.id == "Apache-2.0"
    assert match.coverage < 0.95


def test_the_lesser_licence_is_recognised_without_the_general_one() -> None:
    words = packaged("LGPL-3.0").split()
    general = next(
        at
        for at in range(20, len(words))
        if words[at : at + 3] == ["gnu", "general", "public"]
        and words[at + 4 : at + 6] == ["version", "3"]
        and at > 800
    )
    assert found(" ".join(words[:general]))[:1] == ["LGPL-3.0"]


def test_a_file_with_several_licences_gives_all_with_their_places() -> None:
    apache = packaged("Apache-2.0")
    text = f"Robin\n\n{apache}\n\n----\nThe folder wren is older:\n\n{MIT}\n----\n{apache}"
    matches = match_licence_text(text)
    assert [match.id for match in matches] == ["Apache-2.0", "MIT", "Apache-2.0"]
    assert all(one.end <= other.start for one, other in itertools.pairwise(matches))
    assert matches[0].rest < 12


def test_a_clause_within_a_short_text_makes_it_another_licence() -> None:
    clause = (
        "You agree that whoever runs the Software for more than a thousand guests every month pays Finch Labs a fee "
        "and shows the robin on each screen.\n\n"
    )
    at = MIT.index("THE SOFTWARE IS")
    assert "MIT" not in found(MIT[:at] + clause + MIT[at:], "text")


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (
            "deal\nin the Software without restriction",
            "deal\nin the Software for non-commercial purposes without restriction",
        ),
        ("subject to the following conditions", "subject to the following conditions, and not commercially"),
    ],
)
def test_a_few_words_against_commerce_make_it_another_licence(words: str, more: str) -> None:
    assert words in MIT
    assert "MIT" not in found(MIT.replace(words, more), "text")


def test_terms_added_to_a_text_are_found_beside_it() -> None:
    text = packaged("Apache-2.0") + "\n\nThe weights may be used for non-commercial purposes only.\n"
    assert found(text) == ["Apache-2.0", "LicenseRef-non-commercial"]


@pytest.mark.parametrize(
    ("title", "identifier"),
    [
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT", "llama3"),
        ("Yi Series Models Community License Agreement", "yi-license"),
        ("# TII Falcon LLM License Version 1.0", "falcon-llm-1.0"),
        ("Falcon-180B TII License Version 1.0", "falcon-180b"),
        ("AI2 ImpACT License – Low Risk Artifacts", "ai2-impact-low"),
        ("MICROSOFT RESEARCH LICENSE TERMS", "microsoft-research-license"),
        ("Mistral AI Research License", "mistral-research-license"),
        ("Copyright (c) 2030 Somebody\n\nCreativeML Open RAIL-M", "creativeml-openrail-m"),
        ("Tongyi Qianwen RESEARCH LICENSE AGREEMENT", "tongyi-qianwen-research"),
    ],
)
def test_a_licence_without_packaged_text_is_recognised_by_its_title(title: str, identifier: str) -> None:
    body = "\n\nBy using the birds of this cage you accept what the keeper wrote here. " * 12
    text = title + body
    (match,) = match_licence_text(text)
    assert (match.id, match.basis) == (identifier, "title")
    assert text[match.start :].lower().startswith(title.split("\n")[-1].strip("# ").lower())


def test_a_new_version_of_a_text_is_named_by_its_title() -> None:
    text = packaged("llama3.1").replace("llama 3.1", "llama 3").replace("3.1", "3")
    text = "META LLAMA 3 COMMUNITY LICENSE AGREEMENT\n\n" + text.partition("agreement")[2]
    assert found(text) == ["llama3"]


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        (
            'Licensed under the Apache License, Version 2.0 (the "License");\nyou may not use this file.',
            ["Apache-2.0"],
        ),
        ("# SPDX-License-Identifier: BSD-3-Clause\n", ["BSD-3-Clause"]),
        (
            "This is free software under the GNU General Public License as published by the FSF, either version 3 of "
            "the License, or (at your option) any later version.",
            ["GPL-3.0-or-later"],
        ),
        ("Apache-2.0\n", ["Apache-2.0"]),
        ("Robin is ours.\n\nPortions of it are available under the MIT License.", ["MIT"]),
        ("Robin\n\nCopyright 2030 Finch Labs\n\nUse is subject to the included file.", []),
        ("https://finch.example/LICENSE", []),
        ("", []),
        ("A recipe for soup. Take water, and salt; cook it. " * 40, []),
    ],
)
def test_notices_name_licences(text: str, identifiers: list[str]) -> None:
    assert found(text) == identifiers


def test_a_sentence_about_a_licence_is_no_title() -> None:
    assert (
        found(
            "Llama 2 is what our robin grew from and its license is discussed in the third chapter of the book "
            * 9
        )
        == []
    )


# --- mentions -----------------------------------------------------------------------------------


def mentions(text: str) -> list[tuple[str, str | None]]:
    return [(mention.licence, mention.scope) for mention in find_licence_mentions(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The code is released under the Apache 2.0 license.", [("Apache-2.0", "code")]),
        ("Robin's weights are MIT licensed.", [("MIT", "weights")]),
        (
            "The code and the weights are distributed under the [MIT License](LICENSE).",
            [("MIT", "code"), ("MIT", "weights")],
        ),
        ("The dataset is CC BY-NC 4.0.", [("CC-BY-NC-4.0", "data")]),
        (
            "The training code is under Apache 2.0, while the data is licensed under CC-BY-SA-4.0.",
            [("Apache-2.0", "code"), ("CC-BY-SA-4.0", "data")],
        ),
        ("We publish Apache 2.0 licensed code for training the model.", [("Apache-2.0", "code")]),
        ("- **License:** Apache-2.0", [("Apache-2.0", None)]),
        ("## License\n\nMIT", [("MIT", None)]),
        ("## Model License\n\n`apache-2.0`", [("Apache-2.0", "weights")]),
        ("The model weights are for non-commercial use only.", [("LicenseRef-non-commercial", "weights")]),
        ("Robin is intended and licensed for research use only.", [("LicenseRef-research-only", None)]),
        ("The weights cannot be used for commercial purposes.", [("LicenseRef-non-commercial", "weights")]),
        ("The weights are subject to the LLaMA License.", [("llama1", "weights")]),
        ("The delta is bound by the license of LLaMA.", [("llama1", "weights")]),
        ("Use is governed by the Llama 2 Community License.", [("llama2", None)]),
        ("It comes with a custom license.", [("LicenseRef-custom", None)]),
        ("The model is released under the Finch Guest License.", [("LicenseRef-custom", "weights")]),
        ("本项目的代码采用 Apache 2.0 协议。", [("Apache-2.0", "code")]),
        (
            "模型权重仅供研究使用，不得用于商业。",
            [("LicenseRef-non-commercial", "weights"), ("LicenseRef-research-only", "weights")],
        ),
        ("| Data License | CC-BY-4.0 |\n|---|---|\n| x | y |", [("CC-BY-4.0", "data")]),
        (
            "[![Code License](https://img.shields.io/badge/Code%20License-Apache_2.0-green.svg)](LICENSE)",
            [("Apache-2.0", "code")],
        ),
        ("![Data licence: CC BY 4.0](https://finch.example/data.svg)", [("CC-BY-4.0", "data")]),
        ("![x](https://img.shields.io/badge/license-BSD--3--Clause-blue)", [("BSD-3-Clause", None)]),
    ],
)
def test_sentences_that_license_something(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert mentions(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "MIT students wrote it, and Robin met them at MIT.",
        "It runs on Apache Spark 3.4 and Apache Arrow.",
        "Robin was tuned from LLaMA and compared with Llama 2.",
        "Our terms are similar to the MIT License.",
        "Licences such as Apache 2.0 are common.",
        "Unlike the GPL, it asks nothing.",
        "It is not released under the MIT License.",
        "Robin is intended for commercial and research use.",
        "Free for personal use, academic purposes and commercial use.",
        "Non-commercial entities were asked, too.",
        "Report unlicensed uses of Llama 3 to us.",
        "只有持之以恒地学习，才能进步。",
        "使用 Llama 模型进行推理，并基于 Yi 构建应用。",
        "```\nlicense: Apache 2.0\n```",
        "<!-- The code is released under the MIT License. -->",
        "See https://finch.example/licenses/MIT for more.",
        "The driver's license is custom made.",
        "Robin: an Apache 2.0 Competitor",
        "![build](https://img.shields.io/badge/build-passing-green)",
    ],
)
def test_sentences_that_license_nothing(text: str) -> None:
    assert mentions(text) == []


def test_a_mention_stands_where_it_says() -> None:
    text = "# Robin\n\nIntro. The code is under the **MIT License**. More.\n"
    (mention,) = find_licence_mentions(text)
    assert text[mention.start : mention.end] == "The code is under the **MIT License**."


def test_front_matter_is_no_prose() -> None:
    assert mentions("---\nlicense: mit\nname: MIT License\n---\n# Robin\n") == []


@given(st.text(max_size=300))
def test_any_text_is_read_and_places_are_within_it(text: str) -> None:
    for mention in find_licence_mentions(text):
        assert 0 <= mention.start < mention.end <= len(text)
    for match in match_licence_text(text):
        assert 0 <= match.start <= match.end <= len(text)
    normalise_licence(text)
    licences_in_expression(text)


PIECES = [
    "MIT",
    "License",
    "Apache 2.0",
    " under the ",
    "code",
    "weights",
    " and ",
    ", ",
    ". ",
    "\n\n",
    "for research only",
    "(",
    ")",
    "[",
    "](",
    "Llama 2",
    "许可",
    "*",
    "non-commercial",
    " is ",
    "# ",
    "- ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_the_same_text_gives_the_same_licences(text: str) -> None:
    assert find_licence_mentions(text) == find_licence_mentions(text)
    assert match_licence_text(text) == match_licence_text(text)
    for mention in find_licence_mentions(text):
        assert mention.scope in ("code", "weights", "data", None)
        assert licence_facts(mention.licence) is not None


@pytest.mark.parametrize(
    "text",
    [
        "a " * 1_000_000,
        "MIT license, " * 20_000,
        "copyright (c) " * 50_000,
        "GNU General Public License version " * 10_000,
        "<a " * 100_000,
        "the license of software and " * 20_000,
    ],
    ids=["letters", "names", "copyright", "gnu", "tags", "words"],
)
def test_hostile_files_are_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    match_licence_text(text)
    find_licence_mentions(text)
    assert time.process_time() - started < 4


def test_the_patterns_leave_other_things_alone() -> None:
    assert not licence_words.COPYRIGHT_LINE.search("Copyright and Related Rights are waived")
    assert not licence_words.COPYRIGHT_LINE.search("the copyright holder grants")
    assert not licence_words.NO_WORDS.search("a < b and [the software], at&t")
    assert licence_words.WORD.findall("a.b 2.0.") == ["a", "b", "2.0"]
    assert not licence_table.CLASSIFIER_HEAD.match("Topic :: License")
    assert not licence_table.REFERENCE_HEAD.match("license-ref")
    assert not licence_table.EXCEPTION.search("WITHOUT warranty")
    assert not licence_table.LICENCE_WORD.search("silence")
    assert not licence_mentions.CUE_AFTER.match(" students license nothing")
    assert not licence_mentions.CUE_BEFORE.search("unlicensed uses of the ")
    assert not licence_mentions.NO_STATEMENT_BEFORE.search("similar code, under the ")
    assert not licence_mentions.NON_COMMERCIAL.search("non-commercial entities and commercial users")
    assert not licence_mentions.RESEARCH_ONLY.search("not only for research but for all")
    assert not licence_mentions.CUSTOM.search("custom model code with a license")
    assert not licence_mentions.NAMED_CUSTOM.search("released under the Open Source License")
    assert not licence_mentions.NAME_GAP.fullmatch(" Spark ")
    assert not licence_mentions.NEXT_WORD.match(", and")
    assert not licence_badges.PATH.search("/github/license/finch/robin")
    assert not licence_badges.LABEL.search("silence")
    assert not licence_mentions.OPENING_BRACKET.fullmatch(" and (")
    assert not licence_scope.NOUN.search("an open-source effort, modelled and encoded")
    assert not licence_scope.CLAUSE_EDGE.search("code, weights and data")
    assert not licence_scope.AND_BETWEEN.fullmatch(" is ")
    assert not licence_scope.OBJECT_OF.search("The ")
    assert not licence_scope.COMPOUND.fullmatch(" and ")
    assert not licence_notices.SPDX_TAG.search("SPDX identifiers")
    assert not licence_notices.TITLE_WORD.search("Introduction")
    assert not licence_notices.GNU_NOTICE.search("GNU make, version 3")
