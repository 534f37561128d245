"""`openness archive export warc`: the archive into WARC files of a limited size, all of them or none.

Files are written under a name that ends in `.open` and get their own names when the last of them is
whole and on the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from crawler.archive import sync_folder
from crawler.context import Context
from crawler.settings import NAME, version
from crawler.warc import VERSION, RecordWriter
from db.archived import ArchivedSnapshot, count_snapshots, load_archived
from db.pins import load_pruned
from db.session import session_scope
from pipelines.errors import StorageError, UsageError

log = logging.getLogger(__name__)

SUFFIX = ".warc.gz"
_OPEN = ".open"

Progress = Callable[[int, int], None]
"""Called with the snapshots done and all snapshots."""


@dataclass(slots=True, kw_only=True)
class Exported:
    """What was written: files in their order, records, bytes. `unreadable` are digests of bodies left out."""

    files: list[Path] = field(default_factory=list)
    snapshots: int = 0
    revisits: int = 0
    pruned: int = 0
    bytes: int = 0
    unreadable: list[str] = field(default_factory=list)


def export_warc(
    context: Context,
    folder: Path,
    *,
    slugs: Sequence[str] | None = None,
    since: datetime | None = None,
    split_bytes: int,
    revisits: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Write the snapshots of some projects (all, when slugs is None) into WARC files in a folder.

    With `since` only what was read then or later. A new file is begun once one has `split_bytes`.
    Bodies that are missing or damaged are left out and named. Raises UsageError for an unknown slug,
    a folder that cannot be written, and files of the same name; StorageError when the disk is full.
    """
    exported = Exported()
    with session_scope(context.engine) as session:
        total, latest = count_snapshots(session, slugs, since)
        if latest is None:
            return exported
        with _Files(folder, latest, split_bytes, _info(context), exported) as files:
            for done, stored in enumerate(load_archived(session, slugs, since)):
                if progress is not None:
                    progress(done, total)
                _write(context, files.writer(), stored, revisits, exported)
            if progress is not None:
                progress(total, total)
    return exported


def _write(
    context: Context, writer: RecordWriter, stored: ArchivedSnapshot, revisits: bool, exported: Exported
) -> None:
    sha256 = stored.snapshot.sha256
    body: bytes | None = None
    if stored.pruned_at is None:
        try:
            body = context.archive.get(sha256)
        except StorageError as error:
            with session_scope(context.engine) as session:
                was_pruned = sha256 in load_pruned(session, sha256)
            if not was_pruned:
                log.error("left out: %s %s: %s", stored.snapshot.ref, stored.snapshot.part, error)
                exported.unreadable.append(sha256)
                return
    if body is None or any(reading.is_first for reading in stored.readings):
        writer.write_snapshot(stored, body)
        exported.snapshots += body is not None
        exported.pruned += body is None
    if body is None or not revisits:
        return
    for reading in stored.readings:
        if not reading.is_first:
            writer.write_revisit(stored, reading)
            exported.revisits += 1


def _info(context: Context) -> Mapping[str, str]:
    """Who wrote it, as every file says. No secret is among the settings that it names."""
    return {
        "software": f"{NAME}/{version()}",
        "format": f"WARC File Format {VERSION.removeprefix('WARC/')}",
        "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        "operator": context.settings.contact,
        "http-header-user-agent": context.settings.user_agent,
        "description": "Evidence archive of openness ratings: documents of AI model projects",
    }


class _Files:
    """The files of one export, which appear under their names when all are whole."""

    def __init__(
        self, folder: Path, date: datetime, split_bytes: int, info: Mapping[str, str], exported: Exported
    ) -> None:
        self._folder = folder
        self._date = date
        self._prefix = f"{NAME}-{date:%Y%m%d%H%M%S}"
        self._split_bytes = split_bytes
        self._info = info
        self._exported = exported
        self._writer = RecordWriter()
        self._out: BinaryIO | None = None

    def __enter__(self) -> _Files:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
            there = sorted(self._folder.glob(f"{self._prefix}-*{SUFFIX}"))
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be written: {os.strerror(error.errno or 0)}") from None
        if there:
            raise UsageError(f"{there[0]} is there already: name another folder, or remove that export")
        return self

    def writer(self) -> RecordWriter:
        """Where the next snapshot goes."""
        with _telling_of_the_disk(self._folder):
            if self._out is not None and self._out.tell() >= self._split_bytes:
                self._close()
            if self._out is None:
                name = f"{self._prefix}-{len(self._exported.files):05d}{SUFFIX}"
                self._exported.files.append(self._folder / name)
                self._out = _opened(self._exported.files[-1]).open("wb")
                self._writer.begin(self._out, name, self._date, self._info)
        return self._writer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                with _telling_of_the_disk(self._folder):
                    self._close()
                    for path in self._exported.files:
                        os.replace(_opened(path), path)
                    sync_folder(self._folder)
                return
            if isinstance(error, OSError):
                raise StorageError(f"{self._folder} cannot be written: {error.strerror}") from error
        finally:
            self._clean_up()

    def _close(self) -> None:
        if self._out is None:
            return
        self._exported.bytes += self._out.tell()
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        self._out = None

    def _clean_up(self) -> None:
        if self._out is not None:
            with contextlib.suppress(OSError):
                self._out.close()
        for path in self._exported.files:
            with contextlib.suppress(OSError):
                _opened(path).unlink(missing_ok=True)


def _opened(path: Path) -> Path:
    return path.with_name(path.name + _OPEN)


@contextlib.contextmanager
def _telling_of_the_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
