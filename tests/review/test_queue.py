"""The queue page: what is listed, in which order, and how it is narrowed."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from db.questions import load_facets
from db.review_values import QuestionKind, QueueFilter, Sort
from pipelines.model import Rating

ROW = re.compile(r'data-row href="/questions/([^/"]+)/([^?"]+)')


def rows(answer: Any) -> list[tuple[str, str]]:
    return ROW.findall(answer.text)


def test_every_question_is_on_a_page_of_the_queue_once(shared_desk: Any, reading: Any) -> None:
    seen, path = [], "/queue"
    while path:
        page = reading.get(path)
        assert page.status_code == 200
        seen += rows(page)
        following = re.search(r'href="(/queue\?[^"]*after=[^"]*)"', page.text)
        path = following[1].replace("&amp;", "&") if following else ""
    wanted = [item.cell for item in shared_desk.questions()]
    assert len(wanted) > 50
    assert sorted(seen) == sorted(wanted)


def test_questions_of_a_project_stand_together(reading: Any) -> None:
    slugs = [slug for slug, _ in rows(reading.get("/queue?sort=confidence"))]
    changes = sum(1 for before, after in itertools.pairwise(slugs) if before != after)
    assert changes == len(set(slugs)) - 1


@pytest.mark.parametrize("sort", list(Sort))
def test_every_order_can_be_asked_for(reading: Any, sort: Sort) -> None:
    page = reading.get(f"/queue?sort={sort.value}")
    assert page.status_code == 200
    assert f'<option value="{sort.value}" selected>' in page.text


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("dimension=license", {"dimensions": ("license",)}),
        ("kind=new_project", {"kinds": (QuestionKind.NEW_PROJECT,)}),
        ("class=closed&min_confidence=0.9", {"ratings": (Rating.CLOSED,), "min_confidence": 0.9}),
        ("change=open%3Eclosed", {"change": "open>closed"}),
    ],
)
def test_a_filter_shows_what_the_queue_has_of_it(
    shared_desk: Any, reading: Any, query: str, filters: dict[str, Any]
) -> None:
    wanted = [item.cell for item in shared_desk.questions(**filters)]
    assert wanted
    page = reading.get(f"/queue?{query}")
    assert sorted(rows(page)) == sorted(wanted)
    assert f"<h1>{len(wanted)} question" in page.text


def test_links_to_questions_keep_the_filter(reading: Any) -> None:
    page = reading.get("/queue?dimension=license&sort=age")
    assert re.search(r'href="/questions/[^/"]+/license\?dimension=license&amp;sort=age"', page.text)


def test_the_counts_that_are_shown_add_up(shared_desk: Any, reading: Any) -> None:
    facets = shared_desk.read(load_facets, QueueFilter(), shared_desk.clock())
    assert f"<h1>{facets.total} questions" in reading.get("/queue").text
    page = reading.get("/queue/selection").text
    select = page.split('<select id="kind"')[1].split("</select>")[0]
    assert sum(int(number) for number in re.findall(r"\((\d+)\)", select)) == facets.total


@pytest.mark.parametrize(
    "query",
    [
        "dimension=nothing",
        "kind=rumour",
        "sort=luck",
        "change=up",
        "min_confidence=2",
        "min_confidence=nan",
        "project=no-such-project",
        "after=rubbish",
    ],
)
def test_a_filter_that_nobody_knows_is_refused_and_not_passed_over(reading: Any, query: str) -> None:
    assert reading.get(f"/queue?{query}").status_code == 400


def test_an_empty_selection_says_so(reading: Any) -> None:
    page = reading.get("/queue?min_confidence=1")
    assert page.status_code == 200
    assert "Nothing is asked in this selection." in page.text
