"""Which run a command works on: a new one, or one that was cut off and is gone on with."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from crawler.context import Context
from crawler.interrupts import write_scope
from db.load import load_runs
from db.models import RunStatus
from db.runs import load_done, load_slugs
from db.save import begin_run, resume_run
from db.values import StoredRun

log = logging.getLogger(__name__)

RunKind = Literal["nightly", "crawl", "rate", "discover"]

STILL_TONIGHT = timedelta(hours=20)
"""Age up to which `nightly` goes on with a night that was cut off. Less than a day, so that a timer
that starts one night a day begins a new one."""

_PROJECTS = "projects"
_FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The run to work on: what it is to do, and what of it is done already.

    `slugs` are its projects in order, without those in `done`. `earlier` is the run as it was cut
    off, None for a new one. `also_read` is a run whose visits count as well.
    """

    run_id: int
    kind: RunKind
    started: datetime
    slugs: tuple[str, ...]
    is_about_all: bool
    full: bool
    done: int = 0
    earlier: StoredRun | None = None
    also_read: int | None = None


def begin(
    context: Context, kind: RunKind, slugs: Sequence[str] | None, *, full: bool = False, resume: bool = False
) -> Begun:
    """Begin a run, or go on with one. Call it holding the run lock. Raises UsageError for an unknown project.

    A night that was cut off today is gone on with by the next `nightly`, unless that is to read
    everything anew and the other was not. With `resume` the latest run that gathers is gone on with,
    however old, if it was cut off; where other projects are named than it was about, a new run
    begins that reads nothing twice.
    """
    now = context.clock()
    with write_scope(context.engine) as session:
        wanted = load_slugs(session, slugs)
        cut_off = _latest_cut_off(load_runs(session, kinds=_kinds(kind, resume), limit=1))
        is_recent = cut_off is not None and now - cut_off.started_at < STILL_TONIGHT
        also_read = None
        if cut_off is not None and resume and slugs is not None and _slugs_of(cut_off) != wanted:
            also_read = cut_off.id if is_recent else None
        elif cut_off is not None and (resume or (is_recent and (not full or cut_off.asked.get(_FULL)))):
            resume_run(session, cut_off.id, os.getpid(), socket.gethostname())
            # A project that has gone since is nobody's business any more.
            known = set(load_slugs(session))
            asked = _slugs_of(cut_off)
            every = sorted(known if asked is None else known & set(asked))
            done = load_done(session, cut_off.id) & set(every)
            log.info(
                "going on with the %s run %d of %s: %d of %d projects are done",
                cut_off.kind,
                cut_off.id,
                cut_off.started_at.isoformat(timespec="seconds"),
                len(done),
                len(every),
            )
            return Begun(
                run_id=cut_off.id,
                kind="nightly" if cut_off.kind == "nightly" else "crawl",
                started=cut_off.started_at,
                slugs=tuple(slug for slug in every if slug not in done),
                is_about_all=asked is None,
                full=bool(cut_off.asked.get(_FULL)),
                done=len(done),
                earlier=cut_off,
            )
        elif resume and cut_off is None:
            log.info("no run was cut off; a new one begins")
        asked_now = {_PROJECTS: None if slugs is None else wanted, _FULL: full}
        run_id = begin_run(session, kind, now, os.getpid(), socket.gethostname(), asked_now)
    return Begun(
        run_id=run_id,
        kind=kind,
        started=now,
        slugs=tuple(wanted),
        is_about_all=slugs is None,
        full=full,
        also_read=also_read,
    )


def _kinds(kind: RunKind, resume: bool) -> tuple[str, ...]:
    if resume:
        return ("nightly", "crawl")
    return ("nightly",) if kind == "nightly" else ()


def _latest_cut_off(runs: Sequence[StoredRun]) -> StoredRun | None:
    return runs[0] if runs and runs[0].status is RunStatus.INTERRUPTED else None


def _slugs_of(run: StoredRun) -> list[str] | None:
    """The projects that a run was asked about; None: all."""
    projects = run.asked.get(_PROJECTS)
    return None if projects is None else sorted(projects)
