"""A copied database is the database: every row, every guard, the next number."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

import db.copy
from db.backup import backup_sqlite
from db.copy import copy_database
from db.decide import accept, defer, undo
from db.load import load_runs
from db.models import APPEND_ONLY, Base, DecisionRow, EvidenceRow, ProjectRow, RunRow, RunStatus
from db.proposals import load_proposals
from db.queue import load_queue
from db.ratings import load_decisions, load_ratings
from db.save import begin_run, end_run
from db.session import check, make_engine, session_scope, upgrade
from pipelines.errors import StorageError, UsageError
from pipelines.model import Rating, VisitStatus

REPORT = {
    "seconds": 6.5,
    "large": 1e22,
    "whole": 3.0,
    "minus": -0.0,
    "null": None,
    "nested": [{"b": 1, "a": [True, None]}],
    "ünï\x00": "x\x00y",
}


@pytest.fixture
def filled(desk):
    """A database with something in every corner: strange texts, JSON nulls, decisions taken back."""
    desk.read(b"# Card\nThe weights are open.", "weights are open")
    body = "The \x00 licence \ufdd0 is odd \U0001f33f".encode()
    found = desk.read(body, "licence \ufdd0 is odd")
    field = desk.field_evidence(body, "$.gated", None)
    first = desk.propose(Rating.OPEN, *found)
    second = desk.propose(Rating.PARTIAL, *found, field, dimension="code")
    desk.propose(None, dimension="paper")
    desk.save(desk.visit(None, ref=desk.repository, part="metadata", status=VisitStatus.FAILED))
    with session_scope(desk.engine, write=True) as session:
        end_run(session, desk.run_id, desk.later(minutes=3), RunStatus.DONE, 3, REPORT)
    with session_scope(desk.engine, write=True) as session:
        accept(session, first, curator="Ayla", now=desk.later(), note="as ever\x00")
        until = desk.later() + timedelta(days=30)
        defer(session, second, until=until, curator="Ayla", now=desk.now, reason="announced")
    with session_scope(desk.engine, write=True) as session:
        undo(session, "brindle", "license", curator="Ben", now=desk.later(), reason="wrong card")
    return desk


@pytest.fixture
def file_target(tmp_path, sqlite_template):
    """An empty SQLite database."""
    file = shutil.copy(sqlite_template, tmp_path / "target.db")
    engine = make_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _server_target(_server):
    engine = make_engine(_server.url_of(_server.create()))
    upgrade(engine)
    yield engine
    engine.dispose()


def take_everything_away(engine):
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        for table in APPEND_ONLY:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        for table in APPEND_ONLY:
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


@pytest.fixture
def target(request, engine):
    """An empty database of the other kind."""
    if engine.dialect.name == "postgresql":
        yield request.getfixturevalue("file_target")
        return
    other = request.getfixturevalue("_server_target")
    yield other
    take_everything_away(other)


def everything(engine, now):
    with session_scope(engine) as session:
        return (
            load_runs(session),
            load_proposals(session),
            load_decisions(session),
            load_ratings(session),
            load_queue(session, now),
        )


def counts(engine):
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def test_nothing_is_lost(filled, target):
    copied = copy_database(filled.engine, target)
    assert counts(target) == counts(filled.engine) == {table.name: table.rows for table in copied}
    assert everything(target, filled.now) == everything(filled.engine, filled.now)
    assert check(target) == []


def test_every_table_that_there_is_is_copied(filled, file_target):
    names = {table.name for table in copy_database(filled.engine, file_target)}
    assert names == set(inspect(filled.engine).get_table_names()) - {"alembic_version"}


def test_there_and_back_again_is_the_same_to_the_last_byte(filled, target, tmp_path, sqlite_template):
    there = copy_database(filled.engine, target)
    engine = make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'back.db')}")
    back = copy_database(target, engine)
    engine.dispose()
    assert back == there


def test_what_is_append_only_stays_so(filled, target):
    copy_database(filled.engine, target)
    for statement in (
        update(DecisionRow).values(reason="other"),
        text("DELETE FROM decisions"),
        text("UPDATE snapshots SET size = 0"),
    ):
        with (
            pytest.raises(DBAPIError, match="never changed"),
            target.execution_options(write=True).begin() as connection,
        ):
            connection.execute(statement)


def test_new_rows_are_numbered_after_the_copied_ones(filled, target):
    copy_database(filled.engine, target)
    with session_scope(target, write=True) as session:
        assert begin_run(session, "nightly", filled.later(), 1, "larch") == filled.run_id + 1
        latest = load_decisions(session)[-1].id
        question = next(row for row in load_proposals(session) if row.proposal.dimension == "license")
        assert accept(session, question.id, curator="Ayla", now=filled.now) > latest


def test_no_value_and_the_json_null_stay_two_things(filled, target):
    copy_database(filled.engine, target)
    shown = select(
        func.count(EvidenceRow.id), func.sum(text("CASE WHEN field_value IS NULL THEN 1 ELSE 0 END"))
    ).select_from(EvidenceRow)
    found = []
    for engine in (filled.engine, target):
        with engine.connect() as connection:
            found.append(tuple(connection.execute(shown).one()))
    assert found[0] == found[1]


def test_a_target_with_rows_is_refused_and_left_as_it_is(filled, file_target):
    with session_scope(file_target, write=True) as session:
        begin_run(session, "crawl", filled.now, 7, "alder")
    before = counts(file_target)
    with pytest.raises(UsageError, match="not empty: it has rows in runs"):
        copy_database(filled.engine, file_target)
    assert counts(file_target) == before


def test_an_empty_database_gives_an_empty_one(engine, file_target):
    copied = copy_database(engine, file_target)
    assert {table.rows for table in copied} == {0}


def test_a_target_without_the_newest_schema_is_refused(filled, tmp_path):
    blank = make_engine(f"sqlite:///{tmp_path / 'blank.db'}")
    with pytest.raises(UsageError, match="the target is not at the newest revision"):
        copy_database(filled.engine, blank)
    blank.dispose()


def test_a_table_that_would_be_left_behind_is_named(desk, file_target):
    with desk.engine.execution_options(write=True).begin() as connection:
        connection.execute(text("CREATE TABLE mine (id INTEGER)"))
    try:
        with pytest.raises(StorageError, match="left behind: mine"):
            copy_database(desk.engine, file_target)
    finally:
        with desk.engine.execution_options(write=True).begin() as connection:
            connection.execute(text("DROP TABLE mine"))


def test_a_row_that_did_not_arrive_as_it_was_undoes_the_copy(filled, file_target, monkeypatch):
    real = db.copy._insertable
    monkeypatch.setattr(db.copy, "_insertable", lambda value: "other" if value == "Ayla" else real(value))
    with pytest.raises(StorageError, match="copied table decisions is not what it was"):
        copy_database(filled.engine, file_target)
    assert set(counts(file_target).values()) == {0}


def test_a_copy_that_breaks_off_leaves_the_target_empty(filled, target, monkeypatch):
    def no_more(connection, table):
        if table.name == "decisions":
            raise KeyboardInterrupt
        return real(connection, table)

    real = db.copy._rows
    monkeypatch.setattr(db.copy, "_rows", no_more)
    with pytest.raises(KeyboardInterrupt):
        copy_database(filled.engine, target)
    assert set(counts(target).values()) == {0}
    monkeypatch.undo()
    assert copy_database(filled.engine, target)


def test_many_rows_go_over_in_portions(desk, file_target, monkeypatch):
    monkeypatch.setattr(db.copy, "BATCH", 7)
    rows = [
        {
            "slug": f"p{number}", "name": "P", "org": "", "llmbase": [], "rlbase": [None], "homepage": "",
            "active": number % 2 == 0, "added_at": desk.now, "changed_at": desk.now,
        }
        for number in range(100)
    ]  # fmt: skip
    with session_scope(desk.engine, write=True) as session:
        session.execute(insert(ProjectRow), rows)
    copied = {table.name: table.rows for table in copy_database(desk.engine, file_target)}
    assert copied["projects"] == 101


def test_who_writes_meanwhile_waits_and_is_not_lost_unnoticed(filled, file_target, monkeypatch):
    order = []

    def write():
        with session_scope(filled.engine, write=True) as session:
            session.execute(update(RunRow).values(host="elsewhere"))
        order.append("written")

    writer = threading.Thread(target=write)

    def slowly(connection, table):
        if table.name == "runs" and not writer.is_alive() and not order:
            writer.start()
            time.sleep(0.3)
            order.append("read")
        return real(connection, table)

    real = db.copy._rows
    monkeypatch.setattr(db.copy, "_rows", slowly)
    copy_database(filled.engine, file_target)
    order.append("copied")
    writer.join(20)
    assert order[0] == "read"
    assert "written" in order
    with session_scope(file_target) as session:
        assert load_runs(session)[0].host == "larch"


class TestBackup:
    @pytest.fixture
    def file(self, tmp_path, sqlite_template):
        path = tmp_path / "openness.db"
        path.write_bytes(sqlite_template.read_bytes())
        return path

    def test_rows_that_are_not_in_the_file_yet_are_in_the_backup(self, file, tmp_path):
        engine = make_engine(f"sqlite:///{file}")
        with engine.connect(), session_scope(engine, write=True) as session:
            begin_run(session, "nightly", datetime(2031, 3, 1, tzinfo=UTC), 1, "larch")
        assert (tmp_path / "openness.db-wal").stat().st_size > 0
        size = backup_sqlite(file, tmp_path / "kept" / "copy.db")
        engine.dispose()
        copy = tmp_path / "kept" / "copy.db"
        assert copy.stat().st_size == size
        assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
        with sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        connection.close()

    def test_an_earlier_backup_is_replaced(self, file, tmp_path):
        backup_sqlite(file, tmp_path / "copy.db")
        assert backup_sqlite(file, tmp_path / "copy.db") > 0

    @pytest.mark.parametrize(
        ("content", "told"), [(b"precious", "no backup of a database"), (None, "is a folder")]
    )
    def test_any_other_file_is_left_alone(self, file, tmp_path, content, told):
        there = tmp_path / "there"
        if content is None:
            there.mkdir()
        else:
            there.write_bytes(content)
        with pytest.raises(UsageError, match=told):
            backup_sqlite(file, there)
        assert content is None or there.read_bytes() == content

    def test_the_database_is_not_its_own_backup(self, file, tmp_path):
        link = tmp_path / "link.db"
        link.symlink_to(file)
        for target in (file, link):
            with pytest.raises(UsageError, match="the database itself"):
                backup_sqlite(file, target)

    def test_a_damaged_database_gives_no_backup(self, file, tmp_path):
        body = bytearray(file.read_bytes())
        body[8192:] = b"\xa5" * (len(body) - 8192)
        file.write_bytes(body)
        with pytest.raises(StorageError):
            backup_sqlite(file, tmp_path / "copy.db")
        assert sorted(path.name for path in tmp_path.glob("copy*")) == []

    def test_a_database_that_is_not_there_is_not_made(self, tmp_path):
        with pytest.raises(UsageError, match="there is no database"):
            backup_sqlite(tmp_path / "none.db", tmp_path / "copy.db")
        assert list(tmp_path.iterdir()) == []
