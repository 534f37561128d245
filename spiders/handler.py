"""The download handler: the one place where requests leave the process."""

from __future__ import annotations

from scrapy import Request
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.http import Response

from spiders.addresses import host_of
from spiders.connection import STATUS_HEADER, BoundedFactory
from spiders.gateway import Gateway
from spiders.page_spider import spider_of


class PageHandler(HTTP11DownloadHandler):
    """Sends a request when its host may be asked, through the gateway if there is one.

    Setting WEB_GATEWAY: the gateway's address template, empty for none. Requests and responses hold
    public addresses; only what goes over the wire is the gateway's. With a gateway nothing else is asked.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._pool._factory = BoundedFactory
        template = crawler.settings["WEB_GATEWAY"]
        self._gateway = Gateway(template) if template else None

    async def download_request(self, request: Request) -> Response:
        spider = spider_of(self.crawler)
        await spider.pace.turn(host_of(request.url))
        spider.counters.requests += 1
        if self._gateway is None:
            response = await super().download_request(request)
            response.headers.pop(STATUS_HEADER, None)
            return response
        sent = request.replace(url=self._gateway.outward(request.url))
        response = await super().download_request(sent)
        response.headers.pop(STATUS_HEADER, None)
        location = response.headers.get("Location")
        if location is not None and 300 <= response.status < 400:
            target = self._gateway.public_location(location.decode("latin-1"), request.url)
            response.headers["Location"] = target.encode("latin-1", "replace")
        return response.replace(url=request.url)
