"""Signing in: sessions of browsers, tokens of programs, and when trying has to stop for a while.

Secrets are made here and handed out once; only their digests are stored.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from db.models import ApiTokenRow, AuditRow, UserRow, UserSessionRow
from db.review_values import SignedIn as SignedIn
from db.review_values import StoredToken as StoredToken
from db.review_values import StoredUser
from db.review_values import TokenScope as TokenScope
from db.users import load_user
from pipelines.errors import UsageError

SIGN_IN = "sign-in"
SIGN_IN_FAILED = "sign-in-failed"
"""The actions under which the audit log has them; the subject is the name that was given."""

WINDOW = timedelta(minutes=15)
OF_A_NAME_AT_AN_ADDRESS = 5
OF_AN_ADDRESS = 20
OF_A_NAME = 50
"""Failures within the window that are enough. Of a name more are allowed altogether, or anybody could lock
a curator out from elsewhere."""

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is noted when a session or a token was last used."""

TOKEN_PREFIX = "openness_"
"""How API tokens begin, so that scanners for leaked secrets can know them."""

MAX_TOKEN_NAME = 60

_USER = (
    UserRow.id.label("user_id"),
    UserRow.name.label("user_name"),
    UserRow.role,
    UserRow.github_login,
    UserRow.active,
    UserRow.password_hash.is_not(None).label("has_password"),
    UserRow.created_at.label("user_created_at"),
    UserRow.created_by,
)

# Made once: every page of the review desk waits for them.
_SIGNED_IN = (
    select(UserSessionRow.csrf, UserSessionRow.expires_at, *_USER)
    .join(UserRow, UserRow.id == UserSessionRow.user_id)
    .where(
        UserSessionRow.token_digest == bindparam("token"),
        UserSessionRow.expires_at > bindparam("now"),
        UserRow.active,
    )
)
_SEEN = (
    update(UserSessionRow)
    .where(
        UserSessionRow.token_digest == bindparam("token"), UserSessionRow.last_seen_at < bindparam("earlier")
    )
    .values(last_seen_at=bindparam("now"))
    .execution_options(synchronize_session=False)
)


def open_session(session: Session, user_id: int, now: datetime, lifetime: timedelta) -> tuple[str, str]:
    """Sign a browser in: the token for its cookie, and what its forms have to repeat. Sessions that are over go."""
    session.execute(delete(UserSessionRow).where(UserSessionRow.expires_at <= now))
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    session.add(
        UserSessionRow(
            token_digest=_digest(token),
            user_id=user_id,
            csrf=csrf,
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime,
        )
    )
    session.flush()
    return token, csrf


def load_session(session: Session, token: str, now: datetime) -> SignedIn | None:
    """Who a cookie's token belongs to; None when it is unknown or over, or the account is disabled."""
    row = session.execute(_SIGNED_IN, {"token": _digest(token), "now": now}).first()
    if row is None:
        return None
    return SignedIn(user=_user(row), csrf=row.csrf, expires_at=row.expires_at)


def note_seen(session: Session, token: str, now: datetime) -> None:
    """Note that a session was used, to the minute: in a writing transaction."""
    session.execute(_SEEN, {"token": _digest(token), "now": now, "earlier": now - SEEN_EVERY})


def close_session(session: Session, token: str) -> None:
    """Sign a browser out. Nothing happens where it was not signed in."""
    session.execute(delete(UserSessionRow).where(UserSessionRow.token_digest == _digest(token)))


def close_all(session: Session, user_id: int) -> int:
    """Sign an account out everywhere; how many sessions ended."""
    ended = delete(UserSessionRow).where(UserSessionRow.user_id == user_id)
    return len(session.scalars(ended.returning(UserSessionRow.token_digest)).all())


def too_many_failures(session: Session, name: str, address: str, now: datetime) -> bool:
    """Whether signing in failed so often lately that a further try is refused, also with the right password.

    A success ends the count of its name at its address.
    """
    failed = (
        select(func.count())
        .select_from(AuditRow)
        .where(AuditRow.action == SIGN_IN_FAILED, AuditRow.at > now - WINDOW)
    )
    of_address = AuditRow.address == address
    if (session.scalar(failed.where(of_address)) or 0) >= OF_AN_ADDRESS:
        return True
    if (session.scalar(failed.where(AuditRow.subject == name)) or 0) >= OF_A_NAME:
        return True
    success = (
        select(func.max(AuditRow.id))
        .where(AuditRow.action == SIGN_IN, AuditRow.at > now - WINDOW)
        .where(AuditRow.subject == name, of_address)
    )
    since = session.scalar(success) or 0
    both = failed.where(of_address, AuditRow.subject == name, AuditRow.id > since)
    return (session.scalar(both) or 0) >= OF_A_NAME_AT_AN_ADDRESS


