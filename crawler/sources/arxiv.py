"""Preprints at arXiv, by its query interface.

Part: `entry`, a fixed selection of what the feed says. As many papers are asked for in one query as
its address holds, over one connection, three seconds apart, as arXiv's terms of use ask. There are no
conditional requests here: an entry is unchanged when its canonical bytes are. (A query could be
confined to what was updated since; but where a paper appeared in print is added without an update.)
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urljoin

import arxiv  # type: ignore[import-untyped]
import requests

from crawler.adapter import PatientAdapter
from crawler.http import (
    MEBIBYTE,
    Answer,
    Meter,
    TransportRules,
    Unread,
    address,
    same_host,
    unread_status,
)
from crawler.limits import Budget, Door
from crawler.sources.base import Allowance, Usage
from crawler.sources.parts import Reporter
from pipelines.model import ArtifactKind, Capture, Visit, VisitRequest, VisitStatus, canonical_json

MAIN_PART = "entry"
PUBLIC_PAGE = "https://arxiv.org/abs/"
LONGEST_ID_LIST = 3600
"""Characters. Servers that take only 4,094 for the first line of a request are common, arXiv's kind among
them; it is some 320 papers, and arXiv gives up to 2,000 in one answer."""

_PAGE = 500
"""Entries in one answer: more than a list of that length can name."""

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


def _number(reporter: Reporter) -> str:
    return normal_id(reporter.request.ref.id)


def in_queries(reporters: Sequence[Reporter]) -> list[list[Reporter]]:
    """Parcels whose numbers fit into one address each."""
    parcels: list[list[Reporter]] = []
    length = 0
    for reporter in reporters:
        own = len(quote_plus(_number(reporter))) + 1
        if not parcels or length + own > LONGEST_ID_LIST:
            parcels.append([])
            length = 0
        parcels[-1].append(reporter)
        length += own
    return parcels


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Adapter(PatientAdapter):
    """Keeps the distance between requests, and checks what the library does not: any answer of 200 is
    a feed to it, and half a feed a whole one."""

    divisible = True

    def __init__(
        self, rules: TransportRules, meter: Meter, clock: Callable[[], datetime], budget: Budget, delay: float
    ) -> None:
        super().__init__(rules, meter, clock, budget, pool_size=1)
        self.delay = delay
        self.last = float("-inf")

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["User-Agent"] = self.rules.user_agent
        # The library writes each comma with three characters; only the commas between numbers are any.
        request.url = (request.url or "").replace("%2C", ",")
        return super().send(request, *args, **kwargs)

    def _ask_once(self, *args: Any) -> tuple[requests.Response, Answer]:
        self.budget.door.rest(max(0.0, self.last + self.delay - time.monotonic()))
        try:
            return super()._ask_once(*args)
        finally:
            self.last = time.monotonic()

    def check(self, request: requests.PreparedRequest, answer: Answer) -> None:
        where = request.url or ""
        target = urljoin(where, answer.headers.get("location", ""))
        if 300 <= answer.status < 400 and not same_host(where, target):
            raise Unread(VisitStatus.FAILED, f"{address(where)} redirects to another host")
        whole = _FEED.search(answer.body[:2000]) and answer.body.rstrip().endswith(b"</feed>")
        if answer.status == 200 and not whole:
            raise Unread(VisitStatus.FAILED, f"the answer of {address(where)} is no whole feed", again=True)


class ArxivSource:
    """Reads papers. `delay_seconds` lie between any two requests, also between a query and its repetition.

    `max_wait` is the longest wait in seconds that arXiv may ask for.
    """

    name = "arxiv"
    kinds = frozenset({ArtifactKind.ARXIV})

    def __init__(
        self,
        *,
        query_url: str,
        user_agent: str,
        clock: Callable[[], datetime],
        delay_seconds: float = 3.0,
        max_wait: float | None = None,
        rules: TransportRules | None = None,
    ) -> None:
        self._url = query_url
        self._clock = clock
        self._meter = Meter()
        rules = (rules or TransportRules(user_agent=user_agent)).with_bytes(LARGEST_ANSWER)
        self._rules = replace(
            rules,
            user_agent=user_agent,
            backoff=max(delay_seconds, 0.1),
            max_wait=rules.max_wait if max_wait is None else max_wait,
        )
        self._door = Door(clock, "arXiv", self._rules.max_wait)
        budget = Budget(self._door, clock, lambda limit: "arXiv's limit is used up")
        # Repeating and keeping distance are the adapter's business: the library repeats at once what
        # arXiv has refused, and sleeps on when the run is stopped.
        self._client = arxiv.Client(page_size=_PAGE, delay_seconds=0, num_retries=0)
        self._client.query_url_format = query_url.replace("{", "{{").replace("}", "}}") + "?{}"
        # The library offers no other way to its session, and without one it would wait for ever.
        self._session = self._client._session
        self._session.max_redirects = _MOST_REDIRECTS
        adapter = _Adapter(self._rules, self._meter, clock, budget, delay_seconds)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        self._lock = threading.Lock()

    def fetch_allowance(self) -> Allowance | None:
        """arXiv names a distance between queries and no number of them."""
        return None

    @property
    def usage(self) -> Usage:
        return self._meter.usage

    def close(self) -> None:
        self._door.leave()
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
        for parcel in in_queries(good):
            yield from self._visit_parcel(parcel)

    def _visit_parcel(self, reporters: Sequence[Reporter]) -> Iterator[Visit]:
        names = [_number(reporter) for reporter in reporters]
        try:
            entries = self._fetch_entries(list(dict.fromkeys(names)))
        except Unread as error:
            if len(reporters) > 1 and (error.too_much or error.http_status in (413, 414)):
                middle = len(reporters) // 2
                yield from self._visit_parcel(reporters[:middle])
                yield from self._visit_parcel(reporters[middle:])
                return
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
