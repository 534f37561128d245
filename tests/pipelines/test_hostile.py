"""Documents that somebody wrote to break the reader, or that no person wrote: read in time that grows with their
length alone, without an error, and without a word of evidence that they do not hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.evidence import EVIDENCE_KINDS, EvidenceSet, Reading
from pipelines.extract.by_part import extract
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    Origin,
    Project,
    Quote,
    Rating,
    Role,
    Snapshot,
    VisitStatus,
    canonical_json,
    digest_bytes,
)
from pipelines.propose import propose
from pipelines.rubric import load_rubric
from pipelines.text import decoded_text

NIGHT = datetime(2024, 5, 1, 3, 0, tzinfo=UTC)
README = (ArtifactKind.GITHUB, "file:README.md")
CARD = (ArtifactKind.HF_MODEL, "card")
PAGE = (ArtifactKind.WEB, "page")
LICENCE = (ArtifactKind.GITHUB, "file:LICENSE")
TREE = (ArtifactKind.GITHUB, "tree")
MANIFEST = (ArtifactKind.GITHUB, "file:setup.py")
INFO = (ArtifactKind.HF_MODEL, "info")
PACKAGE = (ArtifactKind.PYPI, "metadata")
PAPER = (ArtifactKind.ARXIV, "entry")
REPOSITORY = (ArtifactKind.GITHUB, "repository")

Part = tuple[ArtifactKind, str]
Maker = Callable[[int], str]
"""A text of about so many characters."""


def snapshot_of(part: Part, body: str | bytes) -> Snapshot:
    kind, name = part
    ref = ArtifactRef(
        kind=kind, id="https://sorrel.example/" if kind is ArtifactKind.WEB else "meadowlab/sorrel"
    )
    body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return Snapshot(
        ref=ref,
        part=name,
        url=f"https://{kind.value}.example/",
        fetched_at=NIGHT,
        sha256=digest_bytes(body),
        media_type="text/html" if kind is ArtifactKind.WEB else "text/plain",
        body=body,
    )


def read(part: Part, body: str | bytes) -> list[Evidence]:
    """The evidence of a document, each piece of which stands in it and can be stored."""
    snapshot = snapshot_of(part, body)
    found = extract(snapshot)
    text = decoded_text(snapshot)
    for item in found:
        assert item.kind in EVIDENCE_KINDS
        assert len(item.key) == 64
        assert json.loads(canonical_json(item.value), parse_constant=pytest.fail) == item.value
        if isinstance(item.where, Quote):
            assert text[item.where.start : item.where.end] == item.where.text
        else:
            assert (
                json.loads(canonical_json(item.where.value), parse_constant=pytest.fail) == item.where.value
            )
    return found


def seconds(part: Part, text: str) -> float:
    """CPU time of extraction, with nothing remembered of the document."""
    snapshot = snapshot_of(part, text)
    started = time.process_time()
    extract(snapshot)
    return time.process_time() - started


# --- time ------------------------------------------------------------------------------------------

SHORT = 2_000
SLACK = 2.0
FLOOR = 0.1
"""Four times the text may take SLACK times four times as long, and FLOOR seconds are nothing.

