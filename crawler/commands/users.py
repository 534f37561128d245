"""`openness user`: accounts of the review desk, and tokens for programs.

Passwords are asked for or read from standard input. They are never an argument: those are seen by
everybody on the machine, and kept in the shell's history.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from crawler.terminal import json_text, safe
from db import sign_ins, users
from db.audit import record
from db.review_values import StoredUser, TokenScope, UserRole
from db.session import session_scope
from pipelines.errors import UsageError
from pipelines.model import JsonValue

ROLES = click.Choice([role.value for role in UserRole])
STDIN = "--password-stdin"


@click.group("user")
def user_command() -> None:
    """Accounts of the review desk: who may read, decide, or administer.

    Example: openness user list
    """


@user_command.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default=UserRole.CURATOR.value, show_default=True)
@click.option("--github", metavar="LOGIN", help="Account at GitHub with which they sign in, too.")
@click.option("--no-password", is_flag=True, help="Sign in with GitHub only.")
@click.option(STDIN, "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_context
def add_command(
    ctx: click.Context, name: str, role: str, github: str | None, no_password: bool, from_stdin: bool
) -> None:
    """Make an account. Its name is what decisions record as curator. The password is asked for.

    Example: openness user add "Rowan Thistle" --role admin
    """
    if no_password and (from_stdin or not github):
        raise UsageError("without a password an account needs --github, and no password is read")
    password = None if no_password else _ask_password(from_stdin)

    def add(session: Session, context: Context, who: str) -> StoredUser:
        return users.add_user(
            session,
            name,
            UserRole(role),
            now=context.clock(),
            created_by=who,
            password=password,
            github_login=github,
        )

    made = _change(ctx, "user-added", add, role=role, github=github or "")
    click.echo(f"{safe(made.name)} may sign in as {made.role}")


@user_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    """All accounts with their roles, disabled ones too.

    Example: openness user list --json
    """
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:
        found = users.load_users(session)
    if as_json:
        click.echo(json_text([_json(user) for user in found]))
        return
    for user in found:
        ways = [*(["password"] if user.has_password else []), *(["GitHub"] if user.github_login else [])]
        how = "disabled" if not user.active else " and ".join(ways) or "no way to sign in"
        click.echo(f"{user.role:<8} {safe(user.name)} ({how})")
    if not found:
        click.echo("no accounts yet: openness user add NAME --role admin")


@user_command.command("password")
@click.argument("name")
@click.option(STDIN, "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_context
def password_command(ctx: click.Context, name: str, from_stdin: bool) -> None:
    """Give an account another password, and sign it out everywhere. The password is asked for.

    Example: openness user password "Rowan Thistle"
    """
    with _reading(ctx) as session:
        if users.load_user(session, name.strip()) is None:
            raise UsageError(f"there is no account {name.strip()!r}")
    password = _ask_password(from_stdin)
    user = _change(
        ctx, "password-changed", lambda session, _, __: users.set_password(session, name, password)
    )
    click.echo(f"{safe(user.name)} has another password and is signed out everywhere")


@user_command.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@click.pass_context
def role_command(ctx: click.Context, name: str, role: str) -> None:
    """Let an account do more or less, from its next request on.

    Example: openness user role "Rowan Thistle" curator
    """
    user = _change(
        ctx, "role-changed", lambda session, _, __: users.set_role(session, name, UserRole(role)), role=role
    )
    click.echo(f"{safe(user.name)} is {user.role} now")


@user_command.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let a disabled account sign in again.")
@click.pass_context
def disable_command(ctx: click.Context, name: str, undo: bool) -> None:
    """Disable an account and sign it out everywhere. What it decided stays, and so does its name.

    Example: openness user disable "Rowan Thistle"
    """
    change = users.activate_user if undo else users.deactivate_user
    user = _change(
        ctx, "user-enabled" if undo else "user-disabled", lambda session, _, __: change(session, name)
    )
    click.echo(
        f"{safe(user.name)} {'may sign in again' if undo else 'is disabled and signed out everywhere'}"
    )


@user_command.command("token")
@click.argument("name")
@click.option("--for", "purpose", metavar="PURPOSE", help="Make a token; what it is for.")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in TokenScope]),
    default=TokenScope.READ.value,
    show_default=True,
    help="What a program may do with it.",
)
@click.option("--revoke", type=int, metavar="ID", help="Make this token worthless.")
@click.option("--json", "as_json", is_flag=True, help="The list as JSON on stdout.")
@click.pass_context
def token_command(
    ctx: click.Context, name: str, purpose: str | None, scope: str, revoke: int | None, as_json: bool
) -> None:
    """The API tokens of an account: list them, make one, revoke one.

    A new token is written to stdout and never shown again: only its digest is kept.

    Example: openness user token "Rowan Thistle" --for "nightly mirror"
    """
    if purpose is not None and revoke is not None:
        raise UsageError("make a token or revoke one, not both at once")
    if purpose is not None:
        secrets: list[str] = []

        def make(session: Session, context: Context, who: str) -> StoredUser:
            secret, token = sign_ins.make_token(session, name, purpose, TokenScope(scope), context.clock())
            secrets.append(secret)
            return token.user

        _change(ctx, "token-made", make, token=purpose, scope=scope)
        click.echo(secrets[0])
    elif revoke is not None:

        def end(session: Session, context: Context, who: str) -> StoredUser:
            user = _known(session, name)
            return sign_ins.revoke_token(session, user.id, revoke, context.clock()).user

        _change(ctx, "token-revoked", end, token=revoke)
        click.echo(f"token {revoke} is worthless now")
    else:
        _list_tokens(ctx, name, as_json)


def _list_tokens(ctx: click.Context, name: str, as_json: bool) -> None:
    with _reading(ctx) as session:
        tokens = sign_ins.load_tokens(session, _known(session, name).id)
    if as_json:
        click.echo(
            json_text(
                [
                    {
                        "id": token.id,
                        "name": token.name,
                        "scope": token.scope.value,
                        "created_at": token.created_at.isoformat(),
                        "last_used_at": token.last_used_at and token.last_used_at.isoformat(),
                        "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
                    }
                    for token in tokens
                ]
            )
        )
        return
    for token in tokens:
        used = f"last used {token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
        state = f"revoked {token.revoked_at:%Y-%m-%d}" if token.revoked_at else used
        click.echo(f"{token.id:>4}  {token.scope:<5}  {safe(token.name)} ({state})")
    if not tokens:
        click.echo("no tokens")


@contextmanager
def _reading(ctx: click.Context) -> Iterator[Session]:
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:
        yield session


def _known(session: Session, name: str) -> StoredUser:
    user = users.load_user(session, name.strip())
    if user is None:
        raise UsageError(f"there is no account {name.strip()!r}")
    return user


def _change(
    ctx: click.Context,
    action: str,
    change: Callable[[Session, Context, str], StoredUser],
    **detail: JsonValue,
) -> StoredUser:
    """Do something to an account, and note it in the audit log."""
    settings = settings_of(ctx)
    who = settings.curator_name()
    with open_context(settings) as context, session_scope(context.engine, write=True) as session:
        user = change(session, context, who)
        record(
            session,
            at=context.clock(),
            actor=who,
            action=action,
            subject=user.name,
            detail={name: value for name, value in detail.items() if value != ""} | {"by": "terminal"},
        )
    return user


def _ask_password(from_stdin: bool) -> str:
    """The password from standard input, or asked for twice. Raises UsageError when there is none to be had."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError(f"nobody can be asked for the password here: use {STDIN}")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _json(user: StoredUser) -> dict[str, JsonValue]:
    return {
        "name": user.name,
        "role": user.role.value,
        "active": user.active,
        "has_password": user.has_password,
        "github_login": user.github_login,
        "created_at": user.created_at.isoformat() if user.created_at else None,
        "created_by": user.created_by,
    }
