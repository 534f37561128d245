"""`openness status`: how things stand, without a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import click
from sqlalchemy.orm import Session

from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from crawler.report.services import SERVICE_OF
from crawler.terminal import json_text, line, safe
from db.candidates import count_candidates
from db.load import load_latest_visits, load_projects, load_runs
from db.queue import count_queue
from db.ratings import load_ratings
from db.session import session_scope
from db.troubles import FailingArtifact, failing_artifacts, load_troubles
from db.values import StoredRun, StoredVisit
from db.waiting import PassedOver, load_passed_over
from pipelines.model import JsonValue, VisitStatus
from pipelines.report.words import count_of, moment, since

SHOWN = 20
"""Entries of a list on a terminal; `--json` has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything that `openness status` tells."""

    projects: int
    artifacts: int
    cells: int
    rated_cells: int
    questions: int
    candidates: int
    last_run: StoredRun | None
    unread: Sequence[StoredVisit]
    failing: Sequence[FailingArtifact]
    waiting: Sequence[PassedOver]
    now: datetime

    @property
    def sources(self) -> Mapping[str, Mapping[str, JsonValue]]:
        """What the report of the last run says of each source."""
        return self.last_run.report.get("sources", {}) if self.last_run else {}


def load_status(context: Context, session: Session) -> Status:
    """How things stand now."""
    projects = load_projects(session)
    runs = load_runs(session, limit=1)
    refs = list({artifact.ref for project in projects for artifact in project.artifacts})
    unread = (VisitStatus.FAILED, VisitStatus.DENIED)
    return Status(
        projects=len(projects),
        artifacts=len(refs),
        cells=len(projects) * len(context.rubric.dimension_ids),
        rated_cells=len(load_ratings(session)),
        questions=count_queue(session, context.clock()),
        candidates=count_candidates(session),
        last_run=runs[0] if runs else None,
        unread=[visit for visit in load_latest_visits(session, refs) if visit.status in unread],
        failing=failing_artifacts(load_troubles(session, runs[0].id)) if runs else (),
        waiting=load_passed_over(session),
        now=context.clock(),
    )


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Projects, last run, queue length, budget left, what waits for a night, what could not be read.

    Example: openness status
    """
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:
        status = load_status(context, session)
    if as_json:
        click.echo(json_text(status_as_json(status)))
        return
    for text in format_status(status):
        click.echo(text)


def status_as_json(status: Status) -> dict[str, JsonValue]:
    """The whole of it."""
    last = status.last_run
    return {
        "projects": status.projects,
        "artifacts": status.artifacts,
        "cells": status.cells,
        "rated_cells": status.rated_cells,
        "questions": status.questions,
        "candidates": status.candidates,
        "last_run": {
            "id": last.id,
            "kind": last.kind,
            "started": last.started_at.isoformat(),
            "ended": last.ended_at.isoformat() if last.ended_at else None,
            "status": last.status.value,
            "exit_code": last.exit_code,
        }
        if last
        else None,
        "budget_left": {name: row.get("remaining") for name, row in status.sources.items()},
        "budget": {
            name: {key: row.get(key) for key in ("remaining", "limit", "resets_at")}
            for name, row in status.sources.items()
        },
        "waiting": [
            {
                "artifact": str(passed.ref),
                "slugs": list(passed.slugs),
                "service": SERVICE_OF[passed.ref.kind],
                "since": passed.waiting_since.isoformat(),
                "nights": passed.nights,
            }
            for passed in status.waiting
        ],
        "services_failing": list(last.report.get("services_failing") or ()) if last else [],
        "failing": [
            {
                "artifact": str(item.ref),
                "part": item.part,
                "parts": item.parts,
                "status": item.status.value,
                "reason": item.reason,
                "since": item.since.isoformat(),
                "nights": item.nights,
            }
            for item in status.failing
        ],
        "unread": [
            {
                "artifact": str(visit.ref),
                "part": visit.part,
                "status": visit.status.value,
                "reason": visit.reason,
                "since": visit.at.isoformat(),
                "stale": visit.stale,
            }
            for visit in status.unread
        ],
    }


