"""Where licences are stated: files by name and folder, tags, links, package metadata; and files meant to break the reader."""

from __future__ import annotations

import gzip
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import licence_arrays
from pipelines.extract import licence_file, licence_links, licence_texts, manifest
from pipelines.extract.by_part import extractor_of
from pipelines.extract.licence_index import licence_index, text_probes
from pipelines.extract.licence_links import licence_of_link
from pipelines.extract.licence_table import is_open, written_facts
from pipelines.extract.licence_tags import binding_licences, tags_of_front_matter
from pipelines.extract.licences import find_licence_mentions, match_licence_text
from pipelines.extract.parts import LICENCE_PART, MANIFEST_PART
from pipelines.licence_arrays import COMMONPLACE, PROBES, packed, pairs_of
from pipelines.licence_words import MAX_CHARACTERS, words_of
from pipelines.model import ArtifactKind
from pipelines.select import files_worth_reading
from pipelines.text import decode

PACKAGED = Path(licence_arrays.__file__).with_name("data") / "licence_texts.gz"
TEXTS = dict(licence_index().written_texts())
TERMS = "You may use the robin in your own garden, and you must not sell it to anybody. " * 6


def licences_in(extracted, path: str, text: str) -> list[tuple[str, str | None]]:
    found = extracted("github", f"file:{path}", text)
    return [(item.value["licence"], item.value["scope"]) for item in found if item.kind == "licence.text"]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("LICENSE", None),
        ("LICENCE.md", None),
        ("COPYING.LESSER", None),
        ("LICENSE-MIT", None),
        ("LICENSE-MODEL", "weights"),
        ("MODEL_LICENSE", "weights"),
        ("MODEL_LICENSE_AGREEMENT.txt", "weights"),
        ("WEIGHT_DIFF_LICENSE", "weights"),
        ("LICENSE.data", "data"),
        ("DATA_LICENSE", "data"),
        ("LICENSE_dataset.txt", "data"),
        ("LICENSE-CODE", "code"),
        ("LICENSES/MIT.txt", None),
        ("data/LICENSE", "data"),
        ("corpus/datasets/LICENSE.txt", "data"),
        ("checkpoints/LICENSE", "weights"),
        ("src/models/LICENSE", None),
        ("EULA.txt", None),
        ("TERMS_OF_USE.md", None),
    ],
)
def test_a_licence_file_is_known_by_name_and_folder(path: str, scope: str | None, extracted) -> None:
    assert [entry[0] for entry in files_worth_reading([(path, 99, "a1")])] == [path]
    assert licences_in(extracted, path, TEXTS["MIT"]) == [("MIT", scope)]


@pytest.mark.parametrize(
    "path", ["THIRD_PARTY_LICENSES.txt", "third-party-license", "LICENSE.3rdparty", "BUNDLED_LICENSES"]
)
def test_what_others_wrote_and_is_passed_on_licenses_nothing(path: str, extracted) -> None:
    assert licences_in(extracted, path, TEXTS["GPL-3.0"]) == []


@pytest.mark.parametrize("part", ["README.md", "src/silence.py", "docs/licensing.md", "NOTICE", "silence"])
def test_other_files_are_no_licence_files(part: str) -> None:
    assert not LICENCE_PART.fullmatch(f"file:{part}")


def test_a_folder_of_licences_names_what_its_texts_do_not_tell(extracted) -> None:
    assert licences_in(extracted, "LICENSES/CC-BY-4.0.txt", "See the address above.") == [("CC-BY-4.0", None)]
    assert licences_in(extracted, "LICENSES/LicenseRef-Robin.txt", TERMS) == [
        ("LicenseRef-unrecognised", None)
    ]
    assert licences_in(extracted, "LICENSES/MIT.txt", " \n") == []


def test_a_page_about_licensing_is_no_licence_of_the_makers_own(extracted) -> None:
    assert licences_in(extracted, "docs/license.md", TERMS) == []
    assert licences_in(extracted, "LICENSE", TERMS) == [("LicenseRef-unrecognised", None)]


def test_dual_licences_in_two_files_and_in_one(extracted) -> None:
    both = f"Robin is under either of these, as you like.\n\n{TEXTS['MIT']}\n\n-----\n\n{TEXTS['Apache-2.0']}"
    assert [licence for licence, _ in licences_in(extracted, "LICENSE", both)] == ["MIT", "Apache-2.0"]


