"""The workflow, step by step: its commands are run as a runner runs them, against the sandbox and a remote on disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from sandbox import LINEAGE, SEEDS, Sandbox

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "github-actions" / "nightly.yml"
SCRIPT = ROOT / "deploy" / "github-actions" / "data-branch"
# `on` is a boolean to YAML 1.1, and GitHub reads it as a word.
WORKFLOW = yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
JOB = WORKFLOW["jobs"]["nightly"]
STEPS = {step.get("id") or step["name"]: step for step in JOB["steps"]}
BRANCH = WORKFLOW["env"]["DATA_BRANCH"]
SETTINGS = ("OPENNESS_", "GITHUB_", "HF_", "GIT_")

PLAYED = """#!/bin/sh
case "$1 $2" in
    nightly*) echo "a night" >> night/openness.db; exit "${NIGHT_ENDS_WITH:-0}" ;;
    report*) echo "the report" ;;
    "db check") ;;
    "db backup") cp night/openness.db "$3" ;;
    *) exit 2 ;;
esac
"""

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class TestForm:
    def test_it_fulfils_the_schema(self, assert_schema):
        assert_schema(FILE, "vendor.github-workflows")

    def test_one_night_at_a_time_and_none_is_cut_off(self):
        assert WORKFLOW["concurrency"] == {"group": "openness-nightly", "cancel-in-progress": "false"}

    def test_it_may_push_and_nothing_else(self):
        assert WORKFLOW["permissions"] == {"contents": "write"}
        assert "permissions" not in JOB

    def test_it_begins_at_an_odd_minute_and_by_hand(self):
        minute = WORKFLOW["on"]["schedule"][0]["cron"].split()[0]
        assert int(minute) % 5
        assert "workflow_dispatch" in WORKFLOW["on"]

    def test_every_action_is_pinned(self):
        used = [step["uses"] for step in JOB["steps"] if "uses" in step]
        assert used
        assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", name)] == []

    def test_no_command_has_an_expression_in_it(self):
        """What is put into a command could be more than a word; what is put into a variable cannot."""
        assert [step["name"] for step in JOB["steps"] if "${{" in step.get("run", "")] == []

    def test_secrets_reach_the_night_alone(self):
        holders = {name for name, step in STEPS.items() if "secrets." in json.dumps(step)}
        assert holders == {"night"}
        assert "secrets." not in json.dumps({**WORKFLOW, "jobs": {}})

    def test_it_ends_in_time_to_keep_what_it_has(self):
        assert int(STEPS["night"]["timeout-minutes"]) + 20 <= int(JOB["timeout-minutes"]) <= 360

    @pytest.mark.parametrize("step", [step["name"] for step in JOB["steps"] if "run" in step])
    def test_its_commands_are_bash(self, step):
        text = next(found["run"] for found in JOB["steps"] if found["name"] == step)
        assert not text.startswith("deploy/") or (ROOT / text.split()[0]).stat().st_mode & 0o111
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.clear_faults()
    running.set_night(1)
    running.limits.reset()
    return running


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost", *arguments],
        cwd=folder, env=plain_environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.strip()


def plain_environment(home: Path) -> dict[str, str]:
    """Without what the person who runs the tests has set, in git too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


@dataclass
class Job:
    """How a run of the workflow ended: the steps that failed, and what was said."""

    failed: list[str] = field(default_factory=list)
    said: str = ""
    summary: str = ""