def format_status(status: Status) -> Iterator[str]:
    """The same for people, a line each."""
    yield (
        f"{status.projects} projects with {status.artifacts} artifacts; "
        f"{status.rated_cells} of {status.cells} cells rated; {status.questions} questions wait"
    )
    if status.candidates:
        yield f"{status.candidates} candidates wait: openness candidates list"
    yield _last_run(status.last_run)
    for name, row in status.sources.items():
        if row.get("remaining") is not None:
            yield _budget_left(name, row, status.now)
    yield from _waiting(status.waiting)
    if status.last_run is not None:
        for entry in status.last_run.report.get("services_failing") or ():
            yield f"{entry['service']} told nothing {since(entry['since'], entry['nights'])}"
    yield from _failing(status.failing)
    yield from _unread(status.unread)


def _last_run(last: StoredRun | None) -> str:
    if last is None:
        return "no run yet: openness nightly"
    ended = (
        f"ended {last.ended_at:%Y-%m-%d %H:%M} UTC with code {last.exit_code}"
        if last.ended_at
        else "has not ended"
    )
    return f"last run: {last.kind} {last.id} of {last.started_at:%Y-%m-%d %H:%M} UTC, {last.status.value}, {ended}"


def _budget_left(name: str, row: Mapping[str, JsonValue], now: datetime) -> str:
    """What the last run left of a limit; nothing of that counts any more once it has begun anew."""
    limit, resets_at = row.get("limit"), row.get("resets_at")
    of = f" of {limit}" if limit is not None else ""
    told = f"budget left at {name}: {row['remaining']}{of} requests"
    if not resets_at:
        return told
    if datetime.fromisoformat(resets_at) <= now:
        return f"{told} after the last run; it has begun anew since"
    return f"{told}; it begins anew at {moment(resets_at)}"


def _waiting(waiting: Sequence[PassedOver]) -> Iterator[str]:
    """How many artifacts wait for a night at which service, and which of them longest."""
    if not waiting:
        return
    counts = Counter(SERVICE_OF[passed.ref.kind] for passed in waiting)
    places = ", ".join(f"{number} at {name}" for name, number in sorted(counts.items()))
    yield f"{count_of(len(waiting), 'artifact waits', 'artifacts wait')} for a night ({places}): openness nightly --plan"
    for passed in waiting[:SHOWN]:
        known = "" if passed.last_read else ", never read"
        yield (
            f"  {count_of(passed.nights, 'night'):<9} {safe(str(passed.ref))} "
            f"of {safe(', '.join(passed.slugs))}{known}"
        )
    yield from _more(len(waiting))


def _failing(failing: Sequence[FailingArtifact]) -> Iterator[str]:
    """What has failed for more than a night: the rest is among what could not be read last."""
    lasting = [item for item in failing if item.nights > 1]
    if not lasting:
        return
    yield f"{count_of(len(lasting), 'artifact has', 'artifacts have')} failed for more than a night:"
    for item in lasting[:SHOWN]:
        yield (
            f"  {count_of(item.nights, 'night'):<9} {item.status.value:<7} "
            f"{safe(f'{item.ref} {item.part}')}: {line(item.reason, 100)}"
        )
    yield from _more(len(lasting))


def _unread(unread: Sequence[StoredVisit]) -> Iterator[str]:
    if not unread:
        return
    yield f"{len(unread)} parts could not be read at their last visit:"
    for visit in unread[:SHOWN]:
        yield (
            f"  {visit.status.value:<7}{' (earlier reading stands)' if visit.stale else ''} "
            f"{safe(f'{visit.ref} {visit.part}')}: {line(visit.reason, 100)}"
        )
    yield from _more(len(unread))


def _more(number: int) -> Iterator[str]:
    if number > SHOWN:
        yield f"  … and {number - SHOWN} more (`--json` names them)"
