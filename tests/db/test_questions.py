"""The index of questions: it is always what proposals, decisions, disputes and opinions say, and adds up."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, select, update

from crawler.archive import Archive
from db.bulk import confirm_bulk, preview_bulk, undo_batch
from db.decide import accept, defer, override, rate, reject, undo
from db.gain import gain_at, gain_of
from db.import_ratings import import_ratings
from db.models import (
    DecisionRow,
    DisputeRow,
    DisputeStatus,
    OpinionRow,
    ProjectRow,
    ProposalRow,
    QuestionCountRow,
    QuestionOrgRow,
    QuestionRow,
)
from db.question_check import load_index_problems
from db.questions import (
    load_facets,
    load_first,
    load_item,
    load_neighbours,
    load_page,
    rebuild_questions,
    refresh_questions,
)
from db.queue import derive_questions, load_queue
from db.review_values import QuestionKind, QueueFilter, Sort
from db.save import save_projects, save_proposal, save_proposals
from db.session import check, session_scope
from pipelines.errors import DecisionError, UsageError
from pipelines.exports.rows import RatingRow
from pipelines.model import Finding, Outcome, Rating, VisitStatus

OPEN, PARTIAL, CLOSED, NONE = Rating.OPEN, Rating.PARTIAL, Rating.CLOSED, Rating.NOT_APPLICABLE
PROJECTS, DIMENSIONS = ("alder", "birch"), ("license", "paper")
CELLS = st.tuples(st.sampled_from(PROJECTS), st.sampled_from(DIMENSIONS))


def dispute(session, slug, dimension, now):
    """File a dispute as its form does."""
    project_id = session.scalars(select(ProjectRow.id).where(ProjectRow.slug == slug)).one()
    row = DisputeRow(
        project_id=project_id,
        dimension=dimension,
        link="https://alder.example/licence",
        text="we changed it",
        contact="",
        filed_at=now,
        status=DisputeStatus.OPEN,
        closed_at=None,
        closed_by="",
        reason="",
    )
    session.add(row)
    session.flush()
    refresh_questions(session, [project_id])
    return row.id


def dismiss(session, dispute_id, now):
    row = session.get(DisputeRow, dispute_id)
    row.status, row.closed_at, row.closed_by, row.reason = DisputeStatus.DISMISSED, now, "rowan", "unfounded"
    session.flush()
    refresh_questions(session, [row.project_id])


def opine(session, decision_id, rating, now):
    """A second opinion about a decision."""
    decision = session.get(DecisionRow, decision_id)
    session.execute(
        insert(OpinionRow),
        {
            "project_id": decision.project_id,
            "dimension": decision.dimension,
            "proposal_id": decision.proposal_id,
            "about_decision_id": decision_id,
            "curator": "sorrel",
            "rating": rating,
            "reason": "read it, too",
            "at": now,
        },
    )
    refresh_questions(session, [decision.project_id])


def asked(desk, **filters):
    """Slug, dimension and kind of every question, in order."""
    with session_scope(desk.engine) as session:
        page = load_page(session, QueueFilter(**filters), desk.now, limit=1000)
        assert page.total == len(page.items)
        return [(item.slug, item.dimension, item.kind) for item in page.items]


def writing(desk, function, *arguments, **more):
    with session_scope(desk.engine, write=True) as session:
        return function(session, *arguments, **more)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("propose"),
            CELLS,
            st.sampled_from([OPEN, CLOSED, NONE, None]),
            st.sampled_from("ab"),
            st.sampled_from([0.29, 0.5, 0.955]),
        ),
        st.tuples(
            st.sampled_from(["accept", "override", "reject", "defer", "undo", "rate", "import", "dispute"]),
            CELLS,
        ),
        st.tuples(st.just("opine"), CELLS, st.sampled_from([OPEN, CLOSED])),
        st.tuples(st.sampled_from(["dismiss", "wait", "retire", "return", "bulk", "undo batch"])),
    ),
    max_size=24,
)


class _Played:
    """What a sequence of steps has done so far."""

    def __init__(self, desk):
        self.desk = desk
        self.disputes: list[int] = []
        self.batches: list[int] = []

    def step(self, session, name, cell=None, *more):
        desk, now = self.desk, self.desk.now
        who = {"curator": "rowan", "now": now}
        if name == "propose":
            rating, digest, confidence = more
            made = desk.proposal(
                rating,
                slug=cell[0],
                dimension=cell[1],
                digest=digest,
                confidence=confidence,
                version=1 + len(str(rating)),
            )
            save_proposal(session, made, desk.run_id, now)
        elif name in {"accept", "override", "reject", "defer"}:
            proposal_id = session.scalar(
                select(ProposalRow.id)
                .join(ProjectRow, ProjectRow.id == ProposalRow.project_id)
                .where(ProjectRow.slug == cell[0], ProposalRow.dimension == cell[1], ProposalRow.is_current)
            )
            function = {"accept": accept, "override": override, "reject": reject, "defer": defer}[name]
            arguments = {
                "override": {"rating": PARTIAL, "reason": "so"},
                "reject": {"reason": "so"},
                "defer": {"until": now + timedelta(days=3), "reason": "later"},
            }.get(name, {})
            function(session, proposal_id or 0, **who, **arguments)
        elif name == "undo":
            undo(session, *cell, reason="wrong", **who)
        elif name == "rate":
            rate(session, *cell, rating=CLOSED, reason="by hand", **who)
        elif name == "import":
            row = RatingRow(slug=cell[0], dimension=cell[1], rating=OPEN, link="")
            import_ratings(session, [row], "an index", now)
        elif name == "dispute":
            self.disputes.append(dispute(session, *cell, now))
        elif name == "dismiss" and self.disputes:
            dismiss(session, self.disputes.pop(), now)
        elif name == "opine":
            latest = session.scalar(
                select(DecisionRow.id)
                .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
                .where(
                    ProjectRow.slug == cell[0],
                    DecisionRow.dimension == cell[1],
                    DecisionRow.rating.is_not(None),
                )
                .order_by(DecisionRow.id.desc())
                .limit(1)
            )
            if latest is not None:
                opine(session, latest, more[0], now)
        elif name in {"retire", "return"}:
            slugs = PROJECTS[:1] if name == "retire" else PROJECTS
            save_projects(session, [desk.project(slug) for slug in slugs], now)
        elif name == "bulk":
            preview = preview_bulk(session, QueueFilter(), 0.4, now)
            self.batches.append(
                confirm_bulk(session, QueueFilter(), 0.4, preview.digest, "rowan", now).batch_id
            )
        elif name == "undo batch" and self.batches:
            undo_batch(session, self.batches.pop(), "rowan", now, "too hasty")


@given(STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_is_what_the_definition_says_after_any_sequence_of_steps(
    tmp_path, memory_engine, make_desk, steps
):
    engine = memory_engine()
    desk = make_desk(engine, Archive(tmp_path / "archive"))
    desk.seed(*PROJECTS)
    played = _Played(desk)
    for step in steps:
        desk.later(hours=18)
        with contextlib.suppress(DecisionError), session_scope(engine, write=True) as session:
            played.step(session, *step)
        _check_all(desk)
    engine.dispose()


def _check_all(desk):
    with session_scope(desk.engine) as session:
        assert load_index_problems(session) == []
        defined = derive_questions(session, desk.now)
        shown = load_queue(session, desk.now)
        assert {
            (item.slug, item.dimension): (item.proposal_id, item.rating, item.current) for item in shown
        } == {cell: (each.proposal_id, each.rating, each.current) for cell, each in defined.items()}
        whole = load_page(session, QueueFilter(), desk.now, limit=100)
        facets = load_facets(session, QueueFilter(), desk.now)
        assert facets.total == whole.total == len(whole.items)
        assert Counter(facets.kinds) == Counter(item.kind for item in whole.items)
        assert Counter(facets.ratings) == Counter(item.rating for item in whole.items)
        for counts in (facets.dimensions, facets.changes, facets.bands, facets.orgs):
            assert sum(counts.values()) == whole.total
        assert sum(item.proposes for item in whole.items) == len(shown)


@pytest.fixture
def filled(desk):
    """Three projects with questions of every class, confidence and age."""
    slugs = ("alder", "birch", "cedar")
    projects = [replace(desk.project(slug), org=f"Org {slug[0]}") for slug in slugs]
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, projects, desk.now)
    number = 0
    for slug in slugs:
        for dimension in ("code", "data", "license", "paper"):
            desk.later(hours=7)
            rating = (OPEN, PARTIAL, CLOSED, NONE)[number % 4]
            desk.propose(
                rating,
                slug=slug,
                dimension=dimension,
                digest=f"{number}",
                confidence=(number * 29 % 100) / 100,
            )
            number += 1
    rows = [RatingRow(slug=slug, dimension="code", rating=CLOSED, link="") for slug in ("alder", "birch")]
    writing(desk, import_ratings, rows, "an index", desk.later(hours=1))
    return desk


def _key(sort):
    return {
        Sort.AGE: lambda item: item.since,
        Sort.CONFIDENCE: lambda item: -item.confidence,
        Sort.CHANGE: lambda item: -item.change,
        Sort.PROJECT: lambda item: (item.slug, item.dimension),
    }[sort]


@pytest.mark.parametrize("few", [0, 3000], ids=["along the order", "found and sorted"])
@pytest.mark.parametrize("sort", list(Sort))
def test_pages_of_one_make_up_the_whole_queue_in_every_order(filled, monkeypatch, sort, few):
    monkeypatch.setattr("db.questions.FEW", few)
    with session_scope(filled.engine) as session:
        whole = load_page(session, QueueFilter(), filled.now, sort=sort, limit=100)
        assert whole.total == 12
        assert whole.next is None
        found, after = [], None
        while True:
            page = load_page(session, QueueFilter(), filled.now, sort=sort, limit=1, after=after)
            found += page.items
            if (after := page.next) is None:
                break
        assert found == list(whole.items)
        cells = [item.cell for item in whole.items]
        for place, cell in enumerate(cells):
            before = cells[place - 1] if place else None
            behind = cells[place + 1] if place + 1 < len(cells) else None
            assert load_neighbours(session, QueueFilter(), sort, cell, filled.now) == (before, behind)
    if sort is Sort.GAIN:
        assert [slug for slug, *_ in Counter(item.slug for item in whole.items).items()] == list(
            dict.fromkeys(item.slug for item in whole.items)
        ), "the questions of a project are together"
        of_one = [item.gain for item in whole.items if item.slug == whole.items[0].slug]
        assert of_one == sorted(of_one, reverse=True)
    else:
        keys = [_key(sort)(item) for item in whole.items]
        assert keys == sorted(keys)


FILTERS = [
    QueueFilter(dimensions=("code",)),
    QueueFilter(dimensions=("code", "paper"), ratings=(OPEN, NONE)),
    QueueFilter(kinds=(QuestionKind.NEW_PROJECT,)),
    QueueFilter(kinds=(QuestionKind.DISPUTE,)),
    QueueFilter(orgs=("Org a", "Org c")),
    QueueFilter(slugs=("birch",), min_confidence=0.29),
    QueueFilter(min_confidence=0.29),
    QueueFilter(min_confidence=0.295),
    QueueFilter(change="closed>open"),
    QueueFilter(change="unrated>not_applicable"),
    QueueFilter(rated=True),
    QueueFilter(rated=False, dimensions=("data",), proposes=True),
]


@pytest.mark.parametrize("few", [0, 3000], ids=["along the order", "found and sorted"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_filter_finds_what_it_says_and_its_facets_add_up(filled, monkeypatch, filters, few):
    monkeypatch.setattr("db.questions.FEW", few)
    with session_scope(filled.engine) as session:
        everything = load_page(session, QueueFilter(), filled.now, limit=100).items
        page = load_page(session, filters, filled.now, limit=100)
        facets = load_facets(session, filters, filled.now)
    wanted = [item for item in everything if _is_meant(item, filters)]
    assert sorted(item.cell for item in page.items) == sorted(item.cell for item in wanted)
    assert page.total == facets.total == len(wanted)

    def added(counts, chosen):
        return sum(number for each, number in counts.items() if not chosen or each in chosen)

    assert added(facets.dimensions, filters.dimensions) == len(wanted)
    assert added(facets.kinds, filters.kinds) == len(wanted)
    assert added(facets.ratings, filters.ratings) == len(wanted)
    assert added(facets.changes, [filters.change] if filters.change else ()) == len(wanted)
    assert added(facets.orgs, filters.orgs) == len(wanted)


def _is_meant(item, filters):
    before = item.current or "unrated"
    return (
        (not filters.dimensions or item.dimension in filters.dimensions)
        and (not filters.ratings or item.rating in filters.ratings)
        and (not filters.kinds or item.kind in filters.kinds)
        and (not filters.orgs or item.org in filters.orgs)
        and (not filters.slugs or item.slug in filters.slugs)
        and item.confidence >= filters.min_confidence
        and (filters.change is None or f"{before}>{item.rating}" == filters.change)
        and (filters.rated is None or (item.current is not None) is filters.rated)
        and (filters.proposes is None or item.proposes is filters.proposes)
    )


def test_an_unknown_project_a_malformed_change_and_a_foreign_place_are_told(filled):
    with session_scope(filled.engine) as session:
        with pytest.raises(UsageError, match="elder"):
            load_page(session, QueueFilter(slugs=("elder",)), filled.now)
        for change in ("open", "open>wide", "", ">"):
            with pytest.raises(UsageError, match="change of class"):
                load_facets(session, QueueFilter(change=change), filled.now)
        after = load_page(session, QueueFilter(), filled.now, sort=Sort.AGE, limit=1).next
        assert load_page(session, QueueFilter(), filled.now, sort=Sort.AGE, limit=1, after=after).items
        for text in (after[:-3], "", "x", "W10", "bnVsbA", "é", "WyJnYWluIiwxLDIsM10"):
            with pytest.raises(UsageError, match="no such page"):
                load_page(session, QueueFilter(), filled.now, sort=Sort.AGE, after=text)
        with pytest.raises(UsageError, match="no such page"):
            load_page(session, QueueFilter(), filled.now, sort=Sort.GAIN, after=after)


def test_an_answered_question_has_no_place_and_the_first_one_follows_it(filled):
    with session_scope(filled.engine) as session:
        first, second, *_ = load_page(session, QueueFilter(), filled.now).items
    writing(filled, accept, first.proposal_id, curator="rowan", now=filled.later(minutes=1))
    with session_scope(filled.engine) as session:
        previous, following = load_neighbours(session, QueueFilter(), Sort.GAIN, first.cell, filled.now)
        top = load_page(session, QueueFilter(), filled.now, limit=1).items[0]
        assert (previous, following) == (None, top.cell)
        assert load_first(session, QueueFilter(), Sort.GAIN, filled.now) == top.cell
        assert load_first(session, QueueFilter(min_confidence=1.0), Sort.GAIN, filled.now) is None
        assert load_item(session, *first.cell) is None
        assert load_item(session, *second.cell).cell == second.cell


def test_a_deferred_question_is_counted_again_when_it_is_due(filled):
    with session_scope(filled.engine) as session:
        first = load_page(session, QueueFilter(), filled.now).items[0]
    until = filled.now + timedelta(days=3)
    writing(filled, defer, first.proposal_id, until=until, curator="rowan", now=filled.now, reason="later")
    for now, number in ((until - timedelta(seconds=1), 11), (until, 12)):
        with session_scope(filled.engine) as session:
            page = load_page(session, QueueFilter(), now, limit=100)
            facets = load_facets(session, QueueFilter(dimensions=(first.dimension,)), now)
            assert page.total == len(page.items) == number
            assert sum(facets.dimensions.values()) == number
            assert sum(load_facets(session, QueueFilter(), now).orgs.values()) == number


def test_a_dispute_asks_about_a_cell_that_nobody_else_asks_about_until_it_is_answered(desk):
    proposal_id = desk.propose(OPEN, digest="a")
    writing(desk, accept, proposal_id, curator="rowan", now=desk.later(minutes=1))
    assert asked(desk) == []
    writing(desk, dispute, "brindle", "license", desk.later(minutes=1))
    assert asked(desk) == [("brindle", "license", QuestionKind.DISPUTE)]
    with session_scope(desk.engine) as session:
        assert load_queue(session, desk.now) == [], "no proposal would change anything"
        assert check(desk.engine) == []
    with pytest.raises(DecisionError, match="is rated open already"):
        writing(desk, reject, proposal_id, curator="sorrel", now=desk.later(minutes=1), reason="no")
    writing(desk, accept, proposal_id, curator="sorrel", now=desk.later(minutes=1))
    assert asked(desk) == []
    with pytest.raises(DecisionError, match="decided already"):
        writing(desk, accept, proposal_id, curator="rowan", now=desk.later(minutes=1))


def test_a_dispute_without_any_proposal_is_a_question(desk):
    writing(desk, dispute, "brindle", "paper", desk.now)
    with session_scope(desk.engine) as session:
        item = load_item(session, "brindle", "paper")
        assert (item.proposal_id, item.rating, item.confidence, item.proposes) == (None, None, 0.0, False)
        assert load_facets(session, QueueFilter(), desk.now).ratings == {None: 1}
    writing(
        desk, rate, "brindle", "paper", rating=OPEN, curator="rowan", now=desk.later(), reason="it is there"
    )
    assert asked(desk) == []


def test_a_dismissed_dispute_asks_nothing_and_a_deferral_ends_with_a_later_dispute(desk):
    proposal_id = desk.propose(OPEN, digest="a")
    until = desk.now + timedelta(days=30)
    writing(desk, defer, proposal_id, until=until, curator="rowan", now=desk.later(), reason="later")
    assert asked(desk) == []
    number = writing(desk, dispute, "brindle", "license", desk.later())
    assert asked(desk) == [("brindle", "license", QuestionKind.DISPUTE)]
    writing(desk, dismiss, number, desk.later())
    assert asked(desk) == []


def test_an_import_answers_no_dispute(desk):
    writing(desk, dispute, "brindle", "license", desk.now)
    row = RatingRow(slug="brindle", dimension="license", rating=OPEN, link="")
    writing(desk, import_ratings, [row], "an index", desk.later())
    assert asked(desk) == [("brindle", "license", QuestionKind.DISPUTE)]


def test_a_second_curator_who_disagrees_makes_a_question_until_a_rating_is_decided(desk):
    proposal_id = desk.propose(OPEN, digest="a")
    first = writing(desk, accept, proposal_id, curator="rowan", now=desk.later())
    writing(desk, opine, first, OPEN, desk.later())
    assert asked(desk) == []
    writing(desk, opine, first, CLOSED, desk.later())
    assert asked(desk) == [("brindle", "license", QuestionKind.DISAGREEMENT)]
    second = writing(
        desk, override, proposal_id, rating=CLOSED, curator="rowan", now=desk.later(), reason="so it is"
    )
    assert asked(desk) == []
    writing(
        desk, undo, "brindle", "license", curator="rowan", now=desk.later(), reason="no", decision_id=second
    )
    assert asked(desk) == [("brindle", "license", QuestionKind.DISAGREEMENT)]


def test_evidence_that_is_gone_is_told_before_anything_else_of_the_rules(desk):
    body = b"# Brindle\n\nAll weights are free to use.\n"
    evidence = desk.read(body, "All weights are free to use.")
    proposal_id = desk.propose(OPEN, *evidence)
    writing(desk, accept, proposal_id, curator="rowan", now=desk.later())
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    desk.propose(CLOSED, digest="b")
    assert asked(desk) == [("brindle", "license", QuestionKind.EVIDENCE_GONE)]
    assert check(desk.engine) == []


def test_an_imported_rating_rests_on_the_proposal_that_said_the_same(desk):
    evidence = desk.read(b"# Brindle\n\nAll weights are free to use.\n", "All weights are free to use.")
    desk.propose(OPEN, *evidence)
    imported = [RatingRow(slug="brindle", dimension="license", rating=OPEN, link="")]
    writing(desk, import_ratings, imported, "import", desk.later())
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    desk.propose(CLOSED, digest="b")
    assert asked(desk) == [("brindle", "license", QuestionKind.EVIDENCE_GONE)]
    assert check(desk.engine) == []


def test_licences_that_contradict_each_other_are_told(desk):
    made = desk.proposal(PARTIAL, digest="a")
    findings = tuple(
        Finding(check=name, outcome=Outcome.YES)
        for name in ("weights_are_openly_licensed", "data_is_restricted")
    )
    writing(desk, save_proposal, replace(made, findings=findings), None, desk.now)
    assert asked(desk) == [("brindle", "license", QuestionKind.LICENCE_CONFLICT)]


def test_a_claim_that_stands_against_a_proposal_is_told_until_it_is_withdrawn(desk):
    body = b"# Brindle\n\nBrindle is fully open source.\n"
    claim = desk.read(body, "Brindle is fully open source.")[0]
    made = desk.proposal(CLOSED, digest="a", dimension="rldata")
    claims = {("brindle", "rldata"): claim}
    writing(desk, save_proposals, [made], None, desk.now, claims)
    assert asked(desk) == [("brindle", "rldata", QuestionKind.CLAIM)]
    writing(desk, save_proposals, [made], None, desk.later())
    assert asked(desk) == [("brindle", "rldata", QuestionKind.CLAIM)], "not looked for, so not withdrawn"
    writing(desk, save_proposals, [made], None, desk.later(), {})
    assert asked(desk) == [("brindle", "rldata", QuestionKind.NEW_PROJECT)]


def test_the_organisation_follows_the_seeds_and_a_long_name_is_cut(desk):
    desk.propose(OPEN, digest="a")
    for org in ("Larkmoor", "L" * 5000):
        with session_scope(desk.engine, write=True) as session:
            save_projects(session, [replace(desk.project("brindle"), org=org)], desk.later())
        assert asked(desk, orgs=(org,)) == [("brindle", "license", QuestionKind.NEW_PROJECT)]
        assert check(desk.engine) == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (delete(QuestionRow), "not in the index"),
        (update(QuestionRow).values(confidence=0.1), "confidence"),
        (update(QuestionRow).values(kind=QuestionKind.DISPUTE), "kind"),
        (update(QuestionCountRow).values(number=7), "sums of questions"),
        (delete(QuestionOrgRow), "organisation"),
    ],
)
def test_an_index_that_is_wrong_is_found_and_made_right_again(filled, harm, told):
    assert check(filled.engine) == []
    with session_scope(filled.engine, write=True) as session:
        session.execute(harm)
    assert any(told in problem for problem in check(filled.engine))
    with session_scope(filled.engine, write=True) as session:
        assert rebuild_questions(session) == 12
    assert check(filled.engine) == []


def test_refreshing_what_is_right_writes_nothing(filled):
    with session_scope(filled.engine, write=True) as session:
        ids = session.scalars(select(ProjectRow.id)).all()
        assert refresh_questions(session, ids) == 0


def test_nothing_that_keeps_the_index_in_step_looks_through_all_of_it(filled):
    """Every writer waits for that: SQLite finds several pairs of values by looking at every row."""
    if filled.engine.dialect.name != "sqlite":
        pytest.skip("the plans of PostgreSQL depend on how many rows there are")
    plans = []

    def look(connection, cursor, statement, parameters, context, many):
        if not statement.startswith(("PRAGMA", "BEGIN")):
            values = parameters[0] if many else parameters
            found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend((row[3], statement) for row in found.fetchall())

    with session_scope(filled.engine, write=True) as session:
        projects = session.scalars(select(ProjectRow.id)).all()
        # Some questions have to go, some to come, some to be told otherwise.
        cells = session.scalars(select(QuestionRow).where(QuestionRow.proposal_id.is_not(None))).all()
        cells[0].gain += 1
        session.delete(cells[1])
        gone = [cells[2].proposal_id, cells[3].proposal_id]
        session.execute(update(ProposalRow).where(ProposalRow.id.in_(gone)).values(rating=None))
        session.flush()
        event.listen(filled.engine, "before_cursor_execute", look)
        try:
            assert refresh_questions(session, projects) >= 4
        finally:
            event.remove(filled.engine, "before_cursor_execute", look)
        session.rollback()
    assert any(statement.startswith("DELETE FROM questions") for _, statement in plans)
    assert [told for told in plans if told[0].startswith("SCAN questions")] == []


def test_gain_grows_with_impact_doubt_and_age_and_its_order_stays_the_same():
    now = datetime(2031, 3, 1, tzinfo=UTC)
    usual = {"change": 1, "rated": True, "confidence": 0.8, "since": now}
    plain = gain_of(QuestionKind.NEW_EVIDENCE, **usual)
    assert gain_of(QuestionKind.NEW_EVIDENCE, **usual | {"change": 2}) > plain
    assert gain_of(QuestionKind.NEW_EVIDENCE, **usual | {"confidence": 0.5}) > plain
    assert gain_of(QuestionKind.NEW_EVIDENCE, **usual | {"since": now - timedelta(days=30)}) == pytest.approx(
        plain + 1
    )
    assert gain_of(QuestionKind.DISPUTE, **usual) == pytest.approx(plain + 10)
    assert gain_at(plain, now) == pytest.approx(5 + 4 * 0.2)
