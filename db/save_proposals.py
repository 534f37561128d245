"""Storing what the rules propose, linked to the evidence it rests on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from db.columns import unescape_text
from db.evidence_table import add_piece
from db.evidence_values import evidence_values
from db.keys import chunks, part_key, project_ids
from db.many_rows import execute_rows, insertion, query_rows, table_of
from db.models import (
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
    back: dict[int, Proposal] = {}
    leaving, coming = [], set()
    for cell, proposal in wanted.items():
        identity, was = identities[id(proposal)], current.get(cell)
        if was is not None and was.identity == identity:
            continue
        if was is not None:
            leaving.append(was.id)
        if identity in known:
            back[known[identity].id] = proposal
        else:
            coming.add(identity)
    # First, since a cell has one current proposal at any time.
    _set_current(session, leaving, {"is_current": False})
    for chunk in chunks(added.items(), _AT_ONCE):
        _add(session, dict(chunk), coming, ids, run_id, now)
    _move_to_bytes_that_are_there(session, back)
    _set_current(session, list(back), {"is_current": True, "current_since": now})
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
_FINDING_IDS = (
    select(FindingRow.proposal_id, FindingRow.id)
    .where(FindingRow.proposal_id.in_(_IDS))
    .order_by(FindingRow.proposal_id, FindingRow.ordinal)
)
_SNAPSHOTS = (
    select(PartRow.key, SnapshotRow.sha256, SnapshotRow.id)
    .join(PartRow, PartRow.id == SnapshotRow.part_id)
    .where(SnapshotRow.sha256.in_(bindparam("digests", expanding=True)))
)
_PAIRS = 50
"""Places of evidence looked up together."""

_PAIR_NAMES = tuple([f"{name}_{number}" for number in range(_PAIRS) for name in ("snapshot", "key")])
# A join, since SQLite looks for several pairs of values in the whole table, and two lists in all their combinations.
_PIECES = text(
    "WITH wanted (snapshot_id, key) AS"
    f" (VALUES {', '.join(f'(:snapshot_{number}, :key_{number})' for number in range(_PAIRS))})"
    " SELECT piece.id, piece.snapshot_id, piece.key, piece.quote_start, piece.quote_end,"
    " piece.field_path, piece.field_value"
    " FROM wanted JOIN evidence AS piece"
    " ON piece.snapshot_id = wanted.snapshot_id AND piece.key = wanted.key ORDER BY piece.id"
)
_PROPOSAL = (
    "identity",
    "run_id",
    "project_id",
    "dimension",
    "rating",
    "confidence",
    "rationale",
    "rule",
    "rule_version",
    "rubric_digest",
    "evidence_digest",
    "searched",
    "link",
    "created_at",
    "is_current",
    "current_since",
)
_FINDING = ("proposal_id", "ordinal", "check_name", "outcome", "note", "searched")
_FINDING_LINK = ("finding_id", "ordinal", "evidence_id")
_PROPOSAL_LINK = ("proposal_id", "ordinal", "evidence_id")
_ADD_PROPOSALS = insertion(ProposalRow, _PROPOSAL)
_ADD_FINDINGS = insertion(FindingRow, _FINDING)
_ADD_FINDING_LINKS = insertion(FindingEvidenceRow, _FINDING_LINK)
_ADD_PROPOSAL_LINKS = insertion(ProposalEvidenceRow, _PROPOSAL_LINK)


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
            update(table_of(ProposalRow)).where(ProposalRow.id.in_(ids)).values(dict(values))
        )


def _add(
    session: Session,
    proposals: Mapping[str, Proposal],
    current: Collection[str],
    project_ids: Mapping[str, int],
    run_id: int | None,
    now: datetime,
) -> None:
    """Insert proposals by identity, those that are current as such, with findings and links to evidence."""
    rows = [
        (
            identity,
            run_id,
            project_ids[proposal.slug],
            proposal.dimension,
            proposal.rating,
            proposal.confidence,
            proposal.rationale,
            proposal.rule,
            proposal.rule_version,
            proposal.rubric_digest,
            proposal.evidence_digest,
            tuple(proposal.searched),
            proposal.link,
            now,
            identity in current,
            now,
        )
        for identity, proposal in proposals.items()
    ]
    execute_rows(session, _ADD_PROPOSALS, _PROPOSAL, rows)
    # Asked for afterwards: an insertion that gives ids back in order is made row by row on SQLite.
    ids: dict[str, int] = {}
    for identities in chunks(proposals):
        found = session.connection().execute(_NEW_IDS, {"identities": identities})
        ids.update((identity, proposal_id) for identity, proposal_id in found)
    _add_grounds(session, [(ids[identity], proposal) for identity, proposal in proposals.items()])


def _add_grounds(session: Session, proposals: Sequence[tuple[int, Proposal]]) -> None:
    """Insert findings and links to evidence of proposals that have none yet."""
    evidence_ids = _evidence_ids(session, [proposal for _, proposal in proposals])
    _add_findings(session, proposals, evidence_ids)
    links = [
        (proposal_id, ordinal, evidence_ids[id(item)])
        for proposal_id, proposal in proposals
        for ordinal, item in enumerate(proposal.evidence)
    ]
    execute_rows(session, _ADD_PROPOSAL_LINKS, _PROPOSAL_LINK, links)


def _add_findings(
    session: Session, proposals: Sequence[tuple[int, Proposal]], evidence_ids: Mapping[int, int]
) -> None:
    rows = [
        (proposal_id, ordinal, finding.check, finding.outcome, finding.note, tuple(finding.searched))
        for proposal_id, proposal in proposals
        for ordinal, finding in enumerate(proposal.findings)
    ]
    execute_rows(session, _ADD_FINDINGS, _FINDING, rows)
    ids: dict[int, list[int]] = {}
    for some in chunks(proposal_id for proposal_id, _ in proposals):
        found = session.connection().execute(_FINDING_IDS, {"ids": some})
        for proposal_id, of_proposal in groupby(found, key=itemgetter(0)):
            ids[proposal_id] = [finding_id for _, finding_id in of_proposal]
    links = [
        (finding_id, ordinal, evidence_ids[id(item)])
        for proposal_id, proposal in proposals
        if proposal.findings
        for finding_id, finding in zip(ids[proposal_id], proposal.findings, strict=True)
        for ordinal, item in enumerate(finding.evidence)
    ]
    execute_rows(session, _ADD_FINDING_LINKS, _FINDING_LINK, links)


def _evidence_of(proposal: Proposal) -> Iterator[Evidence]:
    for finding in proposal.findings:
        yield from finding.evidence
    yield from proposal.evidence


_Place = tuple[int, str, int | str, int | bytes]
"""What tells a piece of evidence from another: its snapshot, its identity, and where it stands."""


def _evidence_ids(session: Session, proposals: Sequence[Proposal]) -> dict[int, int]:
    """The rows of the evidence that proposals rest on, added where no extraction has stored them.

    By the object: a rule shows one piece in several findings, and all of them are alive. Raises StorageError
    when one is of a snapshot that is not stored.
    """
    items = {id(item): item for proposal in proposals for item in _evidence_of(proposal)}
    snapshots = _snapshot_ids(session, items.values())
    unknown = items.keys() - snapshots.keys()
    for proposal in proposals if unknown else ():
        for item in _evidence_of(proposal):
            if id(item) in unknown:
                raise StorageError(
                    f"{proposal.slug} {proposal.dimension}: the proposal rests on {item.ref} {item.part}"
                    f" with sha256 {item.sha256[:12]}, of which no snapshot is stored"
                )
    places = {name: _place(item, snapshots[name]) for name, item in items.items()}
    rows = _load_pieces(session, places.values())
    for name, place in places.items():
        if place not in rows:
            values = evidence_values(items[name], snapshots[name])
            rows[place] = add_piece(session, values | {"extraction_id": None, "ordinal": _ONLY_NAMED})
    return {name: rows[place] for name, place in places.items()}


def _place(evidence: Evidence, snapshot_id: int) -> _Place:
    where = evidence.where
    if isinstance(where, Quote):
        return snapshot_id, evidence.key, where.start, where.end
    return snapshot_id, evidence.key, where.path, canonical_json(where.value)


def _snapshot_ids(session: Session, items: Collection[Evidence]) -> dict[int, int]:
    """The snapshots of pieces of evidence, by the objects; without those that are not stored."""
    stored: dict[tuple[str, str], int] = {}
    for digests in chunks(sorted({item.sha256 for item in items})):
        for key, sha256, snapshot_id in session.connection().execute(_SNAPSHOTS, {"digests": digests}):
            stored[key, sha256] = snapshot_id
    keys: dict[tuple[ArtifactRef, str], str] = {}
    found: dict[int, int] = {}
    for item in items:
        part = (item.ref, item.part)
        if part not in keys:
            keys[part] = part_key(*part)
        if (keys[part], item.sha256) in stored:
            found[id(item)] = stored[keys[part], item.sha256]
    return found


def _load_pieces(session: Session, places: Iterable[_Place]) -> dict[_Place, int]:
    """The evidence that is stored at some places and may be at others of the same snapshots; the latest counts."""
    found: dict[_Place, int] = {}
    for pairs in chunks(dict.fromkeys(place[:2] for place in places), _PAIRS):
        # The statement is always the same: making one takes longer than finding a pair once more.
        pairs += pairs[-1:] * (_PAIRS - len(pairs))
        wanted = tuple(chain.from_iterable(pairs))
        for row in query_rows(session, _PIECES, _PAIR_NAMES, wanted):
            row_id, snapshot_id, key, start, end, path, value = row
            if path is None:
                found[snapshot_id, key, start, end] = row_id
            else:
                found[snapshot_id, key, unescape_text(path), canonical_json(json.loads(value or "null"))] = (
                    row_id
                )
    return found
