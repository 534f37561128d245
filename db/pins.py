"""Which bytes of the archive have to stay, and which were removed on purpose.

Always needed is the standing snapshot of every part, and what a decision or a proposal rests on:

- every snapshot that the evidence of a pinned proposal is of. Pinned are the current proposal of
  each cell, every proposal that was ever decided about (whether the decision is in force or not),
  the one before the current, which the queue shows beside it, and of a cell with an imported rating
  the latest that says the same: such a rating has no proposal of its own;
- every snapshot of the project's artifacts that stood when a decision was made, or when its
  proposal was: a decision may rest on what was searched in vain, and that is no evidence.

Rows of snapshots and evidence always stay. Only bytes go, and `pruned_bodies` tells that they went
on purpose. The functions work on all bodies whose digest begins with a prefix, so that an archive
of any size is gone through in portions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    distinct,
    exists,
    func,
    insert,
    or_,
    select,
    union,
)
from sqlalchemy.orm import Session, aliased

from db.keys import chunks
from db.models import (
    DecisionRow,
    EvidenceRow,
    FindingEvidenceRow,
    FindingRow,
    PartRow,
    ProjectArtifactRow,
    ProposalEvidenceRow,
    ProposalRow,
    PrunedBodyRow,
    SnapshotRow,
    VisitRow,
)

# Made once: an alias of a table costs more than the query that it is used in.
_LATEST = aliased(VisitRow)
_LATER = aliased(VisitRow)
_LAST = aliased(VisitRow)
_CURRENT = aliased(ProposalRow)
_BETWEEN = aliased(ProposalRow)

AFTER_HEX = "g"
"""Sorts behind every hex digit: PREFIX <= digest < PREFIX + AFTER_HEX are those that begin with it."""


class Need(StrEnum):
    """Why a body has to stay; the first of these that holds."""

    STANDING = "standing"
    RECENT = "recent"
    PINNED = "pinned"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """How much history is kept besides what is always needed.

    A snapshot stays if it was last read at or after `since` (None: age keeps nothing), or if it is
    among the `last` of its part that were read last (1: the standing one alone).
    """

    since: datetime | None = None
    last: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyNeed:
    """A body that snapshots name: how large it is (bytes), why it has to stay, whether it was pruned."""

    sha256: str
    size: int
    need: Need
    is_pruned: bool


def load_body_needs(session: Session, prefix: str, rule: KeepRule) -> list[BodyNeed]:
    """Every body whose digest begins with the prefix, sorted, with why it has to stay.

    Several parts may have the same bytes: they stay when one of them needs them.
    """
    rows = session.execute(_histories(prefix, rule)).all()
    open_ids = [row.id for row in rows if _need_of_history(row, rule) is Need.NONE]
    pinned = load_pinned_snapshots(session, open_ids)
    pruned = load_pruned(session, prefix)
    order = list(Need)
    found: dict[str, tuple[int, Need]] = {}
    for row in rows:
        need = Need.PINNED if row.id in pinned else _need_of_history(row, rule)
        _, known = found.get(row.sha256, (0, Need.NONE))
        found[row.sha256] = (row.size, min(need, known, key=order.index))
    return [
        BodyNeed(sha256=sha256, size=size, need=need, is_pruned=sha256 in pruned)
        for sha256, (size, need) in sorted(found.items())
    ]


def _histories(prefix: str, rule: KeepRule) -> Select[int, str, int, datetime | None, int]:
    """Of each snapshot: when it was last read, and how many of its part were read later than that."""
    rows = (
        select(
            SnapshotRow.id,
            SnapshotRow.sha256,
            SnapshotRow.size,
            SnapshotRow.part_id,
            _last_visit().label("last_id"),
        )
        .where(begins_with(prefix))
        .subquery()
    )
    replaced = and_(
        _LATER.part_id == rows.c.part_id, _LATER.snapshot_id.is_not(None), _LATER.id > rows.c.last_id
    )
    newer: ColumnElement[int] = (
        case((exists().where(replaced), 1), else_=0)
        if rule.last <= 1
        else select(func.count(distinct(_LATER.snapshot_id))).where(replaced).scalar_subquery()
    )
    return select(
        rows.c.id, rows.c.sha256, rows.c.size, _LATEST.at.label("last_at"), newer.label("newer")
    ).outerjoin(_LATEST, _LATEST.id == rows.c.last_id)


def begins_with(prefix: str) -> ColumnElement[bool]:
    """The condition that a snapshot's digest begins so; an index answers it, unlike LIKE."""
    return and_(SnapshotRow.sha256 >= prefix, SnapshotRow.sha256 < prefix + AFTER_HEX)


