"""Second opinions: cells that one curator has rated are asked of another one, who is told nothing of it.

Which cells are asked is settled by a digest over project, dimension and evidence, so it is the same
every day and for everybody; a rating that is made on new evidence is drawn anew. An opinion decides
nothing: one that differs makes the cell a question, until a rating is decided that is later than it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.decided import lock_project
from db.keys import project_ids
from db.models import DecisionRow, ProjectRow
from db.questions import refresh_questions
from db.ratings import in_force, rating_decisions
from db.review_rows import OpinionRow
from db.review_values import CellName
from pipelines.errors import DecisionError
from pipelines.model import Rating, digest_of

_SCALE = 1 << 64

_OTHER = aliased(OpinionRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCell:
    """A rated cell that is asked of a second curator: no word of who rated it, when, how or why."""

    slug: str
    project: str
    dimension: str
    decision_id: int
    proposal_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOpinion:
    """A second opinion beside the decision that it is about. `is_settled`: a rating was decided since."""

    id: int
    slug: str
    project: str
    dimension: str
    curator: str
    rating: Rating
    reason: str
    at: datetime
    decision_id: int
    decided_by: str
    decided: Rating
    is_settled: bool

    @property
    def agrees(self) -> bool:
        """Do both say the same?"""
        return self.rating is self.decided


def is_chosen(slug: str, dimension: str, evidence_digest: str, share: float) -> bool:
    """Is this cell one of the share (0 to 1) that is asked of a second curator?"""
    number = int(digest_of(["second opinion", slug, dimension, evidence_digest])[:16], 16)
    return number < share * _SCALE


def load_asked(session: Session, curator: str, share: float) -> list[AskedCell]:
    """The cells that this curator is asked about, those rated first before others.

    Rated by somebody else, upon a proposal, and not yet seen by anybody else.
    """
    if share <= 0:
        return []
    query = _asked_query(curator).order_by(DecisionRow.id)
    return [
        AskedCell(
            slug=slug, project=project, dimension=dimension, decision_id=decision_id, proposal_id=proposal_id
        )
        for slug, project, dimension, decision_id, proposal_id, digest in session.execute(query)
        if proposal_id is not None and digest is not None and is_chosen(slug, dimension, digest, share)
    ]


def load_asked_cell(
    session: Session, curator: str, share: float, slug: str, dimension: str
) -> AskedCell | None:
    """The cell, if this curator is asked about it; else None."""
    if share <= 0:
        return None
    query = _asked_query(curator).where(ProjectRow.slug == slug, DecisionRow.dimension == dimension)
    for found, project, _, decision_id, proposal_id, digest in session.execute(query):
        if proposal_id is not None and digest is not None and is_chosen(found, dimension, digest, share):
            return AskedCell(
                slug=found,
                project=project,
                dimension=dimension,
                decision_id=decision_id,
                proposal_id=proposal_id,
            )
    return None


def _asked_query(curator: str) -> Select[str, str, str, int, int | None, str | None]:
    latest = rating_decisions()
    seen = exists().where(OpinionRow.about_decision_id == DecisionRow.id)
    return (
        select(
            ProjectRow.slug,
            ProjectRow.name,
            DecisionRow.dimension,
            DecisionRow.id,
            DecisionRow.proposal_id,
            DecisionRow.evidence_digest,
        )
        .join(latest, latest.c.decision_id == DecisionRow.id)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(
            ProjectRow.active,
            DecisionRow.imported.is_(False),
            DecisionRow.proposal_id.is_not(None),
            DecisionRow.evidence_digest.is_not(None),
            DecisionRow.curator != curator,
            ~seen,
        )
    )


def save_opinion(
    session: Session,
    *,
    slug: str,
    dimension: str,
    decision_id: int,
    rating: Rating,
    curator: str,
    reason: str,
    share: float,
    now: datetime,
) -> StoredOpinion:
    """Store what a second curator thinks of a cell, and ask about it where the two differ.

    Raises DecisionError when the curator is not (or no longer) asked about this decision, or gives no reason.
    """
    if not curator.strip() or not reason.strip():
        raise DecisionError("a second opinion needs a curator and a reason")
    project_id = project_ids(session, [slug]).get(slug)
    if project_id is None:
        raise DecisionError(f"there is no project {slug!r}")
    lock_project(session, project_id)
    asked = load_asked_cell(session, curator, share, slug, dimension)
    if asked is None or asked.decision_id != decision_id:
        raise DecisionError(
            f"{slug} {dimension} is not asked of you any more: it was decided again, or somebody else has answered"
        )
    row = OpinionRow(
        project_id=project_id,
        dimension=dimension,
        proposal_id=asked.proposal_id,
        about_decision_id=decision_id,
        curator=curator.strip(),
        rating=rating,
        reason=reason.strip(),
        at=now,
    )
    session.add(row)
    session.flush()
    refresh_questions(session, [project_id])
    return _load(session, OpinionRow.id == row.id, limit=1)[0]


def load_opinions(
    session: Session, *, cell: CellName | None = None, limit: int = 100, before_id: int | None = None
) -> list[StoredOpinion]:
    """The latest second opinions, newest first: those on a cell, those before a number, if one is given."""
    conditions: list[ColumnElement[bool]] = []
    if cell is not None:
        conditions += [ProjectRow.slug == cell[0], OpinionRow.dimension == cell[1]]
    if before_id is not None:
        conditions.append(OpinionRow.id < before_id)
    return _load(session, *conditions, limit=limit)


def count_opinions(session: Session) -> int:
    """How many second opinions there are."""
    return session.scalar(select(func.count()).select_from(OpinionRow)) or 0


def _load(session: Session, *conditions: ColumnElement[bool], limit: int) -> list[StoredOpinion]:
    later = aliased(DecisionRow)
    settled = exists().where(
        and_(
            later.project_id == OpinionRow.project_id,
            later.dimension == OpinionRow.dimension,
            later.rating.is_not(None),
            later.at > OpinionRow.at,
            in_force(later),
        )
    )
    query = (
        select(OpinionRow, ProjectRow.slug, ProjectRow.name, DecisionRow.curator, DecisionRow.rating, settled)
        .join(DecisionRow, DecisionRow.id == OpinionRow.about_decision_id)
        .join(ProjectRow, ProjectRow.id == OpinionRow.project_id)
        .where(*conditions)
        .order_by(OpinionRow.id.desc())
        .limit(limit)
    )
    return [
        StoredOpinion(
            id=row.id,
            slug=slug,
            project=project,
            dimension=row.dimension,
            curator=row.curator,
            rating=row.rating,
            reason=row.reason,
            at=row.at,
            decision_id=row.about_decision_id,
            decided_by=decided_by,
            decided=decided,
            is_settled=is_settled,
        )
        for row, slug, project, decided_by, decided, is_settled in session.execute(query)
        if decided is not None
    ]
