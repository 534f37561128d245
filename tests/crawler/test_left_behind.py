"""Bodies that a run has put into the archive in vain go; every other body stays."""

from __future__ import annotations

import fcntl
import os
import pickle
from datetime import UTC, datetime

import pytest

from crawler.archive import Archive
from crawler.left_behind import clear_away, database_key, owner_of
from crawler.marks import Owner
from db.pins import save_pruned
from db.save import begin_run
from db.session import make_engine, session_scope

BODY = b"read by a run that was cut off"


@pytest.fixture
def run(shelf):
    """The shelf's archive as its run works with it."""
    shelf.archive.mark_for(owner_of(shelf.engine, shelf.run_id, shelf.now))
    return shelf.archive


def another(shelf, *, database: str = "0" * 16) -> Archive:
    """The same archive as a run of another database works with it."""
    archive = Archive(shelf.archive.path)
    archive.mark_for(Owner(database=database, run=1, started=shelf.now))
    return archive


def test_a_body_whose_rows_were_never_committed_goes(shelf, run):
    sha256 = run.put(BODY)
    assert [mark.sha256 for mark in run.marks()] == [sha256]
    assert clear_away(shelf.engine, Archive(run.path)) == 1
    assert sha256 not in run
    assert list(run.marks()) == []


def test_a_body_that_a_row_names_stays_whether_its_mark_was_lifted_or_not(shelf, run):
    lifted, standing = shelf.read(b"# One"), shelf.read(b"# Two")
    run.settle([lifted])
    assert [mark.sha256 for mark in run.marks()] == [standing]
    assert clear_away(shelf.engine, run) == 0
    assert lifted in run
    assert standing in run
    assert list(run.marks()) == []


def test_a_body_that_was_pruned_and_came_back_in_vain_goes_again(shelf, run):
    sha256 = shelf.read(b"# One")
    shelf.read(b"# Two")
    with session_scope(shelf.engine, write=True) as session:
        save_pruned(session, [sha256], shelf.now, "Curator")
    run.remove(sha256)
    run.settle([sha256])
    run.put(b"# One")
    assert clear_away(shelf.engine, run) == 1
    assert sha256 not in run


def test_what_a_run_of_another_database_has_put_is_left_alone(shelf):
    other = another(shelf)
    sha256 = other.put(BODY)
    assert clear_away(shelf.engine, shelf.archive) == 0
    assert sha256 in other
    assert len(list(other.marks())) == 1


def test_a_database_that_was_made_anew_in_the_same_place_touches_nothing_of_the_old_one(shelf):
    earlier = datetime(2030, 1, 1, tzinfo=UTC)
    shelf.archive.mark_for(owner_of(shelf.engine, shelf.run_id, earlier))
    sha256 = shelf.archive.put(BODY)
    assert clear_away(shelf.engine, shelf.archive) == 0
    assert sha256 in shelf.archive


def test_a_body_that_another_run_has_put_since_stays(shelf, run):
    sha256 = run.put(BODY)
    other = another(shelf)
    assert other.put(BODY) == sha256
    assert clear_away(shelf.engine, run) == 0
    assert other.get(sha256) == BODY


def test_a_body_that_another_run_is_just_putting_stays(shelf, run):
    sha256 = run.put(BODY)
    with shelf.file(sha256).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert clear_away(shelf.engine, run) == 0
    assert sha256 in run


def test_whoever_finds_a_body_gone_under_its_hands_writes_it_anew(shelf, run, monkeypatch):
    sha256 = run.put(BODY)
    other, utime = another(shelf), os.utime

    def be_late(*args, **options):
        shelf.file(sha256).unlink()
        utime(*args, **options)

    monkeypatch.setattr(os, "utime", be_late)
    other.put(BODY)
    assert other.get(sha256) == BODY
    assert sha256 in {mark.sha256 for mark in other.marks()}


def test_the_same_bytes_of_two_parts_are_cleared_away_once_and_stay_when_one_is_stored(shelf, run):
    sha256 = run.put(BODY)
    assert run.put(BODY) == sha256
    assert clear_away(shelf.engine, Archive(run.path)) == 1

    shelf.archive.mark_for(owner_of(shelf.engine, shelf.run_id, shelf.now))
    shelf.read(BODY)
    shelf.archive.settle([sha256])
    run.put(BODY)
    assert clear_away(shelf.engine, run) == 0
    assert sha256 in run


def test_a_file_that_a_killed_run_was_writing_goes_though_nothing_new_is_put(shelf, run):
    sha256 = run.put(BODY)
    half = run.path / "tmp" / "elsewhere~1~0123456789abcdef"
    young = half.with_name("elsewhere~2~0123456789abcdef")
    half.write_bytes(b"half")
    young.write_bytes(b"hal")
    os.utime(half, (0, 0))
    run.settle([sha256])
    assert clear_away(shelf.engine, Archive(run.path)) == 0
    assert not half.exists()
    assert young.exists()


def test_a_mark_without_a_body_is_lifted(shelf, run):
    run.remove(run.put(BODY))
    assert clear_away(shelf.engine, run) == 0
    assert list(run.marks()) == []


def test_what_cannot_be_cleared_away_is_said_and_stops_nobody(shelf, run, caplog, monkeypatch):
    sha256 = run.put(BODY)

    def refuse(descriptor, operation):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert clear_away(shelf.engine, run) == 0
    assert "not cleared away" in caplog.text
    assert len(list(run.marks())) == 1
    monkeypatch.undo()
    assert clear_away(shelf.engine, run) == 1
    assert sha256 not in run


def test_other_files_beside_the_marks_are_no_marks_and_marks_outlive_cleaning(shelf, run):
    sha256 = run.put(BODY)
    (run.path / "tmp" / "put" / "notes.txt").write_text("mine")
    [mark] = run.marks()
    os.utime(mark.path, (0, 0))
    os.utime(mark.path.parent, (0, 0))
    run.clean()
    assert [found.sha256 for found in run.marks()] == [sha256]


def test_an_archive_goes_to_another_process_that_reads_for_the_run(run):
    sha256 = run.put(BODY)
    there = pickle.loads(pickle.dumps(run))
    assert there.get(sha256) == BODY
    there.settle([sha256])
    assert len(list(run.marks())) == 1


def test_databases_are_told_apart_by_their_place_and_not_by_who_asks(tmp_path):
    def key(url: str) -> str:
        engine = make_engine(url)
        try:
            return database_key(engine)
        finally:
            engine.dispose()

    urls = [f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db", "sqlite://"]
    urls += ["postgresql://one:secret@db.example/openness", "postgresql://one@db.example/other"]
    assert len({key(url) for url in urls}) == len(urls)
    assert key(urls[3]) == key("postgresql://two@db.example/openness")
    assert key(urls[0]) == key(f"sqlite:///{tmp_path}/x/../a.db")


def test_marks_are_found_again_whatever_fraction_of_a_second_a_run_began_in(shelf):
    started = datetime(2031, 3, 1, 2, 0, 0, 123457, tzinfo=UTC)
    with session_scope(shelf.engine, write=True) as session:
        run_id = begin_run(session, "nightly", started, 4711, "larch")
    shelf.archive.mark_for(owner_of(shelf.engine, run_id, started))
    shelf.archive.put(BODY)
    assert clear_away(shelf.engine, shelf.archive) == 1
