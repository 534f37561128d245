"""Noting which proposals a claim of openness stands against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from db.keys import chunks, part_key
from db.models import EvidenceRow, PartRow, ProposalRow, SnapshotRow
from pipelines.model import Evidence


def save_claims(
    session: Session, project_ids: Iterable[int], claims: Mapping[tuple[int, str], Evidence]
) -> None:
    """Let the current proposals of some projects name the claims that stand against them now, and no others.

    `claims` by project id and dimension. Evidence that no extraction has stored names none.
    """
    wanted = _load_ids(session, claims)
    for some in chunks(sorted(set(project_ids))):
        rows = session.connection().execute(_NAMED, {"ids": some})
        changed = [
            {"id": proposal_id, "claim_evidence_id": wanted.get((project_id, dimension))}
            for proposal_id, project_id, dimension, named in rows
            if wanted.get((project_id, dimension)) != named
        ]
        if changed:
            session.execute(update(ProposalRow), changed)


# Made once: making a statement costs as much as one project's answer to it.
_NAMED = select(
    ProposalRow.id, ProposalRow.project_id, ProposalRow.dimension, ProposalRow.claim_evidence_id
).where(ProposalRow.project_id.in_(bindparam("ids", expanding=True)), ProposalRow.is_current)
_STORED = (
    select(EvidenceRow.key, SnapshotRow.sha256, PartRow.key, func.min(EvidenceRow.id))
    .join(SnapshotRow, SnapshotRow.id == EvidenceRow.snapshot_id)
    .join(PartRow, PartRow.id == SnapshotRow.part_id)
    .where(
        EvidenceRow.key.in_(bindparam("keys", expanding=True)),
        SnapshotRow.sha256.in_(bindparam("digests", expanding=True)),
    )
    .group_by(EvidenceRow.key, SnapshotRow.sha256, PartRow.key)
)


def _load_ids(session: Session, claims: Mapping[tuple[int, str], Evidence]) -> dict[tuple[int, str], int]:
    places = {
        cell: (claim.key, claim.sha256, part_key(claim.ref, claim.part)) for cell, claim in claims.items()
    }
    found: dict[tuple[str, str, str], int] = {}
    digests = sorted({sha256 for _, sha256, _ in places.values()})
    for some in chunks(sorted({key for key, _, _ in places.values()})):
        rows = session.connection().execute(_STORED, {"keys": some, "digests": digests})
        found.update({(key, sha256, part): evidence_id for key, sha256, part, evidence_id in rows})
    return {cell: found[place] for cell, place in places.items() if place in found}
