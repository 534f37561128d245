"""The audit log: what was done at the desk, and the whole of it as a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from db.audit import AuditFilter, iter_audit, load_actions, load_audit, write_audit
from db.review_values import UserRole
from review.calls import Call, route, view
from review.paging import address, number_of, text_of

ROWS = 100
_MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


def _filter(call: Call) -> AuditFilter:
    actor, action = text_of(call.query, "actor"), text_of(call.query, "action")
    until = _day(call, "until")
    return AuditFilter(
        actors=(actor,) if actor else (),
        actions=(action,) if action else (),
        subject=text_of(call.query, "subject"),
        since=_day(call, "since"),
        until=None if until is None else until + timedelta(days=1),
    )


def _day(call: Call, name: str) -> datetime | None:
    text = text_of(call.query, name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise HTTPException(400, f"{name} is a day such as 2031-03-01.") from None


@view(role=UserRole.ADMIN)
def audit(call: Call) -> Response:
    """The log, newest first."""
    asked = {name: text_of(call.query, name) for name in ("actor", "action", "subject", "since", "until")}
    before = number_of(call.query, "before")
    found = load_audit(call.session, _filter(call), limit=ROWS + 1, before_id=before)
    shown = found[:ROWS]
    return call.page(
        "audit.html",
        entries=shown,
        actions=load_actions(call.session),
        asked=asked,
        next=address("/audit", **asked, before=shown[-1].id) if len(found) > ROWS else "",
        first=address("/audit", **asked) if before else "",
        exports={suffix: address(f"/audit.{suffix}", **asked) for suffix in _MEDIA},
    )


def _export(call: Call, suffix: str) -> Response:
    filters = _filter(call)
    out = io.StringIO()
    write_audit(iter_audit(call.session, filters), out, f".{suffix}")
    response = StreamingResponse(_pieces(out), media_type=_MEDIA[suffix])
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{call.now:%Y-%m-%d}.{suffix}"'
    return response


def _pieces(out: io.StringIO) -> Iterator[bytes]:
    out.seek(0)
    while piece := out.read(1 << 16):
        yield piece.encode("utf-8", "replace")


@view(role=UserRole.ADMIN)
def audit_csv(call: Call) -> Response:
    """The log as CSV."""
    return _export(call, "csv")


@view(role=UserRole.ADMIN)
def audit_jsonl(call: Call) -> Response:
    """The log as JSON, a line an entry."""
    return _export(call, "jsonl")


routes = [
    route("/audit", audit),
    route("/audit.csv", audit_csv),
    route("/audit.jsonl", audit_jsonl),
]
