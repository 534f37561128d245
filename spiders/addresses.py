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
# Names that resolve on the machine or in its network only (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal).
LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# The last label of every spelling that inet_aton reads as an IPv4 address, and of no name in the DNS.
NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")
NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public_ip(text: str) -> bool:
    """Is this an IP address of the public internet?

    An IPv6 address that carries an IPv4 one (mapped, 6to4, Teredo, NAT64) is as public as what it carries.
    """
    try:
        ip: IpAddress = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None or ip.is_site_local or ip.teredo is not None:
            return False
        carried = ip.ipv4_mapped or ip.sixtofour
        if carried is None and ip in NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if carried is not None:
            ip = carried
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


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
