"""Confirming many at once, and taking it back."""

from __future__ import annotations

import pytest

from db.bulk import confirm_bulk, load_batch, load_batch_cells, load_batches, preview_bulk, undo_batch
from db.decide import accept, override, undo
from db.disputes import save_dispute
from db.load import load_decisions, load_ratings
from db.questions import load_page
from db.review_values import QuestionKind, QueueFilter
from db.save import save_projects
from db.session import check, session_scope
from pipelines.errors import DecisionError, UsageError
from pipelines.model import DecisionKind, Rating
from pipelines.rubric import load_rubric

OPEN, CLOSED = Rating.OPEN, Rating.CLOSED


@pytest.fixture
def filled(desk):
    """Six questions, four of them sure."""
    slugs = ("alder", "birch")
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [desk.project(slug) for slug in slugs], desk.now)
    for slug in slugs:
        for dimension, confidence in (("code", 0.9), ("license", 0.85), ("paper", 0.5)):
            desk.propose(OPEN, slug=slug, dimension=dimension, digest=slug + dimension, confidence=confidence)
    return desk


def preview(desk, floor=0.8, **filters):
    with session_scope(desk.engine) as session:
        return preview_bulk(session, QueueFilter(**filters), floor, desk.now)


def confirm(desk, digest, floor=0.8, curator="rowan", **filters):
    with session_scope(desk.engine, write=True) as session:
        return confirm_bulk(session, QueueFilter(**filters), floor, digest, curator, desk.later(minutes=1))


def take_back(desk, batch_id, reason="too hasty"):
    with session_scope(desk.engine, write=True) as session:
        return undo_batch(session, batch_id, "sorrel", desk.later(minutes=1), reason)


def waiting(desk):
    with session_scope(desk.engine) as session:
        return load_page(session, QueueFilter(), desk.now).total


def test_what_the_preview_shows_is_what_is_done(filled):
    shown = preview(filled)
    assert (shown.total, shown.left_out) == (4, 0)
    assert shown.by_dimension == {"code": 2, "license": 2}
    assert shown.by_change == {"unrated>open": 4}
    assert sorted(item.cell for item in shown.sample) == [
        (slug, dimension) for slug in ("alder", "birch") for dimension in ("code", "license")
    ]
    assert waiting(filled) == 6, "a preview does nothing"
    done = confirm(filled, shown.digest)
    assert done.confirmed == 4
    assert waiting(filled) == 2
    with session_scope(filled.engine) as session:
        assert {cell: rating.rating for cell, rating in load_ratings(session).items()} == dict.fromkeys(
            (item.cell for item in shown.sample), OPEN
        )
        (decision, *_) = load_decisions(session)
        assert (decision.kind, decision.curator, decision.imported) == (DecisionKind.CONFIRM, "rowan", False)
        assert decision.note == "the card makes it open", "as if it had been confirmed by itself"
        batch = load_batch(session, done.batch_id)
        assert (batch.curator, batch.decisions, batch.min_confidence, batch.undone_at) == (
            "rowan",
            4,
            0.8,
            None,
        )
        assert load_batches(session) == [batch]
        assert load_batch_cells(session, done.batch_id)[0] == (("alder", "code"), OPEN, True)
    assert check(filled.engine) == []


def test_a_filter_narrows_it_and_is_kept_with_the_batch(filled):
    shown = preview(filled, 0.0, slugs=("birch",), dimensions=("paper", "code"))
    assert shown.total == 2
    done = confirm(filled, shown.digest, 0.0, slugs=("birch",), dimensions=("paper", "code"))
    with session_scope(filled.engine) as session:
        assert load_batch(session, done.batch_id).filter == {
            "slugs": ["birch"],
            "dimensions": ["paper", "code"],
        }


