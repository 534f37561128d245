"""Accounts: names, roles, passwords."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from db import users
from db.models import UserRow
from db.review_values import UserRole
from db.session import session_scope
from db.sign_ins import load_session, open_session
from pipelines.errors import UsageError

SECRET = "marsh marigold 7"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    """Parameters that cost nothing; the real ones are looked at by themselves."""
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    users._nobodys_hash.cache_clear()
    yield
    users._nobodys_hash.cache_clear()


def add(desk, name="Rowan Thistle", role=UserRole.CURATOR, password=SECRET, **more):
    with session_scope(desk.engine, write=True) as session:
        return users.add_user(
            session, name, role, now=desk.now, created_by="sorrel", password=password, **more
        )


def do(desk, function, *arguments):
    with session_scope(desk.engine, write=True) as session:
        return function(session, *arguments)


def test_an_account_is_kept_with_its_role_and_without_its_password(desk):
    made = add(desk, "  Rowan \t Thistle ", role=UserRole.ADMIN, github_login="RowanT")
    assert (made.name, made.role, made.github_login, made.active) == (
        "Rowan Thistle",
        UserRole.ADMIN,
        "rowant",
        True,
    )
    with session_scope(desk.engine) as session:
        kept = session.scalars(select(UserRow)).one()
        assert kept.password_hash.startswith("$argon2id$")
        assert SECRET not in kept.password_hash
        assert users.load_users(session) == [made]
        assert users.load_user(session, "Rowan Thistle") == made
        assert users.load_user_by_login(session, "ROWANT ") == made
        assert users.load_user(session, "Sorrel") is None


def test_the_real_parameters_are_those_that_are_recommended():
    import importlib

    hasher = importlib.reload(users)._HASHER
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (2, 19 * 1024, 1)
    assert hasher.type.name == "ID"


@pytest.mark.parametrize("name", ["rowan thistle", "ROWAN  THISTLE", "Rowan Thistle", "Ｒowan Thistle"])
def test_a_name_is_taken_however_it_is_written(desk, name):
    add(desk)
    with pytest.raises(UsageError, match="already"):
        add(desk, name)


@pytest.mark.parametrize("name", ["", "   ", "-", "x" * 61, "a\u202eb", "<b>", "a/b", "a\x00b"])
def test_a_name_that_is_none_is_refused(desk, name):
    with pytest.raises(UsageError, match="name of an account"):
        add(desk, name)


@pytest.mark.parametrize("password", ["", "short one", "aaaaaaaaaaaaaa", "Rowan Thistle!", "x1y2z3" * 40])
def test_a_password_that_is_none_is_refused_and_nothing_is_made(desk, password):
    with pytest.raises(UsageError, match="password"):
        add(desk, password=password)
    with session_scope(desk.engine) as session:
        assert users.load_users(session) == []


def test_a_password_is_its_own_accounts_only(desk):
    made = add(desk)
    add(desk, "Sorrel", password="another marigold 8")
    assert do(desk, users.check_password, "Rowan Thistle", SECRET) == made
    for name, password in (
        ("Rowan Thistle", SECRET + "x"),
        ("Rowan Thistle", ""),
        ("Sorrel", SECRET),
        ("nobody", SECRET),
        ("nobody", "the password of nobody"),
        ("Rowan Thistle", "x" * 100_000),
        ("Rowan Thistle", "\ud800"),
    ):
        assert do(desk, users.check_password, name, password) is None


def test_an_account_without_a_password_or_disabled_signs_in_with_none(desk):
    add(desk, "Larch", password=None, github_login="larch")
    add(desk)
    do(desk, users.deactivate_user, "Rowan Thistle")
    assert do(desk, users.check_password, "Larch", "") is None
    assert do(desk, users.check_password, "Larch", "the password of nobody") is None
    assert do(desk, users.check_password, "Rowan Thistle", SECRET) is None
    with session_scope(desk.engine) as session:
        assert users.load_user_by_login(session, "larch").name == "Larch"
    do(desk, users.activate_user, "Rowan Thistle")
    assert do(desk, users.check_password, "Rowan Thistle", SECRET) is not None


def test_a_name_that_is_not_there_costs_as_much_as_a_wrong_password(desk, monkeypatch):
    add(desk)
    checked = []
    right = users._matches
    monkeypatch.setattr(users, "_matches", lambda kept, given: checked.append(kept) or right(kept, given))
    do(desk, users.check_password, "nobody", "whatever it is")
    do(desk, users.check_password, "Rowan Thistle", "whatever it is")
    assert len(checked) == 2
    assert all(kept.startswith("$argon2id$") for kept in checked)


def test_a_hash_of_older_parameters_is_made_anew_at_the_next_sign_in(desk, monkeypatch):
    add(desk)
    newer = PasswordHasher(time_cost=1, memory_cost=128, parallelism=1)
    monkeypatch.setattr(users, "_HASHER", newer)
    assert do(desk, users.check_password, "Rowan Thistle", SECRET)
    with session_scope(desk.engine) as session:
        kept = session.scalars(select(UserRow.password_hash)).one()
    assert not newer.check_needs_rehash(kept)
    assert do(desk, users.check_password, "Rowan Thistle", SECRET)


def test_a_damaged_hash_lets_nobody_in(desk):
    add(desk)
    with session_scope(desk.engine, write=True) as session:
        session.execute(update(UserRow).values(password_hash="$argon2id$nonsense"))
    assert do(desk, users.check_password, "Rowan Thistle", SECRET) is None


def test_another_password_and_disabling_end_every_session(desk):
    from datetime import timedelta

    made = add(desk)
    for change in (
        lambda session: users.set_password(session, made.name, "another marigold 8"),
        lambda session: users.deactivate_user(session, made.name),
    ):
        with session_scope(desk.engine, write=True) as session:
            token, _ = open_session(session, made.id, desk.now, timedelta(hours=1))
            assert load_session(session, token, desk.now) is not None
            change(session)
            assert load_session(session, token, desk.now) is None


def test_roles_have_an_order_and_can_be_changed(desk):
    assert UserRole.ADMIN.may(UserRole.CURATOR)
    assert UserRole.CURATOR.may(UserRole.CURATOR)
    assert not UserRole.READER.may(UserRole.CURATOR)
    add(desk)
    assert do(desk, users.set_role, "Rowan Thistle", UserRole.READER).role is UserRole.READER


def test_an_account_at_github_belongs_to_one_account_here(desk):
    add(desk, github_login="rowan")
    with pytest.raises(UsageError, match="already"):
        add(desk, "Sorrel", github_login="Rowan")
    add(desk, "Sorrel")
    with pytest.raises(UsageError, match="already"):
        do(desk, users.set_github_login, "Sorrel", "ROWAN")
    assert do(desk, users.set_github_login, "Rowan Thistle", "").github_login is None
    assert do(desk, users.set_github_login, "Sorrel", "ROWAN").github_login == "rowan"


@pytest.mark.parametrize(
    "change",
    [
        lambda session: users.set_password(session, "nobody", SECRET),
        lambda session: users.set_role(session, "nobody", UserRole.ADMIN),
        lambda session: users.deactivate_user(session, "nobody"),
    ],
)
def test_an_account_that_is_not_there_is_told(desk, change):
    with session_scope(desk.engine, write=True) as session, pytest.raises(UsageError, match="no account"):
        change(session)
