"""Decisions, the ratings they add up to, and the queue of questions."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

from crawler.archive import Archive
from db.decide import accept, defer, override, rate, reject, undo
from db.load import load_decisions, load_ratings
from db.models import DecisionRow
from db.question_index import rebuild_questions
from db.queue import count_queue, load_question, load_queue
from db.save import save_projects
from db.session import refresh_statistics, session_scope
from pipelines.errors import DecisionError, OpennessError, StorageError, UsageError
from pipelines.model import DecisionKind, Rating

OPEN, PARTIAL, CLOSED, NONE = Rating.OPEN, Rating.PARTIAL, Rating.CLOSED, Rating.NOT_APPLICABLE


def decide(desk, function, *arguments, curator="rowan", **more):
    if function is not accept:
        more.setdefault("reason", "read the card")
    with session_scope(desk.engine, write=True) as session:
        return function(session, *arguments, curator=curator, now=desk.later(minutes=1), **more)


def questions(desk, **filters):
    with session_scope(desk.engine) as session:
        found = load_queue(session, desk.now, **filters)
        assert count_queue(session, desk.now, **filters) == len(found)
    return found


def rating(desk, dimension="license"):
    with session_scope(desk.engine) as session:
        found = load_ratings(session).get(("brindle", dimension))
    return found and found.rating


def detail(desk, proposal_id):
    with session_scope(desk.engine) as session:
        return load_question(session, proposal_id, desk.now)


def test_an_accepted_proposal_is_the_rating_and_no_question(desk):
    proposal_id = desk.propose(OPEN)
    [question] = questions(desk)
    assert (question.proposal_id, question.current, question.change) == (proposal_id, None, 0)
    decision_id = decide(desk, accept, proposal_id)
    assert questions(desk) == []
    with session_scope(desk.engine) as session:
        confirmed = load_ratings(session)[("brindle", "license")]
    assert (confirmed.rating, confirmed.decision_id, confirmed.proposal_id) == (
        OPEN,
        decision_id,
        proposal_id,
    )
    assert (confirmed.curator, confirmed.at, confirmed.imported) == ("rowan", desk.now, False)
    assert confirmed.note == "the card makes it open"
    assert confirmed.link == "https://models.example/terms"


def test_a_proposal_that_cannot_tell_is_no_question(desk):
    proposal_id = desk.propose(None)
    assert questions(desk) == []
    with pytest.raises(DecisionError, match="gives no class"):
        decide(desk, accept, proposal_id)
    decide(desk, override, proposal_id, rating=CLOSED)
    assert rating(desk) is CLOSED


def test_a_rejected_class_stays_away_until_its_evidence_changes(desk):
    decide(desk, rate, "brindle", "license", rating=OPEN)
    first = desk.propose(CLOSED, digest="one")
    decide(desk, reject, first)
    assert questions(desk) == []
    assert rating(desk) is OPEN
    desk.propose(CLOSED, digest="one", version=2)
    assert questions(desk) == [], "a newer rule on the same evidence asks nothing new"
    desk.propose(PARTIAL, digest="one", version=3)
    assert len(questions(desk)) == 1, "another class is another question"
    desk.propose(CLOSED, digest="one", version=2)
    assert questions(desk) == []
    desk.propose(CLOSED, digest="two")
    assert len(questions(desk)) == 1, "new evidence is a new question"


def test_an_overridden_class_stays_away_until_its_evidence_changes(desk):
    decide(desk, override, desk.propose(CLOSED, digest="one"), rating=PARTIAL)
    assert rating(desk) is PARTIAL
    assert questions(desk) == []
    desk.propose(CLOSED, digest="two")
    assert [(item.current, item.change) for item in questions(desk)] == [(PARTIAL, 1)]


def test_the_rating_stands_while_new_evidence_waits_for_a_curator(desk):
    old = desk.read(b"under the Fernlicht terms", "Fernlicht terms")
    decide(desk, accept, first := desk.propose(PARTIAL, *old))
    desk.later()
    new = desk.read(b"now free for all", "free for all")
    second = desk.propose(OPEN, *new)
    assert rating(desk) is PARTIAL
    shown = detail(desk, second)
    assert shown.is_open
    assert shown.current.proposal_id == first
    assert shown.then.proposal.evidence == tuple(old)
    assert shown.stored.proposal.evidence == tuple(new)
    assert shown.stored.proposal.findings[1].searched == ("card", "paper")
    assert [item.kind for item in shown.history] == [DecisionKind.CONFIRM]
    assert shown.latest_decision_id == shown.history[0].id
    assert shown.project == "Brindle"


def test_without_a_rating_then_is_the_proposal_before(desk):
    first = desk.propose(PARTIAL, digest="one")
    second = desk.propose(OPEN, digest="two")
    shown = detail(desk, second)
    assert (shown.then.id, shown.current, shown.latest_decision_id) == (first, None, 0)
    assert detail(desk, first).then is None
    assert not detail(desk, first).is_open


def test_a_deferred_question_comes_back_in_time_or_with_new_evidence(desk):
    proposal_id = desk.propose(OPEN, digest="one")
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=7))
    assert questions(desk) == []
    desk.later(days=8)
    assert [item.proposal_id for item in questions(desk)] == [proposal_id]
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=7))
    desk.propose(OPEN, digest="two")
    assert len(questions(desk)) == 1


def test_a_later_deferral_takes_the_place_of_an_earlier_one(desk):
    proposal_id = desk.propose(OPEN)
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=100))
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=2))
    desk.later(days=3)
    assert len(questions(desk)) == 1
    decide(desk, undo, "brindle", "license")
    assert questions(desk) == [], "the long deferral is in force again"
    other = desk.propose(OPEN, dimension="api")
    decide(desk, defer, other, until=desk.now + timedelta(days=1))
    assert questions(desk) == [], "a deferral elsewhere changes nothing here"


def test_a_deferred_proposal_can_still_be_accepted(desk):
    proposal_id = desk.propose(OPEN)
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=7))
    decide(desk, accept, proposal_id)
    assert rating(desk) is OPEN


def test_deferring_needs_a_moment_in_the_future(desk):
    with pytest.raises(DecisionError, match="only into the future"):
        decide(desk, defer, desk.propose(OPEN), until=desk.now)


def test_undo_takes_back_the_latest_decision_in_force(desk):
    decide(desk, accept, desk.propose(PARTIAL, digest="one"))
    second = desk.propose(OPEN, digest="two")
    decide(desk, accept, second)
    decide(desk, undo, "brindle", "license")
    assert rating(desk) is PARTIAL
    assert [item.proposal_id for item in questions(desk)] == [second]
    decide(desk, undo, "brindle", "license")
    assert rating(desk) is None
    with pytest.raises(DecisionError, match="no decision in force"):
        decide(desk, undo, "brindle", "license")
    with session_scope(desk.engine) as session:
        history = load_decisions(session)
    assert [item.in_force for item in history] == [False, False, True, True]
    assert [item.undoes_decision_id for item in history] == [None, None, history[1].id, history[0].id]


def test_a_given_decision_can_be_undone_but_only_once(desk):
    first = decide(desk, accept, desk.propose(PARTIAL, digest="one"))
    decide(desk, accept, desk.propose(OPEN, digest="two"))
    taken_back = decide(desk, undo, "brindle", "license", decision_id=first)
    assert rating(desk) is OPEN
    for decision_id in (first, taken_back, 999):
        with pytest.raises(DecisionError, match=f"no decision {decision_id} in force"):
            decide(desk, undo, "brindle", "license", decision_id=decision_id)


def test_an_undone_rejection_opens_the_question_again(desk):
    proposal_id = desk.propose(OPEN)
    decide(desk, reject, proposal_id)
    assert questions(desk) == []
    decide(desk, undo, "brindle", "license")
    assert [item.proposal_id for item in questions(desk)] == [proposal_id]
    decide(desk, accept, proposal_id)


def test_a_decided_proposal_is_not_decided_twice(desk):
    proposal_id = desk.propose(OPEN)
    decide(desk, accept, proposal_id)
    for function, more in ((accept, {}), (reject, {}), (override, {"rating": CLOSED})):
        with pytest.raises(DecisionError, match="decided already: confirm by rowan"):
            decide(desk, function, proposal_id, **more)


def test_a_superseded_or_unknown_proposal_is_not_decided(desk):
    first = desk.propose(OPEN, digest="one")
    desk.propose(CLOSED, digest="two")
    with pytest.raises(DecisionError, match=f"proposal {first} is superseded"):
        decide(desk, accept, first)
    with pytest.raises(DecisionError, match="no proposal 999"):
        decide(desk, accept, 999)
    with session_scope(desk.engine) as session, pytest.raises(DecisionError, match="no proposal 999"):
        load_question(session, 999, desk.now)
    with pytest.raises(DecisionError, match="no project"):
        decide(desk, undo, "sorrel", "license")


def test_a_proposal_that_returns_after_another_was_accepted_is_a_question_again(desk):
    first = desk.propose(OPEN, digest="one")
    decide(desk, accept, first)
    decide(desk, accept, desk.propose(CLOSED, digest="two"))
    desk.propose(OPEN, digest="one")
    assert [item.proposal_id for item in questions(desk)] == [first]
    decide(desk, accept, first)
    assert rating(desk) is OPEN


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_demanded_for_everything_but_accepting(desk, reason):
    proposal_id = desk.propose(OPEN)
    later = desk.now + timedelta(days=9)
    calls = [
        (override, (proposal_id,), {"rating": CLOSED}),
        (reject, (proposal_id,), {}),
        (defer, (proposal_id,), {"until": later}),
        (rate, ("brindle", "license"), {"rating": CLOSED}),
    ]
    for function, arguments, more in calls:
        with pytest.raises(DecisionError, match="say why"):
            decide(desk, function, *arguments, reason=reason, **more)
    decide(desk, accept, proposal_id)
    with pytest.raises(DecisionError, match="say why"):
        decide(desk, undo, "brindle", "license", reason=reason)


def test_every_decision_has_a_curator(desk):
    with pytest.raises(DecisionError, match="name of its curator"):
        decide(desk, accept, desk.propose(OPEN), curator=" ")


def test_overriding_with_the_proposed_class_is_accepting(desk):
    with pytest.raises(DecisionError, match="accept it instead"):
        decide(desk, override, desk.propose(OPEN), rating=OPEN)


def test_the_current_class_cannot_be_rejected(desk):
    decide(desk, rate, "brindle", "license", rating=OPEN)
    with pytest.raises(DecisionError, match="rated open already"):
        decide(desk, reject, desk.propose(OPEN))


def test_a_decision_upon_a_stale_page_is_refused(desk):
    proposal_id = desk.propose(OPEN)
    seen = detail(desk, proposal_id).latest_decision_id
    decide(desk, defer, proposal_id, until=desk.now + timedelta(days=1), curator="alder")
    with pytest.raises(DecisionError, match="decided meanwhile: defer by alder"):
        decide(desk, accept, proposal_id, expected=seen)
    with pytest.raises(DecisionError, match="decided meanwhile"):
        decide(desk, undo, "brindle", "license", expected=seen)
    decide(desk, accept, proposal_id, expected=detail(desk, proposal_id).latest_decision_id)
    with pytest.raises(DecisionError, match="no decision 77"):
        decide(desk, rate, "brindle", "api", rating=OPEN, expected=77)


def test_of_curators_who_answer_at_once_one_wins(desk):
    proposal_id = desk.propose(OPEN)
    barrier, outcomes = threading.Barrier(4), []

    def answer(name):
        barrier.wait(10)
        try:
            with session_scope(desk.engine, write=True) as session:
                accept(session, proposal_id, curator=name, now=desk.now, expected=0)
                time.sleep(0.02)
            outcomes.append("done")
        except OpennessError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=answer, args=(f"curator-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["DecisionError", "DecisionError", "DecisionError", "done"]


def test_no_road_changes_or_deletes_a_decision(desk):
    decide(desk, accept, desk.propose(OPEN))
    with (
        pytest.raises(StorageError, match="never changed"),
        session_scope(desk.engine, write=True) as session,
    ):
        session.scalars(select(DecisionRow)).one().rating = CLOSED
    with (
        pytest.raises(StorageError, match="never changed"),
        session_scope(desk.engine, write=True) as session,
    ):
        session.delete(session.scalars(select(DecisionRow)).one())
    roads = [
        update(DecisionRow).values(rating=CLOSED),
        delete(DecisionRow),
        text("UPDATE decisions SET curator = 'nobody'"),
        text("DELETE FROM decisions"),
    ]
    if desk.engine.dialect.name == "sqlite":
        roads.append(text("INSERT OR REPLACE INTO decisions SELECT * FROM decisions"))
    else:
        roads.append(text("TRUNCATE decisions CASCADE"))
    for road in roads:
        with (
            pytest.raises(DatabaseError, match="never changed"),
            session_scope(desk.engine, write=True) as session,
        ):
            session.execute(road)
    assert rating(desk) is OPEN


def test_the_queue_begins_with_the_biggest_change_then_the_surest(desk):
    for dimension, was in (("api", PARTIAL), ("paper", CLOSED), ("code", PARTIAL), ("datasheet", NONE)):
        decide(desk, rate, "brindle", dimension, rating=was)
    for dimension, confidence in (
        ("api", 0.6),
        ("paper", 0.5),
        ("code", 0.9),
        ("datasheet", 0.2),
        ("license", 1),
    ):
        desk.propose(OPEN, dimension=dimension, confidence=confidence)
    found = questions(desk)
    assert [(item.dimension, item.change) for item in found] == [
        ("paper", 2),
        ("code", 1),
        ("api", 1),
        ("datasheet", 1),
        ("license", 0),
    ]
    assert [item.dimension for item in questions(desk, rated=False)] == ["license"]
    assert len(questions(desk, rated=True)) == 4
    assert [item.dimension for item in questions(desk, min_confidence=0.9)] == ["code", "license"]
    assert [item.dimension for item in questions(desk, dimensions=["api"], slugs=["brindle"])] == ["api"]
    assert questions(desk, ratings=[CLOSED]) == []
    with session_scope(desk.engine) as session:
        assert [item.dimension for item in load_queue(session, desk.now, limit=2, offset=1)] == [
            "code",
            "api",
        ]
        with pytest.raises(UsageError, match="did you mean brindle"):
            load_queue(session, desk.now, slugs=["brindel"])


def test_a_retired_project_asks_and_rates_nothing(desk):
    decide(desk, accept, desk.propose(OPEN))
    desk.propose(CLOSED, digest="two")
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [], desk.later())
    assert questions(desk) == []
    assert rating(desk) is None
    with session_scope(desk.engine) as session:
        assert len(load_ratings(session, ["brindle"])) == 1
        assert len(load_decisions(session, since=desk.now - timedelta(days=30))) == 0


def test_a_large_queue_is_answered_by_indexes(desk):
    """With 14,000 cells, all decided; without an index a cell costs a scan of all decisions."""
    postgresql = desk.engine.dialect.name == "postgresql"
    yes, empty = ("true", "'[]'::jsonb") if postgresql else ("1", "'[]'")
    moment = "timestamptz '2031-03-01 00:00Z'" if postgresql else "'2031-03-01 00:00:00.000000'"
    numbers = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {})"
    statements = [
        "INSERT INTO projects (slug, name, org, llmbase, rlbase, homepage, active, added_at, changed_at)"
        f" {numbers.format(1000)}"
        f" SELECT 'p' || i, 'p', '', {empty}, {empty}, '', {yes}, {moment}, {moment} FROM numbers",
        "INSERT INTO proposals (identity, project_id, dimension, rating, confidence, rationale, rule, rule_version,"
        " rubric_digest, evidence_digest, searched, link, created_at, is_current, current_since)"
        f" {numbers.format(14)}"
        " SELECT 'x' || p.id || '-' || i, p.id, 'd' || i, CASE WHEN i = 1 THEN 'open' ELSE 'closed' END, 0.5, 'why',"
        f" 'r', 1, 'd', 'e', {empty}, '', {moment}, {yes}, {moment} FROM projects p, numbers WHERE p.name = 'p'",
        "INSERT INTO decisions (project_id, dimension, ordinal, kind, rating, link, note, reason, curator, imported, at)"
        f" SELECT project_id, dimension, 1, 'confirm', 'closed', '', '', '', 'rowan', {yes}, {moment} FROM proposals",
    ]
    with session_scope(desk.engine, write=True) as session:
        for statement in statements:
            session.execute(text(statement))
        assert rebuild_questions(session) == 1000
        refresh_statistics(session)
    started = time.perf_counter()
    with session_scope(desk.engine) as session:
        assert len(load_queue(session, desk.now, limit=50)) == 50
        assert count_queue(session, desk.now) == 1000
        assert len(load_ratings(session)) == 14_000
    assert time.perf_counter() - started < 10


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("propose"), st.sampled_from([OPEN, CLOSED, None]), st.sampled_from("ab")),
        st.tuples(st.sampled_from(["accept", "override", "reject", "defer", "undo", "wait"])),
    ),
    max_size=14,
)


@given(STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_queue_and_ratings_follow_from_the_decisions(tmp_path, memory_engine, make_desk, steps):
    """Against a model kept in plain lists."""
    from dataclasses import dataclass

    @dataclass
    class Made:
        id: int
        kind: str
        rating: Rating | None = None
        about: tuple | None = None
        until: object = None

    engine = memory_engine()
    desk = make_desk(engine, Archive(tmp_path / "archive"))
    made: list[Made] = []
    current, proposal_id = None, None
    for step, *more in steps:
        desk.later(days=1)
        if step == "propose":
            current = tuple(more)
            proposal_id = desk.propose(more[0], digest=more[1], version=1 + "oc".find(str(more[0])[0]))
        elif step == "undo":
            with contextlib.suppress(DecisionError):
                decide(desk, undo, "brindle", "license")
                made.pop()
        elif step != "wait" and proposal_id is not None:
            function = {"accept": accept, "override": override, "reject": reject, "defer": defer}[step]
            until = desk.now + timedelta(days=2)
            given_rating = {"accept": current[0], "override": PARTIAL}.get(step)
            arguments = {"override": {"rating": PARTIAL}, "defer": {"until": until}}.get(step, {})
            with contextlib.suppress(DecisionError):
                decision_id = decide(desk, function, proposal_id, **arguments)
                made.append(Made(decision_id, step, given_rating, current, until))
        rated = [item.rating for item in made if item.kind in {"accept", "override"}]
        assert rating(desk) is (rated[-1] if rated else None)
        down = any(item.about == current for item in made if item.kind in {"reject", "override"})
        waits = [item.until for item in made if item.kind == "defer" and item.about == current]
        expected = (
            current is not None
            and current[0] is not None
            and (not rated or rated[-1] is not current[0])
            and not down
            and not (waits and waits[-1] > desk.now)
        )
        assert [item.proposal_id for item in questions(desk)] == ([proposal_id] if expected else [])
    engine.dispose()
