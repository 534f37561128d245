"""Engines, transactions, migrations."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Enum, inspect, select, text
from sqlalchemy.exc import DBAPIError

from db.models import Base, RunRow
from db.save import begin_run
from db.session import check, current_revision, head_revision, make_engine, parse_url, session_scope, upgrade
from pipelines.errors import StorageError, UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blank(empty_url: str):
    engine = make_engine(empty_url)
    yield engine
    engine.dispose()


def test_postgresql_addresses_get_the_driver_that_is_installed():
    assert parse_url("postgresql://u:p@h/d").drivername == "postgresql+psycopg"
    assert parse_url("postgresql+psycopg://u:p@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["mysql://host/db", "no url at all", "oracle://x"])
def test_other_databases_are_refused_without_repeating_the_address(url):
    with pytest.raises(UsageError) as caught:
        make_engine(url)
    assert "secret" not in str(caught.value)


def test_a_malformed_address_never_shows_its_password():
    with pytest.raises(UsageError) as caught:
        make_engine("postgresql:/user:secret@host")
    assert "secret" not in str(caught.value)


def test_a_database_in_memory_works():
    engine = make_engine("sqlite://")
    assert upgrade(engine)
    assert check(engine) == []
    engine.dispose()


def test_the_folder_of_the_database_is_made(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'var' / 'data' / 'openness.db'}")
    upgrade(engine)
    assert check(engine) == []
    engine.dispose()


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path):
    file = tmp_path / "openness.db"
    file.write_bytes(b"this is not a database, whatever its name says" * 100)
    engine = make_engine(f"sqlite:///{file}")
    assert any("not a database" in problem for problem in check(engine))
    with pytest.raises(StorageError, match="not a database"):
        upgrade(engine)
    with pytest.raises(StorageError, match="not a database"), session_scope(engine) as session:
        session.execute(text("SELECT 1"))
    engine.dispose()


def test_migrations_and_models_agree(blank: Engine):
    assert current_revision(blank) is None
    assert check(blank) == ["the database has no schema yet: run `openness db upgrade`"]
    assert upgrade(blank)
    assert not upgrade(blank)
    assert current_revision(blank) == head_revision()
    assert check(blank) == []
    with blank.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_value_of_an_enum_is_allowed_by_the_migrated_schema(engine: Engine):
    inspector = inspect(engine)
    for table in Base.metadata.sorted_tables:
        checks = " ".join(item["sqltext"] for item in inspector.get_check_constraints(table.name))
        for column in table.columns:
            if isinstance(column.type, Enum):
                missing = [value for value in column.type.enums if f"'{value}'" not in checks]
                assert not missing, f"{table.name}.{column.name} needs a migration for {missing}"


def test_every_constraint_has_the_name_that_migrations_expect(engine: Engine):
    inspector = inspect(engine)
    for table in Base.metadata.sorted_tables:
        there = {item["name"] for item in inspector.get_check_constraints(table.name)}
        # SQLite tells no name of a constraint that came with a column that was added later.
        later = {
            f"fk_{table.name}_{item['constrained_columns'][0]}"
            for item in inspector.get_foreign_keys(table.name)
            if item["name"] is None
        }
        assert not later or engine.dialect.name == "sqlite"
        there |= {item["name"] for item in inspector.get_foreign_keys(table.name) if item["name"]} | later
        there |= {item["name"] for item in inspector.get_unique_constraints(table.name)}
        there.add(inspector.get_pk_constraint(table.name)["name"])
        assert {str(item.name) for item in table.constraints} == there


def test_a_database_of_a_newer_version_is_refused(blank: Engine):
    upgrade(blank)
    with blank.execution_options(write=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UsageError, match="newer version"):
        upgrade(blank)
    assert any("9999" in problem for problem in check(blank))


def _upgrade(url: str) -> None:
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()


def test_migrations_are_named_by_their_revisions_and_the_last_one_is_the_head():
    folder = Path(sys.modules["db.session"].__file__).parent / "migrations" / "versions"
    names = sorted(path.name.partition("_")[0] for path in folder.glob("*_*.py"))
    assert names[-1] == head_revision()


def test_several_processes_may_upgrade_at_once(empty_url: str, blank: Engine):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_upgrade, args=(empty_url,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert check(blank) == []


def test_a_migration_that_fails_leaves_nothing_behind(blank: Engine, monkeypatch: pytest.MonkeyPatch):
    def explode(*arguments: object) -> None:
        raise RuntimeError("the machine is struck by lightning")

    monkeypatch.setattr("db.guards.create_guard", explode)
    with pytest.raises(RuntimeError, match="lightning"):
        upgrade(blank)
    assert inspect(blank).get_table_names() == []
    monkeypatch.undo()
    assert upgrade(blank)
    assert check(blank) == []


def test_rebuilding_a_parent_table_keeps_its_children_on_sqlite(tmp_path, sqlite_template, monkeypatch):
    """What Alembic's batch mode does must not fire foreign keys."""
    from alembic import command, op

    file = tmp_path / "openness.db"
    file.write_bytes(sqlite_template.read_bytes())
    engine = make_engine(f"sqlite:///{file}")
    with session_scope(engine, write=True) as session:
        session.execute(
            text(
                "CREATE TABLE child (id INTEGER PRIMARY KEY, run_id INTEGER REFERENCES runs ON DELETE CASCADE)"
            )
        )
        begin_run(session, "nightly", _now(), 1, "larch")
        session.execute(text("INSERT INTO child (run_id) SELECT id FROM runs"))

    def rebuild(config: object, revision: str) -> None:
        from alembic.operations import Operations

        context = MigrationContext.configure(config.attributes["connection"])
        with Operations.context(context), op.batch_alter_table("runs", recreate="always") as batch:
            batch.drop_column("host")

    monkeypatch.setattr(command, "upgrade", rebuild)
    monkeypatch.setattr("db.session.head_revision", lambda: "another")
    monkeypatch.setattr("db.session._is_at_newest", lambda _: False)
    assert upgrade(engine)
    with session_scope(engine) as session:
        assert session.scalar(text("SELECT count(*) FROM child")) == 1
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
    engine.dispose()


