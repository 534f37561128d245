"""Storing what the rules propose, linked to the evidence it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from db.evidence_table import add_piece
from db.evidence_values import evidence_values
from db.keys import chunks, part_key, project_ids
from db.models import (
    Base,
    EvidenceRow,
    FindingEvidenceRow,
    FindingRow,
    PartRow,
    ProjectRow,
    ProposalEvidenceRow,
    ProposalRow,
    SnapshotRow,
)
from db.pins import load_resting_on_pruned
from db.question_index import refresh_questions
from db.save_claims import save_claims
from pipelines.errors import StorageError
from pipelines.model import ArtifactRef, Evidence, JsonValue, Proposal, Quote, canonical_json

_AT_ONCE = 200
"""New proposals inserted together."""

_ONLY_NAMED = -1
"""Ordinal of evidence that no extraction holds."""


def save_proposal(session: Session, proposal: Proposal, run_id: int | None, now: datetime) -> bool:
    """Store a proposal as the current one of its cell; True when it was not stored before."""
    return save_proposals(session, [proposal], run_id, now) == 1


def save_proposals(
    session: Session,
    proposals: Sequence[Proposal],
    run_id: int | None,
    now: datetime,
    claims: Mapping[tuple[str, str], Evidence] | None = None,
) -> int:
    """Store proposals as the current ones of their cells; how many of them were not stored before.

    A proposal whose identity is known adds nothing; if another one was current since, it becomes
    current again. What is no part of its identity, since it does not change the question, is kept as
    it is now: confidence, rationale and link. `claims` are the claims of openness that stand against what is
    proposed, by slug and dimension; without them what was noted before stays. Raises UsageError for an unknown project, StorageError
    when a proposal rests on evidence of a snapshot that is not stored.
    """
    ids = project_ids(session, (proposal.slug for proposal in proposals))
    current: dict[tuple[int, str], _Stored] = {}
    for rows in chunks(sorted(ids.values())):
        current |= _load_current(session, rows)
    # The last one of a cell counts, whatever else is stored.
    wanted = {(ids[proposal.slug], proposal.dimension): proposal for proposal in proposals}
    identities = {id(proposal): proposal.identity for proposal in proposals}
    known = {stored.identity: stored for stored in current.values()}
    unseen = {identity for identity in identities.values() if identity not in known}
    known |= _load_known(session, sorted(unseen))
    added = {
        identities[id(proposal)]: proposal for proposal in proposals if identities[id(proposal)] not in known
    }
    new: dict[str, int] = {}
    for chunk in chunks(added.items(), _AT_ONCE):
        new |= _add(session, dict(chunk), ids, run_id, now)
    back: dict[int, Proposal] = {}
    leaving, coming = [], []
    for cell, proposal in wanted.items():
        identity, was = identities[id(proposal)], current.get(cell)
        if was is not None and was.identity == identity:
            continue
        if was is not None:
            leaving.append(was.id)
        if identity in known:
            back[known[identity].id] = proposal
        coming.append(new[identity] if identity in new else known[identity].id)
    _move_to_bytes_that_are_there(session, back)
    _set_current(session, leaving, {"is_current": False})
    _set_current(session, coming, {"is_current": True, "current_since": now})
    stands = [(known[identities[id(p)]], p) for p in wanted.values() if identities[id(p)] in known]
    _keep_up_to_date(session, stands)
    if claims is not None:
        named = {(ids[slug], dimension): claim for (slug, dimension), claim in claims.items()}
        save_claims(session, ids.values(), named)
    refresh_questions(session, ids.values())
    return len(added)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A proposal that is stored: its row, and what of it may be told otherwise while the question is the same."""

    id: int
    identity: str
    confidence: float
    rationale: str
    link: str


_STORED = (
    ProposalRow.id,
    ProposalRow.identity,
    ProposalRow.confidence,
    ProposalRow.rationale,
    ProposalRow.link,
)


# Made once, and run by the connection: a night stores project after project, making a statement costs as much
# as running it, and a session takes twice as long as its connection.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_IDENTITIES: BindParameter[Any] = bindparam("identities", expanding=True)
_LOCKED = select(ProjectRow.id).where(ProjectRow.id.in_(_IDS)).order_by(ProjectRow.id).with_for_update()
_CURRENT = select(ProposalRow.project_id, ProposalRow.dimension, *_STORED).where(
    ProposalRow.project_id.in_(_IDS), ProposalRow.is_current
)
_KNOWN = select(*_STORED).where(ProposalRow.identity.in_(_IDENTITIES))
_NEW_IDS = select(ProposalRow.identity, ProposalRow.id).where(ProposalRow.identity.in_(_IDENTITIES))
_FINDING_IDS = select(FindingRow.proposal_id, FindingRow.ordinal, FindingRow.id).where(
    FindingRow.proposal_id.in_(_IDS)
)


