"""Which addresses may be fetched: public http and https ones, and nothing else.

Pages are named by seed files and by redirects of strangers, so an address is a hostile input: it may
point at the machine itself, at its network or at a cloud's metadata service, in many spellings.
This module judges what can be told from the address alone; `spiders.resolver` judges what a name
resolves to, on every connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit, urlunsplit

MAX_LENGTH = 4000
DEFAULT_PORTS = {"http": 80, "https": 443}
# Names that resolve on the machine or in its network only (RFC 6761, RFC 6762, RFC 7686, RFC 8375, ICANN's
# .internal, the names that ICANN has put aside because networks use them, and those of clusters).
LOCAL_SUFFIXES = (
    *(".localhost", ".localdomain", ".local", ".internal", ".intranet", ".private", ".lan", ".home", ".corp"),
    *(".home.arpa", ".in-addr.arpa", ".ip6.arpa", ".onion", ".svc"),
)

FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# The last label of every spelling that inet_aton reads as an IPv4 address, and of no name in the DNS.
NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What the ipaddress module of this Python takes for public, and is not to be asked: special purposes of
# IANA's registries that are newer or deprecated, and the one public address at which a cloud serves secrets
# to its machines.
NOT_TO_BE_ASKED = (
    *(ipaddress.ip_network(text) for text in ("192.88.99.0/24", "168.63.129.16/32", "192.0.0.0/24")),
    *(ipaddress.ip_network(text) for text in ("::/8", "100::/64", "2001::/23", "3fff::/20", "5f00::/16")),
)
# ISATAP (RFC 5214): the last 64 bits name an IPv4 address.
ISATAP_MARKS = (0x00005EFE, 0x02005EFE)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public_ip(text: str) -> bool:
    """Is this an IP address of the public internet?

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64, ISATAP) is as public as what it carries;
    through Teredo nothing is asked.
    """
    try:
        ip: IpAddress = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None or ip.is_site_local or ip.teredo is not None:
            return False
        carried = _carried(ip)
        if carried is not None:
            ip = carried
    if any(ip.version == network.version and ip in network for network in NOT_TO_BE_ASKED):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which an IPv6 one leads in the end."""
    number = int(ip)
    if ip in NAT64 or (number >> 32) & 0xFFFFFFFF in ISATAP_MARKS:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def host_and_port(host: str, port: int) -> str:
    """`host:port` as it stands in the list of allowed private hosts."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refusal(url: str, allowed: Collection[str] = ()) -> str | None:
    """Why this address may not be fetched, in one line without secrets; None when it may.

    `allowed` holds `host:port` that may be fetched although they are private or on an odd port.
    """
    if len(url) > MAX_LENGTH:
        return f"refused: an address of {len(url)} characters"
    if FORBIDDEN.search(url):
        return "refused: a malformed address"
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _plain_host(parts.hostname or "")
    except ValueError:
        return "refused: a malformed address"
    if parts.scheme not in DEFAULT_PORTS:
        return "refused: only http and https addresses are read"
    if "@" in parts.netloc:
        return "refused: the address holds a user name or password"
    if not host:
        return "refused: an address without a host"
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    if host_and_port(host, port) in allowed:
        return None
    if port not in DEFAULT_PORTS.values():
        return f"refused: port {port} of {shown(host)} is neither 80 nor 443"
    return _refusal_of_host(host)


def _refusal_of_host(host: str) -> str | None:
    if ":" in host:
        return None if is_public_ip(host) else f"refused: {shown(host)} is not a public address"
    if not HOST_NAME.fullmatch(host):
        return "refused: a malformed address"
    if NUMERIC_LABEL.fullmatch(host.rsplit(".", 1)[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return f"refused: {shown(host)} is an odd spelling of an IP address"
        return None if is_public_ip(host) else f"refused: {shown(host)} is not a public address"
    if "." not in host or host.endswith(LOCAL_SUFFIXES):
        return f"refused: {shown(host)} is not a public address"
    return None


def _plain_host(host: str) -> str:
    """Lower case, without the root's dot, international names in their ASCII form."""
    host = host.lower()
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    return host.removesuffix(".")


def origin(url: str) -> str:
    """Scheme, host and port of an address, as far as robots.txt tells sites apart."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def host_of(url: str) -> str:
    """The host of an address, empty when there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def without_secrets(url: str) -> str:
    """The address without user name, password and fragment, for messages and records."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    netloc = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit(SplitResult(parts.scheme, netloc, parts.path, parts.query, ""))


def shown(text: str, limit: int = 100) -> str:
    """A stranger's word made safe for a one-line message: printable ASCII, cut short."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
