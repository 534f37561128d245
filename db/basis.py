"""What confirmed ratings rest on, and which of it is stale or gone.

The basis of a rating is the proposal that was decided upon. An imported rating has none; its basis
is the latest proposal that says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import Session

from db.keys import chunks
from db.models import (
    DecisionRow,
    EvidenceRow,
    PartRow,
    ProjectRow,
    ProposalEvidenceRow,
    ProposalRow,
    SnapshotRow,
)
from db.ratings import rating_decisions
from db.troubles import UNREAD, PartTrouble, last_visit
from pipelines.model import MAIN_PART, ArtifactRef, Rating, VisitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ShakenRating:
    """A confirmed rating of which a piece of evidence is stale (`is_gone` false) or gone.

    `since` and `nights` are those of the trouble with that piece, `status` and `reason` its latest
    visit's; `is_new`: this run met it first.
    """

    slug: str
    project: str
    dimension: str
    rating: Rating
    ref: ArtifactRef
    part: str
    url: str
    status: VisitStatus
    reason: str
    is_gone: bool
    since: datetime
    nights: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rated:
    """A rated cell."""

    slug: str
    project: str
    dimension: str
    rating: Rating


def load_shaken_ratings(
    session: Session, run_id: int, troubles: Sequence[PartTrouble], since: datetime
) -> list[ShakenRating]:
    """The ratings that the troubles after a run touch, one entry each: gone before stale, new before old.

    `since` is when the run began: what has troubled a part no longer than that is new.
    """
    if not troubles:
        return []
    cells = _load_bases(session)
    found: dict[tuple[str, str], ShakenRating] = {}
    for proposal_id, trouble in _touched(session, troubles, run_id):
        for cell in cells.get(proposal_id, ()):
            shaken = ShakenRating(
                slug=cell.slug,
                project=cell.project,
                dimension=cell.dimension,
                rating=cell.rating,
                ref=trouble.ref,
                part=trouble.part,
                url=trouble.url,
                status=trouble.status,
                reason=trouble.reason,
                is_gone=trouble.is_gone,
                since=trouble.since,
                nights=trouble.nights,
                is_new=trouble.since >= since,
            )
            other = found.get((cell.slug, cell.dimension))
            if other is None or _weight(shaken) < _weight(other):
                found[cell.slug, cell.dimension] = shaken
    return sorted(
        found.values(), key=lambda item: (not item.is_gone, not item.is_new, item.slug, item.dimension)
    )


def _weight(shaken: ShakenRating) -> tuple[bool, bool, datetime, ArtifactRef, str]:
    """What is worst told of one rating comes first: gone, met first, longest."""
    return not shaken.is_gone, not shaken.is_new, shaken.since, shaken.ref, shaken.part


_AGREEING = (
    select(DecisionRow.id, func.max(ProposalRow.id))
    .join(
        ProposalRow,
        and_(
            ProposalRow.project_id == DecisionRow.project_id,
            ProposalRow.dimension == DecisionRow.dimension,
            ProposalRow.rating == DecisionRow.rating,
        ),
    )
    .where(DecisionRow.proposal_id.is_(None))
    .group_by(DecisionRow.id)
)
_AGREEING_WITH = _AGREEING.where(DecisionRow.id.in_(bindparam("ids", expanding=True)))


def load_agreeing(session: Session, decision_ids: Iterable[int] | None = None) -> dict[int, int]:
    """The latest proposal that says what a decision without a proposal says, by decision.

    Of the decisions named, or of all that give a cell its rating.
    """
    if decision_ids is None:
        latest = rating_decisions()
        return dict(session.execute(_AGREEING.join(latest, latest.c.decision_id == DecisionRow.id)).all())
    found: dict[int, int] = {}
    for ids in chunks(decision_ids):
        found.update(session.connection().execute(_AGREEING_WITH, {"ids": ids}).all())
    return found


_BEFORE = select(func.max(ProposalRow.id)).where(
    ProposalRow.project_id == bindparam("project_id"),
    ProposalRow.dimension == bindparam("dimension"),
    ProposalRow.id < bindparam("now_id"),
)


def load_then_id(
    session: Session, project_id: int, dimension: str, now_id: int | None, decided_id: int | None
) -> int | None:
    """The proposal that one is compared with: that which was decided upon, else the one made before it."""
    if decided_id not in (None, now_id):
        return decided_id
    if now_id is None:
        return None
    return session.scalar(_BEFORE, {"project_id": project_id, "dimension": dimension, "now_id": now_id})


def _load_bases(session: Session) -> dict[int, list[_Rated]]:
    """The rated cells of projects that are not retired, by the proposal that is their basis."""
    latest = rating_decisions()
    query = (
        select(
            DecisionRow.id,
            ProjectRow.slug,
            ProjectRow.name,
            DecisionRow.dimension,
            DecisionRow.rating,
            DecisionRow.proposal_id,
        )
        .join(latest, latest.c.decision_id == DecisionRow.id)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(ProjectRow.active)
    )
    same = load_agreeing(session)
    found: dict[int, list[_Rated]] = {}
    for decision_id, slug, name, dimension, rating, decided in session.execute(query):
        proposal_id = decided or same.get(decision_id)
        if proposal_id is not None and rating is not None:
            cell = _Rated(slug=slug, project=name, dimension=dimension, rating=rating)
            found.setdefault(proposal_id, []).append(cell)
    return found


def _touched(
    session: Session, troubles: Sequence[PartTrouble], run_id: int
) -> Iterator[tuple[int, PartTrouble]]:
    """Proposals with evidence in a troubled part, and the trouble.

    A main part that is gone takes all parts of its artifact with it; one that was not read makes
    those stale that were last visited before.
    """
    own = {trouble.part_id: trouble for trouble in troubles}
    whole = {t.artifact_id: t for t in troubles if t.part == MAIN_PART[t.ref.kind]}
    for artifact_ids in chunks(sorted({trouble.artifact_id for trouble in troubles})):
        parts = session.execute(
            select(PartRow.id, PartRow.artifact_id, last_visit(run_id)).where(
                PartRow.artifact_id.in_(artifact_ids)
            )
        )
        told: dict[int, PartTrouble] = {}
        for part_id, artifact_id, visit_id in parts:
            trouble = _trouble_of(own.get(part_id), whole.get(artifact_id), visit_id)
            if trouble is not None:
                told[part_id] = trouble
        for part_ids in chunks(told):
            query = (
                select(ProposalEvidenceRow.proposal_id, SnapshotRow.part_id)
                .join(EvidenceRow, EvidenceRow.id == ProposalEvidenceRow.evidence_id)
                .join(SnapshotRow, SnapshotRow.id == EvidenceRow.snapshot_id)
                .where(SnapshotRow.part_id.in_(part_ids))
                .distinct()
            )
            for proposal_id, part_id in session.execute(query):
                yield proposal_id, told[part_id]


def _trouble_of(
    own: PartTrouble | None, whole: PartTrouble | None, visit_id: int | None
) -> PartTrouble | None:
    """The trouble that a part is in, by itself or with its whole artifact."""
    if own is not None and own.is_gone:
        return own
    if whole is not None and (
        whole.is_gone or (whole.status in UNREAD and visit_id is not None and whole.visit_id > visit_id)
    ):
        return whole
    return own


def count_ratings(session: Session) -> int:
    """How many cells of projects that are not retired have a rating."""
    latest = rating_decisions()
    query = (
        select(func.count())
        .select_from(latest)
        .join(ProjectRow, ProjectRow.id == latest.c.project_id)
        .where(ProjectRow.active)
    )
    return session.scalar(query) or 0
