"""Rating: from what is stored to proposals. Touches no network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawler.context import Context
from crawler.evidence_sets import TOGETHER, load_evidence_sets
from crawler.evidence_sets import load_evidence_set as load_evidence_set
from crawler.extraction import Extraction
from crawler.gathered import Gathered, note_extracted
from crawler.heap import collecting_seldom
from crawler.interrupts import write_scope
from db.evidence_sets import Inputs, load_inputs, load_sets
from db.keys import chunks
from db.load import load_projects, load_unextracted
from db.rated_from import load_rated_from, save_rated_from
from db.runs import load_run_ratings, load_slugs, save_done
from db.save import save_extractions, save_proposals
from db.session import session_scope
from db.standing import load_changed
from db.values import StoredSnapshot
from pipelines.claims import contradictions
from pipelines.errors import StorageError
from pipelines.extract import EXTRACTOR_VERSION
from pipelines.model import ArtifactRef, Project, Proposal
from pipelines.propose import gists, propose

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


def propose_stored(context: Context, slugs: Sequence[str] | None) -> dict[str, list[Proposal]]:
    """What the rules say now of the stored evidence, by project; nothing is stored."""
    with session_scope(context.engine) as session:
        projects = load_projects(session, slugs)
    sets = load_evidence_sets(context, projects)
    return {evidence.project.slug: propose(evidence, context.rubric) for evidence in sets}


def extract_new(context: Context, refs: Sequence[ArtifactRef], result: Gathered | None = None) -> int:
    """Extract evidence from every standing snapshot that this version has not read yet; how many."""
    with session_scope(context.engine) as session:
        found = load_unextracted(session, EXTRACTOR_VERSION, refs)
    _extract(context, found, result)
    return len(found)


def _extract(context: Context, snapshots: Sequence[StoredSnapshot], result: Gathered | None) -> None:
    waiting = {stored.id: stored for stored in snapshots}
    with Extraction(context.archive) as extraction:
        for stored in waiting.values():
            extraction.add(stored)
        while extraction.is_busy:
            found = extraction.collect(READING_SECONDS)
            if not found:
                extraction.wait(WAITING_SECONDS)
                continue
            with write_scope(context.engine) as session:
                good = {item.snapshot_id: item.rows for item in found if not item.error}
                save_extractions(session, EXTRACTOR_VERSION, good)
            if result is not None:
                for item in found:
                    note_extracted(result, waiting[item.snapshot_id], item)


def rate(
    context: Context,
    slugs: Sequence[str] | None,
    run_id: int,
    result: Gathered | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    full: bool = False,
) -> Rated:
    """Propose ratings from the stored evidence and store what is new; trouble with it is noted in `result`.

    A project of which nothing is new since it was last rated is passed over, unless this is `full`:
    its proposals would be those that stand. Somebody who looks meanwhile sees all new proposals of a
    project or none.
    """
    with collecting_seldom():
        _rate_all(context, slugs, run_id, result, progress, full=full)
    return load_rated(context, run_id)


def _rate_all(
    context: Context,
    slugs: Sequence[str] | None,
    run_id: int,
    result: Gathered | None,
    progress: Callable[[int, int], None],
    *,
    full: bool,
) -> None:
    with session_scope(context.engine) as session:
        wanted = load_slugs(session, slugs)
    done = 0
    for some in chunks(wanted, PORTION):
        with session_scope(context.engine) as session:
            projects = load_projects(session, some)
            inputs = load_inputs(session, projects)
        if inputs.waiting:
            _extract(context, inputs.waiting, result)
            with session_scope(context.engine) as session:
                inputs = load_inputs(session, projects)
        new = _save_unchanged(context, projects, inputs, run_id) if not full else projects
        done += len(projects) - len(new)
        for few in chunks(new, TOGETHER):
            _rate(context, few, inputs, run_id)
            done += len(few)
            progress(done, len(wanted))


def _save_unchanged(
    context: Context, projects: Sequence[Project], inputs: Inputs, run_id: int
) -> list[Project]:
    """Note that the run is done with the projects of which nothing is new since they were rated; the others."""
    with session_scope(context.engine) as session:
        before = load_rated_from(session, [project.slug for project in projects])
    new = [p for p in projects if before.get(p.slug) != inputs.digest(p, context.rubric)]
    log.debug("%d of %d projects have anything new to rate", len(new), len(projects))
    rest = {project.slug for project in new}
    if unchanged := [project.slug for project in projects if project.slug not in rest]:
        with write_scope(context.engine) as session:
            save_done(session, run_id, unchanged, context.clock())
    return new


def _rate(context: Context, projects: Sequence[Project], inputs: Inputs, run_id: int) -> None:
    """Propose ratings for a few projects, store what is new, and note that the run is done with them."""
    with session_scope(context.engine) as session:
        sets = load_sets(session, projects, inputs)
    told = gists(sets, context.rubric)
    digests = {project.slug: inputs.digest(project, context.rubric) for project in projects}
    claims = {
        (evidence.project.slug, found.dimension): found.claim
        for evidence in sets
        # The first claim against a dimension counts.
        for found in reversed(contradictions(evidence))
    }
    with write_scope(context.engine) as session:
        if changed := load_changed(session, told, claims):
            new = [
                proposal
                for evidence in sets
                if evidence.project.slug in changed
                for proposal in propose(evidence, context.rubric)
            ]
            against = {cell: claim for cell, claim in claims.items() if cell[0] in changed}
            save_proposals(session, new, run_id, context.clock(), against)
        save_rated_from(session, digests)
        save_done(session, run_id, list(digests), context.clock())


def rate_projects(context: Context, projects: Sequence[Project], run_id: int) -> None:
    """Propose ratings for projects of which anything is new; note that the run is done with all of them."""
    with session_scope(context.engine) as session:
        inputs = load_inputs(session, projects)
    for few in chunks(_save_unchanged(context, projects, inputs, run_id), TOGETHER):
        _rate(context, few, inputs, run_id)


def rate_safely(context: Context, projects: Sequence[Project], run_id: int, result: Gathered) -> None:
    """`rate_projects` as a step of a night: a rule that breaks off costs one project, and is told."""
    try:
        rate_projects(context, projects, run_id)
    except StorageError:
        raise
    except Exception as error:
        if len(projects) > 1:
            # Whose defect it is shows one by one; those that were rated already are passed over.
            for project in projects:
                rate_safely(context, [project], run_id, result)
            return
        log.exception("%s could not be rated", projects[0].slug)
        result.errors.add(f"rating of {projects[0].slug}: {type(error).__name__}: {error}")


def load_rated(context: Context, run_id: int) -> Rated:
    """What a run has rated, also before it was cut off."""
    with session_scope(context.engine) as session:
        found = load_run_ratings(session, run_id)
    return Rated(
        projects=found.projects, proposals=found.proposals, new=found.new, cannot_tell=found.cannot_tell
    )
