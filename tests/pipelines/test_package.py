"""What an index says of a package."""

from __future__ import annotations

import pytest

from pipelines.model import Evidence


def metadata(extracted, releases=({"version": "0.1.0"}, {"version": "0.2.0"}), **info) -> list[Evidence]:
    return extracted(
        "pypi",
        "metadata",
        {"info": {"name": "sorrel-llm", "version": "0.2.0", **info}, "releases": list(releases)},
        identifier="sorrel-llm",
    )


def values(found: list[Evidence], kind: str) -> list[dict]:
    return [dict(item.value) for item in found if item.kind == kind]


def test_releases_are_counted(extracted) -> None:
    assert values(metadata(extracted), "package.release") == [
        {"name": "sorrel-llm", "versions": 2, "latest": "0.2.0", "yanked": False}
    ]


def test_a_name_without_releases_has_none(extracted) -> None:
    (release,) = values(metadata(extracted, releases=(), version=None, yanked=True), "package.release")
    assert release == {"name": "sorrel-llm", "versions": 0, "latest": "", "yanked": True}


def test_links_are_read_from_all_fields_for_addresses(extracted) -> None:
    found = metadata(
        extracted,
        home_page="https://github.com/meadowlab/sorrel",
        project_url="https://pypi.org/project/sorrel-llm/",
        project_urls={
            "Docs": "https://docs.sorrel.example/",
            "Model": "https://huggingface.co/meadowlab/sorrel-7b",
        },
    )
    assert [(link["kind"], link["id"]) for link in values(found, "package.link")] == [
        ("github", "meadowlab/sorrel"),
        ("pypi", "sorrel-llm"),
        ("web", "https://docs.sorrel.example/"),
        ("hf_model", "meadowlab/sorrel-7b"),
    ]


@pytest.mark.parametrize(
    "address", ["UNKNOWN", "", None, 7, "javascript:alert(1)", "file:///etc/passwd", ["https://a.example"]]
)
def test_what_is_no_address_links_to_nothing(extracted, address) -> None:
    assert values(metadata(extracted, home_page=address, project_urls={"x": address}), "package.link") == []


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ({"license": "MIT"}, "MIT"),
        ({"license": "Apache License 2.0"}, "Apache-2.0"),
        ({"license": "see file", "license_expression": "MIT"}, "MIT"),
    ],
)
def test_the_licence_is_normalised(extracted, stated: dict, licence: str) -> None:
    assert [tag["licence"] for tag in values(metadata(extracted, **stated), "licence.tag")] == [licence]


@pytest.mark.parametrize("stated", ["", None, "see file", "x" * 5000, 7])
def test_what_names_no_licence_is_no_tag(extracted, stated) -> None:
    assert values(metadata(extracted, license=stated), "licence.tag") == []


def test_a_summary_is_kept_short(extracted) -> None:
    assert values(metadata(extracted, summary="s" * 900), "package.summary") == [{"text": "s" * 300}]
