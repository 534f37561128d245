"""Gathering: visit artifacts through their sources, store what came, extract, follow links.

Each source works in a thread of its own; one thread, the caller's, writes to the database. What was
written is there even if the run is cut off at any moment.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from crawler.context import Context
from crawler.sources.base import Source, Usage
from db.links import retire_lineage, retire_links
from db.load import (
    load_evidence,
    load_known,
    load_latest_visits,
    load_projects,
    load_run_visits,
    load_unextracted,
    load_visited,
)
from db.save import save_artifacts, save_extraction, save_visit
from db.session import session_scope
from db.values import StoredVisit
from pipelines.artifacts import LINEAGE_DEPTH, base_artifacts, linked_artifacts
from pipelines.extract import EXTRACTOR_VERSION, extract
from pipelines.lineage_data import BaseModel, find_base
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    Origin,
    Project,
    Role,
    Visit,
    VisitRequest,
    VisitStatus,
)

log = logging.getLogger(__name__)

COMMIT_EVERY = 40
"""Artifacts in one transaction: what a cut-off run may have to ask again."""
COMMIT_SECONDS = 2.0

Inbox = queue.Queue[tuple[str, list[Visit] | Exception | None]]
Batch = list[tuple[str, list[Visit] | Exception]]
Progress = Callable[[str, int, int], None]
"""Called with a source's name, artifacts done, artifacts known so far."""


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What a run has gathered so far: counts, and everything that could not be read."""

    visits: Counter[tuple[str, VisitStatus]] = field(default_factory=Counter)
    artifacts: set[ArtifactRef] = field(default_factory=set)
    new_snapshots: int = 0
    unread: list[Visit] = field(default_factory=list)
    problems: list[Evidence] = field(default_factory=list)
    internal_errors: list[str] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)

    def count(self, *statuses: VisitStatus) -> int:
        """How many visits ended so."""
        return sum(number for (_, status), number in self.visits.items() if status in statuses)

    @property
    def has_read_anything(self) -> bool:
        """Was anything of the project's world read (or found unchanged, or found to be missing)?"""
        telling = {VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING}
        return any(
            number
            for (source, status), number in self.visits.items()
            if status in telling and source != "lineage"
        )


def gather(
    context: Context,
    sources: Sequence[Source],
    bases: Sequence[BaseModel],
    run_id: int,
    slugs: Sequence[str] | None,
    *,
    full: bool = False,
    progress: Progress | None = None,
    result: Gathered,
) -> None:
    """Visit every artifact of the projects (all, when slugs is None), then what they link to.

    Artifacts visited in this run already (it is being resumed) are left out. With `full` nothing
    stored is told to the services: everything is read anew. What happens is noted in `result` as it
    happens, so that a run that is cut off can tell, too.
    """
    by_kind = {kind: source for source in sources for kind in source.kinds}
    _add_lineage_entries(context, bases, slugs)
    with session_scope(context.engine) as session:
        done = load_visited(session, run_id)
        _count_earlier(session, by_kind, run_id, result)
    try:
        for wave in range(LINEAGE_DEPTH + 2):
            with session_scope(context.engine) as session:
                projects = load_projects(session, slugs)
                pending = [ref for ref in _refs(projects) if ref not in done]
                known = {} if full else load_known(session, pending)
                missing = set() if full else _missing(load_latest_visits(session, pending))
            if wave and not pending:
                break
            requests = [
                VisitRequest(ref=ref, known=known.get(ref, {}), was_missing=ref in missing) for ref in pending
            ]
            _visit_all(context, by_kind, requests, run_id, result, progress)
            done |= set(pending)
            extract_new(context, _refs(projects), result)
            _follow(context, projects)
    finally:
        result.usage = {
            source.name: source.usage for source in sources if source.kinds != {ArtifactKind.LINEAGE}
        }


