"""The command `openness`. Subcommands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from crawler.heap import give_up_memory_at_once
from crawler.terminal import json_text, safe
from pipelines.errors import OpennessError

INTERRUPTED = 130
TERMINATED = 143
"""Exit codes as shells give them to SIGINT and SIGTERM."""

COMMANDS: dict[str, tuple[str, str]] = {
    "nightly": ("crawler.commands.run", "The main job: crawl every project, rate, discover, report."),
    "crawl": ("crawler.commands.run", "Gather evidence."),
    "rate": ("crawler.commands.run", "Propose ratings from the stored evidence."),
    "schedule": ("crawler.commands.schedule", "Run the main job whenever it is due."),
    "demo": ("crawler.commands.demo", "The whole main job against a bundled sandbox, offline."),
    "discover": ("crawler.commands.discover", "Look for new model projects."),
    "candidates": ("crawler.commands.discover", "The queue of discovered projects."),
    "proposals": ("crawler.commands.proposals", "The review queue in the terminal."),
    "review": ("crawler.commands.review", "The review queue in the browser."),
    "user": ("crawler.commands.users", "Accounts of the review desk, and tokens for programs."),
    "audit": ("crawler.commands.audit", "The audit log of the review desk."),
    "explain": ("crawler.commands.proposals", "From a proposed class back to the bytes it rests on."),
    "import": ("crawler.commands.exchange", "Take over seeds or published ratings."),
    "export": ("crawler.commands.exchange", "Write ratings or proposals."),
    "evaluate": ("crawler.commands.exchange", "Agreement of the proposals with published ratings."),
    "claims": ("crawler.commands.claims", "Claims of openness beside the facts."),
    "calibrate": (
        "crawler.commands.calibrate",
        "Confidence from published ratings, one family left out at a time.",
    ),
    "report": ("crawler.commands.report", "The morning report of a run; sends it again."),
    "status": ("crawler.commands.status", "Projects, last run, queue, failing sources."),
    "archive": ("crawler.commands.archive", "Is the evidence archive whole; prune it; export it as WARC."),
    "db": ("crawler.commands.admin", "Schema migrations, integrity, copies."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for services that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {  # a log record's values have no common type
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json_text(entry, indent=None)


class TextFormatter(logging.Formatter):
    """Lines for people; what was fetched may stand in them."""

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))


def set_up_logging(log_format: str, verbose: bool) -> None:
    """Send logs to stderr; those of libraries only when they warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if log_format == "json" else TextFormatter("%(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("crawler", "db", "pipelines", "review", "spiders"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--database", "database_url", metavar="URL", help="Database; instead of OPENNESS_DATABASE_URL.")
@click.option(
    "--archive", type=click.Path(path_type=Path), help="Folder of the archive; instead of OPENNESS_ARCHIVE."
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--verbose", "-v", is_flag=True, help="Tell more on stderr; tracebacks for internal errors.")
@click.version_option(package_name="openness-crawler", prog_name="openness")
@click.pass_context
def cli(
    ctx: click.Context, database_url: str | None, archive: Path | None, log_format: str, verbose: bool
) -> None:
    """Keeps openness ratings of AI models honest.

    Gathers evidence on model projects, proposes a class for each of 14 dimensions of openness, and
    queues for a curator what would change something.

    Try it offline: openness demo
    """
    set_up_logging(log_format, verbose)
    changes = {"database_url": database_url, "archive": archive}
    ctx.obj = {name: value for name, value in changes.items() if value is not None}


class Terminated(KeyboardInterrupt):
    """SIGTERM: a service manager wants us gone. As orderly an end as Ctrl-C."""


@contextmanager
def _orderly_end_on_sigterm() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code (see `pipelines.errors` and the README)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's encoding lacks is escaped; it must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        with _orderly_end_on_sigterm():
            code = _run(arguments)
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        # The reader of our output has gone (`| head`): nobody is to be told. Click leaves by itself then, with 1.
        if isinstance(error, SystemExit) and error.code != 1:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.stderr.flush()
    if code in (INTERRUPTED, TERMINATED) and threading.active_count() > 1:
        # Threads of a cut-off crawl may still be waiting for an answer; we do not.
        os._exit(code)
    if arguments is None:
        give_up_memory_at_once()
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=arguments, prog_name="openness", standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        if _logs_json():
            _say(error.format_message())
        else:
            error.show()
        code = error.exit_code
    except OpennessError as error:
        _say(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        go_on = ["openness nightly"] if "nightly" in given else []
        go_on += ["openness crawl --resume"] if "nightly" in given or "crawl" in given else []
        _say(
            f"interrupted; what was gathered is stored. Go on with: {', or '.join(go_on)}"
            if go_on
            else "interrupted"
        )
        code = TERMINATED if isinstance(error.__cause__ or error, Terminated) else INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        logging.getLogger(__name__).log(
            logging.ERROR,
            "internal error, please report: %s: %s",
            type(error).__name__,
            error,
            exc_info="-v" in given or "--verbose" in given,
        )
        code = 1
    return code if isinstance(code, int) else 0


def _logs_json() -> bool:
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def _say(text: str) -> None:
    """Why the command ends: a line for people, or an entry for services that collect logs."""
    if _logs_json():
        logging.getLogger(__name__).error("%s", text)
    else:
        click.echo(f"openness: {safe(text)}", err=True)
