"""Which proposals are what stands already: most of a night's are, and storing them would change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.columns import AnyText, as_stored, unescape_text
from db.keys import chunks, part_key
from db.models import EvidenceRow, PartRow, ProjectRow, ProposalRow, SnapshotRow
from pipelines.model import Evidence
from pipelines.propose import Gist

Cell = tuple[str, str]
"""Slug and dimension."""


_SAID = ("rubric_digest", "rule", "rule_version", "evidence_digest", "confidence", "rationale", "link")
"""What of a current proposal storing it again could change: the parts of its identity, and what it tells."""
_said_by = attrgetter(*_SAID)
_TEXTS = tuple(
    [place for place, name in enumerate(_SAID) if isinstance(getattr(ProposalRow, name).type, AnyText)]
)
"""Where among them texts stand that hold anything; others are digests and numbers."""


# Made once: making a statement costs as much as one project's answer to it.
_LOCKED = (
    select(ProjectRow.id, ProjectRow.slug)
    .where(ProjectRow.slug.in_(bindparam("slugs", expanding=True)))
    .order_by(ProjectRow.id)
    .with_for_update()
)
_CURRENT = select(
    ProposalRow.project_id,
    as_stored(ProposalRow.dimension),
    ProposalRow.claim_evidence_id,
    *(as_stored(getattr(ProposalRow, name)) for name in _SAID),
).where(ProposalRow.project_id.in_(bindparam("ids", expanding=True)), ProposalRow.is_current)
_CLAIMS = (
    select(EvidenceRow.id, EvidenceRow.key, SnapshotRow.sha256, PartRow.key)
    .join(SnapshotRow, SnapshotRow.id == EvidenceRow.snapshot_id)
    .join(PartRow, PartRow.id == SnapshotRow.part_id)
    .where(EvidenceRow.id.in_(bindparam("ids", expanding=True)))
)


def load_changed(session: Session, proposals: Sequence[Gist], claims: Mapping[Cell, Evidence]) -> set[str]:
    """The projects of which `save_proposals` would change anything, given what these proposals and claims tell.

    Until the transaction ends nobody else can store proposals of any of the projects.
    """
    slugs = dict.fromkeys(proposal.slug for proposal in proposals)
    names: dict[int, str] = {}
    for some in chunks(slugs):
        names.update((row[0], row[1]) for row in session.execute(_LOCKED, {"slugs": some}))
    said: dict[Cell, tuple[object, ...]] = {}
    named: dict[Cell, int] = {}
    for ids in chunks(names):
        for project_id, dimension, claim_id, *rest in session.connection().execute(_CURRENT, {"ids": ids}):
            cell = (names[project_id], unescape_text(dimension))
            for place in _TEXTS:
                rest[place] = unescape_text(rest[place])
            said[cell] = tuple(rest)
            if claim_id is not None:
                named[cell] = claim_id
    changed = {
        proposal.slug
        for proposal in proposals
        if said.get((proposal.slug, proposal.dimension)) != _said_by(proposal)
    }
    return changed | _other_claims(session, named, claims)


def _other_claims(session: Session, named: Mapping[Cell, int], claims: Mapping[Cell, Evidence]) -> set[str]:
    """The projects of which other claims stand against what is proposed than those that are noted."""
    places: dict[int, tuple[str, str, str]] = {}
    for ids in chunks(sorted(set(named.values()))):
        for evidence_id, key, sha256, part in session.execute(_CLAIMS, {"ids": ids}):
            places[evidence_id] = (key, sha256, part)
    noted = {cell: places.get(evidence_id) for cell, evidence_id in named.items()}
    now = {cell: (claim.key, claim.sha256, part_key(claim.ref, claim.part)) for cell, claim in claims.items()}
    return {cell[0] for cell in {**noted, **now} if noted.get(cell) != now.get(cell)}
