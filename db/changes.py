"""What a run has changed, and what is troubled since: everything that a morning report tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from db.basis import ShakenRating, count_ratings, load_shaken_ratings
from db.keys import chunks
from db.models import DecisionRow, ProjectRow, ProposalRow, RunRow, RunStatus, SnapshotRow
from db.moved import ArchivedRepository, RenamedArtifact, load_newly_archived, load_renamed
from db.queue import count_queue, load_queue
from db.ratings import rating_decisions
from db.troubles import FailingArtifact, failing_artifacts, load_projects_of, load_troubles
from db.values import Question
from pipelines.errors import UsageError
from pipelines.model import ArtifactKind, Rating, VisitStatus

NIGHTLY = ("nightly", "crawl")
"""The kinds of runs that visit artifacts."""

LONG = 3
"""Nights in a row after which a failure wants a person to look."""

_RATED = aliased(DecisionRow)
_PREVIOUS = aliased(ProposalRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuestion:
    """A question that a run has raised. `was_proposed`: the rules had said something before, namely `before`
    (None: that it cannot be told)."""

    question: Question
    was_proposed: bool
    before: Rating | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedRating:
    """A confirmed rating whose proposal rests on other evidence since the run.

    `before` and `now` are the classes proposed then and now, None where it cannot be told.
    `is_question`: what is proposed now asks for a decision.
    """

    proposal_id: int
    slug: str
    project: str
    dimension: str
    rating: Rating
    before: Rating | None
    now: Rating | None
    confidence: float
    why: str
    is_question: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """A run that was cut off before the one that is told of."""

    run_id: int
    kind: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a run has changed. Of long lists the first entries; `counts` has the whole numbers by field."""

    questions: tuple[NewQuestion, ...] = ()
    moved: tuple[MovedRating, ...] = ()
    stale: tuple[ShakenRating, ...] = ()
    gone: tuple[ShakenRating, ...] = ()
    failing: tuple[FailingArtifact, ...] = ()
    renamed: tuple[RenamedArtifact, ...] = ()
    archived: tuple[ArchivedRepository, ...] = ()
    cut_off: tuple[CutOff, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    failing_by_kind: Mapping[tuple[ArtifactKind, VisitStatus], int] = field(default_factory=dict)
    last_success: datetime | None = None


def load_changes(session: Session, run_id: int, now: datetime, *, limit: int = 200) -> Changes:
    """What a run has changed and what is troubled after it; of each list at most `limit` entries.

    Of a run of long ago it tells what still holds. Raises UsageError for an unknown run.
    """
    run = session.get(RunRow, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id}")
    since, until = run.started_at, run.ended_at or now
    troubles = load_troubles(session, run_id)
    shaken = load_shaken_ratings(session, run_id, troubles, since)
    stale, gone = [s for s in shaken if not s.is_gone], [s for s in shaken if s.is_gone]
    failing = failing_artifacts(troubles)
    renamed, archived = load_renamed(session), load_newly_archived(session, run_id)
    moved = _load_moved(session, now, since, until)
    asked = load_queue(session, now, since=since, until=until, limit=limit)
    slugs = load_projects_of(session, [item.ref for item in failing[:limit]])
    shown = [replace(item, slugs=slugs.get(item.ref, ())) for item in failing[:limit]]
    return Changes(
        questions=_with_before(session, asked),
        moved=tuple(moved[:limit]),
        stale=tuple(stale[:limit]),
        gone=tuple(gone[:limit]),
        failing=tuple(shown),
        renamed=tuple(renamed[:limit]),
        archived=tuple(archived[:limit]),
        cut_off=_load_cut_off(session, run_id),
        counts={
            "questions": count_queue(session, now, since=since, until=until),
            "moved": len(moved),
            "moved_questions": sum(item.is_question for item in moved),
            "stale": len(stale),
            "stale_new": sum(item.is_new for item in stale),
            "gone": len(gone),
            "gone_new": sum(item.is_new for item in gone),
            "failing": len(failing),
            "failing_long": sum(
                item.status is VisitStatus.FAILED and item.nights >= LONG for item in failing
            ),
            "renamed": len(renamed),
            "renamed_seeds": sum(bool(item.seeds) for item in renamed),
            "archived": len(archived),
        },
        failing_by_kind=Counter((item.ref.kind, item.status) for item in failing),
        last_success=_load_last_success(session, run_id),
    )


def _with_before(session: Session, questions: Sequence[Question]) -> tuple[NewQuestion, ...]:
    before: dict[int, Rating | None] = {}
    for ids in chunks(question.proposal_id for question in questions):
        query = (
            select(ProposalRow.id, _PREVIOUS.rating)
            .join(_PREVIOUS, _PREVIOUS.id == _previous())
            .where(ProposalRow.id.in_(ids))
        )
        before |= dict(session.execute(query).all())
    return tuple(
        NewQuestion(
            question=question,
            was_proposed=question.proposal_id in before,
            before=before.get(question.proposal_id),
        )
        for question in questions
    )


def _previous() -> ColumnElement[int]:
    """The proposal that was current in the cell before the one of the outer query."""
    other = aliased(ProposalRow)
    query = select(other.id).where(
        other.project_id == ProposalRow.project_id,
        other.dimension == ProposalRow.dimension,
        other.id != ProposalRow.id,
        other.current_since <= ProposalRow.current_since,
    )
    ordered = query.order_by(other.current_since.desc(), other.id.desc()).limit(1)
    return ordered.correlate(ProposalRow).scalar_subquery()


def _moved_query(since: datetime, until: datetime) -> Select[int]:
    latest = rating_decisions()
    return (
        select(ProposalRow.id)
        .join(ProjectRow, ProjectRow.id == ProposalRow.project_id)
        .join(
            latest,
            and_(latest.c.project_id == ProposalRow.project_id, latest.c.dimension == ProposalRow.dimension),
        )
        .join(_RATED, _RATED.id == latest.c.decision_id)
        .join(_PREVIOUS, _PREVIOUS.id == _previous())
        .where(
            ProposalRow.is_current,
            ProjectRow.active,
            ProposalRow.current_since >= since,
            ProposalRow.current_since <= until,
            _PREVIOUS.evidence_digest != ProposalRow.evidence_digest,
        )
    )


def _load_moved(session: Session, now: datetime, since: datetime, until: datetime) -> list[MovedRating]:
    """The confirmed ratings whose proposal rests on other evidence since then; questions first."""
    query = _moved_query(since, until).add_columns(
        ProjectRow.slug,
        ProjectRow.name,
        ProposalRow.dimension,
        _RATED.rating,
        _PREVIOUS.rating,
        ProposalRow.rating,
        ProposalRow.confidence,
        ProposalRow.rationale,
    )
    questions = {q.proposal_id for q in load_queue(session, now, rated=True, since=since, until=until)}
    found = []
    for proposal_id, slug, project, dimension, rating, before, is_now, confidence, why in session.execute(
        query
    ):
        if rating is not None:
            found.append(
                MovedRating(
                    proposal_id=proposal_id,
                    slug=slug,
                    project=project,
                    dimension=dimension,
                    rating=rating,
                    before=before,
                    now=is_now,
                    confidence=confidence,
                    why=why,
                    is_question=proposal_id in questions,
                )
            )
    return sorted(found, key=lambda item: (not item.is_question, item.slug, item.dimension))


def _load_cut_off(session: Session, run_id: int) -> tuple[CutOff, ...]:
    """The runs that were cut off between this run and the last one of its kind that was not."""
    done = select(func.max(RunRow.id)).where(
        RunRow.id < run_id, RunRow.kind.in_(NIGHTLY), RunRow.status == RunStatus.DONE
    )
    query = (
        select(RunRow.id, RunRow.kind, RunRow.started_at, RunRow.ended_at)
        .where(
            RunRow.id < run_id,
            RunRow.id > func.coalesce(done.scalar_subquery(), 0),
            RunRow.kind.in_(NIGHTLY),
            RunRow.status == RunStatus.INTERRUPTED,
        )
        .order_by(RunRow.id)
    )
    return tuple(
        CutOff(run_id=number, kind=kind, started_at=started, ended_at=ended)
        for number, kind, started, ended in session.execute(query)
    )


def _load_last_success(session: Session, run_id: int) -> datetime | None:
    """When the last nightly run before this one ended that read something."""
    return session.scalar(
        select(func.max(RunRow.ended_at)).where(
            RunRow.id < run_id,
            RunRow.kind == "nightly",
            RunRow.status == RunStatus.DONE,
            RunRow.exit_code.in_((0, 3)),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What the database holds: projects that are not retired, their confirmed ratings, snapshots.

    `snapshot_bytes` are those of all snapshots before compression.
    """

    projects: int
    ratings: int
    snapshots: int
    snapshot_bytes: int


def load_stock(session: Session) -> Stock:
    """Count what the database holds."""
    query = select(func.count(), func.sum(SnapshotRow.size)).select_from(SnapshotRow)
    snapshots, size = session.execute(query).one()
    projects = session.scalar(select(func.count()).select_from(ProjectRow).where(ProjectRow.active)) or 0
    return Stock(
        projects=projects, ratings=count_ratings(session), snapshots=snapshots, snapshot_bytes=int(size or 0)
    )
