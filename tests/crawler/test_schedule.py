"""When nights are due, and what a scheduler does that sleeps, wakes, is overtaken, or is told to end."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import apscheduler.executors.base
import apscheduler.schedulers.base
import pytest
from click.testing import CliRunner

import crawler.scheduler
from crawler.cli import cli
from crawler.health import ALIVE_SECONDS, Night, check_health, write_health
from crawler.schedule import EXAMPLE, CronTimes, missed_night, parse_zone
from crawler.scheduler import Plan, Scheduler, night_command
from db.models import RunStatus
from db.values import StoredRun
from pipelines.errors import UsageError

LISBON, BERLIN = ZoneInfo("Europe/Lisbon"), ZoneInfo("Europe/Berlin")


def moment(text: str, zone=UTC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def on_the_wall(expression: str, zone, start: str, count: int) -> list[str]:
    """The next times as a clock on the wall shows them, with the offset that it had."""
    times, at, found = CronTimes(expression, zone), moment(start, zone), []
    for _ in range(count):
        at = times.next_after(at)
        found.append(at.astimezone(zone).isoformat(sep=" ", timespec="minutes"))
    return found


class TestTimes:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("17 2 * * *", ["2031-03-01 02:17", "2031-03-02 02:17"]),
            ("*/20 1 * * *", ["2031-03-01 01:00", "2031-03-01 01:20", "2031-03-01 01:40", "2031-03-02 01:00"]),
            ("5,35 0-23/12 * * *", ["2031-03-01 00:05", "2031-03-01 00:35", "2031-03-01 12:05"]),
            # The first of March 2031 is a Saturday.
            ("0 3 * * 0", ["2031-03-02 03:00", "2031-03-09 03:00"]),
            ("0 3 * * 7", ["2031-03-02 03:00", "2031-03-09 03:00"]),
            ("0 3 * * sun", ["2031-03-02 03:00"]),
            ("0 3 * * 1", ["2031-03-03 03:00"]),
            ("0 3 * * 5-7", ["2031-03-01 03:00", "2031-03-02 03:00", "2031-03-07 03:00"]),
            ("0 3 * * SAT-SUN", ["2031-03-01 03:00", "2031-03-02 03:00", "2031-03-08 03:00"]),
            ("0 3 * * */2", ["2031-03-01 03:00", "2031-03-02 03:00", "2031-03-04 03:00"]),
            ("0 3 31 * *", ["2031-03-31 03:00", "2031-05-31 03:00"]),
            ("0 3 1 jan,jul *", ["2031-07-01 03:00", "2032-01-01 03:00"]),
            ("0 0 29 2 *", ["2032-02-29 00:00", "2036-02-29 00:00"]),
            # As cron has it: the thirteenth, and every Friday.
            ("0 3 13 * fri", ["2031-03-07 03:00", "2031-03-13 03:00", "2031-03-14 03:00"]),
            ("@daily", ["2031-03-01 00:00"]),
            ("@weekly", ["2031-03-02 00:00"]),
            ("@monthly", ["2031-03-01 00:00"]),
            ("@yearly", ["2032-01-01 00:00"]),
        ],
    )  # fmt: skip
    def test_they_are_those_that_cron_would_take(self, expression, expected):
        found = on_the_wall(expression, UTC, "2031-02-28T23:59:59", len(expected))
        assert [text.removesuffix("+00:00") for text in found] == expected

    @pytest.mark.parametrize(
        ("expression", "told"),
        [
            ("", "0 fields"),
            ("17 2 * *", "4 fields, not five"),
            ("0 17 2 * * *", "6 fields, not five"),
            ("60 2 * * *", "minute 60 is not between 0 and 59"),
            ("17 24 * * *", "hour 24"),
            ("17 2 0 * *", "day 0"),
            ("17 2 * 13 *", "month 13"),
            ("17 2 * * 8", "weekday 8"),
            ("17 2 * * mond", "no weekday"),
            ("17 2 * * mon#2", "no weekday"),
            ("17 2 * mon *", "'mon' is no month"),
            ("x 2 * * *", "no minute"),
            ("-5 2 * * *", "no minute"),
            ("1,,2 2 * * *", "no minute"),
            ("17 5-2 * * *", "runs backwards"),
            ("*/0 2 * * *", "leads nowhere"),
            ("5/15 2 * * *", "leads nowhere"),
            ("17 2 30 2 *", "there is no such day"),
            ("@reboot", "--at-start"),
            ("@often", "1 fields"),
            ("٣ 2 * * *", "no minute"),
            ("17 2 * * *; reboot", "6 fields"),
        ],
    )
    def test_what_is_no_schedule_is_refused_with_an_example(self, expression, told):
        with pytest.raises(UsageError) as caught:
            CronTimes(expression, UTC)
        assert told in str(caught.value)
        assert EXAMPLE in str(caught.value)

    def test_an_unknown_zone_is_refused(self):
        for name in ("Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "\x00"):
            with pytest.raises(UsageError, match="no time zone"):
                parse_zone(name)

    def test_without_a_name_the_zone_is_the_machines(self, monkeypatch):
        monkeypatch.setenv("TZ", "Europe/Lisbon")
        assert str(parse_zone("")) == "Europe/Lisbon"

    def test_jitter_is_never_early_and_never_more_than_asked_for(self):
        times, now = CronTimes("17 2 * * *", UTC, jitter=600), moment("2031-03-01T00:00")
        found = [times.get_next_fire_time(None, now) for _ in range(200)]
        assert min(found) >= moment("2031-03-01T02:17")
        assert max(found) <= moment("2031-03-01T02:27")
        assert len(set(found)) > 100

    def test_a_night_that_began_late_by_jitter_does_not_come_twice(self):
        times = CronTimes("17 2 * * *", UTC, jitter=600)
        late = moment("2031-03-01T02:26")
        assert times.get_next_fire_time(late, late) >= moment("2031-03-02T02:17")


class TestChangeOfClocks:
    def test_a_time_that_is_skipped_comes_once_an_hour_later(self):
        assert on_the_wall("30 2 * * *", BERLIN, "2026-03-28T12:00", 3) == [
            "2026-03-29 03:30+02:00",
            "2026-03-30 02:30+02:00",
            "2026-03-31 02:30+02:00",
        ]

    def test_also_when_the_scheduler_begins_between_the_change_and_the_time(self):
        assert on_the_wall("30 2 * * *", BERLIN, "2026-03-29T03:10", 1) == ["2026-03-29 03:30+02:00"]

    def test_a_time_that_comes_twice_is_taken_once(self):
        assert on_the_wall("30 2 * * *", BERLIN, "2026-10-24T12:00", 3) == [
            "2026-10-25 02:30+02:00",
            "2026-10-26 02:30+01:00",
            "2026-10-27 02:30+01:00",
        ]

    def test_also_when_the_scheduler_begins_within_the_hour_that_comes_twice(self):
        second = moment("2026-10-25T02:10", BERLIN).replace(fold=1)
        found = CronTimes("30 2 * * *", BERLIN).next_after(second)
        assert found.astimezone(BERLIN).isoformat(timespec="minutes") == "2026-10-26T02:30+01:00"

    @pytest.mark.parametrize(
        "zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"]
    )
    @pytest.mark.parametrize(
        "expression", ["0 0 * * *", "15 2 * * *", "30 2 * * *", "30 1 * * *", "0 3 * * *"]
    )
    def test_a_year_has_as_many_nights_as_days(self, zone, expression):
        times, at = CronTimes(expression, ZoneInfo(zone)), moment("2026-01-01T12:00")
        found = list(
            itertools.takewhile(lambda found: found < moment("2027-01-01T12:00"), self.all_after(times, at))
        )
        assert len(found) == 365
        assert len({found_at.astimezone(times.zone).date() for found_at in found}) == 365

    def all_after(self, times, at):
        while True:
            at = times.next_after(at)
            yield at


def night(number: int, started: str, status: RunStatus = RunStatus.DONE) -> StoredRun:
    return StoredRun(
        id=number, kind="nightly", started_at=moment(started), ended_at=None, status=status, exit_code=None,
        pid=1, host="larch", report={},
    )  # fmt: skip


class TestCatchingUp:
    TIMES = CronTimes("17 2 * * *", UTC)
    NOW = moment("2031-03-02T09:00")

    def missed(self, *nights: StoredRun) -> datetime | None:
        return missed_night(nights, self.TIMES, self.NOW)

    def test_before_the_first_night_nothing_was_missed(self):
        assert self.missed() is None

    def test_after_the_night_of_today_nothing_was_missed(self):
        assert self.missed(night(2, "2031-03-02T02:17:01"), night(1, "2031-03-01T02:17:01")) is None

    def test_the_night_of_today_was_missed(self):
        assert self.missed(night(1, "2031-03-01T02:17:01")) == moment("2031-03-02T02:17")

    def test_many_missed_nights_are_one(self):
        assert self.missed(night(1, "2031-01-01T02:17:01")) == moment("2031-01-02T02:17")

    @pytest.mark.parametrize("status", [RunStatus.INTERRUPTED, RunStatus.RUNNING])
    def test_a_night_that_was_cut_off_was_missed(self, status):
        assert self.missed(night(2, "2031-03-02T02:17:01", status), night(1, "2031-03-01T02:17:01"))
        assert self.missed(night(1, "2031-03-02T02:17:01", status))

    def test_what_is_cut_off_again_and_again_waits_for_its_time(self):
        cut_off = [night(number, f"2031-03-02T08:0{number}", RunStatus.INTERRUPTED) for number in (4, 3, 2)]
        assert self.missed(*cut_off, night(1, "2031-03-01T02:17:01")) is None
        assert self.missed(*cut_off[1:], night(1, "2031-03-01T02:17:01"))

    def test_a_night_begun_by_hand_is_one(self):
        assert missed_night([night(1, "2031-03-02T02:20")], self.TIMES, self.NOW) is None


class TestHealth:
    NOW = moment("2031-03-02T09:00")

    def write(self, path: Path, last: Night | None, age: float = 0) -> None:
        write_health(
            path, alive=self.NOW - timedelta(seconds=age), schedule="x", upcoming=self.NOW, last=last
        )

    def test_a_scheduler_that_waits_for_its_first_night_is_well(self, tmp_path):
        self.write(tmp_path / "health", None)
        assert check_health(tmp_path / "health", self.NOW) == (
            True,
            "no night yet; the next one begins at 2031-03-02T09:00:00+00:00",
        )

    def test_a_night_that_runs_is_well(self, tmp_path):
        self.write(tmp_path / "health", Night(started=self.NOW))
        assert check_health(tmp_path / "health", self.NOW)[0]

    @pytest.mark.parametrize(
        ("code", "good", "told"),
        [
            (0, True, "done"),
            (3, True, "some visits failed"),
            (1, False, "internal error"),
            (2, False, "wrong configuration"),
            (4, False, "nothing could be gathered"),
            (-9, False, "killed by signal 9"),
            (77, False, "no exit code of ours"),
        ],
    )
    def test_how_the_last_night_ended_counts(self, tmp_path, code, good, told):
        self.write(tmp_path / "health", Night(started=self.NOW, ended=self.NOW, code=code))
        found, text = check_health(tmp_path / "health", self.NOW)
        assert found is good
        assert told in text

    def test_a_night_that_took_too_long_did_not_end_well(self, tmp_path):
        self.write(tmp_path / "health", Night(started=self.NOW, ended=self.NOW, code=0, problem="too long"))
        assert check_health(tmp_path / "health", self.NOW)[0] is False

    def test_one_that_gave_no_sign_of_life_is_not_well(self, tmp_path):
        self.write(tmp_path / "health", None, age=ALIVE_SECONDS + 1)
        assert "no sign of life for 61 s" in check_health(tmp_path / "health", self.NOW)[1]

    @pytest.mark.parametrize(
        "content", ["", "{}", "[]", "no", '{"alive": 3}', '{"alive": "x", "next": 1, "last": 2}']
    )
    def test_what_is_no_health_file_is_not_well(self, tmp_path, content):
        (tmp_path / "health").write_text(content)
        assert check_health(tmp_path / "health", self.NOW) == (
            False,
            f"{tmp_path / 'health'} is no health file",
        )

    def test_neither_is_none(self, tmp_path):
        assert "no scheduler is at work" in check_health(tmp_path / "health", self.NOW)[1]

    def test_the_command_says_so_with_its_code(self, tmp_path):
        path = str(tmp_path / "health")
        call = ["schedule", "--healthy", "--health-file", path]
        assert CliRunner().invoke(cli, call).exit_code == 1
        write_health(Path(path), alive=datetime.now(UTC), schedule="x", upcoming=None, last=None)
        done = CliRunner().invoke(cli, call)
        assert (done.exit_code, "no night yet" in done.output) == (0, True)


class Clock:
    """A wall clock that is set by hand, for us and for APScheduler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = now
        clock = self

        class Fake(datetime):
            @classmethod
            def now(cls, tz=None):
                return clock.now.astimezone(tz)

        monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Fake)
        monkeypatch.setattr(apscheduler.executors.base, "datetime", Fake)