@dataclass
class Runner:
    """Runners that are new for every job, and the repository that they all check out."""

    folder: Path
    remote: Path
    environment: dict[str, str]
    jobs: int = 0

    def run(self, **changes: str) -> Job:
        """One run of the workflow on a machine that knows nothing yet."""
        self.jobs += 1
        machine = self.folder / f"machine{self.jobs}"
        machine.mkdir()
        # A path would be taken for a clone with hard links, which cannot be shallow.
        git(machine, "clone", "--quiet", "--depth", "1", f"file://{self.remote}", "checkout")
        summary = machine / "summary"
        summary.touch()
        job, outcomes = Job(), {}
        for step in JOB["steps"]:
            name = step.get("id") or step["name"]
            if "run" not in step or name == "install":
                continue
            condition = step.get("if", "success()")
            assert condition in ("success()", "always() && steps.fetch.outcome == 'success'")
            if outcomes.get("fetch") != "success" if "fetch" in condition else job.failed:
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=machine / "checkout",
                env={
                    **plain_environment(machine),
                    **self.environment,
                    **WORKFLOW["env"],
                    **{key: self.value(text) for key, text in step.get("env", {}).items()},
                    **changes,
                    "GITHUB_STEP_SUMMARY": str(summary),
                    "TMPDIR": str(machine),
                },
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            job.said += done.stdout + done.stderr
            outcomes[name] = "success" if done.returncode == 0 else "failure"
            if done.returncode:
                job.failed.append(name)
        job.summary = summary.read_text()
        shutil.rmtree(machine)
        return job

    def value(self, text: str) -> str:
        known = {
            "secrets.OPENNESS_GITHUB_TOKEN || github.token": "token-of-the-workflow",
            "secrets.HF_TOKEN": "",
            "vars.OPENNESS_CONTACT": "",
        }
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], text)

    @property
    def program(self) -> Path:
        """The command that is on the path of every machine."""
        return self.folder / "bin" / "openness"

    def before_check(self, command: str) -> None:
        """From now on something happens on the machines before `openness db check`."""
        first, *rest = self.program.read_text().splitlines()
        check = f'if [ "$1 $2" = "db check" ]; then {command}; fi'
        self.program.write_text("\n".join([first, check, *rest, ""]))

    def head(self, branch: str = BRANCH) -> str:
        """The commit of a branch of the remote; empty where there is none."""
        return git(self.remote, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def kept(self) -> Path:
        """The database that the branch holds, unpacked."""
        folder = self.folder / "look"
        shutil.rmtree(folder, ignore_errors=True)
        git(self.folder, "clone", "--quiet", "--branch", BRANCH, f"file://{self.remote}", "look")
        database = self.folder / "look.db"
        parts = "".join(f" '{path}'" for path in sorted((folder / "database").iterdir()))
        subprocess.run(f"cat{parts} | gunzip > '{database}'", shell=True, check=True)
        return database

    def rows(self, query: str) -> list[tuple]:
        connection = sqlite3.connect(self.kept())
        rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def runs(self) -> list[tuple[str, int]]:
        return self.rows("SELECT kind, exit_code FROM runs ORDER BY id")

    def decisions(self) -> list[str]:
        return [reason for (reason,) in self.rows("SELECT reason FROM decisions")]


@pytest.fixture
def runner(tmp_path: Path, sandbox: Sandbox) -> Runner:
    """A remote with a seed file of two projects, and machines with the command on their path."""
    source = tmp_path / "source"
    source.mkdir()
    entries = yaml.safe_load(SEEDS.read_text(encoding="utf-8"))
    few = [entry for entry in entries if entry["slug"] in ("trellis", "sorrel-chat")]
    (source / "seeds.yaml").write_text(json.dumps(few), encoding="utf-8")
    shutil.copy(LINEAGE, source / "lineage.yaml")
    script = source / SCRIPT.relative_to(ROOT)
    script.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, script)
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message=Seeds")
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "remote.git")
    program = tmp_path / "bin" / "openness"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m crawler "$@"\n')
    program.chmod(0o755)
    environment = {
        **sandbox.addresses,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "OPENNESS_PAGES_PER_PROJECT": "0",
        "OPENNESS_ARXIV_DELAY": "0",
        "HF_HOME": str(tmp_path / "hub"),
    }
    return Runner(tmp_path, tmp_path / "remote.git", environment)


