"""The name resolver that connects to public addresses only.

Twisted sends every host through the reactor's resolver, IP addresses too, and connects to nothing but
what it answers. Filtering here therefore holds for first requests, for redirects and for a name that
changes its address between check and use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scrapy.resolver import CachingHostnameResolver
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from spiders.addresses import host_and_port, is_public_ip

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from twisted.internet.base import ReactorBase

# Any: zope's interfaces describe methods without `self` and are no types to a checker.
Receiver = Any
Resolution = Any
Address = Any

# Host → an address it resolved to that was refused. The resolver belongs to the process, not to a
# crawl, and Twisted reports a refused name as unknown: this is how the spider can say the real reason.
refused_hosts: dict[str, str] = {}


@implementer(IResolutionReceiver)
class _PublicOnly:
    """Hands on public addresses and drops the others."""

    def __init__(self, receiver: Receiver, host: str) -> None:
        self._receiver = receiver
        self._host = host

    def resolutionBegan(self, resolution: Resolution) -> None:
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Address) -> None:
        ip = str(getattr(address, "host", ""))
        if is_public_ip(ip):
            self._receiver.addressResolved(address)
        else:
            refused_hosts[self._host] = ip

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


class GuardResolver(CachingHostnameResolver):
    """Scrapy's resolver for IPv4 and IPv6, answering public addresses only.

    Setting GUARD_ALLOWED_HOSTS: `host:port` whose addresses are handed on whatever they are.
    """

    allowed: frozenset[str]

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> GuardResolver:
        resolver = super().from_crawler(crawler, reactor)
        resolver.allowed = frozenset(crawler.settings.getlist("GUARD_ALLOWED_HOSTS"))
        return resolver

    def resolveHostName(
        self,
        resolutionReceiver: Receiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[Address]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Resolution:
        if host_and_port(hostName.lower(), portNumber) not in self.allowed:
            resolutionReceiver = _PublicOnly(resolutionReceiver, hostName.lower())
        return super().resolveHostName(
            resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics
        )
