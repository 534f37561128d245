"""Who asks, and what becomes of what goes wrong: the frame of every endpoint.

A program shows a token of its own; the pages' scripts come with the session's cookie and its CSRF token.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from db.review_values import UserRole
from db.session import session_scope
from pipelines.errors import DecisionError, OpennessError, StorageError
from review.api.shapes import AsciiJson, ErrorOut
from review.calls import Call
from review.context import ReviewContext
from review.visitors import Visitor, is_from_elsewhere, load_visitor, note_visitor, same_csrf

log = logging.getLogger(__name__)

CONTEXT = "openness.context"
"""Where the scope of a request has the desk's context."""

WHAT: Mapping[int, str] = {
    400: "The body is no JSON, or what was asked for contradicts itself or names what is not there.",
    401: "Nobody is signed in: a token is missing, unknown or revoked.",
    403: "Who asks may not: the role or the scope of the token is too small, or the CSRF token is missing.",
    404: "There is no such thing.",
    409: "Somebody was quicker, or it was decided already. Look again.",
    413: "The request is larger than 1 MB.",
    421: "The Host header names a host that is not served here.",
    422: "A field is missing or wrong; `fields` says which.",
    503: "The database cannot be reached, or somebody else writes for long. Try again.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:  # the type that FastAPI asks for
    """The errors of an endpoint, for its description."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 400, 401, 403, 413, 421, 422, 503}):
        found[status] = {"model": ErrorOut, "description": WHAT[status]}
        if status in (413, 421):
            # The frame around the whole desk refuses these before anybody knows that JSON is wanted.
            found[status]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found


@contextmanager
def asking(request: Request, role: UserRole = UserRole.READER, *, write: bool = False) -> Iterator[Call]:
    """A call with a session, by somebody who may make it; what it writes is committed unless it raises.

    Raises HTTPException for whoever may not.
    """
    context: ReviewContext = request.scope[CONTEXT]
    now = context.clock()
    with session_scope(context.engine) as session:
        visitor = load_visitor(session, request, context, now, is_api=True)
        _refuse(request, context, visitor, role, write)
        if not write:
            yield Call(request=request, context=context, session=session, visitor=visitor, now=now)
    if not write:
        return
    with session_scope(context.engine, write=True) as session:
        call = Call(request=request, context=context, session=session, visitor=visitor, now=now)
        yield call
        if not call.was_recorded:
            raise AssertionError(f"{request.url.path} changed something and recorded nothing")
        note_visitor(session, visitor, now)


def _refuse(request: Request, context: ReviewContext, visitor: Visitor, role: UserRole, write: bool) -> None:
    if not visitor.may(role):
        if visitor.is_signed_in:
            raise HTTPException(403, f"This needs the role {role}.")
        raise HTTPException(401, "Sign in first.", {"WWW-Authenticate": "Bearer"})
    if not write:
        return
    if not visitor.may_write:
        raise HTTPException(403, "This token may only read.")
    if visitor.is_program:
        return
    if is_from_elsewhere(request, context.options):
        raise HTTPException(403, "This was sent by a page of another site.")
    if not same_csrf(visitor.csrf, request.headers.get("x-csrf-token", "")):
        raise HTTPException(403, "X-CSRF-Token has to repeat the token of the session.")


def answer(
    status: int,
    detail: str,
    fields: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as every endpoint gives it."""
    content = {"error": {"status": status, "detail": detail, "fields": fields or []}}
    return AsciiJson(content, status, dict(headers or {}))


async def on_http(request: Request, error: Exception) -> Response:
    """What was refused."""
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), headers=error.headers)


async def on_invalid(request: Request, error: Exception) -> Response:
    """What does not have the form that it should have. What was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    fields = [
        {"field": ".".join(str(part) for part in item.get("loc", ())), "problem": str(item.get("msg", ""))}
        for item in error.errors()[:50]
    ]
    return answer(422, "The request is not in the form that is expected.", fields)


async def on_trouble(request: Request, error: Exception) -> Response:
    """What cannot be done as asked, or not now."""
    if isinstance(error, DecisionError):
        return answer(409, str(error))
    if isinstance(error, StorageError):
        log.error("%s %s: %s", request.method, request.url.path, error)
        return answer(503, WHAT[503], headers={"Retry-After": "5"})
    assert isinstance(error, OpennessError)
    return answer(400, str(error))


async def on_bug(request: Request, error: Exception) -> Response:
    """A bug of ours: nothing of it is told."""
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, "Something went wrong here. Nothing was changed.")
