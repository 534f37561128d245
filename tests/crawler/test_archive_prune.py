"""Pruning removes bytes that nothing needs, and only those, however often it is cut off."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from crawler.prune import prune_archive
from crawler.verify import verify_archive
from db.pins import KeepRule, Need, load_pruned
from db.session import session_scope
from pipelines.errors import StorageError, UsageError


def prune(shelf, *, act=True, rule=None, **more):
    return prune_archive(
        shelf.engine,
        shelf.archive,
        rule or KeepRule(),
        now=shelf.now,
        curator="rowan",
        act=act,
        **more,
    )


def read_three(shelf):
    digests = []
    for body in (b"# One", b"# Two", b"# Three"):
        digests.append(shelf.read(body))
        shelf.later()
    return digests


def there(shelf, digests):
    return [sha256 in shelf.archive for sha256 in digests]


def is_sound(shelf):
    problems = []
    return verify_archive(shelf.engine, shelf.archive, problems.append).is_sound and problems == []


def pruned_rows(shelf):
    with session_scope(shelf.engine) as session:
        return load_pruned(session, "")


def test_older_bytes_go_and_the_latest_stay(shelf):
    digests = read_three(shelf)
    size = sum(shelf.file(sha256).stat().st_size for sha256 in digests[:2])
    found = prune(shelf)
    assert (found.removed.bodies, found.removed.bytes) == (2, size)
    assert found.kept == Counter({Need.STANDING: 1})
    assert there(shelf, digests) == [False, False, True]
    assert pruned_rows(shelf) == dict.fromkeys(digests[:2], shelf.now)
    assert is_sound(shelf)


def test_looking_removes_nothing_and_says_the_same(shelf):
    digests = read_three(shelf)
    planned = prune(shelf, act=False)
    assert there(shelf, digests) == [True, True, True]
    assert pruned_rows(shelf) == {}
    assert prune(shelf) == planned


def test_pruning_again_finds_nothing(shelf):
    read_three(shelf)
    prune(shelf)
    again = prune(shelf)
    assert (again.removed.bodies, again.left_over.bodies, again.earlier) == (0, 0, 2)


def test_a_pruning_that_is_cut_off_before_a_file_goes_is_finished_by_the_next(shelf, monkeypatch):
    digests = read_three(shelf)

    def refuse(sha256):
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf.archive, "remove", refuse)
    with pytest.raises(KeyboardInterrupt):
        prune(shelf)
    monkeypatch.undo()
    verified = verify_archive(shelf.engine, shelf.archive, lambda problem: None)
    assert verified.is_sound
    assert len(pruned_rows(shelf)) == 2
    found = prune(shelf)
    assert (found.removed.bodies, found.left_over.bodies) == (0, 2)
    assert there(shelf, digests) == [False, False, True]
    assert is_sound(shelf)


def test_nothing_is_removed_before_the_database_knows(shelf, monkeypatch):
    digests = read_three(shelf)
    real = shelf.archive.remove

    def remove(sha256):
        assert sha256 in pruned_rows(shelf)
        return real(sha256)

    monkeypatch.setattr(shelf.archive, "remove", remove)
    prune(shelf)
    assert there(shelf, digests) == [False, False, True]


def test_what_a_pruning_that_was_cut_off_left_there_stays_when_the_next_one_keeps_more(shelf, monkeypatch):
    digests = read_three(shelf)
    monkeypatch.setattr(shelf.archive, "remove", lambda sha256: 0)
    prune(shelf)
    monkeypatch.undo()
    prune(shelf, rule=KeepRule(last=3))
    assert there(shelf, digests) == [True, True, True]
    assert pruned_rows(shelf) == {}
    assert is_sound(shelf)


def test_a_file_that_cannot_be_removed_is_a_storage_error_and_known_to_be_left_over(shelf, monkeypatch):
    read_three(shelf)

    def refuse(path, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(StorageError, match="cannot be removed: Permission denied"):
        prune(shelf)
    monkeypatch.undo()
    assert prune(shelf).left_over.bodies == 2
    assert is_sound(shelf)


def test_bytes_that_come_back_are_kept(shelf):
    digests = read_three(shelf)
    prune(shelf)
    shelf.read(b"# One")
    assert shelf.archive.get(digests[0]) == b"# One"
    assert prune(shelf).kept == Counter({Need.STANDING: 1})
    assert is_sound(shelf)


def put_orphan(shelf, age):
    sha256 = shelf.archive.put(b"of a run that was cut off")
    moment = shelf.now.timestamp() - age
    os.utime(shelf.file(sha256), (moment, moment))
    return sha256


def test_orphans_go_only_when_asked_for_and_when_no_run_can_be_writing_them(shelf):
    shelf.now = shelf.now.fromtimestamp(time.time(), tz=shelf.now.tzinfo)
    shelf.read(b"# One")
    orphan = put_orphan(shelf, age=3600)
    assert prune(shelf, orphans=True).orphans.bodies == 0
    put_orphan(shelf, age=25 * 3600)
    assert prune(shelf).orphans.bodies == 1
    assert orphan in shelf.archive
    assert prune(shelf, orphans=True).orphans.bodies == 1
    assert orphan not in shelf.archive
    assert is_sound(shelf)


def test_a_database_that_names_nothing_makes_nobody_an_orphan(shelf):
    orphan = put_orphan(shelf, age=25 * 3600)
    with pytest.raises(UsageError, match="names no snapshot"):
        prune(shelf, orphans=True)
    assert orphan in shelf.archive


def test_foreign_files_are_left_alone(shelf):
    read_three(shelf)
    (shelf.archive.path / "notes.txt").write_text("mine")
    prune(shelf, orphans=True)
    assert (shelf.archive.path / "notes.txt").read_text() == "mine"


def test_what_comes_to_be_needed_meanwhile_stays(shelf, monkeypatch):
    digests = read_three(shelf)
    asked = []

    def load(session, some):
        asked.extend(some)
        return {digests[0]}

    monkeypatch.setattr("crawler.prune.load_pinned_bodies", load)
    found = prune(shelf)
    assert sorted(asked) == sorted(digests[:2])
    assert (found.removed.bodies, found.kept[Need.PINNED]) == (1, 1)
    assert there(shelf, digests) == [True, False, True]
    assert is_sound(shelf)
