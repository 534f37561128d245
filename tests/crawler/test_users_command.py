"""`openness user`, `openness audit` and `openness db reindex` as they are called."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, select

from crawler.cli import cli
from crawler.context import utc_now
from db.models import QuestionRow, UserRow
from db.save import save_projects, save_proposal
from db.session import make_engine, session_scope, upgrade
from db.sign_ins import load_session, load_token, open_session
from db.users import check_password
from pipelines.errors import UsageError
from pipelines.model import Project, Proposal, Rating

SECRET = "a hedge of oak and ash"
ROWAN = "Rowan Thistle"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENNESS_CURATOR", "Ada Admin")
    engine = make_engine("sqlite:///openness.db")
    upgrade(engine)
    engine.dispose()
    return tmp_path


def call(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(cli, list(arguments), input=given, standalone_mode=False)


def done(*arguments: str, given: str = "") -> Result:
    result = call(*arguments, given=given)
    assert result.exception is None, result.exception
    return result


def refused(*arguments: str, given: str = "") -> str:
    """What a call says that changes nothing."""
    before = Path("openness.db").read_bytes()
    result = call(*arguments, given=given)
    assert isinstance(result.exception, UsageError)
    assert Path("openness.db").read_bytes() == before
    return str(result.exception)


def add(name: str = ROWAN, *more: str) -> Result:
    return done("user", "add", name, "--password-stdin", *more, given=f"{SECRET}\n")


def entries() -> list[dict[str, str]]:
    """The audit log."""
    done("audit", "export", "audit.csv")
    with open("audit.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_account_is_made_listed_and_noted_without_its_password(folder):
    assert "Rowan Thistle may sign in as curator" in add().output
    assert done("user", "list").output.split() == ["curator", "Rowan", "Thistle", "(password)"]
    told = json.loads(done("user", "list", "--json").output)
    assert [(user["name"], user["role"], user["created_by"]) for user in told] == [
        (ROWAN, "curator", "Ada Admin")
    ]
    [entry] = entries()
    assert (entry["actor"], entry["action"], entry["subject"]) == ("Ada Admin", "user-added", ROWAN)
    kept = b"".join(path.read_bytes() for path in folder.iterdir())
    assert SECRET.encode() not in kept


def test_without_accounts_the_list_says_how_to_make_one():
    assert "openness user add" in done("user", "list").output


@pytest.mark.parametrize(
    ("more", "given", "told"),
    [
        (("--password-stdin",), "short\n", "12"),
        (("--password-stdin",), "", "12"),
        ((), "", "--password-stdin"),
        (("--no-password",), "", "--github"),
        (("--no-password", "--github", "rowan", "--password-stdin"), f"{SECRET}\n", "no password is read"),
    ],
)
def test_an_account_that_nobody_should_have_is_refused(more, given, told):
    assert told in refused("user", "add", ROWAN, *more, given=given)


def test_the_same_name_written_otherwise_is_taken():
    add()
    assert "already" in refused("user", "add", "rowan thistle", "--password-stdin", given=f"{SECRET}\n")


def test_another_password_signs_out_everywhere(folder):
    add()
    engine = make_engine("sqlite:///openness.db")
    with session_scope(engine, write=True) as session:
        user = session.scalars(select(UserRow)).one()
        token, _ = open_session(session, user.id, utc_now(), timedelta(hours=1))
    done("user", "password", ROWAN, "--password-stdin", given="another hedge, of yew\n")
    with session_scope(engine) as session:
        assert load_session(session, token, utc_now()) is None
        assert check_password(session, ROWAN, "another hedge, of yew") is not None
        assert check_password(session, ROWAN, SECRET) is None
    engine.dispose()
    assert entries()[-1]["action"] == "password-changed"


def test_roles_change_and_accounts_are_disabled_and_enabled():
    add()
    add("Ben Birch", "--role", "admin")
    assert "is reader now" in done("user", "role", ROWAN, "reader").output
    assert "signed out everywhere" in done("user", "disable", ROWAN).output
    assert "disabled" in done("user", "list").output
    assert "may sign in again" in done("user", "disable", ROWAN, "--undo").output
    assert [entry["action"] for entry in entries()[2:]] == ["role-changed", "user-disabled", "user-enabled"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("role", "Nobody", "reader"),
        ("disable", "Nobody"),
        ("password", "Nobody", "--password-stdin"),
        ("token", "Nobody"),
        ("token", "Nobody", "--for", "a mirror"),
    ],
)
def test_an_unknown_account_is_told(arguments):
    assert "Nobody" in refused("user", *arguments)


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(folder):
    add()
    secret = done("user", "token", ROWAN, "--for", "a mirror", "--scope", "write").output.strip()
    listed = done("user", "token", ROWAN).output
    assert "a mirror (never used)" in listed
    assert secret not in listed
    [told] = json.loads(done("user", "token", ROWAN, "--json").output)
    assert (told["name"], told["scope"], told["revoked_at"]) == ("a mirror", "write", None)
    assert secret.encode() not in b"".join(path.read_bytes() for path in folder.iterdir())
    engine = make_engine("sqlite:///openness.db")
    with session_scope(engine) as session:
        assert load_token(session, secret, utc_now()) is not None
    done("user", "token", ROWAN, "--revoke", str(told["id"]))
    with session_scope(engine) as session:
        assert load_token(session, secret, utc_now()) is None
    engine.dispose()
    assert "revoked" in done("user", "token", ROWAN).output
    assert "99" in refused("user", "token", ROWAN, "--revoke", "99")


def test_a_token_is_made_or_revoked_not_both():
    add()
    assert "not both" in refused("user", "token", ROWAN, "--for", "x", "--revoke", "1")


def test_the_log_is_written_as_lines_of_json_too_and_narrowed():
    add()
    add("Ben Birch")
    lines = done("audit", "export", "-").output.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [entry["subject"] for entry in told] == [ROWAN, "Ben Birch"]
    done("audit", "export", "none.jsonl", "--until", "2001-01-01")
    assert Path("none.jsonl").read_text(encoding="utf-8") == ""
    done("audit", "export", "none.jsonl", "--actor", "Somebody Else")
    assert Path("none.jsonl").read_text(encoding="utf-8") == ""
    assert ".csv" in refused("audit", "export", "audit.txt")


def test_an_index_that_is_wrong_is_made_anew():
    proposal = Proposal(
        slug="brindle",
        dimension="license",
        rating=Rating.OPEN,
        confidence=0.8,
        rationale="The licence file says so.",
        rule="license",
        rule_version=1,
        rubric_digest="r",
        evidence_digest="e",
        findings=(),
        evidence=(),
        searched=("LICENSE",),
        link="",
    )
    engine = make_engine("sqlite:///openness.db")
    with session_scope(engine, write=True) as session:
        save_projects(session, [Project(slug="brindle", name="Brindle", org="", artifacts=())], utc_now())
        save_proposal(session, proposal, None, utc_now())
        session.execute(delete(QuestionRow))
    assert call("db", "check").return_value == 1
    assert "1 questions" in done("db", "reindex").output
    assert done("db", "check").return_value is None
    with session_scope(engine) as session:
        assert session.scalars(select(QuestionRow.slug)).all() == ["brindle"]
    engine.dispose()
