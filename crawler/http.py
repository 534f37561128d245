"""Transport rules: how every service is talked to, whatever client library does the talking.

One place for timeouts, the size of bodies and what may be said about a failure. `crawler.limits` has
the waiting and trying again, `crawler.adapter` brings both into clients that are built on requests.
"""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

# Whoever talks of limits finds the word here, too.
from crawler.sources.base import Allowance as Allowance
from crawler.sources.base import Usage
from pipelines.errors import OpennessError
from pipelines.model import VisitStatus

MEBIBYTE = 1 << 20

RETRIED = frozenset({500, 502, 503, 504})
"""Answers that a second try may better. Limits (403, 429) are tried again only when told when."""

ACCEPTED_ENCODING = "gzip"
"""The one compression that is asked for and understood: bodies are unpacked here, piece by piece."""

MOST_EXPANSION = 200
"""How many times its size a body may unpack to. What is fetched here unpacks to ten times at the most."""

_EXPANSION_FLOOR = MEBIBYTE
_REASON_LENGTH = 300
CHUNK = 1 << 16

SECRETS = re.compile(
    r"""
    gh[pousr]_\w{8,} | github_pat_\w{8,} | hf_\w{8,}       # tokens of the services
    | (?<=://)[^/@\s]+@                                    # user:password@ in an address
    | (?i:(?<=bearer[ ])|(?<=token[ =])|(?<=key=)|(?<=sig=)|(?<=signature=))[\w.~+/%-]{6,}
    """,
    re.VERBOSE,
)


class Unread(OpennessError):
    """Something was not read: the status and the reason that the visit will carry.

    `again` tells whether a second try might go better, `too_much` whether a smaller question might.
    `silent`: no answer came in time, and no smaller question can be asked.
    """

    def __init__(
        self,
        status: VisitStatus,
        reason: str,
        *,
        http_status: int | None = None,
        again: bool = False,
        too_much: bool = False,
        silent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.http_status = http_status
        self.again = again
        self.too_much = too_much
        self.silent = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportRules:
    """The limits within which a service is asked. Times in seconds, sizes in bytes.

    `read_timeout` bounds the silence between two pieces of an answer, `total_timeout` the whole of
    it. `max_wait` is the longest wait that a service may ask for (Retry-After, a limit that begins anew)
    before it is left for this night.
    `secrets` are texts that must appear in nothing that is stored or said.
    """

    user_agent: str
    connect_timeout: float = 5.0
    read_timeout: float = 20.0
    total_timeout: float = 60.0
    max_bytes: int = 4 * MEBIBYTE
    retries: int = 2
    backoff: float = 0.5
    max_wait: float = 5.0
    secrets: tuple[str, ...] = ()

    def with_bytes(self, max_bytes: int) -> TransportRules:
        return replace(self, max_bytes=max_bytes)

    def say(self, text: str) -> str:
        """The text as one line that can be stored: without secrets, line breaks and excess."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        line = " ".join(SECRETS.sub("***", text).split())
        return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service said: the body whole and decompressed, the header names in lower case.

    `limited`: the service refused because it was asked too much, and for no other reason.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    limited: bool = False


class Meter:
    """Counts what is spent; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._usage = Usage()

    def add(self, *, requests: int = 0, charged: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self._usage = replace(
                self._usage,
                requests=self._usage.requests + requests,
                charged=self._usage.charged + charged,
                bytes=self._usage.bytes + bytes,
            )

    def count(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces of a body as they pass: what arrived counts, also of a body that is then refused."""
        for piece in pieces:
            self.add(bytes=len(piece))
            yield piece

    def told(self, allowance: Allowance | None) -> Usage:
        """What was spent, with what is left."""
        usage = self.usage
        if allowance is None:
            return usage
        return replace(
            usage, remaining=allowance.remaining, limit=allowance.limit, resets_at=allowance.resets_at
        )

    @property
    def usage(self) -> Usage:
        with self._lock:
            return self._usage


def address(url: str) -> str:
    """An address as it may be said: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return "an unreadable address"
    where = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{where}:{port}" if port else where, parts.path, "", ""))


def same_host(url: str, other: str) -> bool:
    """Whether both addresses are of one scheme, host and port; the token is sent nowhere else."""
    a, b = urlsplit(url), urlsplit(other)
    return (a.scheme, a.netloc.lower()) == (b.scheme, b.netloc.lower())


def seconds_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait that an answer asks for with Retry-After (seconds or a date); None where it asks for none."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def looks_like_json(body: bytes) -> bool:
    """Whether a body begins and ends as an object or a list does: half an answer and noise do not."""
    return body[:64].lstrip()[:1] in (b"{", b"[") and body[-64:].rstrip()[-1:] in (b"}", b"]")


def lower_keys(headers: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def unread_status(status: int, url: str, rules: TransportRules, detail: str = "") -> Unread:
    """What an unusable answer means for the visit: 404 and 410 are facts, refusals and failures are none."""
    said = f": {detail}" if detail else ""
    reason = rules.say(f"HTTP {status} from {address(url)}{said}")
    if status in (404, 410):
        return Unread(VisitStatus.MISSING, reason, http_status=status)
    if status in (401, 403, 451):
        return Unread(VisitStatus.DENIED, reason, http_status=status)
    return Unread(VisitStatus.FAILED, reason, http_status=status, again=status in RETRIED)


SHORTEST_SECRET = 16
"""Characters below which a token is a word that documents may well have in them, and no real token."""


def read_bounded(chunks: Iterable[bytes], url: str, rules: TransportRules, deadline: float) -> bytes:
    """All bytes of an answer; Unread when there are too many, they take too long or repeat a secret."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > rules.max_bytes:
            reason = f"the answer of {address(url)} is larger than {rules.max_bytes} bytes"
            raise Unread(VisitStatus.FAILED, reason, too_much=True)
        if time.monotonic() > deadline:
            reason = f"the answer of {address(url)} took longer than {rules.total_timeout:g} s"
            raise Unread(VisitStatus.FAILED, reason, too_much=True)
        parts.append(chunk)
    body = b"".join(parts)
    if any(secret.encode() in body for secret in rules.secrets if len(secret) >= SHORTEST_SECRET):
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} repeats our token and is not stored")
    return body


def inflated(pieces: Iterable[bytes], encoding: str, url: str) -> Iterator[bytes]:
    """The pieces of a body before it was compressed, none of them large. Raises Unread.

    The clients' own decoders unpack what has arrived at one go, however large it gets.
    """
    if encoding.strip().lower() in ("", "identity"):
        yield from pieces
        return
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} cannot be decompressed")
    packed = unpacked = 0
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for piece in pieces:
            packed += len(piece)
            while piece:
                if machine.eof:
                    # gzip allows several streams one after the other.
                    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
                out = machine.decompress(piece, CHUNK)
                piece = machine.unused_data if machine.eof else machine.unconsumed_tail
                unpacked += len(out)
                if unpacked > max(_EXPANSION_FLOOR, MOST_EXPANSION * packed):
                    reason = (
                        f"the answer of {address(url)} unpacks to more than {MOST_EXPANSION} times its size"
                    )
                    raise Unread(VisitStatus.FAILED, reason, too_much=True)
                if out:
                    yield out
    except zlib.error as error:
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} cannot be decompressed") from error
    if packed and not machine.eof:
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} broke off", again=True)
