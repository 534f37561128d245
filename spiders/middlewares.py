"""Downloader middlewares of the page spider: address guard, conditions, unpacking, trying again."""

from __future__ import annotations

import zlib
from collections import Counter

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response

from spiders.addresses import host_of, origin, refusal
from spiders.failures import Refused, TooLargeUnpacked, UnreadableBody, is_fleeting, is_timeout
from spiders.judge import validator
from spiders.pace import retry_after_seconds
from spiders.page_spider import spider_of
from spiders.protocol import PageJob
from spiders.revalidation import place_of


class AddressGuard:
    """Refuses addresses that are not public before anything is sent, redirects included.

    The resolver refuses them too, by what they resolve to; this gives the clear reason, and with
    a gateway, where public hosts are not resolved here, it is what there is.
    Setting PAGE_ALLOWED_HOSTS: `host:port` that pages may be read from all the same.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._allowed = frozenset(crawler.settings.getlist("PAGE_ALLOWED_HOSTS"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> AddressGuard:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        if reason := refusal(request.url, self._allowed):
            raise Refused(reason)


class Conditions:
    """Sends the stored validators to the address that gave them, and to no other on the way there.

    Another page's ETag means nothing, and one that is older than the stored page would pass for it.
    """

    def process_request(self, request: Request) -> None:
        for name in ("If-None-Match", "If-Modified-Since"):
            request.headers.pop(name, None)
        page: PageJob | None = request.meta.get("page")
        if page is None or place_of(request.url) != (page.place or place_of(page.url)):
            return
        if etag := validator(page.etag):
            request.headers["If-None-Match"] = etag
        if last_modified := validator(page.last_modified):
            request.headers["If-Modified-Since"] = last_modified


MEMBERS = 1000
"""Members of one gzip body. Each costs time, and empty ones add nothing to its size."""


class Unpacking:
    """Undoes Content-Encoding, strictly.

    Scrapy's own middleware takes what it can get of a broken gzip stream; half a page must not be
    stored as a page.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._limit = crawler.settings.getint("DOWNLOAD_MAXSIZE")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Unpacking:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        request.headers.setdefault("Accept-Encoding", "gzip, deflate")

    def process_response(self, request: Request, response: Response) -> Response:
        if response.status not in (200, 203):
            # Judged by its status: a broken body must not make a failure of an absence.
            return response.replace(body=b"") if response.body else response
        encodings = [
            name
            for value in response.headers.getlist("Content-Encoding")
            for part in value.split(b",")
            if (name := part.strip().lower()) and name != b"identity"
        ]
        if not encodings or not response.body:
            return response
        if len(encodings) > 2 or not set(encodings) <= {b"gzip", b"x-gzip", b"deflate"}:
            raise UnreadableBody("packed in a way that was not asked for")
        body = response.body
        for name in reversed(encodings):
            body = inflate(body, self._limit) if name == b"deflate" else gunzip(body, self._limit)
        headers = Headers(response.headers)
        headers.pop("Content-Encoding", None)
        return response.replace(body=body, headers=headers)


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip of one or more members. Raises UnreadableBody when broken, cut or larger than `limit`."""
    pieces: list[bytes] = []
    while body:
        if len(pieces) == MEMBERS:
            raise UnreadableBody("packed in too many pieces")
        unpacked, body = _unpack(body, zlib.MAX_WBITS | 16, limit)
        limit -= len(unpacked)
        pieces.append(unpacked)
    return b"".join(pieces)


def inflate(body: bytes, limit: int) -> bytes:
    """Unpack deflate, with the zlib header or, as some servers send it, without."""
    try:
        return _unpack(body, zlib.MAX_WBITS, limit)[0]
    except TooLargeUnpacked:
        raise
    except UnreadableBody:
        return _unpack(body, -zlib.MAX_WBITS, limit)[0]


def _unpack(body: bytes, bits: int, limit: int) -> tuple[bytes, bytes]:
    stream = zlib.decompressobj(bits)
    try:
        unpacked = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise UnreadableBody("truncated or broken: the body cannot be unpacked") from error
    if len(unpacked) > limit:
        raise TooLargeUnpacked("too large once unpacked")
    if not stream.eof:
        raise UnreadableBody("truncated or broken: the packed body ends early")
    return unpacked, stream.unused_data


MOST_TRIES = 3
MOST_IN_VAIN = 6
"""Requests in a row to a site that came to nothing, after which nothing is asked of it a second time."""
FLEETING = frozenset({500, 502, 504})
"""Answers that a second try may better, besides 429 and 503."""


class TryAgain:
    """Asks again after what may be over in a moment: three times in all, twice after a 429 or no answer in time.

    After a 429 or 503 when the host says, and at once after another 5xx, a connection that broke
    and half an answer, as soon as the whole host has rested. Settings RETRY_AFTER_LIMIT: a longer
    wait is not waited, nor is the host asked for anything else; RETRY_WAIT: the wait where the host
    names none. Seconds.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._limit = crawler.settings.getfloat("RETRY_AFTER_LIMIT")
        self._wait = crawler.settings.getfloat("RETRY_WAIT")
        self._in_vain: Counter[str] = Counter()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> TryAgain:
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        if response.status in FLEETING:
            return self._again(request) or response
        if response.status not in (429, 503):
            self._in_vain.pop(origin(request.url), None)
            return response
        asked = retry_after_seconds(_text(response, "Retry-After"), _text(response, "Date"))
        if asked is not None:
            spider_of(self._crawler).pace.pause(host_of(request.url), asked)
        if (asked or 0.0) > self._limit or "cf-mitigated" in response.headers:
            return response
        return self._again(request, is_told=asked is not None, only_once=response.status == 429) or response

    def process_exception(self, request: Request, exception: Exception) -> Request | None:
        return self._again(request, only_once=is_timeout(exception)) if is_fleeting(exception) else None

    def _again(self, request: Request, *, is_told: bool = False, only_once: bool = False) -> Request | None:
        """The request once more; None where there were tries enough. `is_told`: the host names a time."""
        tries, site = request.meta.get("tries", 1), origin(request.url)
        self._in_vain[site] += 1
        if tries == MOST_TRIES or (only_once and "once_was" in request.meta):
            return None
        if not is_told:
            if self._in_vain[site] > MOST_IN_VAIN:
                # More of it would only cost time.
                return None
            spider_of(self._crawler).pace.pause(host_of(request.url), self._wait)
        once = {"once_was": True} if only_once else {}
        return request.replace(meta={**request.meta, **once, "tries": tries + 1}, dont_filter=True)


def _text(response: Response, name: str) -> str:
    value = response.headers.get(name)
    return "" if value is None else value.decode("latin-1")
