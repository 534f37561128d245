"""The scheduler with real nights: one at the start, one that is cut off, one that a restart makes up for."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta

CRON = ("schedule", "--cron", "17 2 * * *", "--timezone", "UTC")


def test_one_night_at_the_start_with_the_options_handed_on(few):
    done = few.run_apart(*CRON, "--at-start", "--once", "--", "--json", "--full")
    assert done.code == 0, done.err
    assert done.json["kind"] == "nightly"
    assert "a night begins" in done.err
    assert "the night ended with code 0" in done.err
    assert few.last_run().exit_code == 0


def test_settings_of_the_command_line_reach_the_night_and_its_code_comes_back(few, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "other.db"
    desk = few.with_env(OPENNESS_SCHEDULE="17 2 * * *", OPENNESS_SEEDS=str(tmp_path / "none.yaml"))
    done = desk.run_apart(
        "--database", f"sqlite:///{elsewhere}", "--log-format", "json", "schedule", "--at-start", "--once"
    )
    assert done.code == 2
    assert elsewhere.exists()
    assert not few.database.exists()
    entries = [json.loads(line) for line in done.err.splitlines()]
    assert any("none.yaml does not exist" in entry["message"] for entry in entries)
    assert "the night ended with code 2" in entries[-1]["message"]


def test_an_option_that_no_night_knows_is_refused_at_once(few):
    done = few.run_apart(*CRON, "--", "--jsno")
    assert done.code == 2
    assert "No such option '--jsno'" in done.err
    assert "no schedule is kept" in done.err


def test_a_signal_lets_the_night_store_what_it_has_and_ends_both(small, sandbox, started, wait_for):
    sandbox.fault("^/hf/", "hang", seconds=60)
    health = small.folder / "health.json"
    process = started(small, *CRON, "--at-start", "--health-file", str(health))
    wait_for(lambda: small.count("runs") == 2, 40)
    wait_for(lambda: any("/hf/" in entry.path for entry in sandbox.requests), 40)
    pid = small.rows("SELECT pid FROM runs WHERE id = 2")[0][0]
    assert pid != process.pid
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 8
    assert process.returncode == 143, err
    assert "the night ended with code 143" in err
    assert "Traceback" not in err
    run = small.last_run()
    assert (run.id, run.status.value) == (2, "interrupted")
    assert not health.exists()


def test_a_restart_after_a_missed_night_makes_up_for_it_and_one_after_a_done_night_waits(
    small, started, wait_for
):
    # The next full minute that lies an hour ahead is never due now.
    ahead = datetime.now(UTC) + timedelta(hours=1)
    cron = ("schedule", "--cron", f"{ahead.minute} {ahead.hour} * * *", "--timezone", "UTC", "--catch-up")
    waiting = started(small, *cron, "--health-file", str(small.folder / "health"))
    wait_for(lambda: (small.folder / "health").exists(), 40)
    waiting.send_signal(signal.SIGTERM)
    assert "the first night begins at" in waiting.communicate(timeout=20)[1]
    assert small.count("runs") == 1
    with contextlib.closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute("UPDATE runs SET started_at = datetime(started_at, '-2 days')")
    done = small.run_apart(*cron, "--once")
    assert done.code == 0, done.err
    assert "was missed: it is made up for now" in done.err
    assert small.count("runs") == 2