# --- texts ----------------------------------------------------------------------------------------


def without(identifier: str, first: str, last: str) -> str:
    """A packaged text from one phrase to before another one."""
    words = TEXTS[identifier]
    return words[words.index(first) : words.index(last)]


@pytest.mark.parametrize(
    ("identifier", "first", "last"),
    [
        # Others are made of these texts, without their appendices.
        ("Apache-2.0", "terms and conditions for use", "appendix how to apply"),
        ("GPL-2.0", "gnu general public license", "how to apply these terms to your new programs"),
        ("GPL-3.0", "gnu general public license", "how to apply these terms to your new programs"),
        ("CC-BY-NC-4.0", "by exercising the licensed rights", "creative commons is not a party to"),
    ],
)
def test_a_text_without_its_appendix_is_not_taken_for_another(identifier: str, first: str, last: str) -> None:
    assert [match.id for match in match_licence_text(without(identifier, first, last))] == [identifier]


def test_a_licence_with_a_clause_more_is_that_licence_and_not_the_shorter_one() -> None:
    for longer, shorter in (
        ("BSD-3-Clause", "BSD-2-Clause"),
        ("JSON", "MIT"),
        ("BSD-2-Clause-Views", "BSD-2-Clause"),
    ):
        assert [match.id for match in match_licence_text(TEXTS[longer] + " \nrobin")] == [longer]
        assert [match.id for match in match_licence_text(TEXTS[shorter] + " \nrobin")] == [shorter]


def test_tags_and_entities_are_no_words() -> None:
    text = "<p>Robin&nbsp;&amp; Co. <b>may</b> sing &#8220;here&#8221;</p> see https://robin.example/x <year> [name of owner]"
    assert words_of(text).texts == ["robin", "co", "may", "sing", "here", "see"]


@given(st.text(max_size=200))
def test_words_stand_where_they_say(text: str) -> None:
    words = words_of(text)
    for word, start, end in zip(words.texts, words.starts, words.ends, strict=True):
        assert text[start:end].replace("\u0130", "i").lower() == word


def test_altered_copies_of_the_packaged_texts_are_recognised() -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "corpus"))
    try:
        import licences as benchmark
    finally:
        sys.path.pop(0)
    samples = benchmark.packaged_samples(1)[::5]
    result = benchmark.judged(samples)
    assert result.share >= benchmark.BOUNDS["licence texts, altered"], result.misses
    table = Path(benchmark.__file__).with_name("model_licences.yaml")
    told = benchmark.judged_models(table, variants=0)
    assert told.misses == {}


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "licences"),
    [
        ("MIT", ("MIT",)),
        ("MIT OR Apache-2.0", ("MIT",)),
        ("LicenseRef-Robin OR GPL-3.0-only", ("GPL-3.0-only",)),
        ("CC-BY-NC-4.0 OR MIT", ("MIT",)),
        ("Apache-2.0 AND CC-BY-NC-4.0", ("Apache-2.0", "CC-BY-NC-4.0")),
        ("(MIT AND CC-BY-NC-4.0) OR Apache-2.0", ("Apache-2.0",)),
        ("(MIT OR Apache-2.0) AND CC-BY-4.0", ("MIT", "CC-BY-4.0")),
        ("Apache-2.0 WITH LLVM-exception OR MIT", ("Apache-2.0",)),
        ("apache-2.0, cc-by-nc-4.0", ("Apache-2.0", "CC-BY-NC-4.0")),
        ("License :: OSI Approved :: MIT License", ("MIT",)),
        ("((((MIT", ("MIT",)),
        ("AND OR", ()),
        (") MIT", ("MIT",)),
        ("robin terms", ()),
        ("", ()),
        ("x" * 1000, ()),
        ("(" * 400 + "MIT OR MIT", ("MIT",)),
    ],
)
def test_an_expression_binds_by_what_applies(expression: str, licences: tuple[str, ...]) -> None:
    assert binding_licences(expression) == licences


