"""Fetched words on a page: escaped, with what cannot be seen made visible, and never too many of them."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_SUSPECT = re.compile(r"[^\n\t -~]")
"""What has to be looked at: everything but printable ASCII, line breaks and tabs."""

_JOINERS = frozenset("\u200c\u200d")
"""Without these, Persian and Indic words and many emoji fall apart. They neither hide nor turn anything."""

_BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_LINE_ENDS = frozenset("\r\u2028\u2029\x85")

MAX_SHOWN = 4000
"""Characters of a fetched text that a page shows unless it asks for fewer."""

MAX_ADDRESS = 2000


def _is_harmless(character: str) -> bool:
    return character in _JOINERS or (
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        and unicodedata.bidirectional(character) not in _BIDI
    )


def _named(found: re.Match[str]) -> str:
    character = found[0]
    if _is_harmless(character):
        return character
    if character == "\r":
        return ""
    return f"\u27e8{ord(character):04X}\u27e9"


def plain(text: str, limit: int = MAX_SHOWN) -> str:
    """A text in which control, format and bidi characters stand as their number; cut to a length."""
    cut = text[:limit]
    shown = _SUSPECT.sub(_named, cut)
    return f"{shown} …" if len(text) > limit else shown


def one_line(text: str, limit: int = 200) -> str:
    """The same on one line."""
    return " ".join(plain(text, limit).split())


def fetched(text: object, limit: int = MAX_SHOWN) -> Markup:
    """A fetched text as an element of its own: isolated, wrapped anywhere, spaces kept."""
    return Markup('<span class="fetched" dir="auto">{}</span>').format(plain(str(text), limit))


def web_address(address: str) -> str:
    """The address, if a browser may be sent there: http or https to a host; else nothing."""
    if len(address) > MAX_ADDRESS or any(not _is_harmless(c) or c.isspace() for c in address):
        return ""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and host and "@" not in parts.netloc else ""


def live_link(address: str, words: str = "") -> Markup:
    """A link to a page of somebody else's, telling it nothing of us; as text where it is no web address."""
    shown = plain(words or address, 300)
    target = web_address(address)
    if not target:
        return Markup('<span class="fetched address" dir="auto">{}</span>').format(shown or "–")
    return Markup(
        '<a class="fetched address" dir="auto" href="{}" rel="noopener noreferrer nofollow external">{}</a>'
    ).format(target, shown)


def escaped(text: str) -> Markup:
    """Visible and escaped, without an element around it."""
    return escape(plain(text))
