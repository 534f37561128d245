"""Candidates at the desk: adopted, merged or dismissed by a person, once, and on record."""

from __future__ import annotations

from typing import Any

import pytest

from db.audit import load_audit
from db.candidate_row import CandidateStatus
from db.candidates import load_candidates
from db.load import load_projects

MODEL = "quillwort/burnet-7b-instruct"


def candidate(desk: Any) -> Any:
    (found,) = desk.read(load_candidates)
    return found


def actions(desk: Any) -> list[str]:
    return [entry.action for entry in desk.read(load_audit)]


def send(browser: Any, what: str, number: int = 1, **form: str) -> Any:
    browser.get("/candidates?status=all")
    return browser.post(f"/candidates/{number}/{what}", form)


def test_a_candidate_is_shown_with_what_speaks_for_it(reading: Any) -> None:
    page = reading.get("/candidates").text
    assert MODEL in page
    assert "Proposed seed entry" in page
    assert "slug: burnet" in page


def test_an_adopted_candidate_is_a_project_whose_entry_waits_to_be_written(desk: Any, ada: Any) -> None:
    answer = send(ada, "adopt", slug="burnet", reason="a chat model")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/projects/burnet/seed"
    assert candidate(desk).status is CandidateStatus.ADOPTED
    assert candidate(desk).curator == "Ada Curator"
    assert actions(desk)[0] == "candidate-adopted"
    page = ada.get("/projects/burnet/seed")
    assert "has no entry for this project yet" in page.text
    assert MODEL in page.text


def test_a_merged_candidate_belongs_to_the_project(desk: Any, ada: Any) -> None:
    answer = send(ada, "merge", project="gorse", role="llm_weights")
    assert answer.status_code == 303
    (project,) = desk.read(load_projects, ["gorse"])
    assert (MODEL, "llm_weights") in {(a.ref.id, a.role.value) for a in project.artifacts}
    assert actions(desk)[0] == "candidate-merged"
    page = ada.get("/projects/gorse/seed")
    assert f"- {{kind: hf_model, id: {MODEL}, role: llm_weights}}" in page.text


def test_a_dismissed_candidate_does_not_come_back(desk: Any, ada: Any) -> None:
    assert send(ada, "dismiss", reason="a demo").status_code == 303
    assert candidate(desk).reason == "a demo"
    ada.get("/candidates")
    assert MODEL not in ada.get("/candidates").text
    assert MODEL in ada.get("/candidates?status=dismissed").text
    assert actions(desk)[0] == "candidate-dismissed"


@pytest.mark.parametrize(
    ("what", "form", "status"),
    [
        ("dismiss", {"reason": "  "}, 409),
        ("dismiss", {}, 409),
        ("dismiss", {"reason": "x" * 2001}, 422),
        ("adopt", {"slug": "../etc"}, 400),
        ("adopt", {"slug": "gorse"}, 400),
        ("merge", {"project": "nobody"}, 400),
        ("merge", {}, 400),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    desk: Any, ada: Any, what: str, form: dict[str, str], status: int
) -> None:
    answer = send(ada, what, **form)
    assert answer.status_code == status
    assert candidate(desk).status is CandidateStatus.OPEN
    assert not any(action.startswith("candidate") for action in actions(desk))


def test_the_second_of_two_curators_is_told_who_was_quicker(desk: Any, ada: Any) -> None:
    ben = desk.browser("Ben Curator")
    assert send(ben, "dismiss", reason="a demo").status_code == 303
    answer = send(ada, "adopt", slug="burnet")
    assert answer.status_code == 409
    assert "was dismissed by Ben Curator" in answer.text


def test_a_candidate_that_is_not_there_is_none(ada: Any) -> None:
    assert send(ada, "dismiss", number=99, reason="x").status_code == 400
    assert send(ada, "dismiss", number=10**30, reason="x").status_code in (400, 404)


def test_a_reader_decides_nothing(desk: Any) -> None:
    rita = desk.browser("Rita Reader")
    assert "Dismiss for good" not in rita.get("/candidates").text
    for what in ("adopt", "merge", "dismiss"):
        assert rita.post(f"/candidates/1/{what}", {"reason": "x", "slug": "x"}).status_code == 403
    assert candidate(desk).status is CandidateStatus.OPEN
