"""Runs: the latest ones, and what each of them has reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.load import load_run, load_runs
from db.overview import night_of
from pipelines.report.sections import sections, summary
from pipelines.report.tables import Report, Section
from review.calls import Call, route, view
from review.paging import address, number_of

ROWS = 50
ENTRIES = 200
"""Entries of one list of a report that a page shows."""


@view()
def run_list(call: Call) -> Response:
    """The runs, newest first."""
    before = number_of(call.query, "before")
    found = load_runs(call.session, limit=ROWS + 1, before_id=before)
    shown = found[:ROWS]
    return call.page(
        "runs.html",
        runs=[(run, night_of(run)) for run in shown],
        next=address("/runs", before=shown[-1].id) if len(found) > ROWS else "",
        first="/runs" if before else "",
    )


@view()
def run_page(call: Call) -> Response:
    """One run with its report."""
    run = load_run(call.session, call.path["id"])
    if run is None:
        raise HTTPException(404, "There is no such run.")
    return call.page(
        "run.html",
        run=run,
        night=night_of(run),
        broke_off=run.report.get("broke_off") or "",
        told=_told(run.report),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A report in sentences and tables, and commands with what each is for."""

    summary: Sequence[str]
    sections: Sequence[Section]
    steps: Sequence[tuple[str, str]]


def _told(report: Report) -> _Told | None:
    """What a report tells; None where it has another form than this version's."""
    if not report:
        return _Told(summary=(), sections=(), steps=())
    try:
        return _Told(
            summary=summary(report),
            sections=sections(report, ENTRIES),
            steps=[(step["command"], step["why"]) for step in report.get("next") or ()],
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


routes = [route("/runs", run_list), route("/runs/{id:int}", run_page)]
