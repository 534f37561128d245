"""What a run has changed, as the report's JSON has it."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.report.services import SERVICE_OF
from db.basis import ShakenRating
from db.changes import Changes, CutOff, MovedRating, NewQuestion
from db.moved import ArchivedRepository, RenamedArtifact
from db.troubles import FailingArtifact
from pipelines.model import JsonValue, Rating

UNTOLD = "cannot_tell"
WHY_LENGTH = 400
"""Characters of a rationale or a reason in a report; the database has the whole of it."""

Entry = dict[str, JsonValue]


def changes_json(changes: Changes) -> dict[str, JsonValue]:
    """Each list as {"total", "shown"}; `total` counts also what is not shown."""
    counts = changes.counts
    return {
        "new_questions": _listed(counts["questions"], [_question(item) for item in changes.questions]),
        "evidence_changed": _listed(counts["moved"], [_moved(item) for item in changes.moved])
        | {"questions": counts["moved_questions"]},
        "stale_ratings": _listed(counts["stale"], [_shaken(item) for item in changes.stale])
        | {"new": counts["stale_new"]},
        "vanished_ratings": _listed(counts["gone"], [_shaken(item) for item in changes.gone])
        | {"new": counts["gone_new"]},
        "failing": _listed(counts["failing"], [_failing(item) for item in changes.failing])
        | {"long": counts["failing_long"], "by_service": _by_service(changes)},
        "renamed": _listed(counts["renamed"], [_renamed(item) for item in changes.renamed])
        | {"seeds": counts["renamed_seeds"]},
        "archived": _listed(counts["archived"], [_archived(item) for item in changes.archived]),
        "cut_off": [_cut_off(item) for item in changes.cut_off],
    }


def _by_service(changes: Changes) -> dict[str, dict[str, int]]:
    """How many artifacts could not be read at their latest visit, by service and status."""
    found: dict[str, dict[str, int]] = {}
    for (kind, status), number in sorted(changes.failing_by_kind.items()):
        row = found.setdefault(SERVICE_OF[kind], {})
        row[status.value] = row.get(status.value, 0) + number
    return found


def _listed(total: int, shown: Sequence[Entry]) -> dict[str, JsonValue]:
    return {"total": total, "shown": list(shown)}


def _question(item: NewQuestion) -> Entry:
    question = item.question
    return {
        "proposal": question.proposal_id,
        "slug": question.slug,
        "project": question.project,
        "dimension": question.dimension,
        "rating": question.current.value if question.current else None,
        "before": _class(item.before) if item.was_proposed else None,
        "class": question.rating.value,
        "confidence": question.confidence,
        "why": _cut(question.rationale),
        "link": question.link,
    }


def _moved(item: MovedRating) -> Entry:
    return {
        "proposal": item.proposal_id,
        "slug": item.slug,
        "project": item.project,
        "dimension": item.dimension,
        "rating": item.rating.value,
        "before": _class(item.before),
        "class": _class(item.now),
        "confidence": item.confidence,
        "why": _cut(item.why),
        "is_question": item.is_question,
    }


def _shaken(item: ShakenRating) -> Entry:
    return {
        "slug": item.slug,
        "project": item.project,
        "dimension": item.dimension,
        "rating": item.rating.value,
        "artifact": str(item.ref),
        "part": item.part,
        "url": item.url,
        "status": item.status.value,
        "reason": _cut(item.reason),
        "since": item.since.isoformat(),
        "nights": item.nights,
        "is_new": item.is_new,
    }


def _failing(item: FailingArtifact) -> Entry:
    return {
        "artifact": str(item.ref),
        "part": item.part,
        "parts": item.parts,
        "url": item.url,
        "status": item.status.value,
        "reason": _cut(item.reason),
        "since": item.since.isoformat(),
        "nights": item.nights,
        "slugs": list(item.slugs),
    }


def _renamed(item: RenamedArtifact) -> Entry:
    return {"artifact": str(item.ref), "now": item.now, "url": item.url, "seeds": list(item.seeds)}


def _archived(item: ArchivedRepository) -> Entry:
    return {"artifact": str(item.ref), "url": item.url}


def _cut_off(item: CutOff) -> Entry:
    return {
        "run": item.run_id,
        "kind": item.kind,
        "started": item.started_at.isoformat(),
        "ended": item.ended_at.isoformat() if item.ended_at else None,
    }


def _class(rating: Rating | None) -> str:
    return UNTOLD if rating is None else rating.value


def _cut(text: str) -> str:
    return text if len(text) <= WHY_LENGTH else text[: WHY_LENGTH - 1] + "…"
