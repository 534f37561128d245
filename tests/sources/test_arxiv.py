"""Papers: numbers old and new, batches, and queries that fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crawler.sources.arxiv import in_queries, normal_id
from crawler.sources.parts import Reporter
from pipelines.model import ArtifactKind, ArtifactRef, VisitRequest, VisitStatus


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


def test_as_many_papers_share_a_query_as_an_address_holds(case: Any, tools: Any) -> None:
    refs = [case.ref, *(paper(tools, f"2413.1{i:04}") for i in range(329))]
    visits = case.visit(None, *refs)
    assert asked_ids(case) == [327, 3]
    assert [visit.status for visit in visits] == [VisitStatus.OK, *[VisitStatus.MISSING] * 329]
    assert all(len(path) < 4000 for path in case.service.paths())


def test_the_length_of_the_numbers_counts_and_not_how_many_they_are() -> None:
    reporters = [
        Reporter(
            request=VisitRequest(ref=ArtifactRef(kind=ArtifactKind.ARXIV, id=f"astro-ph/{i:07}")),
            clock=lambda: datetime.now(UTC),
        )
        for i in range(400)
    ]
    parcels = in_queries(reporters)
    assert [len(parcel) for parcel in parcels] == [189, 189, 22]
    assert in_queries([]) == []


def test_a_failed_query_fails_each_of_its_papers_and_no_other(case: Any, tools: Any) -> None:
    refs = [*(paper(tools, f"2413.1{i:04}") for i in range(327)), case.ref]
    case.service.fault("id_list=2413.10000", "garbage")
    visits = case.visit(None, *refs)
    assert [visit.status for visit in visits] == [*[VisitStatus.FAILED] * 327, VisitStatus.OK]


def test_an_address_that_is_too_long_is_cut_in_two(case: Any, tools: Any) -> None:
    refs = [*(paper(tools, f"2413.1{i:04}") for i in range(9)), case.ref]
    case.service.fault(".", status=414, times=1)
    visits = case.visit(None, *refs)
    assert asked_ids(case) == [10, 5, 5]
    assert visits[-1].status is VisitStatus.OK


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_that_is_asked_for_ends_the_asking(case: Any, tools: Any, status: int) -> None:
    case.service.fault(".", status=status, headers={"Retry-After": "600"})
    refs = [paper(tools, f"2413.1{i:04}") for i in range(700)]
    visits = case.visit(None, *refs, max_wait=5)
    assert {visit.status for visit in visits} == {VisitStatus.FAILED}
    assert len(case.service.asked) == 1
    assert visits[-1].reason == "not asked: arXiv asks to wait 600 s"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_error_of_the_interface_is_no_fact_about_a_paper(case: Any, status: int) -> None:
    case.service.fault(".", status=status)
    (visit,) = case.visit()
    assert visit.status is VisitStatus.FAILED


def test_queries_keep_their_distance(case: Any, tools: Any) -> None:
    refs = [paper(tools, f"2413.1{i:04}") for i in range(328)]
    start = time.monotonic()
    case.visit(None, *refs, delay_seconds=0.2)
    assert time.monotonic() - start >= 0.2
