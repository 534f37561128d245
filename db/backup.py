"""A copy of a SQLite database in one file, also while others work on it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from pipelines.errors import StorageError, UsageError

_MAGIC = b"SQLite format 3\0"


def backup_sqlite(database: Path, target: Path) -> int:
    """Write one moment of the database to a file, whole or not at all; how many bytes it has.

    An earlier backup there is replaced. Raises UsageError when there is no such database or when the
    target is some other file, StorageError when the database is damaged or nothing can be written.
    """
    if not database.exists():
        raise UsageError(f"there is no database {database}")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file in it")
    if target.exists():
        _require_backup(database, target)
    temporary = target.with_name(f"{target.name}~{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(database, temporary)
        size = temporary.stat().st_size
        os.replace(temporary, target)
    except sqlite3.Error as error:
        raise StorageError(f"the backup {target} could not be made: {error}") from error
    except OSError as error:
        raise StorageError(f"the backup {target} could not be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return size


def _require_backup(database: Path, target: Path) -> None:
    try:
        if target.samefile(database):
            raise UsageError(f"{target} is the database itself")
        with target.open("rb") as file:
            if file.read(len(_MAGIC)) not in (_MAGIC, b""):
                raise UsageError(f"{target} is no backup of a database, so it is not replaced")
    except OSError as error:
        raise StorageError(f"{target} cannot be read: {error.strerror}") from error


def _copy(database: Path, temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    # A path is made an address so that nothing in it is taken for an option.
    with (
        contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)) as source,
        contextlib.closing(sqlite3.connect(temporary)) as copy,
    ):
        # In one go: page by page it would begin anew whenever somebody writes.
        source.backup(copy, pages=-1)
        # One file that needs no other beside it, and can be read where nothing can be written.
        copy.execute("PRAGMA journal_mode = delete")
        problems = [str(row[0]) for row in copy.execute("PRAGMA quick_check") if row[0] != "ok"]
        if problems:
            raise StorageError(f"the database {database} is damaged: {'; '.join(problems[:3])}")
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