def _count_earlier(
    session: Session, by_kind: Mapping[ArtifactKind, Source], run_id: int, result: Gathered
) -> None:
    """Note what the run has visited before it was cut off: its report and exit code are about the whole of it."""
    for visit, is_new in load_run_visits(session, run_id):
        result.artifacts.add(visit.ref)
        result.visits[by_kind[visit.ref.kind].name, visit.status] += 1
        result.new_snapshots += is_new
        if visit.status in (VisitStatus.DENIED, VisitStatus.FAILED, VisitStatus.MISSING):
            result.unread.append(
                Visit(
                    ref=visit.ref,
                    part=visit.part,
                    url=visit.url,
                    at=visit.at,
                    status=visit.status,
                    http_status=visit.http_status,
                    reason=visit.reason,
                )
            )


def _missing(visits: Iterable[StoredVisit]) -> set[ArtifactRef]:
    """The artifacts of which the latest thing that is known is that they are not there."""
    return {v.ref for v in visits if v.part == MAIN_PART[v.ref.kind] and v.known is VisitStatus.MISSING}


def _refs(projects: Iterable[Project]) -> list[ArtifactRef]:
    return list(dict.fromkeys(artifact.ref for project in projects for artifact in project.artifacts))


def _add_lineage_entries(context: Context, bases: Sequence[BaseModel], slugs: Sequence[str] | None) -> None:
    """Give each project the entries of the lineage file that its seed names as base."""
    with session_scope(context.engine, write=True) as session:
        for project in load_projects(session, slugs):
            entries = {base.name: name for name in project.llmbase if (base := find_base(bases, name))}
            artifacts = [
                Artifact(
                    ref=ArtifactRef(kind=ArtifactKind.LINEAGE, id=name),
                    role=Role.LLM_WEIGHTS,
                    origin=Origin.LINEAGE,
                )
                for name in entries
            ]
            if bases:
                retire_lineage(session, project.slug, ArtifactKind.LINEAGE, keep=artifacts)
            save_artifacts(session, project.slug, artifacts)


def _follow(context: Context, projects: Sequence[Project]) -> None:
    """Make what the documents link to, and the bases that models name, artifacts of their projects."""
    settings = context.settings
    with session_scope(context.engine, write=True) as session:
        for project in projects:
            evidence = load_evidence(session, [artifact.ref for artifact in project.artifacts])
            links = linked_artifacts(
                project, evidence, links=settings.links_per_project, pages=settings.pages_per_project
            )
            bases = base_artifacts(project, evidence)
            retire_links(session, project.slug, keep=links)
            retire_lineage(session, project.slug, ArtifactKind.HF_MODEL, keep=bases)
            save_artifacts(session, project.slug, [*links, *bases])


def _visit_all(
    context: Context,
    by_kind: dict[ArtifactKind, Source],
    wanted: Sequence[VisitRequest],
    run_id: int,
    result: Gathered,
    progress: Progress | None,
) -> None:
    requests: dict[str, list[VisitRequest]] = {}
    sources: dict[str, Source] = {}
    for request in wanted:
        source = by_kind[request.ref.kind]
        sources[source.name] = source
        requests.setdefault(source.name, []).append(request)
    inbox: Inbox = queue.Queue(maxsize=200)
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=_run_source,
            args=(sources[name], requests[name], inbox, stop),
            name=f"source-{name}",
            daemon=True,
        )
        for name in sources
    ]
    for thread in threads:
        thread.start()
    unanswered = {name: {request.ref for request in asked} for name, asked in requests.items()}
    try:
        for batch in _batches(inbox, len(threads)):
            _save_batch(context, batch, unanswered, run_id, result)
            if progress:
                for name in sources:
                    total = len(requests[name])
                    progress(name, total - len(unanswered[name]), total)
    finally:
        # Cut off or done: no thread goes on handing over.
        stop.set()
    _save_unanswered(context, unanswered, run_id, result)


