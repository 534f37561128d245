"""The run lock on a real database of each kind."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.lock import run_lock
from pipelines.errors import LockHeldError, StorageError

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from crawler.lock import run_lock
with run_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_held_database_is_refused_until_its_holder_dies(engine, url):
    command = [sys.executable, "-c", HOLDER, url]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        expected = f"process {process.pid} on {socket.gethostname()[:20]}"
        with pytest.raises(LockHeldError, match=expected), run_lock(engine):
            pass
    finally:
        process.kill()
        process.communicate()
    _wait_until_free(engine)
    with run_lock(engine), pytest.raises(LockHeldError), run_lock(url):
        pass


def _wait_until_free(engine) -> None:
    """A server notices a moment later that its client is gone."""
    for _ in range(200):
        try:
            with run_lock(engine):
                return
        except LockHeldError:
            subprocess.run(["sleep", "0.05"], check=True)


def test_a_server_that_is_not_there_is_a_storage_error():
    with pytest.raises(StorageError), run_lock("postgresql://127.0.0.1:1/none"):
        pass