@given(
    st.lists(
        st.sampled_from(["MIT", "(", ")", " AND ", " OR ", "GPL-3.0", " ", "robin", ","]), max_size=60
    ).map("".join)
)
def test_any_expression_is_read(expression: str) -> None:
    assert all(isinstance(licence, str) for licence in binding_licences(expression))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"license": "apache-2.0"}, [("license", ("Apache-2.0",))]),
        ({"license": "other", "license_name": "tongyi-qianwen"}, [("license_name", ("tongyi-qianwen",))]),
        (
            {
                "license": "other",
                "license_name": "robin-terms",
                "license_link": "https://ai.google.dev/gemma/terms",
            },
            [("license_link", ("gemma",))],
        ),
        (
            {"license": "other", "license_name": "robin-terms", "license_link": "LICENSE"},
            [("license", ("other",))],
        ),
        ({"license_name": "yi-license"}, [("license_name", ("yi-license",))]),
        ({"license": "mit", "license_name": "gemma"}, [("license", ("MIT",)), ("license_name", ("gemma",))]),
        ({"license": "mit", "license_name": "MIT License"}, [("license", ("MIT",))]),
        ({"license": ["mit", "cc-by-nc-4.0"]}, [("license", ("MIT", "CC-BY-NC-4.0"))]),
        ({"license": "robin-terms"}, [("license", ("robin-terms",))]),
        ({"license": "unknown"}, [("license", ("unknown",))]),
        ({"license": None}, []),
        ({"license": 7, "license_name": ["x"], "license_link": {}}, []),
        ({}, []),
    ],
)
def test_front_matter_states_licences(data: dict, told: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(tag.key, tag.licences) for tag in tags_of_front_matter(data)] == told