Generous, as other programs run beside the tests: what grows with the square takes sixteen times as long, seconds
of it at these lengths.
"""


def repeated(unit: str) -> Maker:
    return lambda length: (unit * (length // len(unit) + 1))[:length]


RUNS = " \n\r\t.,:#*_-`[]()<>|!\"'~/\\=&0a中。\x00\u202e"
UNITS = (
    # Blocks
    "> ", "- ", "1. ", "# a\n", "a\n=\n", "```\n", "~~~ a\n", "|a|b|\n|-|-|\n", "| - ", " \n", "\r\n", "* a\n  ", "[ ] ",
    # Within a line
    "**a ", "__a ", "*a _b ", "`a ", "[a]", "[a](", "![[", "[a](b(", "[a]: http://x\n", "http://", "https://a.b/c ",
    "[a](https://x.example/1) ", "{#a", "&amp;", "@a{", "10.1234/a ", "arXiv:2401.00001 ", "A. a", "a. ", "**Data:** b\n",
    # HTML
    "<!--", "<p>", "</p>", "<div>", "<b>", "<h1>", "<a href='x'>", "<a href=", "<table><tr><td>", "<p style='",
    # Words that patterns begin with, and what keeps them going
    "9\t", "1.1", "v1.1.", "1 T ", "C4, ", "the Pile and ", "not ", "we will not ", "public sources of ", "docker run -a ",
    "pip install ", "`pip install -a ", "trained on ", "based on ", "research , ", "only for ", "non-commercial ", "licence ",
    "licensed under the ", "under the A ", "Apache License ", "GPL v", "MIT and ", "custom ", "(", "GNU General Public License ",
    "SPDX-License-Identifier: ", "Copyright (c) ", "training data ", "you ", "TODO ", "{{a", "数据", "仅限", "我们", "🙂",
)  # fmt: skip
HEADS = {
    "\\r\\n behind three hyphens": lambda length: "---\r\n" + "\r\n" * (length // 2),
    "empty lines before three hyphens": lambda length: (
        "\r\n" * 20 + " " * length + "---\nlicense: mit\n---\n"
    ),
    "front matter of lists": lambda length: "---\na:\n" + "- b\n" * (length // 4) + "---\n",
    "front matter of fields": lambda length: (
        "---\n" + "".join(f"k{number}: v\n" for number in range(length // 8)) + "---\n"
    ),
    "front matter of questions": lambda length: "---\n" + "? " * (length // 2) + "\n---\n",
    "front matter of tags": lambda length: "---\n" + "a: !!b c\n" * (length // 9) + "---\n",
    "front matter of quotes": lambda length: "---\na: '" + "''" * (length // 2) + "'\n---\n",
    "a licence of many words": lambda length: '---\nlicense: "' + "a or " * (length // 5) + '"\n---\n',
    "a licence of blanks": lambda length: '---\nlicense: "mit' + " " * length + 'x"\n---\n',
}
FORMS = {
    INFO: lambda text: {
        "gated": text,
        "tags": [text, "arxiv:" + text],
        "siblings": [{"rfilename": text}, {"rfilename": text + ".bin"}],
        "cardData": {"license": text, "license_name": text, "base_model": text, "datasets": [text]},
    },
    REPOSITORY: lambda text: {"full_name": text, "description": text, "license": text},
    PACKAGE: lambda text: {
        "info": {
            "name": text,
            "version": text,
            "summary": text,
            "license": text,
            "home_page": "https://" + text,
        },
        "releases": [{"version": text}],
    },
    PAPER: lambda text: {"title": text, "summary": text, "comment": text, "doi": text, "authors": [text]},
}
# What stands before, so that the patterns that look for more than a mark begin to look.
BEFORE = (
    "# Licence and training data\nOur model is licensed under the MIT License and trained on C4, 2 T tokens "
)
GRANT = "MIT License\n\nPermission is hereby granted, free of charge, and you may "
DOCUMENTS: dict[str, tuple[Part, Maker]] = {
    **{f"prose {unit!r}": (CARD, lambda n, u=unit: BEFORE + repeated(u)(n)) for unit in (*RUNS, *UNITS)},
    **{f"head: {name}": (CARD, make) for name, make in HEADS.items()},
    **{
        f"licence {unit!r}": (LICENCE, lambda n, u=unit: GRANT + repeated(u)(n))
        for unit in (*" \n.a(中", *UNITS[-32:])
    },
    **{
        f"page {unit!r}": (PAGE, lambda n, u=unit: "<p>" + repeated(u)(n))
        for unit in (
            *" \n.#*-[<&",
            *(unit for unit in UNITS if "<" in unit or "[" in unit),
            "\x00<",
            "<![CDATA[",
        )
    },
    **{
        f"tree {unit!r}": (TREE, lambda n, u=unit: repeated(u)(n) + "x.y\t3\tz\n")
        for unit in (
            "conf/",
            "docs/",
            "zero1",
            "datasheet.",
            "licence",
            "train_",
            "get_",
            "/",
            ".",
            "7",
            "a\t1\tb\n",
            "\t",
        )
    },
    **{
        f"{part[0].value} {unit!r}": (part, lambda n, u=unit, f=form: json.dumps(f(repeated(u)(n))))
        for part, form in FORMS.items()
        for unit in (" ", "9", "1.1", "a", "a-", "/", "MIT or ", "accepted at ", "https://", "\ud800")
    },
    **{
        f"manifest {unit!r}": (MANIFEST, repeated(unit))
        for unit in (" ", "licence = '", "License :: ", "\n", "(")
    },
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_four_times_the_text_takes_about_four_times_as_long(name: str) -> None:
    part, make = DOCUMENTS[name]
    length = SHORT if part in (CARD, PAGE) else 8 * SHORT  # What is read in less time can be longer.
    seconds(part, make(100))  # Tables are read and patterns compiled once.
    for _ in range(3):
        short, long = seconds(part, make(length)), seconds(part, make(4 * length))
        if long <= 4 * SLACK * short + FLOOR:
            return
    pytest.fail(f"{short:.3f} s, then {long:.3f} s")


# Lengths that are bounded, such as that of a sentence, leave time linear and may still make it long.
DEAR = {
    "a row of blanks under a table's head": "a|b\n" + " " * 4800 + "-x|\n\n",
    "a heading of blanks": "# a" + " " * 3900 + "b\n\n",
    "a count of many points": "token " + "1.1" * 480 + " x\n\n",
    "a sentence with a corpus in every word": "C4, " * 900 + "x\n\n",
    "a number far from its unit": "C4 9" + "\t" * 3900 + "x\n\n",
    "a link's text of blanks": "[" + "\t" * 1900 + "x](b)\n\n",
    "a heading of brackets": "# " + "[" * 900 + "\n\n",
    "emphasis that nobody ends": "**" + "a*" * 1900 + "\n\n",
    "a paper behind marks that begin no entry": "@" * 40 + " arXiv:2401.00001\n",
    "entries in entries that nobody ends": "@a{arXiv:2401.00001 " * 190 + "\n",
}


@pytest.mark.parametrize("name", DEAR)
def test_what_is_bounded_is_bounded_low_enough(name: str) -> None:
    text = "# Training data\n" + repeated(DEAR[name])(80_000)
    assert seconds(CARD, text) < 1.5  # Generous: a tenth of it is usual.


# --- size and nesting ------------------------------------------------------------------------------

DEEP = 10_000
MANY = 100_000
JUNK: dict[str, str | bytes] = {
    "a line of 10 MB": "lorem" * 2_000_000,
    "quotes in quotes": "> " * DEEP + "x",
    "lists in lists": "- " * DEEP + "x\n" + "".join(" " * depth + "- a\n" for depth in range(0, 1000, 2)),
    "brackets in brackets": "[" * DEEP + "x" + "](y)" * DEEP,
    "emphasis in emphasis": "*_" * DEEP + "x" + "_*" * DEEP,
    "all of them in one another": "> - *[" * DEEP + "x",
    "a fence that nobody closes": "````` \n" + "x\n```\n" * 20_000,
    "tags that nobody closes": "<div><b><!-- <p><pre><table><tr>" * 2_000,
    "a comment that nobody closes": "<!--" + "x\n" * 50_000,
    "right-to-left overrides": "\u202e\u2066esnecil\u202c " * 20_000,
    "null bytes": "\x00" * 200_000 + "\x00#\x00\n" * 1000,
    "marks without letters": "\u0301" * 100_000 + "\U000e0041" * 10_000,
    "bytes of three encodings": ("éà ".encode("latin-1") + "ßä".encode("utf-16") + "слово ".encode("cp1251"))
    * 20_000,
    "half of each character": "模".encode()[:2] * 100_000,
    "a mark of UTF-16 before UTF-8": b"\xff\xfe" + "größe ".encode() * 20_000,
}


def rated(part: Part, found: list[Evidence]) -> dict[str, Rating | None]:
    """What is proposed for a project of which this one document was read."""
    kind, name = part
    ref = snapshot_of(part, "").ref
    role = {ArtifactKind.GITHUB: Role.CODE, ArtifactKind.HF_MODEL: Role.RL_WEIGHTS}[kind]
    project = Project(
        slug="sorrel", name="Sorrel", artifacts=(Artifact(ref=ref, role=role, origin=Origin.SEED),)
    )
    readings = tuple(
        Reading(ref=ref, part=read_part, url="", status=VisitStatus.OK, at=NIGHT)
        for read_part in (MAIN_PART[kind], name)
    )
    evidence = EvidenceSet(project=project, evidence=tuple(found), readings=readings)
    return {proposal.dimension: proposal.rating for proposal in propose(evidence, load_rubric())}


@pytest.mark.parametrize("name", JUNK)
def test_junk_says_what_an_empty_document_says(name: str) -> None:
    found = read(README, JUNK[name])
    assert {item.kind for item in found} <= {"link", "document.problem"}
    assert rated(README, found) == rated(README, read(README, ""))


def test_a_hundred_thousand_headings_are_read_as_far_as_that_helps() -> None:
    found = read(README, "".join(f"# Training data {number}\n\nText.\n\n" for number in range(MANY)))
    assert {item.kind for item in found} == {"section"}
    assert 0 < len(found) <= 1000


def test_a_hundred_thousand_links_are_read_as_far_as_that_helps() -> None:
    links = (f"[data {n}](https://x.example/{n}) arXiv:24{n % 12 + 1:02}.{n:05}\n" for n in range(MANY))
    found = read(README, "".join(links))
    assert {item.kind for item in found} == {"link"}
    assert 0 < len(found) <= 1000


def test_a_tree_of_two_hundred_thousand_files_is_counted() -> None:
    folders = (
        "src",
        "docs/guide",
        "sorrel/train",
        "configs",
        "tests",
        "data/raw",
        "examples/chat/deep/er",
        ".github",
    )
    names = (
        "train_{}.py",
        "part_{}.json",
        "{}.md",
        "x{}.yaml",
        "LICENSE-{}",
        "model-{}.bin",
        "\u202e{}.txt",
        "{}\x00",
    )
    lines = (f"{folders[n % 8]}/{names[n // 8 % 8].format(n)}\t{n}\tabc\n" for n in range(2 * MANY))
    counts = {item.value["role"]: item.value["count"] for item in read(TREE, "".join(lines))}
    assert counts["code"] == counts["weights"] == 18_000


@pytest.mark.parametrize("part", [PAGE, LICENCE], ids=str)
def test_ten_megabytes_of_anything_are_no_trouble(part: Part) -> None:
    assert {item.kind for item in read(part, "lorem ipsum " * 900_000)} <= {"licence.text"}


@pytest.mark.parametrize("part", [README, CARD, PAGE, LICENCE, TREE, MANIFEST], ids=str)
def test_all_of_it_in_one_document_is_no_trouble(part: Part) -> None:
    odd = [text if isinstance(text, str) else text.decode("latin-1") for text in JUNK.values()]
    texts = [make(1000) for _, make in DOCUMENTS.values()] + [text[:2000] for text in odd]
    read(part, "\n\n".join(texts))


# --- front matter ----------------------------------------------------------------------------------

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join(['*' + other] * 9)}]\n"
    for other, one in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{one}: &{one} {{<<: [{', '.join(['*' + other] * 30)}]}}\n"
    for other, one in zip("abcdef", "bcdefg", strict=True)
)
BROKEN = {
    "aliases that multiply": LAUGHS,
    "merged mappings that multiply": MERGES,
    "a list within itself": "a: &a [*a]\n",
    "a mapping that merges itself": "a: &a {<<: *a}\n",
    "a key that is a list": "? [a, b]\n: c\n",
    "an unknown anchor": "license: *nowhere\n",
    "a tag of a program": "license: !!python/object/apply:os.system [id]\n",
    "a tag that nobody knows": "license: !sorrel mit\n",
    "more brackets than fit": "a: " + "[" * 5_000 + "\n",
    "more dashes than fit": "- " * 5_000 + "a\n",
    "more values than fit": "license: mit\ntags: [" + "x, " * 30_000 + "]\n",
    "more text than fits": "license: mit\n" * 90_000,
    "deeper and deeper": "".join(" " * depth + "a:\n" for depth in range(400)),
    "a tab": "license:\n\tmit\n",
    "no mapping": "- license\n",
    "a quote that nobody closes": "license: 'mit\n",
    "a date that is none": "a: !!timestamp 2024-99-99\n",
    "a number of a hundred thousand bits": "a: !!int 0b" + "1" * 90_000 + "\n",
    "binary that is none": "a: !!binary '\\xff'\n",
    "control characters": "license: mit\x07\n",
}
ODD = {
    "numbers that JSON does not know": "license: mit\nbase_model: [!!float .nan, !!float -.inf, x/y]\ndatasets: [!!float .inf, a/b]\n",
    "sets, pairs and binaries": "license: mit\nbase_model: !!set {a/b, c/d}\ndatasets: !!pairs [a: b]\ntags: !!binary aGk=\n",
    "the same field twice": "license: gpl\nlicense: mit\n",
    "a long field": "license: mit\ntags: [" + "x, " * 3_000 + "]\n",
    "names of other directions": "license: mit\n\u202elicense: x\n",
    "merged fields": "base: &base {license: mit}\n<<: *base\n",
    "dates, nulls and words": "license: mit\nlanguage: no\ndate: 2024-05-01\nbase_model: ~\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_front_matter_is_a_problem_and_no_verdict(name: str) -> None:
    card = f"---\n{BROKEN[name]}---\n\nA model.\n"
    started = time.process_time()
    found = read(CARD, card)
    assert time.process_time() - started < 3  # Generous: a tenth of it is usual.
    assert [(item.kind, item.value) for item in found] == [
        ("document.problem", {"problem": "broken_front_matter"})
    ]
    assert rated(CARD, found) == rated(CARD, read(CARD, "A model.\n"))


@pytest.mark.parametrize("name", ODD)
def test_odd_front_matter_says_what_can_be_read_of_it(name: str) -> None:
    tags = [
        item.value["licence"] for item in read(CARD, f"---\n{ODD[name]}---\n") if item.kind == "licence.tag"
    ]
    assert tags == ["MIT"]


FIELDS = (
    "license license_name license_link base_model base_model_relation datasets inference extra_gated_prompt "
    "extra_gated_fields tags language model-index"
).split()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
@example(dict.fromkeys(FIELDS, ""))
@example({field: {field: [field]} for field in FIELDS})
@example(dict.fromkeys(FIELDS, 10**400))
def test_no_value_in_the_front_matter_makes_an_extractor_raise(fields) -> None:
    read(CARD, f"---\n{yaml.safe_dump(fields, allow_unicode=True)}---\n\nA model.\n")


# --- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0.0", "1" * 4000])
@pytest.mark.parametrize("part", [INFO, REPOSITORY, PACKAGE, PAPER], ids=str)
def test_a_number_that_json_does_not_know_is_evidence_of_nothing(part: Part, number: str) -> None:
    document = json.dumps(FORMS[part]("sorrel")).replace('"sorrel"', f'["sorrel", {number}]')
    read(part, document)
    read(part, document.replace('["sorrel", ', "").replace("]", ""))
