"""The front page: what the last nights came to, which ratings are shaken, which sources fail.

What a night has found out is read from its stored report, as nothing of it changes before the next one.
A run that left no report is told from the tables. Reports of earlier versions know fewer things, and a
report is only JSON: what is not there, or not what it should be, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from db.basis import ShakenRating, load_shaken_ratings
from db.load import load_runs
from db.models import RunStatus
from db.rows import parse_ref
from db.troubles import FailingArtifact, failing_artifacts, load_projects_of, load_troubles
from db.values import StoredRun
from pipelines.model import JsonValue, Rating, VisitStatus

GATHERING = ("nightly", "crawl")
"""The kinds of runs that visit artifacts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A run that visited artifacts, in numbers. `level` is green, attention or red; empty where nobody judged it.

    `questions` are those that it raised, None where its report does not tell; `seconds` None while it runs.
    """

    run_id: int
    kind: str
    started_at: datetime
    status: RunStatus
    exit_code: int | None
    level: str
    line: str
    seconds: float | None
    visits: Mapping[VisitStatus, int]
    new_snapshots: int
    requests: int
    questions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingService:
    """A service that told nothing of what it was asked."""

    service: str
    since: datetime | None
    nights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What was stale, gone and failing after the latest run that visited artifacts (`run_id`, 0: there was none).

    Lists hold the first entries, the totals count all. `by_service` counts artifacts that could not be read.
    """

    run_id: int = 0
    at: datetime | None = None
    stale: tuple[ShakenRating, ...] = ()
    stale_total: int = 0
    gone: tuple[ShakenRating, ...] = ()
    gone_total: int = 0
    failing: tuple[FailingArtifact, ...] = ()
    failing_total: int = 0
    services: tuple[FailingService, ...] = ()
    by_service: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def load_nights(session: Session, limit: int = 30) -> list[Night]:
    """The latest runs that visited artifacts, oldest first."""
    runs = load_runs(session, kinds=GATHERING, limit=limit)
    return [night_of(run) for run in reversed(runs)]


def night_of(run: StoredRun) -> Night:
    """A run in numbers, as its report tells them; zeros where it tells nothing."""
    report = run.report
    verdict, visits = _mapping(report, "verdict"), _mapping(report, "visits")
    changes = _mapping(report, "changes")
    seconds = (run.ended_at - run.started_at).total_seconds() if run.ended_at else None
    return Night(
        run_id=run.id,
        kind=run.kind,
        started_at=run.started_at,
        status=run.status,
        exit_code=run.exit_code,
        level=_text(verdict, "level"),
        line=_text(verdict, "line"),
        seconds=seconds,
        visits={status: _number(visits, status.value) or 0 for status in VisitStatus},
        new_snapshots=_number(report, "new_snapshots") or 0,
        requests=_number(report, "requests") or 0,
        questions=_number(_mapping(changes, "new_questions"), "total"),
    )


def load_aftermath(session: Session, now: datetime, limit: int = 50) -> Aftermath:
    """What was stale, gone and failing after the latest run that visited artifacts."""
    finished = [run for run in load_runs(session, kinds=GATHERING, limit=5) if run.ended_at is not None]
    if not finished:
        return Aftermath()
    run = finished[0]
    changes = _mapping(run.report, "changes")
    if not changes:
        return _from_tables(session, run, limit)
    stale, gone = _mapping(changes, "stale_ratings"), _mapping(changes, "vanished_ratings")
    failing = _mapping(changes, "failing")
    by_service = _mapping(failing, "by_service")
    return Aftermath(
        run_id=run.id,
        at=run.ended_at,
        stale=tuple(_shaken(_entries(stale), is_gone=False))[:limit],
        stale_total=_number(stale, "total") or 0,
        gone=tuple(_shaken(_entries(gone), is_gone=True))[:limit],
        gone_total=_number(gone, "total") or 0,
        failing=tuple(_failing(_entries(failing)))[:limit],
        failing_total=_number(failing, "total") or 0,
        services=tuple(_services(run.report)),
        by_service={name: _counts(by_service.get(name)) for name in sorted(by_service)},
    )


