"""Published ratings are taken over, but never over a person."""

from __future__ import annotations

import pytest

from db.decide import accept, override, rate, reject, undo
from db.import_ratings import import_ratings
from db.load import load_decisions, load_ratings
from db.queue import load_queue
from db.session import session_scope
from pipelines.errors import RatingsError
from pipelines.exports.rows import RatingRow
from pipelines.model import Rating

OPEN, PARTIAL, CLOSED = Rating.OPEN, Rating.PARTIAL, Rating.CLOSED


def take(desk, *rows):
    lines = [
        RatingRow(slug="brindle", dimension=dimension, rating=rating, link="x") for dimension, rating in rows
    ]
    with session_scope(desk.engine, write=True) as session:
        return import_ratings(session, lines, "import of the index", desk.later(), "published in March")


def ratings(desk):
    with session_scope(desk.engine) as session:
        return {dimension: item.rating for (_, dimension), item in load_ratings(session).items()}


def by_hand(desk, function, *arguments, **more):
    with session_scope(desk.engine, write=True) as session:
        return function(session, *arguments, curator="rowan", now=desk.later(), **more)


def test_imported_ratings_are_confirmed_and_the_same_file_adds_nothing(desk):
    rows = [("api", OPEN), ("paper", CLOSED), ("license", Rating.NOT_APPLICABLE)]
    result = take(desk, *rows)
    assert (result.confirmed, result.unchanged, result.conflicts) == (3, 0, ())
    assert take(desk, *rows).unchanged == 3
    assert ratings(desk) == dict(rows)
    with session_scope(desk.engine) as session:
        history = load_decisions(session)
    assert [(item.imported, item.note, item.link) for item in history] == [
        (True, "published in March", "x")
    ] * 3


def test_a_newer_import_moves_what_an_import_gave(desk):
    take(desk, ("api", OPEN))
    assert take(desk, ("api", CLOSED)).confirmed == 1
    assert ratings(desk) == {"api": CLOSED}


def test_a_proposal_that_differs_from_an_imported_rating_is_a_question(desk):
    take(desk, ("api", OPEN))
    desk.propose(CLOSED, dimension="api")
    with session_scope(desk.engine) as session:
        assert [(item.current, item.change) for item in load_queue(session, desk.now)] == [(OPEN, 2)]


def test_a_persons_rating_is_a_conflict_and_stays(desk):
    take(desk, ("api", OPEN), ("paper", OPEN))
    by_hand(desk, override, desk.propose(CLOSED, dimension="api"), rating=PARTIAL, reason="needs a key")
    result = take(desk, ("api", OPEN), ("paper", CLOSED))
    assert (result.confirmed, result.unchanged) == (1, 0)
    [conflict] = result.conflicts
    assert (conflict.dimension, conflict.imported, conflict.decision.curator) == ("api", OPEN, "rowan")
    assert ratings(desk) == {"api": PARTIAL, "paper": CLOSED}


def test_an_import_that_agrees_with_a_person_is_no_conflict(desk):
    by_hand(desk, accept, desk.propose(OPEN, dimension="api"))
    result = take(desk, ("api", OPEN))
    assert (result.confirmed, result.unchanged, result.conflicts) == (0, 1, ())


def test_a_class_that_a_person_rejected_is_not_imported(desk):
    take(desk, ("api", OPEN))
    by_hand(desk, reject, desk.propose(CLOSED, dimension="api"), reason="the endpoint works")
    assert len(take(desk, ("api", CLOSED)).conflicts) == 1
    assert take(desk, ("api", PARTIAL)).confirmed == 1


def test_an_import_that_a_person_took_back_does_not_return(desk):
    take(desk, ("api", OPEN))
    by_hand(desk, undo, "brindle", "api", reason="that was another project")
    assert len(take(desk, ("api", OPEN)).conflicts) == 1
    assert ratings(desk) == {}


def test_after_a_persons_rating_is_undone_imports_count_again(desk):
    take(desk, ("api", OPEN))
    by_hand(desk, rate, "brindle", "api", rating=CLOSED, reason="no endpoint found")
    by_hand(desk, undo, "brindle", "api", reason="found it after all")
    assert take(desk, ("api", PARTIAL)).confirmed == 1


def test_a_file_that_names_unknown_projects_changes_nothing(desk):
    rows = [
        RatingRow(slug="brindle", dimension="api", rating=OPEN),
        RatingRow(slug="brinle", dimension="api", rating=OPEN),
    ]
    with (
        pytest.raises(RatingsError, match="did you mean brindle"),
        session_scope(desk.engine, write=True) as session,
    ):
        import_ratings(session, rows, "import", desk.now)
    assert ratings(desk) == {}


def test_two_classes_for_one_cell_are_refused(desk):
    with pytest.raises(RatingsError, match="rated twice: open and closed"):
        take(desk, ("api", OPEN), ("api", CLOSED))
    assert take(desk, ("api", OPEN), ("api", OPEN)).confirmed == 1


def test_an_empty_file_is_fine(desk):
    assert take(desk).confirmed == 0
