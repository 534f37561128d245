"""How values are written in exports: times, and text that no spreadsheet runs as a formula."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pipelines.model import Rating

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Spreadsheets take a cell that begins like this for a formula, also in quotes.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def utc_text(at: datetime) -> str:
    """An aware time as ISO 8601 in UTC, to the second: 2024-05-01T02:03:04Z."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be written")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def guarded(text: str) -> str:
    """Free text for a CSV cell: harmless in a spreadsheet, its line breaks in one form.

    A text that a spreadsheet would run gets an apostrophe in front. Control characters become
    spaces; a lone carriage return would end the row, as it is not quoted.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _FORMULA.match(text):
        text = f"'{text}"
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def unguarded(text: str) -> str:
    """Take away the apostrophe that `guarded` has put in front."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def class_text(rating: Rating | None) -> str:
    """The class as CSV files have it: empty for not applicable, and for no rating."""
    return "" if rating is None or rating is Rating.NOT_APPLICABLE else rating.value


def escaped_surrogates(json_text: str) -> str:
    """JSON text that can be encoded: half a character, which only a string can hold, is escaped."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", json_text)