def _from_tables(session: Session, run: StoredRun, limit: int) -> Aftermath:
    """The same for a run that was cut off before it could tell."""
    troubles = load_troubles(session, run.id)
    shaken = load_shaken_ratings(session, run.id, troubles, run.started_at)
    stale, gone = [item for item in shaken if not item.is_gone], [item for item in shaken if item.is_gone]
    failing = failing_artifacts(troubles)
    slugs = load_projects_of(session, [item.ref for item in failing[:limit]])
    by_kind: dict[str, dict[str, int]] = {}
    for item in failing:
        row = by_kind.setdefault(item.ref.kind.value, {})
        row[item.status.value] = row.get(item.status.value, 0) + 1
    return Aftermath(
        run_id=run.id,
        at=run.ended_at,
        stale=tuple(stale[:limit]),
        stale_total=len(stale),
        gone=tuple(gone[:limit]),
        gone_total=len(gone),
        failing=tuple(replace(item, slugs=slugs.get(item.ref, ())) for item in failing[:limit]),
        failing_total=len(failing),
        by_service=by_kind,
    )


def _shaken(entries: Sequence[Mapping[str, JsonValue]], *, is_gone: bool) -> Iterator[ShakenRating]:
    for entry in entries:
        ref, since = parse_ref(_text(entry, "artifact")), _time(entry.get("since"))
        rating, status = entry.get("rating"), entry.get("status")
        if ref is None or since is None or rating not in tuple(Rating) or status not in tuple(VisitStatus):
            continue
        yield ShakenRating(
            slug=_text(entry, "slug"),
            project=_text(entry, "project"),
            dimension=_text(entry, "dimension"),
            rating=Rating(rating),
            ref=ref,
            part=_text(entry, "part"),
            url=_text(entry, "url"),
            status=VisitStatus(status),
            reason=_text(entry, "reason"),
            is_gone=is_gone,
            since=since,
            nights=_number(entry, "nights") or 1,
            is_new=bool(entry.get("is_new")),
        )


def _failing(entries: Sequence[Mapping[str, JsonValue]]) -> Iterator[FailingArtifact]:
    for entry in entries:
        ref, since, status = (
            parse_ref(_text(entry, "artifact")),
            _time(entry.get("since")),
            entry.get("status"),
        )
        slugs = entry.get("slugs")
        if ref is None or since is None or status not in tuple(VisitStatus):
            continue
        yield FailingArtifact(
            ref=ref,
            part=_text(entry, "part"),
            parts=_number(entry, "parts") or 1,
            url=_text(entry, "url"),
            status=VisitStatus(status),
            reason=_text(entry, "reason"),
            since=since,
            nights=_number(entry, "nights") or 1,
            slugs=tuple(str(slug) for slug in slugs) if isinstance(slugs, list) else (),
        )


def _services(report: Mapping[str, JsonValue]) -> Iterator[FailingService]:
    found = report.get("services_failing")
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict):
            yield FailingService(
                service=_text(entry, "service"),
                since=_time(entry.get("since")),
                nights=_number(entry, "nights") or 1,
            )


def _mapping(value: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _entries(listed: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    shown = listed.get("shown")
    return [entry for entry in shown if isinstance(entry, dict)] if isinstance(shown, list) else []


def _number(value: Mapping[str, JsonValue], key: str) -> int | None:
    found = value.get(key)
    return int(found) if isinstance(found, int | float) and abs(found) < 2**53 else None


def _counts(value: JsonValue) -> dict[str, int]:
    return {key: _number(value, key) or 0 for key in sorted(value)} if isinstance(value, dict) else {}


def _text(value: Mapping[str, JsonValue], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _time(value: JsonValue) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
