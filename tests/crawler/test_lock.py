"""One run at a time, and whoever is turned away learns who holds the database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.lock import run_lock
from db.session import make_engine
from pipelines.errors import LockHeldError, UsageError

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from crawler.lock import run_lock
with run_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'openness.db'}"


def hold(url: str) -> subprocess.Popen[str]:
    """A process that holds the lock until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_the_second_is_told_who_holds_the_lock(url):
    process = hold(url)
    try:
        with pytest.raises(LockHeldError) as caught, run_lock(url):
            pass
        assert caught.value.exit_code == 2
        assert f"process {process.pid} on {socket.gethostname()} since 20" in str(caught.value)
    finally:
        end(process)


def test_the_lock_is_free_after_its_holder_is_done_or_killed(url, tmp_path):
    for ending in ("done", "killed"):
        process = hold(url)
        if ending == "killed":
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        with run_lock(url):
            pass
    assert not (tmp_path / "openness.db-lock.json").exists()


def test_the_same_process_cannot_run_twice_at_once(url):
    with run_lock(url), pytest.raises(LockHeldError, match=f"process {os.getpid()} "), run_lock(url):
        pass
    with run_lock(url):
        pass


def test_an_exception_frees_the_lock(url):
    def fail() -> None:
        with run_lock(url):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with run_lock(url):
        pass


def test_two_names_of_one_file_are_one_database(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = make_engine("sqlite:///openness.db")
    with run_lock(engine), pytest.raises(LockHeldError), run_lock(url):
        pass
    engine.dispose()


def test_databases_do_not_stand_in_each_others_way(url, tmp_path):
    with run_lock(url), run_lock(f"sqlite:///{tmp_path / 'other.db'}"):
        pass


def test_without_the_note_the_lock_still_holds(url, tmp_path):
    with run_lock(url):
        for content in (None, "", "{}", '{"pid": "x"}', "[1]"):
            note = tmp_path / "openness.db-lock.json"
            note.unlink() if content is None else note.write_text(content)
            with pytest.raises(LockHeldError, match="another process"), run_lock(url):
                pass


def test_a_database_in_memory_needs_no_lock():
    with run_lock("sqlite://"), run_lock("sqlite://"):
        pass


def test_other_databases_are_refused():
    with pytest.raises(UsageError), run_lock("mysql://host/db"):
        pass
