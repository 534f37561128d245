"""What addresses, numbers and commands in a text name."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.artifact_ids import id_problem
from pipelines.extract import links
from pipelines.extract.links import classify_url, find_arxiv_ids, find_dois, find_pip_installs
from pipelines.model import ArtifactKind


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://github.com/finch/robin", "github:finch/robin"),
        ("http://www.github.com/finch/robin.git", "github:finch/robin"),
        ("https://github.com/finch/robin/tree/main/docs?tab=readme#use", "github:finch/robin"),
        ("https://raw.githubusercontent.com/finch/robin/main/README.md", "github:finch/robin"),
        ("HTTPS://GitHub.com/finch/robin", "github:finch/robin"),
        ("https://huggingface.co/finch/robin-7b", "hf_model:finch/robin-7b"),
        ("https://hf.co/finch/robin-7b/blob/main/README.md", "hf_model:finch/robin-7b"),
        ("https://huggingface.co/gpt2", "hf_model:gpt2"),
        ("https://huggingface.co/datasets/finch/nest/viewer", "hf_dataset:finch/nest"),
        ("https://huggingface.co/datasets/nest/tree/main", "hf_dataset:nest"),
        ("https://huggingface.co/papers/2301.01234", "arxiv:2301.01234"),
        ("https://pypi.org/project/robin-tools/1.0/", "pypi:robin-tools"),
        ("https://arxiv.org/abs/2301.01234v3", "arxiv:2301.01234"),
        ("https://export.arxiv.org/pdf/2301.01234v2.pdf", "arxiv:2301.01234"),
        ("https://arxiv.org/html/2301.01234v1/#S3", "arxiv:2301.01234"),
        ("https://arxiv.org/abs/cs/0101001", "arxiv:cs/0101001"),
        ("https://doi.org/10.48550/arXiv.2301.01234", "arxiv:2301.01234"),
        ("http://dx.doi.org/10.1000/xyz.1", "web:https://doi.org/10.1000/xyz.1"),
        ("https://aclanthology.org/2030.main-1.1/", "web:https://aclanthology.org/2030.main-1.1/"),
        ("https://openreview.net/forum?id=Abc", "web:https://openreview.net/forum?id=Abc"),
        ("https://Finch.Example:443/a?utm_source=x&b=1#frag", "web:https://finch.example/a?b=1"),
        ("http://finch.example", "web:http://finch.example/"),
        ("http://finch.example:8080/x", "web:http://finch.example:8080/x"),
    ],
)
def test_an_address_names_an_artifact(url: str, named: str) -> None:
    assert str(classify_url(url)) == named


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/finch",
        "https://github.com/sponsors/finch",
        "https://github.com/topics/language-model",
        "https://github.com/features/actions",
        "https://gist.github.com/finch/0123",
        "https://huggingface.co/finch",
        "https://huggingface.co/spaces/finch/robin-demo",
        "https://huggingface.co/docs/hub/index",
        "https://huggingface.co/blog/finch/robin",
        "https://huggingface.co/collections/finch/robin-1",
        "https://huggingface.co/api/models/finch/robin",
        "https://pypi.org/search/?q=robin",
        "https://arxiv.org/list/cs.CL/recent",
    ],
)
def test_a_page_of_a_service_is_a_page(url: str) -> None:
    ref = classify_url(url)
    assert ref is not None
    assert ref.kind is ArtifactKind.WEB


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mailto:a@finch.example",
        "docs/use.md",
        "#use",
        "//",
        "javascript:alert(1)",
        "ftp://finch.example/x",
        "https://",
        "http://[::1/",
        "https://user:secret@finch.example/",
        "https://localhost/x",
        "https://finch.example/logo.PNG",
        "https://img.shields.io/badge/licence-MIT-green",
        "https://colab.research.google.com/assets/colab-badge.svg",
        "https://github.com/finch/robin/actions/workflows/ci.yml/badge.svg",
        "https://finch.example/" + "a" * 3000,
        "https://finch.example/a b\x00",
    ],
)
def test_what_names_nothing(url: str) -> None:
    assert classify_url(url) is None


def test_relative_addresses_are_resolved_against_their_document() -> None:
    base = "https://github.com/finch/robin/blob/main/docs/README.md"
    assert str(classify_url("../LICENSE", base)) == "github:finch/robin"
    assert classify_url("#use", base) is None
    assert classify_url("mailto:a@finch.example", base) is None


COMMANDS = """
```bash
pip install -U "robin[all]>=1.0" Wren_Tools==2 -r req.txt git+https://x.example/y.git . ./local  # comment
!python3 -m pip install -q crow && pip3 install owl
conda install -c forge forge::dove numpy=1.2
uv pip install jay; poetry add kite
pip install \\
   heron \\
   ibis
pip install foo >= 2.0
pip install tern --index-url https://x.example/z swan
pip install -e .
pip install <package-name>
conda install numpy according to the table
```
Run `pip install "robin-server"` or pip install nothing.
"""


def test_packages_that_commands_install() -> None:
    found = find_pip_installs(COMMANDS)
    assert [name for name, _, _ in found] == (
        "robin wren-tools crow owl dove numpy jay kite heron ibis foo tern swan numpy robin-server".split()
    )
    assert COMMANDS[found[1][1] : found[1][2]] == "Wren_Tools"


@pytest.mark.parametrize(
    "text", ["`pip freeze`", "`pipinstall x`", "`my-pip install x`", "pip install x", "`npm install x`"]
)
def test_what_installs_no_package(text: str) -> None:
    assert find_pip_installs(text) == ()


def test_numbers_of_papers_in_prose_and_bibtex() -> None:
    text = (
        "See arXiv:2301.01234v2, [arXiv 2302.00001], https://arxiv.org/abs/2303.00002 and 2304.00003.\n"
        "@misc{r, eprint={2305.00004}, journal={arXiv preprint arXiv:2306.00005}} arXiv:cs/0101001 "
        "10.48550/arXiv.2307.00006, arXiv:2313.00007, arXiv:23010.1"
    )
    found = find_arxiv_ids(text)
    assert [number for number, _, _ in found] == [
        "2301.01234",
        "2302.00001",
        "2303.00002",
        "2305.00004",
        "2306.00005",
        "cs/0101001",
        "2307.00006",
    ]
    assert all(text[start:end] == number for number, start, end in found)


def test_dois_of_papers() -> None:
    text = (
        "doi:10.1000/xyz(1).2, [p](https://doi.org/10.1234/abc-d). Not 10.48550/arXiv.2301.01234 nor 10.12/x."
    )
    found = find_dois(text)
    assert [doi for doi, _, _ in found] == ["10.1000/xyz(1).2", "10.1234/abc-d"]
    assert all(text[start:end] == doi for doi, start, end in found)


@given(st.text(max_size=200))
def test_any_text_is_read_and_slices_are_exact(text: str) -> None:
    classify_url(text)
    classify_url(text, "https://finch.example/")
    assert all(text[start:end] == doi for doi, start, end in find_dois(text))
    find_arxiv_ids(text)
    find_pip_installs(f"`{text}`")


@given(
    st.from_regex(
        r"https?://(github\.com|huggingface\.co|pypi\.org|arxiv\.org|finch\.example)(/[\w.%~-]{0,12}){0,5}",
        fullmatch=True,
    )
)
def test_whatever_is_named_is_well_formed(url: str) -> None:
    ref = classify_url(url)
    assert ref is None or id_problem(ref.kind, ref.id) is None
    assert ref is None or ref.kind is not ArtifactKind.WEB or classify_url(ref.id) == ref


@pytest.mark.parametrize(
    "text",
    [
        "arXiv " * 50_000,
        "10.1000/" * 50_000,
        "`pip install " + "a " * 50_000 + "`",
        "pip install \\\n" * 20_000,
        "http://" * 50_000,
    ],
    ids=["arxiv", "doi", "long command", "commands", "addresses"],
)
def test_hostile_texts_are_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    find_arxiv_ids(text)
    find_dois(text)
    find_pip_installs(text)
    assert time.process_time() - started < 4


def test_the_patterns_leave_other_things_alone() -> None:
    assert not links.HUB_LEGACY_MODEL.fullmatch("bertha")
    assert not links.ARXIV_HOST.fullmatch("notarxiv.org")
    assert not links.ARXIV_PATH.match("/list/2301.01234")
    assert not links.ARXIV_DOI.fullmatch("10.1000/arxiv.2301.01234")
    assert not links.PAPER_ID.match("/papers/trending")
    assert not links.BADGE_HOST.fullmatch("finch.example")
    assert not links.IMAGE_PATH.search("/figures.html")
    assert not links.TRACKING.fullmatch("id")
    assert not links.ARXIV_MENTION.search("version 2301.01234")
    assert not links.DOI.search("10.5 /x and 10.12/x")
    assert not links.INSTALL_COMMAND.search("pip installer robin")
    assert not links.PACKAGE_SPEC.fullmatch("-flag")
    assert not links.NOT_A_PACKAGE.fullmatch("robin-tools")
    assert not links.CHANNEL_PREFIX.match("robin:tools")
    assert not links.ARGUMENT.match("   ")
