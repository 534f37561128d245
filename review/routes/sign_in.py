"""Signing in, by password or through GitHub, and out."""

from __future__ import annotations

import secrets
from datetime import timedelta

from itsdangerous import BadSignature
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from db.audit import NOBODY
from db.review_values import StoredUser
from db.sign_ins import SIGN_IN, SIGN_IN_FAILED, close_session, open_session, too_many_failures
from db.users import MAX_NAME, MAX_PASSWORD, check_password, load_user_by_login
from review.calls import Call, local_address, route, view
from review.context import SignInError
from review.visitors import cookie_name, drop_cookie, set_cookie, signer

STATE_SECONDS = 600
"""How long somebody may take to sign in at GitHub."""

_REFUSED = "Name or password is wrong."
_TOO_MANY = "Too many tries. Wait a quarter of an hour, then try again."


def _form(call: Call, status: int = 200, problem: str = "", name: str = "") -> Response:
    values = call.form or call.query
    return call.page(
        "sign_in.html",
        status,
        problem=problem,
        name=name,
        next=local_address(values.get("next", "/")),
        github=call.context.options.github is not None,
    )


@view(role=None)
def sign_in_page(call: Call) -> Response:
    """The form."""
    if call.visitor.is_signed_in:
        return call.redirect(local_address(call.query.get("next", "/")))
    return _form(call)


@view(role=None, write=True)
def sign_in(call: Call) -> Response:
    """Check a password. What failed is recorded, and after some failures nothing is checked for a while."""
    name, password = call.form.get("name", "").strip(), call.form.get("password", "")
    shown = name if len(name) <= MAX_NAME else ""
    if not shown or not password or len(password) > MAX_PASSWORD:
        return _form(call, 401, _REFUSED, shown)
    if too_many_failures(call.session, name, call.address, call.now):
        response = _form(call, 429, _TOO_MANY, shown)
        response.headers["Retry-After"] = "900"
        return response
    user = check_password(call.session, name, password)
    if user is None:
        call.record(SIGN_IN_FAILED, name)
        return _form(call, 401, _REFUSED, shown)
    return _let_in(call, user, local_address(call.form.get("next", "/")), "password")


def _let_in(call: Call, user: StoredUser, target: str, how: str) -> Response:
    if call.visitor.session_token:
        close_session(call.session, call.visitor.session_token)
    options = call.context.options
    lifetime = timedelta(hours=options.session_hours)
    # A new token with every sign-in: one that somebody planted before is worth nothing.
    token, _ = open_session(call.session, user.id, call.now, lifetime)
    call.record(SIGN_IN, user.name, how=how)
    response = call.redirect(target, f"Signed in as {user.name}.")
    set_cookie(response, options, "session", token, int(lifetime.total_seconds()))
    drop_cookie(response, options, "visit")
    return response


@view(role=None, write=True)
def sign_out(call: Call) -> Response:
    """End the session here and in the database."""
    close_session(call.session, call.visitor.session_token)
    call.record("sign-out", call.visitor.name or NOBODY)
    response = call.redirect("/sign-in", "Signed out.")
    for what in ("session", "last"):
        drop_cookie(response, call.context.options, what)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@view(role=None)
def to_github(call: Call) -> Response:
    """Send the browser to GitHub, with a state that only this browser can bring back."""
    github = call.context.options.github
    if github is None:
        raise HTTPException(404)
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    target = local_address(call.query.get("next", "/"))
    kept = signer(call.context, "github").dumps({"state": state, "verifier": verifier, "next": target})
    url = github.authorize_url(state=state, verifier=verifier, redirect_uri=_callback(call))
    response = RedirectResponse(url, 303)
    set_cookie(response, call.context.options, "github", kept, STATE_SECONDS)
    return response


def _callback(call: Call) -> str:
    return f"{call.context.options.base_url}/sign-in/github/callback"


@view(role=None)
def from_github(call: Call) -> Response:
    """Back from GitHub: who that was, and a form that signs them in.

    The state ties the answer to the browser that asked. GitHub is asked here and not by the form's own
    request, as nobody could write to the database while that waits for an answer.
    """
    github, kept = call.context.options.github, _kept(call)
    if github is None:
        raise HTTPException(404)
    code, state = call.query.get("code", ""), call.query.get("state", "")
    if not code or not kept or not secrets.compare_digest(kept["state"].encode(), state.encode()):
        return _form(call, 401, "The sign-in took too long or was begun in another browser. Try again.")
    try:
        login = github.fetch_login(code=code, verifier=kept["verifier"], redirect_uri=_callback(call))
    except SignInError as error:
        return _form(call, 401, str(error))
    proof = signer(call.context, "login").dumps({"login": login, "state": state, "next": kept["next"]})
    return call.page("sign_in_github.html", login=login, proof=proof)


@view(role=None, write=True)
def sign_in_by_github(call: Call) -> Response:
    """Let the account in that has the login name which GitHub has just told."""
    if call.context.options.github is None:
        raise HTTPException(404)
    try:
        proof = signer(call.context, "login").loads(call.form.get("proof", ""), max_age=STATE_SECONDS)
    except BadSignature:
        return _form(call, 401, "The sign-in took too long. Try again.")
    if _kept(call).get("state") != proof["state"]:
        return _form(call, 401, "The sign-in was begun in another browser. Try again.")
    user = load_user_by_login(call.session, proof["login"])
    if user is None:
        call.record(SIGN_IN_FAILED, proof["login"], how="github")
        return _form(call, 401, f"No account here belongs to {proof['login']} at GitHub.")
    response = _let_in(call, user, local_address(proof["next"]), "github")
    # One proof, one sign-in.
    drop_cookie(response, call.context.options, "github")
    return response


def _kept(call: Call) -> dict[str, str]:
    value = call.request.cookies.get(cookie_name(call.context.options, "github"), "")
    try:
        found = signer(call.context, "github").loads(value, max_age=STATE_SECONDS)
    except BadSignature:
        return {}
    return found if isinstance(found, dict) else {}


routes = [
    route("/sign-in", sign_in_page),
    route("/sign-in", sign_in),
    route("/sign-out", sign_out),
    route("/sign-in/github", to_github),
    route("/sign-in/github/callback", from_github),
    route("/sign-in/github/callback", sign_in_by_github),
]
