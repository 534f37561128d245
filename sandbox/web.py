"""Pages of the open web under /web/SCHEME/HOST/PATH?QUERY.

A page is kept under its address. One kept as https is also given for http, and one with a slash at the
end is redirected to from the address without it, and the other way round. A page's facts: `status`
(200), `type` (text/html; charset=utf-8), `location` (for a 3xx: the address or path that it leads to),
`changing` (false): words such as @@visitors@@ are other ones in every answer, as listed in `_noise`.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.wire import TEXT, State, answer
from sandbox.world import FIRST_NIGHT, Thing

HTML = "text/html; charset=utf-8"
PREFIX = "/web/"


def routes(state: State) -> list[Route]:
    """The one route."""

    async def endpoint(request: Request) -> Response:
        raw = request.scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
        scheme, _, rest = raw.partition("/")
        host, slash, path = rest.partition("/")
        if scheme not in ("http", "https") or not host:
            return Response("no such page\n", 404, media_type=TEXT)
        query = f"?{request.url.query}" if request.url.query else ""
        with state.world.lock:
            return respond(state, request, scheme, f"{host.lower()}{slash or '/'}{path}{query}")

    return [Route(PREFIX + "{path:path}", endpoint)]


def respond(state: State, request: Request, scheme: str, rest: str) -> Response:
    """The page at `scheme://rest`."""
    thing = find_page(state, rest)
    if thing is not None:
        if thing.facts.get("changing"):
            state.answered[thing.key] = state.answered.get(thing.key, 0) + 1
        return send_page(request, thing, state.answered.get(thing.key, 0))
    other = rest.removesuffix("/") if rest.endswith("/") else f"{rest}/"
    if "?" not in rest and find_page(state, other) is not None:
        return Response(status_code=301, headers={"Location": f"{PREFIX}{scheme}/{other}"})
    return Response("<!DOCTYPE html><title>Not found</title><h1>Not found</h1>", 404, media_type=HTML)


def find_page(state: State, rest: str) -> Thing | None:
    """A page by its address without the scheme."""
    return state.world.thing(f"https://{rest}") or state.world.thing(f"http://{rest}")


def send_page(request: Request, thing: Thing, answered: int = 0) -> Response:
    """A page with the status that its facts give it. `answered`: how often a changing one was asked for."""
    facts = thing.facts
    status = int(facts.get("status", 200))
    media_type = str(facts.get("type", HTML))
    page = thing.files.get("page")
    body = page.read() if page else b""
    for name, word in _noise(thing.key, answered).items() if facts.get("changing") else ():
        body = body.replace(f"@@{name}@@".encode(), word.encode())
    if status != 200:
        headers = {"Location": str(facts["location"])} if "location" in facts else {}
        response = Response(body, status, headers)
        response.headers["content-type"] = media_type
        return response
    return answer(request, body, media_type, modified=facts.get("last_modified"))


def _noise(key: str, answered: int) -> dict[str, str]:
    """What changes in a page by itself, for the answer of that number."""
    digest = hashlib.sha256(f"{key} {answered}".encode()).hexdigest()
    moment = FIRST_NIGHT + timedelta(hours=7 * answered, seconds=13 * answered)
    return {
        "key": digest[:24],
        "visitors": f"{997 + 17 * answered:,}",
        "clock": f"{moment:%d %B %Y at %H:%M:%S} UTC",
        "ago": ("just now", "a minute ago", f"{answered} hours ago")[answered % 3],
        "banner": ("Seats left in the autumn school!", "Meet us at the fair.", "New posters in our shop")[
            answered % 3
        ],
        "seconds": f"0.0{digest[:2]}".translate(str.maketrans("abcdef", "123456")),
    }
