"""Deciding: what each key's form does, what it demands, and that nobody overwrites anybody silently."""

from __future__ import annotations

import re
from typing import Any

import pytest

from db.audit import load_audit
from db.comments import load_comments
from db.question_pages import load_cell
from db.ratings import load_ratings


def path_of(item: Any) -> str:
    return f"/questions/{item.slug}/{item.dimension}"


def form_of(page: Any, **values: str) -> dict[str, str]:
    """The fields of the decision form as the page has them."""
    import html

    form = page.text.split("/decide")[1].split("</form>")[0]
    found = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'name="(note|reason)"[^>]*>([^<]*)</textarea>', form))
    found = {name: html.unescape(value) for name, value in found.items()}
    link = re.search(r'id="link"[^>]* value="([^"]*)"', form)
    until = re.search(r'id="until"[^>]* value="([^"]*)"', form)
    found |= {"link": html.unescape(link[1])} if link else {}
    found |= {"until": until[1]} if until else {}
    found.pop("action", None)
    return {**found, **values}


def cell(desk: Any, item: Any) -> Any:
    return desk.read(load_cell, item.slug, item.dimension, desk.clock())


def test_confirming_is_one_request_and_leads_to_the_next_question(desk: Any, ada: Any) -> None:
    first, second = desk.questions()[:2]
    page = ada.get(path_of(first))
    answer = ada.post(f"{path_of(first)}/decide", form_of(page, action="confirm"))
    assert answer.status_code == 303
    assert answer.headers["location"] == path_of(second)
    rating = cell(desk, first).current
    assert (rating.rating, rating.curator, rating.note) == (first.rating, "Ada Curator", first.rationale)
    assert rating.link == first.link
    following = ada.get(answer.headers["location"])
    assert f"Confirmed: {first.slug} {first.dimension}." in following.text
    assert first.cell not in [item.cell for item in desk.questions()]
    entry = desk.read(load_audit)[0]
    assert (entry.actor, entry.action, entry.subject) == ("Ada Curator", "decision", " ".join(first.cell))
    assert entry.address == "203.0.113.9"


def test_the_next_question_is_that_of_the_selection(desk: Any, ada: Any) -> None:
    some = desk.questions(dimensions=("package",))
    page = ada.get(f"{path_of(some[0])}?dimension=package")
    answer = ada.post(f"{path_of(some[0])}/decide?dimension=package", form_of(page, action="confirm"))
    assert answer.headers["location"] == f"{path_of(some[1])}?dimension=package"


def test_after_the_last_question_of_a_selection_the_queue_says_so(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    query = f"?dimension={item.dimension}&project={item.slug}"
    page = ada.get(path_of(item) + query)
    answer = ada.post(f"{path_of(item)}/decide{query}", form_of(page, action="confirm"))
    assert answer.headers["location"] == f"/queue{query}"
    assert "That was the last of this selection." in ada.get(answer.headers["location"]).text


@pytest.mark.parametrize("action", ["open", "partial", "closed", "not_applicable", "reject", "defer"])
def test_everything_but_confirming_demands_a_reason(desk: Any, ada: Any, action: str) -> None:
    item = next(item for item in desk.questions() if item.rating.value != action)
    page = ada.get(path_of(item))
    refused = ada.post(f"{path_of(item)}/decide", form_of(page, action=action, reason="  ", note="my note"))
    assert refused.status_code == 422
    assert "Say why" in refused.text
    assert "my note" in refused.text
    assert cell(desk, item).latest_decision_id == int(form_of(page)["expected"])
    done = ada.post(f"{path_of(item)}/decide", form_of(page, action=action, reason="seen it myself"))
    assert done.status_code == 303
    assert item.cell not in [other.cell for other in desk.questions()]
    decision = cell(desk, item).history[-1]
    assert decision.reason == "seen it myself"
    if action not in ("reject", "defer"):
        assert decision.rating.value == action
        # Nobody has touched the prefilled note, which says something else.
        assert decision.note == "seen it myself"
        assert decision.link == item.link


def test_link_and_note_are_published_as_they_were_edited(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    page = ada.get(path_of(item))
    edited = form_of(page, action="confirm", note="Two\r\nlines.", link="https://example.org/evidence")
    ada.post(f"{path_of(item)}/decide", edited)
    current = cell(desk, item).current
    assert (current.note, current.link) == ("Two\nlines.", "https://example.org/evidence")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "ftp://example.org/", "example.org"]
)
def test_a_link_that_no_browser_should_follow_is_refused(desk: Any, ada: Any, link: str) -> None:
    item = desk.questions()[0]
    page = ada.get(path_of(item))
    answer = ada.post(f"{path_of(item)}/decide", form_of(page, action="confirm", link=link))
    assert answer.status_code == 422
    assert cell(desk, item).current is None or cell(desk, item).current.curator != "Ada Curator"


