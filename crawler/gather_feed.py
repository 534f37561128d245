"""The way from artifacts that want to be visited to visits that came: a queue and threads for each source.

Every source works in threads of its own; what it reads is put into the archive there, and handed
over without its bytes to the one thread that writes to the database.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crawler.archive import Archive
from crawler.sources.base import Source
from db.save_visits import keep
from db.values import KeptVisit
from pipelines.errors import StorageError
from pipelines.model import MAIN_PART, ArtifactKind, ArtifactRef, Visit, VisitRequest, VisitStatus

log = logging.getLogger(__name__)

MOST_HANDED_OVER = 400
"""Artifacts that were read and not stored yet: a source that is faster than the database waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a source is fed: calls of it at the same time, artifacts in a call.

    With `collects` it is called only once so many artifacts wait, or nothing else can add to them:
    many go into one question, or a call is dear.
    """

    calls: int = 1
    at_once: int = 200
    collects: int = 0


USUAL = Manner()
MANNERS: Mapping[str, Manner] = {
    # One GraphQL query tells of fifty repositories, and costs as much for one.
    "github": Manner(calls=2, at_once=100, collects=50),
    # All that is there at first in one call, in its order: two go on side by side.
    "huggingface": Manner(calls=2, at_once=400),
    # A hundred papers fit into one question, and a question costs three seconds.
    "arxiv": Manner(at_once=1000, collects=100),
    # Hosts make us wait, and calls share the worker that does it.
    "web": Manner(calls=16),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The visits of one artifact."""

    source: str
    ref: ArtifactRef
    visits: tuple[KeptVisit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A call has come to its end; `unanswered` are artifacts that it gave no visit of.

    `error` is what broke it off: an exception of the source is a defect of ours, a StorageError says
    that nothing can be stored.
    """

    source: str
    unanswered: frozenset[ArtifactRef]
    error: Exception | None = None

    def unanswered_visit(self, ref: ArtifactRef, at: datetime) -> Visit:
        """A source that broke off leaves artifacts without an answer: they failed, and it is said."""
        return Visit(
            ref=ref,
            part=MAIN_PART[ref.kind],
            url="",
            at=at,
            status=VisitStatus.FAILED,
            reason=f"the source {self.source} gave no answer",
        )


Event = Handed | Ended | None
"""None only wakes up whoever waits."""


@dataclass(slots=True)
class _Desk:
    """What waits for one source, in order."""

    source: Source
    manner: Manner
    waiting: dict[ArtifactRef, None] = field(default_factory=dict)
    calls: int = 0
    known: int = 0
    done: int = 0


def by_artifact(visits: Iterable[Visit]) -> Iterator[tuple[ArtifactRef, list[Visit]]]:
    """The visits of each artifact together, as soon as they are all there: sources yield the main part last."""
    so_far: list[Visit] = []
    for visit in visits:
        if so_far and so_far[0].ref != visit.ref:
            yield so_far[0].ref, so_far
            so_far = []
        so_far.append(visit)
        if visit.part == MAIN_PART[visit.ref.kind]:
            yield visit.ref, so_far
            so_far = []
    if so_far:
        yield so_far[0].ref, so_far


class Feed:
    """Feeds sources. Everything but the sources' own threads is used by one thread."""

    def __init__(self, sources: Sequence[Source], archive: Archive) -> None:
        self._archive = archive
        self._desks = {source.name: _Desk(source, MANNERS.get(source.name, USUAL)) for source in sources}
        self._source_of = {kind: source.name for source in sources for kind in source.kinds}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._room = threading.BoundedSemaphore(MOST_HANDED_OVER)
        self._stop = threading.Event()
        self._has_asked = False

    def name_of(self, kind: ArtifactKind) -> str:
        """The source that artifacts of this kind are visited by."""
        return self._source_of[kind]

    def add(self, ref: ArtifactRef) -> None:
        """Let an artifact be visited."""
        desk = self._desks[self._source_of[ref.kind]]
        if ref not in desk.waiting:
            desk.waiting[ref] = None
            desk.known += 1

    def drop(self, ref: ArtifactRef) -> bool:
        """Let an artifact be that nobody wants any more; False when it was asked for already."""
        desk = self._desks[self._source_of[ref.kind]]
        if ref not in desk.waiting:
            return False
        del desk.waiting[ref]
        desk.known -= 1
        return True

    def is_held(self, ref: ArtifactRef) -> bool:
        """Does an artifact wait for more of its kind to be asked for together?"""
        desk = self._desks[self._source_of[ref.kind]]
        return desk.manner.collects > 0 and ref in desk.waiting

    @property
    def is_busy(self) -> bool:
        """Is anything waiting or asked for?"""
        return any(desk.waiting or desk.calls for desk in self._desks.values())

    def figures(self) -> Iterable[tuple[str, int, int]]:
        """Name, artifacts done and artifacts known so far of each source that has any."""
        return [(name, desk.done, desk.known) for name, desk in self._desks.items() if desk.known]

    def next_calls(self, *, more_may_come: Callable[[], bool]) -> list[tuple[str, list[ArtifactRef]]]:
        """What sources are free for, taken off what waits. `more_may_come`: can anything add to what is collected?"""
        found = []
        still_growing: bool | None = None
        for name, desk in self._desks.items():
            while desk.waiting and desk.calls < desk.manner.calls:
                if self._has_asked and len(desk.waiting) < desk.manner.collects:
                    if still_growing is None:
                        still_growing = more_may_come()
                    if still_growing:
                        break
                refs = list(itertools.islice(desk.waiting, desk.manner.at_once))
                for ref in refs:
                    del desk.waiting[ref]
                desk.calls += 1
                found.append((name, refs))
        self._has_asked = self._has_asked or bool(found)
        return found

    def call(self, name: str, requests: Sequence[VisitRequest]) -> None:
        """Begin a call of a source."""
        threading.Thread(
            target=self._run, args=(self._desks[name].source, requests), name=f"source-{name}", daemon=True
        ).start()

    def wake(self) -> None:
        """Let `take` return."""
        self._events.put(None)

    def take(self, seconds: float, most: int) -> list[Handed | Ended]:
        """What came meanwhile, after waiting so long at most for the first of it."""
        found: list[Handed | Ended] = []
        try:
            event = self._events.get(timeout=seconds) if seconds > 0 else self._events.get_nowait()
            while True:
                if event is not None:
                    found.append(event)
                    self._note(event)
                if len(found) >= most:
                    break
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        return found

    def _note(self, event: Handed | Ended) -> None:
        desk = self._desks[event.source]
        if isinstance(event, Handed):
            self._room.release()
            desk.done += 1
        else:
            desk.calls -= 1
            desk.done += len(event.unanswered)

    def stop(self) -> None:
        """Cut off or done: no thread goes on handing over."""
        self._stop.set()

    def _run(self, source: Source, requests: Sequence[VisitRequest]) -> None:
        """Hand over the visits artifact by artifact, so that each is stored whole or not at all."""
        open_ones = {request.ref for request in requests}
        problem: Exception | None = None
        try:
            for ref, visits in by_artifact(source.visit(requests)):
                kept = tuple(keep(self._archive, visit) for visit in visits)
                if not self._has_room():
                    return
                open_ones.discard(ref)
                self._events.put(Handed(source=source.name, ref=ref, visits=kept))
        except StorageError as error:
            problem = error
        except Exception as error:
            # A defect of one source must not cost the others' work; it is told at the end of the run.
            log.exception("source %s broke off", source.name)
            problem = error
        finally:
            self._events.put(Ended(source=source.name, unanswered=frozenset(open_ones), error=problem))

    def _has_room(self) -> bool:
        """Wait until something more may be handed over, however long the writer takes; False when the run was stopped."""
        while not self._stop.is_set():
            if self._room.acquire(timeout=0.5):
                return True
        return False
