"""What the page about one cell shows, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from starlette.exceptions import HTTPException

from db.comments import load_comments
from db.disputes import DisputeState, StoredDispute, load_disputes
from db.load import load_artifacts
from db.opinions import StoredOpinion, load_opinions
from db.question_pages import StoredCell, load_cell, load_project_id, load_stored_bodies
from db.questions import load_neighbours
from db.review_values import CellName, QuestionKind, StoredComment
from pipelines.model import Evidence, Finding, Outcome, Rating
from pipelines.rubric import Dimension, Rubric
from pipelines.rules import all_rules
from review.calls import Call, Form
from review.differences import MAX_CHANGES, Difference, differences
from review.lineage import Chain, chains
from review.passages import ShownEvidence, shown_evidence
from review.queue_query import QueueQuery

DEFERRED_DAYS = 30
"""How far away the day is that the form for a deferral proposes."""

MAX_COMMENTS = 100
MAX_DECISIONS = 100

FINDING_MARKS = {Outcome.YES: "✓", Outcome.NO: "✗", Outcome.CANNOT_TELL: "?", Outcome.NOT_APPLICABLE: "–"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A check's answer with its question. `numbers` are those of the evidence above; `others` stands nowhere else."""

    finding: Finding
    question: str
    mark: str
    numbers: tuple[int, ...]
    others: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """Everything about a cell that a curator needs. What the words mean is in `StoredCell`.

    `by_hand`: the rules ask nothing at present, so a class is given whatever they say. `more_evidence` and
    `more_changes` count what is not shown. `disputes` and `opinions` are those that ask.
    """

    cell: StoredCell
    dimension: Dimension
    by_hand: bool
    evidence: tuple[ShownEvidence, ...]
    more_evidence: int
    changes: tuple[Difference, ...]
    more_changes: int
    findings: tuple[ShownFinding, ...]
    chains: tuple[Chain, ...]
    comments: tuple[StoredComment, ...]
    disputes: tuple[StoredDispute, ...]
    opinions: tuple[StoredOpinion, ...]
    previous: CellName | None
    next: CellName | None


def known_dimension(rubric: Rubric, dimension: str) -> Dimension:
    """The dimension, or HTTPException 404."""
    if dimension not in rubric.dimension_ids:
        raise HTTPException(404, "The rubric has no such dimension.")
    return rubric.dimension(dimension)


def known_project(call: Call, slug: str) -> int:
    """The number of a project, or HTTPException 404."""
    project_id = load_project_id(call.session, slug)
    if project_id is None:
        raise HTTPException(404, "There is no such project.")
    return project_id


def question_view(call: Call, slug: str, dimension_id: str, asked: QueueQuery) -> QuestionView:
    """The cell with all that is shown of it. HTTPException 404 where there is no such cell."""
    session, context = call.session, call.context
    dimension = known_dimension(context.rubric, dimension_id)
    cell = load_cell(session, slug, dimension_id, call.now)
    if cell is None:
        raise HTTPException(404, "There is no such project.")
    proposal = cell.proposal.proposal if cell.proposal else None
    evidence: Sequence[Evidence] = proposal.evidence if proposal else ()
    shown = shown_evidence(
        evidence,
        load_stored_bodies(session, [item.sha256 for item in evidence]),
        context.archive,
        context.texts,
    )
    changes = differences(cell.then.proposal.evidence, evidence) if cell.then and proposal else []
    previous, following = load_neighbours(session, asked.filter, asked.sort, (slug, dimension_id), call.now)
    artifacts = load_artifacts(session, [cell.project_id])[cell.project_id] if evidence else ()
    return QuestionView(
        cell=cell,
        dimension=dimension,
        by_hand=not (cell.is_open and cell.proposes and proposal is not None and proposal.rating is not None),
        evidence=tuple(shown),
        more_evidence=len(evidence) - len(shown),
        changes=tuple(changes[:MAX_CHANGES]),
        more_changes=max(0, len(changes) - MAX_CHANGES),
        findings=_findings(dimension_id, proposal.findings if proposal else (), evidence),
        chains=tuple(chains(artifacts, (item.ref for item in evidence))),
        comments=tuple(load_comments(session, slug, dimension_id, limit=MAX_COMMENTS)),
        disputes=_disputes(call, cell),
        opinions=_opinions(call, cell),
        previous=previous,
        next=following,
    )