def _run_source(
    source: Source, requests: Sequence[VisitRequest], inbox: Inbox, stop: threading.Event
) -> None:
    """Hand over the visits artifact by artifact, so that each is stored whole or not at all."""
    try:
        for _, visits in itertools.groupby(source.visit(requests), key=lambda visit: visit.ref):
            if not _put(inbox, (source.name, list(visits)), stop):
                return
    except Exception as error:
        # A defect of one source must not cost the others' work; it is told at the end of the run.
        log.exception("source %s broke off", source.name)
        _put(inbox, (source.name, error), stop)
    finally:
        _put(inbox, (source.name, None), stop)


def _put(inbox: Inbox, item: tuple[str, list[Visit] | Exception | None], stop: threading.Event) -> bool:
    """Hand something over, however long the writer takes; False when the run has been stopped."""
    while not stop.is_set():
        try:
            inbox.put(item, timeout=0.5)
        except queue.Full:
            continue
        return True
    return False


def _batches(inbox: Inbox, running: int) -> Iterator[Batch]:
    """What the sources hand over, in portions of COMMIT_EVERY artifacts or of COMMIT_SECONDS."""
    batch: Batch = []
    since = time.monotonic()
    while running:
        try:
            name, item = inbox.get(timeout=COMMIT_SECONDS)
        except queue.Empty:
            pass
        else:
            if item is None:
                running -= 1
            else:
                batch.append((name, item))
        if batch and (
            len(batch) >= COMMIT_EVERY or time.monotonic() - since >= COMMIT_SECONDS or not running
        ):
            yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch


def _save_batch(
    context: Context, batch: Batch, unanswered: dict[str, set[ArtifactRef]], run_id: int, result: Gathered
) -> None:
    with session_scope(context.engine, write=True) as session:
        for name, item in batch:
            if isinstance(item, Exception):
                result.internal_errors.append(f"source {name}: {type(item).__name__}: {item}")
                continue
            for visit in item:
                saved = save_visit(session, context.archive, run_id, visit)
                unanswered[name].discard(visit.ref)
                result.artifacts.add(visit.ref)
                result.visits[name, saved.status] += 1
                result.new_snapshots += saved.is_new_snapshot
                if saved.status in (VisitStatus.DENIED, VisitStatus.FAILED, VisitStatus.MISSING):
                    result.unread.append(visit)


def _save_unanswered(
    context: Context, unanswered: dict[str, set[ArtifactRef]], run_id: int, result: Gathered
) -> None:
    """A source that broke off leaves artifacts without an answer: they failed, and it is said."""
    batch: Batch = [
        (
            name,
            [
                Visit(
                    ref=ref,
                    part=MAIN_PART[ref.kind],
                    url="",
                    at=context.clock(),
                    status=VisitStatus.FAILED,
                    reason=f"the source {name} gave no answer",
                )
            ],
        )
        for name, refs in unanswered.items()
        for ref in sorted(refs)
    ]
    if batch:
        _save_batch(context, batch, unanswered, run_id, result)


def extract_new(context: Context, refs: Sequence[ArtifactRef], result: Gathered | None = None) -> int:
    """Extract evidence from every standing snapshot that this version has not read yet; how many."""
    with session_scope(context.engine) as session:
        waiting = load_unextracted(session, EXTRACTOR_VERSION, refs)
    for start in range(0, len(waiting), COMMIT_EVERY):
        with session_scope(context.engine, write=True) as session:
            for stored in waiting[start : start + COMMIT_EVERY]:
                try:
                    evidence = extract(stored.read(context.archive))
                except Exception as error:
                    # A damaged body, or a document that an extractor chokes on: one document, not the night.
                    log.exception("%s (%s) could not be extracted", stored.ref, stored.part)
                    if result is not None:
                        result.internal_errors.append(
                            f"extraction of {stored.ref} {stored.part}: {type(error).__name__}: {error}"
                        )
                    continue
                save_extraction(session, stored.id, EXTRACTOR_VERSION, evidence)
                if result is not None:
                    result.problems += [item for item in evidence if item.kind == "document.problem"]
    return len(waiting)
