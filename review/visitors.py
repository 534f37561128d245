"""Who is asking: by a session's cookie, by a token of the API, or nobody in particular."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection
from starlette.responses import Response

from db.review_values import StoredUser, TokenScope, UserRole
from db.sign_ins import load_session, load_token, note_seen, note_used
from review.context import ReviewContext, ReviewOptions

SAID_SECONDS = 60
"""How long a page has time to show what the request before it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, and as what. `role` None: nobody, where reading is not public. `csrf` has to come with every change.

    `token_id`: that of the token of the API by which a program was identified. No browser sends one by itself,
    so it needs no `csrf`. `may_write`: whether the token may change anything.
    """

    user: StoredUser | None
    role: UserRole | None
    csrf: str
    session_token: str = ""
    token_id: int | None = None
    may_write: bool = True

    @property
    def name(self) -> str:
        """The name that decisions and the audit log record; empty for nobody."""
        return self.user.name if self.user else ""

    @property
    def is_program(self) -> bool:
        """Was it identified by a token?"""
        return self.token_id is not None

    @property
    def is_signed_in(self) -> bool:
        return self.user is not None

    def may(self, role: UserRole | None) -> bool:
        """May this visitor do what needs a role? Everybody may do what needs none."""
        if role is None:
            return True
        return self.role is not None and self.role.may(role)


def cookie_name(options: ReviewOptions, what: str) -> str:
    """The name of a cookie; with https one that no other host and no plain connection can set."""
    return f"__Host-openness-{what}" if options.is_https else f"openness-{what}"


def set_cookie(
    response: Response, options: ReviewOptions, what: str, value: str, seconds: int | None
) -> None:
    """Set a cookie that scripts cannot read and other sites' forms do not send."""
    response.set_cookie(
        cookie_name(options, what),
        value,
        max_age=seconds,
        path="/",
        secure=options.is_https,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, options: ReviewOptions, what: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        cookie_name(options, what), path="/", secure=options.is_https, httponly=True, samesite="lax"
    )


def load_visitor(
    session: Session, connection: HTTPConnection, context: ReviewContext, now: datetime, *, is_api: bool
) -> Visitor:
    """Who asks. A cookie or token that is unknown, over or revoked makes nobody."""
    bearer = _bearer(connection) if is_api else ""
    if bearer:
        held = load_token(session, bearer, now)
        if held is None:
            return Visitor(user=None, role=None, csrf="", may_write=False)
        return Visitor(
            user=held.user,
            role=held.user.role,
            csrf="",
            token_id=held.id,
            may_write=held.scope is TokenScope.WRITE,
        )
    token = connection.cookies.get(cookie_name(context.options, "session"), "")
    signed_in = load_session(session, token, now) if token else None
    if signed_in is not None:
        return Visitor(
            user=signed_in.user, role=signed_in.user.role, csrf=signed_in.csrf, session_token=token
        )
    return Visitor(
        user=None,
        role=UserRole.READER if context.options.public_read else None,
        csrf=_anonymous_csrf(context, connection.cookies.get(cookie_name(context.options, "visit"), "")),
    )


def note_visitor(session: Session, visitor: Visitor, now: datetime) -> None:
    """Note that a session or a token was used to change something."""
    if visitor.token_id is not None:
        note_used(session, visitor.token_id, now)
    elif visitor.session_token:
        note_seen(session, visitor.session_token, now)


def _bearer(connection: HTTPConnection) -> str:
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def new_visit() -> str:
    """What a browser without a session is given, so that its forms can be told from those of other sites."""
    return secrets.token_urlsafe(18)


def _anonymous_csrf(context: ReviewContext, visit: str) -> str:
    """The token of a browser without a session; empty before it was given a visit."""
    if not visit:
        return ""
    return hmac.new(context.secret.encode(), visit.encode(), hashlib.sha256).hexdigest()


def csrf_of_visit(context: ReviewContext, visit: str) -> str:
    """The token that belongs to a visit."""
    return _anonymous_csrf(context, visit)


def same_csrf(expected: str, given: str) -> bool:
    """Whether a form brought the token; never when there is none."""
    return bool(expected) and hmac.compare_digest(expected.encode(), given.encode())


def is_from_elsewhere(connection: HTTPConnection, options: ReviewOptions) -> bool:
    """Does the browser itself say that a page of another origin sends this?

    With our referrer policy browsers send `Origin: null`, so that what they say of the site comes first.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = connection.headers.get("origin")
    if origin is None or origin == "null":
        return False
    scheme = "https" if options.is_https else "http"
    return origin.lower() != f"{scheme}://{connection.headers.get('host', '').lower()}"


def signer(context: ReviewContext, purpose: str) -> URLSafeTimedSerializer:
    """Signs what a browser keeps for a moment."""
    return URLSafeTimedSerializer(context.secret, salt=f"openness-{purpose}")


def said_before(connection: HTTPConnection, context: ReviewContext) -> str:
    """What the request before this one has done, for the page to tell; empty where there was nothing."""
    value = connection.cookies.get(cookie_name(context.options, "said"), "")
    if not value:
        return ""
    try:
        said = signer(context, "said").loads(value, max_age=SAID_SECONDS)
    except BadSignature:
        return ""
    return said if isinstance(said, str) else ""