@pytest.mark.parametrize("change", ["decided", "undone", "proposed", "more"])
def test_nothing_is_done_when_anything_has_changed_since_the_preview(filled, change):
    shown = preview(filled)
    with session_scope(filled.engine, write=True) as session:
        first = shown.sample[0]
        if change in {"decided", "undone"}:
            accept(session, first.proposal_id, curator="sorrel", now=filled.now)
        if change == "undone":
            undo(session, *first.cell, curator="sorrel", now=filled.now, reason="wrong")
    if change == "proposed":
        filled.propose(CLOSED, slug=first.slug, dimension=first.dimension, digest="new", confidence=0.9)
    if change == "more":
        filled.propose(OPEN, slug="alder", dimension="paper", digest="new", confidence=0.9)
    with session_scope(filled.engine) as session:
        before = len(load_decisions(session))
    with pytest.raises(DecisionError, match="changed since the preview"):
        confirm(filled, shown.digest)
    with session_scope(filled.engine) as session:
        assert len(load_decisions(session)) == before
        assert load_batches(session) == []


def test_the_same_form_sent_twice_confirms_once(filled):
    shown = preview(filled)
    confirm(filled, shown.digest)
    with pytest.raises(DecisionError, match="changed since the preview"):
        confirm(filled, shown.digest)


def test_nothing_to_confirm_is_told(filled):
    shown = preview(filled, 0.99)
    assert (shown.total, shown.sample) == (0, ())
    with pytest.raises(DecisionError, match="nothing to confirm"):
        confirm(filled, shown.digest, 0.99)


def test_disputes_are_left_to_a_person(filled):
    with session_scope(filled.engine, write=True) as session:
        save_dispute(
            session,
            load_rubric(),
            slug="alder",
            dimension="license",
            link="https://alder.example/licence",
            text="it was changed",
            contact="",
            now=filled.now,
        )
    shown = preview(filled)
    assert (shown.total, shown.left_out) == (3, 1)
    confirm(filled, shown.digest)
    assert waiting(filled) == 3
    with pytest.raises(UsageError, match="each wants a look"):
        preview(filled, kinds=(QuestionKind.DISPUTE,))


def test_undoing_a_batch_asks_all_of_it_again(filled):
    done = confirm(filled, preview(filled).digest)
    undone = take_back(filled, done.batch_id)
    assert (undone.undone, undone.left) == (4, ())
    assert waiting(filled) == 6
    with session_scope(filled.engine) as session:
        assert load_ratings(session) == {}
        batch = load_batch(session, done.batch_id)
        assert (batch.undone_by, batch.undone_at) == ("sorrel", filled.now)
        assert [stands for *_, stands in load_batch_cells(session, done.batch_id)] == [False] * 4
    with pytest.raises(DecisionError, match="was undone by sorrel"):
        take_back(filled, done.batch_id)
    assert check(filled.engine) == []


def test_cells_that_were_decided_again_since_are_left_alone_and_told(filled):
    done = confirm(filled, preview(filled).digest)
    with session_scope(filled.engine, write=True) as session:
        undo(session, "alder", "code", curator="sorrel", now=filled.later(minutes=1), reason="wrong")
    newer = filled.propose(CLOSED, slug="birch", dimension="license", digest="new")
    with session_scope(filled.engine, write=True) as session:
        override(
            session, newer, rating=Rating.PARTIAL, curator="sorrel", now=filled.later(minutes=1), reason="no"
        )
    undone = take_back(filled, done.batch_id)
    assert (undone.undone, undone.left) == (2, (("alder", "code"), ("birch", "license")))
    with session_scope(filled.engine) as session:
        assert {cell: rating.rating for cell, rating in load_ratings(session).items()} == {
            ("birch", "license"): Rating.PARTIAL
        }


@pytest.mark.parametrize(("batch_id", "reason"), [(99, "so"), (1, " ")])
def test_a_batch_that_is_not_there_and_no_reason_are_refused(filled, batch_id, reason):
    confirm(filled, preview(filled).digest)
    with pytest.raises(DecisionError):
        take_back(filled, batch_id, reason)


@pytest.mark.parametrize("floor", [-0.1, 1.5, float("nan")])
def test_a_confidence_that_is_none_is_refused(filled, floor):
    with pytest.raises(UsageError, match="between 0 and 1"):
        preview(filled, floor)


def test_a_decision_needs_a_curator(filled):
    with pytest.raises(DecisionError, match="name of its curator"):
        confirm(filled, preview(filled).digest, curator=" ")