def _last_visit() -> ColumnElement[int]:
    """The latest visit that read the snapshot of the outer query."""
    query = select(func.max(_LAST.id)).where(_LAST.snapshot_id == SnapshotRow.id)
    return query.correlate(SnapshotRow).scalar_subquery()


def _need_of_history(row: object, rule: KeepRule) -> Need:
    last_at: datetime | None = row.last_at  # type: ignore[attr-defined]  # a row of _histories
    newer: int = row.newer  # type: ignore[attr-defined]
    if newer == 0:
        return Need.STANDING
    if newer < rule.last or last_at is None or (rule.since is not None and last_at >= rule.since):
        return Need.RECENT
    return Need.NONE


def load_pinned_snapshots(session: Session, snapshot_ids: Iterable[int]) -> set[int]:
    """Those of the snapshots that a decision or a proposal rests on."""
    found: set[int] = set()
    for ids in chunks(snapshot_ids):
        found.update(session.scalars(_snapshots_of_evidence(ids)))
        found.update(session.scalars(_snapshots_of_moments([i for i in ids if i not in found])))
    return found


def load_pinned_bodies(session: Session, digests: Iterable[str]) -> set[str]:
    """Those of the bodies that a decision or a proposal rests on."""
    found: set[str] = set()
    for chunk in chunks(digests):
        query = select(SnapshotRow.id, SnapshotRow.sha256).where(SnapshotRow.sha256.in_(chunk))
        owners = {row.id: row.sha256 for row in session.execute(query)}
        found |= {owners[snapshot_id] for snapshot_id in load_pinned_snapshots(session, owners)}
    return found


def _is_pinned() -> ColumnElement[bool]:
    """Whether the proposal of the outer query is one of those that the head of this module names."""
    in_between = (
        exists()
        .where(
            _BETWEEN.project_id == ProposalRow.project_id,
            _BETWEEN.dimension == ProposalRow.dimension,
            _BETWEEN.id > ProposalRow.id,
            _BETWEEN.id < _CURRENT.id,
        )
        .correlate(ProposalRow, _CURRENT)
    )
    before = (
        exists()
        .where(
            _CURRENT.project_id == ProposalRow.project_id,
            _CURRENT.dimension == ProposalRow.dimension,
            _CURRENT.is_current,
            _CURRENT.id > ProposalRow.id,
            ~in_between,
        )
        .correlate(ProposalRow)
    )
    decided = exists().where(DecisionRow.proposal_id == ProposalRow.id).correlate(ProposalRow)
    said_again = (
        exists()
        .where(
            _BETWEEN.project_id == ProposalRow.project_id,
            _BETWEEN.dimension == ProposalRow.dimension,
            _BETWEEN.rating == ProposalRow.rating,
            _BETWEEN.id > ProposalRow.id,
        )
        .correlate(ProposalRow)
    )
    imported = (
        exists()
        .where(
            DecisionRow.project_id == ProposalRow.project_id,
            DecisionRow.dimension == ProposalRow.dimension,
            DecisionRow.rating == ProposalRow.rating,
            DecisionRow.proposal_id.is_(None),
        )
        .correlate(ProposalRow)
    )
    return or_(ProposalRow.is_current, decided, before, and_(imported, ~said_again))


def _snapshots_of_evidence(ids: Sequence[int]) -> CompoundSelect[int]:
    of_ids = select(EvidenceRow.snapshot_id).where(EvidenceRow.snapshot_id.in_(ids), _is_pinned())
    return union(
        of_ids.join(ProposalEvidenceRow, ProposalEvidenceRow.evidence_id == EvidenceRow.id).join(
            ProposalRow, ProposalRow.id == ProposalEvidenceRow.proposal_id
        ),
        of_ids.join(FindingEvidenceRow, FindingEvidenceRow.evidence_id == EvidenceRow.id)
        .join(FindingRow, FindingRow.id == FindingEvidenceRow.finding_id)
        .join(ProposalRow, ProposalRow.id == FindingRow.proposal_id),
    )