@pytest.mark.parametrize(
    ("url", "licence"),
    [
        ("https://creativecommons.org/licenses/by-nc/4.0/legalcode", "CC-BY-NC-4.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0/de/", "CC-BY-SA-3.0-DE"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("https://opensource.org/license/apache-2-0", "Apache-2.0"),
        ("https://spdx.org/licenses/EUPL-1.2.html", "EUPL-1.2"),
        ("https://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("https://www.gnu.org/licenses/agpl-3.0.en.html", "AGPL-3.0"),
        ("https://www.gnu.org/licenses/old-licenses/gpl-2.0.html", "GPL-2.0"),
        ("https://www.mozilla.org/en-US/MPL/2.0/", "MPL-2.0"),
        ("https://ai.google.dev/gemma/terms?hl=de#section", "gemma"),
        ("https://github.com/QwenLM/Qwen/blob/main/Tongyi%20Qianwen%20LICENSE%20AGREEMENT", "tongyi-qianwen"),
        # A file of a repository says nothing by its address, and neither does a page that lists many licences.
        ("https://huggingface.co/finch/robin/blob/main/LICENSE", None),
        ("https://huggingface.co/docs/hub/repositories-licenses", None),
        ("https://opensource.org/licenses", None),
        ("https://creativecommons.org/", None),
        ("https://robin.example/opensource.org/licenses/MIT", None),
        ("LICENSE", None),
        ("file:///etc/passwd", None),
        ("https://[broken", None),
        ("https://opensource.org/licenses/" + "a" * 600, None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_stands_for_a_licence(url: str | None, licence: str | None) -> None:
    assert licence_of_link(url) == licence


def test_no_address_stands_for_two_licences() -> None:
    seen: dict[str, str] = {}
    for facts in written_facts():
        for link in facts.links:
            assert "://" not in link, link
            assert seen.setdefault(link.lower(), facts.id) == facts.id, link
            if "*" not in link:
                assert licence_of_link(f"https://{link}") == facts.id, link


def test_open_is_what_the_osi_approved_or_is_as_free() -> None:
    assert all(map(is_open, ("MIT", "GPL-3.0-only", "CC0-1.0", "CC-BY-SA-4.0", "OpenMDW-1.0", "faipl-1.0")))
    assert not any(
        map(is_open, ("CC-BY-NC-4.0", "llama3", "openrail", "faipl-1.0-sd", "other", "robin-terms"))
    )


# --- manifests and packages -----------------------------------------------------------------------


def tag_of(extracted, part: str, text: str) -> tuple[str, list[str], str] | None:
    found = extracted("github", f"file:{part}", text)
    return next(
        (
            (item.value["licence"], item.value["list"], item.passage)
            for item in found
            if item.kind == "licence.tag"
        ),
        None,
    )


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "robin"\nlicense = "MIT OR Apache-2.0"\n',
            ("MIT", [], 'license = "MIT OR Apache-2.0"'),
        ),
        (
            "pyproject.toml",
            '[project]\nlicense = {text = "BSD-3-Clause"}',
            ("BSD-3-Clause", [], 'license = {text = "BSD-3-Clause"}'),
        ),
        (
            "pyproject.toml",
            '[tool.poetry]\nlicense = "GPL-3.0-only"',
            ("GPL-3.0-only", [], 'license = "GPL-3.0-only"'),
        ),
        (
            "pyproject.toml",
            '[project]\nlicense = {file = "LICENSE"}\nclassifiers = [\n  "License :: OSI Approved :: MIT License",\n]',
            ("MIT", [], '"License :: OSI Approved :: MIT License",'),
        ),
        (
            "pyproject.toml",
            '[project]\nlicense = "Apache-2.0 AND CC-BY-NC-4.0"',
            ("Apache-2.0", ["CC-BY-NC-4.0"], 'license = "Apache-2.0 AND CC-BY-NC-4.0"'),
        ),
        (
            "setup.cfg",
            "[metadata]\nname = robin\nlicense = Apache License 2.0\n",
            ("Apache-2.0", [], "license = Apache License 2.0"),
        ),
        (
            "setup.py",
            "from setuptools import setup\nsetup(\n    license='MIT',\n)",
            ("MIT", [], "license='MIT',"),
        ),
        ("pyproject.toml", '[tool.robin]\nlicense = "MIT"', None),
        ("pyproject.toml", "[project\nlicense = 'MIT'", None),
        ("pyproject.toml", '[project]\nlicense = "robin terms"', None),
        ("setup.cfg", "license = MIT", None),
        ("setup.py", "# the license = 'MIT' of others", None),
        ("setup.py", "print('no licence here')", None),
    ],
)
def test_a_manifest_states_a_licence(part: str, text: str, told: tuple | None, extracted) -> None:
    assert tag_of(extracted, part, text) == told


def test_manifests_of_folders_and_of_models_are_not_read() -> None:
    assert extractor_of(ArtifactKind.GITHUB, "file:setup.py") is manifest.extract
    assert extractor_of(ArtifactKind.GITHUB, "file:tools/setup.py") is None
    assert extractor_of(ArtifactKind.HF_MODEL, "file:setup.py") is None


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"license_expression": "MIT OR Apache-2.0", "license": "x"}, ["MIT"]),
        ({"license": TEXTS["MIT"]}, ["MIT"]),
        (
            {"license": "", "classifiers": ["Topic :: Text", "License :: OSI Approved :: BSD License"]},
            ["BSD"],
        ),
        ({"license": "see the file", "classifiers": ["License :: OSI Approved :: MIT License"]}, ["MIT"]),
        ({"license": "x" * 5000}, []),
        ({"license": ["MIT"], "classifiers": "License :: Robin"}, []),
    ],
)
def test_an_index_states_the_licence_of_a_package(info: dict, told: list[str], extracted) -> None:
    found = extracted("pypi", "metadata", {"info": {"name": "robin", **info}, "releases": []})
    assert [item.value["licence"] for item in found if item.kind == "licence.tag"] == told


# --- addresses in prose ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "The weights are bound by [these terms](https://ai.google.dev/gemma/terms).",
            [("gemma", "weights")],
        ),
        (
            "The data is [licensed](https://creativecommons.org/licenses/by/4.0/) to all.",
            [("CC-BY-4.0", "data")],
        ),
        ("Read [about it](https://creativecommons.org/licenses/by/4.0/).", []),
        ("Unlike [their licence](https://www.gnu.org/licenses/gpl-3.0.html), ours is short.", []),
        (
            "The code is under the [MIT License](https://opensource.org/licenses/MIT).",
            [("MIT", "code")],
        ),
    ],
)
def test_terms_are_named_by_their_address(text: str, told: list[tuple[str, str | None]]) -> None:
    assert [(mention.licence, mention.scope) for mention in find_licence_mentions(text)] == told


# --- hostile files --------------------------------------------------------------------------------