def make_token(
    session: Session, user_name: str, name: str, scope: TokenScope, now: datetime
) -> tuple[str, StoredToken]:
    """Make an API token for an account: the secret, which is never shown again, and the rest.

    Raises UsageError for an account that is unknown or disabled, and for a token without a name of its own.
    """
    user = load_user(session, user_name)
    name = " ".join(name.split())
    if user is None or not user.active:
        raise UsageError(f"there is no account {user_name!r}" if user is None else f"{user.name} is disabled")
    if not name or len(name) > MAX_TOKEN_NAME:
        raise UsageError(f"say in 1 to {MAX_TOKEN_NAME} characters what the token is for")
    if any(token.name == name and token.revoked_at is None for token in load_tokens(session, user.id)):
        raise UsageError(f"{user.name} has a token {name!r} already: revoke it first")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiTokenRow(
        user_id=user.id,
        name=name,
        token_digest=_digest(secret),
        scope=scope,
        created_at=now,
        last_used_at=None,
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    return secret, _token(row, user)


def load_token(session: Session, secret: str, now: datetime) -> StoredToken | None:
    """What a program's secret stands for; None when it is unknown or revoked, or its account is disabled."""
    query = (
        select(ApiTokenRow, *_USER)
        .join(UserRow, UserRow.id == ApiTokenRow.user_id)
        .where(ApiTokenRow.token_digest == _digest(secret), UserRow.active)
        .where(ApiTokenRow.revoked_at.is_(None) | (ApiTokenRow.revoked_at > now))
    )
    row = session.execute(query).first()
    return None if row is None else _token(row.ApiTokenRow, _user(row))


def note_used(session: Session, token_id: int, now: datetime) -> None:
    """Note that a token was used, to the minute: in a writing transaction."""
    statement = update(ApiTokenRow).where(
        ApiTokenRow.id == token_id,
        ApiTokenRow.last_used_at.is_(None) | (ApiTokenRow.last_used_at < now - SEEN_EVERY),
    )
    session.execute(statement.values(last_used_at=now))


def load_tokens(session: Session, user_id: int) -> list[StoredToken]:
    """The tokens of an account, newest first, revoked ones too."""
    query = select(ApiTokenRow, *_USER).join(UserRow, UserRow.id == ApiTokenRow.user_id)
    rows = session.execute(query.where(UserRow.id == user_id).order_by(ApiTokenRow.id.desc()))
    return [_token(row.ApiTokenRow, _user(row)) for row in rows]


def revoke_token(session: Session, user_id: int, token_id: int, now: datetime) -> StoredToken:
    """Make a token of an account worthless. Raises UsageError when it has no such token that is good."""
    statement = update(ApiTokenRow).where(
        ApiTokenRow.id == token_id, ApiTokenRow.user_id == user_id, ApiTokenRow.revoked_at.is_(None)
    )
    if session.scalars(statement.values(revoked_at=now).returning(ApiTokenRow.id)).one_or_none() is None:
        raise UsageError(f"there is no token {token_id} that could be revoked")
    session.expire_all()
    return next(token for token in load_tokens(session, user_id) if token.id == token_id)


def _digest(secret: str) -> str:
    # No salt and no slow hash: what is digested is 32 random bytes, and nobody guesses those.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _user(row: Row[*tuple[object, ...]]) -> StoredUser:
    return StoredUser(
        id=row.user_id,
        name=row.user_name,
        role=row.role,
        github_login=row.github_login,
        active=row.active,
        has_password=row.has_password,
        created_at=row.user_created_at,
        created_by=row.created_by,
    )


def _token(row: ApiTokenRow, user: StoredUser) -> StoredToken:
    return StoredToken(
        id=row.id,
        user=user,
        name=row.name,
        scope=row.scope,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
