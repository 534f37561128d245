"""The package index under /pypi/NAME/json."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.wire import JSON, State, answer, base_url, json_answer, json_bytes
from sandbox.world import Thing

SEPARATORS = re.compile(r"[-_.]+")
INFO_KEYS = (
    "summary", "description", "description_content_type", "license", "license_expression", "author",
    "author_email", "maintainer", "maintainer_email", "home_page", "keywords", "requires_python",
    "requires_dist", "project_urls",
)  # fmt: skip


def routes(state: State) -> list[Route]:
    """The one route."""

    async def endpoint(request: Request) -> Response:
        asked = request.path_params["name"]
        name = SEPARATORS.sub("-", asked).lower()
        with state.world.lock:
            thing = state.world.thing(f"pypi/{name}")
            if thing is None:
                return json_answer({"message": "Not Found"}, 404)
            if asked != name:
                return RedirectResponse(f"/pypi/{name}/json", 301)
            body = json_bytes(package_json(thing, base_url(request)))
        serial = str(len(thing.facts["releases"]) * 1000 + 17)
        return answer(request, body, JSON, headers={"X-PyPI-Last-Serial": serial})

    return [Route("/pypi/{name}/json", endpoint)]


def package_json(thing: Thing, base: str) -> dict[str, Any]:
    """A package as the index shows it. `Any`: JSON of many types."""
    facts = thing.facts
    name = thing.key.removeprefix("pypi/")
    releases = {
        str(release["version"]): [_file(name, release, base)] if not release.get("empty") else []
        for release in facts["releases"]
    }
    newest = str(facts["releases"][-1]["version"])
    info = {key: facts.get(key) for key in INFO_KEYS}
    info.update(
        name=facts.get("name", name),
        version=newest,
        classifiers=list(facts.get("classifiers", [])),
        package_url=f"{base}/project/{name}/",
        project_url=f"{base}/project/{name}/",
        release_url=f"{base}/project/{name}/{newest}/",
        yanked=bool(facts["releases"][-1].get("yanked")),
        yanked_reason=None,
        downloads={"last_day": -1, "last_month": -1, "last_week": -1},
    )
    return {
        "info": info,
        "last_serial": len(releases) * 1000 + 17,
        "releases": releases,
        "urls": releases[newest],
        "vulnerabilities": [],
    }


def _file(name: str, release: dict[str, Any], base: str) -> dict[str, Any]:
    filename = f"{name.replace('-', '_')}-{release['version']}-py3-none-any.whl"
    return {
        "filename": filename,
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "size": 48_000,
        "upload_time": str(release["date"]).removesuffix("Z"),
        "upload_time_iso_8601": str(release["date"]),
        "url": f"{base}/packages/{filename}",
        "yanked": bool(release.get("yanked")),
        "yanked_reason": None,
    }
