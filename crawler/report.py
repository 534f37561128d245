"""The report of a run: a JSON object, and the same for people to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from crawler.sources.base import Usage
from crawler.terminal import line, safe
from pipelines.model import JsonValue, VisitStatus

if TYPE_CHECKING:
    from crawler.discovery import Discovered
    from crawler.gather import Gathered
    from crawler.rating import Rated

HUB = "huggingface"
UNREAD_SHOWN = 200
"""Places named in a report that could not be read; the count is always whole."""


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
) -> dict[str, JsonValue]:
    """What was visited and what came of it. `waiting` and `candidates` count what a curator is asked."""
    by_source: dict[str, dict[str, JsonValue]] = {}
    for (source, status), number in sorted(gathered.visits.items()):
        by_source.setdefault(source, {})[status.value] = number
    for source, usage in sorted(_usages(gathered, discovered).items()):
        by_source.setdefault(source, {}).update(
            requests=usage.requests, charged=usage.charged, bytes=usage.bytes, remaining=usage.remaining
        )
    unread = [
        {
            "artifact": str(visit.ref),
            "part": visit.part,
            "status": visit.status.value,
            "reason": visit.reason,
            "url": visit.url,
        }
        for visit in sorted(gathered.unread, key=lambda v: (v.status.value, str(v.ref), v.part))
    ]
    errors = [*gathered.internal_errors, *([discovered.internal_error] if discovered else [])]
    return {
        "run": run_id,
        "kind": kind,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "seconds": round((ended - started).total_seconds(), 1),
        "artifacts": len(gathered.artifacts),
        "artifacts_by_kind": dict(sorted(Counter(ref.kind.value for ref in gathered.artifacts).items())),
        "sources": by_source,
        "new_snapshots": gathered.new_snapshots,
        "failed": gathered.count(VisitStatus.FAILED),
        "denied": gathered.count(VisitStatus.DENIED),
        "missing": gathered.count(VisitStatus.MISSING),
        "unread": unread[:UNREAD_SHOWN],
        "unread_not_shown": max(0, len(unread) - UNREAD_SHOWN),
        "document_problems": [
            {
                "artifact": str(item.ref),
                "part": item.part,
                "problem": item.value.get("problem"),
                "url": item.url,
            }
            for item in sorted(gathered.problems, key=lambda item: (str(item.ref), item.part, item.key))
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
    }


def _usages(gathered: Gathered, discovered: Discovered | None) -> dict[str, Usage]:
    """What every service was asked for; the lists that discovery reads are the Hub's."""
    usages = dict(gathered.usage)
    if discovered is None or not discovered.usage.requests:
        return usages
    hub, lists = usages.get(HUB, Usage()), discovered.usage
    usages[HUB] = Usage(
        requests=hub.requests + lists.requests,
        charged=hub.charged + lists.charged,
        bytes=hub.bytes + lists.bytes,
        remaining=hub.remaining if lists.remaining is None else lists.remaining,
    )
    return usages


_STATUSES = ("ok", "unchanged", "missing", "denied", "failed")


def format_report(report: Mapping[str, JsonValue], *, unread_shown: int = 15) -> str:
    """The report as text: a table of sources, what could not be read, what waits for a curator."""
    lines = [f"Run {report['run']} ({report['kind']}), {report['seconds']} s"]
    sources: Mapping[str, Mapping[str, JsonValue]] = report["sources"]
    if sources:
        lines += [
            "",
            f"{'source':<12}" + "".join(f"{name:>10}" for name in (*_STATUSES, "requests", "charged", "KiB")),
        ]
        for name, row in sources.items():
            cells = [row.get(status, 0) for status in _STATUSES]
            cells += [
                row.get("requests", ""),
                row.get("charged", ""),
                round(row["bytes"] / 1024) if "bytes" in row else "",
            ]
            lines.append(f"{name:<12}" + "".join(f"{cell!s:>10}" for cell in cells))
        lines.append("")
    if sources and report["kind"] != "discover":
        lines.append(f"{report['artifacts']} artifacts visited, {report['new_snapshots']} new snapshots")
    troubles = [entry for entry in report["unread"] if entry["status"] in ("failed", "denied")]
    if troubles:
        lines += [
            "",
            f"{report['failed']} failed and {report['denied']} denied (what was read of them earlier still stands):",
        ]
        lines += [
            f"  {e['status']:<7} {safe(e['artifact'])} {safe(e['part'])}: {line(e['reason'], 200)}"
            for e in troubles[:unread_shown]
        ]
        rest = report["failed"] + report["denied"] - min(len(troubles), unread_shown)
        if rest > 0:
            lines.append(f"  … and {rest} more (`--json` names them)")
    problems = report["document_problems"]
    if problems:
        lines += ["", f"{len(problems)} new documents with a problem (what can be read of them is used):"]
        lines += [
            f"  {safe(e['artifact'])} {safe(e['part'])}: {e['problem'].replace('_', ' ')}"
            for e in problems[:unread_shown]
        ]
    for error in report["internal_errors"]:
        lines += ["", f"INTERNAL ERROR: {line(error, 400)}"]
    if report["proposals"] is not None:
        lines += [
            "",
            f"{report['projects']} projects rated: {report['proposals']} proposals, {report['new_proposals']} of them new; "
            f"{report['cannot_tell']} cannot be told",
        ]
    if report["discovery"]:
        lines += _discovery_lines(report["discovery"], unread_shown)
    lines.append(f"{report['questions']} questions wait for a curator: openness proposals list")
    if report["candidates_waiting"]:
        lines.append(
            f"{report['candidates_waiting']} candidates wait for a curator: openness candidates list"
        )
    return "\n".join(lines)


def _discovery_lines(found: Mapping[str, JsonValue], shown: int) -> list[str]:
    """What was discovered; `shown` limits the makers who are named."""
    lines = [
        f"{found['models']} models of {found['makers']} makers looked at: {len(found['candidates'])} new candidates"
    ]
    lines += [f"  candidate {item['id']}: {safe(item['artifact'])}" for item in found["candidates"][:shown]]
    lines += [
        f"  {item['status']:<7} models of {safe(item['maker'])}: {line(item['reason'], 200)}"
        for item in found["failed"][:shown]
    ]
    rest = max(0, len(found["candidates"]) - shown) + max(0, len(found["failed"]) - shown)
    if rest:
        lines.append(f"  … and {rest} more (`--json` names them)")
    return lines
