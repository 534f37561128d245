"""What the rows of the index of questions have to be, made from proposals, decisions, disputes and opinions.

Projects are worked on together: the number of queries does not depend on how many cells they have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.basis import load_agreeing
from db.gain import change_of, gain_of
from db.models import (
    ArtifactRow,
    DecisionRow,
    DisputeRow,
    EvidenceRow,
    FindingRow,
    OpinionRow,
    PartRow,
    ProjectRow,
    ProposalEvidenceRow,
    ProposalRow,
    SnapshotRow,
)
from db.ratings import RATES, TURNS_DOWN
from db.review_values import DisputeStatus, QuestionKind
from db.states import load_states
from pipelines.model import ArtifactRef, DecisionKind, Outcome, Rating, VisitStatus

MAX_ORG = 200
"""Characters of an organisation's name that the index keeps: PostgreSQL takes no long texts into one."""

OPEN_TERMS = ("code_is_openly_licensed", "weights_are_openly_licensed")
RESTRICTED_TERMS = (
    "weights_are_use_restricted",
    "weights_are_bespoke",
    "base_is_known_restricted",
    "data_is_restricted",
    "code_is_bespoke",
)
"""Checks of the licence rule: where one of each is answered with yes, the project's licences contradict each other."""

LICENCE = "license"
"""The dimension of that rule."""

ANSWERS = (DecisionKind.CONFIRM, DecisionKind.OVERRIDE, DecisionKind.REJECT)
"""The decisions that answer a dispute, made later and in force. An import answers nobody."""

Cell = tuple[int, str]
"""Project id and dimension."""


class IndexRow(NamedTuple):
    """A row of `questions`."""

    project_id: int
    dimension: str
    proposal_id: int | None
    kind: QuestionKind
    proposes: bool
    rating: Rating | None
    current_rating: Rating | None
    change: int
    confidence: float
    gain: float
    project_gain: float
    since: datetime
    defer_until: datetime | None
    slug: str
    org: str


class _Proposal(NamedTuple):
    """What of a current proposal the index needs."""

    id: int
    project_id: int
    dimension: str
    rating: Rating | None
    confidence: float
    evidence_digest: str
    current_since: datetime
    claim_evidence_id: int | None


class _Decision(NamedTuple):
    """What of a decision the index needs."""

    id: int
    project_id: int
    dimension: str
    kind: DecisionKind
    rating: Rating | None
    proposal_id: int | None
    proposed_rating: Rating | None
    evidence_digest: str | None
    imported: bool
    at: datetime
    defer_until: datetime | None
    undoes_decision_id: int | None


@dataclass(slots=True)
class _CellState:
    """All that is known of a cell; decisions in force only, oldest first."""

    proposal: _Proposal | None = None
    decisions: list[_Decision] = field(default_factory=list)
    disputed: list[datetime] = field(default_factory=list)
    opinions: list[tuple[int, Rating, datetime]] = field(default_factory=list)

    @property
    def current(self) -> _Decision | None:
        """The decision that gives the cell its rating."""
        return next((each for each in reversed(self.decisions) if each.kind in RATES), None)


class _Asked(NamedTuple):
    """Why a cell is asked about, before it is known which of several reasons is the chief one."""

    proposal: _Proposal | None
    current: _Decision | None
    proposes: bool
    by_people: QuestionKind | None
    since: datetime
    defer_until: datetime | None


def derive_rows(session: Session, project_ids: Sequence[int], *, lock: bool = False) -> dict[Cell, IndexRow]:
    """What the index has to say of some projects. With `lock` whoever decides about one meanwhile waits."""
    # By the connection, here and below: a session takes twice as long, for entities that there are none of.
    execute = session.connection().execute
    rows = execute(_LOCKED_PROJECTS if lock else _PROJECTS, {"ids": list(project_ids)})
    projects = {project_id: (slug, org[:MAX_ORG]) for project_id, slug, org in rows}
    if not projects:
        return {}
    asked = {
        cell: reasons
        for cell, state in _load_cells(session, sorted(projects)).items()
        if (reasons := _asked(state)) is not None
    }
    kinds = _kinds(session, asked)
    found = {cell: _index_row(cell, each, kinds[cell], *projects[cell[0]]) for cell, each in asked.items()}
    highest: dict[int, float] = {}
    for index_row in found.values():
        highest[index_row.project_id] = max(index_row.gain, highest.get(index_row.project_id, index_row.gain))
    return {
        cell: index_row._replace(project_gain=highest[index_row.project_id])
        for cell, index_row in found.items()
    }


