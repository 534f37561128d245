"""Confirming many proposals at once: what it would do, doing exactly that, and taking all of it back.

Only proposals are confirmed in bulk. Disputes and disagreements are left to a person who looks at each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, func, insert, select
from sqlalchemy.orm import Session

from db.decide import append_decision
from db.decided import Cell
from db.keys import chunks
from db.models import BatchRow, DecisionRow, ProjectRow, ProposalRow, QuestionRow
from db.question_counts import count_matching
from db.question_filter import change_text, conditions, is_due
from db.question_index import refresh_questions
from db.questions import load_page
from db.ratings import in_force
from db.review_values import BatchUndone as BatchUndone
from db.review_values import BulkDone as BulkDone
from db.review_values import BulkPreview as BulkPreview
from db.review_values import CellName, QuestionKind, QueueFilter
from db.review_values import StoredBatch as StoredBatch
from db.session import refresh_statistics
from pipelines.errors import DecisionError, UsageError
from pipelines.model import DecisionKind, Rating, digest_of

SAMPLE = 20
"""Questions that a preview shows."""

_BY_PEOPLE = frozenset({QuestionKind.DISPUTE, QuestionKind.DISAGREEMENT})


class _Meant(NamedTuple):
    """A proposal that would be confirmed, and how many decisions its cell has."""

    project_id: int
    dimension: str
    proposal_id: int
    rating: Rating
    current: Rating | None
    decisions: int


def preview_bulk(session: Session, filters: QueueFilter, floor: float, now: datetime) -> BulkPreview:
    """What confirming every proposal of a filter with at least this confidence would do. Raises UsageError."""
    meant = _load_meant(session, filters, floor, now)
    narrow = _narrow(filters, floor)
    return BulkPreview(
        total=len(meant),
        by_dimension=_sorted(Counter(each.dimension for each in meant)),
        by_change=_sorted(Counter(change_text(each.current, each.rating) for each in meant)),
        sample=load_page(session, narrow, now, limit=SAMPLE).items if meant else (),
        left_out=count_matching(session, _with_floor(filters, floor), now) - len(meant),
        digest=_digest(meant),
    )


def confirm_bulk(
    session: Session, filters: QueueFilter, floor: float, digest: str, curator: str, now: datetime
) -> BulkDone:
    """Confirm what a preview showed: its digest has to be that of what would be done now.

    Each becomes a decision of its own, as if it had been confirmed by itself, and all are one batch.
    Raises DecisionError, with nothing written, when anything of it has changed meanwhile.
    """
    if not curator.strip():
        raise DecisionError("a decision needs the name of its curator")
    _lock(session, {each.project_id for each in _load_meant(session, filters, floor, now)})
    meant = _load_meant(session, filters, floor, now)
    if _digest(meant) != digest:
        raise DecisionError("the questions have changed since the preview: look at it again")
    if not meant:
        raise DecisionError("there is nothing to confirm")
    batch = BatchRow(
        curator=curator.strip(),
        at=now,
        filter=filters.as_json(),
        min_confidence=floor,
        undone_at=None,
        undone_by="",
    )
    session.add(batch)
    session.flush()
    table = DecisionRow.__table__
    assert isinstance(table, Table)
    for some in chunks(meant):
        session.execute(insert(table), _decisions(session, some, batch, now))
    refresh_questions(session, {each.project_id for each in meant})
    refresh_statistics(session)
    return BulkDone(batch_id=batch.id, confirmed=len(meant))


def undo_batch(session: Session, batch_id: int, curator: str, now: datetime, reason: str) -> BatchUndone:
    """Take back all decisions of a batch but those of cells that were decided again since: they are told.

    Raises DecisionError for an unknown batch, one that was taken back, and without curator or reason.
    """
    if not curator.strip() or not reason.strip():
        raise DecisionError("a batch is undone by a curator with a reason")
    batch = session.get(BatchRow, batch_id, with_for_update=True)
    if batch is None:
        raise DecisionError(f"there is no batch {batch_id}")
    if batch.undone_at is not None:
        raise DecisionError(
            f"batch {batch_id} was undone by {batch.undone_by} on {batch.undone_at:%Y-%m-%d %H:%M} UTC"
        )
    _lock(
        session, session.scalars(select(DecisionRow.project_id).where(DecisionRow.batch_id == batch_id)).all()
    )
    later = _later_decisions(session, batch_id)
    made = (
        select(DecisionRow.id, DecisionRow.project_id, ProjectRow.slug, DecisionRow.dimension)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(DecisionRow.batch_id == batch_id)
        .order_by(ProjectRow.slug, DecisionRow.dimension)
    )
    undone: set[int] = set()
    number, left = 0, []
    for decision_id, project_id, slug, dimension in session.execute(made).all():
        if (project_id, dimension) in later:
            left.append((slug, dimension))
            continue
        cell = Cell(project_id=project_id, slug=slug, dimension=dimension)
        append_decision(
            session,
            cell,
            DecisionKind.UNDO,
            curator=curator,
            now=now,
            reason=reason,
            undoes_decision_id=decision_id,
        )
        undone.add(project_id)
        number += 1
    batch.undone_at, batch.undone_by = now, curator.strip()
    session.flush()
    refresh_questions(session, undone)
    refresh_statistics(session)
    return BatchUndone(undone=number, left=tuple(left))


def load_batch(session: Session, batch_id: int) -> StoredBatch | None:
    """A batch; None when there is none of that number."""
    return next(iter(_load_batches(session, select(BatchRow).where(BatchRow.id == batch_id))), None)


def load_batches(session: Session, limit: int = 50) -> list[StoredBatch]:
    """The latest batches, newest first."""
    return _load_batches(session, select(BatchRow).order_by(BatchRow.id.desc()).limit(limit))


def load_batch_cells(session: Session, batch_id: int) -> list[tuple[CellName, Rating, bool]]:
    """The cells of a batch in order, the class that each was given, and whether that decision is in force."""
    rows = session.execute(
        select(ProjectRow.slug, DecisionRow.dimension, DecisionRow.rating, in_force(DecisionRow))
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(DecisionRow.batch_id == batch_id)
        .order_by(ProjectRow.slug, DecisionRow.dimension)
    )
    return [((slug, dimension), rating, bool(stands)) for slug, dimension, rating, stands in rows if rating]


def _load_batches(session: Session, query: Select[BatchRow]) -> list[StoredBatch]:
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    counted = (
        select(DecisionRow.batch_id, func.count())
        .where(DecisionRow.batch_id.in_([row.id for row in rows]))
        .group_by(DecisionRow.batch_id)
    )
    numbers = dict(session.execute(counted).all())
    return [
        StoredBatch(
            id=row.id,
            curator=row.curator,
            at=row.at,
            filter=row.filter if isinstance(row.filter, dict) else {},
            min_confidence=row.min_confidence,
            decisions=numbers.get(row.id, 0),
            undone_at=row.undone_at,
            undone_by=row.undone_by,
        )
        for row in rows
    ]


def _with_floor(filters: QueueFilter, floor: float) -> QueueFilter:
    if not 0 <= floor <= 1:
        raise UsageError(f"a confidence is between 0 and 1, not {floor:g}")
    return replace(filters, min_confidence=max(floor, filters.min_confidence))


def _narrow(filters: QueueFilter, floor: float) -> QueueFilter:
    """The filter without what is left to a person. Raises UsageError when nothing else was asked for."""
    kinds = tuple(kind for kind in filters.kinds or QuestionKind if kind not in _BY_PEOPLE)
    if not kinds:
        raise UsageError("disputes and disagreements are not confirmed in bulk: each wants a look")
    return replace(_with_floor(filters, floor), kinds=kinds, proposes=True)


def _load_meant(session: Session, filters: QueueFilter, floor: float, now: datetime) -> list[_Meant]:
    rows = session.execute(
        select(
            QuestionRow.project_id,
            QuestionRow.dimension,
            QuestionRow.proposal_id,
            QuestionRow.rating,
            QuestionRow.current_rating,
            func.coalesce(
                select(func.max(DecisionRow.ordinal))
                .where(
                    DecisionRow.project_id == QuestionRow.project_id,
                    DecisionRow.dimension == QuestionRow.dimension,
                )
                .correlate(QuestionRow)
                .scalar_subquery(),
                0,
            ),
        )
        .where(is_due(now), *conditions(session, _narrow(filters, floor)))
        .order_by(QuestionRow.project_id, QuestionRow.dimension)
    )
    return [_Meant._make(row) for row in rows]


def _digest(meant: Sequence[_Meant]) -> str:
    return digest_of([[each.proposal_id, each.rating.value, each.decisions] for each in meant])


def _decisions(
    session: Session, meant: Sequence[_Meant], batch: BatchRow, now: datetime
) -> list[dict[str, Any]]:  # Any: columns have many types
    wanted = {each.proposal_id: each for each in meant}
    query = select(
        ProposalRow.id,
        ProposalRow.rating,
        ProposalRow.evidence_digest,
        ProposalRow.link,
        ProposalRow.rationale,
    ).where(ProposalRow.id.in_(wanted))
    return [
        {
            "project_id": wanted[proposal_id].project_id,
            "dimension": wanted[proposal_id].dimension,
            "ordinal": wanted[proposal_id].decisions + 1,
            "kind": DecisionKind.CONFIRM,
            "rating": rating,
            "proposal_id": proposal_id,
            "proposed_rating": rating,
            "evidence_digest": digest,
            "curator": batch.curator,
            "at": now,
            "reason": "",
            "note": rationale.strip(),
            "link": link.strip(),
            "imported": False,
            "batch_id": batch.id,
        }
        for proposal_id, rating, digest, link, rationale in session.execute(query)
    ]


def _lock(session: Session, projects: Iterable[int]) -> None:
    """Make other deciders of these projects wait, in one order everywhere."""
    for some in chunks(sorted(set(projects))):
        query = select(ProjectRow.id).where(ProjectRow.id.in_(some)).order_by(ProjectRow.id)
        session.execute(query.with_for_update()).all()


def _later_decisions(session: Session, batch_id: int) -> set[tuple[int, str]]:
    """The cells of a batch that were decided about since."""
    later = DecisionRow.__table__.alias("later")
    rows = session.execute(
        select(DecisionRow.project_id, DecisionRow.dimension)
        .join(
            later,
            (later.c.project_id == DecisionRow.project_id)
            & (later.c.dimension == DecisionRow.dimension)
            & (later.c.ordinal > DecisionRow.ordinal),
        )
        .where(DecisionRow.batch_id == batch_id)
        .distinct()
    )
    return {(project_id, dimension) for project_id, dimension in rows}


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
