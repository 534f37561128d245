"""What is sent: the same report for a mail and for a chat."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crawler.report.html import html_report
from crawler.report.text import format_report
from crawler.terminal import line
from pipelines.errors import OpennessError
from pipelines.model import JsonValue
from pipelines.report.sections import headline
from pipelines.report.words import count_of, duration

MAIL_SHOWN = 25
"""Entries of each list in a mail; `openness report` tells more."""


class DeliveryError(OpennessError):
    """A message was not taken; the text says why, without anything secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message: subject, text and HTML for a mail; a short text and values for a webhook.

    `event` is `report`, or `no_report` for a night that left none. Nothing that was fetched
    stands in `chat` and in `values`.
    """

    event: str
    subject: str
    text: str
    html: str
    chat: str
    values: Mapping[str, JsonValue]


def chat_text(text: str) -> str:
    """A text that a chat shows as it is: it names nobody, links nowhere, and escapes what Slack wants escaped."""
    plain = line(text, 400).translate({ord("@"): " at ", ord("["): "(", ord("]"): ")", ord("`"): "'"})
    return html.escape(plain, quote=False)


def report_message(report: Mapping[str, JsonValue], host: str) -> Message:
    """The message that tells of a run."""
    verdict = report.get("verdict") or {"level": "none", "line": headline(report), "reasons": []}
    changes = report.get("changes") or {}
    new = changes.get("new_questions", {}).get("total")
    level = verdict["level"]
    facts = [
        count_of(report["artifacts"], "artifact") + " visited",
        count_of(report["new_snapshots"], "new snapshot"),
        *([count_of(new, "new question")] if new is not None else []),
        f"{count_of(report.get('requests', 0), 'request')} in {duration(report['seconds'])}",
    ]
    lines = [
        f"*{level.upper()}* {chat_text(headline(report))} on {chat_text(host)}",
        *(f"• {chat_text(reason['text'])}" for reason in verdict["reasons"]),
        ", ".join(facts),
    ]
    if report["questions"]:
        lines.append(
            f"{count_of(report['questions'], 'question waits', 'questions wait')}: `openness proposals list`"
        )
    if report["candidates_waiting"]:
        waiting = count_of(report["candidates_waiting"], "candidate waits", "candidates wait")
        lines.append(f"{waiting}: `openness candidates list`")
    return Message(
        event="report",
        subject=line(f"openness {verdict['line']}", 150),
        text=format_report(report, unread_shown=MAIL_SHOWN) + "\n",
        html=html_report(report, shown=MAIL_SHOWN),
        chat="\n".join(lines),
        values={
            "event": "report",
            "host": host,
            "run": report.get("run"),
            "kind": report["kind"],
            "status": report.get("status"),
            "exit_code": report.get("exit_code"),
            "level": level,
            "reasons": [reason["text"] for reason in verdict["reasons"]],
            "started": report["started"],
            "ended": report["ended"],
            "artifacts": report["artifacts"],
            "new_snapshots": report["new_snapshots"],
            "failed": report["failed"],
            "denied": report["denied"],
            "missing": report["missing"],
            "requests": report.get("requests"),
            "bytes": report.get("bytes"),
            "new_proposals": report["new_proposals"],
            "new_questions": new,
            "questions": report["questions"],
            "new_candidates": report["new_candidates"],
            "candidates_waiting": report["candidates_waiting"],
        },
    )


def no_report_message(reason: str, exit_code: int, began: datetime, host: str) -> Message:
    """The message that tells of a night that left no report: it could not begin, or not be brought to an end."""
    when = f"{began:%Y-%m-%d %H:%M} UTC"
    told = f"RED: no report of the night of {when} on {host}: {line(reason, 500)}"
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>openness</title></head>'
        f"<body><p>{html.escape(told)}</p></body></html>\n"
    )
    return Message(
        event="no_report",
        subject=line(f"openness {told}", 150),
        text=f"{told}\n\nIt ended with exit code {exit_code}. What is stored: openness status\n",
        html=page,
        chat=f"*RED* {chat_text(told.removeprefix('RED: '))}",
        values={
            "event": "no_report",
            "host": host,
            "kind": "nightly",
            "exit_code": exit_code,
            "level": "red",
            "reasons": [line(reason, 500)],
            "started": began.isoformat(),
        },
    )
