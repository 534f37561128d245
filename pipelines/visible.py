"""Which characters may be shown as they are, and which addresses a person may be led to."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

SUSPECT = re.compile(r"[^\n\t -~]")
"""What has to be looked at: everything but printable ASCII, line breaks and tabs."""

MAX_ADDRESS = 2000
"""Characters of an address that a browser is sent to."""

_JOINERS = frozenset("\u200c\u200d")
"""Without these, Persian and Indic words and many emoji fall apart. They neither hide nor turn anything."""

_ACTS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def is_harmless(character: str) -> bool:
    """Is it a character that neither hides, nor turns the direction of writing, nor is obeyed by a terminal?"""
    return character in _JOINERS or (
        unicodedata.category(character) not in _ACTS and unicodedata.bidirectional(character) not in _BIDI
    )


def web_address(address: str) -> str:
    """The address, if a browser may be sent there: http or https to a host, no credentials; else nothing."""
    if len(address) > MAX_ADDRESS or any(not is_harmless(c) or c.isspace() for c in address):
        return ""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and host and "@" not in parts.netloc else ""