def _findings(
    dimension: str, findings: Sequence[Finding], evidence: Sequence[Evidence]
) -> tuple[ShownFinding, ...]:
    numbers = {id(item): number for number, item in enumerate(evidence, 1)}
    return tuple(
        ShownFinding(
            finding=finding,
            question=_questions(dimension).get(finding.check, ""),
            mark=FINDING_MARKS[finding.outcome],
            numbers=tuple(numbers[id(item)] for item in finding.evidence if id(item) in numbers),
            others=tuple(item for item in finding.evidence if id(item) not in numbers),
        )
        for finding in findings
    )


@cache
def _questions(dimension: str) -> Mapping[str, str]:
    """What each check of a dimension asks."""
    rule = all_rules().get(dimension)
    return {
        check.__name__: " ".join((check.__doc__ or "").split("\n\n")[0].split())
        for check in (rule.checks if rule else ())
    }


def _disputes(call: Call, cell: StoredCell) -> tuple[StoredDispute, ...]:
    if cell.kind is not QuestionKind.DISPUTE:
        return ()
    found = load_disputes(call.session, slugs=[cell.slug])
    return tuple(
        item for item in found if item.dimension == cell.dimension and item.state is DisputeState.OPEN
    )


def _opinions(call: Call, cell: StoredCell) -> tuple[StoredOpinion, ...]:
    if cell.kind not in (QuestionKind.DISPUTE, QuestionKind.DISAGREEMENT):
        return ()
    found = load_opinions(call.session, cell=(cell.slug, cell.dimension))
    return tuple(item for item in found if not item.is_settled and not item.agrees)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionForm:
    """What stands in the form: what a curator has written before, else what the evidence gives.

    `own_note` and `own_link` are what the evidence gives, so that it can be told what somebody has changed.
    """

    reason: str
    note: str
    own_note: str
    link: str
    own_link: str
    until: str


def prefilled(call: Call, view: QuestionView) -> DecisionForm:
    """The form of a question, with what was sent if it could not be taken."""
    proposal = view.cell.proposal.proposal if view.cell.proposal else None
    own_note = proposal.rationale if proposal is not None and not view.by_hand else ""
    own_link = proposal.link if proposal is not None else ""
    if view.by_hand and view.cell.current is not None:
        own_link = view.cell.current.link
    later = call.now + timedelta(days=DEFERRED_DAYS)
    return DecisionForm(
        reason=sent(call.form, "reason"),
        note=sent(call.form, "note", own_note),
        own_note=own_note,
        link=sent(call.form, "link", own_link),
        own_link=own_link,
        until=sent(call.form, "until", f"{later:%Y-%m-%d}"),
    )


def sent(form: Form, name: str, otherwise: str = "") -> str:
    """A text of the form as it was written; another one where nobody has changed it.

    Browsers send line ends in their own way.
    """
    text = form.get(name, "").replace("\r\n", "\n").strip()
    own = form.get(f"own_{name}")
    if name not in form or (own is not None and text == own.replace("\r\n", "\n").strip()):
        return otherwise
    return text


def classes(view: QuestionView) -> list[tuple[Rating, str]]:
    """The classes that can be given beside the one that confirming gives, each with its key."""
    proposal = view.cell.proposal
    confirmed = None if view.by_hand or proposal is None else proposal.proposal.rating
    keys = {Rating.OPEN: "o", Rating.PARTIAL: "p", Rating.CLOSED: "x", Rating.NOT_APPLICABLE: "n"}
    return [(rating, key) for rating, key in keys.items() if rating is not confirmed]