@needs_git
class TestNights:
    def test_the_second_night_begins_with_what_the_first_one_kept(self, runner, sandbox):
        first = runner.run()
        assert first.failed == [], first.said
        assert "There is no branch openness-data yet" in first.said
        assert first.summary.startswith("~~~~~~~~text\n")
        assert first.summary.endswith("\n~~~~~~~~\n")
        assert len(first.summary) > 200
        began_with = runner.head()
        assert began_with
        assert runner.head(f"{BRANCH}-previous") == ""

        self.decide(runner)
        decided = runner.head()
        assert runner.head(f"{BRANCH}-previous") == began_with != decided

        sandbox.set_night(2)
        sandbox.clear_log()
        second = runner.run()
        assert second.failed == [], second.said
        assert runner.runs() == [("nightly", 0), ("nightly", 0)]
        # It asked whether things had changed: it knew them.
        assert any(entry.conditional for entry in sandbox.requests)
        assert runner.head(f"{BRANCH}-previous") == decided
        assert runner.decisions() == ["because"]
        # Neither branch has a history, nor anything of the code's.
        for branch in (BRANCH, f"{BRANCH}-previous"):
            assert git(runner.remote, "rev-list", "--count", branch) == "1"
        assert sorted(git(runner.remote, "ls-tree", "--name-only", BRANCH).split()) == ["archive", "database"]
        assert "token-of-the-workflow" not in first.said + second.said

        # Whoever unpacks the branch has the bytes of every snapshot beside the database.
        wanted = {f"{digest}.gz" for (digest,) in runner.rows("SELECT sha256 FROM snapshots")}
        assert wanted == {path.name for path in (runner.folder / "look" / "archive").rglob("*.gz")}

    def decide(self, runner: Runner) -> None:
        """A curator decides between two nights, on a machine of their own."""
        home = runner.folder / "curator"
        home.mkdir()
        git(home, "clone", "--quiet", f"file://{runner.remote}", "checkout")
        settings = {key: value for key, value in WORKFLOW["env"].items() if key.startswith("OPENNESS_")}
        environment = {
            **plain_environment(home),
            **runner.environment,
            **settings,
            "OPENNESS_CURATOR": "Ayla",
        }
        script = "deploy/github-actions/data-branch"
        rated = ("proposals", "rate", "trellis", "api", "--class", "partial", "--reason", "because")
        for command in ([f"./{script}", "fetch"], [str(runner.program), *rated], [f"./{script}", "keep"]):
            done = subprocess.run(
                command, cwd=home / "checkout", env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        again = subprocess.run(
            [f"./{script}", "fetch"], cwd=home / "checkout", env=environment, capture_output=True, check=False
        )
        assert again.returncode == 1
        assert b"is there already" in again.stderr


@needs_git
class TestAround:
    """What is done with a night, whatever it was: one that is played, ends with any code, and writes its line."""

    @pytest.fixture(autouse=True)
    def _played(self, runner: Runner):
        runner.program.write_text(PLAYED)

    @pytest.mark.parametrize(
        ("code", "failed", "told"),
        [
            (0, [], ""),
            (3, [], "::warning title=Nightly run::Done, but some visits failed"),
            (4, ["night"], "::error title=Nightly run::Nothing could be gathered"),
            (1, ["night"], "::error title=Nightly run::It ended with code 1"),
            (137, ["night"], "::error title=Nightly run::It ended with code 137"),
        ],
    )
    def test_however_it_ended_it_is_said_and_what_it_had_is_kept(self, runner, code, failed, told):
        job = runner.run(NIGHT_ENDS_WITH=str(code))
        assert job.failed == failed, job.said
        assert told in job.said
        assert ("::warning" in job.said or "::error" in job.said) == bool(told)
        assert "the report" in job.summary
        assert runner.kept().read_text() == "a night\n"
        assert runner.run().failed == []
        assert runner.kept().read_text() == "a night\na night\n"

    def test_what_cannot_be_fetched_is_not_replaced_by_something_empty(self, runner, tmp_path):
        real = shutil.which("git")
        program = tmp_path / "bin" / "git"
        program.write_text(f'#!/bin/sh\n[ "$1" = ls-remote ] && exit 128\nexec "{real}" "$@"\n')
        program.chmod(0o755)
        job = runner.run()
        assert job.failed == ["fetch"]
        assert runner.head() == ""

    def test_a_damaged_state_does_not_take_the_place_of_a_sound_one(self, runner):
        assert runner.run().failed == []
        before = runner.head()
        runner.before_check("exit 1")
        job = runner.run()
        assert job.failed == ["Keep database and archive"], job.said
        assert runner.head() == before

    def test_a_state_that_somebody_else_has_kept_meanwhile_stays(self, runner):
        runner.before_check(f'git --git-dir="{runner.remote}" update-ref refs/heads/{BRANCH} refs/heads/main')
        job = runner.run()
        assert job.failed == ["Keep database and archive"], job.said
        assert runner.head() == runner.head("main")
        assert runner.head(f"{BRANCH}-previous") == ""
