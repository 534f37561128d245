"""The audit log and comments: added to, read, exported, never changed."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

from db import audit
from db.comments import load_comments, save_comment
from db.decide import accept
from db.models import AuditRow, CommentRow, OpinionRow
from db.session import session_scope
from pipelines.errors import DecisionError, StorageError, UsageError
from pipelines.model import Rating


def note(desk, action="decision", actor="Rowan", subject="brindle license", **more):
    with session_scope(desk.engine, write=True) as session:
        return audit.record(
            session, at=desk.later(minutes=1), actor=actor, action=action, subject=subject, **more
        )


def exported(desk, suffix, **filters):
    out = io.StringIO()
    with session_scope(desk.engine) as session:
        number = audit.write_audit(audit.iter_audit(session, audit.AuditFilter(**filters)), out, suffix)
    return number, out.getvalue()


def test_entries_come_newest_first_a_page_at_a_time(desk):
    numbers = [note(desk, subject=f"cell {number}") for number in range(5)]
    with session_scope(desk.engine) as session:
        assert [entry.id for entry in audit.load_audit(session)] == numbers[::-1]
        assert [entry.id for entry in audit.load_audit(session, limit=2, before_id=numbers[3])] == [
            numbers[2],
            numbers[1],
        ]


def test_entries_are_found_by_who_what_whom_and_when(desk):
    first = note(desk, action="sign-in", actor="", subject="Rowan", address="192.0.2.7")
    moment = desk.now
    second = note(desk, detail={"decision": 3})

    def found(**filters):
        with session_scope(desk.engine) as session:
            return [entry.id for entry in audit.load_audit(session, audit.AuditFilter(**filters))]

    assert found(actors=("-",)) == found(actions=("sign-in",)) == found(until=desk.now) == [first]
    assert found(since=moment + timedelta(seconds=1)) == found(subject="brindle") == [second]
    assert found(subject="%") == []
    with session_scope(desk.engine) as session:
        assert audit.load_actions(session) == ["decision", "sign-in"]


def test_the_export_has_every_entry_oldest_first_also_beyond_one_portion(desk, monkeypatch):
    monkeypatch.setattr(audit, "AT_ONCE", 2)
    numbers = [note(desk, subject=f"cell {number}", detail={"n": number}) for number in range(5)]
    number, text = exported(desk, ".jsonl")
    lines = [json.loads(line) for line in text.splitlines()]
    assert number == 5
    assert [line["id"] for line in lines] == numbers
    assert lines[1]["detail"] == {"n": 1}
    _, text = exported(desk, ".csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == [str(each) for each in numbers]


def test_the_export_runs_no_formula_and_keeps_one_line_an_entry(desk):
    note(desk, actor="=1+1", subject="@a\nb", detail={"reason": "=HYPERLINK()\r\nx"})
    _, text = exported(desk, ".csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["actor"] == "'=1+1"
    assert row["subject"].startswith("'@a")
    assert len(exported(desk, ".jsonl")[1].splitlines()) == 1
    with pytest.raises(UsageError, match=r"not as \.txt"):
        exported(desk, ".txt")


def test_a_decision_at_the_terminal_is_noted_like_one_at_the_desk(desk):
    proposal_id = desk.propose(Rating.OPEN, digest="a")
    with session_scope(desk.engine, write=True) as session:
        decision_id = accept(session, proposal_id, curator="rowan", now=desk.now)
        audit.record_decision(session, decision_id, desk.now)
        (entry,) = audit.load_audit(session)
    assert (entry.actor, entry.action, entry.subject) == ("rowan", "decision", "brindle license")
    assert entry.detail == {"decision": decision_id, "kind": "confirm", "by": "terminal"}


@pytest.mark.parametrize("row", [AuditRow, CommentRow, OpinionRow], ids=lambda row: row.__tablename__)
@pytest.mark.parametrize("how", ["update", "delete"])
def test_what_was_noted_is_never_changed(desk, row, how):
    note(desk)
    proposal_id = desk.propose(Rating.OPEN, digest="a")
    with session_scope(desk.engine, write=True) as session:
        save_comment(session, "brindle", "license", curator="rowan", text="see the card", now=desk.now)
        decision_id = accept(session, proposal_id, curator="rowan", now=desk.now)
        session.execute(
            text(
                "INSERT INTO opinions (project_id, dimension, about_decision_id, curator, rating, reason, at)"
                " SELECT project_id, dimension, id, 'sorrel', 'open', '', at FROM decisions WHERE id = :id"
            ),
            {"id": decision_id},
        )
    statement = delete(row) if how == "delete" else update(row).values(dict.fromkeys(["at"], desk.now))
    with (
        pytest.raises(DatabaseError, match="never changed"),
        session_scope(desk.engine, write=True) as session,
    ):
        session.execute(statement)
    with session_scope(desk.engine) as session:
        found = session.scalars(select(row)).first()
        if how == "delete":
            session.delete(found)
        else:
            found.at = desk.now + timedelta(days=1)
        with pytest.raises(StorageError, match="never changed"):
            session.flush()


def test_comments_are_kept_in_order_and_with_every_character(desk):
    said = ["first \x00 \u202e", "<script>alert(1)</script>", "last"]
    with session_scope(desk.engine, write=True) as session:
        for words in said:
            save_comment(session, "brindle", "license", curator=" rowan ", text=words, now=desk.later())
        save_comment(session, "brindle", "paper", curator="rowan", text="elsewhere", now=desk.later())
        comments = load_comments(session, "brindle", "license", limit=9)
        assert [(comment.curator, comment.text) for comment in comments] == [
            ("rowan", words) for words in said
        ]
        latest = load_comments(session, "brindle", "license", limit=2)
        assert [comment.text for comment in latest] == [said[1], "last"]
        assert load_comments(session, "nobody", "license", limit=9) == []


@pytest.mark.parametrize(
    ("slug", "curator", "words"),
    [
        ("elder", "rowan", "x"),
        ("brindle", " ", "x"),
        ("brindle", "rowan", " "),
        ("brindle", "rowan", "x" * 4001),
    ],
)
def test_a_comment_that_is_none_is_refused(desk, slug, curator, words):
    with session_scope(desk.engine, write=True) as session, pytest.raises(DecisionError):
        save_comment(session, slug, "license", curator=curator, text=words, now=desk.now)
