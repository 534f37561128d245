"""A run that is cut off loses nothing, leaves nothing behind, and is gone on with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from sandbox import SEEDS

SLOW = r"^/hf/.*larkspur|^/web/https/larkspur"


def children_of(pid: int) -> set[int]:
    """The processes that a process has started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def visited(desk, run=1) -> set[tuple[str, str]]:
    """Kind and name of the artifacts of which the run has stored a visit."""
    return set(
        desk.rows(
            "SELECT DISTINCT a.kind, a.identifier FROM artifacts a"
            " JOIN parts p ON p.artifact_id = a.id JOIN visits v ON v.part_id = p.id WHERE v.run_id = ?",
            run,
        )
    )


def without_times(rows):
    """Rows of exported proposals without the moments at which documents were read."""
    return [{**row, "evidence": re.sub(r'"fetched_at": "[^"]*"', "", row["evidence"])} for row in rows]


@pytest.fixture
def set_out(sandbox, started, wait_for):
    """Starts a night that stores some visits and then waits for services that hang."""

    def start(desk, run, *options):
        sandbox.fault(SLOW, "hang", seconds=60)
        scratch = desk.folder / "scratch"
        scratch.mkdir()
        process = started(desk.with_env(TMPDIR=str(scratch)), "nightly", "--json", *options)

        def has_stored_some():
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(sqlite3.OperationalError):  # The schema is being made.
                return desk.database.exists() and len(visited(desk, run)) >= 3
            return False

        wait_for(has_stored_some, 40)
        return process

    return start


