"""`openness db copy` and `openness db backup` as they are called: what they refuse, and what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crawler.cli import cli
from crawler.lock import run_lock
from db.save import begin_run
from db.session import make_engine, session_scope, upgrade
from pipelines.errors import LockHeldError, StorageError, UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a database that has one run."""
    monkeypatch.chdir(tmp_path)
    engine = make_engine("sqlite:///openness.db")
    upgrade(engine)
    with session_scope(engine, write=True) as session:
        begin_run(session, "nightly", datetime(2031, 3, 1, tzinfo=UTC), 1, "larch")
    engine.dispose()
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["db", *arguments], standalone_mode=False)


def test_a_copy_is_made_and_every_table_told(folder):
    done = call("copy", "sqlite:///elsewhere/new.db")
    assert done.exception is None
    assert (folder / "elsewhere" / "new.db").exists()
    assert "1 rows copied and compared" in done.output
    assert "OPENNESS_DATABASE_URL=sqlite:///elsewhere/new.db" in done.output


def test_as_json(folder):
    tables = json.loads(call("copy", "sqlite:///new.db", "--json").output)["tables"]
    assert tables["runs"]["rows"] == 1
    assert len(tables["runs"]["sha256"]) == 64


def test_a_second_copy_into_the_same_database_is_refused():
    assert call("copy", "sqlite:///new.db").exception is None
    done = call("copy", "sqlite:///new.db")
    assert isinstance(done.exception, UsageError)
    assert "not empty" in str(done.exception)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("sqlite:///openness.db", "the database itself"),
        ("sqlite:///./sub/../openness.db", "the database itself"),
        ("sqlite:///link.db", "the database itself"),
        ("sqlite://", "in memory"),
        ("mysql://host/x", "OPENNESS_DATABASE_URL"),
        ("nonsense", "OPENNESS_DATABASE_URL"),
    ],
)
def test_a_target_that_is_none_is_refused(folder, target, told):
    (folder / "sub").mkdir()
    (folder / "link.db").symlink_to("openness.db")
    done = call("copy", target)
    assert isinstance(done.exception, UsageError)
    assert told in str(done.exception)


def test_a_source_that_is_not_there_is_not_made(folder):
    (folder / "openness.db").unlink()
    assert "there is no database" in str(call("copy", "sqlite:///new.db").exception)
    assert not (folder / "new.db").exists()
    assert not (folder / "openness.db").exists()


def test_while_a_night_runs_nothing_is_copied(folder):
    with run_lock("sqlite:///openness.db"):
        assert isinstance(call("copy", "sqlite:///new.db").exception, LockHeldError)
    assert not (folder / "new.db").exists()


def test_a_password_is_not_shown():
    done = call("copy", "postgresql://openness:secret@127.0.0.1:9/none")
    assert isinstance(done.exception, UsageError | StorageError)
    assert "secret" not in str(done.exception) + done.output


def test_a_backup_says_what_else_is_to_be_copied(folder):
    done = call("backup", "kept/openness.db")
    assert done.exception is None
    assert "the folder archive: copy that after it" in done.output
    assert (folder / "kept" / "openness.db").exists()


def test_a_backup_of_postgresql_is_pg_dumps(monkeypatch):
    monkeypatch.setenv("OPENNESS_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert "pg_dump" in str(call("backup", "kept.db").exception)
