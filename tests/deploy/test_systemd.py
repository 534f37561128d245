"""The units: systemd understands them, calls what there is, and confines it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
MOST_EXPOSED = 1.5
"""Of 10, as `systemd-analyze security` counts; a unit without any confinement has 9.6."""


class Unit:
    """A unit file: a name in a section has as many values as lines."""

    def __init__(self, name: str) -> None:
        self.values: dict[tuple[str, str], list[str]] = {}
        section = ""
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                key, value = line.split("=", 1)
                self.values.setdefault((section, key), []).append(value)

    def one(self, section: str, key: str) -> str:
        (value,) = self.values[(section, key)]
        return value


SERVICE, TIMER, REVIEW = Unit("openness.service"), Unit("openness.timer"), Unit("openness-review.service")


def analyze(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that there is on this machine."""
    for path in FOLDER.glob("*.*"):
        text = path.read_text(encoding="utf-8").replace("/opt/openness/bin/openness", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/usr/bin/logger", sys.executable))
    return tmp_path


@pytest.mark.usefixtures("needs_systemd")
class TestTried:
    @pytest.mark.parametrize(
        "name", ["openness.service", "openness.timer", "openness-review.service", "openness-failed@x.service"]
    )
    def test_systemd_understands_every_line(self, units, name):
        done = analyze("verify", "--man=no", f"./{name}", cwd=units)
        # A machine may have units of its own that are wrong.
        assert [line for line in done.stderr.splitlines() if "openness" in line] == []

    def test_a_mistake_would_be_seen(self, units):
        path = units / "openness.service"
        path.write_text(path.read_text().replace("NoNewPrivileges=", "NoNewPriviliges="))
        assert "NoNewPriviliges" in analyze("verify", "--man=no", "./openness.service", cwd=units).stderr

    def test_the_calendar_is_one(self):
        done = analyze("calendar", TIMER.one("Timer", "OnCalendar"), "--iterations=2")
        assert done.returncode == 0
        assert len(re.findall(r"02:17:00", done.stdout)) >= 3

    @pytest.mark.parametrize("name", ["openness.service", "openness-review.service"])
    def test_it_is_well_confined(self, units, name):
        done = analyze("security", "--offline=true", f"./{name}", cwd=units)
        if "offline" in done.stderr:
            pytest.skip("this systemd cannot tell it offline")
        found = re.search(rf"Overall exposure level for {name}: ([\d.]+)", done.stdout)
        assert found, done.stderr
        assert float(found[1]) <= MOST_EXPOSED


class TestService:
    def test_it_calls_a_command_of_ours(self, assert_command):
        assert_command(SERVICE.one("Service", "ExecStart").split())

    def test_its_settings_are_settings(self, settings_names):
        names = {value.split("=")[0] for value in SERVICE.values[("Service", "Environment")]}
        assert names - {"HF_HOME"} <= settings_names

    def test_visits_that_failed_and_being_stopped_are_no_failure(self):
        assert SERVICE.one("Service", "SuccessExitStatus").split() == ["3", "143"]

    def test_it_ends_some_day_and_is_given_the_time_to_store(self):
        assert SERVICE.one("Service", "Type") == "oneshot"
        assert SERVICE.one("Service", "TimeoutStartSec") == "8h"
        assert SERVICE.one("Service", "TimeoutStopSec") == "20s"
        assert SERVICE.one("Service", "KillMode") == "mixed"

    def test_it_writes_its_own_folder_and_nothing_else(self):
        state = SERVICE.one("Service", "StateDirectory")
        assert SERVICE.one("Service", "ProtectSystem") == "strict"
        assert ("Service", "ReadWritePaths") not in SERVICE.values
        for value in SERVICE.values[("Service", "Environment")]:
            if value.startswith(("OPENNESS_DATABASE_URL", "OPENNESS_ARCHIVE")):
                assert f"/var/lib/{state}/" in value

    def test_its_memory_is_bounded(self):
        assert SERVICE.one("Service", "MemoryMax") == "2G"

    def test_somebody_is_told_when_it_fails(self):
        name = SERVICE.one("Unit", "OnFailure")
        assert (FOLDER / name.replace("%n", "")).exists()

    def test_its_account_is_made(self):
        account = SERVICE.one("Service", "User")
        assert f"\nu {account} - " in (FOLDER / "openness.sysusers.conf").read_text(encoding="utf-8")

    def test_a_missed_night_is_made_up_for_and_not_all_begin_at_once(self):
        assert TIMER.one("Timer", "Persistent") == "yes"
        assert TIMER.one("Timer", "RandomizedDelaySec") == "20min"


class TestReview:
    def test_it_calls_a_command_of_ours(self, assert_command):
        assert_command(REVIEW.one("Service", "ExecStart").split())

    def test_it_listens_for_this_machine_only(self):
        assert "--host 127.0.0.1" in REVIEW.one("Service", "ExecStart")

    def test_it_works_in_the_folder_of_the_nights_with_their_confinement(self):
        own = {"Type", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec"}
        nightly = {"SuccessExitStatus", "TimeoutStartSec", "Nice", "IOSchedulingClass"}
        for (section, key), values in SERVICE.values.items():
            if section == "Service" and key not in own | nightly:
                assert REVIEW.values[section, key] == values, key

    def test_it_begins_with_the_machine_and_again_when_it_fails(self):
        assert REVIEW.one("Install", "WantedBy") == "multi-user.target"
        assert REVIEW.one("Service", "Restart") == "on-failure"
