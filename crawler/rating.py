"""Rating: from what is stored to proposals. Touches no network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawler.context import Context
from crawler.extraction import Extraction
from crawler.gather import note_extracted
from crawler.gathered import Gathered
from db.keys import chunks
from db.load import load_evidence_and_visits, load_projects, load_unextracted
from db.runs import load_run_ratings, load_slugs, save_done
from db.save import save_extractions, save_proposals
from db.session import session_scope
from db.values import StoredVisit
from pipelines.errors import StorageError
from pipelines.evidence import EvidenceSet, Reading
from pipelines.extract import EXTRACTOR_VERSION
from pipelines.model import ArtifactRef, Project, Proposal, VisitStatus
from pipelines.propose import propose

log = logging.getLogger(__name__)

PORTION = 100
"""Projects of which the documents are read together."""

READING_SECONDS = 1.0
WAITING_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What rating came to: projects rated, proposals made, how many of them were not stored before."""

    projects: int
    proposals: int
    new: int
    cannot_tell: int


def load_evidence_set(context: Context, project: Project) -> EvidenceSet:
    """All that the rules may know of a project, from the database."""
    with session_scope(context.engine) as session:
        evidence, visits = load_evidence_and_visits(session, [artifact.ref for artifact in project.artifacts])
    return EvidenceSet(
        project=project, evidence=tuple(evidence), readings=tuple(_reading(visit) for visit in visits)
    )


def _reading(visit: StoredVisit) -> Reading:
    # An earlier "not there" stands like an earlier reading does while nothing newer is known.
    status = VisitStatus.MISSING if visit.stale and visit.known is VisitStatus.MISSING else visit.status
    if visit.doubtful and status is VisitStatus.MISSING:
        # What was only mentioned when it was asked for may have become somebody's code meanwhile.
        status = VisitStatus.DENIED
    return Reading(
        ref=visit.ref,
        part=visit.part,
        url=visit.url,
        status=status,
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


def extract_new(context: Context, refs: Sequence[ArtifactRef], result: Gathered | None = None) -> int:
    """Extract evidence from every standing snapshot that this version has not read yet; how many."""
    with session_scope(context.engine) as session:
        waiting = {stored.id: stored for stored in load_unextracted(session, EXTRACTOR_VERSION, refs)}
    with Extraction(context.archive) as extraction:
        for stored in waiting.values():
            extraction.add(stored)
        while extraction.is_busy:
            found = extraction.collect(READING_SECONDS)
            if not found:
                extraction.wait(WAITING_SECONDS)
                continue
            with session_scope(context.engine, write=True) as session:
                good = {item.snapshot_id: item.rows for item in found if not item.error}
                save_extractions(session, EXTRACTOR_VERSION, good)
            if result is not None:
                for item in found:
                    note_extracted(result, waiting[item.snapshot_id], item)
    return len(waiting)


def rate(
    context: Context,
    slugs: Sequence[str] | None,
    run_id: int,
    result: Gathered | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rated:
    """Propose ratings from the stored evidence and store what is new; trouble with it is noted in `result`.

    Each project is rated in a transaction of its own: somebody who looks meanwhile sees all of its
    proposals or none.
    """
    with session_scope(context.engine) as session:
        wanted = load_slugs(session, slugs)
    done = 0
    for some in chunks(wanted, PORTION):
        with session_scope(context.engine) as session:
            projects = load_projects(session, some)
        extract_new(context, list({a.ref for project in projects for a in project.artifacts}), result)
        for project in projects:
            rate_project(context, project, run_id)
            done += 1
            progress(done, len(wanted))
    return load_rated(context, run_id)


def rate_project(context: Context, project: Project, run_id: int) -> None:
    """Propose ratings for one project, store what is new, and note that the run is done with it."""
    proposals = propose(load_evidence_set(context, project), context.rubric)
    with session_scope(context.engine, write=True) as session:
        save_proposals(session, proposals, run_id, context.clock())
        save_done(session, run_id, [project.slug], context.clock())


def rate_safely(context: Context, project: Project, run_id: int, result: Gathered) -> None:
    """`rate_project` as a step of a night: a rule that breaks off costs one project, and is told."""
    try:
        rate_project(context, project, run_id)
    except StorageError:
        raise
    except Exception as error:
        log.exception("%s could not be rated", project.slug)
        result.errors.add(f"rating of {project.slug}: {type(error).__name__}: {error}")


def load_rated(context: Context, run_id: int) -> Rated:
    """What a run has rated, also before it was cut off."""
    with session_scope(context.engine) as session:
        found = load_run_ratings(session, run_id)
    return Rated(
        projects=found.projects, proposals=found.proposals, new=found.new, cannot_tell=found.cannot_tell
    )
