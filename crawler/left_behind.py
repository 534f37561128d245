"""What a run that is gone has left in the archive: bodies whose rows were never committed.

Looked for at the start of every run and at the end of one that got there, holding the run lock: then
no other run works on this database, so every mark of one of its runs is of a run that is gone, or of
this one, which puts nothing more. Marks of other databases are left alone, whoever holds their lock.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from datetime import datetime

from sqlalchemy import Engine

from crawler.archive import Archive
from crawler.marks import Owner
from db.archived import load_bodies_there
from db.runs import load_starts
from db.session import session_scope, sqlite_file
from pipelines.errors import StorageError
from pipelines.model import digest_of

log = logging.getLogger(__name__)

_OF_THIS_PROCESS = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"


def database_key(engine: Engine) -> str:
    """What tells this database from others that use the same archive: its place, without user and password."""
    url = engine.url
    if url.get_backend_name() != "sqlite":
        return digest_of([url.get_backend_name(), url.host, url.port, url.database])[:16]
    file = sqlite_file(url)
    return digest_of(["sqlite", _OF_THIS_PROCESS if file is None else str(file.resolve())])[:16]


def clear_away(engine: Engine, archive: Archive) -> int:
    """Remove the bodies that runs of this database have put in vain; how many. Call it holding the run lock.

    A body that a row names stays, and so does one that another run has put since. Files that were being
    written when their run was killed go, too. What cannot be removed is said, and looked for again by the
    next run.
    """
    try:
        archive.clean()
        return _clear_away(engine, archive)
    except StorageError as error:
        log.warning("what earlier runs left behind is not cleared away: %s", error)
        return 0


def _clear_away(engine: Engine, archive: Archive) -> int:
    here = database_key(engine)
    found = [mark for mark in archive.marks() if mark.owner.database == here]
    if not found:
        return 0
    with session_scope(engine) as session:
        starts = load_starts(session, {mark.owner.run for mark in found})
        # A database that was made anew in the same place counts its runs from 1 again.
        marks = [mark for mark in found if starts.get(mark.owner.run) == mark.owner.started]
        named = load_bodies_there(session, {mark.sha256 for mark in marks})
    removed = 0
    for mark in marks:
        if mark.sha256 not in named:
            removed += archive.take_back(mark)
        mark.lift()
    if removed:
        log.info("removed %d bodies from the archive that a run had put there in vain", removed)
    return removed


def owner_of(engine: Engine, run_id: int, started: datetime) -> Owner:
    """The owner of what a run of this database puts."""
    return Owner(database=database_key(engine), run=run_id, started=started)
