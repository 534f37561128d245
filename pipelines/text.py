"""The decoded text of a snapshot: THE text that every quote is a slice of.

    decoded_text(snapshot)[quote.start:quote.end] == quote.text

The same bytes with the same media type and address give the same text, on every machine. Line ends stay
as they are. Pages are rendered as Markdown (see `pipelines.html_text`), so that one reader serves for
documents of all kinds.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from pipelines.model import Snapshot

# The charset is guessed from the beginning; guessing takes seconds per megabyte.
GUESSED_BYTES = 32_768
# The share of undecodable bytes that a text may have and still be called UTF-8 with a few bad bytes.
TOLERATED_ERRORS = 0.002

CHARSET_PARAMETER = re.compile(
    r"""; \s* charset \s* = \s* ["']? (?P<name>[\w.:-]{1,40})""", re.VERBOSE | re.IGNORECASE
)
# <meta charset="…"> and <meta http-equiv=… content="text/html; charset=…"> and <?xml encoding="…"?>
CHARSET_IN_PAGE = re.compile(
    rb"""< (?:meta\b|\?xml\b) [^>]{0,300}? (?:charset|encoding) \s* = \s* ["']? (?P<name>[\w.:-]{1,40})""",
    re.VERBOSE | re.IGNORECASE,
)
PAGE_START = re.compile(
    rb"\A \s{0,200} (?: <!-- .{0,2000}? --> \s{0,200} )? <(?:!doctype\s+html|html\b)",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY_TYPES = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/pdf",
    "application/zip",
    "application/gzip",
)
_BINARY_STARTS = (b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF")
# Codecs of Python that are not encodings of text, or that run for long.
_REFUSED_CODECS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"}
)


@lru_cache(maxsize=64)
def decoded_text(snapshot: Snapshot) -> str:
    """The text of a snapshot; empty for what is no text (images, archives, PDF). Never raises."""
    media_type = snapshot.media_type.strip().lower()
    if media_type.startswith(_BINARY_TYPES) or snapshot.body.startswith(_BINARY_STARTS):
        return ""
    text = decode(snapshot.body, media_type)
    if is_page(snapshot.body, media_type):
        # Many use what extractors are made of, and few read pages: what reads them takes long to import.
        from pipelines.html_text import render_html

        return render_html(text, snapshot.url)
    return text


def is_page(body: bytes, media_type: str) -> bool:
    """Is it HTML: by its type, or by its first tag where the type says nothing?"""
    essence = media_type.partition(";")[0].strip().lower()
    if essence in ("text/html", "application/xhtml+xml"):
        return True
    return essence in ("", "application/octet-stream") and bool(PAGE_START.match(body[:4096]))


def decode(body: bytes, media_type: str = "") -> str:
    """Bytes as text: byte order mark, UTF-8, the declared charset, a guess, Latin-1. Never raises."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors="replace")
    text = _as_utf8(body)
    if text is not None:
        return text
    for name in _declared(body, media_type):
        try:
            return body.decode(name)
        except (UnicodeError, LookupError, ValueError):
            continue
    text = body.decode("utf-8", errors="replace")
    letters = sum(1 for byte in body[:GUESSED_BYTES] if byte >= 0x80)
    if (
        text.count("\ufffd", 0, GUESSED_BYTES) <= max(letters, 1) * TOLERATED_ERRORS * 10
        and text.count("\ufffd") <= len(text) * TOLERATED_ERRORS
    ):
        return text
    # Nearly all documents are UTF-8.
    from charset_normalizer import from_bytes

    best = from_bytes(body[:GUESSED_BYTES]).best()
    if best is not None and best.encoding:
        return body.decode(best.encoding, errors="replace")
    return body.decode("latin-1")


def _as_utf8(body: bytes) -> str | None:
    """The text where the bytes are UTF-8, also when the end was cut within a character; else None."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(body) - 3 and error.reason == "unexpected end of data":
            return body[: error.start].decode("utf-8")
        return None


def _declared(body: bytes, media_type: str) -> list[str]:
    """Names of charsets that the header and the page itself declare, fit for use."""
    names = []
    if match := CHARSET_PARAMETER.search(media_type):
        names.append(match["name"])
    if found := CHARSET_IN_PAGE.search(body[:4096]):
        names.append(found["name"].decode("ascii", errors="ignore"))
    usable = []
    for name in names:
        try:
            codec = codecs.lookup(name)
        except (LookupError, ValueError):
            continue
        # WHATWG: what calls itself Latin-1 is Windows-1252 in practice.
        canonical = "cp1252" if codec.name == "iso8859-1" else codec.name
        if canonical.replace("-", "_") not in _REFUSED_CODECS and getattr(codec, "_is_text_encoding", True):
            usable.append(canonical)
    return usable