def _snapshots_of_moments(ids: Sequence[int]) -> Select[int]:
    """The snapshots that stood at a moment that matters, of artifacts of the project decided about.

    A part may return to earlier bytes; then all from the first reading of a snapshot to its last
    replacement counts as its time. That keeps too much rather than too little.
    """
    replaced_at = (
        select(_LATER.at)
        .where(
            _LATER.part_id == SnapshotRow.part_id, _LATER.snapshot_id.is_not(None), _LATER.id > _last_visit()
        )
        .order_by(_LATER.id)
        .limit(1)
        .correlate(SnapshotRow)
        .scalar_subquery()
    )
    stood = (
        select(
            SnapshotRow.id,
            PartRow.artifact_id,
            SnapshotRow.fetched_at.label("begin"),
            replaced_at.label("end"),
        )
        .join(PartRow, PartRow.id == SnapshotRow.part_id)
        .where(SnapshotRow.id.in_(ids))
        .subquery()
    )
    moments = (DecisionRow.at, ProposalRow.created_at, ProposalRow.current_since)
    return (
        select(stood.c.id)
        .distinct()
        .join(ProjectArtifactRow, ProjectArtifactRow.artifact_id == stood.c.artifact_id)
        .join(DecisionRow, DecisionRow.project_id == ProjectArtifactRow.project_id)
        .join(ProposalRow, ProposalRow.id == DecisionRow.proposal_id)
        .where(or_(*(and_(moment >= stood.c.begin, moment < stood.c.end) for moment in moments)))
    )


def load_pruned(session: Session, prefix: str) -> dict[str, datetime]:
    """The bodies whose digest begins with the prefix that were removed on purpose, and when."""
    query = select(PrunedBodyRow.sha256, PrunedBodyRow.pruned_at).where(
        PrunedBodyRow.sha256 >= prefix, PrunedBodyRow.sha256 < prefix + AFTER_HEX
    )
    return {row.sha256: row.pruned_at for row in session.execute(query)}


def load_pinned_but_pruned(session: Session) -> list[str]:
    """The digests of bodies that were removed although something rests on them, sorted: there must be none."""
    standing = select(VisitRow.id).where(
        VisitRow.part_id == SnapshotRow.part_id, VisitRow.snapshot_id.is_not(None)
    )
    latest = standing.order_by(VisitRow.id.desc()).limit(1).correlate(SnapshotRow).scalar_subquery()
    query = (
        select(SnapshotRow.id, SnapshotRow.sha256, (_last_visit() == latest).label("is_standing"))
        .join(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
        .order_by(SnapshotRow.sha256)
    )
    found: set[str] = set()
    for rows in chunks(session.execute(query).yield_per(500)):
        pinned = load_pinned_snapshots(session, [row.id for row in rows])
        found |= {row.sha256 for row in rows if row.is_standing or row.id in pinned}
    return sorted(found)


def load_resting_on_pruned(session: Session, proposal_ids: Iterable[int]) -> set[int]:
    """Those of the proposals that rest on evidence of a body that was removed."""
    found: set[int] = set()
    is_pruned = EvidenceRow.snapshot_id.in_(
        select(SnapshotRow.id).join(PrunedBodyRow, PrunedBodyRow.sha256 == SnapshotRow.sha256)
    )
    for ids in chunks(proposal_ids):
        own = (
            select(ProposalEvidenceRow.proposal_id)
            .join(EvidenceRow, EvidenceRow.id == ProposalEvidenceRow.evidence_id)
            .where(ProposalEvidenceRow.proposal_id.in_(ids), is_pruned)
        )
        of_findings = (
            select(FindingRow.proposal_id)
            .join(FindingEvidenceRow, FindingEvidenceRow.finding_id == FindingRow.id)
            .join(EvidenceRow, EvidenceRow.id == FindingEvidenceRow.evidence_id)
            .where(FindingRow.proposal_id.in_(ids), is_pruned)
        )
        found.update(session.scalars(union(own, of_findings)))
    return found


def save_pruned(session: Session, digests: Sequence[str], now: datetime, curator: str) -> None:
    """Note that these bodies go on purpose: to be committed before the first of them is removed."""
    values = [{"sha256": sha256, "pruned_at": now, "pruned_by": curator} for sha256 in digests]
    if values:
        session.execute(insert(PrunedBodyRow), values)


_RETURNED = (
    delete(PrunedBodyRow)
    .where(PrunedBodyRow.sha256.in_(bindparam("digests", expanding=True)))
    .execution_options(synchronize_session=False)
)


def save_returned(session: Session, digests: Iterable[str]) -> None:
    """Note that these bodies are in the archive again, or still."""
    for chunk in chunks(digests):
        session.execute(_RETURNED, {"digests": chunk})
