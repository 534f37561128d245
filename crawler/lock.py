"""One run at a time on a database.

For a SQLite file the lock is a file beside it, held by the operating system: it is free again the
moment its holder is gone, however it went. For PostgreSQL it is an advisory lock, which the server
frees with the holder's connection. A database in memory belongs to one process and needs no lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from crawler.archive import is_alive
from db.session import parse_url, sqlite_file
from pipelines.errors import LockHeldError, StorageError

RUN_LOCK = 0x6F70656E_72756E01
"""The number of the advisory lock. Advisory locks are counted for each database by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock, as far as it is known: process, machine, since when (ISO 8601, UTC)."""

    pid: int | None = None
    host: str = ""
    since: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        where = f" on {self.host}" if self.host else ""
        since = f" since {self.since}" if self.since else ""
        gone = ""
        if self.host == socket.gethostname() and not is_alive(self.pid):
            # A child process inherits the lock and may outlive the one that took it.
            gone = " (that process is gone, but one that it started still holds the lock)"
        return f"process {self.pid}{where}{since}{gone}"


@contextmanager
def run_lock(database: Engine | URL | str) -> Iterator[None]:
    """Hold the database for a run, or raise LockHeldError at once, saying which process holds it.

    Raises StorageError when the lock cannot be taken for another reason.
    """
    url = parse_url(database.url if isinstance(database, Engine) else database)
    if url.get_backend_name() == "postgresql":
        with _postgresql_lock(url):
            yield
        return
    file = sqlite_file(url)
    if file is None:
        yield
        return
    with _file_lock(file.resolve()):
        yield


def _held(holder: Holder) -> LockHeldError:
    return LockHeldError(f"another run holds the database: {holder}")


@contextmanager
def _file_lock(database: Path) -> Iterator[None]:
    lock = FileLock(f"{database}-lock", timeout=0)
    note = Path(f"{database}-lock.json")
    try:
        lock.acquire()
    except Timeout:
        raise _held(_read_holder(note)) from None
    except (OSError, NotImplementedError) as error:
        raise StorageError(f"the lock {lock.lock_file} cannot be taken: {error}") from error
    try:
        _write_holder(note)
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_holder(note: Path) -> None:
    """Note who holds the lock, for those who find it held. The lock holds without it."""
    values = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
    temporary = note.with_name(f"{note.name}~{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(values), encoding="utf-8")
        os.replace(temporary, note)


def _read_holder(note: Path) -> Holder:
    try:
        values = json.loads(note.read_text(encoding="utf-8"))
        return Holder(pid=int(values["pid"]), host=str(values["host"]), since=str(values["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()


@contextmanager
def _postgresql_lock(url: URL) -> Iterator[None]:
    # PostgreSQL keeps 63 bytes of it; others with the lock in their way read it there.
    name = f"openness {os.getpid()} {_now()} {socket.gethostname()}"[:63]
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"application_name": name}
    )
    with contextlib.ExitStack() as stack:
        stack.callback(engine.dispose)
        try:
            connection = stack.enter_context(engine.connect())
            _keep_alive(connection)
            query = text("SELECT pg_try_advisory_lock(:key)")
            taken = connection.execute(query, {"key": RUN_LOCK}).scalar_one()
            holder = None if taken else connection.execute(text(_HOLDER), _halves()).scalar()
        except DatabaseError as error:
            raise StorageError(f"the lock of the database cannot be taken: {error.orig}") from error
        if not taken:
            raise _held(_postgresql_holder(holder))
        yield


_LIFE_SIGNS = (
    # The server notices within two minutes that the holder's machine is gone, not within hours.
    *("tcp_keepalives_idle = 60", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 6"),
    # A connection that only holds a lock is idle all night.
    "idle_session_timeout = 0",
)


def _keep_alive(connection: Connection) -> None:
    for setting in _LIFE_SIGNS:
        # Not every server knows every one of them; the lock holds without.
        with contextlib.suppress(DatabaseError):
            connection.execute(text(f"SET {setting}"))


_HOLDER = """
    SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid = :high AND l.objid = :low
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def _halves() -> dict[str, int]:
    """The lock's number as pg_locks shows it."""
    return {"high": RUN_LOCK >> 32, "low": RUN_LOCK & 0xFFFFFFFF}


def _postgresql_holder(name: object) -> Holder:
    words = str(name).split(" ")
    if len(words) == 4 and words[0] == "openness" and words[1].isdecimal():
        return Holder(pid=int(words[1]), host=words[3], since=words[2])
    return Holder()
