"""Gathering: visit artifacts through their sources, store what came, extract, follow links, finish projects.

A number of projects is under way at a time. What a project links to is visited as soon as its own
artifacts are read, and a project whose artifacts are all read is done with, while others go on. One
thread, the caller's, writes to the database. What was written is there even if the run is cut off
at any moment, and who goes on with the run begins with the first project that it is not done with.

What is found does not depend on which answer comes first: the links of a project are chosen once
everything that can name them is read.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.orm import Session

from crawler.context import Context
from crawler.extraction import Extraction
from crawler.extraction_worker import Extracted
from crawler.gather_budget import Allotment
from crawler.gather_doubts import Doubts
from crawler.gather_feed import Ended, Feed, Handed
from crawler.gather_links import Under, add_lineage_entries, follow, own_refs
from crawler.gathered import Gathered as Gathered
from crawler.gathered import note_extracted
from crawler.interrupts import write_scope
from crawler.progress import NullProgress, Progress
from crawler.sources.base import Source
from db.load import load_projects, load_requests, load_unextracted, load_visited
from db.runs import save_spent
from db.save import save_extractions, save_visits
from db.session import session_scope
from db.values import KeptVisit, StoredSnapshot
from pipelines.artifacts import LINEAGE_DEPTH
from pipelines.errors import StorageError
from pipelines.lineage_data import BaseModel
from pipelines.model import ArtifactRef, Project

UNDER_WAY = 200
"""Projects under way at a time. What is held in memory grows with it."""

PORTION = 50
"""Projects taken up together."""

COMMITTED_TOGETHER = 120
"""Artifacts in one transaction at most."""

READING_SECONDS = 0.1
"""How long documents are read here before somebody looks whether answers have come."""

MUCH_NEW = 40
"""Artifacts that were never read from which on the processes that read documents are started at once."""

PATIENCE = 1.0
"""How long nothing has to come until it is looked whether the processes that read still live."""

GATHERING_SECONDS = 0.05
"""How long what has come waits for more to be stored with it."""

BUSY_SECONDS = 0.2
"""How long it waits while documents are being read: nobody waits for what would be handed to them sooner."""

FINISHED_TOGETHER = 10
"""Projects that are finished together at most. Fewer are when there is nothing else to do."""

Finish = Callable[[Sequence[Project]], None]
"""Called with projects of which everything was read: rates them, and notes that the run is done with them."""


class Gathering:
    """One run's gathering. `go` does it; what happens is noted in `result` as it happens.

    `meanwhile` is called once the first artifacts are asked for, `all_found` once nothing more can be found to visit.
    """

    def __init__(
        self,
        context: Context,
        sources: Sequence[Source],
        bases: Sequence[BaseModel],
        run_id: int,
        *,
        finish: Finish,
        allotment: Allotment | None = None,
        full: bool = False,
        also_read: int | None = None,
        progress: Progress | None = None,
        result: Gathered,
        meanwhile: Callable[[], None] = lambda: None,
        all_found: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = context
        self._sources = list(sources)
        self._bases = bases
        self._run_id = run_id
        self._finish = finish
        self._allotment = allotment
        self._full = full
        self._runs = (run_id,) if also_read is None else (run_id, also_read)
        self._progress = progress or NullProgress()
        self._result = result
        self._meanwhile = meanwhile
        self._all_found: Callable[[], None] | None = all_found
        self._feed = Feed(sources, context.archive)
        self._extraction = Extraction(context.archive, self._feed.wake)
        self._ahead: deque[str] = deque()
        self._under: dict[str, Under] = {}
        self._read: deque[Project] = deque()
        # Whoever waits for an artifact, and the snapshots of it that are being read.
        self._open: dict[ArtifactRef, set[str]] = {}
        self._reading: dict[ArtifactRef, set[int]] = {}
        self._owner: dict[int, StoredSnapshot] = {}
        self._postponed = set(allotment.plan.postponed) if allotment else set()
        # What links led to where a budget is tight: planned for together.
        self._unplanned: set[ArtifactRef] = set()
        self._doubts = Doubts()

    def go(self, slugs: Sequence[str]) -> None:
        """Visit every artifact of the projects, in this order, then what they link to, and finish them.

        Artifacts visited in this run already (it is gone on with), or in `also_read`, are left out. With `full` nothing
        stored is told to the services: everything is read anew.
        """
        self._ahead = deque(slugs)
        try:
            with self._extraction:
                if self._allotment is not None and self._allotment.plan.cold >= MUCH_NEW:
                    self._extraction.prepare()
                while self._ahead or self._under or self._read:
                    came = self._take_in()
                    self._settle()
                    if self._under and not (self._ahead or self._unplanned or self._is_waiting):
                        # Better than to wait for ever.
                        raise RuntimeError(f"nothing more comes for {', '.join(sorted(self._under)[:5])}")
                    # What is asked for is on its way while projects are finished.
                    self._take_up()
                    self._plan_more()
                    self._send()
                    self._meanwhile()
                    self._meanwhile = lambda: None
                    if self._all_found is not None and not self._more_may_come():
                        self._all_found()
                        self._all_found = None
                    self._finish_some(is_idle=not came)
        finally:
            self._feed.stop()
            self._result.note_usage(self._sources)

    @property
    def _has_room(self) -> bool:
        """May more projects be taken up?"""
        return len(self._under) + len(self._read) <= UNDER_WAY - PORTION

    # Projects come

    def _take_up(self) -> None:
        while self._ahead and self._has_room:
            some = [self._ahead.popleft() for _ in range(min(PORTION, len(self._ahead)))]
            with write_scope(self._context.engine) as session:
                now = self._context.clock()
                projects = add_lineage_entries(session, load_projects(session, some), self._bases, now)
                for project in projects:
                    self._under[project.slug] = Under(project)
                self._want(session, projects)

    def _want(self, session: Session, projects: Sequence[Project], *, found: bool = False) -> None:
        """Let what these projects have, and nobody has asked for yet, be visited. `found`: links led to it."""
        refs = {artifact.ref: None for project in projects for artifact in project.artifacts}
        leading = {ref for project in projects for ref in own_refs(project)}
        # What can lead on comes first: then there is something to be asked for meanwhile.
        new = sorted((ref for ref in refs if ref not in self._open), key=lambda ref: ref not in leading)
        visited = {ref for run_id in self._runs for ref in load_visited(session, run_id, new)}
        passed_over = [ref for ref in new if ref in visited or ref in self._postponed]
        for ref in new:
            self._open[ref] = set()
            if ref in visited or ref in self._postponed:
                continue
            self._ask(ref, found=found)
        for project in projects:
            under = self._under[project.slug]
            own = own_refs(project)
            for artifact in project.artifacts:
                if artifact.ref in self._open:
                    self._open[artifact.ref].add(project.slug)
                    (under.own if artifact.ref in own else under.linked).add(artifact.ref)
        # What was visited before the run was cut off may not be extracted yet.
        self._extract(session, passed_over)
        self._doubts.note_stored(session, visited)
        self._ask_again(session, refs)

    def _ask(self, ref: ArtifactRef, *, found: bool) -> None:
        may_go = not found or self._allotment is None or self._allotment.is_free(ref)
        (self._feed.add if may_go else self._unplanned.add)(ref)

    def _ask_again(self, session: Session, among: Iterable[ArtifactRef]) -> set[ArtifactRef]:
        """Let absences be confirmed on which a rule may rest by now; which they are."""
        again = self._doubts.take_counting(session, among)
        for ref in sorted(again):
            self._open.setdefault(ref, set())
            for under in [under for under in self._under.values() if under.has(ref)]:
                self._open[ref].add(under.project.slug)
                under.linked.add(ref)
            self._ask(ref, found=True)
        return again

    # Visits go and come

    def _send(self) -> None:
        calls = self._feed.next_calls(more_may_come=self._more_may_come)
        with session_scope(self._context.engine) as session:
            found = load_requests(session, [ref for _, refs in calls for ref in refs], full=self._full)
        requests = {request.ref: request for request in found}
        for name, refs in calls:
            self._feed.call(name, [requests[ref] for ref in refs])

    def _plan_more(self) -> None:
        """Plan for what waits for it, once everything that can be found is found."""
        if not self._unplanned or self._allotment is None or self._more_may_come():
            return
        refs, self._unplanned = self._unplanned, set()
        slugs = sorted({slug for ref in refs for slug in self._open[ref]})
        postponed = set(self._allotment.plan_more(slugs, refs))
        self._postponed |= postponed
        self._result.plan = self._allotment.plan
        self._progress.planned(self._allotment.plan)
        for ref in sorted(refs - postponed):
            self._feed.add(ref)
        with session_scope(self._context.engine) as session:
            self._extract(session, sorted(postponed & refs))

    def _more_may_come(self) -> bool:
        """Can something still be read that leads to further artifacts, without what is held back?"""
        if self._ahead and self._has_room:
            return True
        return any(
            not under.settled and any(not self._is_held(ref) for ref in under.own)
            for under in self._under.values()
        )

    def _is_held(self, ref: ArtifactRef) -> bool:
        return ref in self._unplanned or self._feed.is_held(ref)

    def _take_in(self) -> bool:
        """Store what has come, visits and what was found in documents; False when nothing has."""
        idle = not self._extraction.wants_to_read
        # Whoever has something else to do does not wait.
        patience = PATIENCE if idle and self._is_waiting and not self._read else 0.0
        events = self._feed.take(patience, COMMITTED_TOGETHER)
        found = self._extraction.collect(0.0 if events else READING_SECONDS)
        if not events and not found:
            return False
        if idle:
            # A transaction for each document would take longer than reading it.
            self._wait_for_more(events, found)
        with write_scope(self._context.engine) as session:
            if events:
                self._save_visits(session, events)
            self._save_found(session, found)
            if events:
                self._result.note_usage(self._sources)
                save_spent(session, self._run_id, self._result.spent())
        self._context.archive.settle(
            kept.sha256
            for event in events
            if isinstance(event, Handed)
            for kept in event.visits
            if kept.sha256
        )
        for name, done, known in self._feed.figures():
            self._progress.progress(name, done, known, self._result.usage.get(name))
        return True

    def _wait_for_more(self, events: list[Handed | Ended], found: list[Extracted]) -> None:
        """Add what comes meanwhile; processes that read go on being given documents."""
        until = time.monotonic() + (BUSY_SECONDS if self._extraction.is_busy else GATHERING_SECONDS)
        while (left := until - time.monotonic()) > 0 and len(events) < COMMITTED_TOGETHER:
            events += self._feed.take(left, COMMITTED_TOGETHER - len(events))
            found += self._extraction.collect(0.0)

    @property
    def _is_waiting(self) -> bool:
        return self._feed.is_busy or self._extraction.is_busy

    def _save_visits(self, session: Session, events: Iterable[Handed | Ended]) -> None:
        kept: list[tuple[str, KeptVisit]] = []
        refs: dict[ArtifactRef, None] = {}
        for event in events:
            if isinstance(event, Handed):
                kept += [(event.source, visit) for visit in event.visits]
                refs[event.ref] = None
                continue
            if isinstance(event.error, StorageError):
                raise event.error
            if event.error is not None:
                self._result.errors.add(f"source {event.source}: {type(event.error).__name__}: {event.error}")
            for ref in sorted(event.unanswered):
                kept.append(
                    (event.source, KeptVisit(visit=event.unanswered_visit(ref, self._context.clock())))
                )
                refs[ref] = None
        saved = save_visits(session, self._run_id, [visit for _, visit in kept])
        for (name, visit), result in zip(kept, saved, strict=True):
            self._result.note_visit(name, visit.visit, result)
        self._doubts.note(visit.visit for _, visit in kept)
        again = self._ask_again(session, refs)
        done = [ref for ref in refs if ref not in again]
        for ref in done:
            self._result.note_artifact(ref)
        self._extract(session, done)

    # Documents are read

    def _extract(self, session: Session, refs: Sequence[ArtifactRef]) -> None:
        """Let what stands of these artifacts be read, as far as this version has not read it yet."""
        if not refs:
            return
        from pipelines.extract import EXTRACTOR_VERSION

        for stored in load_unextracted(session, EXTRACTOR_VERSION, refs):
            if stored.id not in self._owner:
                self._owner[stored.id] = stored
                self._reading.setdefault(stored.ref, set()).add(stored.id)
                # What can lead on is read first: then there is something to be asked for meanwhile.
                leads_on = any(stored.ref in self._under[slug].own for slug in self._open.get(stored.ref, ()))
                self._extraction.add(stored, soon=leads_on)
        for ref in refs:
            if ref not in self._reading:
                self._close(ref)

    def _save_found(self, session: Session, found: Sequence[Extracted]) -> None:
        if not found:
            return
        from pipelines.extract import EXTRACTOR_VERSION

        good = {item.snapshot_id: item.rows for item in found if not item.error}
        save_extractions(session, EXTRACTOR_VERSION, good)
        for item in found:
            stored = self._owner.pop(item.snapshot_id)
            note_extracted(self._result, stored, item)
            left = self._reading[stored.ref]
            left.discard(stored.id)
            if not left:
                del self._reading[stored.ref]
                self._close(stored.ref)

    def _close(self, ref: ArtifactRef) -> None:
        """Nothing more is to come of an artifact tonight."""
        for slug in self._open.pop(ref, ()):
            self._under[slug].own.discard(ref)
            self._under[slug].linked.discard(ref)

    # Projects go

    def _settle(self) -> None:
        """Follow the links of projects whose own artifacts are read; set those apart of which everything is."""
        while ready := [under for under in self._under.values() if not under.settled and not under.own]:
            self._follow(ready)
        for under in [under for under in self._under.values() if under.settled and not under.linked]:
            del self._under[under.project.slug]
            self._read.append(under.project)

    def _finish_some(self, *, is_idle: bool) -> None:
        """Finish projects of which everything is read: many together, and after what leads to further questions."""
        if is_idle or len(self._read) >= FINISHED_TOGETHER:
            some = [self._read.popleft() for _ in range(min(FINISHED_TOGETHER, len(self._read)))]
            if some:
                self._finish(some)

    def _follow(self, ready: Sequence[Under]) -> None:
        with write_scope(self._context.engine) as session:
            changed = []
            projects = [under.project for under in ready]
            followed = follow(session, projects, self._context.settings, self._context.clock())
            for under, project in zip(ready, followed, strict=True):
                under.rounds += 1
                # A base that is new may name its own; one that was read already is looked at again at once.
                is_last = under.rounds > LINEAGE_DEPTH + 1
                under.settled = is_last or own_refs(project) <= own_refs(under.project)
                if project is not under.project:
                    self._let_go(under, project)
                    under.project = project
                    changed.append(project)
            self._want(session, changed, found=True)
        for under in ready:
            under.settled = under.settled and not under.own

    def _let_go(self, under: Under, project: Project) -> None:
        """Nobody waits for what is not the project's any more."""
        kept = {artifact.ref for artifact in project.artifacts}
        for ref in (under.own | under.linked) - kept:
            under.own.discard(ref)
            under.linked.discard(ref)
            waiting = self._open[ref]
            waiting.discard(under.project.slug)
            if not waiting and (ref in self._unplanned or self._feed.drop(ref)):
                self._unplanned.discard(ref)
                del self._open[ref]
