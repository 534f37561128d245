"""Runs: the latest ones, and what each of them has reported."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.load import load_run, load_runs
from db.overview import night_of
from review.calls import Call, route, view
from review.paging import address, number_of
from review.report_view import shown_report

ROWS = 50


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
    return call.page("run.html", run=run, night=night_of(run), report=shown_report(run.report))


routes = [route("/runs", run_list), route("/runs/{id:int}", run_page)]