def _load_current(session: Session, rows: Sequence[int]) -> dict[tuple[int, str], _Stored]:
    """The current proposal of each cell of some projects, which are locked.

    Two processes that rate the same project take turns; SQLite has one writer anyhow.
    """
    session.connection().execute(_LOCKED, {"ids": list(rows)}).all()
    found = session.connection().execute(_CURRENT, {"ids": list(rows)})
    return {(row[0], row[1]): _stored(row[2:]) for row in found}


def _load_known(session: Session, identities: Sequence[str]) -> dict[str, _Stored]:
    found: dict[str, _Stored] = {}
    for some in chunks(identities):
        rows = session.connection().execute(_KNOWN, {"identities": some})
        found.update((row.identity, _stored(row)) for row in rows)
    return found


def _stored(row: Sequence[Any]) -> _Stored:  # Any: columns have many types
    proposal_id, identity, confidence, rationale, link = row
    return _Stored(id=proposal_id, identity=identity, confidence=confidence, rationale=rationale, link=link)


def _keep_up_to_date(session: Session, stands: Iterable[tuple[_Stored, Proposal]]) -> None:
    """Let stored proposals tell the confidence, the reason and the link of today.

    A calibration was changed, or what they rest on could not be read again tonight. The question is
    the same, since when it stands as well: what was decided about it stays decided.
    """
    changed = [
        {"id": stored.id, "confidence": now.confidence, "rationale": now.rationale, "link": now.link}
        for stored, now in stands
        if (stored.confidence, stored.rationale, stored.link) != (now.confidence, now.rationale, now.link)
    ]
    if changed:
        session.execute(update(ProposalRow), changed)


def _move_to_bytes_that_are_there(session: Session, back: Mapping[int, Proposal]) -> None:
    """Let proposals that become current again rest on the snapshots of today where those of then were pruned.

    It is the same evidence: what it says and where is part of a proposal's identity, the digest of
    the bytes is not. What was decided about is never pruned, so no decision's grounds are touched.
    """
    stale = load_resting_on_pruned(session, sorted(back))
    if not stale:
        return
    for chunk in chunks(sorted(stale)):
        findings = select(FindingRow.id).where(FindingRow.proposal_id.in_(chunk))
        session.execute(delete(FindingEvidenceRow).where(FindingEvidenceRow.finding_id.in_(findings)))
        session.execute(delete(FindingRow).where(FindingRow.proposal_id.in_(chunk)))
        session.execute(delete(ProposalEvidenceRow).where(ProposalEvidenceRow.proposal_id.in_(chunk)))
    _add_grounds(session, [(proposal_id, back[proposal_id]) for proposal_id in sorted(stale)])


def _set_current(session: Session, proposals: Sequence[int], values: Mapping[str, JsonValue]) -> None:
    for ids in chunks(proposals):
        session.connection().execute(
            update(_table(ProposalRow)).where(ProposalRow.id.in_(ids)).values(dict(values))
        )


def _add(
    session: Session,
    proposals: Mapping[str, Proposal],
    project_ids: Mapping[str, int],
    run_id: int | None,
    now: datetime,
) -> dict[str, int]:
    """Insert proposals (by identity), not yet current, with findings and links to evidence; their ids by identity."""
    values = [
        {
            "identity": identity,
            "run_id": run_id,
            "project_id": project_ids[proposal.slug],
            "dimension": proposal.dimension,
            "rating": proposal.rating,
            "confidence": proposal.confidence,
            "rationale": proposal.rationale,
            "rule": proposal.rule,
            "rule_version": proposal.rule_version,
            "rubric_digest": proposal.rubric_digest,
            "evidence_digest": proposal.evidence_digest,
            "searched": list(proposal.searched),
            "link": proposal.link,
            "created_at": now,
            "is_current": False,
            "current_since": now,
        }
        for identity, proposal in proposals.items()
    ]
    session.connection().execute(insert(_table(ProposalRow)), values)
    # Asked for afterwards: an insertion that gives ids back in order is made row by row on SQLite.
    ids: dict[str, int] = {}
    for identities in chunks(proposals):
        rows = session.connection().execute(_NEW_IDS, {"identities": identities})
        ids.update((identity, proposal_id) for identity, proposal_id in rows)
    _add_grounds(session, [(ids[identity], proposal) for identity, proposal in proposals.items()])
    return ids


def _add_grounds(session: Session, proposals: Sequence[tuple[int, Proposal]]) -> None:
    """Insert findings and links to evidence of proposals that have none yet."""
    evidence_ids = _EvidenceIds(session, [proposal for _, proposal in proposals])
    _add_findings(session, proposals, evidence_ids)
    links = [
        {"proposal_id": proposal_id, "ordinal": ordinal, "evidence_id": evidence_ids[item]}
        for proposal_id, proposal in proposals
        for ordinal, item in enumerate(proposal.evidence)
    ]
    if links:
        session.connection().execute(insert(_table(ProposalEvidenceRow)), links)