def _index_row(cell: Cell, asked: _Asked, kind: QuestionKind, slug: str, org: str) -> IndexRow:
    rating = None if asked.proposal is None else asked.proposal.rating
    current = None if asked.current is None else asked.current.rating
    confidence = 0.0 if asked.proposal is None else asked.proposal.confidence
    change = change_of(rating, current)
    gain = gain_of(kind, change=change, rated=current is not None, confidence=confidence, since=asked.since)
    return IndexRow(
        project_id=cell[0],
        dimension=cell[1],
        proposal_id=None if asked.proposal is None else asked.proposal.id,
        kind=kind,
        proposes=asked.proposes,
        rating=rating,
        current_rating=current,
        change=change,
        confidence=confidence,
        gain=gain,
        project_gain=gain,
        since=asked.since,
        defer_until=asked.defer_until,
        slug=slug,
        org=org,
    )


# Columns and no rows as objects, since a night asks for every cell there is; and made once, since making a
# statement costs as much as one project's answer to it.
_PROJECTS = (
    select(ProjectRow.id, ProjectRow.slug, ProjectRow.org)
    .where(ProjectRow.id.in_(bindparam("ids", expanding=True)), ProjectRow.active)
    .order_by(ProjectRow.id)
)
_LOCKED_PROJECTS = _PROJECTS.with_for_update()
_PROPOSALS = select(*(getattr(ProposalRow, name) for name in _Proposal._fields)).where(
    ProposalRow.project_id.in_(bindparam("ids", expanding=True)), ProposalRow.is_current
)
_DECISIONS = select(*(getattr(DecisionRow, name) for name in _Decision._fields)).where(
    DecisionRow.project_id.in_(bindparam("ids", expanding=True))
)
_DISPUTES = select(DisputeRow.project_id, DisputeRow.dimension, DisputeRow.filed_at).where(
    DisputeRow.project_id.in_(bindparam("ids", expanding=True)), DisputeRow.status == DisputeStatus.OPEN
)
_DIFFERING_OPINIONS = (
    select(
        OpinionRow.project_id,
        OpinionRow.dimension,
        OpinionRow.about_decision_id,
        OpinionRow.rating,
        OpinionRow.at,
    )
    .join(DecisionRow, DecisionRow.id == OpinionRow.about_decision_id)
    .where(
        OpinionRow.project_id.in_(bindparam("ids", expanding=True)), OpinionRow.rating != DecisionRow.rating
    )
)


_TERMS_FOUND = select(FindingRow.proposal_id, FindingRow.check_name).where(
    FindingRow.proposal_id.in_(bindparam("ids", expanding=True)),
    FindingRow.outcome == Outcome.YES,
    FindingRow.check_name.in_(OPEN_TERMS + RESTRICTED_TERMS),
)
_GROUNDS = (
    select(ProposalEvidenceRow.proposal_id, ArtifactRow.kind, ArtifactRow.identifier, PartRow.name)
    .join(EvidenceRow, EvidenceRow.id == ProposalEvidenceRow.evidence_id)
    .join(SnapshotRow, SnapshotRow.id == EvidenceRow.snapshot_id)
    .join(PartRow, PartRow.id == SnapshotRow.part_id)
    .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
    .where(ProposalEvidenceRow.proposal_id.in_(bindparam("ids", expanding=True)))
    .distinct()
)


def _load_cells(session: Session, project_ids: Sequence[int]) -> dict[Cell, _CellState]:
    found: dict[Cell, _CellState] = defaultdict(_CellState)
    wanted = {"ids": list(project_ids)}
    execute = session.connection().execute
    for proposal in (_Proposal._make(row) for row in execute(_PROPOSALS, wanted)):
        found[proposal.project_id, proposal.dimension].proposal = proposal
    made = [_Decision._make(row) for row in execute(_DECISIONS, wanted)]
    undone = {decision.undoes_decision_id for decision in made}
    for decision in sorted(made, key=lambda each: each.id):
        if decision.id not in undone:
            found[decision.project_id, decision.dimension].decisions.append(decision)
    for project_id, dimension, filed_at in execute(_DISPUTES, wanted):
        found[project_id, dimension].disputed.append(filed_at)
    for project_id, dimension, about, rating, at in execute(_DIFFERING_OPINIONS, wanted):
        found[project_id, dimension].opinions.append((about, rating, at))
    return found


