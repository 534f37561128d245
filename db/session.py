"""Engines, transactions and the state of the schema.

Writers say so: on SQLite a transaction that begins by reading and then writes fails or loses
updates when another one writes meanwhile, so writing transactions take the write lock at once
(BEGIN IMMEDIATE) and reading ones cannot write at all. On PostgreSQL readers see one moment of
the database (REPEATABLE READ, READ ONLY).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import Session

from db.models import APPEND_ONLY
from pipelines.errors import StorageError, UsageError

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another one before it gives up."""

LOOK_SECONDS = 0.002
"""How often it looks whether the other one has done."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x6F70656E_64620001
_CONNECT_PRAGMAS = (
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "journal_mode = wal",
    # A decision that was reported as made survives a power cut.
    "synchronous = full",
    "foreign_keys = on",
    # INSERT OR REPLACE deletes rows without firing their delete triggers unless this is on.
    "recursive_triggers = on",
)


def parse_url(url: str | URL) -> URL:
    """The address of a supported database, with the driver that is used for it. Raises UsageError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        raise UsageError("the database URL is malformed; one looks like sqlite:///openness.db") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise UsageError(f"databases of kind {backend!r} are not supported: use sqlite or postgresql")


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for one in memory and for PostgreSQL."""
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database))


def make_engine(url: str | URL) -> Engine:
    """An engine for a SQLite or PostgreSQL database; nothing is connected to yet.

    A SQLite database in memory (`sqlite://`) has a single connection: one transaction at a time.
    Raises UsageError for an unusable address, StorageError when the file's folder cannot be made.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        try:
            return create_engine(parsed, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise UsageError(
                "PostgreSQL needs the driver psycopg: pip install 'openness-crawler[postgresql]'"
            ) from error
    file = sqlite_file(parsed)
    if file is None:
        engine = create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder of the database {file}: {error.strerror}") from error
        engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # With the driver's own transactions no BEGIN precedes a SELECT; ours are begun below.
    connection.isolation_level = None
    for pragma in _CONNECT_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    write = bool(connection.get_execution_options().get("write"))
    connection.exec_driver_sql(f"PRAGMA query_only = {'off' if write else 'on'}")
    if write:
        _begin_writing(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Take the write lock, waiting for whoever has it.

    SQLite's own waiting looks up to 100 ms apart, and who writes without a pause, as a night does, is seldom
    caught at a moment without the lock. A curator is not kept waiting for that.
    """
    until = time.monotonic() + BUSY_SECONDS
    _pragma(connection, "busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                code = getattr(error.orig, "sqlite_errorcode", None)
                if code is None or code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
                time.sleep(LOOK_SECONDS)
    finally:
        _pragma(connection, f"busy_timeout = {BUSY_SECONDS * 1000}")


def _bound(engine: Engine, write: bool) -> Engine:
    if write:
        return engine.execution_options(write=True)
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine


def _in_one_line(error: DatabaseError) -> str:
    return " ".join(str(error.orig).split()) or type(error).__name__


@contextmanager
def session_scope(engine: Engine, write: bool = False) -> Iterator[Session]:
    """One transaction: committed at the end when it writes, rolled back on any exception.

    A scope that does not write cannot: the database refuses. Raises StorageError when the
    database cannot be reached, is locked, full or damaged.
    """
    try:
        with Session(_bound(engine, write), expire_on_commit=False) as session:
            yield session
            if write:
                session.commit()
    except OperationalError as error:
        raise StorageError(f"the database failed: {_in_one_line(error)}") from error
    except DatabaseError as error:
        # sqlite3 reports a damaged file by the base class itself; subclasses of it are bugs of ours.
        if type(error) is DatabaseError:
            raise StorageError(f"the database failed: {_in_one_line(error)}") from error
        raise


def refresh_statistics(session: Session) -> None:
    """Let PostgreSQL count its rows anew: after a large import its plans are bad until it has.

    Measured: the queue of 14,000 cells takes 16 s before and 0.1 s after. SQLite does without.
    """
    if session.get_bind().dialect.name == "postgresql":
        tables = "projects, proposals, decisions, questions, parts, visits, snapshots, evidence"
        session.execute(text(f"ANALYZE {tables}"))


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The schema revision that this version of the program works with."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise StorageError(f"no migrations are installed in {_MIGRATIONS}")
    return head


def current_revision(engine: Engine) -> str | None:
    """The schema revision of the database; None when it has no schema. Raises StorageError."""
    from alembic.runtime.migration import MigrationContext

    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DatabaseError as error:
        raise StorageError(f"the database failed: {_in_one_line(error)}") from error


def upgrade(engine: Engine) -> bool:
    """Bring the schema to the newest revision; False when it was there already.

    All or nothing, and safe when several processes do it at once. Raises UsageError when the
    database was made by a newer version of the program.
    """
    if _is_at_newest(engine):
        return False
    from alembic import command

    if current_revision(engine) == head_revision():
        return False
    _refuse_unknown_revision(engine)
    sqlite = engine.dialect.name == "sqlite"
    try:
        with engine.execution_options(write=True).connect() as connection:
            # Rebuilding a parent table with foreign keys on would delete the rows of its children;
            # the pragma is without effect inside a transaction.
            if sqlite:
                _pragma(connection, "foreign_keys = off")
            try:
                with connection.begin():
                    if not sqlite:
                        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
                    command.upgrade(_config(connection), "head")
                    _rebuild_what_is_derived(connection)
                    if sqlite and (broken := _foreign_key_problems(connection)):
                        raise StorageError(f"the migration would break references: {'; '.join(broken)}")
            finally:
                if sqlite:
                    _pragma(connection, "foreign_keys = on")
    except DatabaseError as error:
        raise StorageError(f"the schema could not be upgraded: {_in_one_line(error)}") from error
    return True


def _is_at_newest(engine: Engine) -> bool:
    """Is the schema that of the last migration, whose file is named by its revision? Alembic, which knows
    for sure, takes longer to import than most commands take to run."""
    newest = max(
        (path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("*_*.py")), default=""
    )
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    except DatabaseError:
        # No schema yet, or trouble that whoever asks next finds words for.
        return False
    return found == [newest]


def _rebuild_what_is_derived(connection: Connection) -> None:
    """Make the index of questions anew: a migration may have changed what it is made of."""
    from db.question_index import rebuild_questions

    with Session(connection, join_transaction_mode="rollback_only") as session:
        rebuild_questions(session)
        session.flush()
        session.expunge_all()


def _pragma(connection: Connection, pragma: str) -> None:
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection):
        driver.execute(f"PRAGMA {pragma}")


def _refuse_unknown_revision(engine: Engine) -> None:
    from alembic.script import ScriptDirectory

    found = current_revision(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise UsageError(
            f"the database has schema revision {found!r}, which this version of openness does not know:"
            " it was upgraded by a newer version"
        )


def check(engine: Engine) -> list[str]:
    """What is wrong with the database, a line each; empty when it is sound and up to date."""
    try:
        found, head = current_revision(engine), head_revision()
        if found is None:
            return ["the database has no schema yet: run `openness db upgrade`"]
        problems = []
        if found != head:
            problems.append(f"the schema is at revision {found}, not {head}: run `openness db upgrade`")
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
                problems += [f"integrity: {row}" for row in rows if row != "ok"]
                problems += _foreign_key_problems(connection)
            problems += _missing_guards(connection)
            problems += _several_or_no_current_proposals(connection)
            if found == head:
                problems += _index_problems(connection)
    except StorageError as error:
        return [str(error)]
    except DatabaseError as error:
        return [f"the database failed: {_in_one_line(error)}"]
    return problems


def _foreign_key_problems(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in rows]


def guard_name(table: str, action: str) -> str:
    """The name of the trigger that stops an action on a table."""
    return f"guard_{table}_{action.lower()}"


def _missing_guards(connection: Connection) -> list[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    )
    there = set(connection.exec_driver_sql(query).scalars())
    return [
        f"the trigger that forbids {action} on {table} is missing"
        for table, actions in APPEND_ONLY.items()
        for action in actions
        if guard_name(table, action) not in there
    ]


def _several_or_no_current_proposals(connection: Connection) -> list[str]:
    if not inspect(connection).has_table("proposals"):
        return ["the table proposals is missing"]
    flag = "is_current = 1" if connection.dialect.name == "sqlite" else "is_current"
    rows = connection.exec_driver_sql(
        "SELECT p.slug, q.dimension FROM proposals q JOIN projects p ON p.id = q.project_id"
        f" GROUP BY p.slug, q.dimension HAVING sum(CASE WHEN {flag} THEN 1 ELSE 0 END) <> 1"
    ).all()
    return [f"{slug} {dimension} has not exactly one current proposal" for slug, dimension in rows]


def _index_problems(connection: Connection) -> list[str]:
    """Where the index of questions does not say what proposals and decisions say."""
    from db.question_check import load_index_problems

    with Session(connection) as session:
        return [f"{problem}: run `openness db reindex`" for problem in load_index_problems(session)]