def test_a_deferred_question_comes_back_on_its_day(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    page = ada.get(path_of(item))
    for until in ("soon", "2001-01-01", ""):
        refused = form_of(page, action="defer", reason="a release is announced", until=until)
        assert ada.post(f"{path_of(item)}/decide", refused).status_code in (409, 422)
    form = form_of(page, action="defer", reason="a release is announced", until="2030-04-01")
    assert ada.post(f"{path_of(item)}/decide", form).status_code == 303
    assert item.cell not in [other.cell for other in desk.questions()]
    assert "put off until" in ada.get(path_of(item)).text
    desk.clock.forward(days=40)
    assert item.cell in [other.cell for other in desk.questions()]


def test_two_curators_never_overwrite_each_other(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    ben = desk.browser("Ben Curator")
    of_ada, of_ben = form_of(ada.get(path_of(item))), form_of(ben.get(path_of(item)))
    other = next(value for value in ("open", "partial") if value != item.rating.value)
    first = ben.post(f"{path_of(item)}/decide", {**of_ben, "action": other, "reason": "I read the licence"})
    assert first.status_code == 303
    late = ada.post(
        f"{path_of(item)}/decide", {**of_ada, "action": "reject", "reason": "somebody else's repository"}
    )
    assert late.status_code == 409
    assert "Ben Curator" in late.text
    assert "decided" in late.text
    # What she wrote is not lost, and the page shows what he decided.
    assert "somebody else&#39;s repository" in late.text
    assert "I read the licence" in late.text
    assert cell(desk, item).current.curator == "Ben Curator"
    assert len(cell(desk, item).history) == int(bool(item.current)) + 1


def test_a_proposal_of_another_cell_is_refused(desk: Any, ada: Any) -> None:
    first, second = desk.questions()[:2]
    form = form_of(ada.get(path_of(first)), action="confirm")
    answer = ada.post(f"{path_of(first)}/decide", {**form, "proposal": str(second.proposal_id)})
    assert answer.status_code == 409
    assert {first.cell, second.cell} <= {item.cell for item in desk.questions()}


@pytest.mark.parametrize(
    "broken",
    [
        {"expected": ""},
        {"expected": "-1"},
        {"expected": "x"},
        {"action": ""},
        {"action": "delete"},
        {"proposal": "9" * 18},
    ],
)
def test_a_form_that_is_not_whole_decides_nothing(desk: Any, ada: Any, broken: dict[str, str]) -> None:
    item = desk.questions()[0]
    form = {**form_of(ada.get(path_of(item)), action="confirm"), **broken}
    assert ada.post(f"{path_of(item)}/decide", form).status_code in (409, 422)
    assert item.cell in [other.cell for other in desk.questions()]


def test_one_key_takes_the_last_decision_back(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    before = cell(desk, item).current
    answer = ada.post(f"{path_of(item)}/decide", form_of(ada.get(path_of(item)), action="confirm"))
    page = ada.get(answer.headers["location"])
    form = page.text.split('class="buttons undo-last"')[1].split("</form>")[0]
    fields = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', form))
    undone = ada.post(re.search(r'action="([^"]+)"', form)[1], fields)
    assert undone.status_code == 303
    assert undone.headers["location"] == path_of(item)
    assert item.cell in [other.cell for other in desk.questions()]
    assert cell(desk, item).current == before
    assert "undo-last" not in ada.get(path_of(item)).text
    assert desk.read(load_audit)[0].action == "undo"


def test_an_undo_of_what_somebody_has_decided_on_since_is_refused(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    ada.post(f"{path_of(item)}/decide", form_of(ada.get(path_of(item)), action="confirm"))
    mine = cell(desk, item).latest_decision_id
    ben = desk.browser("Ben Curator")
    form = form_of(ben.get(path_of(item)), action="partial", reason="no")
    assert form["proposal"] == ""
    assert ben.post(f"{path_of(item)}/decide", form).status_code == 303
    fields = {"decision": str(mine), "expected": str(mine), "reason": "taken back"}
    assert ada.post(f"{path_of(item)}/undo", fields).status_code == 409
    assert cell(desk, item).current.curator == "Ben Curator"


def test_a_cell_that_is_no_question_can_be_rated_by_hand(desk: Any, ada: Any) -> None:
    asked = {item.cell for item in desk.questions()}
    rated = next(c for c in sorted(desk.read(load_ratings)) if c not in asked)
    path = f"/questions/{rated[0]}/{rated[1]}"
    page = ada.get(path)
    assert "no question at present" in page.text
    assert 'value="confirm"' not in page.text
    answer = ada.post(f"{path}/decide", form_of(page, action="not_applicable", reason="it ships no model"))
    assert answer.status_code == 303
    assert desk.read(load_ratings)[rated].rating.value == "not_applicable"
    assert ada.post(f"{path}/decide", form_of(ada.get(path), action="confirm")).status_code == 409


def test_a_comment_is_seen_by_the_others(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    ada.get(path_of(item))
    assert ada.post(f"{path_of(item)}/comment", {"text": "Is <b>this</b> theirs?"}).status_code == 303
    assert ada.post(f"{path_of(item)}/comment", {"text": " "}).status_code == 422
    page = desk.browser("Ben Curator").get(path_of(item))
    assert "Is &lt;b&gt;this&lt;/b&gt; theirs?" in page.text
    assert len(desk.read(load_comments, *item.cell, limit=9)) == 1
    assert item.cell in [other.cell for other in desk.questions()]


def test_a_decision_is_in_the_published_data_with_the_same_commit(desk: Any, ada: Any) -> None:
    item = next(item for item in desk.questions() if item.rating.value == "closed")
    line = f"{item.slug},{item.dimension},closed"
    assert line not in ada.get("/export/csv").text
    ada.post(f"{path_of(item)}/decide", form_of(ada.get(path_of(item)), action="confirm"))
    answer = ada.get("/export/csv")
    assert line in answer.text
    assert "attachment" in answer.headers["content-disposition"]
    projects = ada.get("/export/json").json()["projects"]
    project = next(project for project in projects if project["slug"] == item.slug)
    assert project["ratings"][item.dimension]["curator"] == "Ada Curator"
    assert ada.get("/export/xlsx").status_code == 404


def test_an_unknown_cell_is_not_found(desk: Any, ada: Any) -> None:
    item = desk.questions()[0]
    for path in ("/questions/nobody/license", f"/questions/{item.slug}/luck"):
        assert ada.get(path).status_code == 404
    form = {"action": "open", "expected": "0", "reason": "why not", "proposal": ""}
    assert ada.post(f"/questions/{item.slug}/luck/decide", form).status_code == 404
    assert ada.post("/questions/nobody/license/decide", form).status_code == 404


def test_what_a_handler_did_goes_when_it_fails(desk: Any, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    item = desk.questions()[0]
    form = form_of(ada.get(path_of(item)), action="confirm")

    def fail(*values: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("review.routes.deciding.remember", fail)
    assert ada.post(f"{path_of(item)}/decide", form).status_code == 500
    assert item.cell in [other.cell for other in desk.questions()]
    assert desk.read(load_audit)[0].action == "sign-in"
