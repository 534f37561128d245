"""Sessions, tokens, and too many failures."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from db import sign_ins
from db.audit import record
from db.models import ApiTokenRow, UserSessionRow
from db.review_values import TokenScope, UserRole
from db.session import session_scope
from db.users import add_user, deactivate_user
from pipelines.errors import UsageError

HOUR = timedelta(hours=1)


@pytest.fixture
def rowan(desk):
    with session_scope(desk.engine, write=True) as session:
        return add_user(session, "Rowan", UserRole.CURATOR, now=desk.now, created_by="-")


def do(desk, function, *arguments):
    with session_scope(desk.engine, write=True) as session:
        return function(session, *arguments)


def test_a_session_lasts_as_long_as_it_should_and_only_its_digest_is_kept(desk, rowan):
    token, csrf = do(desk, sign_ins.open_session, rowan.id, desk.now, HOUR)
    with session_scope(desk.engine) as session:
        row = session.scalars(select(UserSessionRow)).one()
        assert token not in (row.token_digest, row.csrf)
        signed_in = sign_ins.load_session(session, token, desk.now + HOUR - timedelta(seconds=1))
        assert (signed_in.user, signed_in.csrf) == (rowan, csrf)
        assert sign_ins.load_session(session, token, desk.now + HOUR) is None
        assert sign_ins.load_session(session, row.token_digest, desk.now) is None
        for unknown in ("", "x", "\ud800", csrf):
            assert sign_ins.load_session(session, unknown, desk.now) is None


def test_two_sessions_are_apart_and_end_apart_or_together(desk, rowan):
    first, _ = do(desk, sign_ins.open_session, rowan.id, desk.now, HOUR)
    second, _ = do(desk, sign_ins.open_session, rowan.id, desk.now, HOUR)
    do(desk, sign_ins.close_session, first)
    assert do(desk, sign_ins.load_session, first, desk.now) is None
    assert do(desk, sign_ins.load_session, second, desk.now) is not None
    assert do(desk, sign_ins.close_all, rowan.id) == 1
    assert do(desk, sign_ins.load_session, second, desk.now) is None


def test_sessions_that_are_over_go_with_the_next_sign_in(desk, rowan):
    do(desk, sign_ins.open_session, rowan.id, desk.now, HOUR)
    do(desk, sign_ins.open_session, rowan.id, desk.later(hours=2), HOUR)
    with session_scope(desk.engine) as session:
        assert len(session.scalars(select(UserSessionRow)).all()) == 1


def test_a_session_notes_when_it_was_seen_but_not_every_second(desk, rowan):
    token, _ = do(desk, sign_ins.open_session, rowan.id, desk.now, HOUR)
    for seconds, noted in ((30, 0), (90, 90), (100, 90)):
        do(desk, sign_ins.note_seen, token, desk.now + timedelta(seconds=seconds))
        with session_scope(desk.engine) as session:
            seen = session.scalars(select(UserSessionRow.last_seen_at)).one()
        assert seen == desk.now + timedelta(seconds=noted)


def fail(desk, times, name="Rowan", address="192.0.2.7", action=sign_ins.SIGN_IN_FAILED):
    with session_scope(desk.engine, write=True) as session:
        for _ in range(times):
            record(session, at=desk.now, actor="-", action=action, subject=name, address=address)


def too_many(desk, name="Rowan", address="192.0.2.7"):
    with session_scope(desk.engine) as session:
        return sign_ins.too_many_failures(session, name, address, desk.now)


def test_five_failures_are_enough_for_a_quarter_of_an_hour(desk):
    fail(desk, 4)
    assert not too_many(desk)
    fail(desk, 1)
    assert too_many(desk)
    assert not too_many(desk, name="Sorrel"), "another name at the same address"
    assert not too_many(desk, address="192.0.2.8"), "nobody is locked out from elsewhere"
    desk.later(minutes=16)
    assert not too_many(desk)


def test_a_success_ends_the_count(desk):
    fail(desk, 4)
    fail(desk, 1, action=sign_ins.SIGN_IN)
    fail(desk, 4)
    assert not too_many(desk)
    fail(desk, 1)
    assert too_many(desk)


def test_an_address_that_tries_many_names_is_stopped_and_so_is_a_name_that_is_tried_from_many(desk):
    for number in range(20):
        fail(desk, 1, name=f"name {number}")
    assert too_many(desk, name="yet another")
    for number in range(50):
        fail(desk, 1, address=f"198.51.100.{number}")
    assert too_many(desk, address="203.0.113.1")


def test_a_token_stands_for_its_account_until_it_is_revoked(desk, rowan):
    secret, made = do(desk, sign_ins.make_token, "Rowan", "nightly mirror", TokenScope.WRITE, desk.now)
    assert secret.startswith("openness_")
    assert len(secret) > 40
    with session_scope(desk.engine) as session:
        assert secret not in session.scalars(select(ApiTokenRow.token_digest)).one()
        held = sign_ins.load_token(session, secret, desk.now)
        assert (held.user, held.may_write, held.last_used_at) == (rowan, True, None)
        assert sign_ins.load_token(session, secret[:-1], desk.now) is None
    do(desk, sign_ins.note_used, made.id, desk.now)
    assert do(desk, sign_ins.load_tokens, rowan.id)[0].last_used_at == desk.now
    assert do(desk, sign_ins.revoke_token, rowan.id, made.id, desk.now).revoked_at == desk.now
    assert do(desk, sign_ins.load_token, secret, desk.now) is None
    with pytest.raises(UsageError, match="no token"):
        do(desk, sign_ins.revoke_token, rowan.id, made.id, desk.now)


def test_a_token_of_a_disabled_account_is_worthless(desk, rowan):
    secret, _ = do(desk, sign_ins.make_token, "Rowan", "mirror", TokenScope.READ, desk.now)
    do(desk, deactivate_user, "Rowan")
    assert do(desk, sign_ins.load_token, secret, desk.now) is None
    with pytest.raises(UsageError, match="disabled"):
        do(desk, sign_ins.make_token, "Rowan", "another", TokenScope.READ, desk.now)


def test_nobody_revokes_the_token_of_somebody_else(desk, rowan):
    _, made = do(desk, sign_ins.make_token, "Rowan", "mirror", TokenScope.READ, desk.now)
    with pytest.raises(UsageError, match="no token"):
        do(desk, sign_ins.revoke_token, rowan.id + 1, made.id, desk.now)


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
def test_a_token_has_a_name_and_no_two_good_ones_the_same(desk, rowan, name):
    with pytest.raises(UsageError, match="what the token is for"):
        do(desk, sign_ins.make_token, "Rowan", name, TokenScope.READ, desk.now)
    _, made = do(desk, sign_ins.make_token, "Rowan", "mirror", TokenScope.READ, desk.now)
    with pytest.raises(UsageError, match="already"):
        do(desk, sign_ins.make_token, "Rowan", "mirror", TokenScope.READ, desk.now)
    do(desk, sign_ins.revoke_token, rowan.id, made.id, desk.now)
    do(desk, sign_ins.make_token, "Rowan", "mirror", TokenScope.READ, desk.now)
