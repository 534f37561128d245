"""Verifying compares the archive with the snapshots that name its bodies."""

from __future__ import annotations

import gzip
import shutil

import pytest

from crawler.archive import ProblemKind
from crawler.verify import verify_archive
from db.pins import save_pruned
from db.session import session_scope


def verified(shelf, **options):
    found = []
    result = verify_archive(shelf.engine, shelf.archive, found.append, **options)
    return result, {(problem.kind, problem.sha256 or problem.path.name): problem for problem in found}


def test_a_whole_archive_is_sound_and_counted(shelf):
    shelf.read(b"# Brindle")
    shelf.read(b"<p>Brindle", ref=shelf.page, part="page")
    for quick in (False, True):
        result, problems = verified(shelf, quick=quick)
        assert problems == {}
        assert (result.is_sound, result.bodies, result.bytes) == (True, 2, 19)


def test_nothing_at_all_is_sound(shelf):
    result, problems = verified(shelf)
    assert (result.is_sound, result.bodies, problems) == (True, 0, {})


def test_what_is_missing_damaged_and_foreign_is_named_with_the_parts_it_is_of(shelf):
    old = shelf.read(b"# One")
    shelf.later()
    new = shelf.read(b"# Two")
    page = shelf.read(b"<p>Brindle", ref=shelf.page, part="page")
    shelf.file(old).unlink()
    shelf.file(new).write_bytes(gzip.compress(b"# Owt"))
    (shelf.archive.path / "notes.txt").write_text("mine")
    (shelf.file(page).parent / "copy.gz").write_text("mine")
    result, problems = verified(shelf)
    assert set(problems) == {
        (ProblemKind.MISSING, old),
        (ProblemKind.DAMAGED, new),
        (ProblemKind.FOREIGN, "notes.txt"),
        (ProblemKind.FOREIGN, "copy.gz"),
    }
    assert (result.is_sound, result.bodies) == (False, 1)
    assert "hazelmoor/brindle-3b card)" in str(problems[ProblemKind.MISSING, old])
    assert "hazelmoor/brindle-3b card, standing)" in str(problems[ProblemKind.DAMAGED, new])


def test_other_bytes_of_the_same_length_escape_the_quick_look_and_no_other(shelf):
    sha256 = shelf.read(b"# One")
    shelf.file(sha256).write_bytes(gzip.compress(b"# Owt"))
    assert verified(shelf, quick=True)[0].is_sound
    assert not verified(shelf)[0].is_sound
    shelf.file(sha256).write_bytes(b"")
    assert not verified(shelf, quick=True)[0].is_sound


def test_an_archive_that_is_gone_misses_every_body(shelf):
    shelf.read(b"# One")
    shutil.rmtree(shelf.archive.path)
    result, _ = verified(shelf)
    assert result.problems == {ProblemKind.MISSING: 1}


def test_bytes_that_no_snapshot_names_are_told_and_do_no_harm(shelf):
    shelf.read(b"# One")
    orphan = shelf.archive.put(b"of a run that was cut off")
    result, problems = verified(shelf)
    assert set(problems) == {(ProblemKind.ORPHAN, orphan)}
    assert (result.is_sound, result.bodies) == (True, 1)
    assert result.harmless_bytes == shelf.file(orphan).stat().st_size


def test_files_that_are_being_written_are_nobodys_business(shelf):
    shelf.read(b"# One")
    (shelf.archive.path / "tmp" / "larch~1~abc").write_bytes(b"half")
    assert verified(shelf)[1] == {}


def test_a_body_that_was_pruned_is_not_missing(shelf):
    old = shelf.read(b"# One")
    shelf.later()
    shelf.read(b"# Two")
    with session_scope(shelf.engine, write=True) as session:
        save_pruned(session, [old], shelf.now, "rowan")
    result, problems = verified(shelf)
    assert set(problems) == {(ProblemKind.LEFT_OVER, old)}
    assert result.is_sound
    shelf.archive.remove(old)
    result, problems = verified(shelf)
    assert (problems, result.pruned, result.is_sound) == ({}, 1, True)


def test_a_standing_body_that_was_pruned_is_a_fault(shelf):
    sha256 = shelf.read(b"# One")
    with session_scope(shelf.engine, write=True) as session:
        save_pruned(session, [sha256], shelf.now, "rowan")
    shelf.archive.remove(sha256)
    result, problems = verified(shelf)
    assert set(problems) == {(ProblemKind.PINNED, sha256)}
    assert not result.is_sound


def test_what_a_run_adds_and_a_pruning_takes_away_meanwhile_is_no_fault(shelf, monkeypatch):
    old = shelf.read(b"# One")
    shelf.later()
    shelf.read(b"# Two")
    late = []
    real = shelf.archive.files

    def files(prefix):
        if not late:
            # After the rows of this folder were loaded: a run stores, a pruning removes.
            late.append(shelf.read(b"# Three"))
            with session_scope(shelf.engine, write=True) as session:
                save_pruned(session, [old], shelf.now, "rowan")
            shelf.archive.remove(old)
        return real(prefix)

    monkeypatch.setattr(shelf.archive, "files", files)
    assert verified(shelf)[1] == {}


def test_a_folder_that_cannot_be_listed_is_told(shelf, monkeypatch):
    shelf.read(b"# One")

    def scandir(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("os.scandir", scandir)
    result, problems = verified(shelf)
    assert result.problems == {ProblemKind.UNREADABLE: 1}
    assert "Input/output error" in str(next(iter(problems.values())))


def test_progress_ends_where_it_should(shelf):
    shelf.read(b"# One")
    shelf.read(b"# Two")
    told = []
    verified(shelf, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)


@pytest.mark.parametrize("name", ["notes\x1b[2J.txt", b"half-\xff.txt".decode("utf-8", "surrogateescape")])
def test_a_foreign_name_that_is_hostile_can_be_told(shelf, name):
    shelf.read(b"# One")
    (shelf.archive.path / name).write_text("x")
    [problem] = verified(shelf)[1].values()
    assert problem.kind is ProblemKind.FOREIGN