class Kept:
    """A scheduler that is at work in a thread, on a clock set by hand; nights append a line to a file."""

    def __init__(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, body: str = "", **plan: object
    ) -> None:
        self.clock = Clock(monkeypatch, moment("2031-03-01T00:00"))
        monkeypatch.setattr(crawler.scheduler, "BEAT_SECONDS", 0.02)
        # Only the main thread may ask for signals; these tests send none.
        monkeypatch.setattr(signal, "signal", lambda number, handler: None)
        self.file = tmp_path / "nights"
        self.file.touch()
        self.health = tmp_path / "health"
        code = f"import sys, time; open({str(self.file)!r}, 'a').write('night\\n'); {body}"
        values: dict = {
            "times": CronTimes("17 2 * * *", UTC),
            "command": (sys.executable, "-S", "-c", code),
            "environment": dict(os.environ),
            "grace": 3600,
            "time_limit": 60,
            "stop_grace": 5.0,
            "health_file": self.health,
        }
        self.scheduler = Scheduler(Plan(**{**values, **plan}), lambda: self.clock.now)
        self.code: list[int] = []
        self.thread = threading.Thread(target=lambda: self.code.append(self.scheduler.run()))
        self.thread.start()

    def nights(self) -> int:
        return len(self.file.read_text().splitlines())

    def state(self) -> dict:
        return json.loads(self.health.read_text())

    def set(self, text: str) -> None:
        self.clock.now = moment(text)

    def wait(self, condition, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    def wait_for_nights(self, count: int) -> None:
        self.wait(lambda: self.nights() == count and (self.state()["last"] or {}).get("ended"))

    def end(self) -> None:
        self.scheduler._told.put(signal.SIGTERM)
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def kept(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    made: list[Kept] = []

    def keep(**options):
        one = Kept(tmp_path, monkeypatch, **options)
        made.append(one)
        one.wait(lambda: one.health.exists() and one.state()["next"])
        return one

    yield keep
    for one in made:
        one.end()


class TestKeeping:
    def test_a_night_begins_when_it_is_due_and_not_before(self, kept):
        one = kept()
        one.set("2031-03-01T02:16:59")
        time.sleep(0.1)
        assert one.nights() == 0
        one.set("2031-03-01T02:17:00")
        one.wait_for_nights(1)
        assert one.state()["last"]["code"] == 0
        one.wait(lambda: one.state()["next"] == "2031-03-02T02:17:00+00:00")

    def test_three_nights_that_were_slept_through_are_one_after_waking(self, kept):
        one = kept()
        one.set("2031-03-03T02:50")
        one.wait_for_nights(1)
        time.sleep(0.1)
        assert one.nights() == 1

    def test_one_that_comes_too_late_is_left_out_and_it_is_said(self, kept, caplog):
        one = kept()
        one.set("2031-03-01T05:00")
        one.wait(lambda: "is left out" in caplog.text)
        assert one.nights() == 0
        assert (
            "the night of 2031-03-01 02:17:00+00:00 is left out: its time is more than 1:00:00 ago"
            in caplog.text
        )

    def test_one_that_is_due_while_another_runs_is_left_out_and_it_is_said(self, kept, caplog, tmp_path):
        gate = tmp_path / "gate"
        body = f"import os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
        one = kept(body=body)
        one.set("2031-03-01T02:17")
        one.wait(lambda: one.nights() == 1)
        one.set("2031-03-02T02:17")
        one.wait(lambda: "the one before it still runs" in caplog.text)
        gate.touch()
        one.wait_for_nights(1)
        one.set("2031-03-03T02:17")
        one.wait_for_nights(2)

    @pytest.mark.parametrize(
        ("body", "code", "told"),
        [
            ("sys.exit(4)", 4, "nothing could be gathered"),
            ("import os; os.kill(os.getpid(), 9)", -9, "killed by signal 9"),
        ],
    )
    def test_a_night_that_crashes_ends_no_schedule(self, kept, caplog, body, code, told):
        one = kept(body=body)
        one.set("2031-03-01T02:17")
        one.wait_for_nights(1)
        assert (one.state()["last"]["code"], one.state()["last"]["meaning"]) == (code, told)
        assert f"ended with code {code}" in caplog.text
        one.set("2031-03-02T02:17")
        one.wait_for_nights(2)

    def test_a_night_that_cannot_be_started_ends_no_schedule(self, kept, caplog):
        one = kept(command=("no-such-program-anywhere",))
        one.set("2031-03-01T02:17")
        one.wait(lambda: one.state()["last"])
        assert "it could not be started" in one.state()["last"]["meaning"]
        one.wait(lambda: "it could not be started" in caplog.text)

    def test_a_night_that_takes_too_long_is_ended(self, kept):
        one = kept(body="time.sleep(60)", time_limit=1)
        one.set("2031-03-01T02:17")
        one.wait_for_nights(1)
        assert one.state()["last"]["code"] == -signal.SIGTERM
        assert "the longest that a night may take" in one.state()["last"]["problem"]

    def test_one_that_does_not_listen_is_killed(self, kept):
        body = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
        one = kept(body=body, time_limit=1, stop_grace=0.2)
        one.set("2031-03-01T02:17")
        one.wait_for_nights(1)
        assert one.state()["last"]["code"] == -signal.SIGKILL

    def test_a_second_signal_kills_a_night_that_takes_its_time(self, kept):
        body = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
        one = kept(body=body, stop_grace=60.0)
        one.set("2031-03-01T02:17")
        one.wait(lambda: one.nights() == 1)
        time.sleep(0.2)
        one.scheduler._told.put(signal.SIGTERM)
        began = time.monotonic()
        one.end()
        assert time.monotonic() - began < 10
        assert one.code == [143]

    def test_a_health_file_that_cannot_be_written_ends_nothing(self, kept, tmp_path, caplog):
        one = kept()
        one.wait(lambda: one.health.exists())
        one.health.unlink()
        one.health.mkdir()
        one.wait(lambda: "cannot be written" in caplog.text)
        one.set("2031-03-01T02:17")
        one.wait(lambda: "ended with code 0" in caplog.text)
        one.health.rmdir()
        one.wait(lambda: one.health.is_file())

    def test_at_the_end_the_health_file_is_gone(self, kept):
        one = kept()
        one.end()
        assert not one.health.exists()

    def test_once_ends_with_the_code_of_its_night(self, tmp_path, monkeypatch):
        for body, code in (("sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)):
            one = Kept(tmp_path, monkeypatch, body=body, at_once=True, once=True)
            one.thread.join(20)
            assert one.code == [code]


class TestCommand:
    def call(self, *arguments: str):
        return CliRunner().invoke(cli, ["schedule", *arguments], standalone_mode=False)

    def test_a_schedule_has_to_be_given(self):
        done = self.call()
        assert isinstance(done.exception, UsageError)
        assert EXAMPLE in str(done.exception)

    def test_the_next_times_can_be_looked_at(self):
        done = CliRunner().invoke(
            cli, ["schedule", "--cron", EXAMPLE, "--timezone", "Asia/Tokyo", "--next", "3"]
        )
        assert done.exit_code == 0
        assert [line[10:] for line in done.output.splitlines()] == [" 02:17:00+09:00"] * 3

    def test_a_night_is_begun_by_this_program(self):
        command = night_command(["--log-format", "json"], ["--full"])
        assert command == (sys.executable, "-P", "-m", "crawler", "--log-format", "json", "nightly", "--full")
