"""What the tests of deployment files share: is it a command that we have, and settings that there are?"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from crawler.cli import COMMANDS, cli
from crawler.settings import describe_settings


def _silence(name: str, command: click.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _silence(name, inner, monkeypatch)
    else:
        monkeypatch.setattr(command, "callback", lambda **values: None)


@pytest.fixture
def assert_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], None]:
    """Holds that a command line is understood by `openness`, which is its first word; nothing is done."""

    def check(words: Sequence[str]) -> None:
        assert words[0].rpartition("/")[2] == "openness"
        monkeypatch.setattr(cli, "callback", lambda **values: None)
        for name in set(words) & set(COMMANDS):
            module = importlib.import_module(COMMANDS[name][0])
            _silence(name, getattr(module, f"{name}_command"), monkeypatch)
        done = CliRunner().invoke(cli, list(words[1:]))
        assert done.exit_code == 0, done.output

    return check


def _require(program: str) -> None:
    """Skip a test that calls a program which is not installed; in CI, where it has to be, fail."""
    if shutil.which(program) is not None:
        return
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{program} must be there in CI", pytrace=False)
    pytest.skip(f"{program} is not installed")


@pytest.fixture
def needs_systemd() -> None:
    _require("systemd-analyze")


@pytest.fixture
def needs_tini() -> None:
    _require("tini")


@pytest.fixture(scope="session")
def settings_names() -> set[str]:
    """The environment variables that the program reads."""
    return {setting.variable for setting in describe_settings()}


@pytest.fixture(scope="session")
def assert_schema() -> Callable[[Path, str], None]:
    """Holds that a file fulfils a schema that check-jsonschema carries; skips where that is not installed."""

    def check(path: Path, schema: str) -> None:
        if importlib.util.find_spec("check_jsonschema") is None:
            pytest.skip("check-jsonschema, which carries the schema, is not installed")
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    return check
