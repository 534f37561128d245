"""From what is stored to what the API tells."""

from __future__ import annotations

from collections.abc import Mapping

from db.matrix import MatrixRow
from db.project_pages import ProjectPage
from db.question_pages import StoredCell
from db.review_values import Facets, QueueItem
from db.values import ConfirmedRating, StoredCandidate, StoredDecision, StoredProposal, StoredRun
from pipelines.candidates import seed_json
from pipelines.model import Evidence, Quote
from review.api.shapes import (
    ArtifactOut,
    CandidateOut,
    CellOut,
    DecisionOut,
    EvidenceOut,
    FacetsOut,
    FindingOut,
    PartOut,
    ProjectOut,
    ProjectPageOut,
    ProposalOut,
    QuestionOut,
    RatingOut,
    RunOut,
)


def question_out(item: QueueItem) -> QuestionOut:
    return QuestionOut(
        slug=item.slug,
        project=item.project,
        org=item.org,
        dimension=item.dimension,
        kind=item.kind,
        proposal=item.proposal_id,
        rating=item.rating,
        current=item.current,
        change=item.change,
        confidence=item.confidence,
        gain=item.gain,
        rationale=item.rationale,
        link=item.link,
        since=item.since,
    )


def facets_out(facets: Facets) -> FacetsOut:
    return FacetsOut(
        total=facets.total,
        dimensions=dict(facets.dimensions),
        kinds={kind.value: number for kind, number in facets.kinds.items()},
        ratings={rating.value if rating else "none": number for rating, number in facets.ratings.items()},
        changes=dict(facets.changes),
        bands=dict(facets.bands),
        orgs=dict(facets.orgs),
    )


def evidence_out(item: Evidence) -> EvidenceOut:
    where = item.where
    quote = where if isinstance(where, Quote) else None
    return EvidenceOut(
        kind=item.kind,
        artifact=str(item.ref),
        part=item.part,
        url=item.url,
        fetched_at=item.fetched_at,
        sha256=item.sha256,
        quote=item.passage,
        start=quote.start if quote else None,
        end=quote.end if quote else None,
        path=None if isinstance(where, Quote) else where.path,
        value=dict(item.value),
    )


def proposal_out(stored: StoredProposal) -> ProposalOut:
    proposal = stored.proposal
    return ProposalOut(
        id=stored.id,
        slug=proposal.slug,
        dimension=proposal.dimension,
        rating=proposal.rating,
        confidence=proposal.confidence,
        rationale=proposal.rationale,
        rule=proposal.rule,
        rule_version=proposal.rule_version,
        evidence_digest=proposal.evidence_digest,
        link=proposal.link,
        created_at=stored.created_at,
        current_since=stored.current_since,
        is_current=stored.is_current,
        evidence=[evidence_out(item) for item in proposal.evidence],
        findings=[
            FindingOut(
                check=finding.check,
                outcome=finding.outcome,
                note=finding.note,
                searched=list(finding.searched),
            )
            for finding in proposal.findings
        ],
        searched=list(proposal.searched),
    )


def rating_out(slug: str, dimension: str, rating: ConfirmedRating) -> RatingOut:
    return RatingOut(
        slug=slug,
        dimension=dimension,
        rating=rating.rating,
        link=rating.link,
        note=rating.note,
        curator=rating.curator,
        at=rating.at,
        imported=rating.imported,
        decision=rating.decision_id,
        proposal=rating.proposal_id,
    )


def decision_out(decision: StoredDecision) -> DecisionOut:
    return DecisionOut(
        id=decision.id,
        kind=decision.kind,
        rating=decision.rating,
        proposal=decision.proposal_id,
        proposed_rating=decision.proposed_rating,
        link=decision.link,
        note=decision.note,
        reason=decision.reason,
        curator=decision.curator,
        imported=decision.imported,
        at=decision.at,
        defer_until=decision.defer_until,
        in_force=decision.in_force,
    )


def cell_out(cell: StoredCell) -> CellOut:
    return CellOut(
        slug=cell.slug,
        project=cell.project,
        dimension=cell.dimension,
        kind=cell.kind,
        since=cell.since,
        is_open=cell.is_open,
        deferred_until=cell.deferred_until,
        rating=rating_out(cell.slug, cell.dimension, cell.current) if cell.current else None,
        proposal=proposal_out(cell.proposal) if cell.proposal else None,
        history=[decision_out(decision) for decision in cell.history],
        expected=cell.latest_decision_id,
    )


def project_out(row: MatrixRow) -> ProjectOut:
    return ProjectOut(
        slug=row.slug,
        name=row.name,
        org=row.org,
        is_active=row.is_active,
        added_at=row.added_at,
        classes=dict(row.classes),
        asked=sorted(row.asked),
        openness=row.openness,
    )


def project_page_out(page: ProjectPage) -> ProjectPageOut:
    project = page.project
    return ProjectPageOut(
        slug=project.slug,
        name=project.name,
        org=project.org,
        llmbase=list(project.llmbase),
        rlbase=list(project.rlbase),
        homepage=project.homepage,
        is_active=page.is_active,
        added_at=page.added_at,
        changed_at=page.changed_at,
        artifacts=[
            ArtifactOut(
                kind=item.artifact.ref.kind.value,
                id=item.artifact.ref.id,
                role=item.artifact.role,
                origin=item.artifact.origin.value,
                parts=[
                    PartOut(
                        part=state.visit.part,
                        url=state.visit.url,
                        status=state.visit.status,
                        at=state.visit.at,
                        reason=state.visit.reason,
                        stale=state.visit.stale,
                        sha256=state.standing.sha256 if state.standing else None,
                    )
                    for state in item.parts
                ],
            )
            for item in page.artifacts
        ],
        ratings=ratings_out(
            project.slug, {d: cell.rating for d, cell in page.cells.items() if cell.rating is not None}
        ),
    )


def ratings_out(slug: str, ratings: Mapping[str, ConfirmedRating]) -> list[RatingOut]:
    return [rating_out(slug, dimension, rating) for dimension, rating in sorted(ratings.items())]


def candidate_out(item: StoredCandidate) -> CandidateOut:
    candidate = item.candidate
    return CandidateOut(
        id=item.id,
        kind=candidate.ref.kind.value,
        artifact=candidate.ref.id,
        maker=candidate.maker,
        name=candidate.name,
        found_at=item.found_at,
        status=item.status,
        seed=seed_json(candidate.seed),
        reasons=[{"field": r.field, "value": r.value, "says": r.says} for r in candidate.reasons],
        slug=item.slug or None,
        curator=item.curator or None,
        decided_at=item.decided_at,
        reason=item.reason or None,
    )


def run_out(run: StoredRun, *, with_report: bool) -> RunOut:
    return RunOut(
        id=run.id,
        kind=run.kind,
        started_at=run.started_at,
        ended_at=run.ended_at,
        status=run.status,
        exit_code=run.exit_code,
        report=dict(run.report) if with_report else None,
    )
