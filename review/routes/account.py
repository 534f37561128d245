"""One's own account: the password, and tokens for programs."""

from __future__ import annotations

from starlette.responses import Response

from db.review_values import TokenScope, UserRole
from db.sign_ins import close_all, load_tokens, make_token, revoke_token, too_many_failures
from db.users import MAX_PASSWORD, check_password, set_password
from pipelines.errors import UsageError
from review.calls import Call, route, view
from review.visitors import drop_cookie


def _page(call: Call, status: int = 200, problem: str = "", secret: str = "") -> Response:
    user = call.visitor.user
    assert user is not None
    return call.page(
        "account.html",
        status,
        user=user,
        tokens=load_tokens(call.session, user.id),
        scopes=_scopes(user.role),
        problem=problem,
        secret=secret,
    )


def _scopes(role: UserRole) -> list[TokenScope]:
    """A reader's programs only read."""
    return [TokenScope.READ, TokenScope.WRITE] if role.may(UserRole.CURATOR) else [TokenScope.READ]


@view(signed_in=True)
def account(call: Call) -> Response:
    """Who one is here."""
    return _page(call)


@view(signed_in=True, write=True)
def change_password(call: Call) -> Response:
    """Another password, if the present one is known. Every session ends, this one too."""
    user = call.visitor.user
    assert user is not None
    present, new = call.form.get("present", ""), call.form.get("new", "")
    if too_many_failures(call.session, user.name, call.address, call.now):
        return _page(call, 429, "Too many tries. Wait a quarter of an hour, then try again.")
    if len(present) > MAX_PASSWORD or check_password(call.session, user.name, present) is None:
        call.record("sign-in-failed", user.name, how="change of password")
        return _page(call, 403, "The present password is wrong.")
    if new != call.form.get("again", ""):
        return _page(call, 422, "The new password is not the same twice.")
    try:
        set_password(call.session, user.name, new)
    except UsageError as error:
        return _page(call, 422, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    call.record("password-changed", user.name)
    response = call.redirect("/sign-in", "The password is changed. Sign in with the new one.")
    drop_cookie(response, call.context.options, "session")
    return response


@view(signed_in=True, write=True)
def sign_out_everywhere(call: Call) -> Response:
    """End every session of the account."""
    user = call.visitor.user
    assert user is not None
    ended = close_all(call.session, user.id)
    call.record("sign-out", user.name, sessions=ended)
    response = call.redirect("/sign-in", "Signed out everywhere.")
    drop_cookie(response, call.context.options, "session")
    return response


@view(signed_in=True, write=True)
def new_token(call: Call) -> Response:
    """Make a token. Its secret is shown once, on the page that answers."""
    user = call.visitor.user
    assert user is not None
    try:
        scope = TokenScope(call.form.get("scope", ""))
    except ValueError:
        return _page(call, 422, "Choose what the token may do.")
    if scope not in _scopes(user.role):
        return _page(call, 403, "A reader's token may only read.")
    try:
        secret, token = make_token(call.session, user.name, call.form.get("name", ""), scope, call.now)
    except UsageError as error:
        return _page(call, 422, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    call.record("token-made", user.name, token=token.name, scope=token.scope.value)
    return _page(call, secret=secret)


@view(signed_in=True, write=True)
def end_token(call: Call) -> Response:
    """Make a token worthless."""
    user = call.visitor.user
    assert user is not None
    token = revoke_token(call.session, user.id, call.path["id"], call.now)
    call.record("token-revoked", user.name, token=token.name)
    return call.redirect("/account", f"The token {token.name} is worthless now.")


routes = [
    route("/account", account),
    route("/account/password", change_password),
    route("/account/sign-out", sign_out_everywhere),
    route("/account/tokens", new_token),
    route("/account/tokens/{id:int}/revoke", end_token),
]
