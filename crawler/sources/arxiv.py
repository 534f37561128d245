"""Preprints at arXiv, by its query interface.

Part: `entry`, a fixed selection of what the feed says. Up to a hundred papers are asked for in one
query, and queries are three seconds apart, as arXiv's terms of use ask. There are no conditional
requests here: an entry is unchanged when its canonical bytes are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urljoin

import arxiv  # type: ignore[import-untyped]
import requests

from crawler.http import (
    MEBIBYTE,
    Answer,
    Meter,
    PatientAdapter,
    TransportRules,
    Unread,
    address,
    same_host,
    unread_status,
)
from crawler.sources.base import Usage
from crawler.sources.parts import Reporter
from pipelines.model import ArtifactKind, Capture, Visit, VisitRequest, VisitStatus, canonical_json

MAIN_PART = "entry"
PUBLIC_PAGE = "https://arxiv.org/abs/"
IDS_A_QUERY = 100
LARGEST_ANSWER = 16 * MEBIBYTE

_MOST_REDIRECTS = 3

_ID = re.compile(
    r"""
    ^(?:
        \d{4}\.\d{4,5}                        # 2301.00001
      | [a-z][a-z-]*(?:\.[A-Za-z]{2})?/\d{7}   # cs/0112017, math.GT/0309136
    )$
    """,
    re.VERBOSE,
)
_VERSION = re.compile(r"v(\d+)$")
_ENTRY = re.compile(r"^https?://[^/]+/abs/(?P<id>.+?)(?:v(?P<version>\d+))?$")
_FEED = re.compile(rb"<feed[\s>]")


def normal_id(identifier: str) -> str:
    """An arXiv number without version and prefix."""
    return _VERSION.sub("", identifier.strip().removeprefix("arXiv:").removeprefix("arxiv:"))


def canonical_entry(result: arxiv.Result) -> bytes:
    """The document `entry`."""
    match = _ENTRY.match(result.entry_id)
    version = match.group("version") if match else None
    return canonical_json(
        {
            "id": match.group("id") if match else result.entry_id,
            "version": int(version) if version else None,
            "title": " ".join(result.title.split()),
            "authors": [author.name for author in result.authors],
            "summary": result.summary.strip(),
            "published": _when(result.published),
            "updated": _when(result.updated),
            "comment": result.comment,
            "journal_ref": result.journal_ref,
            "doi": result.doi,
            "categories": result.categories,
            "links": [
                {"href": link.href, "rel": link.rel, "title": link.title, "type": link.content_type}
                for link in result.links
            ],
        }
    )


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Adapter(PatientAdapter):
    """Checks what the library does not: any answer of 200 is a feed to it, and half a feed a whole one."""

    def before(self, request: requests.PreparedRequest) -> None:
        request.headers["User-Agent"] = self.rules.user_agent

    def after(self, request: requests.PreparedRequest, answer: Answer | None) -> None:
        self.meter.add(charged=1)
        if answer is None:
            return
        where = request.url or ""
        target = urljoin(where, answer.headers.get("location", ""))
        if 300 <= answer.status < 400 and not same_host(where, target):
            raise Unread(VisitStatus.FAILED, f"{address(where)} redirects to another host")
        whole = _FEED.search(answer.body[:2000]) and answer.body.rstrip().endswith(b"</feed>")
        if answer.status == 200 and not whole:
            raise Unread(VisitStatus.FAILED, f"the answer of {address(where)} is no whole feed")


class ArxivSource:
    """Reads papers. `delay_seconds` lie between any two queries, also between a query and its repetition."""

    name = "arxiv"
    kinds = frozenset({ArtifactKind.ARXIV})

    def __init__(
        self,
        *,
        query_url: str,
        user_agent: str,
        clock: Callable[[], datetime],
        delay_seconds: float = 3.0,
        rules: TransportRules | None = None,
    ) -> None:
        self._url = query_url
        self._clock = clock
        self._meter = Meter()
        self._rules = replace(
            (rules or TransportRules(user_agent=user_agent)).with_bytes(LARGEST_ANSWER),
            user_agent=user_agent,
            backoff=max(delay_seconds, 0.1),
        )
        # Repeating is the adapter's business: the library repeats at once what arXiv has refused.
        self._client = arxiv.Client(page_size=IDS_A_QUERY, delay_seconds=delay_seconds, num_retries=0)
        self._client.query_url_format = query_url.replace("{", "{{").replace("}", "}}") + "?{}"
        # The library offers no other way to its session, and without one it would wait for ever.
        self._session = self._client._session
        self._session.max_redirects = _MOST_REDIRECTS
        adapter = _Adapter(self._rules, self._meter, clock, pool_size=1)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        return self._meter.usage

    def close(self) -> None:
        self._session.close()

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        good = []
        for request in requests:
            reporter = Reporter(request=request, clock=self._clock)
            if _ID.match(normal_id(request.ref.id)):
                good.append(reporter)
            else:
                error = Unread(VisitStatus.FAILED, "not an arXiv number")
                yield reporter.unread(MAIN_PART, PUBLIC_PAGE, error)
        for start in range(0, len(good), IDS_A_QUERY):
            yield from self._visit_batch(good[start : start + IDS_A_QUERY])

    def _visit_batch(self, reporters: Sequence[Reporter]) -> Iterator[Visit]:
        names = [normal_id(reporter.request.ref.id) for reporter in reporters]
        try:
            entries = self._fetch_entries(list(dict.fromkeys(names)))
        except Unread as error:
            # 404 here says that the interface is gone, and nothing about a paper.
            error = Unread(VisitStatus.FAILED, error.reason, http_status=error.http_status)
            for reporter, name in zip(reporters, names, strict=True):
                yield reporter.unread(MAIN_PART, PUBLIC_PAGE + name, error)
            return
        for reporter, name in zip(reporters, names, strict=True):
            body = entries.get(name)
            if body is None:
                yield reporter.missing(MAIN_PART, PUBLIC_PAGE + name, "arXiv knows no such paper")
            else:
                capture = Capture(body=body, media_type="application/json")
                yield reporter.read(MAIN_PART, PUBLIC_PAGE + name, capture)

    def _fetch_entries(self, names: Sequence[str]) -> dict[str, bytes]:
        """The canonical entries by number, from one query; those that arXiv lacks are absent."""
        search = arxiv.Search(id_list=list(names), max_results=len(names))
        try:
            with self._lock:
                results = list(self._client.results(search))
        except arxiv.HTTPError as error:
            raise unread_status(error.status, self._url, self._rules) from error
        except (arxiv.ArxivError, requests.RequestException, ValueError, TypeError) as error:
            reason = self._rules.say(f"asking {address(self._url)} failed: {type(error).__name__}")
            raise Unread(VisitStatus.FAILED, reason) from error
        return {
            match.group("id"): canonical_entry(result)
            for result in results
            if (match := _ENTRY.match(result.entry_id))
        }
