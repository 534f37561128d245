"""The report of any run: the one that is stored, completed from the database where it lacks something.

A run that was killed has stored none, one that was interrupted says nothing of changes, and one of
an earlier version of the program knows fewer things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy.orm import Session

from crawler.context import Context
from crawler.gathered import gathered_before
from crawler.rating import Rated
from crawler.report.aftermath import aftermath_of
from crawler.report.build import finished, run_report
from crawler.report.changes import changes_json
from crawler.report.services import SERVICE_OF
from crawler.sources.base import Source
from db.candidates import count_candidates
from db.load import load_run, load_runs
from db.models import RunStatus
from db.queue import count_queue
from db.runs import load_run_ratings
from db.values import StoredRun
from pipelines.errors import UsageError
from pipelines.model import JsonValue
from pipelines.report.sections import STATUSES

RATING = ("nightly", "rate")
"""The kinds of runs that rate."""


def load_chosen_run(session: Session, run_id: int | None) -> StoredRun:
    """The run with that number; without one the latest night, else the latest run of any kind.

    Raises UsageError when there is none.
    """
    if run_id is not None:
        run = load_run(session, run_id)
        if run is None:
            raise UsageError(f"there is no run {run_id}")
        return run
    latest = load_runs(session, kinds=["nightly"], limit=1) or load_runs(session, limit=1)
    if not latest:
        raise UsageError("there was no run yet: openness nightly")
    return latest[0]


def load_report(context: Context, session: Session, run: StoredRun) -> dict[str, JsonValue]:
    """The report of a run. What it does not say itself is told as things stand now."""
    if not run.report:
        return _rebuilt(context, session, run)
    report = dict(run.report)
    if report.get("changes") is not None or run.kind == "discover":
        return report if "verdict" in report else finished(_completed(report, run))
    return finished(_with_aftermath(context, session, _completed(report, run)))


def _completed(report: dict[str, JsonValue], run: StoredRun) -> dict[str, JsonValue]:
    """The report with what one of an earlier version does not have."""
    rows: Mapping[str, Mapping[str, JsonValue]] = report["sources"]
    return {
        "status": run.status.value,
        "exit_code": run.exit_code,
        "broke_off": "",
        "visits": {status: sum(row.get(status, 0) for row in rows.values()) for status in STATUSES},
        "requests": sum(row.get("requests", 0) for row in rows.values()),
        "charged": sum(row.get("charged", 0) for row in rows.values()),
        "bytes": sum(row.get("bytes", 0) for row in rows.values()),
        "budget": [],
        "changes": None,
        "services_failing": [],
        "stock": None,
        "last_success": None,
        "notified": [],
    } | report


def _with_aftermath(context: Context, session: Session, report: dict[str, JsonValue]) -> dict[str, JsonValue]:
    aftermath = aftermath_of(context, session, report["run"], report["sources"])
    return report | {
        "changes": changes_json(aftermath.changes),
        "services_failing": [
            {"service": item.service, "since": item.since, "nights": item.nights}
            for item in aftermath.failing
        ],
    }


@dataclass(frozen=True, slots=True)
class _Named:
    """A service of which only the name matters."""

    name: str


def _rebuilt(context: Context, session: Session, run: StoredRun) -> dict[str, JsonValue]:
    """The report of a run that has stored none, from what it has stored else."""
    named = {kind: cast("Source", _Named(name)) for kind, name in SERVICE_OF.items()}
    gathered = gathered_before(session, run, named)
    now = context.clock()
    rated: Rated | None = None
    if run.kind in RATING:
        found = load_run_ratings(session, run.id)
        rated = Rated(
            projects=found.projects, proposals=found.proposals, new=found.new, cannot_tell=found.cannot_tell
        )
    sources: dict[str, dict[str, int]] = {}
    for (name, status), number in gathered.visits.items():
        sources.setdefault(name, {})[status.value] = number
    return run_report(
        run_id=run.id,
        kind=run.kind,
        started=run.started_at,
        ended=run.ended_at or now,
        gathered=gathered,
        rated=rated,
        waiting=count_queue(session, now),
        candidates=count_candidates(session),
        status=run.status,
        exit_code=run.exit_code,
        broke_off="" if run.status is RunStatus.RUNNING else "it left no report, so it was killed",
        aftermath=aftermath_of(context, session, run.id, sources),
    )