HOSTILE = {
    "one line of ten megabytes": "license of the software and " * 360_000,
    "ten megabytes of blanks": " " * 10_000_000,
    "ten megabytes of one text": TEXTS["Apache-2.0"] * 1000,
    "all texts at once": " ".join(TEXTS.values()),
    "copyright lines": "".join(f"Copyright (c) {1900 + n % 120} Holder {n}\n" for n in range(10_000)),
    "a copyright without end": "copyright (c) 2020 robin " * 200_000,
    "null bytes": "\0" * 1_000_000,
    "open tags": "<a " * 1_000_000,
    "open brackets": "[yyyy " * 200_000,
    "entities": "&amp;" * 400_000,
    "digits": "1.2.3." * 300_000,
    "titles": "Llama 3 License\n" * 50_000,
    "tags": "SPDX-License-Identifier: MIT\n" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_licence_file_costs_what_its_beginning_costs(name: str, monkeypatch) -> None:
    compared, read = [], []
    compare, words = licence_texts._compared, licence_texts.words_of

    def counted_compare(*arguments):
        compared.append(len(arguments[2]))
        return compare(*arguments)

    def counted_words(text: str):
        read.append(len(text))
        return words(text)

    monkeypatch.setattr(licence_texts, "_compared", counted_compare)
    monkeypatch.setattr(licence_texts, "words_of", counted_words)
    started = time.process_time()
    match_licence_text(HOSTILE[name])
    assert time.process_time() - started < 8
    assert sum(read) <= MAX_CHARACTERS
    # In each round a few texts are compared, with the words read at most.
    assert len(compared) <= (licence_texts.MAX_MATCHES + 1) * 80
    assert all(size < licence_texts.MAX_WORDS for size in compared)


def test_a_licence_below_ten_thousand_copyright_lines_is_found() -> None:
    (match,) = match_licence_text(HOSTILE["copyright lines"] + TEXTS["MIT"])
    assert (match.id, match.rest) == ("MIT", 0)


def test_overrides_null_bytes_and_other_encodings_hide_no_licence() -> None:
    text = TEXTS["Apache-2.0"]
    assert [match.id for match in match_licence_text(text.replace(" ", " \u202e"))] == ["Apache-2.0"]
    assert [match.id for match in match_licence_text(text.replace(" ", "\0"))] == ["Apache-2.0"]
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        assert [match.id for match in match_licence_text(decode(text.encode(encoding)))] == ["Apache-2.0"]


def test_a_pair_that_many_texts_have_is_asked_for_nothing() -> None:
    index = licence_index()
    assert max(len(index.groups[group]) for group in index.sharing.values()) <= COMMONPLACE


def test_what_is_packaged_of_the_texts_is_what_their_words_say() -> None:
    index = licence_index()
    # Compressed by another zlib the same is other bytes.
    assert gzip.decompress(packed(index.written_texts())) == gzip.decompress(PACKAGED.read_bytes())
    sharing: defaultdict[int, list[int]] = defaultdict(list)
    for number, (_, text) in enumerate(index.written_texts()):
        ids = index.word_ids(text.split())
        pairs = sorted(set(pairs_of(ids)))
        assert index.texts[number].tolist() == ids
        assert index.pair_counts[number] == len(pairs)
        assert text_probes(number) == pairs[:: max(1, len(pairs) // PROBES)]
        assert index.whole_text(text.split(), ids) is not None
        for pair in pairs:
            sharing[pair].append(number)
    assert {pair: index.groups[group] for pair, group in index.sharing.items()} == {
        pair: tuple(numbers) for pair, numbers in sharing.items() if len(numbers) <= COMMONPLACE
    }


def test_the_patterns_leave_other_things_alone() -> None:
    assert not licence_file.OF_OTHERS.search("LICENSE-party")
    assert not licence_file.WEIGHTS_FOLDER.search("src/weightless/LICENSE")
    assert not licence_file.DATA_FOLDER.search("metadata/LICENSE")
    assert not licence_file.DOCS_FOLDER.search("docsearch/LICENSE")
    assert not licence_file.LICENCES_FOLDER.search("my-licenses/deep/MIT.txt")
    assert not licence_links.COLLECTION.match("opensource.org/about")
    assert not licence_links.HYPHENATED_VERSION.search("mit-2-robin")
    assert not MANIFEST_PART.fullmatch("file:docs/setup.py")
    assert not manifest.ARGUMENT.search("    licensed = 'MIT'")
    assert not manifest.CLASSIFIER.search("License: MIT")
