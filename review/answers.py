"""Pages for a visitor, and what is said where something went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipelines.errors import UsageError
from review.context import ReviewContext
from review.templating import render
from review.visitors import Visitor, csrf_of_visit, drop_cookie, new_visit, said_before, set_cookie


class FormProblem(UsageError):
    """What was sent cannot be taken as it is. Nothing was written; the page says so, with what was sent kept."""


def local_address(url: str, otherwise: str = "/") -> str:
    """An address within the desk; another one where it is none. Nobody is sent elsewhere by a link to us."""
    if not url.startswith("/") or url[1:2] in ("/", "\\") or not url.isprintable() or len(url) > 4000:
        return otherwise
    return quote(url, safe="/?&=%:@!$'()*+,;#~-._")


def page(
    request: Request,
    context: ReviewContext,
    visitor: Visitor,
    now: datetime,
    template: str,
    status: int = 200,
    **values: object,
) -> Response:
    """A page for a visitor."""
    visit = "" if visitor.is_signed_in or visitor.csrf else new_visit()
    said = said_before(request, context)
    shared: dict[str, object] = {
        "visitor": visitor,
        "csrf": csrf_of_visit(context, visit) if visit else visitor.csrf,
        "said": said,
        "options": context.options,
        "rubric": context.rubric,
        "now": now,
        "here": request.url.path,
    }
    response = HTMLResponse(render(template, shared | values), status)
    response.headers["Vary"] = "Cookie, HX-Request"
    if visit:
        set_cookie(response, context.options, "visit", visit, None)
    if said:
        drop_cookie(response, context.options, "said")
    return response


def conflict_status(error: UsageError) -> int:
    """The HTTP status: what was sent has a mistake, or somebody was quicker."""
    return 422 if isinstance(error, FormProblem) else 409


_HEADINGS = {
    400: "This cannot be done as asked",
    401: "Sign in first",
    403: "This is not allowed",
    404: "There is no such page",
    405: "This page cannot be asked in that way",
    409: "Somebody was quicker",
    410: "This is gone",
    422: "This cannot be taken as it is",
    413: "This is too much at once",
    429: "Too many tries",
    503: "Not just now",
}


def error_answer(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    visitor: Visitor | None = None,
    as_json: bool = False,
) -> Response:
    """What went wrong, as a page or for programs. Never tells more than the sentence that it is given."""
    heading = _HEADINGS.get(status, "Something went wrong")
    if detail.lower() in ("not found", "method not allowed", "bad request"):
        detail = ""
    if as_json:
        return JSONResponse(
            {"error": {"status": status, "detail": detail or heading}}, status, headers=dict(headers or {})
        )
    context: ReviewContext = request.app.state.context
    response = page(
        request,
        context,
        visitor or Visitor(user=None, role=None, csrf=""),
        context.clock(),
        "error.html",
        status,
        heading=heading,
        detail=detail,
        code=status,
    )
    response.headers.update(headers or {})
    return response