def _asked(state: _CellState) -> _Asked | None:
    """Whether a cell is asked about, and why; None where it is not."""
    proposal, current = state.proposal, state.current
    proposes = proposal is not None and _is_question(state, proposal, current)
    answered = max((each.at for each in state.decisions if _is_answer(each)), default=None)
    disputed = [at for at in state.disputed if answered is None or at >= answered]
    differing = [at for about, _, at in state.opinions if current is not None and about == current.id]
    if not (proposes or disputed or differing):
        return None
    by_people = QuestionKind.DISPUTE if disputed else QuestionKind.DISAGREEMENT if differing else None
    since = min(disputed or differing, default=None)
    if since is None:
        assert proposal is not None
        since = proposal.current_since
    return _Asked(
        proposal=proposal,
        current=current,
        proposes=proposes,
        by_people=by_people,
        since=since,
        defer_until=None if proposal is None else _deferred_until(state, proposal),
    )


def _is_question(state: _CellState, proposal: _Proposal, current: _Decision | None) -> bool:
    if proposal.rating is None or (current is not None and current.rating is proposal.rating):
        return False
    return not any(each.kind in TURNS_DOWN and _is_about(each, proposal) for each in state.decisions)


def _is_about(decision: _Decision, proposal: _Proposal) -> bool:
    """Whether a decision was about the class and the evidence that the proposal has."""
    return (
        decision.proposed_rating is proposal.rating
        and decision.proposed_rating is not None
        and decision.evidence_digest == proposal.evidence_digest
    )


def _is_answer(decision: _Decision) -> bool:
    return decision.kind in ANSWERS and not decision.imported


def _deferred_until(state: _CellState, proposal: _Proposal) -> datetime | None:
    """Until when the question is put off: by its latest deferral, unless somebody has spoken up since."""
    deferrals = [
        each for each in state.decisions if each.kind is DecisionKind.DEFER and _is_about(each, proposal)
    ]
    if not deferrals:
        return None
    spoken = max([*state.disputed, *(at for _, _, at in state.opinions)], default=None)
    return None if spoken is not None and spoken > deferrals[-1].at else deferrals[-1].defer_until


def _kinds(session: Session, asked: Mapping[Cell, _Asked]) -> dict[Cell, QuestionKind]:
    """The chief reason of each question."""
    rest: dict[Cell, _Asked] = {}
    kinds: dict[Cell, QuestionKind] = {}
    for cell, each in asked.items():
        if each.by_people is not None:
            kinds[cell] = each.by_people
        else:
            rest[cell] = each
    rated = {cell: each.current for cell, each in rest.items() if each.current is not None}
    agreeing = load_agreeing(session, [each.id for each in rated.values() if each.proposal_id is None])
    resting = {cell: each.proposal_id or agreeing.get(each.id) for cell, each in rated.items()}
    gone = _load_gone(session, {each for each in resting.values() if each is not None})
    licences = [each.proposal.id for cell, each in rest.items() if cell[1] == LICENCE and each.proposal]
    conflicting = _load_conflicting(session, licences)
    for cell, each in rest.items():
        assert each.proposal is not None
        if resting.get(cell) in gone:
            kinds[cell] = QuestionKind.EVIDENCE_GONE
        elif each.proposal.id in conflicting:
            kinds[cell] = QuestionKind.LICENCE_CONFLICT
        elif each.proposal.claim_evidence_id is not None:
            kinds[cell] = QuestionKind.CLAIM
        else:
            kinds[cell] = QuestionKind.NEW_PROJECT if each.current is None else QuestionKind.NEW_EVIDENCE
    return kinds


def _load_conflicting(session: Session, proposal_ids: Sequence[int]) -> set[int]:
    """Those of the licence proposals that found open terms and restricted ones."""
    if not proposal_ids:
        return set()
    rows = session.connection().execute(_TERMS_FOUND, {"ids": list(proposal_ids)})
    checks: dict[int, set[str]] = defaultdict(set)
    for proposal_id, check in rows:
        checks[proposal_id].add(check)
    return {
        proposal_id
        for proposal_id, names in checks.items()
        if not names.isdisjoint(OPEN_TERMS) and not names.isdisjoint(RESTRICTED_TERMS)
    }


def _load_gone(session: Session, proposal_ids: Iterable[int]) -> set[int]:
    """Those of the proposals that rest on evidence of a part that is known not to be there any more."""
    wanted = sorted(proposal_ids)
    if not wanted:
        return set()
    rows = session.connection().execute(_GROUNDS, {"ids": wanted})
    places: dict[tuple[ArtifactRef, str], set[int]] = defaultdict(set)
    for proposal_id, kind, identifier, part in rows:
        places[ArtifactRef(kind=kind, id=identifier), part].add(proposal_id)
    found: set[int] = set()
    for state in load_states(session, {ref for ref, _ in places}):
        if state.visit.known is VisitStatus.MISSING:
            found |= places.get((state.visit.ref, state.visit.part), set())
    return found
