"""What the database tells of a run once it is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from crawler.context import Context
from crawler.gathered import Gathered
from crawler.report.services import FailingService, Sources, failing_services, silent_services
from db.changes import NIGHTLY, Changes, Stock, load_changes, load_stock
from db.load import load_run, load_runs
from db.session import session_scope
from pipelines.errors import UsageError

log = logging.getLogger(__name__)

NIGHTS_LOOKED_AT = 120
"""Runs that are searched for the night on which a service began to fail."""

ENTRIES = 200
"""Entries of each list in a report; the counts are always whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What a run has changed, what the database holds after it, and which services fail."""

    changes: Changes
    stock: Stock
    failing: tuple[FailingService, ...] = ()


def load_aftermath(context: Context, run_id: int, gathered: Gathered) -> Aftermath | None:
    """The aftermath of a run that is about to end; None where it cannot be told, which the log explains.

    A defect here must not cost the run its end.
    """
    sources: dict[str, dict[str, int]] = {}
    for (name, status), number in gathered.visits.items():
        sources.setdefault(name, {})[status.value] = number
    try:
        with session_scope(context.engine) as session:
            return aftermath_of(context, session, run_id, sources)
    except Exception:
        log.exception("what the run has changed could not be told")
        return None


def aftermath_of(context: Context, session: Session, run_id: int, sources: Sources) -> Aftermath:
    """The aftermath of any run. Raises UsageError when there is no such run."""
    run = load_run(session, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id}")
    failing: tuple[FailingService, ...] = ()
    if silent_services(sources):
        runs = load_runs(session, kinds=NIGHTLY, limit=NIGHTS_LOOKED_AT)
        earlier = [other for other in runs if other.id < run_id]
        failing = failing_services(sources, run.started_at.isoformat(), earlier)
    return Aftermath(
        changes=load_changes(session, run_id, context.clock(), limit=ENTRIES),
        stock=load_stock(session),
        failing=failing,
    )
