"""What a report tells, section by section, as tables that text and HTML show alike.

Texts are as they were fetched: whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.model import VisitStatus
from pipelines.report.change_sections import (
    archived_sections,
    cut_off_sections,
    failing_sections,
    moved_sections,
    question_sections,
    renamed_sections,
    shaken_sections,
)
from pipelines.report.tables import Cell, Report, Section, number, table
from pipelines.report.words import count_of, day, moment, since, size

STATUSES = tuple(status.value for status in VisitStatus)


def sections(report: Report, shown: int) -> list[Section]:
    """The sections that have something to tell, the most urgent first; of each list the first `shown` entries."""
    changes = report.get("changes") or {}
    return [
        *_errors(report),
        *shaken_sections(changes, "vanished_ratings", shown),
        *moved_sections(changes, shown),
        *question_sections(changes, shown),
        *shaken_sections(changes, "stale_ratings", shown),
        *_failing_services(report),
        *failing_sections(changes, shown),
        *renamed_sections(changes, shown),
        *archived_sections(changes, shown),
        *cut_off_sections(changes),
        *_sources(report),
        *_budget(report),
        *_unread(report, shown),
        *_problems(report, shown),
        *_candidates(report, shown),
        *_unlisted(report, shown),
        *_notified(report),
    ]


def _errors(report: Report) -> Iterator[Section]:
    entries = [{"text": text} for text in report["internal_errors"]]
    yield from table(
        "errors", "INTERNAL ERROR", ("what happened",), entries, lambda e: (Cell(text=e["text"]),), shown=20
    )


def _failing_services(report: Report) -> Iterator[Section]:
    yield from table(
        "failing-services",
        "Services that told nothing",
        ("service", "since"),
        report.get("services_failing") or [],
        lambda e: (Cell(text=e["service"]), Cell(text=since(e["since"], e["nights"]))),
        shown=20,
    )


def _sources(report: Report) -> Iterator[Section]:
    def row(name: str, values: Report) -> tuple[Cell, ...]:
        return (
            Cell(text=name),
            *(number(values.get(status, 0)) for status in STATUSES),
            number(values.get("requests")),
            number(values.get("charged")),
            Cell(text=size(values["bytes"]) if "bytes" in values else "", is_number=True),
            number(values.get("remaining")),
        )

    rows = tuple(row(name, values) for name, values in report["sources"].items())
    if rows:
        note = ""
        if report["kind"] != "discover":
            note = (
                f"{count_of(report['artifacts'], 'artifact')} visited, "
                f"{count_of(report['new_snapshots'], 'new snapshot')}."
            )
        columns = ("source", *STATUSES, "requests", "charged", "received", "left")
        yield Section(id="sources", title="Visits", columns=columns, rows=rows, note=note)


def _budget(report: Report) -> Iterator[Section]:
    entries = [
        part
        for part in report.get("budget") or []
        if part.get("limit") is not None or part.get("left") is not None or part.get("waits")
    ]
    yield from table(
        "budget",
        "Budget",
        ("service", "limit", "left before", "left after", "visited", "waiting", "who waits", "begins anew"),
        entries,
        lambda e: (
            Cell(text=e["service"]),
            number(e["limit"]),
            number(e["left"]),
            number(e.get("left_at_end")),
            number(e["fits"]),
            number(e["waits"]),
            Cell(
                text=", ".join(e["first_waiting"])
                + (" …" if e["waits"] > len(e["first_waiting"]) > 0 else "")
            ),
            Cell(text=moment(e["resets_at"])),
        ),
        shown=20,
        note="Requests that the services allow; artifacts that wait are visited on the next nights"
        + (
            f", and so are {parts} parts of those that were."
            if (parts := report.get("waiting_parts"))
            else "."
        ),
    )


def _unread(report: Report, shown: int) -> Iterator[Section]:
    entries = [entry for entry in report["unread"] if entry["status"] in ("failed", "denied")]
    yield from table(
        "unread",
        "Not read",
        ("status", "artifact", "part", "why"),
        entries,
        lambda e: (
            Cell(text=e["status"]),
            Cell(text=e["artifact"], href=e["url"]),
            Cell(text=e["part"]),
            Cell(text=e["reason"]),
        ),
        shown=shown,
        total=report["failed"] + report["denied"],
        note=f"{report['failed']} failed and {report['denied']} denied; what was read of them earlier still stands.",
    )


def _problems(report: Report, shown: int) -> Iterator[Section]:
    yield from table(
        "problems",
        "New documents with a problem",
        ("artifact", "part", "problem"),
        report["document_problems"],
        lambda e: (
            Cell(text=e["artifact"], href=e["url"]),
            Cell(text=e["part"]),
            Cell(text=str(e["problem"]).replace("_", " ")),
        ),
        shown=shown,
        note="What can be read of them is used.",
    )


def _candidates(report: Report, shown: int) -> Iterator[Section]:
    found = report.get("discovery") or {}
    yield from table(
        "candidates",
        "New candidates",
        ("candidate", "artifact"),
        found.get("candidates", []),
        lambda e: (Cell(text=str(e["id"]), is_number=True), Cell(text=e["artifact"])),
        shown=shown,
        note="Models of known makers that may be new projects." if found else "",
    )


def _unlisted(report: Report, shown: int) -> Iterator[Section]:
    found = report.get("discovery") or {}
    yield from table(
        "unlisted",
        "Makers whose models could not be listed",
        ("status", "maker", "why"),
        found.get("failed", []),
        lambda e: (Cell(text=e["status"]), Cell(text=e["maker"]), Cell(text=e["reason"])),
        shown=shown,
    )


def _notified(report: Report) -> Iterator[Section]:
    entries = [entry for entry in report.get("notified") or [] if not entry["ok"]]
    yield from table(
        "notified",
        "This report could not be sent",
        ("by", "why"),
        entries,
        lambda e: (Cell(text=e["channel"]), Cell(text=e["reason"])),
        shown=5,
    )


def summary(report: Report) -> list[str]:
    """What rating and discovery came to, in sentences."""
    told = []
    if report["proposals"] is not None:
        told.append(
            f"{count_of(report['projects'], 'project')} rated: {count_of(report['proposals'], 'proposal')}, "
            f"{report['new_proposals']:,} of them new; {report['cannot_tell']:,} cannot be told."
        )
    found = report.get("discovery")
    if found:
        told.append(
            f"{count_of(found['models'], 'model')} of {count_of(found['makers'], 'maker')} looked at: "
            f"{count_of(len(found['candidates']), 'new candidate')}."
        )
    if report.get("last_success") and report["kind"] == "nightly" and (report.get("exit_code") not in (0, 3)):
        told.append(f"The last night that ended well was that of {day(report['last_success'])}.")
    return told


def headline(report: Report) -> str:
    """Which run the report is about."""
    number = f"Run {report['run']} ({report['kind']})" if report.get("run") else f"The {report['kind']} run"
    return f"{number} of {moment(report['started'])}"
