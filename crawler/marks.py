"""Marks: which bodies a run has put into the archive whose rows are not committed yet.

    ARCHIVE/tmp/put/SHA256~DATABASE~RUN~STARTED~WRITTEN    an empty file

Bytes come before rows, so a run that is cut off leaves bodies that no row names. Before a body appears
under its name its run sets a mark; it lifts the mark once the rows are committed. So marks are few,
and what a run that is gone has left behind is found without looking at the rest of the archive.

Everything is in the name: a name is there whole or not at all, also after a power cut.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.errors import StorageError

_NAME = re.compile(
    r"""
    (?P<sha256>[0-9a-f]{64}) ~ (?P<database>[0-9a-f]{16})
    ~ (?P<run>\d{1,18}) ~ (?P<started>\d{1,18}) ~ (?P<written>\d{1,20})
    """,
    re.VERBOSE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A run of a database. `database` tells databases apart, `started` runs of the same number."""

    database: str
    run: int
    started: datetime

    def __str__(self) -> str:
        return f"{self.database}~{self.run}~{(self.started - _EPOCH) // timedelta(microseconds=1)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A body that its owner has put. `written`: the time of its file then, in nanoseconds of the epoch."""

    path: Path
    sha256: str
    owner: Owner
    written: int

    def lift(self) -> None:
        """Its body waits for nothing any more. Raises StorageError."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"the mark {self.path} cannot be removed: {error.strerror}") from error


class Marks:
    """The marks that one run sets. Safe to share between threads."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._folder = folder
        self._owner = owner
        self._lock = threading.Lock()
        self._standing: dict[str, list[Path]] = {}

    def set(self, sha256: str, written: int) -> None:
        """Say that a body comes. Raises OSError."""
        path = self._folder / f"{sha256}~{self._owner}~{written}"
        with self._lock:
            self._standing.setdefault(sha256, []).append(path)
        self._folder.mkdir(parents=True, exist_ok=True)
        path.touch()

    def lift(self, digests: Iterable[str]) -> None:
        """Say that the rows of these bodies are committed."""
        with self._lock:
            paths = [path for sha256 in digests for path in self._standing.pop(sha256, ())]
        for path in paths:
            # One that stays says too much and harms nobody: the body has a row.
            with contextlib.suppress(OSError):
                path.unlink()

    def __contains__(self, sha256: str) -> bool:
        with self._lock:
            return sha256 in self._standing


def load_marks(folder: Path) -> Iterator[Mark]:
    """Every mark that stands, whoever set it. Raises StorageError when the folder cannot be listed."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"the folder {folder} cannot be listed: {error.strerror}") from error
    for name in names:
        if found := _NAME.fullmatch(name):
            started = _EPOCH + timedelta(microseconds=int(found["started"]))
            owner = Owner(database=found["database"], run=int(found["run"]), started=started)
            yield Mark(path=folder / name, sha256=found["sha256"], owner=owner, written=int(found["written"]))