def _now():
    from datetime import UTC, datetime

    return datetime(2031, 1, 1, tzinfo=UTC)


def test_a_reading_scope_cannot_write(engine: Engine):
    with pytest.raises((StorageError, DBAPIError)), session_scope(engine) as session:
        begin_run(session, "nightly", _now(), 1, "larch")
    with session_scope(engine) as session:
        assert session.scalars(select(RunRow)).all() == []


def test_an_exception_takes_everything_back(engine: Engine):
    def fail() -> None:
        with session_scope(engine, write=True) as session:
            begin_run(session, "nightly", _now(), 1, "larch")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with session_scope(engine) as session:
        assert session.scalars(select(RunRow)).all() == []


def test_foreign_keys_are_enforced(engine: Engine):
    query = text("INSERT INTO parts (artifact_id, key, name) VALUES (99, 'k', 'card')")
    with pytest.raises(DBAPIError), session_scope(engine, write=True) as session:
        session.execute(query)


def test_a_server_that_is_not_there_is_a_storage_error():
    engine = make_engine("postgresql://user:secret@127.0.0.1:1/none")
    with pytest.raises(StorageError) as caught, session_scope(engine) as session:
        session.execute(text("SELECT 1"))
    assert "secret" not in str(caught.value)
    engine.dispose()


KILLED = """
import os, signal, sys
from datetime import datetime, timezone
from db.session import make_engine, session_scope
from db.save import begin_run
engine = make_engine(sys.argv[1])
now = datetime(2031, 1, 1, tzinfo=timezone.utc)
with session_scope(engine, write=True) as session:
    begin_run(session, "finished", now, 1, "larch")
with session_scope(engine, write=True) as session:
    for number in range(500):
        begin_run(session, "killed", now, number, "larch")
    session.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_while_writing_leaves_no_half_state(url: str, engine: Engine):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, url], cwd=ROOT, env={**os.environ}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with session_scope(engine, write=True) as session:
        assert session.scalars(select(RunRow.kind)).all() == ["finished"]
    assert check(engine) == []


def test_check_reports_broken_references_and_missing_triggers(tmp_path, sqlite_template):
    file = tmp_path / "openness.db"
    file.write_bytes(sqlite_template.read_bytes())
    connection = sqlite3.connect(file)
    connection.execute("INSERT INTO parts (artifact_id, key, name) VALUES (99, 'k', 'card')")
    connection.execute("DROP TRIGGER guard_decisions_update")
    connection.commit()
    connection.close()
    engine = make_engine(f"sqlite:///{file}")
    assert check(engine) == [
        "row 1 of parts refers to a row of artifacts that is not there",
        "the trigger that forbids UPDATE on decisions is missing",
    ]
    engine.dispose()
