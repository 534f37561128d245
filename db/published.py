"""What is published: every project with its confirmed ratings and what each was decided on."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from db.load import load_projects
from db.proposals import load_proposals
from db.ratings import load_ratings
from pipelines.exports.rows import ProjectRatings, RatingCell, evidence_item


def load_project_ratings(session: Session, dimension_ids: Iterable[str]) -> list[ProjectRatings]:
    """Every project with its confirmed ratings, and the evidence that each was decided on."""
    projects = load_projects(session)
    ratings = load_ratings(session)
    grounds = {
        stored.id: stored.proposal
        for stored in load_proposals(
            session, ids=[rating.proposal_id for rating in ratings.values() if rating.proposal_id is not None]
        )
    }
    dimensions = list(dimension_ids)
    rows = []
    for project in projects:
        cells = {}
        for dimension in dimensions:
            rating = ratings.get((project.slug, dimension))
            if rating is None:
                continue
            proposal = grounds.get(rating.proposal_id) if rating.proposal_id is not None else None
            cells[dimension] = RatingCell(
                rating=rating.rating,
                link=rating.link,
                note=rating.note,
                curator=rating.curator,
                decided_at=rating.at,
                evidence=tuple(evidence_item(item) for item in proposal.evidence) if proposal else (),
            )
        rows.append(
            ProjectRatings(
                slug=project.slug,
                name=project.name,
                org=project.org,
                llmbase=project.llmbase,
                rlbase=project.rlbase,
                homepage=project.homepage,
                cells=cells,
            )
        )
    return rows
