"""Disputes at the desk: off unless it is set, open to everybody then, limited, and nobody's word but a question."""

from __future__ import annotations

from typing import Any

import pytest

from db.audit import load_audit
from db.disputes import DisputeState, load_disputes
from db.review_values import QuestionKind

GOOD = {
    "dimension": "license",
    "link": "https://gorse.example/licence",
    "text": "The licence was changed last week.",
    "contact": "team@gorse.example",
}


@pytest.fixture
def open_desk(desk: Any) -> Any:
    return desk.with_options(disputes=True)


def file(browser: Any, slug: str = "gorse", **form: str) -> Any:
    browser.get(f"/disputes/new/{slug}")
    return browser.post(f"/disputes/new/{slug}", {**GOOD, **form})


def test_there_is_no_form_unless_it_is_set(desk: Any) -> None:
    browser = desk.browser()
    assert browser.get("/disputes/new/gorse").status_code == 404
    assert browser.post("/disputes/new/gorse", GOOD).status_code in (403, 404)
    assert desk.read(load_disputes) == []


def test_anybody_may_file_one_and_it_becomes_a_question(open_desk: Any) -> None:
    browser = open_desk.browser()
    answer = file(browser)
    assert answer.status_code == 201, answer.text
    (dispute,) = open_desk.read(load_disputes)
    assert (dispute.slug, dispute.state, dispute.contact) == ("gorse", DisputeState.OPEN, GOOD["contact"])
    cells = [q.cell for q in open_desk.questions(kinds=(QuestionKind.DISPUTE,))]
    assert cells == [("gorse", "license")]
    entry = open_desk.read(load_audit)[0]
    assert (entry.action, entry.actor, entry.address) == ("dispute-filed", "-", "203.0.113.9")
    assert GOOD["contact"] not in str(entry.detail)


@pytest.mark.parametrize(
    "wrong",
    [
        {"link": ""},
        {"link": "javascript:alert(1)"},
        {"text": ""},
        {"dimension": "taste"},
        {"text": "x" * 5000},
        {"contact": "x" * 300},
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(open_desk: Any, wrong: dict[str, str]) -> None:
    answer = file(open_desk.browser(), **wrong)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    if "text" not in wrong:
        assert GOOD["text"] in answer.text
    assert open_desk.read(load_disputes) == []


def test_markup_in_a_dispute_is_shown_as_it_was_typed(open_desk: Any) -> None:
    text = "<script>alert(1)</script>{{ 7*7 }}\u202e"
    assert file(open_desk.browser(), text=text).status_code == 201
    ada = open_desk.browser("Ada Curator")
    for path in ("/disputes", "/projects/gorse"):
        page = ada.get(path).text
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "{{ 7*7 }}" in page


def test_a_form_without_its_token_or_filled_in_by_a_machine_is_refused(open_desk: Any) -> None:
    browser = open_desk.browser()
    assert browser.post("/disputes/new/gorse", GOOD).status_code == 403
    assert file(browser, website="https://spam.example").status_code == 400
    browser.get("/disputes/new/gorse")
    elsewhere = browser.post("/disputes/new/gorse", GOOD, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert open_desk.read(load_disputes) == []


def test_the_fourth_within_an_hour_has_to_wait(open_desk: Any) -> None:
    browser = open_desk.browser()
    assert [file(browser).status_code for _ in range(4)] == [201, 201, 201, 429]
    open_desk.clock.forward(hours=2)
    assert file(browser).status_code == 201


def test_a_curator_dismisses_one_with_a_reason(open_desk: Any) -> None:
    file(open_desk.browser())
    ada = open_desk.browser("Ada Curator")
    page = ada.get("/disputes").text
    assert GOOD["contact"] in page
    assert ada.post("/disputes/1/dismiss", {"reason": " "}).status_code == 409
    assert ada.post("/disputes/1/dismiss", {"reason": "the same terms"}).status_code == 303
    assert "Dismissed by Ada Curator" in ada.get("/disputes").text
    assert open_desk.questions(kinds=(QuestionKind.DISPUTE,)) == []
    assert ada.post("/disputes/1/dismiss", {"reason": "again"}).status_code == 409
    assert open_desk.read(load_audit)[0].action == "dispute-dismissed"


def test_contacts_are_for_curators_only(open_desk: Any) -> None:
    file(open_desk.browser())
    rita = open_desk.browser("Rita Reader")
    assert rita.get("/disputes").status_code == 403
    assert GOOD["contact"] not in rita.get("/projects/gorse").text
    assert rita.post("/disputes/1/dismiss", {"reason": "x"}).status_code == 403


def test_a_project_that_is_not_there_cannot_be_disputed(open_desk: Any) -> None:
    assert open_desk.browser().get("/disputes/new/nobody").status_code == 404
