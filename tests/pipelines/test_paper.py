"""What an arXiv entry says of a paper, and what counts as a sign of peer review."""

from __future__ import annotations

import pytest

from pipelines.model import Evidence


def entry(extracted, **fields) -> list[Evidence]:
    document = {
        "id": "2401.00001",
        "title": "Sorrel: a small\n  assistant",
        "authors": ["A. Gardener"],
        **fields,
    }
    return extracted("arxiv", "entry", document, identifier="2401.00001")


def reviews(found: list[Evidence]) -> list[str]:
    return [item.value["where"] for item in found if item.kind == "paper.review"]


def test_an_entry_is_read(extracted) -> None:
    found = entry(extracted, summary="On  weeds.\n", authors=[f"A. {number}" for number in range(40)])
    (paper,) = (item.value for item in found if item.kind == "paper.entry")
    assert paper["title"] == "Sorrel: a small assistant"
    assert paper["summary"] == "On weeds."
    assert len(paper["authors"]) == 20
    assert reviews(found) == []


@pytest.mark.parametrize(
    "comment",
    [
        "Accepted at the Garden Conference 2024",
        "Accepted by the Journal of Hedges",
        "To appear in JMLR",
        "Published in TACL",
        "Published as a conference paper at ICLR 2024",
        "ACL 2023",
        "EMNLP 2022 Findings",
        "Findings of EMNLP 2023",
        "In Proceedings of the Garden Conference",
        "Proc. of ICML'24",
        "12 pages, ICLR 2024",
        "NeurIPS 2023 (Spotlight)",
        "Oral at COLM 2024",
        "Camera-ready version",
        "In NAACL-HLT 2024",
        "International Conference on Learned Hedges (ICLR), 2024",
        "Transactions of the Garden Society, vol. 3",
    ],
)
def test_an_acceptance_is_a_sign_of_review(extracted, comment: str) -> None:
    assert reviews(entry(extracted, comment=comment)) == ["comment"]


@pytest.mark.parametrize(
    "comment",
    [
        "12 pages, 3 figures",
        "Technical report",
        "Under review",
        "Under review at ICLR 2024",
        "Submitted to ICML 2024",
        "12 pages; submitted to ICML 2024",
        "ICML 2023 submission",
        "Work in progress",
        "Not yet accepted",
        "A version of this was rejected from ACL",
        "Code and data will be published on GitHub",
        "Code published at https://sorrel.example",
        "Models are published under MIT",
        "A typo appears corrected in v2",
        "The tactical placement of plants in 2023",
        "Submitted to the International Conference on Learned Hedges",
        "It advances on what in 2023 was known",
        "",
        None,
        7,
    ],
)
def test_anything_else_is_none(extracted, comment) -> None:
    assert reviews(entry(extracted, comment=comment)) == []


@pytest.mark.parametrize(
    ("doi", "signs"),
    [("10.1000/hedges.12", ["doi"]), ("10.48550/arXiv.2401.00001", []), ("", []), (None, []), (7, [])],
)
def test_a_doi_of_a_venue_is_a_sign_and_arxivs_own_is_none(extracted, doi, signs) -> None:
    assert reviews(entry(extracted, doi=doi)) == signs


@pytest.mark.parametrize(
    ("journal", "signs"), [("J. Hedges 12 (2024)", ["journal_ref"]), ("", []), (None, []), ({}, [])]
)
def test_a_journal_reference_is_a_sign(extracted, journal, signs) -> None:
    assert reviews(entry(extracted, journal_ref=journal)) == signs


@pytest.mark.parametrize("title", [None, "", "  \n", 7, []])
def test_an_entry_without_a_title_is_malformed(extracted, title) -> None:
    assert [item.kind for item in entry(extracted, title=title)] == ["document.problem"]


PAGE = "<html><head><title>Sorrel: a small assistant{}</title></head><body><p>Words.</p></body></html>"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://aclanthology.org/2024.sorrel-1.1/", "paper.title"),
        ("https://openreview.net/forum?id=sorrel", "paper.title"),
        ("https://sorrel.example/blog/", "page.title"),
        ("https://openreview.example/forum", "page.title"),
    ],
)
def test_a_page_of_proceedings_names_a_paper(extracted, address: str, kind: str) -> None:
    found = extracted("web", "page", PAGE.format(""), identifier=address, url=address)
    assert {item.value["title"] for item in found if item.kind == kind} == {"Sorrel: a small assistant"}
    assert {item.kind for item in found} & {"page.title", "paper.title"} == {kind}


def test_the_name_of_the_site_is_no_part_of_the_title(extracted) -> None:
    address = "https://aclanthology.org/2024.sorrel-1.1/"
    found = extracted("web", "page", PAGE.format(" - ACL Anthology"), identifier=address, url=address)
    assert "Sorrel: a small assistant" in {item.value.get("title") for item in found}
