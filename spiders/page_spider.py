"""The page spider: reads the pages of a job, one result for each."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import StopDownload
from scrapy.http import Headers, Response

from pipelines.model import VisitStatus
from spiders.addresses import host_of, refusal, without_secrets
from spiders.connection import STATUS_HEADER
from spiders.failures import Refused, RobotsDisallow, failure_reason
from spiders.judge import Answer, is_readable, judge, media_type, validator
from spiders.pace import Pace
from spiders.protocol import Counters, Job, Manners, PageJob, PageResult
from spiders.revalidation import FRESHNESS_HEADERS, fresh_seconds

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from spiders.worker import Orders, Wire

logger = logging.getLogger(__name__)

# Headers that what an answer means depends on.
READ_HEADERS = ("content-type", "cf-mitigated")
SMALL_BODY = 4096
"""Bytes. What is no page is read to its end when it is no longer than this and the host is asked for more:
another connection would cost more."""


class PageSpider(Spider):
    """Reads every page that it is told of and yields a PageResult for it, whatever happens on the way."""

    name = "pages"

    def __init__(self, job: Job, wire: Wire, orders: Orders) -> None:
        super().__init__()
        self.job = job
        self.wire = wire
        self.orders = orders
        self.limits = job.limits
        self.counters: Counters = wire.counters
        self.pace = Pace(job.limits.retry_after, job.manners.rest)
        self.robots: dict[str, str] = {}
        self._turns = Turns()
        self._waiting: Counter[str] = Counter()
        self._allowed = frozenset(job.allow_private_hosts)

    @classmethod
    # Any: Scrapy hands its own arguments through.
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> PageSpider:
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.on_headers, signals.headers_received)
        crawler.signals.connect(spider.on_bytes, signals.bytes_received)
        crawler.signals.connect(spider.on_spider_error, signals.spider_error)
        crawler.signals.connect(spider.on_item_error, signals.item_error)
        crawler.signals.connect(spider.on_closed, signals.spider_closed)
        return spider

    async def start(self) -> AsyncIterator[Request | PageResult]:
        self.orders.listen()
        pages: Sequence[PageJob] | None = self.job.pages
        while pages is not None:
            self._add(pages)
            for page in self._turns:
                yield self._asking(page)
                self._add(self.orders.at_hand())
            pages = await self.orders.next()

    def _add(self, pages: Sequence[PageJob]) -> None:
        self._turns.add(pages)
        self._waiting.update(host_of(page.url) for page in pages)

    def _done(self, page: PageJob) -> None:
        """Of this page there is nothing more to come."""
        host = host_of(page.url)
        self._waiting[host] -= 1
        if self._waiting[host] <= 0:
            del self._waiting[host]

    def _asking(self, page: PageJob) -> Request | PageResult:
        """The request for a page, or why there is none."""
        try:
            # The address as it was written: making it a request may repair what must be refused.
            if reason := refusal(page.url, self._allowed):
                raise Refused(reason)
            return self._request(page)
        except (ValueError, Refused) as error:
            self._done(page)
            reason = str(error) if isinstance(error, Refused) else "refused: a malformed address"
            return PageResult(
                index=page.index, status=VisitStatus.FAILED, url=without_secrets(page.url), reason=reason
            )

    def _request(self, page: PageJob) -> Request:
        return Request(
            page.url, callback=self.parse, errback=self.on_failure, dont_filter=True, meta={"page": page}
        )

    def parse(self, response: Response, **kwargs: Any) -> Iterator[PageResult]:
        request = response.request
        assert request is not None
        page: PageJob = request.meta["page"]
        self._done(page)
        answer = Answer(
            status=response.status,
            headers={name: header(response.headers, name) for name in READ_HEADERS},
            body=response.body,
            asked=self._asked(request),
            final=response.url,
            conditional="If-None-Match" in request.headers or "If-Modified-Since" in request.headers,
            cut="partial" in response.flags,
        )
        judgement = judge(answer)
        is_page = judgement.status is VisitStatus.OK
        is_told = is_page or judgement.status is VisitStatus.UNCHANGED
        # How long a redirect is good is another matter: without asking it would be followed unseen.
        is_direct = is_told and "redirect_urls" not in request.meta
        yield PageResult(
            index=page.index,
            status=judgement.status,
            url=without_secrets(response.url),
            http_status=response.status,
            reason=judgement.reason,
            media_type=media_type(answer.headers["content-type"]) if is_page else "",
            etag=validator(header(response.headers, "etag")) if is_told else "",
            last_modified=validator(header(response.headers, "last-modified")) if is_told else "",
            fresh_for=fresh_seconds(_headers(response.headers, FRESHNESS_HEADERS)) if is_direct else 0,
            body=response.body if is_page else None,
        )

    def on_failure(self, failure: Failure) -> Iterator[PageResult]:
        # Scrapy puts the request onto every failure it hands to an errback; twisted does not know of it.
        request: Request = failure.request  # type: ignore[attr-defined]
        self._done(request.meta["page"])
        error = failure.value or RuntimeError("a failure without an exception")
        reason = failure_reason(error, self.limits, host_of(request.url))
        if not reason.expected:
            self.counters.errors += 1
            logger.error("reading %s: %s", without_secrets(request.url), failure.getTraceback())
        denied = isinstance(error, RobotsDisallow)
        yield PageResult(
            index=request.meta["page"].index,
            status=VisitStatus.DENIED if denied else VisitStatus.FAILED,
            url=without_secrets(self._asked(request)),
            reason=reason.text,
        )

    @staticmethod
    def _asked(request: Request) -> str:
        chain = request.meta.get("redirect_urls")
        return str(chain[0]) if chain else request.url

    def on_headers(self, headers: Headers, request: Request, body_length: int | object) -> None:
        """Leave the body of what is no page where it is. Its status and its headers are still looked at."""
        is_robots = bool(request.meta.get("is_robots"))
        is_page = header(headers, STATUS_HEADER) in ("200", "203")
        if is_page and (is_robots or is_readable(header(headers, "content-type"))):
            return
        is_last = not is_robots and "location" not in headers and self._waiting[host_of(request.url)] <= 1
        if not isinstance(body_length, int) or body_length > (0 if is_last else SMALL_BODY):
            raise StopDownload(fail=False)

    def on_bytes(self, data: bytes) -> None:
        self.counters.bytes += len(data)

    def on_closed(self) -> None:
        """Leave behind what hosts have asked for: the next worker of the night is to keep to it."""
        self.wire.keep_manners(Manners(robots=self.robots, rest=self.pace.rest()))

    def on_spider_error(self, failure: Failure, response: Response | Failure) -> None:
        """An exception in a callback: Scrapy logs it and goes on as if the page had never been asked for."""
        self.counters.errors += 1
        request: Request | None = getattr(response, "request", None)
        if request is not None and "page" in request.meta:
            page: PageJob = request.meta["page"]
            self.wire.send_internal_error(page.index, page.url, type(failure.value).__name__)

    def on_item_error(self, item: PageResult, failure: Failure) -> None:
        """An exception in the handover, such as a full disk."""
        self.counters.errors += 1
        self.wire.send_internal_error(item.index, item.url, type(failure.value).__name__)


class Turns:
    """Pages with their hosts taking turns: many pages of one slow host do not hold up the others."""

    def __init__(self, pages: Sequence[PageJob] = ()) -> None:
        self._by_host: dict[str, deque[PageJob]] = {}
        self.add(pages)

    def add(self, pages: Sequence[PageJob]) -> None:
        """Further pages. Hosts that are new come after those that wait for their turn."""
        for page in pages:
            self._by_host.setdefault(host_of(page.url), deque()).append(page)

    def __iter__(self) -> Iterator[PageJob]:
        """The pages as they come to their turn, also those that are added meanwhile; each comes once."""
        while self._by_host:
            host, pages = next(iter(self._by_host.items()))
            del self._by_host[host]
            page = pages.popleft()
            if pages:
                self._by_host[host] = pages
            yield page


def spider_of(crawler: Crawler) -> PageSpider:
    """The page spider of a crawl, for the components that share its pace and counters."""
    spider = crawler.spider
    assert isinstance(spider, PageSpider)
    return spider


def _headers(headers: Headers, names: Sequence[str]) -> dict[str, str]:
    """Headers by name, each with all its values."""
    return {name: ", ".join(value.decode("latin-1") for value in headers.getlist(name)) for name in names}


def header(headers: Headers, name: str) -> str:
    """A header's value as text, empty when it is not there."""
    value = headers.get(name)
    return "" if value is None else value.decode("latin-1").strip()
