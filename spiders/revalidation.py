"""Asking again as RFC 9111 describes it: what is remembered of an answer, and for how long it is good.

Validators belong to the address that gave them: sent to another one, "not modified" would say something
about another page. The archive keeps every answer, whatever Cache-Control says of storing; only whether a
question may be left out tonight is the host's to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urldefrag

FRESH_LIMIT = 12 * 3600
"""Seconds. A page that calls itself good for a year is asked for every night all the same."""

# What an answer may vary by without one of tonight being another: headers that are the same in every request.
SAME_IN_EVERY_REQUEST = frozenset({"accept", "accept-encoding", "accept-language"})
FRESHNESS_HEADERS = ("cache-control", "expires", "date", "age", "vary", "pragma")

FORM = "1"
"""The form of a token; another one, and nothing is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is kept of the latest reading of a page, beside its validators, as the source's token.

    `meaning` is what the page said (`pipelines.meaning`), `place` which address gave the validators,
    `fresh_until` when the answer stops being good by the host's own word; None: it was at once.
    """

    meaning: str = ""
    place: str = ""
    fresh_until: datetime | None = None

    def token(self) -> str:
        """As it is stored."""
        until = self.fresh_until.astimezone(UTC).isoformat(timespec="seconds") if self.fresh_until else ""
        return " ".join((FORM, self.meaning or "-", self.place or "-", until or "-"))

    @classmethod
    def of(cls, token: str) -> Remembered:
        """As it was stored; nothing, where the token is of another form."""
        parts = [part.replace("-", "") if part == "-" else part for part in token.split(" ")]
        if len(parts) != 4 or parts[0] != FORM:
            return cls()
        try:
            until = datetime.fromisoformat(parts[3]) if parts[3] else None
        except ValueError:
            until = None
        return cls(
            meaning=parts[1], place=parts[2], fresh_until=until if until is None or until.tzinfo else None
        )


def place_of(url: str) -> str:
    """A short name of an address, without its fragment: validators are sent to the same place only."""
    return hashlib.sha256(urldefrag(url)[0].encode("utf-8", "surrogatepass")).hexdigest()[:16]


def fresh_seconds(headers: Mapping[str, str]) -> int:
    """For how many seconds an answer is good without asking again; 0 where its headers do not say so clearly.

    `headers` are FRESHNESS_HEADERS by lower-case name, repeated ones joined by commas.
    """
    directives = _directives(headers.get("cache-control", ""))
    if directives is None or directives.keys() & {"no-cache", "no-store"}:
        return 0
    if not directives and "no-cache" in headers.get("pragma", "").lower():
        return 0
    varies = {name.strip().lower() for name in headers.get("vary", "").split(",") if name.strip()}
    if not varies <= SAME_IN_EVERY_REQUEST:
        return 0
    lifetime = _lifetime(directives, headers)
    age = _seconds(headers.get("age", "").strip() or "0")
    if lifetime is None or age is None:
        return 0
    return max(0, min(lifetime - age, FRESH_LIMIT))


def _lifetime(directives: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
    if "max-age" in directives:
        return _seconds(directives["max-age"])
    expires, date = _http_date(headers.get("expires", "")), _http_date(headers.get("date", ""))
    if expires is None or date is None:
        return None
    return int((expires - date).total_seconds())


def _directives(value: str) -> dict[str, str] | None:
    """Cache-Control as a mapping; None where a directive is given twice: then nothing is clear."""
    found: dict[str, str] = {}
    for part in value.lower().split(","):
        name, _, argument = part.strip().partition("=")
        if not name:
            continue
        if name in found:
            return None
        found[name] = argument.strip().strip('"')
    return found


def _seconds(text: str) -> int | None:
    return min(int(text), 1 << 31) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _http_date(value: str) -> datetime | None:
    if not value or len(value) > 100:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
