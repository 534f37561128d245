"""All that one page about one cell shows, in few queries that look at this cell only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from db.basis import load_then_id
from db.keys import chunks
from db.models import (
    ArtifactRow,
    PartRow,
    ProjectRow,
    ProposalRow,
    PrunedBodyRow,
    QuestionRow,
    SnapshotRow,
)
from db.proposals import load_proposals
from db.ratings import RATES, load_history
from db.review_values import QuestionKind
from db.rows import snapshot_from
from db.values import ConfirmedRating, StoredDecision, StoredProposal, StoredSnapshot
from pipelines.model import ArtifactRef

BodyKey = tuple[ArtifactRef, str, str]
"""Bytes of a part: artifact, part, sha256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCell:
    """A cell with what the rules say of it, what was decided about it, and whether it is asked about.

    `proposal` is the current one, None where the rules have not looked at it. `then` is the proposal that the
    rating rests on, else the one before the current one. `kind` and `since` are None where nobody is asked,
    `deferred_until` is set while the question is put off; `proposes` as in `QueueItem`. `latest_decision_id` is
    what to pass on as `expected`: 0 when nothing was decided yet.
    """

    project_id: int
    slug: str
    project: str
    org: str
    dimension: str
    proposal: StoredProposal | None
    then: StoredProposal | None
    current: ConfirmedRating | None
    history: tuple[StoredDecision, ...]
    kind: QuestionKind | None
    since: datetime | None
    proposes: bool
    deferred_until: datetime | None

    @property
    def latest_decision_id(self) -> int:
        """The latest decision about the cell, 0 for none."""
        return self.history[-1].id if self.history else 0

    @property
    def is_open(self) -> bool:
        """Is it a question now?"""
        return self.kind is not None and self.deferred_until is None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBody:
    """A snapshot, and when its bytes were removed on purpose: None while they are there."""

    snapshot: StoredSnapshot
    pruned_at: datetime | None
    pruned_by: str


# Made once: making a statement costs as much as its answer, and the pages of the review desk wait for both.
_CELL = (
    select(
        ProjectRow.id,
        ProjectRow.name,
        ProjectRow.org,
        QuestionRow.kind,
        QuestionRow.since,
        QuestionRow.proposes,
        QuestionRow.defer_until,
        ProposalRow.id,
    )
    .outerjoin(
        QuestionRow,
        and_(QuestionRow.project_id == ProjectRow.id, QuestionRow.dimension == bindparam("dimension")),
    )
    .outerjoin(
        ProposalRow,
        and_(
            ProposalRow.project_id == ProjectRow.id,
            ProposalRow.dimension == bindparam("dimension"),
            ProposalRow.is_current,
        ),
    )
    .where(ProjectRow.slug == bindparam("slug"))
)
_CURRENT_PROPOSAL = select(ProposalRow.id).where(
    ProposalRow.project_id == bindparam("project_id"),
    ProposalRow.dimension == bindparam("dimension"),
    ProposalRow.is_current,
)
_PROJECT_ID = select(ProjectRow.id).where(ProjectRow.slug == bindparam("slug"))
_BODIES = (
    select(ArtifactRow, PartRow, SnapshotRow, PrunedBodyRow.pruned_at, PrunedBodyRow.pruned_by)
    .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
    .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
    .outerjoin(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
    .where(SnapshotRow.sha256.in_(bindparam("digests", expanding=True)))
    .order_by(SnapshotRow.id)
)


def load_cell(session: Session, slug: str, dimension: str, now: datetime) -> StoredCell | None:
    """A cell; None where there is no such project. That the rubric has the dimension is the caller's business."""
    found = session.execute(_CELL, {"slug": slug, "dimension": dimension}).first()
    if found is None:
        return None
    project_id, name, org, kind, since, proposes, until, current_id = found
    history = tuple(load_history(session, project_id, dimension))
    current = _rating_of(history)
    decided_id = None if current is None else current.proposal_id
    then_id = load_then_id(session, project_id, dimension, current_id, decided_id)
    ids = [proposal_id for proposal_id in (current_id, then_id) if proposal_id is not None]
    stored = {item.id: item for item in load_proposals(session, ids=ids)} if ids else {}
    return StoredCell(
        project_id=project_id,
        slug=slug,
        project=name,
        org=org,
        dimension=dimension,
        proposal=None if current_id is None else stored[current_id],
        then=None if then_id is None else stored[then_id],
        current=current,
        history=history,
        kind=kind,
        since=since,
        proposes=bool(proposes),
        deferred_until=until if until is not None and until > now else None,
    )


def load_current_proposal_id(session: Session, project_id: int, dimension: str) -> int | None:
    """The proposal that the rules make now of a cell."""
    return session.scalar(_CURRENT_PROPOSAL, {"project_id": project_id, "dimension": dimension})


def load_project_id(session: Session, slug: str) -> int | None:
    """The project of that name, retired or not; None where there is none."""
    return session.scalar(_PROJECT_ID, {"slug": slug})


def _rating_of(history: Sequence[StoredDecision]) -> ConfirmedRating | None:
    """The rating that the decisions of a cell add up to (see `db.ratings`)."""
    for decision in reversed(history):
        if decision.kind in RATES and decision.in_force and decision.rating is not None:
            return ConfirmedRating(
                rating=decision.rating,
                link=decision.link,
                note=decision.note,
                curator=decision.curator,
                at=decision.at,
                imported=decision.imported,
                decision_id=decision.id,
                proposal_id=decision.proposal_id,
            )
    return None


def load_stored_bodies(session: Session, digests: Iterable[str]) -> dict[BodyKey, StoredBody]:
    """The snapshots that have these bytes, by artifact, part and digest."""
    found: dict[BodyKey, StoredBody] = {}
    for chunk in chunks(sorted(set(digests))):
        for artifact, part, snapshot, pruned_at, pruned_by in session.execute(_BODIES, {"digests": chunk}):
            stored = snapshot_from(artifact, part, snapshot)
            found[stored.ref, stored.part, stored.sha256] = StoredBody(
                snapshot=stored, pruned_at=pruned_at, pruned_by=pruned_by or ""
            )
    return found
