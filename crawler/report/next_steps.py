"""What a person does next, as commands that can be copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from db.models import RunStatus
from pipelines.model import JsonValue
from pipelines.report.words import count_of

Report = Mapping[str, JsonValue]


def next_steps(report: Report) -> list[dict[str, JsonValue]]:
    """Entries {"command", "why"}; `command` is empty where it is no command that helps."""
    return [{"command": command, "why": why} for command, why in _steps(report)]


def _steps(report: Report) -> Iterator[tuple[str, str]]:
    changes = report.get("changes") or {}
    if report["status"] == RunStatus.INTERRUPTED and report["kind"] in ("nightly", "crawl"):
        yield "openness crawl --resume", "goes on where the run was cut off"
    if report["internal_errors"]:
        yield f"openness --verbose {report['kind']}", "shows the traceback of the internal error"
    renamed = [item for item in changes.get("renamed", {}).get("shown", ()) if item["seeds"]]
    if renamed:
        yield "openness import seeds seeds.yaml", "once the new names are in the seed file"
    if report["failed"]:
        yield "openness status", "names what could not be read, and what of it was read earlier"
    yield from _decisions(report, changes)
    if any(
        item.get("service") == "github" and item.get("waits") and (item.get("limit") or 0) <= 60
        for item in report.get("budget") or ()
    ):
        yield "", "set GITHUB_TOKEN: without a token GitHub allows 60 requests an hour"


def _decisions(report: Report, changes: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for first in changes.get("new_questions", {}).get("shown", ())[:1]:
        yield (
            f"openness proposals show {first['proposal']}",
            "the biggest of the new questions, with its evidence",
        )
    for item in changes.get("vanished_ratings", {}).get("shown", ())[:1]:
        yield (
            shlex.join(["openness", "explain", item["slug"], item["dimension"]]),
            "what the rules say without the evidence that vanished",
        )
    if report["questions"]:
        yield (
            "openness proposals list",
            f"{count_of(report['questions'], 'question waits', 'questions wait')} for a curator",
        )
    if report["candidates_waiting"]:
        yield (
            "openness candidates list",
            f"{count_of(report['candidates_waiting'], 'candidate waits', 'candidates wait')} for a curator",
        )
