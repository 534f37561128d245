"""Documents are read beside everything else, and what is found does not depend on where."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from multiprocessing import forkserver
from pathlib import Path

import pytest

from crawler.archive import Archive, is_alive
from crawler.extraction import MOST_TRIES, Extraction, begun_early
from db.values import StoredSnapshot
from pipelines.model import ArtifactKind, ArtifactRef

CARD = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="hazelmoor/brindle-3b")
TEXT = "# Brindle\n\n## License\n\nThe weights are released under the Apache License 2.0.\n"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def stored(archive: Archive, number: int, text: str = TEXT) -> StoredSnapshot:
    body = f"{text}\nNumber {number}.\n".encode()
    return StoredSnapshot(
        id=number,
        ref=CARD,
        part="card",
        url="https://hub.example/hazelmoor/brindle-3b",
        fetched_at=datetime(2031, 3, 1, tzinfo=UTC),
        sha256=archive.put(body),
        media_type="text/markdown",
        size=len(body),
    )


def read_all(extraction: Extraction, seconds: float = 60.0):
    found = {}
    deadline = time.monotonic() + seconds
    while extraction.is_busy:
        assert time.monotonic() < deadline
        found |= {item.snapshot_id: item for item in extraction.collect(0.1)}
        extraction.wait(0.1)
    return found


def children() -> list[multiprocessing.Process]:
    return multiprocessing.active_children()


def test_processes_find_what_is_found_here_and_are_gone_at_the_end(archive):
    snapshots = [stored(archive, number) for number in range(1, 9)]
    with Extraction(archive, processes=0) as here:
        for snapshot in snapshots:
            here.add(snapshot)
        expected = read_all(here)
    woken = []
    with Extraction(archive, lambda: woken.append(1), processes=1, worth=0) as apart:
        for snapshot in snapshots:
            apart.add(snapshot)
        found = read_all(apart)
        assert children()
    assert found == expected
    assert all(item.rows for item in found.values())
    assert len(woken) >= len(snapshots)
    assert children() == []


def test_a_body_that_is_gone_costs_that_document_alone(archive):
    lost, good = stored(archive, 1), stored(archive, 2)
    next(archive.path.rglob(f"{lost.sha256}*")).unlink()
    with Extraction(archive, processes=0) as extraction:
        extraction.add(lost)
        extraction.add(good)
        found = read_all(extraction)
    assert "StorageError" in found[1].error
    assert found[2].rows


def test_a_document_that_kills_its_reader_is_given_up_and_the_others_are_read(archive, monkeypatch):
    monkeypatch.setattr("crawler.extraction.read", read_or_die)
    snapshots = [stored(archive, number) for number in range(1, 5)]
    with Extraction(archive, processes=1, worth=0) as extraction:
        extraction.add(snapshots[0])
        found = read_all(extraction)
        assert f"lost {MOST_TRIES} times" in found[1].error
        for snapshot in snapshots[1:]:
            extraction.add(snapshot)
        found = read_all(extraction)
    assert all(found[number].rows for number in (2, 3, 4))


def server() -> int | None:
    """The process that others are forked from."""
    return forkserver._forkserver._forkserver_pid


def test_what_reads_can_be_begun_early_and_is_gone_at_the_end(archive, monkeypatch):
    monkeypatch.setattr("crawler.extraction.usual_processes", lambda: 1)
    with begun_early(True):
        early = server()
        assert early is not None
        assert is_alive(early)
        with Extraction(archive, processes=1, worth=0) as extraction:
            extraction.add(stored(archive, 1))
            assert read_all(extraction)[1].rows
            assert server() == early
    assert server() is None
    assert not is_alive(early)


@pytest.mark.parametrize(("is_much_new", "processes"), [(False, 2), (True, 0)])
def test_nothing_is_begun_early_where_nothing_will_be_read_apart(monkeypatch, is_much_new, processes):
    monkeypatch.setattr("crawler.extraction.usual_processes", lambda: processes)
    with begun_early(is_much_new):
        assert server() is None


def test_what_was_begun_early_is_gone_where_nothing_came_to_be_read(monkeypatch):
    monkeypatch.setattr("crawler.extraction.usual_processes", lambda: 1)
    early = []

    def break_off():
        early.append(server())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), begun_early(True):
        break_off()
    assert server() is None
    assert not is_alive(early[0])


def test_a_reader_ends_with_the_process_that_started_it(tmp_path):
    program = """
import sys, time
from crawler.extraction import _start
from crawler.extraction_worker import begin

if __name__ == "__main__":
    pool = _start(1)
    pool.submit(int).result()
    print(*pool._processes, flush=True)
    time.sleep(60)
"""
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        reader = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while is_alive(reader) and "Z" not in Path(f"/proc/{reader}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_or_die(archive, snapshot_id, bare):
    from crawler.extraction_worker import read

    if snapshot_id == 1:
        os._exit(9)
    return read(archive, snapshot_id, bare)


def test_whoever_is_interrupted_leaves_no_process_behind(archive):
    extraction = Extraction(archive, processes=1, worth=0)
    for number in range(1, 30):
        extraction.add(stored(archive, number))
    extraction.collect(0)
    extraction.wait(30)
    assert children()
    began = time.monotonic()
    extraction.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert time.monotonic() - began < 2
    assert children() == []


def test_whoever_is_interrupted_while_processes_are_being_started_does_not_wait_for_them(archive):
    extraction = Extraction(archive, processes=2)
    extraction.prepare()
    time.sleep(0.2)
    began = time.monotonic()
    extraction.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert time.monotonic() - began < 2
    assert children() == []
