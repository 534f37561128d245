"""What a fresh clone has to be: free of machines, registries and leftovers."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

MACHINE_PATH = re.compile(
    r"""
    (?<! [\w.~$@:/{}<>)-] )             # not a piece of a longer path, nor of an address
    / (?: work | root | home | Users ) /
    [\w.-]
    """,
    re.VERBOSE,
)
ADDRESS = re.compile(r"[a-z]+://", re.IGNORECASE)
SKIPPED_FOLDERS = {".git", ".venv", ".stamps", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Built as a path from pieces, so that this file does not hold what it looks for.
EXAMPLE = "/" + "root" + "/x"


def project_files(root: Path) -> list[Path]:
    """The files that are tracked or would be; in an unpacked archive, which has no git, all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = [path for path in root.rglob("*") if not SKIPPED_FOLDERS & set(path.parts)]
    return sorted(path for path in paths if path.is_file())


def text_of(path: Path) -> str:
    """The text of a file; empty for a binary one."""
    body = path.read_bytes()
    return "" if b"\0" in body[:4096] else body.decode("utf-8", "replace")


def test_no_file_names_a_path_of_some_machine(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{number}"
        for path in project_files(root)
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("text", [EXAMPLE, f"see {EXAMPLE}", f'"{EXAMPLE}"', f"={EXAMPLE}", f"`{EXAMPLE}`"])
def test_a_machine_path_is_seen(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text",
    [f"https://a.example{EXAMPLE}", f"docs{EXAMPLE}", f"./docs{EXAMPLE}", f"{{host}}{EXAMPLE}", "/" + "root"],
)
def test_a_piece_of_an_address_is_no_machine_path(text: str) -> None:
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(root: Path, name: str) -> None:
    assert not ADDRESS.search((root / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LOCKS)
def test_everything_locked_has_a_hash(root: Path, name: str) -> None:
    entries = re.split(r"\n(?=\S)", (root / name).read_text(encoding="utf-8").strip())
    entries = [entry for entry in entries if not entry.startswith("#")]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_is_needed_to_build_is_locked(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    for name in LOCKS:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        locked = {line.split()[0] for line in lines if line[:1].isalnum()}
        for requirement in project["build-system"]["requires"]:
            assert requirement in locked, f"{requirement} is missing in {name}"


def test_scripts_can_be_started(root: Path) -> None:
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\nset -euo pipefail\n")


def test_every_target_of_the_makefile_is_explained(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    explained = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert explained == set(phony.group(1).split())
    assert {"setup", "run", "test", "check", "format", "lock", "corpus", "clean", "help"} <= explained
