"""The audit log: who did what at the desk, when, and from where. It is only ever added to."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TextIO

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from db.models import AuditRow, DecisionRow, ProjectRow
from db.review_values import AuditEntry as AuditEntry
from db.review_values import AuditFilter as AuditFilter
from pipelines.errors import UsageError
from pipelines.exports.cells import guarded
from pipelines.model import DecisionKind, JsonValue

NOBODY = "-"
"""The actor where nobody was signed in."""

AT_ONCE = 1000
"""Entries that are held at a time."""

COLUMNS = ("id", "at", "actor", "action", "subject", "address", "detail")


def record(
    session: Session,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, JsonValue] | None = None,
    address: str = "",
) -> int:
    """Note what is done, in the transaction that does it; the number of the entry. No secrets in `detail`."""
    values = {
        "at": at,
        "actor": actor or NOBODY,
        "action": action,
        "subject": subject,
        "detail": dict(detail or {}),
        "address": address,
    }
    return session.execute(insert(AuditRow).returning(AuditRow.id), values).scalar_one()


def record_decision(session: Session, decision_id: int, now: datetime) -> int:
    """Note a decision that was made at the terminal, as the desk notes its own."""
    query = (
        select(DecisionRow.kind, DecisionRow.curator, ProjectRow.slug, DecisionRow.dimension)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(DecisionRow.id == decision_id)
    )
    kind, curator, slug, dimension = session.execute(query).one()
    return record(
        session,
        at=now,
        actor=curator,
        action="undo" if kind is DecisionKind.UNDO else "decision",
        subject=f"{slug} {dimension}",
        detail={"decision": decision_id, "kind": kind.value, "by": "terminal"},
    )


def load_audit(
    session: Session,
    filters: AuditFilter = AuditFilter(),  # noqa: B008  frozen
    limit: int = 100,
    before_id: int | None = None,
) -> list[AuditEntry]:
    """The latest entries, newest first; those before a number if one is given."""
    query = select(AuditRow).where(*_conditions(filters))
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return [_entry(row) for row in session.scalars(query.order_by(AuditRow.id.desc()).limit(limit))]


def load_actions(session: Session) -> list[str]:
    """Every action that was ever recorded."""
    return sorted(session.scalars(select(AuditRow.action).distinct()))


def iter_audit(session: Session, filters: AuditFilter = AuditFilter()) -> Iterator[AuditEntry]:  # noqa: B008  frozen
    """All entries, oldest first, a few in memory at a time."""
    last = 0
    while True:
        query = select(AuditRow).where(AuditRow.id > last, *_conditions(filters)).order_by(AuditRow.id)
        found = [_entry(row) for row in session.scalars(query.limit(AT_ONCE))]
        session.expunge_all()
        yield from found
        if len(found) < AT_ONCE:
            return
        last = found[-1].id


def write_audit(entries: Iterator[AuditEntry], out: TextIO, suffix: str) -> int:
    """Write entries as CSV or as JSON, a line each; how many. Raises UsageError for another suffix."""
    if suffix not in (".csv", ".jsonl"):
        raise UsageError(
            f"the audit log is exported as .csv or .jsonl, not as {suffix or 'a file without suffix'}"
        )
    number = 0
    rows = csv.writer(out, lineterminator="\n")
    if suffix == ".csv":
        rows.writerow(COLUMNS)
    for entry in entries:
        number += 1
        if suffix == ".csv":
            detail = json.dumps(entry.detail, ensure_ascii=False, sort_keys=True)
            texts = (entry.actor, entry.action, entry.subject, entry.address, detail)
            rows.writerow([entry.id, entry.at.isoformat(), *(guarded(text) for text in texts)])
        else:
            out.write(json.dumps(as_json(entry), ensure_ascii=True) + "\n")
    return number


def as_json(entry: AuditEntry) -> dict[str, JsonValue]:
    """An entry as JSON."""
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "address": entry.address,
        "detail": dict(entry.detail),
    }


def _conditions(filters: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.actors:
        found.append(AuditRow.actor.in_(filters.actors))
    if filters.actions:
        found.append(AuditRow.action.in_(filters.actions))
    if filters.subject:
        found.append(AuditRow.subject.contains(filters.subject, autoescape=True))
    if filters.since is not None:
        found.append(AuditRow.at >= filters.since)
    if filters.until is not None:
        found.append(AuditRow.at < filters.until)
    return found


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=row.detail if isinstance(row.detail, dict) else {},
        address=row.address,
    )
