"""How the command behaves: help, exit codes, clean output, and two nights as a person sees them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from crawler.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group below a group, by the words that call it."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


class TestHelp:
    @pytest.mark.parametrize("words", commands(cli), ids=" ".join)
    def test_every_command_is_explained_with_an_example(self, words, desk):
        out = desk.run(*words, "--help").out
        assert "Example" in out
        assert f"openness {words[0]}" in out
        assert not desk.database.exists()

    def test_the_list_of_commands_has_a_line_for_each(self, desk):
        out = desk.run("--help").out
        assert all(
            name in out and text in out.replace("\n" + " " * 14, " ") for name, (_, text) in COMMANDS.items()
        )

    def test_comes_without_loading_what_it_does_not_need(self):
        program = (
            "import sys, crawler.cli\n"
            "try:\n    crawler.cli.main(['--help'])\nexcept SystemExit as left:\n    assert not left.code\n"
            "print(sorted({'scrapy', 'sqlalchemy', 'github', 'twisted', 'requests', 'huggingface_hub', 'pydantic'}"
            " & sys.modules.keys()), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stderr.strip() == "[]"
        assert "nightly" in done.stdout

    def test_the_version_is_told(self, desk):
        assert desk.run("--version").out.startswith("openness, version ")


class TestWrongUse:
    @pytest.mark.parametrize(
        "words",
        [
            ["--nonsense"],
            ["nightly", "--nonsense"],
            ["nonsense"],
            ["proposals", "nonsense"],
            ["proposals", "show", "one"],
            ["proposals", "list", "--class", "wide-open"],
            ["proposals", "list", "--min-confidence", "7"],
            ["export", "csv"],
            ["nightly", "trellis"],
            ["--log-format", "xml", "status"],
        ],
        ids=" ".join,
    )
    def test_is_said_with_2_and_nothing_is_done(self, words, desk):
        done = desk.run(*words, code=2)
        assert done.out == ""
        assert words[-1] in done.err or words[-2] in done.err or "DEST" in done.err
        assert not desk.database.exists()

    def test_without_seeds_there_is_nothing_to_do(self, desk):
        bare = desk.with_env(OPENNESS_SEEDS=None)
        assert "seeds.yaml does not exist" in bare.run("nightly", code=2).err
        assert "knows no project" in bare.run("proposals", "list", code=2).err


class TestStreams:
    def test_json_alone_goes_to_stdout_and_what_happens_meanwhile_to_stderr(self, pages):
        desk = pages.with_env(PYTHONWARNINGS="always::ResourceWarning")
        done = desk.run_apart("nightly", "--json")
        assert done.code == 0
        assert done.json["kind"] == "nightly"
        assert "seeds of" in done.err
        assert "Warning" not in done.err
        assert "\x1b" not in done.said

    def test_logs_are_json_where_that_is_asked_for(self, few, sandbox):
        sandbox.fault("^/hf/", "status", status=401)
        done = few.with_env(GITHUB_TOKEN="bad-token-for-the-test", HF_TOKEN="another").run(
            "--log-format", "json", "nightly", "--json", code=3
        )
        entries = [json.loads(line) for line in done.err.splitlines()]
        assert all(entry.keys() >= {"time", "level", "logger", "message"} for entry in entries)
        assert any(entry["level"] == "error" and "GITHUB_TOKEN" in entry["message"] for entry in entries)

    def test_all_else_that_is_said_is_json_then_too(self, few):
        desk = few.with_env(GITHUB_TOKEN=None, OPENNESS_PAGES_PER_PROJECT="0")
        for words, code in (
            (["crawl", "trellis"], 0),
            (["crawl", "treliss"], 2),
            (["crawl", "--nonsense"], 2),
        ):
            done = desk.run("--log-format", "json", *words, code=code)
            entries = [json.loads(line) for line in done.err.splitlines()]
            assert words[-1] in entries[-1]["message"] or "No GITHUB_TOKEN" in str(entries)

    @pytest.mark.parametrize(
        "words",
        [["proposals", "list", "--all", "--json"], ["export", "csv", "-"]],
    )
    def test_a_reader_that_goes_away_is_no_error(self, words, small, started):
        process = started(small, *words)
        process.stdout.close()
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")

    def test_what_a_terminal_cannot_show_is_escaped(self, small, started):
        process = started(small.with_env(PYTHONIOENCODING="latin-1"), "proposals", "list", encoding="latin-1")
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert "unrated \\u2192 open" in out

    def test_progress_is_shown_on_a_terminal_only(self, small):
        master, slave = pty.openpty()
        seen = bytearray()

        def read():
            with contextlib.suppress(OSError):
                while piece := os.read(master, 4096):
                    seen.extend(piece)

        process = small.with_env(TERM="xterm").start("crawl", "--json", stderr=slave)
        os.close(slave)
        reader = threading.Thread(target=read)
        reader.start()
        out, _ = process.communicate(timeout=60)
        reader.join(10)
        os.close(master)
        assert process.returncode == 0
        assert json.loads(out)["kind"] == "crawl"
        assert b"github" in seen

    def test_an_internal_error_is_told_in_a_line_and_with_its_trace_on_demand(self, small, monkeypatch):
        def fail(*arguments, **options):
            raise RuntimeError("a defect")

        monkeypatch.setattr("crawler.rating.load_inputs", fail)
        done = small.run("rate", code=1)
        assert "internal error, please report: RuntimeError: a defect" in done.err
        assert "Traceback" not in done.err
        assert "Traceback" in small.run("-v", "rate", code=1).err
        assert small.last_run().status.value == "interrupted"

    def test_a_source_that_breaks_off_costs_only_its_own_work(self, few, monkeypatch):
        def fail(self, requests):
            raise RuntimeError("a defect of the source")
            yield

        monkeypatch.setattr("crawler.sources.huggingface.HuggingFaceSource.visit", fail)
        report = few.nightly(code=1)
        assert any("a defect of the source" in error for error in report["internal_errors"])
        failed = {entry["artifact"] for entry in report["unread"]}
        assert "hf_model:quillwort/sorrel-chat-7b" in failed
        classes = few.classes()
        assert classes["trellis", "license"] == "open"
        assert classes["sorrel-chat", "rlweights"] is None


class TestDotEnv:
    def test_settings_may_stand_in_a_file_and_the_environment_wins(self, few):
        (few.folder / ".env").write_text("OPENNESS_CURATOR=From File\nOPENNESS_HTTP_TIMEOUT=soon\n")
        assert "OPENNESS_HTTP_TIMEOUT" in few.run("status", code=2).err
        few.with_env(OPENNESS_HTTP_TIMEOUT="9").run("status")


class TestDemo:
    def test_shows_two_nights_and_leaves_something_to_look_at(self, desk):
        folder = desk.folder / "shown"
        folder.mkdir()
        done = desk.with_env(OPENNESS_DATABASE_URL="sqlite:////nowhere/x.db").run(
            "demo", "--folder", str(folder)
        )
        assert "Night 1" in done.out
        assert "Night 2" in done.out
        assert "What changed overnight" in done.out
        assert "trellis" in done.out
        shown = desk.with_env(
            OPENNESS_DATABASE_URL=f"sqlite:///{folder / 'openness.db'}",
            OPENNESS_ARCHIVE=str(folder / "archive"),
        )
        assert shown.run("status", "--json").json["questions"] > 0
        shown.run("db", "check")
        assert not desk.database.exists()

    def test_touches_no_folder_that_is_not_its_own(self, desk):
        folder = desk.folder / "thesis"
        folder.mkdir()
        (folder / "chapter-1.txt").write_text("It was a dark night.")
        done = desk.run("demo", "--folder", str(folder), code=2)
        assert "thesis" in done.err
        assert [path.name for path in folder.iterdir()] == ["chapter-1.txt"]


def test_a_night_leaves_no_file_thread_or_process_behind(pages):
    def files():
        links = (Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
        found = []
        for link in links:
            with contextlib.suppress(OSError):
                found.append(os.readlink(link))
        # Connections are kept for a while by client libraries, and by the sandbox in this process.
        return sorted(name for name in found if not name.startswith("socket:"))

    threads, before = {thread.name for thread in threading.enumerate()}, files()
    pages.nightly("--full")
    pages.run("proposals", "list")
    assert {thread.name for thread in threading.enumerate()} == threads
    assert len(files()) == len(before)
