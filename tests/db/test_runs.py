"""How far a run has come, for whoever goes on with it."""

from __future__ import annotations

import pytest

from db.load import load_evidence, load_evidence_and_visits, load_latest_visits, load_requests, load_run
from db.models import RunStatus
from db.runs import (
    load_done,
    load_run_ratings,
    load_run_totals,
    load_slugs,
    load_unread,
    save_done,
    save_spent,
)
from db.save import begin_run, resume_run, save_interrupted_runs, save_visits
from db.save_visits import keep
from db.session import session_scope
from db.waiting import NOT_ASKED, NOT_YET
from pipelines.errors import UsageError
from pipelines.model import ArtifactKind, Rating, VisitStatus


def visits_of(desk, *visits):
    with session_scope(desk.engine, write=True) as session:
        return save_visits(session, desk.run_id, [keep(desk.archive, visit) for visit in visits])


def test_what_was_asked_and_spent_is_there_for_who_goes_on(desk):
    with session_scope(desk.engine, write=True) as session:
        run_id = begin_run(session, "crawl", desk.now, 1, "larch", {"projects": ["brindle"], "full": True})
        save_spent(session, run_id, {"github": {"requests": 3}})
    with session_scope(desk.engine, write=True) as session:
        save_interrupted_runs(session, desk.later())
        resume_run(session, run_id, 2, "alder")
    with session_scope(desk.engine) as session:
        run = load_run(session, run_id)
        assert run.asked == {"projects": ["brindle"], "full": True}
        assert run.spent == {"github": {"requests": 3}}
        assert (run.status, run.ended_at, run.pid, run.host) == (RunStatus.RUNNING, None, 2, "alder")


def test_visits_are_counted_by_kind_and_status(desk):
    visits_of(
        desk,
        desk.visit(b"# One"),
        desk.visit(b"{}", part="info"),
        desk.visit(None, ref=desk.repository, part="repository", status=VisitStatus.FAILED),
        desk.visit(None, ref=desk.repository, part="tree", status=VisitStatus.MISSING),
    )
    with session_scope(desk.engine) as session:
        totals = load_run_totals(session, desk.run_id)
        [failed] = load_unread(session, desk.run_id, VisitStatus.FAILED, 10)
    assert totals.visits == {
        (ArtifactKind.HF_MODEL, VisitStatus.OK): 2,
        (ArtifactKind.GITHUB, VisitStatus.FAILED): 1,
        (ArtifactKind.GITHUB, VisitStatus.MISSING): 1,
    }
    assert totals.artifacts == {ArtifactKind.HF_MODEL: 1, ArtifactKind.GITHUB: 1}
    assert totals.new_snapshots == 2
    assert (failed.ref, failed.part, failed.reason) == (desk.repository, "repository", "it was failed")


def test_what_no_budget_was_left_for_is_counted_apart_and_is_no_failure(desk):
    waits = desk.visit(None, ref=desk.repository, part="tags", status=VisitStatus.FAILED)
    object.__setattr__(waits, "reason", f"{NOT_YET}: the limit of the service is used up")
    refused = desk.visit(None, ref=desk.repository, part="tree", status=VisitStatus.FAILED)
    object.__setattr__(refused, "reason", f"{NOT_ASKED}: the service refused three times in a row")
    visits_of(desk, waits, refused)
    with session_scope(desk.engine) as session:
        totals = load_run_totals(session, desk.run_id)
        [failed] = load_unread(session, desk.run_id, VisitStatus.FAILED, 10)
    assert totals.visits == {(ArtifactKind.GITHUB, VisitStatus.FAILED): 1}
    assert totals.waiting == {ArtifactKind.GITHUB: 1}
    assert failed.part == "tree"


def test_only_the_named_number_of_unread_parts_is_loaded(desk):
    visits_of(desk, *(desk.visit(None, part=f"file:{n}", status=VisitStatus.DENIED) for n in range(9)))
    with session_scope(desk.engine) as session:
        some = load_unread(session, desk.run_id, VisitStatus.DENIED, 3)
    assert [visit.part for visit in some] == ["file:0", "file:1", "file:2"]