def _add_findings(
    session: Session, proposals: Sequence[tuple[int, Proposal]], evidence_ids: _EvidenceIds
) -> None:
    found = [
        (proposal_id, ordinal, finding)
        for proposal_id, proposal in proposals
        for ordinal, finding in enumerate(proposal.findings)
    ]
    if not found:
        return
    values = [
        {
            "proposal_id": proposal_id,
            "ordinal": ordinal,
            "check_name": finding.check,
            "outcome": finding.outcome,
            "note": finding.note,
            "searched": list(finding.searched),
        }
        for proposal_id, ordinal, finding in found
    ]
    session.connection().execute(insert(_table(FindingRow)), values)
    ids: dict[tuple[int, int], int] = {}
    for some in chunks(proposal_id for proposal_id, _ in proposals):
        rows = session.connection().execute(_FINDING_IDS, {"ids": some})
        ids.update(((proposal_id, ordinal), finding_id) for proposal_id, ordinal, finding_id in rows)
    links = [
        {"finding_id": ids[proposal_id, place], "ordinal": ordinal, "evidence_id": evidence_ids[item]}
        for proposal_id, place, finding in found
        for ordinal, item in enumerate(finding.evidence)
    ]
    if links:
        session.connection().execute(insert(_table(FindingEvidenceRow)), links)


def _table(row: type[Base]) -> Table:
    """The table itself: inserting rows of a mapped class costs twice as much."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


def _locus(evidence: Evidence) -> tuple[str, str, bytes]:
    """What tells one piece of evidence of a snapshot from another."""
    where = evidence.where
    if isinstance(where, Quote):
        return evidence.key, f"{where.start}-{where.end}", b""
    return evidence.key, where.path, canonical_json(where.value)


def _evidence_of(proposal: Proposal) -> Iterator[Evidence]:
    yield from proposal.evidence
    for finding in proposal.findings:
        yield from finding.evidence


class _EvidenceIds:
    """The rows of the evidence that proposals rest on."""

    def __init__(self, session: Session, proposals: Iterable[Proposal]) -> None:
        self._session = session
        self._keys: dict[tuple[ArtifactRef, str], str] = {}
        self._ids: dict[int, int] = {}
        items = {id(item): item for proposal in proposals for item in _evidence_of(proposal)}.values()
        self._snapshots = self._load_snapshots(items)
        unknown = {id(item) for item in items if self._key(item) not in self._snapshots}
        for proposal in proposals if unknown else ():
            for item in _evidence_of(proposal):
                if id(item) in unknown:
                    raise StorageError(
                        f"{proposal.slug} {proposal.dimension}: the proposal rests on {item.ref} {item.part}"
                        f" with sha256 {item.sha256[:12]}, of which no snapshot is stored"
                    )
        self._rows = self._load_rows(items)

    def __getitem__(self, evidence: Evidence) -> int:
        # By the object: a rule shows one piece in several findings, and all of them are alive.
        found = self._ids.get(id(evidence))
        if found is None:
            found = self._ids[id(evidence)] = self._find(evidence)
        return found

    def _find(self, evidence: Evidence) -> int:
        snapshot_id = self._snapshots[self._key(evidence)]
        place = (snapshot_id, _locus(evidence))
        if place not in self._rows:
            row = evidence_values(evidence, snapshot_id)
            self._rows[place] = add_piece(
                self._session, row | {"extraction_id": None, "ordinal": _ONLY_NAMED}
            )
        return self._rows[place]

    def _key(self, evidence: Evidence) -> tuple[str, str]:
        place = (evidence.ref, evidence.part)
        if place not in self._keys:
            self._keys[place] = part_key(*place)
        return self._keys[place], evidence.sha256

    def _load_snapshots(self, items: Iterable[Evidence]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for digests in chunks(sorted({item.sha256 for item in items})):
            rows = self._session.execute(
                select(PartRow.key, SnapshotRow.sha256, SnapshotRow.id)
                .join(PartRow, PartRow.id == SnapshotRow.part_id)
                .where(SnapshotRow.sha256.in_(digests))
            )
            found.update({(key, sha256): snapshot_id for key, sha256, snapshot_id in rows})
        return found

    def _load_rows(self, items: Iterable[Evidence]) -> dict[tuple[int, tuple[str, str, bytes]], int]:
        places = {(self._snapshots[self._key(item)], _locus(item)) for item in items}
        found: dict[tuple[int, tuple[str, str, bytes]], int] = {}
        for keys in chunks(sorted({locus[0] for _, locus in places})):
            rows = self._session.execute(
                select(
                    EvidenceRow.id,
                    EvidenceRow.snapshot_id,
                    EvidenceRow.key,
                    EvidenceRow.quote_start,
                    EvidenceRow.quote_end,
                    EvidenceRow.field_path,
                    EvidenceRow.field_value,
                )
                .where(
                    EvidenceRow.snapshot_id.in_(sorted({snapshot_id for snapshot_id, _ in places})),
                    EvidenceRow.key.in_(keys),
                )
                .order_by(EvidenceRow.id)
            )
            for row in rows:
                locus = (
                    (row.key, f"{row.quote_start}-{row.quote_end}", b"")
                    if row.field_path is None
                    else (row.key, row.field_path, canonical_json(row.field_value))
                )
                place = (row.snapshot_id, locus)
                if place in places:
                    found[place] = row.id
        return found
