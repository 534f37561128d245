"""The review queue: which proposals are questions to a curator, and everything needed to answer one.

The current proposal of a cell is a question exactly when it proposes a class, the class is not
the cell's rating, and no decision in force stands against the same class on the same evidence: a
rejection, an override, or a deferral that is not over. So a question that was answered comes back
with new evidence only. A cell that a producer disputes, or of which a second curator thinks otherwise, is asked about
as well (`db.questions`); a deferral from before that is over.

`derive_questions` is this definition as a query. It looks at every cell, so what people see comes out of the index
that `db.question_index` keeps, and `openness db check` compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    case,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from db.basis import load_then_id
from db.keys import project_ids
from db.models import DecisionRow, DisputeRow, DisputeStatus, OpinionRow, ProjectRow, ProposalRow, QuestionRow
from db.proposals import load_proposals
from db.question_counts import count_matching
from db.question_filter import is_due
from db.ratings import TURNS_DOWN, in_force, load_decisions, load_ratings, rating_decisions
from db.review_values import CellName, QueueFilter
from db.values import Question, QuestionDetail
from pipelines.errors import DecisionError
from pipelines.model import DecisionKind, Rating

# Made once: an alias of a table costs more than the query that it is used in.
_CURRENT = aliased(DecisionRow)
_ANSWER = aliased(DecisionRow)
_DEFERRAL = aliased(DecisionRow)
_LATER = aliased(DecisionRow)
_ABOUT = aliased(DecisionRow)

_RANK = {Rating.CLOSED: 0, Rating.PARTIAL: 1, Rating.OPEN: 2}


def load_queue(
    session: Session,
    now: datetime,
    *,
    slugs: Iterable[str] | None = None,
    dimensions: Iterable[str] | None = None,
    ratings: Iterable[Rating] | None = None,
    rated: bool | None = None,
    min_confidence: float = 0.0,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Question]:
    """The open questions: biggest change of class first, then the surest, then the oldest.

    Filters: projects, dimensions, proposed classes, whether the cell has a rating already (`rated`),
    least confidence, when the rules began to say so. Raises UsageError for an unknown slug.
    """
    query = (
        select(*_QUESTION)
        .join(ProjectRow, ProjectRow.id == QuestionRow.project_id)
        .join(ProposalRow, ProposalRow.id == QuestionRow.proposal_id)
        .where(*_conditions(session, now, slugs, dimensions, ratings, rated, min_confidence, since, until))
        .order_by(
            QuestionRow.change.desc(),
            QuestionRow.confidence.desc(),
            ProposalRow.current_since,
            QuestionRow.proposal_id,
        )
    )
    found = session.execute(query.limit(limit).offset(offset))
    return [Question(**dict(zip(_FIELDS, row, strict=True))) for row in found]


_FIELDS = (
    "proposal_id",
    "slug",
    "project",
    "dimension",
    "rating",
    "current",
    "change",
    "confidence",
    "rationale",
    "link",
    "since",
)
_QUESTION = (
    QuestionRow.proposal_id,
    QuestionRow.slug,
    ProjectRow.name,
    QuestionRow.dimension,
    QuestionRow.rating,
    QuestionRow.current_rating,
    QuestionRow.change,
    QuestionRow.confidence,
    ProposalRow.rationale,
    ProposalRow.link,
    ProposalRow.current_since,
)


def count_queue(
    session: Session,
    now: datetime,
    *,
    slugs: Iterable[str] | None = None,
    dimensions: Iterable[str] | None = None,
    ratings: Iterable[Rating] | None = None,
    rated: bool | None = None,
    min_confidence: float = 0.0,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """The number of open questions, with the filters of `load_queue`."""
    if slugs is None and since is None and until is None:
        filters = QueueFilter(
            dimensions=tuple(dimensions or ()),
            ratings=tuple(ratings or ()),
            rated=rated,
            min_confidence=min_confidence,
            proposes=True,
        )
        nothing = (dimensions is not None and not filters.dimensions) or (
            ratings is not None and not filters.ratings
        )
        return 0 if nothing else count_matching(session, filters, now)
    wanted = _conditions(session, now, slugs, dimensions, ratings, rated, min_confidence, since, until)
    query = select(func.count()).select_from(QuestionRow)
    query = query.join(ProposalRow, ProposalRow.id == QuestionRow.proposal_id)
    return session.scalar(query.where(*wanted)) or 0


def _conditions(
    session: Session,
    now: datetime,
    slugs: Iterable[str] | None,
    dimensions: Iterable[str] | None,
    ratings: Iterable[Rating] | None,
    rated: bool | None,
    min_confidence: float,
    since: datetime | None,
    until: datetime | None,
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [QuestionRow.proposes.is_(True), is_due(now)]
    if slugs is not None:
        found.append(QuestionRow.project_id.in_(sorted(project_ids(session, slugs).values())))
    if dimensions is not None:
        found.append(QuestionRow.dimension.in_(list(dimensions)))
    if ratings is not None:
        found.append(QuestionRow.rating.in_(list(ratings)))
    if rated is not None:
        current = QuestionRow.current_rating
        found.append(current.is_not(None) if rated else current.is_(None))
    if min_confidence > 0:
        found.append(QuestionRow.confidence >= min_confidence)
    if since is not None:
        found.append(ProposalRow.current_since >= since)
    if until is not None:
        found.append(ProposalRow.current_since <= until)
    return found


def _questions(now: datetime) -> tuple[Select[ProposalRow], SQLColumnExpression[int]]:
    """The query for proposals that are questions, with the rating decision joined as _CURRENT; the change of class."""
    latest = rating_decisions()
    query = (
        select(ProposalRow)
        .join(ProjectRow, ProjectRow.id == ProposalRow.project_id)
        .outerjoin(
            latest,
            and_(latest.c.project_id == ProposalRow.project_id, latest.c.dimension == ProposalRow.dimension),
        )
        .outerjoin(_CURRENT, _CURRENT.id == latest.c.decision_id)
        .where(
            ProposalRow.is_current,
            ProjectRow.active,
            ProposalRow.rating.is_not(None),
            or_(_CURRENT.rating.is_(None), _CURRENT.rating != ProposalRow.rating),
            ~_turned_down(),
            ~_deferred(now),
        )
    )
    proposed_rank = case(_RANK, value=ProposalRow.rating)
    current_rank = case(_RANK, value=_CURRENT.rating)
    change = case(
        (_CURRENT.rating.is_(None), 0),
        (
            or_(ProposalRow.rating == Rating.NOT_APPLICABLE, _CURRENT.rating == Rating.NOT_APPLICABLE),
            1,
        ),
        else_=func.abs(proposed_rank - current_rank),
    )
    return query, change


def _same_question(decision: type[DecisionRow]) -> ColumnElement[bool]:
    """Whether a decision was about the class and the evidence that the proposal has."""
    return and_(
        decision.project_id == ProposalRow.project_id,
        decision.dimension == ProposalRow.dimension,
        decision.proposed_rating == ProposalRow.rating,
        decision.evidence_digest == ProposalRow.evidence_digest,
    )


def _turned_down() -> ColumnElement[bool]:
    return exists().where(_same_question(_ANSWER), _ANSWER.kind.in_(TURNS_DOWN), in_force(_ANSWER))


def _deferred(now: datetime) -> ColumnElement[bool]:
    """Whether the latest deferral in force of the same question is not over."""
    # Compared with the other deferral: two levels down, the proposal of the outer query is out of reach.
    superseded = exists().where(
        _LATER.project_id == _DEFERRAL.project_id,
        _LATER.dimension == _DEFERRAL.dimension,
        _LATER.proposed_rating == _DEFERRAL.proposed_rating,
        _LATER.evidence_digest == _DEFERRAL.evidence_digest,
        _LATER.kind == DecisionKind.DEFER,
        _LATER.id > _DEFERRAL.id,
        in_force(_LATER),
    )
    return exists().where(
        _same_question(_DEFERRAL),
        _DEFERRAL.kind == DecisionKind.DEFER,
        _DEFERRAL.defer_until > now,
        in_force(_DEFERRAL),
        ~superseded,
        ~_spoken_up_since(),
    )


def _spoken_up_since() -> ColumnElement[bool]:
    """Whether somebody disputed the cell, or gave another class than its rating, after it was deferred."""
    disputed = exists().where(
        DisputeRow.project_id == _DEFERRAL.project_id,
        DisputeRow.dimension == _DEFERRAL.dimension,
        DisputeRow.status == DisputeStatus.OPEN,
        DisputeRow.filed_at > _DEFERRAL.at,
    )
    differing = exists().where(
        OpinionRow.project_id == _DEFERRAL.project_id,
        OpinionRow.dimension == _DEFERRAL.dimension,
        OpinionRow.at > _DEFERRAL.at,
        OpinionRow.about_decision_id == _ABOUT.id,
        OpinionRow.rating != _ABOUT.rating,
    )
    return or_(disputed, differing)


def derive_questions(session: Session, now: datetime) -> dict[CellName, Derived]:
    """Every proposal that is a question now, straight from proposals and decisions: what the index is held against."""
    query, change = _questions(now)
    rows = session.execute(
        query.with_only_columns(
            ProjectRow.slug,
            ProposalRow.dimension,
            ProposalRow.id,
            ProposalRow.rating,
            _CURRENT.rating,
            change,
            ProposalRow.confidence,
        )
    )
    return {(row[0], row[1]): Derived._make(row[2:]) for row in rows}


class Derived(NamedTuple):
    """What the index has to say of a proposal that is a question."""

    proposal_id: int
    rating: Rating
    current: Rating | None
    change: int
    confidence: float


def load_question(session: Session, proposal_id: int, now: datetime) -> QuestionDetail:
    """A proposal with all that was ever decided about its cell, and the evidence of then and now.

    Raises DecisionError when there is no such proposal.
    """
    found = load_proposals(session, ids=[proposal_id])
    if not found:
        raise DecisionError(f"there is no proposal {proposal_id}")
    stored = found[0]
    slug, dimension = stored.proposal.slug, stored.proposal.dimension
    current = load_ratings(session, [slug]).get((slug, dimension))
    history = tuple(load_decisions(session, slugs=[slug], dimension=dimension))
    asked = select(QuestionRow.proposal_id).where(QuestionRow.proposal_id == proposal_id, is_due(now))
    is_open = session.scalar(asked) is not None
    project_id, name = session.execute(
        select(ProjectRow.id, ProjectRow.name).where(ProjectRow.slug == slug)
    ).one()
    decided_id = None if current is None else current.proposal_id
    then_id = load_then_id(session, project_id, dimension, proposal_id, decided_id)
    return QuestionDetail(
        stored=stored,
        project=name,
        current=current,
        then=None if then_id is None else load_proposals(session, ids=[then_id])[0],
        history=history,
        latest_decision_id=history[-1].id if history else 0,
        is_open=is_open,
    )
