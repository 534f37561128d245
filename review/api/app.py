"""The API as an application of its own, which the desk mounts under /api/v1."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from pipelines.errors import OpennessError
from review.api import data, deciding
from review.api.asking import CONTEXT, on_bug, on_http, on_invalid, on_trouble
from review.api.shapes import AsciiJson

DESCRIPTION = """Queue, decisions, ratings and evidence of an openness index.

Programs send `Authorization: Bearer TOKEN`; tokens are made on the account page or by `openness user token`.
A token may read, or read and write as far as the role of its account goes. Scripts of the desk's own pages use
the session's cookie and repeat its token in `X-CSRF-Token`."""


@cache
def api_app() -> FastAPI:
    """The application. It keeps nothing: every request brings the desk's context."""
    app = FastAPI(
        title="openness review desk",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        default_response_class=AsciiJson,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: on_http,
            RequestValidationError: on_invalid,
            OpennessError: on_trouble,
            Exception: on_bug,
        },
    )
    app.include_router(deciding.router)
    app.include_router(data.router)
    made = app.openapi

    def described() -> dict[str, Any]:  # an OpenAPI document has no type
        document = made()
        document["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "openness-session"},
        }
        document["security"] = [{"token": []}, {"session": []}]
        return document

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's own documents do it
    return app


async def serve_api(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a request to the API, with the context of the desk that it was sent to."""
    context = scope["app"].state.context
    await api_app()({**scope, CONTEXT: context}, receive, send)
