"""Reading proposals back with the evidence they rest on: a fixed number of queries for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, select
from sqlalchemy.orm import Session

from db.keys import chunks, project_ids
from db.models import (
    ArtifactRow,
    EvidenceRow,
    FindingEvidenceRow,
    FindingRow,
    PartRow,
    ProjectRow,
    ProposalEvidenceRow,
    ProposalRow,
    SnapshotRow,
)
from db.rows import evidence_from, snapshot_from
from db.values import StoredProposal, StoredSnapshot
from pipelines.model import Evidence, Finding, Proposal


def load_proposals(
    session: Session,
    *,
    slugs: Iterable[str] | None = None,
    dimensions: Iterable[str] | None = None,
    ids: Iterable[int] | None = None,
) -> list[StoredProposal]:
    """The current proposals, sorted by slug and dimension, with findings and evidence.

    Without `slugs` those of all projects that are not retired. With `ids` exactly these proposals,
    current or not. Raises UsageError for an unknown slug.
    """
    if ids is not None:
        rows = [(row, slug) for some in chunks(ids) for row, slug in session.execute(_NAMED, {"ids": some})]
        return _with_evidence(session, rows)
    query = _WITH_SLUG
    if dimensions is not None:
        query = query.where(ProposalRow.dimension.in_(list(dimensions)))
    if slugs is not None:
        projects = sorted(project_ids(session, slugs).values())
        narrowed = [
            query.where(ProposalRow.is_current, ProposalRow.project_id.in_(chunk))
            for chunk in chunks(projects)
        ]
    else:
        narrowed = [query.where(ProposalRow.is_current, ProjectRow.active)]
    rows = [(row, slug) for each in narrowed for row, slug in session.execute(each)]
    return _with_evidence(session, rows)


def _with_evidence(session: Session, rows: list[tuple[ProposalRow, str]]) -> list[StoredProposal]:
    rows.sort(key=lambda pair: (pair[1], pair[0].dimension, pair[0].id))
    evidence = _EvidenceOf(session, [row.id for row, _ in rows])
    return [_stored(row, slug, evidence) for row, slug in rows]


def _stored(row: ProposalRow, slug: str, evidence: _EvidenceOf) -> StoredProposal:
    findings = tuple(
        Finding(
            check=finding.check_name,
            outcome=finding.outcome,
            evidence=evidence.of_finding(finding.id),
            searched=tuple(finding.searched),
            note=finding.note,
        )
        for finding in evidence.findings.get(row.id, ())
    )
    proposal = Proposal(
        slug=slug,
        dimension=row.dimension,
        rating=row.rating,
        confidence=row.confidence,
        rationale=row.rationale,
        rule=row.rule,
        rule_version=row.rule_version,
        rubric_digest=row.rubric_digest,
        evidence_digest=row.evidence_digest,
        findings=findings,
        evidence=evidence.of_proposal(row.id),
        searched=tuple(row.searched),
        link=row.link,
    )
    return StoredProposal(
        id=row.id,
        run_id=row.run_id,
        created_at=row.created_at,
        current_since=row.current_since,
        is_current=row.is_current,
        proposal=proposal,
    )


# Made once: the review desk waits for them.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_FINDINGS = (
    select(
        FindingRow.id,
        FindingRow.proposal_id,
        FindingRow.check_name,
        FindingRow.outcome,
        FindingRow.note,
        FindingRow.searched,
    )
    .where(FindingRow.proposal_id.in_(_IDS))
    .order_by(FindingRow.proposal_id, FindingRow.ordinal)
)
_OF_FINDINGS = (
    select(FindingEvidenceRow.finding_id, FindingEvidenceRow.evidence_id)
    .join(FindingRow, FindingRow.id == FindingEvidenceRow.finding_id)
    .where(FindingRow.proposal_id.in_(_IDS))
    .order_by(FindingEvidenceRow.finding_id, FindingEvidenceRow.ordinal)
)
_OF_PROPOSALS = (
    select(ProposalEvidenceRow.proposal_id, ProposalEvidenceRow.evidence_id)
    .where(ProposalEvidenceRow.proposal_id.in_(_IDS))
    .order_by(ProposalEvidenceRow.proposal_id, ProposalEvidenceRow.ordinal)
)
_EVIDENCE = select(EvidenceRow).where(EvidenceRow.id.in_(_IDS))
_SNAPSHOTS = (
    select(ArtifactRow, PartRow, SnapshotRow)
    .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
    .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
    .where(SnapshotRow.id.in_(_IDS))
)
_WITH_SLUG = select(ProposalRow, ProjectRow.slug).join(ProjectRow, ProjectRow.id == ProposalRow.project_id)
_NAMED = _WITH_SLUG.where(ProposalRow.id.in_(_IDS))


class _EvidenceOf:
    """Findings and evidence of some proposals."""

    def __init__(self, session: Session, proposals: Sequence[int]) -> None:
        self.findings: dict[int, list[Row[*tuple[Any, ...]]]] = {}
        self._of_proposal: dict[int, list[int]] = {}
        self._of_finding: dict[int, list[int]] = {}
        for chunk in chunks(proposals):
            wanted = {"ids": chunk}
            for finding in session.execute(_FINDINGS, wanted):
                self.findings.setdefault(finding.proposal_id, []).append(finding)
            for finding_id, evidence_id in session.execute(_OF_FINDINGS, wanted):
                self._of_finding.setdefault(finding_id, []).append(evidence_id)
            for proposal_id, evidence_id in session.execute(_OF_PROPOSALS, wanted):
                self._of_proposal.setdefault(proposal_id, []).append(evidence_id)
        linked = {item for ids in self._of_proposal.values() for item in ids}
        linked |= {item for ids in self._of_finding.values() for item in ids}
        self._evidence: Mapping[int, Evidence] = _load_evidence_by_id(session, sorted(linked))

    def of_proposal(self, proposal_id: int) -> tuple[Evidence, ...]:
        return tuple(self._evidence[item] for item in self._of_proposal.get(proposal_id, ()))

    def of_finding(self, finding_id: int) -> tuple[Evidence, ...]:
        return tuple(self._evidence[item] for item in self._of_finding.get(finding_id, ()))


def _load_evidence_by_id(session: Session, ids: Sequence[int]) -> dict[int, Evidence]:
    snapshots: dict[int, StoredSnapshot] = {}
    found: dict[int, Evidence] = {}
    for chunk in chunks(ids):
        rows = session.scalars(_EVIDENCE, {"ids": chunk}).all()
        missing = {row.snapshot_id for row in rows} - snapshots.keys()
        for snapshot_ids in chunks(sorted(missing)):
            snapshots |= _load_snapshots_by_id(session, snapshot_ids)
        found.update({row.id: evidence_from(row, snapshots[row.snapshot_id]) for row in rows})
    return found


def _load_snapshots_by_id(session: Session, ids: Sequence[int]) -> dict[int, StoredSnapshot]:
    rows = session.execute(_SNAPSHOTS, {"ids": list(ids)})
    return {snapshot.id: snapshot_from(artifact, part, snapshot) for artifact, part, snapshot in rows}
