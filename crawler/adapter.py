"""The transport rules for every client that is built on requests: PyGithub, arxiv, our own sessions."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

import requests
import urllib3
from requests.adapters import HTTPAdapter

from crawler.http import (
    ACCEPTED_ENCODING,
    CHUNK,
    Answer,
    Meter,
    TransportRules,
    Unread,
    address,
    inflated,
    lower_keys,
    read_bounded,
)
from crawler.limits import Budget, Pause, asked_pause, with_patience
from crawler.sources.base import Allowance
from pipelines.model import VisitStatus


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives, still compressed, so that a slow answer cannot hide within one read."""
    raw = response.raw
    if not hasattr(raw, "read1"):
        yield from raw.stream(CHUNK, decode_content=False)
        return
    while piece := raw.read1(CHUNK, decode_content=False):
        yield piece


def raise_unread(error: Exception, url: str, rules: TransportRules, *, divisible: bool) -> NoReturn:
    """Turn an exception of requests or urllib3 into Unread, without bodies and secrets.

    Where no answer came in time, what is `divisible` had better be asked in smaller questions.
    """
    where = address(url)
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        reason = f"no answer from {where} in time"
        raise Unread(VisitStatus.FAILED, reason, too_much=divisible, silent=not divisible) from error
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)):
        raise Unread(VisitStatus.FAILED, f"the answer of {where} broke off", again=True) from error
    if isinstance(error, requests.exceptions.SSLError):
        raise Unread(VisitStatus.FAILED, f"no secure connection to {where}") from error
    if isinstance(error, requests.ConnectionError):
        raise Unread(VisitStatus.FAILED, f"no connection to {where}", again=True) from error
    kind = type(error).__name__
    raise Unread(VisitStatus.FAILED, rules.say(f"asking {where} failed: {kind}")) from error


class PatientAdapter(HTTPAdapter):
    """One limit's rules and counts around every request: mount it on the client's session.

    Subclasses say what the service tells of its limit and what is charged. Raises Unread where no
    whole answer came; answers with an error status are returned. `divisible`: many things are asked
    about at once, and whoever asks can ask about fewer.
    """

    divisible = False

    def __init__(
        self,
        rules: TransportRules,
        meter: Meter,
        clock: Callable[[], datetime],
        budget: Budget,
        pool_size: int = 10,
    ) -> None:
        self.rules = rules
        self.meter = meter
        self.clock = clock
        self.budget = budget
        super().__init__(pool_connections=2, pool_maxsize=pool_size, max_retries=0)

    def allowance(self, answer: Answer) -> Allowance | None:
        """What the answer says is left of the limit."""
        return None

    def is_refusal(self, answer: Answer) -> bool:
        """Whether the answer says no because of a limit, where the limit is used up."""
        return answer.status in (403, 429)

    def pause(self, answer: Answer) -> Pause | None:
        """The pause that the answer asks for."""
        return asked_pause(answer, self.clock())

    def charge(self, request: requests.PreparedRequest, answer: Answer | None) -> int:
        """How much of the limit the request has cost."""
        return 1

    def check(self, request: requests.PreparedRequest, answer: Answer) -> None:
        """Raises Unread where an answer is none."""

    def answered(self, answer: Answer) -> None:
        """Called with the answer that the client gets."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        # The timeouts of the client are replaced: some clients have none, and then wait for ever.
        options = {"verify": kwargs.get("verify", True), "cert": kwargs.get("cert")}
        proxies = kwargs.get("proxies")
        request.headers["Accept-Encoding"] = ACCEPTED_ENCODING
        kept: list[requests.Response] = []

        def attempt() -> Answer:
            response, answer = self._ask_once(request, options, proxies)
            kept[:] = [response]
            return answer

        answer = with_patience(self.rules, self.budget, attempt)
        self.answered(answer)
        response = kept[0]
        response.raw = io.BytesIO(answer.body)
        if response.encoding is None:
            # Guessing the character set of a long body takes seconds; every API here speaks UTF-8.
            response.encoding = "utf-8"
        return response

    def _ask_once(
        self, request: requests.PreparedRequest, options: dict[str, Any], proxies: Any
    ) -> tuple[requests.Response, Answer]:
        turn = self.budget.take()
        told: Allowance | None = None
        answer: Answer | None = None
        self.meter.add(requests=1)
        try:
            response, answer = self._exchange(request, options, proxies)
            told = self.allowance(answer)
        except BaseException:
            self.budget.door.lost(turn)
            raise
        finally:
            self.budget.settle(told)
            self.meter.add(charged=self.charge(request, answer))
        used_up = told is not None and told.remaining <= 0 and self.is_refusal(answer)
        pause = None if used_up else self.pause(answer)
        if pause is not None:
            self.budget.door.hold(turn, pause.seconds)
            return response, replace(answer, limited=True)
        try:
            self.check(request, answer)
        finally:
            self.budget.door.welcome(turn)
        return response, replace(answer, limited=used_up)

    def _exchange(
        self, request: requests.PreparedRequest, options: dict[str, Any], proxies: Any
    ) -> tuple[requests.Response, Answer]:
        url = request.url or ""
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
                packed = self.meter.count(_pieces(response))
                whole = inflated(packed, response.headers.get("content-encoding", ""), url)
                body = read_bounded(whole, url, self.rules, deadline)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise_unread(error, url, self.rules, divisible=self.divisible)
        return response, Answer(status=response.status_code, headers=lower_keys(response.headers), body=body)
