"""From what a run has noted and what the database tells of it to the report as a JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from crawler.report.changes import changes_json
from crawler.report.next_steps import next_steps
from crawler.report.verdict import is_success, judge
from crawler.sources.base import Usage
from db.models import RunStatus
from pipelines.model import JsonValue, VisitStatus
from pipelines.report.sections import STATUSES

if TYPE_CHECKING:
    from crawler.budget import Plan
    from crawler.discovery import Discovered
    from crawler.gathered import Gathered
    from crawler.rating import Rated
    from crawler.report.aftermath import Aftermath

HUB = "huggingface"
UNREAD_SHOWN = 200
"""Places named in a report that could not be read; the count is always whole."""

_URGENCY = {status: place for place, status in enumerate(reversed(VisitStatus))}
"""Failed before denied before missing."""


def run_report(
    *,
    run_id: int,
    kind: str,
    started: datetime,
    ended: datetime,
    gathered: Gathered,
    rated: Rated | None,
    waiting: int,
    discovered: Discovered | None = None,
    candidates: int = 0,
    plan: Plan | None = None,
    status: RunStatus = RunStatus.DONE,
    exit_code: int | None = 0,
    broke_off: str = "",
    aftermath: Aftermath | None = None,
) -> dict[str, JsonValue]:
    """What was visited and what came of it. `waiting` and `candidates` count what a curator is asked.

    `broke_off` says why a run ended before its time. Without an aftermath (there is no time for it
    when somebody interrupts a run) the report says nothing of changes.
    """
    usages = _usages(gathered, discovered)
    by_source = _sources(gathered, usages)
    unread = [
        {
            "artifact": str(visit.ref),
            "part": visit.part,
            "status": visit.status.value,
            "reason": visit.reason,
            "url": visit.url,
        }
        for visit in sorted(gathered.unread, key=lambda v: (_URGENCY[v.status], str(v.ref), v.part))
    ]
    errors = [*gathered.internal_errors, *([discovered.internal_error] if discovered else [])]
    stock = aftermath.stock if aftermath else None
    report: dict[str, JsonValue] = {
        "run": run_id,
        "kind": kind,
        "status": status.value,
        "exit_code": exit_code,
        "broke_off": broke_off,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "seconds": round((ended - started).total_seconds(), 1),
        "artifacts": sum(gathered.artifacts.values()),
        "artifacts_by_kind": {kind.value: number for kind, number in sorted(gathered.artifacts.items())},
        "sources": by_source,
        "visits": {name: sum(row.get(name, 0) for row in by_source.values()) for name in STATUSES},
        "requests": sum(usage.requests for usage in usages.values()),
        "charged": sum(usage.charged for usage in usages.values()),
        "bytes": sum(usage.bytes for usage in usages.values()),
        "budget": _budget(plan, usages),
        "new_snapshots": gathered.new_snapshots,
        "waiting_parts": sum(gathered.waiting.values()),
        "failed": gathered.count(VisitStatus.FAILED),
        "denied": gathered.count(VisitStatus.DENIED),
        "missing": gathered.count(VisitStatus.MISSING),
        "unread": unread[:UNREAD_SHOWN],
        "unread_not_shown": max(0, gathered.unread_count - UNREAD_SHOWN),
        "document_problems": [
            {
                "artifact": str(item.ref),
                "part": item.part,
                "problem": item.value.get("problem"),
                "url": item.url,
            }
            for item in gathered.problems
        ],
        "internal_errors": [error for error in errors if error],
        "projects": rated.projects if rated else None,
        "proposals": rated.proposals if rated else None,
        "new_proposals": rated.new if rated else None,
        "cannot_tell": rated.cannot_tell if rated else None,
        "questions": waiting,
        "new_candidates": len(discovered.new) if discovered else None,
        "candidates_waiting": candidates,
        "discovery": discovered.as_json() if discovered else None,
        "changes": changes_json(aftermath.changes) if aftermath else None,
        "services_failing": [
            {"service": item.service, "since": item.since, "nights": item.nights}
            for item in (aftermath.failing if aftermath else ())
        ],
        "stock": {
            "projects": stock.projects,
            "ratings": stock.ratings,
            "snapshots": stock.snapshots,
            "snapshot_bytes": stock.snapshot_bytes,
        }
        if stock
        else None,
        "notified": [],
    }
    finished(report)
    report["last_success"] = _last_success(report, aftermath)
    return report


def finished(report: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The report with what follows from it: the verdict, and what to do next."""
    verdict = judge(report)
    report["verdict"] = verdict.as_json() if verdict else None
    report["next"] = next_steps(report)
    return report


def _sources(gathered: Gathered, usages: Mapping[str, Usage]) -> dict[str, dict[str, JsonValue]]:
    by_source: dict[str, dict[str, JsonValue]] = {}
    for (source, status), number in sorted(gathered.visits.items()):
        by_source.setdefault(source, {})[status.value] = number
    for source, usage in sorted(usages.items()):
        by_source.setdefault(source, {}).update(
            requests=usage.requests,
            charged=usage.charged,
            bytes=usage.bytes,
            remaining=usage.remaining,
            limit=usage.limit,
            resets_at=usage.resets_at.isoformat() if usage.resets_at else None,
        )
    return by_source


def _usages(gathered: Gathered, discovered: Discovered | None) -> dict[str, Usage]:
    """What every service was asked for; the lists that discovery reads are the Hub's."""
    usages = dict(gathered.usage)
    if discovered is None or not discovered.usage.requests:
        return usages
    hub, lists = usages.get(HUB, Usage()), discovered.usage
    latest = hub if lists.remaining is None else lists
    usages[HUB] = replace(
        latest,
        requests=hub.requests + lists.requests,
        charged=hub.charged + lists.charged,
        bytes=hub.bytes + lists.bytes,
    )
    return usages


def _budget(plan: Plan | None, usages: Mapping[str, Usage]) -> list[dict[str, JsonValue]]:
    """What was planned for each service, with what is left at the end (None where nobody told)."""
    if plan is None:
        return []
    return [
        part.as_json() | {"left_at_end": usages.get(part.service, Usage()).remaining}
        for part in plan.services
    ]


def _last_success(report: dict[str, JsonValue], aftermath: Aftermath | None) -> str | None:
    """When a night last ended well: this one, or the one before it that did."""
    if is_success(report):
        return str(report["ended"])
    before = aftermath.changes.last_success if aftermath else None
    return before.isoformat() if before else None
