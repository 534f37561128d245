"""The main job and its parts: crawl, rate, report, under one lock."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crawler.context import Context, load_bases, make_sources, read_text, require_writable
from crawler.discovery import Discovered, discover, discover_safely
from crawler.gather import Gathered, Progress, gather
from crawler.lock import run_lock
from crawler.rating import Rated, rate
from crawler.report import run_report
from crawler.sources.base import Source
from db.candidates import count_candidates
from db.load import load_projects, load_runs
from db.models import RunStatus
from db.queue import count_queue
from db.save import begin_run, end_run, save_interrupted_runs, save_projects
from db.session import session_scope
from db.values import ImportResult
from pipelines.errors import UsageError
from pipelines.lineage_data import BaseModel
from pipelines.model import JsonValue, VisitStatus
from pipelines.seeds import parse_seeds

log = logging.getLogger(__name__)

RunKind = Literal["nightly", "crawl", "rate", "discover"]

DONE = 0
INTERNAL_ERROR = 1
SOME_FAILED = 3
NOTHING_GATHERED = 4

CLOSE_SECONDS = 1.0
"""How long an interrupted run waits for its sources to let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended: its id, exit code and report (a JSON object)."""

    run_id: int
    exit_code: int
    report: dict[str, JsonValue]


def import_seeds(context: Context, path: Path) -> ImportResult:
    """Take a seed file over. Raises SeedError (nothing was taken over) with every mistake of the file."""
    projects = parse_seeds(read_text(path, "the seed file"), str(path))
    with session_scope(context.engine, write=True) as session:
        return save_projects(session, projects, context.clock())


def ensure_projects(context: Context) -> None:
    """Read the seed file if it is set explicitly, or if the database knows no project yet.

    Raises UsageError when there is neither a project nor a seed file.
    """
    with session_scope(context.engine) as session:
        has_projects = bool(load_projects(session))
    if has_projects and "seeds" not in context.settings.model_fields_set:
        return
    imported = import_seeds(context, context.settings.seeds)
    log.info(
        "seeds of %s: %d added, %d changed, %d retired",
        context.settings.seeds,
        len(imported.added),
        len(imported.changed),
        len(imported.retired),
    )


def run(
    context: Context,
    kind: RunKind,
    slugs: Sequence[str] | None = None,
    *,
    full: bool = False,
    resume: bool = False,
    makers: Sequence[str] = (),
    progress: Progress | None = None,
) -> RunResult:
    """Gather, rate, look for new candidates, and say what happened; a run of another kind does its part only.

    `makers` are the Hub accounts to look at for candidates, those of the seeds when none are named.
    One run at a time works on a database. With `resume` the latest run is gone on with if it was
    cut off. Raises LockHeldError, UsageError; everything a source does wrong is in the report.
    """
    with run_lock(context.engine):
        with session_scope(context.engine, write=True) as session:
            save_interrupted_runs(session, context.clock())
        if kind != "rate":
            ensure_projects(context)
        with session_scope(context.engine) as session:
            load_projects(session, slugs)
        gathers = kind in ("nightly", "crawl")
        bases = load_bases(context.settings) if gathers else None
        if gathers:
            require_writable(context.archive)
        run_id, kind = _begin(context, kind, resume)
        gathered = Gathered()
        rated: Rated | None = None
        discovered: Discovered | None = None
        status, exit_code = RunStatus.INTERRUPTED, None
        started = context.clock()
        try:
            if gathers:
                with _sources(context, bases) as sources:
                    gather(
                        context,
                        sources,
                        bases or [],
                        run_id,
                        slugs,
                        full=full,
                        progress=progress,
                        result=gathered,
                    )
            if kind in ("nightly", "rate"):
                rated = rate(context, slugs, run_id, gathered)
            if kind == "nightly":
                discovered = discover_safely(context, run_id, progress=progress)
            elif kind == "discover":
                discovered = discover(context, run_id, makers, progress=progress)
            status, exit_code = RunStatus.DONE, _exit_code(kind, gathered, discovered)
        finally:
            with session_scope(context.engine, write=True) as session:
                waiting = count_queue(session, context.clock())
                report = run_report(
                    run_id=run_id,
                    kind=kind,
                    started=started,
                    ended=context.clock(),
                    gathered=gathered,
                    rated=rated,
                    discovered=discovered,
                    waiting=waiting,
                    candidates=count_candidates(session),
                )
                end_run(session, run_id, context.clock(), status, exit_code, report)
        return RunResult(run_id=run_id, exit_code=exit_code, report=report)


@contextmanager
def _sources(context: Context, bases: list[BaseModel] | None) -> Iterator[list[Source]]:
    """The sources, closed at the end; where somebody waits for us to stop, without waiting for answers."""
    sources = make_sources(context, bases)
    close = _close
    try:
        yield sources
    except KeyboardInterrupt:
        close = _close_in_a_hurry
        raise
    finally:
        close(sources)


def _close(sources: Sequence[Source]) -> None:
    for source in sources:
        source.close()


def _close_in_a_hurry(sources: Sequence[Source]) -> None:
    closing = [threading.Thread(target=source.close, daemon=True) for source in sources]
    # What the sources say of being cut off is no news.
    logging.disable(logging.ERROR)
    try:
        for thread in closing:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))
    finally:
        logging.disable(logging.NOTSET)


def _begin(context: Context, kind: RunKind, resume: bool) -> tuple[int, RunKind]:
    """The run to work on and its kind: a nightly run that is gone on with is finished as one, with rating."""
    with session_scope(context.engine, write=True) as session:
        if resume:
            latest = [
                stored for stored in load_runs(session, limit=10) if stored.kind in ("nightly", "crawl")
            ][:1]
            if latest and latest[0].status is RunStatus.INTERRUPTED:
                log.info(
                    "going on with the %s run %d of %s",
                    latest[0].kind,
                    latest[0].id,
                    latest[0].started_at.isoformat(),
                )
                return latest[0].id, "nightly" if latest[0].kind == "nightly" else "crawl"
            log.info("no run was cut off; a new one begins")
        return begin_run(session, kind, context.clock(), os.getpid(), socket.gethostname()), kind


def _exit_code(kind: RunKind, gathered: Gathered, discovered: Discovered | None) -> int:
    if gathered.internal_errors or (discovered and discovered.internal_error):
        return INTERNAL_ERROR
    if kind == "rate":
        return DONE
    if kind == "discover" and discovered and discovered.failed and not discovered.has_read_anything:
        return NOTHING_GATHERED
    if kind != "discover" and not gathered.has_read_anything:
        return NOTHING_GATHERED if gathered.artifacts else DONE
    failed = gathered.count(VisitStatus.FAILED) or (discovered and discovered.failed)
    return SOME_FAILED if failed else DONE


def require_projects(context: Context) -> None:
    """Raises UsageError when the database knows no project: there is nothing to work on."""
    with session_scope(context.engine) as session:
        if not load_projects(session):
            raise UsageError(
                "the database knows no project yet: `openness import seeds FILE` or `openness nightly` first"
            )
