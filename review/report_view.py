"""The stored report of a run as tables that a page can show.

A report is JSON of this or an earlier version of the program. What is known of it is told in words and in
order of urgency; a list that is not known is shown all the same, with its own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.model import JsonValue

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)")
SHORT = 24
"""Characters."""

SHOWN = 200
"""Entries of one list that a page shows."""

_FIGURES = (
    ("projects", "projects rated"),
    ("artifacts", "artifacts visited"),
    ("new_snapshots", "new snapshots"),
    ("failed", "failed"),
    ("denied", "denied"),
    ("missing", "missing"),
    ("requests", "requests"),
    ("bytes", "bytes received"),
    ("proposals", "proposals"),
    ("new_proposals", "new proposals"),
    ("cannot_tell", "cannot be told"),
    ("questions", "questions waiting"),
    ("new_candidates", "new candidates"),
    ("candidates_waiting", "candidates waiting"),
    ("seconds", "seconds"),
)
_CHANGES = (
    ("vanished_ratings", "Ratings whose evidence is gone"),
    ("evidence_changed", "Ratings whose evidence changed"),
    ("new_questions", "New questions"),
    ("stale_ratings", "Ratings that rest on something stale"),
    ("failing", "Artifacts that fail"),
    ("renamed", "Renamed"),
    ("archived", "Archived repositories"),
    ("cut_off", "Runs that were cut off"),
)
_LISTS = (
    ("internal_errors", "Internal errors"),
    ("services_failing", "Services that told nothing"),
    ("budget", "Budget"),
    ("unread", "Not read"),
    ("document_problems", "Documents with a problem"),
    ("notified", "Who was told"),
)
_LINKED = ("url", "link")
_TOLD = frozenset(
    {name for name, _ in (*_FIGURES, *_LISTS)}
    | {
        "run",
        "kind",
        "status",
        "exit_code",
        "started",
        "ended",
        "verdict",
        "next",
        "changes",
        "sources",
        "visits",
    }
    | {"broke_off", "artifacts_by_kind", "charged", "stock", "discovery", "unread_not_shown", "last_success"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What stands in one place of a table; `href` an address of somebody else's, `slug` a project of ours."""

    text: str
    href: str = ""
    slug: str = ""

    @property
    def is_short(self) -> bool:
        """Is it so little that it stays on one line?"""
        return len(self.text) <= SHORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A list of a report. `total` counts also what is not in its rows."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A report, ready to be shown. `level` and `line` are the verdict's, empty where nobody judged."""

    level: str
    line: str
    broke_off: str
    reasons: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def shown_report(report: Mapping[str, JsonValue]) -> Shown:
    """The report of a run; an empty one where it has stored none."""
    verdict = _mapping(report.get("verdict"))
    reasons = verdict.get("reasons")
    steps = report.get("next")
    return Shown(
        level=_text(verdict.get("level")),
        line=_text(verdict.get("line")),
        broke_off=_text(report.get("broke_off")),
        reasons=tuple(_words(reason) for reason in reasons) if isinstance(reasons, list) else (),
        steps=tuple(_step(step) for step in steps) if isinstance(steps, list) else (),
        figures=tuple(_figures(report)),
        tables=tuple(_tables(report)),
    )


def _step(step: JsonValue) -> tuple[str, str]:
    """What to do next: the command, empty where it is none, and why."""
    told = _mapping(step)
    return (_text(told.get("command")), _text(told.get("why"))) if "command" in told else ("", _words(step))


def _figures(report: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for name, words in _FIGURES:
        value = report.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield words, f"{value:,}"


def _tables(report: Mapping[str, JsonValue]) -> Iterator[Table]:
    changes = _mapping(report.get("changes"))
    yield from _table("internal_errors", "Internal errors", report.get("internal_errors"))
    for name, title in _CHANGES:
        yield from _table(name, title, changes.get(name))
    for name in sorted(changes.keys() - {known for known, _ in _CHANGES}):
        yield from _table(name, _title(name), changes.get(name))
    yield from _by_name("sources", "Visits by source", report.get("sources"))
    for name, title in _LISTS[1:]:
        yield from _table(name, title, report.get(name))
    discovery = _mapping(report.get("discovery"))
    yield from _table("candidates", "New candidates", discovery.get("candidates"))
    yield from _table("unlisted", "Makers whose models could not be listed", discovery.get("failed"))
    for name in sorted(report.keys() - _TOLD):
        yield from _table(name, _title(name), report.get(name))


def _table(name: str, title: str, value: JsonValue) -> Iterator[Table]:
    """A list of objects, or of texts; as it is or as `{"total", "shown"}`."""
    total = None
    if isinstance(value, dict) and isinstance(value.get("shown"), list):
        total, value = value.get("total"), value["shown"]
    if not isinstance(value, list) or not value:
        return
    entries = [entry if isinstance(entry, dict) else {"": entry} for entry in value[:SHOWN]]
    columns = _columns(entries)
    yield Table(
        name=name,
        title=title,
        columns=tuple(_title(column).lower() for column in columns),
        rows=tuple(tuple(_value(entry, column) for column in columns) for entry in entries),
        total=total if isinstance(total, int) else len(value),
    )


def _by_name(name: str, title: str, value: JsonValue) -> Iterator[Table]:
    """An object of objects: one row each."""
    if isinstance(value, dict):
        rows = [{"": key} | dict(_mapping(row)) for key, row in sorted(value.items())]
        yield from _table(name, title, rows)


def _columns(entries: Sequence[Mapping[str, JsonValue]]) -> list[str]:
    """The names of all entries in the order in which they come, without those that are shown as links."""
    found = dict.fromkeys(name for entry in entries for name in entry)
    linked = "artifact" in found
    hidden = {"url"} if linked else set()
    if "slug" in found and "project" in found:
        hidden.add("slug")
    return [name for name in found if name not in hidden]


def _value(entry: Mapping[str, JsonValue], column: str) -> Value:
    value = entry.get(column)
    text = _words(value)
    if column == "artifact":
        return Value(text=text, href=_text(entry.get("url")))
    if column in _LINKED:
        return Value(text=text, href=text)
    if column == "project" or (column == "slug" and "project" not in entry):
        return Value(text=text, slug=_text(entry.get("slug")))
    return Value(text=text)


def _words(value: JsonValue) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(_words(item) for item in value)
        case dict():
            told = _text(value.get("text"))
            return told or ", ".join(f"{key} {_words(item)}" for key, item in value.items())
        case _:
            return _MOMENT.sub(r"\1 \2", str(value))


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
