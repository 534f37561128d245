"""A gateway: a mirror, an archive or a recorded corpus that pages are read through.

Its address is a template such as `http://mirror.example/web/{scheme}/{host}{path}`, where `{path}`
begins with a slash and holds the query as well. Everything above the download handler knows
public addresses only, so that robots.txt, redirects and the address guard work as without a gateway.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

FIELD = re.compile(r"\{([^{}]*)\}")
GROUPS = {
    "scheme": r"(?P<scheme>https?)",
    "host": r"(?P<host>[^/?#@\\\s]+)",
    "path": r"(?P<path>(?:[/?][^#\s]*)?)",
}


class GatewayError(ValueError):
    """The template cannot be a gateway's address."""


class Gateway:
    """Turns public addresses into a gateway's and back."""

    def __init__(self, template: str) -> None:
        names = FIELD.findall(template)
        if sorted(names) != sorted(set(names)) or not {"host", "path"} <= set(names) <= set(GROUPS):
            raise GatewayError("a gateway's address holds {host}, {path} and at most {scheme}, each once")
        fixed = template.split("{", 1)[0]
        try:
            parts = urlsplit(fixed)
            port = parts.port
        except ValueError as error:
            raise GatewayError("a gateway's address is malformed") from error
        # A field in the host would let a page choose the machine that is asked.
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.startswith("/"):
            raise GatewayError("a gateway's address begins with http:// or https://, a host and a slash")
        if "@" in parts.netloc:
            raise GatewayError("a gateway's address holds no user name or password")
        self.host = parts.hostname.lower()
        self.port = port or (443 if parts.scheme == "https" else 80)
        self._template = template
        pieces = FIELD.split(template)
        self._pattern = re.compile(
            "".join(GROUPS[piece] if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
        )

    def outward(self, public: str) -> str:
        """The address at the gateway under which a public address is read."""
        parts = urlsplit(public)
        fields = {
            "scheme": parts.scheme,
            "host": parts.netloc,
            "path": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        }
        return FIELD.sub(lambda match: fields[match[1]], self._template)

    def public(self, address: str, scheme: str) -> str | None:
        """The public address behind one at the gateway; None when it is none of the gateway's pages.

        `scheme` is for templates that do not hold one.
        """
        match = self._pattern.fullmatch(address.split("#", 1)[0])
        if match is None:
            return None
        found = match.groupdict()
        path = found["path"]
        return (
            f"{found.get('scheme') or scheme}://{found['host']}{path if path.startswith('/') else '/' + path}"
        )

    def public_location(self, location: str, public: str) -> str:
        """Where a redirect leads, as a public address.

        A gateway may name its own address or the public one, whole or relative. Raises ValueError
        for what is no address.
        """
        there = urljoin(self.outward(public), location)
        mapped = self.public(there, urlsplit(public).scheme)
        return mapped if mapped is not None else urljoin(public, location)
