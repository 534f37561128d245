"""Second opinions at the desk: asked blind, answered once, and told in numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from db import decide
from db.audit import load_audit
from db.opinions import load_asked, load_opinions
from db.review_values import QuestionKind
from pipelines.model import Rating

SECRET = "because the quokka said so"


@pytest.fixture
def asked(desk: Any) -> Any:
    """A desk that asks about every cell, and one that Ada has rated otherwise than the rules propose."""
    desk = desk.with_options(second_opinions=1.0)
    item = next(q for q in desk.questions() if q.rating is not Rating.PARTIAL and q.proposal_id)
    desk.write(
        decide.override,
        item.proposal_id,
        rating=Rating.PARTIAL,
        curator="Ada Curator",
        now=desk.clock(),
        reason=SECRET,
        note=SECRET,
        link="https://quokka.example/",
    )
    return desk, item


def send(browser: Any, item: Any, number: int, **form: str) -> Any:
    browser.get(f"/opinions/{item.slug}/{item.dimension}")
    given = {"decision": str(number), "rating": "closed", "reason": "nothing is there", **form}
    return browser.post(f"/opinions/{item.slug}/{item.dimension}", given)


def test_the_page_tells_nothing_of_the_first_opinion_nor_of_the_proposal(asked: Any) -> None:
    desk, item = asked
    page = desk.browser("Ben Curator").get(f"/opinions/{item.slug}/{item.dimension}")
    assert page.status_code == 200
    for told in (SECRET, "Ada", "quokka.example", item.rationale):
        assert told not in page.text
    body = page.text.split("<main")[1]
    # Each class stands there once, as a choice, and none of them is chosen.
    assert body.count('class="rating ') == 4
    assert not any(" checked" in tag for tag in re.findall(r"<input[^>]*>", body))


def test_whoever_rated_a_cell_is_not_asked_about_it(asked: Any) -> None:
    desk, item = asked
    ada = desk.browser("Ada Curator")
    assert ada.get(f"/opinions/{item.slug}/{item.dimension}").status_code == 404
    assert ada.post(
        f"/opinions/{item.slug}/{item.dimension}", {"rating": "open", "reason": "x"}
    ).status_code in (
        404,
        409,
    )
    assert desk.read(load_opinions) == []


def test_an_opinion_that_differs_becomes_a_question_and_a_number(asked: Any) -> None:
    desk, item = asked
    ben = desk.browser("Ben Curator")
    (cell,) = desk.read(load_asked, "Ben Curator", 1.0)
    assert item.project in ben.get("/opinions").text
    answer = send(ben, item, cell.decision_id)
    assert answer.status_code == 303, answer.text
    (opinion,) = desk.read(load_opinions)
    assert (opinion.curator, opinion.rating, opinion.agrees) == ("Ben Curator", Rating.CLOSED, False)
    assert item.cell in [q.cell for q in desk.questions(kinds=(QuestionKind.DISAGREEMENT,))]
    assert desk.read(load_audit)[0].action == "opinion"
    agreement = ben.get("/agreement").text
    assert "Curators among themselves" in agreement
    assert "There are no second opinions yet" not in agreement
    assert "≠ differ" in ben.get("/opinions").text


@pytest.mark.parametrize(
    "form",
    [
        {"rating": "great"},
        {"rating": ""},
        {"reason": "  "},
        {"reason": "x" * 4001},
        {"decision": "7"},
        {"decision": "x"},
    ],
)
def test_what_is_not_whole_is_not_stored(asked: Any, form: dict[str, str]) -> None:
    desk, item = asked
    (cell,) = desk.read(load_asked, "Ben Curator", 1.0)
    assert send(desk.browser("Ben Curator"), item, cell.decision_id, **form).status_code in (409, 422)
    assert desk.read(load_opinions) == []


def test_nothing_is_asked_where_the_share_is_nothing(desk: Any) -> None:
    page = desk.browser("Ben Curator").get("/opinions").text
    assert "No second opinions are asked for" in page


def test_a_reader_is_asked_nothing(desk: Any) -> None:
    rita = desk.browser("Rita Reader")
    assert rita.get("/opinions").status_code == 403
    assert rita.get("/agreement").status_code == 200


def test_agreement_is_there_before_anything_was_decided(reading: Any) -> None:
    page = reading.get("/agreement").text
    assert "Nothing was decided yet" in page


def test_agreement_with_the_rules_has_numbers_charts_and_their_words(asked: Any) -> None:
    desk, _ = asked
    page = desk.browser("Rita Reader").get("/agreement").text
    assert "Rules and curators" in page
    assert page.count("<svg") == 2
    assert f"{desk.clock():%Y-%m}: 0% of 1" in page
    assert "Agreement by month, all" in page