def test_projects_that_are_done_are_noted_once(desk):
    desk.seed("brindle", "sorrel")
    with session_scope(desk.engine, write=True) as session:
        save_done(session, desk.run_id, ["brindle"], desk.now)
        save_done(session, desk.run_id, ["brindle", "sorrel"], desk.now)
    with session_scope(desk.engine) as session:
        assert load_done(session, desk.run_id) == {"brindle", "sorrel"}
        assert load_done(session, desk.run_id - 1) == set()


def test_ratings_of_a_run_are_those_of_the_projects_it_is_done_with(desk):
    found = desk.read(b"# Brindle under MIT", "MIT")
    desk.propose(Rating.OPEN, *found)
    desk.propose(None, dimension="paper")
    desk.seed("brindle", "sorrel")
    desk.propose(Rating.OPEN, *found, version=2)
    with session_scope(desk.engine, write=True) as session:
        save_done(session, desk.run_id, ["brindle"], desk.now)
    with session_scope(desk.engine) as session:
        rated = load_run_ratings(session, desk.run_id)
    assert (rated.projects, rated.proposals, rated.new, rated.cannot_tell) == (1, 2, 1, 1)


def test_slugs_are_sorted_and_unknown_ones_are_named(desk):
    desk.seed("sorrel", "brindle")
    with session_scope(desk.engine) as session:
        assert load_slugs(session) == ["brindle", "sorrel"]
        assert load_slugs(session, ["sorrel"]) == ["sorrel"]
        with pytest.raises(UsageError, match="sorel"):
            load_slugs(session, ["sorel"])


def test_visits_stored_together_are_as_those_stored_one_after_another(desk):
    first = visits_of(desk, desk.visit(b"one", etag="a"), desk.visit(b"{}", part="info"))
    assert [saved.is_new_snapshot for saved in first] == [True, True]
    desk.later()
    again, other, back, unread, unknown = visits_of(
        desk,
        desk.visit(b"one", etag="b"),
        desk.visit(b"{} ", part="info"),
        desk.visit(b"{}", part="info"),
        desk.visit(None, part="info", status=VisitStatus.UNCHANGED),
        desk.visit(None, part="file:x", status=VisitStatus.UNCHANGED),
    )
    assert (again.status, again.snapshot_id) == (VisitStatus.UNCHANGED, first[0].snapshot_id)
    assert (other.status, other.is_new_snapshot) == (VisitStatus.OK, True)
    assert (back.status, back.snapshot_id, back.is_new_snapshot) == (
        VisitStatus.OK,
        first[1].snapshot_id,
        False,
    )
    assert (unread.status, unread.snapshot_id) == (VisitStatus.UNCHANGED, first[1].snapshot_id)
    assert (unknown.status, unknown.snapshot_id) == (VisitStatus.FAILED, None)


def test_requests_tell_what_is_stored_and_what_was_not_there(desk):
    visits_of(desk, desk.visit(b"{}", ref=desk.repository, part="repository", etag="a"))
    visits_of(desk, desk.visit(None, part="info", status=VisitStatus.MISSING))
    with session_scope(desk.engine) as session:
        repository, card = load_requests(session, [desk.repository, desk.card])
        assert repository.known["repository"].etag == "a"
        assert (repository.was_missing, card.was_missing) == (False, True)
        repository, card = load_requests(session, [desk.repository, desk.card], full=True)
        assert (repository.known, card.was_missing) == ({}, False)


def test_evidence_can_be_asked_for_by_kind_and_together_with_the_visits(desk):
    found = desk.read(b"alpha beta", "alpha", "beta")
    refs = [desk.card, desk.repository]
    with session_scope(desk.engine) as session:
        assert load_evidence(session, refs, {"claim"}) == found
        assert load_evidence(session, refs, {"link"}) == []
        evidence, visits = load_evidence_and_visits(session, refs)
        assert (evidence, visits) == (load_evidence(session, refs), load_latest_visits(session, refs))
