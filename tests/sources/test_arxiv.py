"""Papers: numbers old and new, batches, and queries that fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crawler.sources.arxiv import normal_id
from pipelines.model import ArtifactKind, VisitStatus


@pytest.fixture
def case(make_case: Callable[[str], Any]) -> Any:
    return make_case("arxiv")


def paper(tools: Any, number: str) -> Any:
    return tools.ref(ArtifactKind.ARXIV, number)


def asked_ids(case: Any) -> list[int]:
    return [len(parse_qs(urlsplit(path).query)["id_list"][0].split(",")) for path in case.service.paths()]


@pytest.mark.parametrize(
    ("written", "number"),
    [("2413.00001v3", "2413.00001"), ("arXiv:2413.00001", "2413.00001"), ("cs/0113017v1", "cs/0113017")],
)
def test_versions_and_prefixes_are_not_part_of_the_number(written: str, number: str) -> None:
    assert normal_id(written) == number


def test_an_entry_holds_what_the_feed_says(case: Any) -> None:
    (visit,) = case.visit()
    document = json.loads(visit.capture.body)
    assert (document["id"], document["version"]) == ("2413.00001", 1)
    assert document["title"] == "Seedling: growing an invented model"
    assert document["authors"] == ["Ada Fern", "Bo Moss"]
    assert document["comment"] == "9 pages"
    assert document["published"] == "2031-01-02T00:00:00Z"


def test_old_numbers_are_read_too(case: Any, tools: Any) -> None:
    (visit,) = case.visit(None, paper(tools, "cs/0113017v1"))
    assert visit.status is VisitStatus.OK
    assert visit.url == "https://arxiv.org/abs/cs/0113017"


def test_a_hundred_papers_share_a_query(case: Any, tools: Any) -> None:
    refs = [case.ref, *(paper(tools, f"2413.1{i:04}") for i in range(119))]
    visits = case.visit(None, *refs)
    assert asked_ids(case) == [100, 20]
    assert [visit.status for visit in visits] == [VisitStatus.OK, *[VisitStatus.MISSING] * 119]


def test_a_failed_query_fails_each_of_its_papers_and_no_other(case: Any, tools: Any) -> None:
    refs = [*(paper(tools, f"2413.1{i:04}") for i in range(100)), case.ref]
    case.service.fault("id_list=2413.10000", "garbage")
    visits = case.visit(None, *refs)
    assert [visit.status for visit in visits] == [*[VisitStatus.FAILED] * 100, VisitStatus.OK]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_error_of_the_interface_is_no_fact_about_a_paper(case: Any, status: int) -> None:
    case.service.fault(".", status=status)
    (visit,) = case.visit()
    assert visit.status is VisitStatus.FAILED


def test_queries_keep_their_distance(case: Any, tools: Any) -> None:
    refs = [paper(tools, f"2413.1{i:04}") for i in range(101)]
    start = time.monotonic()
    case.visit(None, *refs, delay_seconds=0.2)
    assert time.monotonic() - start >= 0.2
