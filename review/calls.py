"""What a page's handler is given, and what has to be so before it is called.

    @view(role=UserRole.CURATOR, write=True)
    def defer(call: Call) -> Response: ...

    routes = [route("/questions/{slug}/{dimension}/defer", defer)]

A handler that writes is reached only by POST, from a page of ours, by a visitor with the role, with the
token of the visitor's session; what it did is committed unless it raised, and it has to say so with
`call.record`. VIEWS lists every view with its path, so that a test can try the doors of all of them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from db.audit import record
from db.review_values import UserRole
from db.session import session_scope
from pipelines.errors import DecisionError, StorageError, UsageError
from pipelines.model import JsonValue
from review.answers import FormProblem as FormProblem
from review.answers import conflict_status as conflict_status
from review.answers import error_answer as error_answer
from review.answers import local_address as local_address
from review.answers import page
from review.context import ReviewContext
from review.visitors import (
    SAID_SECONDS,
    Visitor,
    is_from_elsewhere,
    load_visitor,
    note_visitor,
    same_csrf,
    set_cookie,
    signer,
)

log = logging.getLogger(__name__)


Form = ImmutableMultiDict[str, str]
Handler = Callable[["Call"], Response]

MAX_FIELDS = 200
MAX_SAID = 300


@dataclass(slots=True, kw_only=True)
class Call:
    """One request on its way through a handler.

    `path` are the values of the address, `query` those behind its question mark, `form` those of a form, each
    the first of its name with `.get`. `session` may write where the view does.
    """

    request: Request
    context: ReviewContext
    session: Session
    visitor: Visitor
    now: datetime
    form: Form = field(default_factory=lambda: Form())
    body: bytes = b""
    was_recorded: bool = False

    @property
    def path(self) -> Mapping[str, Any]:  # what the converters of the route make of it
        return self.request.path_params

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    @property
    def address(self) -> str:
        """The client's address; behind a proxy the one that it tells."""
        return self.request.client.host if self.request.client else ""

    @property
    def is_partial(self) -> bool:
        """Does a script ask, which takes the content of the page only?"""
        return self.request.headers.get("hx-request") == "true"

    def json(self) -> JsonValue:
        """The body as JSON. Raises HTTPException 400 where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise HTTPException(400, "The body has to be JSON.") from None

    def record(self, action: str, subject: str, **detail: JsonValue) -> None:
        """Note in the audit log what is done, with who does it. In the same transaction."""
        self.was_recorded = True
        record(
            self.session,
            at=self.now,
            actor=self.visitor.name or "-",
            action=action,
            subject=subject,
            detail=detail,
            address=self.address,
        )

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """A page. Templates know `visitor`, `csrf`, `said`, `options`, `rubric`, `now`, `here`, besides the values."""
        return page(self.request, self.context, self.visitor, self.now, template, status, **values)

    def json_page(self, value: JsonValue, status: int = 200) -> Response:
        """An answer for programs."""
        return JSONResponse(value, status)

    def redirect(self, url: str, said: str | None = None) -> Response:
        """Go on with another page of ours, which tells what was done."""
        response = RedirectResponse(local_address(url), 303)
        if said:
            value = signer(self.context, "said").dumps(said[:MAX_SAID])
            set_cookie(response, self.context.options, "said", value, SAID_SECONDS)
        return response


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A handler with what it demands. Call it with a `Call` in tests of its own."""

    handler: Handler
    role: UserRole | None
    write: bool
    api: bool
    signed_in: bool
    conflict: Callable[[Call, UsageError], Response] | None

    def __call__(self, call: Call) -> Response:
        return self.handler(call)

    async def endpoint(self, request: Request) -> Response:
        """The answer to a request: read here, worked out in a thread."""
        body, form = b"", Form()
        if self.write:
            if request.headers.get("content-type", "").startswith("application/json"):
                body = await request.body()
            else:
                async with request.form(max_files=0, max_fields=MAX_FIELDS) as given:
                    form = Form([(k, v) for k, v in given.multi_items() if isinstance(v, str)])
        return await run_in_threadpool(self._answer, request, form, body)

    def _answer(self, request: Request, form: Form, body: bytes) -> Response:
        context: ReviewContext = request.app.state.context
        now = context.clock()
        nobody = Visitor(user=None, role=None, csrf="")
        visitor = nobody
        try:
            _refuse_nonsense(request, form)
            with session_scope(context.engine) as session:
                visitor = load_visitor(session, request, context, now, is_api=self.api)
                call = Call(request=request, context=context, session=session, visitor=visitor, now=now)
                refusal = self._refusal(call, form)
                if refusal is not None:
                    return refusal
                if not self.write:
                    return self.handler(call)
            return self._write(request, context, visitor, now, form, body)
        except HTTPException as error:
            return self._error(request, visitor, error.status_code, error.detail, error.headers)
        except (DecisionError, FormProblem) as error:
            return self._conflict(request, context, visitor, now, form, error)
        except UsageError as error:
            return self._error(request, visitor, 400, str(error))
        except StorageError as error:
            log.error("%s %s: %s", request.method, request.url.path, error)
            return self._error(
                request,
                visitor,
                503,
                "The database or the archive cannot be reached, or somebody else writes for long.",
                {"Retry-After": "5"},
            )
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return self._error(request, visitor, 500, "")

    def _write(
        self,
        request: Request,
        context: ReviewContext,
        visitor: Visitor,
        now: datetime,
        form: Form,
        body: bytes,
    ) -> Response:
        with session_scope(context.engine, write=True) as session:
            call = Call(
                request=request,
                context=context,
                session=session,
                visitor=visitor,
                now=now,
                form=form,
                body=body,
            )
            note_visitor(session, visitor, now)
            response = self.handler(call)
            if response.status_code < 400 and not call.was_recorded:
                raise AssertionError(f"{request.url.path} changed something and recorded nothing")
        return response

    def _refusal(self, call: Call, form: Form) -> Response | None:
        """Why the handler is not called: who asks may not, or somebody else's page asks for them."""
        visitor, request = call.visitor, call.request
        if not visitor.may(self.role) or (self.signed_in and not visitor.is_signed_in):
            if visitor.is_signed_in:
                return self._error(request, visitor, 403, f"This needs the role {self.role}.")
            if self.write or self.api:
                headers = {"WWW-Authenticate": "Bearer"} if self.api else None
                return self._error(request, visitor, 401, "Sign in first.", headers)
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return call.redirect(f"/sign-in?next={quote(back, safe='')}")
        if not self.write:
            return None
        if not visitor.may_write:
            return self._error(request, visitor, 403, "This token may only read.")
        if visitor.is_program:
            return None
        if is_from_elsewhere(request, call.context.options):
            return self._error(request, visitor, 403, "This was sent by a page of another site.")
        given = form.get("csrf") or request.headers.get("x-csrf-token", "")
        if not same_csrf(visitor.csrf, given):
            return self._error(
                request, visitor, 403, "The form has expired or is not from this desk. Go back and reload it."
            )
        return None

    def _conflict(
        self,
        request: Request,
        context: ReviewContext,
        visitor: Visitor,
        now: datetime,
        form: Form,
        error: UsageError,
    ) -> Response:
        """A decision that cannot be made (any more): the view's own page about it, or a plain one."""
        if self.conflict is None:
            return self._error(request, visitor, conflict_status(error), str(error))
        try:
            with session_scope(context.engine) as session:
                call = Call(
                    request=request, context=context, session=session, visitor=visitor, now=now, form=form
                )
                return self.conflict(call, error)
        except HTTPException as other:
            return self._error(request, visitor, other.status_code, other.detail, other.headers)

    def _error(
        self,
        request: Request,
        visitor: Visitor,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return error_answer(request, status, detail, headers, visitor=visitor, as_json=self.api)


_MOST = 2**62


def _refuse_nonsense(request: Request, form: Form) -> None:
    """What no database takes: PostgreSQL knows no text with a NUL in it, and none knows numbers so large."""
    if any(isinstance(value, int) and value > _MOST for value in request.path_params.values()):
        raise HTTPException(404)
    given = [*request.path_params.values(), *(v for pair in request.query_params.multi_items() for v in pair)]
    given += [value for pair in form.multi_items() for value in pair]
    if any(isinstance(value, str) and "\0" in value for value in given):
        raise HTTPException(400, "A NUL character is no text.")


def view(
    *,
    role: UserRole | None = UserRole.READER,
    write: bool = False,
    api: bool = False,
    signed_in: bool = False,
    conflict: Callable[[Call, UsageError], Response] | None = None,
) -> Callable[[Handler], View]:
    """Make a handler a view. `role` None: for everybody, also where reading is not public.

    `signed_in`: also where reading is public, this is about somebody. `api`: for programs; a token
    identifies them, errors are JSON. `conflict`: what is shown when the handler
    raises DecisionError or FormProblem; it gets a reading session.
    """

    def make(handler: Handler) -> View:
        return View(
            handler=handler,
            role=role,
            write=write,
            api=api,
            signed_in=signed_in or (write and role is not None),
            conflict=conflict,
        )

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A view at its address, for whoever wants to know all of them."""

    path: str
    method: str
    view: View


VIEWS: dict[tuple[str, str], Listed] = {}
"""Every view, by method and path."""


def route(path: str, of: View) -> Route:
    """A view at an address: by POST where it writes, else by GET."""
    method = "POST" if of.write else "GET"
    VIEWS[method, path] = Listed(path=path, method=method, view=of)
    return Route(path, of.endpoint, methods=[method])