class TestKilled:
    def test_the_run_is_gone_on_with_and_ends_as_if_nothing_had_been(
        self, few, set_out, sandbox, first_night, wait_for, table
    ):
        slugs = ("trellis", "sorrel-chat", "monkshood-chat")
        desk = few.with_env(OPENNESS_PAGES_PER_PROJECT=None)
        entries = [entry for entry in yaml.safe_load(SEEDS.read_text("utf-8")) if entry["slug"] in slugs]
        (desk.folder / "seeds.yaml").write_text(json.dumps(entries), encoding="utf-8")
        process = set_out(desk, 1)
        workers = children_of(process.pid)
        assert workers
        process.send_signal(signal.SIGKILL)
        process.wait()
        # The worker process notices by itself that nobody listens any more.
        wait_for(lambda: not any(is_running(pid) for pid in workers), 15)
        before = visited(desk)
        sandbox.clear_faults()
        sandbox.clear_log()

        done = desk.run("crawl", "--resume", "--json")

        assert "going on with" in done.err
        assert done.json["kind"] == "nightly"
        asked = " ".join(entry.path for entry in sandbox.requests) + " "
        for kind, name in before:
            if kind == "web":
                assert f"/{name.replace('://', '/')} " not in asked
            elif kind in ("hf_model", "hf_dataset"):
                assert f"/{name} " not in asked
                assert f"/{name}/" not in asked
        # No part of any artifact was visited twice in the run.
        assert desk.rows("SELECT part_id FROM visits GROUP BY run_id, part_id HAVING count(*) > 1") == []
        assert desk.count("runs") == 1
        assert (desk.last_run().status.value, desk.last_run().exit_code) == ("done", 0)
        usual = [row for row in table(first_night.export("proposals")) if row["slug"] in slugs]
        assert without_times(table(desk.export("proposals"))) == without_times(usual)
        desk.run("db", "check")

    def test_the_next_night_is_the_same_night_gone_on_with(self, small, sandbox, started, wait_for):
        sandbox.fault("^/hf/", "hang", seconds=60)
        process = started(small, "nightly")
        wait_for(lambda: small.count("runs") == 2 and visited(small, 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = visited(small, 2)
        sandbox.clear_faults()
        done = small.run("nightly", "--json")
        assert "going on with the nightly run 2" in done.err
        assert done.json["run"] == 2
        assert done.json["artifacts"] == len(visited(small, 2)) > len(before)
        assert small.rows("SELECT part_id FROM visits GROUP BY run_id, part_id HAVING count(*) > 1") == []
        statuses = small.rows("SELECT status FROM runs ORDER BY id")
        assert [status for (status,) in statuses] == ["done", "done"]

    def test_a_night_cut_off_a_day_ago_is_past(self, small, sandbox, started, wait_for):
        sandbox.fault("^/hf/", "hang", seconds=60)
        process = started(small, "nightly")
        wait_for(lambda: small.count("runs") == 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sandbox.clear_faults()
        with contextlib.closing(sqlite3.connect(small.database)) as connection, connection:
            connection.execute("UPDATE runs SET started_at = datetime(started_at, '-23 hours') || '.000000'")
        assert small.nightly()["run"] == 3
        statuses = small.rows("SELECT status FROM runs ORDER BY id")
        assert [status for (status,) in statuses] == ["done", "interrupted", "done"]


KILLED_BEFORE_COMMIT = """
import os, signal, time
import crawler.gather

def die(session, run_id, visits):
    # What was put is waited for: a kill strikes while the rows of some artifacts are not there yet.
    if any(kept.sha256 for kept in visits):
        os.kill(os.getpid(), signal.SIGKILL)
    return save_visits(session, run_id, visits)

save_visits = crawler.gather.save_visits
crawler.gather.save_visits = die

from crawler.cli import main

main()
"""


def disk_with_room(desk, most):
    """A limit on the size of files stands for the disk: the log of the database meets it in the midst of a transaction.

    In a night of two projects it comes to some 600 kB, and to less where more is stored together.
    """
    desk.run("db", "upgrade")
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


HELD_BEFORE_COMMIT = KILLED_BEFORE_COMMIT.replace("os.kill(", "time.sleep(60) or (")


def bodies(desk) -> set[str]:
    """The digests of all bodies in the archive."""
    return {path.name.removesuffix(".gz") for path in desk.archive.glob("??/??/*.gz")}


def named(desk) -> set[str]:
    """The digests that snapshots name."""
    return {sha256 for (sha256,) in desk.rows("SELECT sha256 FROM snapshots")}


class TestBytesBeforeRows:
    def killed_before_commit(self, desk):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_BEFORE_COMMIT, "nightly"],
            env=desk.environment(),
            cwd=desk.folder,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    def test_what_a_killed_run_has_put_in_vain_is_gone_after_the_next(self, few, sandbox):
        self.killed_before_commit(few)
        in_vain = bodies(few)
        assert in_vain
        assert named(few) == set()
        # What was put in vain has another content tonight, so that nothing but the clearing away can help.
        sandbox.set_night(2)
        done = few.run("nightly", "--json")
        assert "in vain" in done.err
        assert bodies(few) == named(few)
        # What was being written when it was killed goes after a while, what marks bodies goes now.
        assert list((few.archive / "tmp" / "put").rglob("*~*")) == []
        few.run("archive", "verify")

    def test_folders_for_handing_over_go_with_the_next_night(self, few, set_out, sandbox, monkeypatch):
        slugs = ("trellis", "sorrel-chat", "monkshood-chat")
        entries = [entry for entry in yaml.safe_load(SEEDS.read_text("utf-8")) if entry["slug"] in slugs]
        (few.folder / "seeds.yaml").write_text(json.dumps(entries), encoding="utf-8")
        process = set_out(few.with_env(OPENNESS_PAGES_PER_PROJECT=None), 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sandbox.clear_faults()
        scratch = few.folder / "scratch"
        assert list(scratch.iterdir())
        then = time.time() - 3600
        for path in scratch.iterdir():
            os.utime(path, (then, then))
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        few.run("nightly", code=None)
        assert list(scratch.iterdir()) == []

    def test_a_night_that_is_killed_anew_leaves_no_more_than_the_last_one(self, few):
        for _ in range(2):
            self.killed_before_commit(few)
        few.nightly()
        assert bodies(few) == named(few)

    def test_a_full_disk_leaves_nothing_either(self, few, started):
        process = started(few, "nightly", preexec_fn=disk_with_room(few, 200_000))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1, err
        few.nightly()
        assert bodies(few) == named(few)

    def test_nobody_takes_anything_from_a_run_under_way(self, small, sandbox, wait_for, tmp_path):
        """Neither a night that the lock refuses, nor one of a copy of the database with the same archive."""
        copied = small.copy(tmp_path / "copied").with_env(OPENNESS_ARCHIVE=str(small.archive))
        sandbox.set_night(2)
        process = subprocess.Popen(
            [sys.executable, "-c", HELD_BEFORE_COMMIT, "nightly", "--full"],
            env=small.environment(),
            cwd=small.folder,
            stderr=subprocess.DEVNULL,
        )
        try:
            # Its mark comes before the body: that one stands says nothing of the other yet.
            wait_for(lambda: bodies(small) - named(small), 40)
            uncommitted = bodies(small) - named(small)
            assert list((small.archive / "tmp" / "put").iterdir())
            small.run("nightly", code=2)
            copied.run("nightly", "--full")
            assert process.poll() is None
            assert uncommitted <= bodies(small)
        finally:
            process.kill()
            process.wait()
        shared = uncommitted & named(copied)
        assert shared
        small.nightly()
        # What the copy has come to rest on stays, too, though it was put in vain here.
        assert bodies(small) == named(small) | named(copied)
        for desk in (small, copied):
            desk.run("archive", "verify", "--quick")


class TestStopped:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_it_ends_at_once_says_how_to_go_on_and_leaves_nothing_running(
        self, number, code, night, set_out, wait_for
    ):
        process = set_out(night, 2, "--full")
        workers = children_of(process.pid)
        assert workers
        self.refuses_others_and_lets_decide(night, process)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        # Two seconds on a machine with nothing else to do.
        assert time.monotonic() - began < 12
        assert process.returncode == code
        assert "openness crawl --resume" in err
        assert "Traceback" not in err
        assert "ERROR" not in err
        assert out == ""
        wait_for(lambda: not any(is_running(pid) for pid in workers), 5)
        assert list((night.folder / "scratch").iterdir()) == []
        run = night.last_run()
        assert run.status.value == "interrupted"
        assert run.report["artifacts"] == len(visited(night, 2))
        assert "interrupted" in night.run("status").out
        assert night.count("decisions") == 1

    def refuses_others_and_lets_decide(self, desk, process):
        """While a run is under way a second one ends at once; looking and deciding go on."""
        for command in (["nightly"], ["crawl", "--resume"], ["rate"]):
            began = time.monotonic()
            done = desk.run(*command, code=2)
            assert time.monotonic() - began < 3
            assert f"process {process.pid}" in done.err
            assert done.out == ""
        assert desk.count("runs") == 2
        assert desk.run("status", "--json").json["last_run"]["status"] == "running"
        cell, question = next(iter(desk.questions("--limit", "1").items()))
        desk.run("proposals", "accept", str(question["id"]))
        assert cell not in desk.questions()
        assert process.poll() is None


def test_a_full_disk_ends_the_run_with_what_is_whole_and_the_next_one_goes_on(few, started):
    process = started(few, "nightly", "--json", preexec_fn=disk_with_room(few, 200_000))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "the database failed" in err
    assert "the next `openness nightly` goes on" in err
    assert "Traceback" not in err
    few.run("db", "check")
    halves = few.rows(
        "SELECT count(*) FROM snapshots WHERE id NOT IN (SELECT snapshot_id FROM visits WHERE snapshot_id IS NOT NULL)"
    )
    assert halves == [(0,)]
    done = few.run("nightly", "--json")
    assert "going on with the nightly run 1" in done.err
    assert (done.json["run"], done.json["projects"]) == (1, 2)
    few.run("db", "check")


def test_a_lock_left_behind_by_a_process_that_is_gone_holds_nobody(small):
    note = Path(f"{small.database}-lock.json")
    note.write_text('{"pid": 999999, "host": "elsewhere", "since": "2024-01-01"}')
    Path(f"{small.database}-lock").touch()
    small.nightly()


def test_nothing_to_resume_is_said_and_a_new_run_begins(small):
    done = small.run("crawl", "--resume", "--json")
    assert "no run was cut off" in done.err
    assert done.json["run"] == 2
