"""Packages: names, redirects, and what of the index's answer is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from crawler.sources.pypi import LONGEST_DESCRIPTION, canonical_metadata, normal_name
from pipelines.model import VisitStatus


@pytest.fixture
def case(make_case: Callable[[str], Any]) -> Any:
    return make_case("pypi")


@pytest.mark.parametrize("name", ["Seedling_Tools", "seedling.tools", "seedling--tools", "SEEDLING-TOOLS"])
def test_every_spelling_is_the_same_package(name: str) -> None:
    assert normal_name(name) == "seedling-tools"


def test_metadata_keeps_facts_and_dates_releases(case: Any) -> None:
    (visit,) = case.visit()
    document = json.loads(visit.capture.body)
    assert document["info"]["license"] == "Willow Lab Sample Licence"
    assert not {"downloads", "last_serial", "package_url"} & set(document["info"])
    assert [(r["version"], r["yanked"]) for r in document["releases"]] == [("0.1", True), ("0.2", False)]
    assert visit.url == "https://packages.example/project/seedling-tools/"


def test_a_redirect_to_another_spelling_is_followed(case: Any) -> None:
    case.service.say("/pypi/seedling-tools/json", b"", status=301, Location="/pypi/seedling_tools2/json")
    case.service.say(
        "/pypi/seedling_tools2/json", json.loads(case.service.recorded("/pypi/seedling-tools/json"))
    )
    (visit,) = case.visit()
    assert visit.status is VisitStatus.OK


def test_a_long_description_is_cut_and_odd_values_are_borne() -> None:
    value = {
        "info": {"name": "x", "description": "a" * 50_000},
        "releases": {"1": None, "2": [7, {"yanked": 1}]},
    }
    document = json.loads(canonical_metadata(value))
    assert len(document["info"]["description"]) == LONGEST_DESCRIPTION
    assert document["releases"] == [
        {"upload_time": None, "version": "1", "yanked": False},
        {"upload_time": None, "version": "2", "yanked": False},
    ]


def test_a_long_wait_stops_further_requests(case: Any, tools: Any) -> None:
    case.service.fault(".", status=429, headers={"Retry-After": "600"})
    refs = [tools.ref(case.ref.kind, f"bed-{i}") for i in range(5)]
    visits = case.visit(None, *refs)
    assert {visit.status for visit in visits} == {VisitStatus.FAILED}
    assert len(case.service.asked) == 1
    assert sum("asks to wait 600 s" in visit.reason for visit in visits) == 4
