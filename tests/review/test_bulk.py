"""Confirming many: the preview is what is done, and all of it can be taken back."""

from __future__ import annotations

import re
from typing import Any

from db.audit import load_audit
from db.ratings import load_ratings


def digest_of(page: Any) -> str:
    return re.search(r'name="digest" value="([0-9a-f]{64})"', page.text)[1]


def test_a_selection_is_confirmed_as_previewed_and_taken_back_as_a_whole(desk: Any, ada: Any) -> None:
    before = desk.read(load_ratings)
    wanted = {item.cell: item.rating for item in desk.questions(min_confidence=0.9)}
    assert len(wanted) > 5
    page = ada.get("/bulk")
    assert f"Confirm {len(wanted)} proposals at once" in page.text
    answer = ada.post("/bulk?min_confidence=0.9", {"digest": digest_of(page)})
    assert answer.status_code == 303
    after = desk.read(load_ratings)
    assert {cell: after[cell].rating for cell in wanted} == wanted
    assert all(after[cell].curator == "Ada Curator" for cell in wanted)
    assert desk.questions(min_confidence=0.9) == []
    batch = ada.get(answer.headers["location"])
    assert f"{len(wanted)} confirmed together" in batch.text
    undone = ada.post(answer.headers["location"], {"reason": "tried it out"})
    assert undone.status_code == 303
    ratings = desk.read(load_ratings)
    assert {cell: rating.rating for cell, rating in ratings.items()} == {
        cell: rating.rating for cell, rating in before.items()
    }
    assert len(desk.questions(min_confidence=0.9)) == len(wanted)
    assert [entry.action for entry in desk.read(load_audit)][:2] == ["bulk-undo", "bulk"]


def test_a_preview_that_is_out_of_date_confirms_nothing(desk: Any, ada: Any) -> None:
    digest = digest_of(ada.get("/bulk?min_confidence=0.5"))
    item = desk.questions(min_confidence=0.5)[0]
    ben = desk.browser("Ben Curator")
    path = f"/questions/{item.slug}/{item.dimension}"
    page = ben.get(path)
    expected = re.search(r'name="expected" value="(\d+)"', page.text)[1]
    form = {"action": "confirm", "proposal": str(item.proposal_id), "expected": expected}
    assert ben.post(f"{path}/decide", form).status_code == 303
    left = len(desk.questions())
    answer = ada.post("/bulk?min_confidence=0.5", {"digest": digest})
    assert answer.status_code == 409
    assert "changed since the preview" in answer.text
    assert len(desk.questions()) == left
    # The page that says so has a preview of now.
    assert ada.post("/bulk?min_confidence=0.5", {"digest": digest_of(answer)}).status_code == 303


def test_without_a_least_confidence_nothing_is_confirmed(desk: Any, ada: Any) -> None:
    digest = digest_of(ada.get("/bulk?min_confidence=0"))
    before = len(desk.questions())
    assert ada.post("/bulk", {"digest": digest}).status_code == 422
    assert len(desk.questions()) == before


def test_an_undo_needs_a_reason_and_happens_once(desk: Any, ada: Any) -> None:
    page = ada.get("/bulk")
    batch = ada.post("/bulk?min_confidence=0.9", {"digest": digest_of(page)}).headers["location"]
    assert ada.post(batch, {"reason": " "}).status_code == 422
    assert ada.post(batch, {"reason": "no"}).status_code == 303
    assert ada.post(batch, {"reason": "no"}).status_code == 409
    assert ada.get("/batches/999").status_code == 404
    assert ada.get("/batches/x").status_code == 404


def test_what_was_decided_again_since_stays(desk: Any, ada: Any) -> None:
    item = desk.questions(min_confidence=0.9)[0]
    batch = ada.post("/bulk?min_confidence=0.9", {"digest": digest_of(ada.get("/bulk"))}).headers["location"]
    path = f"/questions/{item.slug}/{item.dimension}"
    page = ada.get(path)
    expected = re.search(r'name="expected" value="(\d+)"', page.text)[1]
    form = {"action": "partial", "proposal": "", "expected": expected, "reason": "seen it myself"}
    assert ada.post(f"{path}/decide", form).status_code == 303
    ada.post(batch, {"reason": "too hasty"})
    assert "1 were decided again since" in ada.get(batch).text
    assert desk.read(load_ratings)[item.cell].rating.value == "partial"
