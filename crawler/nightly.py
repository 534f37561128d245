"""The main job and its parts: crawl, rate, report, under one lock."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crawler.context import Context, load_bases, make_sources, read_text, require_writable
from crawler.discovery import Asking, Discovered, ask_safely, discover, discover_safely
from crawler.extraction import begun_early
from crawler.gather import MUCH_NEW, Gathering
from crawler.gather_budget import Allotment
from crawler.gathered import Gathered, gathered_before
from crawler.heap import share_heaps
from crawler.interrupts import write_scope
from crawler.left_behind import clear_away, owner_of
from crawler.lock import run_lock
from crawler.progress import NullProgress, Progress
from crawler.resuming import Begun, begin
from crawler.resuming import RunKind as RunKind
from crawler.scratch import remove_left_behind
from crawler.sources.base import Source
from db.candidates import count_candidates
from db.load import has_much_unvisited, load_kinds
from db.models import RunStatus
from db.queue import count_queue
from db.runs import load_slugs, save_done
from db.save import end_run, save_interrupted_runs, save_projects
from db.session import session_scope
from db.values import ImportResult
from pipelines.errors import UsageError
from pipelines.lineage_data import BaseModel
from pipelines.model import ArtifactKind, JsonValue, Project, VisitStatus
from pipelines.seeds import parse_seeds

log = logging.getLogger(__name__)

DONE = 0
INTERNAL_ERROR = 1
SOME_FAILED = 3
NOTHING_GATHERED = 4

CLOSE_SECONDS = 0.5
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
    with write_scope(context.engine) as session:
        return save_projects(session, projects, context.clock())


def ensure_projects(context: Context) -> None:
    """Read the seed file if it is set explicitly, or if the database knows no project yet.

    Raises UsageError when there is neither a project nor a seed file.
    """
    with session_scope(context.engine) as session:
        has_projects = bool(load_slugs(session))
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
    at_end: Callable[[dict[str, JsonValue]], None] | None = None,
) -> RunResult:
    """Gather, rate, look for new candidates, and say what happened; a run of another kind does its part only.

    `makers` are the Hub accounts to look at for candidates, those of the seeds when none are named.
    One run at a time works on a database. A night that was cut off today is gone on with; with
    `resume` any run that was. `at_end` gets the report once it is stored, whichever way the run
    ends. Raises LockHeldError, UsageError; everything a source does wrong is in the report.
    """
    with run_lock(context.engine):
        with write_scope(context.engine) as session:
            save_interrupted_runs(session, context.clock())
        clear_away(context.engine, context.archive)
        if kind != "rate":
            ensure_projects(context)
        gathers = kind in ("nightly", "crawl")
        bases = load_bases(context.settings) if gathers else None
        if gathers:
            require_writable(context.archive)
            remove_left_behind()
        begun = begin(context, kind, slugs, full=full, resume=resume)
        context.archive.mark_for(owner_of(context.engine, begun.run_id, begun.started))
        night = _Night(context, begun, progress or NullProgress(), at_end)
        try:
            if gathers:
                night.gather(bases)
            if begun.kind == "rate":
                night.rate()
            if begun.kind == "nightly":
                night.phase("looking for new projects")
                night.discovered = discover_safely(
                    context,
                    begun.run_id,
                    full=begun.full,
                    progress=night.progress.progress,
                    asking=night.asking,
                )
            elif begun.kind == "discover":
                night.discovered = discover(context, begun.run_id, makers, progress=night.progress.progress)
            # A source that broke off may have put bodies of an artifact that was not handed over.
            clear_away(context.engine, context.archive)
            night.status = RunStatus.DONE
        finally:
            report = night.end()
            for thread in night.closing:
                thread.join()
        return RunResult(run_id=begun.run_id, exit_code=night.exit_code or DONE, report=report)


class _Night:
    """A run under way: what it has come to so far, and its steps."""

    def __init__(
        self,
        context: Context,
        begun: Begun,
        progress: Progress,
        at_end: Callable[[dict[str, JsonValue]], None] | None,
    ) -> None:
        self.context = context
        self.begun = begun
        self.progress = progress
        self.at_end = at_end
        self.gathered = Gathered()
        self.asking: Asking | None = None
        self.closing: list[threading.Thread] = []
        self.discovered: Discovered | None = None
        self.status = RunStatus.INTERRUPTED
        self.exit_code: int | None = None

    def phase(self, text: str) -> None:
        self.progress.phase(text)

    def gather(self, bases: list[BaseModel] | None) -> None:
        """Plan, visit and read everything; in a night rate every project once all of it is read."""
        share_heaps()
        context, begun = self.context, self.begun
        with session_scope(context.engine) as session:
            kinds = load_kinds(session)
            is_much_new = has_much_unvisited(session, MUCH_NEW)
        with begun_early(is_much_new), _sources(context, bases, kinds, self.closing) as sources:
            if begun.earlier is not None:
                source_of = {kind: source for source in sources for kind in source.kinds}
                with session_scope(context.engine) as session:
                    self.gathered = gathered_before(session, begun.earlier, source_of)
            self.phase("planning")
            allotment = Allotment(context, sources, begun.slugs, full=begun.full)
            self.gathered.plan = allotment.plan
            self.progress.planned(allotment.plan)
            self.phase("visiting")
            gathering = Gathering(
                context,
                sources,
                bases or [],
                begun.run_id,
                finish=self.finish,
                allotment=allotment,
                full=begun.full,
                also_read=begun.also_read,
                progress=self.progress,
                result=self.gathered,
                meanwhile=_get_ready,
                all_found=self.ask_for_lists,
            )
            gathering.go(tuple(dict.fromkeys([*allotment.plan.order, *begun.slugs])))

    def ask_for_lists(self) -> None:
        """Nothing more will be found to be visited: there is time to ask for what the makers list."""
        if self.begun.kind == "nightly":
            self.asking = ask_safely(self.context, full=self.begun.full)

    def finish(self, projects: Sequence[Project]) -> None:
        """What is done with projects of which everything was read."""
        from crawler.rating import rate_safely

        if self.begun.kind == "nightly":
            rate_safely(self.context, projects, self.begun.run_id, self.gathered)
            return
        with write_scope(self.context.engine) as session:
            slugs = [project.slug for project in projects]
            save_done(session, self.begun.run_id, slugs, self.context.clock())

    def rate(self) -> None:
        """Rate from what is stored."""
        from crawler.rating import rate

        self.phase("rating")
        slugs = None if self.begun.is_about_all else self.begun.slugs
        rate(
            self.context,
            slugs,
            self.begun.run_id,
            self.gathered,
            lambda done, total: self.progress.progress("rating", done, total),
            full=self.begun.full,
        )

    def end(self) -> dict[str, JsonValue]:
        """Store how the run has ended, and its report. What cut it off goes on being what ended it."""
        broken = sys.exception()
        if self.asking is not None:
            self.asking.leave()
        if isinstance(broken, Exception) and self.begun.kind == "nightly":
            log.error(
                "the night was cut off; what was gathered is stored, and the next `openness nightly` goes on"
            )
        if self.status is RunStatus.DONE:
            self.exit_code = _exit_code(self.begun.kind, self.gathered, self.discovered)
        try:
            report = self._save_end(broken)
        except Exception as error:
            if broken is None:
                raise
            # The same trouble, most likely: a full disk. The next start finds a run that was cut off.
            log.error("how the run ended could not be stored: %s", error)
            return {}
        if self.at_end:
            self.at_end(report)
        return report

    def _save_end(self, broken: BaseException | None) -> dict[str, JsonValue]:
        from crawler.rating import load_rated
        from crawler.report import run_report
        from crawler.report.aftermath import load_aftermath
        from crawler.report.broken import why_broken

        context, run_id = self.context, self.begun.run_id
        # Whoever interrupts us does not wait; `openness report` tells the changes later.
        hurry = isinstance(broken, KeyboardInterrupt)
        aftermath = None if hurry else load_aftermath(context, run_id, self.gathered)
        rates = self.begun.kind in ("nightly", "rate")
        rated = load_rated(context, run_id) if rates else None
        with write_scope(context.engine) as session:
            report = run_report(
                run_id=run_id,
                kind=self.begun.kind,
                started=self.begun.started,
                ended=context.clock(),
                gathered=self.gathered,
                rated=rated,
                discovered=self.discovered,
                waiting=count_queue(session, context.clock()),
                candidates=count_candidates(session),
                plan=self.gathered.plan,
                status=self.status,
                exit_code=self.exit_code,
                broke_off=why_broken(broken),
                aftermath=aftermath,
            )
            end_run(session, run_id, context.clock(), self.status, self.exit_code, report)
        return report


def _get_ready() -> None:
    """What takes long to get ready and is needed once answers are there: while they are on their way."""
    import crawler.rating
    import crawler.report.aftermath
    import crawler.report.broken  # noqa: F401
    from pipelines.propose import rules_version

    # It imports all rules, and reads all files that they are made of. A broken rule is told by whoever rates; what
    # is gathered meanwhile is not lost by it.
    with suppress(Exception):
        rules_version()


@contextmanager
def _sources(
    context: Context,
    bases: list[BaseModel] | None,
    kinds: Collection[ArtifactKind],
    closing: list[threading.Thread],
) -> Iterator[list[Source]]:
    """The sources. At the end they are being closed, by threads that are added to `closing`; where somebody waits
    for us to stop, without waiting for answers."""
    sources = make_sources(context, bases, soon=kinds)
    close = _close
    try:
        yield sources
    except KeyboardInterrupt:
        close = _close_in_a_hurry
        raise
    finally:
        closing += close(sources)


def _close(sources: Sequence[Source]) -> list[threading.Thread]:
    closing = [threading.Thread(target=source.close, name=f"close-{source.name}") for source in sources]
    for thread in closing:
        thread.start()
    return closing


def _close_in_a_hurry(sources: Sequence[Source]) -> list[threading.Thread]:
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
    # Whoever has not let go by now is not waited for.
    return []


def _exit_code(kind: RunKind, gathered: Gathered, discovered: Discovered | None) -> int:
    if gathered.internal_errors or (discovered and discovered.internal_error):
        return INTERNAL_ERROR
    if kind == "rate":
        return DONE
    if kind == "discover" and discovered and discovered.failed and not discovered.has_read_anything:
        return NOTHING_GATHERED
    if kind != "discover" and not gathered.has_read_anything:
        all_wait = gathered.plan is not None and gathered.plan.waits
        return NOTHING_GATHERED if gathered.artifacts or all_wait else DONE
    failed = gathered.count(VisitStatus.FAILED) or (discovered and discovered.failed)
    return SOME_FAILED if failed else DONE


def require_projects(context: Context) -> None:
    """Raises UsageError when the database knows no project: there is nothing to work on."""
    with session_scope(context.engine) as session:
        if not load_slugs(session):
            raise UsageError(
                "the database knows no project yet: `openness import seeds FILE` or `openness nightly` first"
            )
