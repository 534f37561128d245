"""Statements in the words of their driver store what SQLAlchemy would store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy import bindparam, delete, insert, select, text, update

from db.many_rows import execute_rows, insertion, query_rows, table_of
from db.models import FindingRow, ProjectRow, ProposalRow
from db.session import session_scope
from pipelines.model import Outcome, Rating

NAMES = (
    "current_since",
    "identity",
    "run_id",
    "project_id",
    "dimension",
    "rating",
    "confidence",
    "rationale",
    "rule",
    "rule_version",
    "rubric_digest",
    "evidence_digest",
    "searched",
    "link",
    "created_at",
    "is_current",
)
"""Of a table with every type of column there is, in another order than its own."""
TEXTS = (
    "",
    "plain",
    "Brindle \u00e9\u20ac\U0001f30a",
    "a\x00b",
    "lone \ud83d",
    "\ufdd0" + "0041",
    "50 % (%s) :name",
)
MOMENT = datetime(2031, 3, 1, 2, 0, 0, 5, tzinfo=UTC)


def rows_of(project_id):
    return [
        (
            MOMENT + timedelta(microseconds=number),
            f"{number:064}",
            None,
            project_id,
            f"{number} {told}",
            (None, *Rating)[number % 5],
            (0.0, 0.1, 1.0)[number % 3],
            told,
            told,
            number,
            told,
            told,
            (told, *TEXTS) if number % 2 else (),
            told,
            MOMENT.astimezone(timezone(timedelta(hours=-5))),
            bool(number % 2),
        )
        for number, told in enumerate(TEXTS * 2)
    ]


def as_stored(session):
    listed = ", ".join(NAMES)
    return session.connection().exec_driver_sql(f"SELECT {listed} FROM proposals ORDER BY identity").all()


def test_rows_are_stored_as_by_sqlalchemy(desk):
    with session_scope(desk.engine, write=True) as session:
        project_id = session.scalar(select(ProjectRow.id))
        rows = rows_of(project_id)
        execute_rows(session, insertion(ProposalRow, NAMES), NAMES, rows)
        found = as_stored(session)
        session.execute(delete(ProposalRow))
        values = [dict(zip(NAMES, row, strict=True)) for row in rows]
        session.connection().execute(insert(table_of(ProposalRow)), values)
        assert found == as_stored(session)
        assert len(found) == len(rows)


def test_rows_are_changed_and_deleted_by_their_keys(desk):
    changing = update(table_of(ProposalRow)).where(ProposalRow.identity == bindparam("of_identity"))
    changing = changing.values(rationale=bindparam("rationale"), rating=bindparam("rating"))
    with session_scope(desk.engine, write=True) as session:
        execute_rows(
            session, insertion(ProposalRow, NAMES), NAMES, rows_of(session.scalar(select(ProjectRow.id)))
        )
        told = ("rating", "of_identity", "rationale")
        execute_rows(session, changing, told, [(Rating.OPEN, f"{1:064}", "a\x00c"), (None, f"{2:064}", "b")])
        gone = delete(table_of(ProposalRow)).where(ProposalRow.identity == bindparam("of_identity"))
        execute_rows(session, gone, ("of_identity",), [(f"{number:064}",) for number in range(3, 99)])
        query = select(ProposalRow.rating, ProposalRow.rationale).order_by(ProposalRow.identity)
        assert session.execute(query).all() == [(None, ""), (Rating.OPEN, "a\x00c"), (None, "b")]


def test_no_rows_are_no_statement(desk):
    with session_scope(desk.engine) as session:
        execute_rows(session, insertion(FindingRow, ("outcome",)), ("outcome",), [])


def test_equal_values_of_several_columns_do_not_mix(desk):
    names = ("proposal_id", "ordinal", "check_name", "outcome", "note", "searched")
    with session_scope(desk.engine, write=True) as session:
        project_id = session.scalar(select(ProjectRow.id))
        execute_rows(session, insertion(ProposalRow, NAMES), NAMES, rows_of(project_id)[:1])
        proposal_id = session.scalar(select(ProposalRow.id))
        rows = [(proposal_id, number, "yes", Outcome.YES, "yes", ("yes",)) for number in range(3)]
        execute_rows(session, insertion(FindingRow, names), names, rows)
        found = session.execute(select(*(getattr(FindingRow, name) for name in names))).all()
        assert [(*row[:5], tuple(row[5])) for row in sorted(found)] == rows


def test_a_query_is_answered_for_the_values_of_its_parameters(desk):
    query = text("SELECT slug FROM projects WHERE slug = :slug AND name = :name")
    with session_scope(desk.engine) as session:
        assert query_rows(session, query, ("name", "slug"), ("Brindle", "brindle")).all() == [("brindle",)]
        assert query_rows(session, query, ("name", "slug"), ("brindle", "Brindle")).all() == []
