"""What all services of the sandbox share: the state they answer from, and the form of answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from sandbox.limits import Limits
from sandbox.world import World

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

T = TypeVar("T")
Headers = Mapping[str, str]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True, kw_only=True)
class State:
    """What the services answer from; its fields may be changed while they serve."""

    world: World
    limits: Limits = field(default_factory=Limits)
    tree_limit: int = 100_000
    hub_redirect: bool = False
    answered: dict[str, int] = field(default_factory=dict)


def token_of(request: Request) -> str | None:
    """The token a request carries, in any of the forms that the services take."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() in ("bearer", "token", "basic") else None


def is_refused(token: str | None) -> bool:
    """Tokens are made up by whoever asks; those beginning with `bad` are not accepted."""
    return token is not None and token.startswith("bad")


def base_url(request: Request) -> str:
    """The address under which the request found this server, without a path."""
    return f"{request.url.scheme}://{request.url.netloc}"


def json_bytes(value: Any) -> bytes:
    """JSON as the services send it. `Any`: whatever can be JSON."""
    return json.dumps(value, ensure_ascii=False).encode()


def json_answer(value: Any, status: int = 200, headers: Headers | None = None) -> Response:
    """A JSON answer without validators."""
    return Response(json_bytes(value), status, dict(headers or {}), media_type=JSON)


def answer(
    request: Request,
    body: bytes,
    media_type: str,
    *,
    headers: Headers | None = None,
    modified: str | None = None,
    weak: bool = False,
) -> Response:
    """A 200 with an ETag of its bytes, or a 304 where the request already has them.

    `modified` is an ISO time; If-Modified-Since counts only without If-None-Match.
    """
    etag = f'"{hashlib.sha256(body).hexdigest()[:40]}"'
    own = {**(headers or {}), "ETag": f"W/{etag}" if weak else etag}
    since = None
    if modified is not None:
        moment = datetime.fromisoformat(modified.replace("Z", "+00:00"))
        since = own["Last-Modified"] = format_datetime(moment, usegmt=True)
    if is_known(request, etag, since):
        return Response(status_code=304, headers=own)
    response = Response(body, 200, own)
    response.headers["content-type"] = media_type
    return response


def is_known(request: Request, etag: str, last_modified: str | None = None) -> bool:
    """Does the request say that it holds this version?"""
    known = request.headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in known.split(",")}
    return last_modified is not None and request.headers.get("if-modified-since") == last_modified


def paged(
    request: Request, items: Sequence[T], *, most: int = 100, default: int = 30
) -> tuple[list[T], dict[str, str]]:
    """One page of a list by `page` and `per_page`, and the Link header that leads to its neighbours.

    Raises ValueError where a number is none.
    """
    size = max(1, min(most, int(request.query_params.get("per_page", default))))
    page = max(1, int(request.query_params.get("page", 1)))
    last = max(1, -(-len(items) // size))
    links = []
    if page > 1:
        links += [(page - 1, "prev"), (1, "first")]
    if page < last:
        links += [(page + 1, "next"), (last, "last")]
    header = ", ".join(f'<{request.url.include_query_params(page=to)}>; rel="{rel}"' for to, rel in links)
    return list(items[(page - 1) * size : page * size]), {"Link": header} if header else {}
