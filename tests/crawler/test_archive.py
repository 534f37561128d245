"""The evidence archive holds what it was given, or says that it does not."""

from __future__ import annotations

import errno
import gzip
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.archive import Archive, ArchiveFile, ProblemKind, prefixes
from pipelines.errors import StorageError
from pipelines.model import digest_bytes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def only_file(archive: Archive) -> Path:
    [path] = archive.path.glob("??/??/*.gz")
    return path


def all_files(archive: Archive) -> list[ArchiveFile]:
    return list(archive.files()) + [ArchiveFile(path=path, sha256="") for path in archive.strays()]


@given(st.binary(max_size=2000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_come_back(archive, body):
    assert archive.get(archive.put(body)) == body


def test_a_body_is_a_file_that_zcat_reads_in_two_levels_of_folders(archive):
    sha256 = archive.put(b"hello")
    assert only_file(archive).relative_to(archive.path) == Path(sha256[:2], sha256[2:4], f"{sha256}.gz")
    assert gzip.decompress(only_file(archive).read_bytes()) == b"hello"
    assert sha256 in archive
    assert "0" * 64 not in archive


def test_the_same_bytes_are_written_once(archive):
    archive.put(b"hello")
    before = only_file(archive).stat()
    archive.put(b"hello")
    after = only_file(archive).stat()
    assert before.st_ino == after.st_ino
    # Whoever has put them before does not take them back any more.
    assert before.st_mtime_ns < after.st_mtime_ns


def test_the_same_bytes_make_the_same_file(tmp_path):
    one, two = Archive(tmp_path / "one"), Archive(tmp_path / "two")
    one.put(b"hello")
    two.put(b"hello")
    assert only_file(one).read_bytes() == only_file(two).read_bytes()


def test_a_body_that_is_not_there_is_named(archive):
    with pytest.raises(StorageError, match="0" * 64):
        archive.get("0" * 64)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_is_never_a_path(archive, name):
    with pytest.raises(StorageError, match="not a sha256"):
        archive.get(name)


DAMAGE = {
    "cut": lambda content: content[:-5],
    "empty": lambda content: b"",
    "no gzip": lambda content: b"hello",
    "other bytes": lambda content: gzip.compress(b"something else"),
    "flipped": lambda content: content[:12] + bytes([content[12] ^ 1]) + content[13:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_named_and_healed_by_the_next_put(archive, damage):
    sha256 = archive.put(b"hello hello hello")
    path = only_file(archive)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(StorageError, match=sha256):
        archive.get(sha256)
    found = archive.examine(sha256, 17)
    assert (found.kind, found.sha256, found.is_harmless) == (ProblemKind.DAMAGED, sha256, False)
    assert sha256 in str(found)
    archive.put(b"hello hello hello")
    assert archive.get(sha256) == b"hello hello hello"
    assert archive.examine(sha256, 17) is None


@pytest.mark.parametrize("damage", ["cut", "empty", "no gzip", "other bytes"])
def test_a_quick_look_finds_what_has_another_size(archive, damage):
    sha256 = archive.put(b"hello hello hello")
    path = only_file(archive)
    assert archive.examine(sha256, 17, quick=True) is None
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert archive.examine(sha256, 17, quick=True).kind is ProblemKind.DAMAGED


def test_what_unpacks_to_far_more_than_it_should_is_not_unpacked_to_its_end(archive, monkeypatch):
    sha256 = archive.put(b"hello")
    only_file(archive).write_bytes(gzip.compress(bytes(50_000_000)))
    read = []
    real = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size=-1: read.append(size) or real(file, size))
    assert "longer" in archive.examine(sha256, 5).problem
    assert len(read) == 1
    assert 0 < read[0] < 1_000_000


def test_a_body_that_is_no_file_is_damaged_and_never_waited_for(archive):
    sha256 = archive.put(b"hello")
    path = only_file(archive)
    path.unlink()
    os.mkfifo(path)
    assert archive.examine(sha256, 5).kind is ProblemKind.DAMAGED
    assert archive.examine(sha256, 5, quick=True).kind is ProblemKind.DAMAGED


def test_a_body_that_is_not_there_is_missing(archive):
    found = archive.examine(digest_bytes(b"never put"), 9)
    assert found.kind is ProblemKind.MISSING
    assert "missing" in str(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_body_that_may_not_be_read_is_unreadable(archive):
    sha256 = archive.put(b"hello")
    only_file(archive).chmod(0)
    assert archive.examine(sha256, 5).kind is ProblemKind.UNREADABLE


def test_every_file_is_listed_as_a_body_or_as_foreign(archive):
    sha256 = archive.put(b"hello")
    (archive.path / "notes.txt").write_text("mine")
    (archive.path / "attic").mkdir()
    (archive.path / "attic" / "old.gz").write_text("mine")
    (only_file(archive).parent / "README").write_text("mine")
    (archive.path / sha256[:2] / f"{sha256}.gz").write_text("in the wrong place")
    assert [path.name for path in archive.strays()] == ["old.gz", "notes.txt"]
    files = [(file.path.name, file.sha256) for file in archive.files(sha256[:2])]
    assert sorted(files) == sorted([("README", ""), (f"{sha256}.gz", sha256), (f"{sha256}.gz", "")])


def test_a_removed_body_is_gone_and_its_bytes_are_told(archive):
    sha256 = archive.put(b"hello")
    size = only_file(archive).stat().st_size
    assert archive.remove(sha256) == size
    assert archive.remove(sha256) == 0
    assert sha256 not in archive


def test_a_folder_that_is_not_there_yet_is_an_empty_archive(archive):
    assert all_files(archive) == []
    assert archive.clean() == 0


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(archive, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        archive.put(b"hello")
    assert [path for path in archive.path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert archive.get(archive.put(b"hello")) == b"hello"


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_a_disk_that_is_really_full_is_a_storage_error(archive, monkeypatch):
    open_file = Path.open

    def open_full(path, mode="r", **options):
        return open_file(Path("/dev/full"), "wb") if "x" in mode else open_file(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(StorageError, match="No space left"):
        archive.put(b"hello" * 100_000)
    monkeypatch.undo()
    assert [path for path in archive.path.rglob("*") if path.is_file()] == []


def test_an_archive_in_an_impossible_place_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        Archive(tmp_path / "file" / "archive").put(b"hello")


def left_behind(archive: Archive, host: str, pid: int, age: float) -> Path:
    path = archive.path / "tmp" / f"{host}~{pid}~abc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_files_of_a_crash_are_removed_and_those_being_written_are_not(archive):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = socket.gethostname()
    gone = [left_behind(archive, here, dead.pid, 120), left_behind(archive, "elsewhere", 1, 200_000)]
    kept = [
        left_behind(archive, here, os.getpid(), 120),
        left_behind(archive, "elsewhere", 2, 120),
        left_behind(archive, "young", dead.pid, 0),
    ]
    archive.put(b"hello")
    assert [path.exists() for path in gone] == [False, False]
    assert [path.exists() for path in kept] == [True, True, True]
    assert [file for file in all_files(archive) if not file.sha256] == []


KILLED = """
import os, signal, sys
from crawler.archive import Archive
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
Archive(sys.argv[1]).put(b"hello")
"""


def test_a_writer_that_is_killed_leaves_no_body(archive):
    done = subprocess.run([sys.executable, "-c", KILLED, archive.path], cwd=ROOT, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert list(archive.path.glob("??/??/*")) == []
    assert [file for file in all_files(archive) if not file.sha256] == []
    assert archive.get(archive.put(b"hello")) == b"hello"


def _put_many(path: Path) -> None:
    archive = Archive(path)
    for number in range(40):
        archive.put(f"body {number}".encode() * 50)


def test_several_processes_share_an_archive(archive):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_many, args=(archive.path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    expected = [digest_bytes(f"body {number}".encode() * 50) for number in range(40)]
    assert sorted(file.sha256 for file in all_files(archive)) == sorted(expected)
    assert [archive.examine(sha256, len(archive.get(sha256))) for sha256 in expected] == [None] * 40
    assert list((archive.path / "tmp").iterdir()) == []


@pytest.mark.parametrize(("bodies", "portions"), [(0, 1), (20_000, 1), (20_001, 16), (1_000_000, 256)])
def test_every_body_is_in_one_portion(archive, bodies, portions):
    found = prefixes(bodies)
    assert len(found) == portions
    sha256 = archive.put(b"hello")
    assert [file.sha256 for prefix in found for file in archive.files(prefix)] == [sha256]
