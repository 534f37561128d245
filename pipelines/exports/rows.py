"""The rows that exports write.

Confirmed ratings (`RatingRow`, `RatingCell`, `ProjectRatings`) and what the rules propose
(`ProposalRow`) are different types, so that no export can mix them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.model import Evidence, Proposal, Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingRow:
    """A published rating: a line of a ratings file. `link` is the curators' evidence, maybe empty."""

    slug: str
    dimension: str
    rating: Rating
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """A passage that a rating or a proposal rests on, with all that is needed to find it again."""

    artifact: str
    url: str
    fetched_at: datetime
    sha256: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingCell:
    """A confirmed rating with the person and the evidence behind it."""

    rating: Rating
    link: str = ""
    note: str = ""
    curator: str = ""
    decided_at: datetime | None = None
    evidence: tuple[EvidenceItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRatings:
    """A project with its confirmed ratings by dimension; a dimension without a decision is not in it."""

    slug: str
    name: str
    org: str = ""
    llmbase: tuple[str, ...] = ()
    rlbase: tuple[str, ...] = ()
    homepage: str = ""
    cells: Mapping[str, RatingCell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRow:
    """What the rules say of one dimension of one project, beside the current confirmed rating.

    `rating` None means that the rules cannot tell, `current` None that nothing is decided yet.
    `rule` names the rule with its version.
    """

    slug: str
    dimension: str
    rating: Rating | None
    confidence: float
    current: Rating | None
    link: str
    rationale: str
    rule: str
    evidence: tuple[EvidenceItem, ...] = ()


def rating_rows(projects: Iterable[ProjectRatings], dimensions: Sequence[str]) -> Iterator[RatingRow]:
    """The decided cells of the projects as rows, in the order of the dimensions."""
    for project in projects:
        for dimension in dimensions:
            cell = project.cells.get(dimension)
            if cell is not None:
                yield RatingRow(slug=project.slug, dimension=dimension, rating=cell.rating, link=cell.link)


def proposal_row(proposal: Proposal, current: Rating | None) -> ProposalRow:
    """The row of a proposal."""
    return ProposalRow(
        slug=proposal.slug,
        dimension=proposal.dimension,
        rating=proposal.rating,
        confidence=proposal.confidence,
        current=current,
        link=proposal.link,
        rationale=proposal.rationale,
        rule=f"{proposal.rule}@{proposal.rule_version}",
        evidence=tuple(evidence_item(evidence) for evidence in proposal.evidence),
    )


def evidence_item(evidence: Evidence) -> EvidenceItem:
    """Evidence as exports show it."""
    return EvidenceItem(
        artifact=str(evidence.ref),
        url=evidence.url,
        fetched_at=evidence.fetched_at,
        sha256=evidence.sha256,
        quote=evidence.passage,
    )
