"""Rating: from what is stored to proposals. Touches no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.context import Context
from crawler.gather import Gathered, extract_new
from db.load import load_evidence, load_latest_visits, load_projects
from db.save import save_proposals
from db.session import session_scope
from db.values import StoredVisit
from pipelines.evidence import EvidenceSet, Reading
from pipelines.model import Project, Proposal, VisitStatus
from pipelines.propose import propose


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What rating came to: projects rated, proposals made, how many of them were not stored before."""

    projects: int
    proposals: int
    new: int
    cannot_tell: int


def load_evidence_set(context: Context, project: Project) -> EvidenceSet:
    """All that the rules may know of a project, from the database."""
    refs = [artifact.ref for artifact in project.artifacts]
    with session_scope(context.engine) as session:
        evidence = load_evidence(session, refs)
        readings = tuple(_reading(visit) for visit in load_latest_visits(session, refs))
    return EvidenceSet(project=project, evidence=tuple(evidence), readings=readings)


def _reading(visit: StoredVisit) -> Reading:
    # An earlier "not there" stands like an earlier reading does while nothing newer is known.
    is_gone = visit.stale and visit.known is VisitStatus.MISSING
    return Reading(
        ref=visit.ref,
        part=visit.part,
        url=visit.url,
        status=VisitStatus.MISSING if is_gone else visit.status,
        at=visit.at,
        reason=visit.reason,
        stale=visit.stale,
    )


def propose_stored(context: Context, slugs: Sequence[str] | None) -> dict[str, list[Proposal]]:
    """What the rules say now of the stored evidence, by project; nothing is stored."""
    with session_scope(context.engine) as session:
        projects = load_projects(session, slugs)
    return {
        project.slug: propose(load_evidence_set(context, project), context.rubric) for project in projects
    }


def rate(
    context: Context,
    slugs: Sequence[str] | None,
    run_id: int | None = None,
    result: Gathered | None = None,
) -> Rated:
    """Propose ratings from the stored evidence and store what is new; trouble with it is noted in `result`."""
    with session_scope(context.engine) as session:
        projects = load_projects(session, slugs)
    refs = list({artifact.ref for project in projects for artifact in project.artifacts})
    extract_new(context, refs, result)
    made = new = unknown = 0
    for project in projects:
        proposals = propose(load_evidence_set(context, project), context.rubric)
        with session_scope(context.engine, write=True) as session:
            new += save_proposals(session, proposals, run_id, context.clock())
        made += len(proposals)
        unknown += sum(proposal.rating is None for proposal in proposals)
    return Rated(projects=len(projects), proposals=made, new=new, cannot_tell=unknown)
