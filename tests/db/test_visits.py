"""Visits, snapshots, evidence, runs."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from crawler.archive import Archive
from crawler.verify import verify_archive
from db.archived import load_bodies
from db.columns import escape_text, unescape_text
from db.load import (
    load_current_snapshots,
    load_evidence,
    load_evidence_and_visits,
    load_known,
    load_latest_visits,
    load_run,
    load_runs,
    load_snapshot,
    load_unextracted,
    load_validators,
    load_visited,
)
from db.models import RunStatus, SnapshotRow, VisitRow
from db.save import begin_run, end_run, save_extraction, save_interrupted_runs, save_visit
from db.session import make_engine, session_scope
from db.states import NOT_EXTRACTED
from pipelines.errors import StorageError, UsageError
from pipelines.model import ArtifactKind, ArtifactRef, Validators, Visit, VisitStatus


def standing(desk, *refs):
    with session_scope(desk.engine) as session:
        return load_current_snapshots(session, desk.archive, refs or (desk.card,))


def latest(desk, *refs):
    with session_scope(desk.engine) as session:
        return load_latest_visits(session, refs or (desk.card,))


def count(desk, row):
    with session_scope(desk.engine) as session:
        return session.scalar(select(func.count()).select_from(row))


def test_the_same_capture_twice_adds_no_snapshot(desk):
    first = desk.save(desk.visit(b"# Brindle", etag="one"))
    read_at = desk.now
    desk.later()
    second = desk.save(desk.visit(b"# Brindle", etag="two"))
    assert (first.status, first.is_new_snapshot) == (VisitStatus.OK, True)
    assert (second.status, second.is_new_snapshot) == (VisitStatus.UNCHANGED, False)
    assert second.snapshot_id == first.snapshot_id
    assert count(desk, SnapshotRow) == 1
    [snapshot] = standing(desk)
    assert (snapshot.body, snapshot.fetched_at) == (b"# Brindle", read_at)
    with session_scope(desk.engine) as session:
        assert load_validators(session, desk.card)["card"].etag == "two"


def test_an_unchanged_part_may_have_new_validators_and_keeps_its_snapshot(desk):
    first = desk.save(desk.visit(b"# Brindle", etag="one"))
    told = Validators(etag="two", last_modified="later", token="t")
    second = desk.save(replace(desk.visit(None, status=VisitStatus.UNCHANGED), validators=told))
    third = desk.save(desk.visit(None, status=VisitStatus.UNCHANGED))
    assert {second.snapshot_id, third.snapshot_id} == {first.snapshot_id}
    with session_scope(desk.engine) as session:
        known = load_validators(session, desk.card)["card"]
    assert (known.etag, known.last_modified, known.token) == ("two", "later", "t")
    with pytest.raises(ValueError, match="validators belong to status unchanged"):
        replace(desk.visit(b"# Brindle"), validators=told)


def test_a_return_to_earlier_bytes_takes_up_the_earlier_snapshot(desk):
    first = desk.save(desk.visit(b"one"))
    desk.save(desk.visit(b"two"))
    third = desk.save(desk.visit(b"one"))
    assert (third.status, third.is_new_snapshot) == (VisitStatus.OK, False)
    assert third.snapshot_id == first.snapshot_id
    assert [item.body for item in standing(desk)] == [b"one"]


def test_unchanged_keeps_the_validators_of_the_visit_before(desk):
    desk.save(desk.visit(b"one", etag='"e"', last_modified="Mon", token="sha"))
    desk.save(desk.visit(None, status=VisitStatus.UNCHANGED))
    with session_scope(desk.engine) as session:
        known = load_known(session, [desk.card, desk.repository])
        [digest] = load_bodies(session, "")
    assert known == {
        desk.card: {"card": Validators(sha256=digest, etag='"e"', last_modified="Mon", token="sha")},
        desk.repository: {},
    }


def test_unchanged_of_something_never_read_is_a_failure(desk):
    saved = desk.save(desk.visit(None, status=VisitStatus.UNCHANGED))
    assert (saved.status, saved.snapshot_id) == (VisitStatus.FAILED, None)
    assert standing(desk) == []


@pytest.mark.parametrize("status", [VisitStatus.FAILED, VisitStatus.DENIED])
def test_failure_and_denial_leave_the_earlier_snapshot_standing_and_stale(desk, status):
    desk.save(desk.visit(b"one"))
    desk.later()
    desk.save(desk.visit(None, status=status))
    assert [item.body for item in standing(desk)] == [b"one"]
    [visit] = latest(desk)
    assert (visit.status, visit.stale, visit.at, visit.reason) == (status, True, desk.now, f"it was {status}")


def test_a_failure_of_something_never_read_is_not_stale(desk):
    desk.save(desk.visit(None, status=VisitStatus.FAILED))
    assert [visit.stale for visit in latest(desk)] == [False]


def test_a_missing_part_falls_and_stands_again_when_it_returns(desk):
    desk.save(desk.visit(b"one"))
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    assert standing(desk) == []
    assert [visit.status for visit in latest(desk)] == [VisitStatus.MISSING]
    assert desk.save(desk.visit(b"one")).status is VisitStatus.UNCHANGED
    assert [item.body for item in standing(desk)] == [b"one"]


def test_an_artifact_that_is_missing_takes_its_parts_with_it(desk):
    desk.save(desk.visit(b"{}", part="info"))
    desk.save(desk.visit(b"one", part="card"))
    desk.save(desk.visit(None, part="info", status=VisitStatus.MISSING))
    assert standing(desk) == []
    assert {visit.part: visit.status for visit in latest(desk)} == {
        "info": VisitStatus.MISSING,
        "card": VisitStatus.MISSING,
    }


@pytest.mark.parametrize("status", [VisitStatus.FAILED, VisitStatus.DENIED])
def test_an_artifact_that_could_not_be_read_makes_its_parts_stale(desk, status):
    desk.save(desk.visit(b"{}", part="info"))
    desk.save(desk.visit(b"one", part="card"))
    desk.save(desk.visit(None, part="file:LICENSE", status=VisitStatus.MISSING))
    desk.later()
    desk.save(desk.visit(None, part="info", status=status))
    assert [item.part for item in standing(desk)] == ["card", "info"]
    assert [(visit.part, visit.status, visit.stale) for visit in latest(desk)] == [
        ("card", status, True),
        ("file:LICENSE", VisitStatus.MISSING, False),
        ("info", status, True),
    ]
    desk.save(desk.visit(b"two", part="card"))
    assert {visit.part: visit.stale for visit in latest(desk)} == {
        "card": False,
        "file:LICENSE": False,
        "info": True,
    }


def test_a_failure_does_not_bring_back_what_was_missing(desk):
    desk.save(desk.visit(b"one"))
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    desk.save(desk.visit(None, status=VisitStatus.FAILED))
    assert standing(desk) == []
    [visit] = latest(desk)
    assert (visit.status, visit.known, visit.stale) == (VisitStatus.FAILED, VisitStatus.MISSING, True)


def test_other_artifacts_are_not_touched(desk):
    desk.save(desk.visit(b"one"))
    desk.save(desk.visit(b"[]", ref=desk.repository, part="tree"))
    assert [item.ref for item in standing(desk, desk.card)] == [desk.card]
    assert len(standing(desk, desk.card, desk.repository)) == 2
    with session_scope(desk.engine) as session:
        found = load_snapshot(session, standing_digest := next(iter(load_bodies(session, ""))))
        assert found.sha256 == standing_digest
        assert load_snapshot(session, "0" * 64) is None


def test_bytes_that_are_lost_are_named(desk):
    desk.save(desk.visit(b"one"))
    [snapshot] = standing(desk)
    for file in desk.archive.path.rglob("*.gz"):
        file.unlink()
    with pytest.raises(StorageError, match=snapshot.sha256):
        standing(desk)
    desk.save(desk.visit(b"one"))
    assert standing(desk) == [snapshot]


def test_a_snapshot_is_never_changed(desk):
    desk.save(desk.visit(b"one"))
    with (
        pytest.raises(StorageError, match="never changed"),
        session_scope(desk.engine, write=True) as session,
    ):
        session.scalars(select(SnapshotRow)).one().url = "https://elsewhere.example"
    for statement in ("UPDATE snapshots SET url = 'x'", "UPDATE snapshots SET id = id"):
        with (
            pytest.raises(DatabaseError, match="never changed"),
            session_scope(desk.engine, write=True) as session,
        ):
            session.execute(text(statement))


def test_evidence_comes_back_as_it_was_found(desk):
    body = b"Weights are under the Fernlicht terms\x00.\n"
    quoted = desk.evidence(body, "Fernlicht terms\x00")
    odd = [1e22, -0.0, None, True, "\x00 \ud83d \ufdd0", {"b": [1, 1.0], "a": ""}]
    fields = [desk.field_evidence(body, "$.odd", value) for value in odd]
    saved = desk.save(desk.visit(body))
    with session_scope(desk.engine, write=True) as session:
        assert save_extraction(session, saved.snapshot_id, "1", [quoted, *fields])
        assert not save_extraction(session, saved.snapshot_id, "1", [quoted])
    with session_scope(desk.engine) as session:
        found = load_evidence(session, [desk.card])
    assert found == [quoted, *fields]
    assert [item.key for item in found] == [item.key for item in (quoted, *fields)]
    assert [repr(item.where) for item in found] == [repr(item.where) for item in (quoted, *fields)]


def test_newer_extractors_read_again_and_only_their_evidence_counts(desk):
    body = b"alpha beta"
    [alpha] = desk.read(body, "alpha", version="1")
    with session_scope(desk.engine) as session:
        assert load_unextracted(session, "1", [desk.card]) == []
        [unread] = load_unextracted(session, "2", [desk.card])
        assert load_evidence(session, [desk.card]) == [alpha]
    with session_scope(desk.engine, write=True) as session:
        save_extraction(session, unread.id, "2", [desk.evidence(body, "beta")])
    with session_scope(desk.engine) as session:
        assert [item.passage for item in load_evidence(session, [desk.card])] == ["beta"]


def understood(desk):
    with session_scope(desk.engine) as session:
        found, [visit] = load_evidence_and_visits(session, [desk.card])
    return [item.passage for item in found], visit


def test_bytes_that_no_extractor_could_read_are_no_reading(desk):
    desk.save(desk.visit(b"alpha"))
    found, visit = understood(desk)
    assert (found, visit.status, visit.known, visit.stale) == ([], VisitStatus.FAILED, None, False)
    assert visit.reason == NOT_EXTRACTED
    # What the service said is no secret all the same.
    assert latest(desk)[0].status is VisitStatus.OK


def test_what_an_earlier_snapshot_said_stands_while_the_newer_one_cannot_be_read(desk):
    desk.read(b"alpha", "alpha")
    desk.later()
    saved = desk.save(desk.visit(b"beta"))
    found, visit = understood(desk)
    assert (found, visit.status, visit.known, visit.stale) == (
        ["alpha"],
        VisitStatus.FAILED,
        VisitStatus.OK,
        True,
    )
    with session_scope(desk.engine, write=True) as session:
        save_extraction(session, saved.snapshot_id, "1", [desk.evidence(b"beta", "beta")])
    found, visit = understood(desk)
    assert (found, visit.status, visit.stale) == (["beta"], VisitStatus.OK, False)


def test_what_was_said_before_the_part_was_missing_does_not_come_back(desk):
    desk.read(b"alpha", "alpha")
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    desk.later()
    desk.save(desk.visit(b"beta"))
    found, visit = understood(desk)
    assert (found, visit.status, visit.stale) == ([], VisitStatus.FAILED, False)


def test_a_snapshot_without_evidence_is_not_read_again(desk):
    desk.read(b"nothing to see")
    with session_scope(desk.engine) as session:
        assert load_unextracted(session, "1", [desk.card]) == []
        assert load_evidence(session, [desk.card]) == []


def test_evidence_of_another_snapshot_is_refused(desk):
    saved = desk.save(desk.visit(b"alpha"))
    stranger = desk.evidence(b"alpha beta", "alpha")
    with (
        pytest.raises(StorageError, match="not of snapshot"),
        session_scope(desk.engine, write=True) as session,
    ):
        save_extraction(session, saved.snapshot_id, "1", [stranger])
    with (
        pytest.raises(StorageError, match="no snapshot 999"),
        session_scope(desk.engine, write=True) as session,
    ):
        save_extraction(session, 999, "1", [])


def test_runs_are_told_and_interrupted_ones_found(desk):
    with session_scope(desk.engine, write=True) as session:
        report = {"sources": {"hub": {"failed": 2}}, "why": "a \x00 in a reason", "ratio": float("nan")}
        end_run(session, desk.run_id, desk.later(), RunStatus.DONE, 3, report)
        left = begin_run(session, "crawl", desk.later(), 12, "larch")
    with session_scope(desk.engine, write=True) as session:
        assert save_interrupted_runs(session, desk.later()) == [left]
        assert save_interrupted_runs(session, desk.later()) == []
    with session_scope(desk.engine) as session:
        done = load_run(session, desk.run_id)
        assert (done.status, done.exit_code, done.host) == (RunStatus.DONE, 3, "larch")
        assert done.report == {
            "sources": {"hub": {"failed": 2}},
            "why": "a \ufffd in a reason",
            "ratio": None,
        }
        assert [run.id for run in load_runs(session)] == [left, desk.run_id]
        assert [run.kind for run in load_runs(session, statuses=[RunStatus.INTERRUPTED])] == ["crawl"]
        assert load_runs(session, kinds=["rate"]) == []
        assert load_run(session, 999) is None
    with pytest.raises(UsageError, match="no run 999"), session_scope(desk.engine, write=True) as session:
        end_run(session, 999, desk.now, RunStatus.DONE, 0, {})


def test_a_resumed_run_knows_what_it_has_visited(desk):
    desk.save(desk.visit(b"one"))
    desk.save(desk.visit(None, ref=desk.repository, part="repository", status=VisitStatus.FAILED))
    with session_scope(desk.engine) as session:
        assert load_visited(session, desk.run_id) == {desk.card, desk.repository}
        assert load_visited(session, desk.run_id + 1) == set()


def test_times_are_utc_whatever_zone_they_came_in(desk):
    desk.now = datetime(2031, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=7)))
    desk.save(desk.visit(b"one"))
    [snapshot] = standing(desk)
    assert snapshot.fetched_at == desk.now
    assert snapshot.fetched_at.tzinfo is UTC
    desk.now = datetime(2031, 3, 1)
    with pytest.raises(Exception, match="without time zone"):
        desk.save(desk.visit(b"two"))


@given(st.text(st.characters()))
def test_any_text_can_be_stored_and_comes_back(value):
    escaped = escape_text(value)
    assert "\x00" not in escaped
    escaped.encode()
    assert unescape_text(escaped) == value


NIGHT = st.lists(
    st.tuples(
        st.sampled_from(["info", "card"]),
        st.sampled_from([b"a", b"b", VisitStatus.UNCHANGED, VisitStatus.MISSING, VisitStatus.FAILED]),
    ),
    max_size=12,
)


@given(NIGHT)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_source_that_fails_never_changes_what_stands(tmp_path, memory_engine, nights):
    """Against a model: only what was read or found missing moves a snapshot; nothing is stored twice."""
    engine = memory_engine()
    archive = Archive(tmp_path / "archive")
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="hazelmoor/brindle-3b")
    now = datetime(2031, 1, 1, tzinfo=UTC)
    stands, missing, seen = {}, set(), set()
    with session_scope(engine, write=True) as session:
        run_id = begin_run(session, "nightly", now, 1, "larch")
        for part, what in nights:
            now += timedelta(days=1)
            body = what if isinstance(what, bytes) else None
            status = VisitStatus.OK if body else what
            visit = _visit(ref, part, status, body, now)
            save_visit(session, archive, run_id, visit)
            if body:
                stands[part] = body
                seen.add((part, body))
            if status is VisitStatus.MISSING:
                missing.add(part)
            elif body or (status is VisitStatus.UNCHANGED and part in stands):
                missing.discard(part)
            found = {item.part: item.body for item in load_current_snapshots(session, archive, [ref])}
            gone = set(stands) if "info" in missing else missing
            assert found == {part: body for part, body in stands.items() if part not in gone}
        assert session.scalar(select(func.count()).select_from(SnapshotRow)) == len(seen)
        assert session.scalar(select(func.count()).select_from(VisitRow)) == len(nights)
    engine.dispose()


def _visit(ref, part, status, body, now):
    from pipelines.model import Capture

    capture = Capture(body=body, media_type="text/plain") if body else None
    return Visit(ref=ref, part=part, url="https://x.example", at=now, status=status, capture=capture)


def _save_many(url, folder, run_id, worker):
    engine = make_engine(url)
    archive = Archive(folder)
    now = datetime(2031, 1, 1, tzinfo=UTC)
    for number in range(15):
        # Half of the artifacts and bodies are the same in all workers.
        name = f"hazelmoor/m{number}" if number % 2 else f"hazelmoor/w{worker}-{number}"
        ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id=name)
        with session_scope(engine, write=True) as session:
            save_visit(session, archive, run_id, _visit(ref, "card", VisitStatus.OK, name.encode(), now))
    engine.dispose()


def test_several_writers_lose_nothing(desk, url):
    context = multiprocessing.get_context("spawn")
    arguments = (url, desk.archive.path, desk.run_id)
    workers = [context.Process(target=_save_many, args=(*arguments, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert count(desk, VisitRow) == 45
    assert count(desk, SnapshotRow) == 7 + 3 * 8
    assert verify_archive(desk.engine, desk.archive, print).is_sound
