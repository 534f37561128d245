"""Style, script and icon: read once, named with their digest, so that browsers may keep them for good."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from pipelines.model import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that browsers are given. `path` has its digest in the name."""

    path: str
    body: bytes
    media_type: str


@cache
def load_assets() -> dict[str, Asset]:
    """Every file of `review/static`, by its name there."""
    found = {}
    for name, file in _files(resources.files("review") / "static", ""):
        stem, dot, suffix = name.rpartition(".")
        if f"{dot}{suffix}" not in _MEDIA_TYPES:
            continue
        body = file.read_bytes()
        path = f"{stem}.{digest_bytes(body)[:12]}{dot}{suffix}"
        found[name] = Asset(path=path, body=body, media_type=_MEDIA_TYPES[f"{dot}{suffix}"])
    return found


def asset_path(name: str) -> str:
    """The address of a file, such as `/static/desk.0123456789ab.css`. KeyError for a file that is not there."""
    return f"/static/{load_assets()[name].path}"


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files(file, f"{prefix}{file.name}/")
        else:
            yield f"{prefix}{file.name}", file


@cache
def _by_path() -> dict[str, Asset]:
    return {asset.path: asset for asset in load_assets().values()}


async def _serve(request: Request) -> Response:
    asset = _by_path().get(request.path_params["path"])
    if asset is None:
        raise HTTPException(404)
    return Response(asset.body, media_type=asset.media_type, headers={"Cache-Control": _FOREVER})


static_route = Route("/static/{path:path}", _serve, methods=["GET"])
