"""The API for programs, under /api/v1."""

from __future__ import annotations

from starlette.routing import Mount

from review.api.app import serve_api

routes = [Mount("/api/v1", app=serve_api)]
