"""How answers are read from the wire: with an end to their headers, and the status where it is needed.

Twisted bounds a line of a header and, through Scrapy, the body; of lines it takes as many as come.
"""

from __future__ import annotations

from scrapy.core.downloader.handlers.http11 import (
    _LenientHTTP11ClientFactory,
    _LenientHTTP11ClientProtocol,
    _LenientHTTPClientParser,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.web._newclient import ParseError
from twisted.web._newclient import Request as SentRequest
from twisted.web.iweb import IResponse

STATUS_HEADER = "x-openness-status"
"""Where the status is noted for whoever sees headers only. What a host sends under this name is overwritten."""
HEAD_LIMIT = 64 << 10
"""Bytes of status line and headers, those of interim answers included. Servers send a few thousand."""


class OversizedHead(ParseError):
    """The headers of an answer do not end."""


class BoundedParser(_LenientHTTPClientParser):
    """Scrapy's parser, which gives up when the headers grow too long."""

    head_size = 0

    def lineReceived(self, line: bytes) -> None:
        self.head_size += len(line) + 1
        if self.head_size > HEAD_LIMIT:
            raise OversizedHead("the headers do not end", b"")  # type: ignore[no-untyped-call]
        super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        # Signals of headers tell no status, and what is read of a body depends on it.
        self.headers.setRawHeaders(STATUS_HEADER.encode(), [b"%d" % self.response.code])
        super().allHeadersReceived()  # type: ignore[no-untyped-call]


class BoundedProtocol(_LenientHTTP11ClientProtocol):
    """A connection whose answers are read by BoundedParser."""

    def request(self, request: SentRequest) -> Deferred[IResponse]:
        answer: Deferred[IResponse] = super().request(request)
        # As in Scrapy: the class of the parser is fixed in Twisted, and no attribute of it is needed.
        assert self._parser is not None
        self._parser.__class__ = BoundedParser
        return answer


class BoundedFactory(_LenientHTTP11ClientFactory):
    """Makes BoundedProtocol connections."""

    def buildProtocol(self, addr: IAddress | None) -> BoundedProtocol:
        return BoundedProtocol(self._quiescentCallback)  # type: ignore[no-untyped-call]
