"""The model Hub under /hf: what there is of a model or dataset, lists of them, and their files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.documents import parse_front_matter
from sandbox.limits import Bucket
from sandbox.wire import (
    JSON,
    Endpoint,
    State,
    answer,
    base_url,
    is_known,
    is_refused,
    json_answer,
    json_bytes,
    token_of,
)
from sandbox.world import Thing

PREFIX = "/hf"
LIST_LIMIT = 1000
ARXIV_LINK = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")

# What the Hub gives of a model or dataset: JSON of many types.
Json = dict[str, Any]


class Problem(Exception):
    """An answer that is not the thing asked for, with the Hub's own code for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Address:
    """Where a path leads: the kind (`models` or `datasets`), the thing's id, and the rest of the path."""

    kind: str
    id: str
    rest: tuple[str, ...]


def routes(state: State) -> list[Route]:
    """All routes of the Hub."""
    hub = Hub(state)
    return [
        Route(PREFIX + "/api/{kind:str}", hub.guarded(hub.listing, "api")),
        Route(PREFIX + "/api/resolve-cache/{path:path}", hub.guarded(hub.cached, "resolvers")),
        Route(PREFIX + "/api/{kind:str}/{path:path}", hub.guarded(hub.api, "api")),
        Route(PREFIX + "/{path:path}", hub.guarded(hub.file, "resolvers")),
    ]


