"""The desk as an ASGI application."""

from __future__ import annotations

import importlib
import pkgutil

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

import review.routes
from pipelines.rules import all_rules
from review.calls import error_answer
from review.context import ReviewContext
from review.frame import Frame
from review.static_files import static_route
from review.templating import compile_templates


def create_app(context: ReviewContext) -> Starlette:
    """The desk. It holds nothing but its context: any number of them may run over one database."""
    app = Starlette(
        routes=[static_route, *_routes()],
        middleware=[Middleware(Frame, options=context.options)],
        exception_handlers={HTTPException: _refuse},
    )
    app.state.context = context
    # Whoever comes first need not wait for what is done once.
    compile_templates()
    all_rules()
    return app


def _routes() -> list[BaseRoute]:
    """The routes of every module of `review.routes`, in the order of their names."""
    found: list[BaseRoute] = []
    for module in pkgutil.iter_modules(review.routes.__path__):
        found += importlib.import_module(f"review.routes.{module.name}").routes
    return found


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    as_json = request.url.path.startswith("/api/")
    return error_answer(request, error.status_code, error.detail, error.headers, as_json=as_json)
