"""Extraction in a process of its own: what such a process runs.

It reads bodies from the archive, touches neither network nor database, and ends with the process
that started it, however that ended. Few imports: the process starts with them.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, replace
from multiprocessing.connection import wait

from crawler.archive import Archive
from crawler.heap import GARBAGE
from db.evidence_values import evidence_values
from pipelines.model import Evidence, JsonValue, Snapshot

log = logging.getLogger(__name__)

ORPHANED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was found in a snapshot, as rows for the database, and what was amiss with the document.

    `error` tells why nothing was found: a damaged body, or a document that an extractor chokes on.
    """

    snapshot_id: int
    rows: tuple[dict[str, JsonValue], ...] = ()
    problems: tuple[Evidence, ...] = ()
    error: str = ""


def begin() -> None:
    """Called once in every process before its first task."""
    # Reading a document makes many objects, and hardly any garbage but by letting go of them.
    gc.set_threshold(max(GARBAGE, gc.get_threshold()[0]), *gc.get_threshold()[1:])
    # Ctrl-C is for the process that started this one, which then ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(ORPHANED)


def read(archive: Archive, snapshot_id: int, bare: Snapshot) -> Extracted:
    """Extract everything from a stored snapshot, given without its bytes. Never raises: one document is not the night."""
    # What starts these processes reads nothing itself, as a rule, and has better things to do than to import it.
    from pipelines.extract.by_part import extract

    try:
        evidence = extract(replace(bare, body=archive.get(bare.sha256)))
    except Exception as error:
        log.exception("%s (%s) could not be extracted", bare.ref, bare.part)
        return Extracted(snapshot_id=snapshot_id, error=f"{type(error).__name__}: {error}")
    return Extracted(
        snapshot_id=snapshot_id,
        rows=tuple(evidence_values(item, snapshot_id) for item in evidence),
        problems=tuple(item for item in evidence if item.kind == "document.problem"),
    )
