"""The stored reports of runs."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from db.models import RunRow
from pipelines.errors import UsageError
from pipelines.model import JsonValue


def save_report(session: Session, run_id: int, report: Mapping[str, JsonValue]) -> None:
    """Replace the report of a run that has ended. Raises UsageError when there is no such run."""
    run = session.get(RunRow, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id}")
    run.report = dict(report)
    session.flush()
