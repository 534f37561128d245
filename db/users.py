"""Accounts of the review desk: who they are, what they may do, and whether a password is theirs."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.models import UserRow, UserSessionRow
from db.review_values import StoredUser as StoredUser
from db.review_values import UserRole as UserRole
from pipelines.errors import UsageError

MAX_NAME = 60
MIN_PASSWORD = 12
MAX_PASSWORD = 200
"""Characters. Longer ones would cost the desk more than they give."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""What OWASP asks of argon2id at least: 19 MiB a check, so that several at once fit into a small server."""


def add_user(
    session: Session,
    name: str,
    role: UserRole,
    *,
    now: datetime,
    created_by: str,
    password: str | None = None,
    github_login: str | None = None,
) -> StoredUser:
    """Make an account. Raises UsageError when the name is taken (however it is written) or not fit, or the password too weak."""
    name = _checked_name(name)
    login = _checked_login(session, github_login, None)
    taken = next(
        (other for other in session.scalars(select(UserRow)) if _folded(other.name) == _folded(name)), None
    )
    if taken is not None:
        raise UsageError(f"there is an account {taken.name!r} already")
    row = UserRow(
        name=name,
        role=role,
        password_hash=None if password is None else _hashed(password, name),
        github_login=login,
        active=True,
        created_at=now,
        created_by=created_by,
    )
    session.add(row)
    session.flush()
    return _user(row)


def set_password(session: Session, name: str, password: str) -> StoredUser:
    """Give an account another password and sign it out everywhere. Raises UsageError."""
    row = _row(session, name)
    row.password_hash = _hashed(password, row.name)
    _end_sessions(session, row)
    return _user(row)


def set_role(session: Session, name: str, role: UserRole) -> StoredUser:
    """Let an account do more or less from now on. Raises UsageError."""
    row = _row(session, name)
    row.role = role
    session.flush()
    return _user(row)


def set_github_login(session: Session, name: str, login: str | None) -> StoredUser:
    """Let an account sign in by GitHub as well, or no longer. Raises UsageError when another account has it."""
    row = _row(session, name)
    row.github_login = _checked_login(session, login, row.id)
    session.flush()
    return _user(row)


def deactivate_user(session: Session, name: str) -> StoredUser:
    """Disable an account and sign it out everywhere. Its name stays taken: decisions carry it."""
    row = _row(session, name)
    row.active = False
    _end_sessions(session, row)
    return _user(row)


def activate_user(session: Session, name: str) -> StoredUser:
    """Let a disabled account sign in again. Raises UsageError."""
    row = _row(session, name)
    row.active = True
    session.flush()
    return _user(row)


def load_user(session: Session, name: str) -> StoredUser | None:
    """The account of that name, disabled or not."""
    row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
    return None if row is None else _user(row)


def load_user_by_login(session: Session, github_login: str) -> StoredUser | None:
    """The account that signs in with an account at GitHub; None when there is none or it is disabled."""
    query = select(UserRow).where(UserRow.github_login == github_login.strip().lower(), UserRow.active)
    row = session.scalars(query).one_or_none()
    return None if row is None else _user(row)


def load_users(session: Session) -> list[StoredUser]:
    """All accounts by name, disabled ones too."""
    return [_user(row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]


def check_password(session: Session, name: str, password: str) -> StoredUser | None:
    """The account, if the password is its own and it is not disabled.

    An unknown name takes as long as a wrong password. A hash made with older parameters is made anew, so
    call it in a writing transaction.
    """
    row = session.scalars(select(UserRow).where(UserRow.name == name.strip())).one_or_none()
    kept = row.password_hash if row is not None and row.active else None
    if not _matches(kept or _nobodys_hash(), password) or row is None or kept is None:
        return None
    if _HASHER.check_needs_rehash(kept):
        values = {"password_hash": _HASHER.hash(password)}
        session.execute(update(UserRow).where(UserRow.id == row.id).values(values))
    return _user(row)


def _matches(kept: str, password: str) -> bool:
    try:
        return len(password) <= MAX_PASSWORD and _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError, UnicodeError):
        return False


@cache
def _nobodys_hash() -> str:
    """What is checked where there is no account, so that nobody learns that from the time it takes."""
    return _HASHER.hash("the password of nobody")


def _hashed(password: str, name: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise UsageError(f"a password has at least {MIN_PASSWORD} characters")
    if len(password) > MAX_PASSWORD:
        raise UsageError(f"a password has at most {MAX_PASSWORD} characters")
    if not password.isprintable():
        raise UsageError("a password has no control characters")
    if len(set(password)) < 4 or (
        name.casefold() in password.casefold() and len(password) < 2 * MIN_PASSWORD
    ):
        raise UsageError("the password is too easily guessed")
    return _HASHER.hash(password)


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not name or len(name) > MAX_NAME:
        raise UsageError(f"the name of an account has 1 to {MAX_NAME} characters")
    if not all(char.isalnum() or char in " ._-@'" for char in name) or not any(map(str.isalnum, name)):
        raise UsageError("the name of an account has letters, digits, spaces and . _ - @ ' only")
    return name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _checked_login(session: Session, login: str | None, own_id: int | None) -> str | None:
    if login is None or not login.strip():
        return None
    login = login.strip().lower()
    other = session.scalars(select(UserRow).where(UserRow.github_login == login)).one_or_none()
    if other is not None and other.id != own_id:
        raise UsageError(f"the account {other.name!r} signs in as {login} at GitHub already")
    return login


def _row(session: Session, name: str) -> UserRow:
    row = session.scalars(select(UserRow).where(UserRow.name == name.strip())).one_or_none()
    if row is None:
        raise UsageError(f"there is no account {name.strip()!r}")
    return row


def _end_sessions(session: Session, row: UserRow) -> None:
    session.flush()
    session.execute(delete(UserSessionRow).where(UserSessionRow.user_id == row.id))


def _user(row: UserRow) -> StoredUser:
    return StoredUser(
        id=row.id,
        name=row.name,
        role=row.role,
        github_login=row.github_login,
        active=row.active,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        created_by=row.created_by,
    )
