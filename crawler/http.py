"""Transport rules: how every service is talked to, whatever client library does the talking.

One place for timeouts, the size of bodies, retries, limits, redirects and what may be said about a
failure. `with_patience` is the loop around every request; `PatientAdapter` brings it into every
client that is built on requests (PyGithub, arxiv, our own sessions).
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from crawler.sources.base import Usage
from pipelines.errors import OpennessError
from pipelines.model import VisitStatus

MEBIBYTE = 1 << 20

RETRIED = frozenset({500, 502, 503, 504})
"""Answers that a second try may better. Limits (403, 429) are tried again only when told when."""

_REASON_LENGTH = 300
_CHUNK = 1 << 16

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
    """

    def __init__(
        self,
        status: VisitStatus,
        reason: str,
        *,
        http_status: int | None = None,
        again: bool = False,
        too_much: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.http_status = http_status
        self.again = again
        self.too_much = too_much


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportRules:
    """The limits within which a service is asked. Times in seconds, sizes in bytes.

    `read_timeout` bounds the silence between two pieces of an answer, `total_timeout` the whole of
    it. `max_wait` is the longest wait that a service may ask for (Retry-After) before we give up.
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
    """What a service said: the body whole and decompressed, the header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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

    @property
    def usage(self) -> Usage:
        with self._lock:
            return self._usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a service says is left of its limit, and when the count begins anew."""

    remaining: int
    resets_at: datetime
    limit: int | None = None


class Budget:
    """One limit of one service: refuses requests that the service is known to refuse.

    `describe` makes the reason out of the limit (None where it was not told). Safe to share
    between threads: requests under way count as spent.
    """

    def __init__(self, clock: Callable[[], datetime], describe: Callable[[int | None], str]) -> None:
        self._clock = clock
        self.describe = describe
        self._lock = threading.Lock()
        self._under_way = 0
        self._allowance: Allowance | None = None
        self._closed: tuple[str, datetime | None] | None = None

    def take(self) -> None:
        """Reserve one request, or raise Unread where it would be refused."""
        with self._lock:
            now = self._clock()
            if self._closed is not None:
                reason, until = self._closed
                if until is None or now < until:
                    raise Unread(VisitStatus.FAILED, reason)
                self._closed = None
            told = self._allowance
            if told is not None and now >= told.resets_at:
                told = self._allowance = None
            if told is not None and told.remaining - self._under_way <= 0:
                raise Unread(VisitStatus.FAILED, self.describe(told.limit))
            self._under_way += 1

    def settle(self, allowance: Allowance | None) -> None:
        """Give back the reservation and note what the answer said is left."""
        with self._lock:
            self._under_way -= 1
            if allowance is not None:
                self._allowance = allowance

    def close(self, reason: str, until: datetime | None = None) -> bool:
        """Refuse everything until then (None: for good). True the first time."""
        with self._lock:
            first = self._closed is None
            self._closed = (reason, until)
            return first

    @property
    def remaining(self) -> int | None:
        with self._lock:
            return None if self._allowance is None else self._allowance.remaining


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


def with_patience(
    rules: TransportRules,
    attempt: Callable[[], Answer],
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """One request, tried again a bounded number of times.

    Tried again are broken connections, truncated answers, 5xx, and limits that end within
    `rules.max_wait`. Timeouts are not: they have cost their time already. The last answer is
    returned whatever its status; an exception of the last try is raised.
    """
    for tried in range(rules.retries + 1):
        last = tried == rules.retries
        wait = rules.backoff * 2**tried
        try:
            answer = attempt()
        except Unread as error:
            if last or not error.again:
                raise
        else:
            asked = seconds_to_wait(answer.headers, clock()) if answer.status in (403, 429, 503) else None
            if last or (asked is None and answer.status not in RETRIED):
                return answer
            if asked is not None:
                if asked > rules.max_wait:
                    return answer
                wait = max(wait, asked)
        sleep(wait)
    raise AssertionError("the loop returns or raises in its last turn")


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The decompressed body as it arrives, so that a slow answer cannot hide within one read."""
    raw = response.raw
    if not hasattr(raw, "read1"):
        yield from response.iter_content(_CHUNK)
        return
    while True:
        piece = raw.read1(_CHUNK, decode_content=True)
        if not piece:
            return
        yield piece


def raise_unread(error: Exception, url: str, rules: TransportRules) -> NoReturn:
    """Turn an exception of requests or urllib3 into Unread, without bodies and secrets."""
    where = address(url)
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        raise Unread(VisitStatus.FAILED, f"no answer from {where} in time", too_much=True) from error
    if isinstance(error, (urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError)):
        raise Unread(VisitStatus.FAILED, f"the answer of {where} cannot be decompressed") from error
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)):
        raise Unread(VisitStatus.FAILED, f"the answer of {where} broke off", again=True) from error
    if isinstance(error, requests.exceptions.SSLError):
        raise Unread(VisitStatus.FAILED, f"no secure connection to {where}") from error
    if isinstance(error, requests.ConnectionError):
        raise Unread(VisitStatus.FAILED, f"no connection to {where}", again=True) from error
    kind = type(error).__name__
    raise Unread(VisitStatus.FAILED, rules.say(f"asking {where} failed: {kind}")) from error


class PatientAdapter(HTTPAdapter):
    """The transport rules for any client built on requests: mount it on the client's session.

    Subclasses say what stands before and after every single request (limits, counting).
    Raises Unread where no whole answer came; answers with an error status are returned.
    """

    def __init__(
        self, rules: TransportRules, meter: Meter, clock: Callable[[], datetime], pool_size: int = 10
    ) -> None:
        self.rules = rules
        self.meter = meter
        self.clock = clock
        super().__init__(pool_connections=2, pool_maxsize=pool_size, max_retries=0)

    def before(self, request: requests.PreparedRequest) -> None:
        """Called before every request is sent; may raise Unread instead."""

    def after(self, request: requests.PreparedRequest, answer: Answer | None) -> None:
        """Called after every request that was sent; None when no answer came."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        # The timeouts of the client are replaced: some clients have none, and then wait for ever.
        options = {"verify": kwargs.get("verify", True), "cert": kwargs.get("cert")}
        proxies = kwargs.get("proxies")
        kept: list[requests.Response] = []

        def attempt() -> Answer:
            response, answer = self._ask_once(request, options, proxies)
            kept[:] = [response]
            return answer

        answer = with_patience(self.rules, attempt, clock=self.clock)
        response = kept[0]
        response.raw = io.BytesIO(answer.body)
        if response.encoding is None:
            # Guessing the character set of a long body takes seconds; every API here speaks UTF-8.
            response.encoding = "utf-8"
        return response

    def _ask_once(
        self, request: requests.PreparedRequest, options: dict[str, Any], proxies: Any
    ) -> tuple[requests.Response, Answer]:
        url = request.url or ""
        self.before(request)
        answer: Answer | None = None
        self.meter.add(requests=1)
        deadline = time.monotonic() + self.rules.total_timeout
        try:
            response = super().send(
                request,
                stream=True,
                timeout=(self.rules.connect_timeout, self.rules.read_timeout),
                proxies=proxies,
                **options,
            )
            try:
                body = read_bounded(_pieces(response), url, self.rules, deadline)
            finally:
                response.close()
            self.meter.add(bytes=len(body))
            answer = Answer(status=response.status_code, headers=lower_keys(response.headers), body=body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise_unread(error, url, self.rules)
        finally:
            self.after(request, answer)
        return response, answer
