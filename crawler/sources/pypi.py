"""Packages at a Python package index, by its JSON interface, one request after the other.

Part: `metadata`, a fixed selection; download counts and serial numbers are left out, they say
nothing about openness and change daily.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from crawler.adapter import PatientAdapter
from crawler.http import (
    MEBIBYTE,
    Answer,
    Meter,
    TransportRules,
    Unread,
    address,
    looks_like_json,
    lower_keys,
    same_host,
    unread_status,
)
from crawler.limits import Budget, Door
from crawler.sources.base import Allowance, Usage
from crawler.sources.parts import Reporter
from pipelines.model import (
    ArtifactKind,
    Capture,
    JsonValue,
    Visit,
    VisitRequest,
    VisitStatus,
    canonical_json,
)

MAIN_PART = "metadata"
LARGEST_ANSWER = 32 * MEBIBYTE
"""Bytes. The answer lists every file of every release: some packages have thousands."""

LONGEST_DESCRIPTION = 20_000
"""Characters of the description that are kept."""

_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")
_SEPARATORS = re.compile(r"[-_.]+")
_MOST_REDIRECTS = 3
_KEPT = (
    "name",
    "version",
    "summary",
    "license",
    "license_expression",
    "classifiers",
    "author",
    "author_email",
    "maintainer",
    "home_page",
    "project_url",
    "project_urls",
    "requires_python",
    "yanked",
)


def normal_name(name: str) -> str:
    """The one spelling of a project's name that the index uses in addresses."""
    return _SEPARATORS.sub("-", name).lower()


def canonical_metadata(value: JsonValue) -> bytes:
    """The document `metadata`. A release is dated by its first file and yanked when all its files are."""
    info = value["info"]
    kept: dict[str, JsonValue] = {key: info.get(key) for key in _KEPT}
    description = info.get("description")
    kept["description"] = description[:LONGEST_DESCRIPTION] if isinstance(description, str) else None
    listed = value.get("releases")
    releases = [
        _release(version, files) for version, files in (listed if isinstance(listed, dict) else {}).items()
    ]
    releases.sort(key=lambda release: (release["upload_time"] or "", release["version"]))
    return canonical_json({"info": kept, "releases": releases})


def _release(version: str, files: JsonValue) -> dict[str, JsonValue]:
    rows = [row for row in files if isinstance(row, dict)] if isinstance(files, list) else []
    times = [
        time
        for row in rows
        if isinstance(time := row.get("upload_time_iso_8601") or row.get("upload_time"), str)
    ]
    return {
        "version": version,
        "upload_time": min(times, default=None),
        "yanked": bool(rows) and all(row.get("yanked") is True for row in rows),
    }


class _Adapter(PatientAdapter):
    """Asks again where an answer is noise."""

    def check(self, request: requests.PreparedRequest, answer: Answer) -> None:
        if answer.status == 200 and not looks_like_json(answer.body):
            where = address(request.url or "")
            raise Unread(VisitStatus.FAILED, f"the answer of {where} is not JSON", again=True)


class PyPISource:
    """Reads packages; `base_url` is the index's address, with or without /pypi at its end.

    `max_wait` is the longest wait in seconds that the index may ask for.
    """

    name = "pypi"
    kinds = frozenset({ArtifactKind.PYPI})

    def __init__(
        self,
        *,
        base_url: str,
        user_agent: str,
        clock: Callable[[], datetime],
        max_wait: float | None = None,
        rules: TransportRules | None = None,
    ) -> None:
        self._base = base_url.rstrip("/").removesuffix("/pypi")
        self._clock = clock
        rules = (rules or TransportRules(user_agent=user_agent)).with_bytes(LARGEST_ANSWER)
        self._rules = replace(
            rules, user_agent=user_agent, max_wait=rules.max_wait if max_wait is None else max_wait
        )
        self._meter = Meter()
        self._door = Door(clock, "the package index", self._rules.max_wait)
        budget = Budget(self._door, clock, lambda limit: "the package index's limit is used up")
        self._session = requests.Session()
        # An address with a password in it, or a .netrc, must not make us send one.
        self._session.auth = _without_password
        adapter = _Adapter(self._rules, self._meter, clock, budget)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def fetch_allowance(self) -> Allowance | None:
        """Package indexes name no limit."""
        return None

    @property
    def usage(self) -> Usage:
        return self._meter.usage

    def close(self) -> None:
        self._door.leave()
        self._session.close()

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        for request in requests:
            yield self._visit_one(Reporter(request=request, clock=self._clock))

    def _visit_one(self, reporter: Reporter) -> Visit:
        name = normal_name(reporter.request.ref.id)
        public = f"{address(self._base)}/project/{name}/"
        known = reporter.known(MAIN_PART)
        try:
            if not _NAME.match(reporter.request.ref.id):
                raise Unread(VisitStatus.FAILED, "not the name of a package")
            answer = self._fetch(self._url(name), known.etag if known else "")
            if answer.status == 304:
                return reporter.unchanged(MAIN_PART, public, 304)
            value = _parsed(answer, self._url(name))
            capture = Capture(
                body=canonical_metadata(value),
                media_type="application/json",
                etag=answer.headers.get("etag", ""),
                last_modified=answer.headers.get("last-modified", ""),
                token=answer.headers.get("x-pypi-last-serial", ""),
            )
        except Unread as error:
            return reporter.unread(MAIN_PART, public, error)
        return reporter.read(MAIN_PART, _told_url(value) or public, capture)

    def _url(self, name: str) -> str:
        return f"{self._base}/pypi/{name}/json"

    def _fetch(self, url: str, etag: str) -> Answer:
        headers = {"User-Agent": self._rules.user_agent, "Accept": "application/json"}
        if etag:
            headers["If-None-Match"] = etag
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                response = self._session.get(url, headers=headers, allow_redirects=False)
            except (requests.RequestException, ValueError) as error:
                reason = self._rules.say(f"asking {address(url)} failed: {type(error).__name__}")
                raise Unread(VisitStatus.FAILED, reason) from error
            answer = Answer(
                status=response.status_code, headers=lower_keys(response.headers), body=response.content
            )
            if answer.status in (200, 304):
                return answer
            if answer.status not in (301, 302, 303, 307, 308):
                raise unread_status(answer.status, url, self._rules)
            target = urljoin(url, answer.headers.get("location", ""))
            if not same_host(url, target):
                raise Unread(VisitStatus.FAILED, f"{address(url)} redirects to another host")
            url = target
        raise Unread(VisitStatus.FAILED, f"more than {_MOST_REDIRECTS} redirects from {address(url)}")


def _parsed(answer: Answer, url: str) -> JsonValue:
    """The answer as JSON, with a named project in it."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} is not JSON") from error
    info = value.get("info") if isinstance(value, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("name"), str):
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} has not the form it should have")
    return value


def _told_url(value: JsonValue) -> str | None:
    """The page of the package as the index itself names it."""
    url = value["info"].get("package_url")
    return url if isinstance(url, str) and urlsplit(url).scheme in ("http", "https") else None


def _without_password(request: requests.PreparedRequest) -> Any:
    return request
