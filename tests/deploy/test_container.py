"""The image and the compose file: what they name is there, and nothing runs with more than it needs."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from crawler.schedule import CronTimes, parse_zone

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTION = re.compile(r"^([A-Z]+) (.*)$")
VARIABLE = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined, comments left out."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    found = [INSTRUCTION.match(line) for line in text.splitlines() if line.strip()]
    assert all(found)
    return [(match[1], match[2].strip()) for match in found if match]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def only(name: str) -> str:
    values = [value for found, value in last_stage() if found == name]
    assert len(values) == 1, f"{name} is there {len(values)} times"
    return values[0]


def image_environment() -> dict[str, str]:
    pairs = shlex.split(" ".join(value for name, value in last_stage() if name == "ENV"))
    return dict(pair.split("=", 1) for pair in pairs)


class TestImage:
    def test_everything_that_is_copied_is_there_and_not_ignored(self):
        kept = [
            line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
        ]
        for name, value in instructions():
            words = value.split()
            if name != "COPY" or words[0].startswith("--from"):
                continue
            for source in words[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), f"{source} is ignored"

    def test_every_package_of_ours_is_built_into_it(self):
        copied = {value.split()[0] for name, value in instructions() if name == "COPY"}
        packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "review"}
        assert packages <= copied

    def test_it_does_not_run_as_root(self):
        user = only("USER")
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
        created = " ".join(value for name, value in last_stage() if name == "RUN")
        assert f"--uid {user.split(':')[0]} " in created
        assert f"--gid {user.split(':')[1]} " in created

    def test_its_command_is_one_of_ours_begun_by_an_init(self, assert_command):
        entry, command = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))
        assert entry == ["tini", "--", "openness"]
        assert_command(["openness", *command])
        assert "schedule" in command

    def test_it_looks_after_its_health(self, assert_command):
        options, _, command = only("HEALTHCHECK").partition(" CMD ")
        assert "--interval=" in options
        words = json.loads(command)
        assert_command(words)
        assert words[-1] == image_environment()["OPENNESS_HEALTH_FILE"]

    def test_its_settings_are_settings(self, settings_names):
        names = {name for name in image_environment() if name.startswith("OPENNESS_")}
        assert names <= settings_names

    def test_its_schedule_is_one(self):
        assert CronTimes(image_environment()["OPENNESS_SCHEDULE"], parse_zone("UTC"))

    def test_what_it_writes_lies_in_its_volume(self):
        environment = image_environment()
        assert only("VOLUME") == "/data"
        assert environment["OPENNESS_DATABASE_URL"] == "sqlite:////data/openness.db"
        assert environment["OPENNESS_ARCHIVE"].startswith("/data/")

    def test_hadolint_has_nothing_against_it(self):
        program = shutil.which("hadolint")
        if program is None:
            pytest.skip("hadolint is not installed")
        # Versions of Debian's packages are not pinned: old ones are no longer to be had.
        done = subprocess.run(
            [program, "--ignore", "DL3008", str(ROOT / "Dockerfile")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = [name for name, service in COMPOSE["services"].items() if service.get("image") == "openness-crawler"]


class TestCompose:
    def test_it_fulfils_the_schema(self, assert_schema):
        assert_schema(ROOT / "compose.yaml", "vendor.compose-spec")

    def test_only_the_scheduler_is_begun_when_nothing_is_chosen(self):
        assert [name for name, service in COMPOSE["services"].items() if "profiles" not in service] == [
            "schedule"
        ]
        assert OURS == ["schedule", "nightly", "review"]

    @pytest.mark.parametrize("name", OURS)
    def test_its_commands_are_ours(self, name, assert_command):
        assert_command(["openness", *COMPOSE["services"][name]["command"]])

    @pytest.mark.parametrize("name", OURS)
    def test_nothing_has_more_than_it_needs(self, name):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"mem_limit", "pids_limit"} <= set(service)
        # Nothing listens but the desk, and that for this machine only.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert ("ports" in service) is (name == "review")

    @pytest.mark.parametrize("name", OURS)
    def test_its_settings_are_settings_with_good_defaults(self, name, settings_names):
        environment = COMPOSE["services"][name]["environment"]
        assert set(environment) <= settings_names
        defaults = {}
        for setting, value in environment.items():
            match = VARIABLE.fullmatch(value)
            assert match, f"{setting} cannot be set from outside"
            assert match["name"] == setting
            defaults[setting] = match["default"]
        assert CronTimes(defaults["OPENNESS_SCHEDULE"], parse_zone(defaults["OPENNESS_TIMEZONE"]))
        assert defaults["OPENNESS_DATABASE_URL"] == image_environment()["OPENNESS_DATABASE_URL"]

    def test_the_desk_listens_where_the_port_is_published_and_knows_its_address(self):
        review = COMPOSE["services"]["review"]
        port = review["ports"][0].rpartition(":")[2]
        assert review["command"][-4:] == ["--host", "0.0.0.0", "--port", port]
        assert review["environment"]["OPENNESS_REVIEW_URL"].endswith(f"http://127.0.0.1:{port}}}")
        assert f":{port}/healthz" in review["healthcheck"]["test"][-1]

    def test_what_is_mounted_is_there(self):
        for name, service in COMPOSE["services"].items():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                assert source in COMPOSE["volumes"] or (ROOT / source).exists(), f"{source} of {name}"

    def test_a_night_is_given_the_time_to_end(self):
        schedule = COMPOSE["services"]["schedule"]
        assert schedule["restart"] == "unless-stopped"
        assert schedule["stop_grace_period"] == "20s"

    def test_without_its_profile_the_database_is_not_waited_for(self):
        assert COMPOSE["services"]["schedule"]["depends_on"] == {
            "database": {"condition": "service_healthy", "required": False}
        }

    def test_no_secret_stands_in_it(self):
        text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
        for name in ("GITHUB_TOKEN", "HF_TOKEN", "POSTGRES_PASSWORD"):
            assert f"{name}: ${{{name}:-}}" in text
