"""All that one page about one cell shows, in few queries that look at this cell only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
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
from db.ratings import RATES, load_decisions
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


def load_cell(session: Session, slug: str, dimension: str, now: datetime) -> StoredCell | None:
    """A cell; None where there is no such project. That the rubric has the dimension is the caller's business."""
    found = session.execute(
        select(ProjectRow.id, ProjectRow.name, ProjectRow.org).where(ProjectRow.slug == slug)
    ).first()
    if found is None:
        return None
    project_id, name, org = found
    query = select(QuestionRow.kind, QuestionRow.since, QuestionRow.proposes, QuestionRow.defer_until).where(
        QuestionRow.project_id == project_id, QuestionRow.dimension == dimension
    )
    asked = session.execute(query).first()
    kind, since, proposes, until = asked if asked else (None, None, False, None)
    history = tuple(load_decisions(session, slugs=[slug], dimension=dimension))
    current = _rating_of(history)
    current_id = load_current_proposal_id(session, project_id, dimension)
    decided_id = None if current is None else current.proposal_id
    then_id = load_then_id(session, project_id, dimension, current_id, decided_id)
    ids = [proposal_id for proposal_id in (current_id, then_id) if proposal_id is not None]
    stored = {item.id: item for item in load_proposals(session, ids=ids)} if ids else {}
    return StoredCell(
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
        proposes=proposes,
        deferred_until=until if until is not None and until > now else None,
    )


def load_current_proposal_id(session: Session, project_id: int, dimension: str) -> int | None:
    """The proposal that the rules make now of a cell."""
    query = select(ProposalRow.id).where(
        ProposalRow.project_id == project_id, ProposalRow.dimension == dimension, ProposalRow.is_current
    )
    return session.scalar(query)


def load_project_id(session: Session, slug: str) -> int | None:
    """The project of that name, retired or not; None where there is none."""
    return session.scalar(select(ProjectRow.id).where(ProjectRow.slug == slug))


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
        query = (
            select(ArtifactRow, PartRow, SnapshotRow, PrunedBodyRow.pruned_at, PrunedBodyRow.pruned_by)
            .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
            .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
            .outerjoin(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
            .where(SnapshotRow.sha256.in_(chunk))
            .order_by(SnapshotRow.id)
        )
        for artifact, part, snapshot, pruned_at, pruned_by in session.execute(query):
            stored = snapshot_from(artifact, part, snapshot)
            found[stored.ref, stored.part, stored.sha256] = StoredBody(
                snapshot=stored, pruned_at=pruned_at, pruned_by=pruned_by or ""
            )
    return found