class Hub:
    """The handlers, and what every one of them needs done before and after."""

    def __init__(self, state: State) -> None:
        self.state = state

    def guarded(self, handler: Callable[[Request], Response], policy: str) -> Endpoint:
        """Token and rate limit before a handler, the Hub's headers after it. A 304 counts."""

        async def endpoint(request: Request) -> Response:
            token = token_of(request)
            bucket = self.state.limits.bucket(f"hub.{policy}", token)
            if is_refused(token):
                response = _problem(401, "", "Invalid credentials in Authorization header")
            elif bucket.remaining == 0:
                response = _problem(429, "", "You have reached the rate limit of the sandbox.")
                response.headers["Retry-After"] = str(bucket.resets_in)
            else:
                bucket.spent += 1
                response = self.respond(handler, request)
            response.headers.update(_limit_headers(bucket, policy))
            return response

        return endpoint

    def respond(self, handler: Callable[[Request], Response], request: Request) -> Response:
        """Run a handler and word its problems."""
        try:
            with self.state.world.lock:
                return handler(request)
        except Problem as error:
            return _problem(error.status, error.code, error.message)
        except ValueError:
            return _problem(400, "", "Invalid query parameter")

    def listing(self, request: Request) -> Response:
        """/api/models and /api/datasets: filtered, sorted, in pages that a Link header leads on to."""
        kind = request.path_params["kind"]
        if kind not in ("models", "datasets"):
            raise Problem(404, "", "There is no such page.")
        query = request.query_params
        found = [thing for thing in self.state.world.below(f"hub/{kind}/") if _matches(thing, query)]
        order = query.get("sort", "trendingScore")
        newest_first = query.get("direction", "-1") == "-1"
        found.sort(key=lambda thing: _sort_key(thing, order), reverse=newest_first)
        start = int(unquote(query.get("cursor", "0")))
        size = max(1, min(LIST_LIMIT, int(query.get("limit", LIST_LIMIT))))
        shown = [info_json(thing) for thing in found[start : start + size]]
        if asked := query.getlist("expand"):
            some = [_expanded(value, asked) for value in shown]
        else:
            some = [_listed(value, _is_true(query, "full"), _is_true(query, "cardData")) for value in shown]
        headers = {}
        if start + size < len(found):
            here = f"{base_url(request)}{request.url.path}"
            pairs = [pair for pair in query.multi_items() if pair[0] != "cursor"]
            following = urlencode([*pairs, ("cursor", start + size)])
            headers["Link"] = f'<{here}?{following}>; rel="next"'
        return answer(request, json_bytes(some), JSON, headers=headers, weak=True)

    def api(self, request: Request) -> Response:
        """/api/models/ID and what lies under it."""
        kind = request.path_params["kind"]
        parts = request.path_params["path"].strip("/").split("/")
        if kind not in ("models", "datasets"):
            raise Problem(404, "", "There is no such page.")
        address = self.locate(kind, parts, ("revision", "tree", "refs"))
        thing = self.find(request, address)
        if isinstance(thing, Response):
            return thing
        match address.rest:
            case ():
                return self.info(request, thing)
            case ("revision", revision):
                _check_revision(thing, unquote(revision))
                return self.info(request, thing)
            case ("tree", revision, *folder):
                _check_revision(thing, unquote(revision))
                return answer(request, json_bytes(_tree(thing, "/".join(folder))), JSON, weak=True)
            case ("refs",):
                branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": _sha(thing)}
                return json_answer({"branches": [branch], "tags": [], "converts": []})
            case _:
                raise Problem(404, "", "There is no such page.")

    def info(self, request: Request, thing: Thing) -> Response:
        """What there is of a model or dataset; its sizes with `blobs`."""
        value = info_json(thing, blobs=_is_true(request.query_params, "blobs"))
        if asked := request.query_params.getlist("expand"):
            value = _expanded(value, asked)
        return answer(request, json_bytes(value), JSON, headers={"X-Repo-Commit": _sha(thing)}, weak=True)

    def file(self, request: Request) -> Response:
        """/ID/resolve/REV/PATH and /datasets/ID/resolve/REV/PATH; `raw` likewise."""
        parts = request.path_params["path"].split("/")
        kind = "models"
        if parts[0] == "datasets":
            kind, parts = "datasets", parts[1:]
        address = self.locate(kind, parts, ("resolve", "raw"))
        thing = self.find(request, address)
        if isinstance(thing, Response):
            return thing
        if len(address.rest) < 3:
            raise Problem(404, "", "There is no such page.")
        _, revision, *path = address.rest
        _check_revision(thing, unquote(revision))
        return self.send(request, thing, "/".join(path), redirect=self.state.hub_redirect)

    def cached(self, request: Request) -> Response:
        """Where small files are redirected to while `hub_redirect` is set."""
        kind, *parts = request.path_params["path"].split("/")
        address = self.locate(kind, parts, ())
        for take in (2, 1):
            thing = self.state.world.thing(f"hub/{kind}/{'/'.join(parts[:take])}")
            if thing is not None and len(parts) > take + 1:
                return self.send(request, thing, "/".join(parts[take + 1 :]), redirect=False)
        raise Problem(404, "RepoNotFound", f"no repository {address.id}")

    def send(self, request: Request, thing: Thing, path: str, *, redirect: bool) -> Response:
        """A file with the headers that the Hub's clients read."""
        if thing.facts.get("gated") and path not in ("README.md", ".gitattributes"):
            message = f"Access to {_id(thing)} is restricted. You must be authorised to access it."
            raise Problem(403 if token_of(request) else 401, "GatedRepo", message)
        document = thing.files.get(path)
        if document is None:
            raise Problem(404, "EntryNotFound", "Entry not found")
        if redirect and not document.is_lfs:
            kind = thing.key.split("/")[1]
            where = f"{PREFIX}/api/resolve-cache/{kind}/{_id(thing)}/{_sha(thing)}/{quote(path)}"
            return RedirectResponse(where, 307, {"X-Repo-Commit": _sha(thing)})
        etag = f'"{document.lfs_oid if document.is_lfs else document.pointer_sha()}"'
        headers = {"X-Repo-Commit": _sha(thing), "ETag": etag, "Accept-Ranges": "bytes"}
        if document.is_lfs:
            headers.update({"X-Linked-Size": str(document.size), "X-Linked-ETag": etag})
        if is_known(request, etag):
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(document.size)
        is_text = path.endswith((".md", ".txt", ".json", ".py", ".yaml")) or "." not in path
        media_type = "text/plain; charset=utf-8" if is_text else "application/octet-stream"
        if request.method == "HEAD":
            return Response(None, 200, headers, media_type=media_type)
        return StreamingResponse(document.chunks(), 200, headers, media_type=media_type)

    def locate(self, kind: str, parts: list[str], marks: tuple[str, ...]) -> Address:
        """Split a path into the id, of one or two names, and the rest, which begins with a mark."""
        for take in (1, 2):
            if len(parts) > take and parts[take] in marks:
                return Address(kind, "/".join(parts[:take]), tuple(parts[take:]))
        return Address(kind, "/".join(parts[:2]), tuple(parts[2:]))

    def find(self, request: Request, address: Address) -> Thing | Response:
        """The thing of an address, or the redirect to its new name."""
        thing = self.state.world.thing(f"hub/{address.kind}/{address.id}")
        if thing is None or thing.facts.get("private"):
            if token_of(request):
                raise Problem(404, "RepoNotFound", "Repository not found")
            raise Problem(401, "RepoNotFound", "Invalid username or password.")
        if thing.facts.get("moved_to"):
            path = request.url.path.replace(address.id, thing.facts["moved_to"], 1)
            return RedirectResponse(path + (f"?{request.url.query}" if request.url.query else ""), 307)
        if thing.facts.get("disabled"):
            raise Problem(403, "DisabledRepo", "Access to this resource is disabled.")
        return thing


def info_json(thing: Thing, *, blobs: bool = False) -> Json:
    """A model or dataset as the Hub shows it; tags are derived from the card as the Hub derives them."""
    facts = thing.facts
    is_model = thing.key.startswith("hub/models/")
    readme = thing.files.get("README.md")
    text = readme.read().decode("utf-8", "replace") if readme else ""
    card = parse_front_matter(text)
    name = _id(thing)
    siblings: list[Json] = []
    for path, document in sorted(thing.files.items()):
        line: Json = {"rfilename": path}
        if blobs:
            line.update({"size": document.size, "blobId": document.pointer_sha()})
            if document.is_lfs:
                line["lfs"] = {"sha256": document.lfs_oid, "size": document.size, "pointerSize": 135}
        siblings.append(line)
    value: Json = {
        "_id": _sha(thing)[:24],
        "id": name,
        "author": name.split("/")[0] if "/" in name else None,
        "sha": _sha(thing),
        "lastModified": _milliseconds(thing.facts.get("last_modified")),
        "createdAt": _milliseconds(facts.get("created_at")),
        "private": False,
        "gated": facts.get("gated", False),
        "disabled": False,
        "downloads": int(facts.get("downloads", 0)),
        "likes": int(facts.get("likes", 0)),
        "trendingScore": int(facts.get("likes", 0)) % 17,
        "tags": _tags(thing, card or {}, text),
        "siblings": siblings,
    }
    if card is not None:
        value["cardData"] = card
    if is_model:
        value["modelId"] = name
        for key, fallback in (("pipeline_tag", None), ("library_name", None), ("inference", None)):
            found = facts.get(key, (card or {}).get(key, fallback) if key != "inference" else None)
            if found is not None:
                value[key] = found
    return value


def _tags(thing: Thing, card: Json, text: str) -> list[str]:
    is_model = thing.key.startswith("hub/models/")
    tags = [str(tag) for tag in _listify(card.get("tags"))]
    if is_model:
        tags += [str(card[key]) for key in ("library_name", "pipeline_tag") if card.get(key)]
        tags += [f"dataset:{name}" for name in _listify(card.get("datasets"))]
        tags += [f"base_model:{name}" for name in _listify(card.get("base_model"))]
        tags += [str(language) for language in _listify(card.get("language"))]
    else:
        tags += [f"language:{language}" for language in _listify(card.get("language"))]
        tags += [f"task_categories:{name}" for name in _listify(card.get("task_categories"))]
        tags += [f"size_categories:{name}" for name in _listify(card.get("size_categories"))]
    tags += [f"license:{name}" for name in _listify(card.get("license"))]
    tags += [f"arxiv:{number}" for number in ARXIV_LINK.findall(text)]
    return list(dict.fromkeys([*tags, "region:us"]))


def _listed(value: Json, full: bool, card: bool) -> Json:
    """What of an entry a list shows."""
    hidden = {"_id"} if full else {"_id", "sha", "lastModified", "siblings", "gated", "disabled", "author"}
    if not card:
        hidden = hidden | {"cardData"}
    return {key: part for key, part in value.items() if key not in hidden}


def _expanded(value: Json, asked: list[str]) -> Json:
    """What was asked for by name, and what the Hub always shows."""
    return {key: part for key, part in value.items() if key in {"_id", "id", *asked}}


def _is_true(query: QueryParams, name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _matches(thing: Thing, query: QueryParams) -> bool:
    name = _id(thing)
    if thing.facts.get("private") or thing.facts.get("moved_to"):
        return False
    if "author" in query and name.split("/")[0].lower() != query["author"].lower():
        return False
    if "search" in query and query["search"].lower() not in name.lower():
        return False
    value = info_json(thing)
    if "pipeline_tag" in query and value.get("pipeline_tag") != query["pipeline_tag"]:
        return False
    wanted = [tag for text in query.getlist("filter") for tag in text.split(",") if tag]
    return all(tag in value["tags"] for tag in wanted)


def _sort_key(thing: Thing, order: str) -> tuple[Any, str]:
    names = {"lastModified": "last_modified", "last_modified": "last_modified", "createdAt": "created_at"}
    name = names.get(order, order)
    if name in ("last_modified", "created_at"):
        return str(thing.facts.get(name, "")), thing.key
    return int(thing.facts.get("downloads" if name == "downloads" else "likes", 0)), thing.key


def _tree(thing: Thing, folder: str) -> list[Json]:
    prefix = f"{folder.strip('/')}/" if folder else ""
    return [
        {"type": "file", "path": path, "size": document.size, "oid": document.pointer_sha()}
        for path, document in sorted(thing.files.items())
        if path.startswith(prefix)
    ]


def _check_revision(thing: Thing, revision: str) -> None:
    if revision not in ("main", "HEAD", "refs/heads/main", _sha(thing)):
        raise Problem(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def _id(thing: Thing) -> str:
    return thing.key.split("/", 2)[2]


def _sha(thing: Thing) -> str:
    return thing.commits[-1].sha if thing.commits else "0" * 40


def _milliseconds(moment: str | None) -> str | None:
    return moment.replace("Z", ".000Z") if moment else None


def _listify(value: Any) -> list[Any]:  # front matter holds a name or a list of names
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _problem(status: int, code: str, message: str) -> Response:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return json_answer({"error": message}, status, headers)


def _limit_headers(bucket: Bucket, policy: str) -> dict[str, str]:
    window, amount = bucket.limit.window, bucket.limit.amount
    return {
        "RateLimit": f'"{policy}";r={bucket.remaining};t={bucket.resets_in}',
        "RateLimit-Policy": f'"fixed window";"{policy}";q={amount};w={window}',
    }
