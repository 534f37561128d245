"""One GitHub account's conversation with GitHub: PyGithub's requester under our transport rules.

PyGithub's `Requester` keeps the answer under way on a shared connection object, so every thread has
its own. It follows redirects (renamed repositories) without limit, drops their query, waits for 202
without end and reads bodies of any size: the adapter beneath puts bounds to all of that.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from github import Auth, GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from crawler.http import (
    MEBIBYTE,
    Allowance,
    Answer,
    Budget,
    Meter,
    PatientAdapter,
    TransportRules,
    Unread,
    address,
    lower_keys,
    seconds_to_wait,
    unread_status,
)
from crawler.sources.base import Usage
from crawler.sources.github_documents import TreeFile, malformed, parse_blob
from crawler.sources.github_graphql import Reply, parse_cost, parse_reply
from pipelines.model import JsonValue, VisitStatus

logger = logging.getLogger(__name__)

# PyGithub brings a handler that writes to stderr past every setting; where logs go is for our caller to say.
logging.getLogger("github").handlers.clear()
logging.getLogger("github").setLevel(logging.NOTSET)

LARGEST_ANSWER = 16 * MEBIBYTE
"""GitHub cuts trees at 7 MB; a query for 2 MB of texts comes back as at most 12 MB of JSON."""

_MOST_REDIRECTS = 5
_WAIT_UNTOLD = 60.0
"""Seconds to keep away after a secondary limit that names no time, as GitHub's documentation advises."""

_Connection = HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestAnswer:
    """A usable answer of the address `where`; `value` is its JSON, None when nothing has changed (304)."""

    status: int
    where: str
    value: JsonValue
    etag: str
    last_modified: str


class _Adapter(PatientAdapter):
    """Counts against one of GitHub's limits, and bounds what PyGithub does by itself."""

    def __init__(
        self,
        rules: TransportRules,
        meter: Meter,
        clock: Callable[[], datetime],
        budget: Budget,
        charge: Callable[[Answer], int],
    ) -> None:
        super().__init__(rules, meter, clock, pool_size=1)
        self.budget = budget
        self.charge = charge
        self.hops = 0
        self.last: Answer | None = None

    def before(self, request: requests.PreparedRequest) -> None:
        self.budget.take()

    def after(self, request: requests.PreparedRequest, answer: Answer | None) -> None:
        self.last = answer
        self.budget.settle(_allowance(answer) if answer else None)
        if answer:
            self.meter.add(charged=self.charge(answer))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.hops += 1
        where = address(request.url or "")
        if self.hops > _MOST_REDIRECTS:
            raise Unread(VisitStatus.FAILED, f"more than {_MOST_REDIRECTS} redirects, the last to {where}")
        response = super().send(request, *args, **kwargs)
        if response.status_code == 202:
            raise Unread(VisitStatus.FAILED, f"HTTP 202 from {where}: not ready yet", http_status=202)
        return response


class _Requester(Requester):
    """PyGithub's requester over a connection of ours, for one thread and one address."""

    def __init__(self, url: str, graphql_url: str, token: str | None, adapter: _Adapter) -> None:
        super().__init__(
            auth=Auth.Token(token) if token else None,
            base_url=url,
            timeout=int(adapter.rules.read_timeout),
            user_agent=adapter.rules.user_agent,
            per_page=100,
            verify=True,
            retry=None,
            pool_size=1,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )
        self.adapter = adapter
        self._address_of_graphql = graphql_url
        parts = urlsplit(url)
        kind = HTTPSRequestsConnectionClass if parts.scheme == "https" else HTTPRequestsConnectionClass
        self._own: _Connection = kind(parts.hostname or "", parts.port, retry=0, pool_size=1)
        self._own.session.mount(f"{parts.scheme}://", adapter)

    @property
    def graphql_url(self) -> str:
        """The configured address, which need not lie where the REST address suggests."""
        return self._address_of_graphql

    def requestJson(
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        input: Any | None = None,
        cnx: _Connection | None = None,
        follow_302_redirect: bool = False,
    ) -> tuple[int, dict[str, Any], str]:
        self.adapter.hops = 0
        self.adapter.last = None
        return super().requestJson(verb, url, parameters, headers, input, self._own, follow_302_redirect)

    def close(self) -> None:
        super().close()
        self._own.close()


class GitHubClient:
    """Fetches from GitHub; raises `Unread` and nothing else. Safe to share between threads."""

    def __init__(
        self,
        *,
        api_url: str,
        graphql_url: str,
        token: str | None,
        rules: TransportRules,
        clock: Callable[[], datetime],
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.graphql_url = graphql_url
        self.token = token
        self._clock = clock
        self._rules = rules.with_bytes(LARGEST_ANSWER)
        self._meter = Meter()
        self._core = Budget(clock, self._limit_reached)
        self._graphql = Budget(clock, lambda limit: _used_up(f"{limit or 5000} GraphQL points an hour"))
        self._own = threading.local()
        self._made: list[_Requester] = []
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        counted = self._meter.usage
        told = [left for left in (self._core.remaining, self._graphql.remaining) if left is not None]
        return Usage(
            requests=counted.requests,
            charged=counted.charged,
            bytes=counted.bytes,
            remaining=min(told, default=None),
        )

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            made, self._made = self._made, []
            self._own = threading.local()
        for requester in made:
            requester.close()

    def fetch_json(self, path: str, etag: str = "") -> RestAnswer:
        """One REST request; `etag` makes it conditional. A renamed repository is followed."""
        requester = self._requester("rest")
        url = f"{self.api_url}{path}"
        headers = {"Accept": "application/vnd.github+json"}
        if etag:
            headers["If-None-Match"] = etag
        try:
            status, raw_headers, text = requester.requestJson("GET", path, headers=headers)
        except (GithubException, RuntimeError, ValueError, AssertionError) as error:
            reason = self._rules.say(f"asking {address(url)} failed: {error}")
            raise Unread(VisitStatus.FAILED, reason) from error
        answer = Answer(status=status, headers=lower_keys(raw_headers), body=b"")
        if status not in (200, 304):
            raise self._refusal(answer, text, url, self._core)
        return RestAnswer(
            status=status,
            where=address(url),
            value=None if status == 304 else _parsed(text, url),
            etag=answer.headers.get("etag", ""),
            last_modified=answer.headers.get("last-modified", ""),
        )

    def fetch_blob(self, repository: str, file: TreeFile) -> bytes:
        """The bytes of a file, by the sha that the tree names and checked against it."""
        answer = self.fetch_json(f"/repos/{repository}/git/blobs/{file.sha}")
        return parse_blob(answer.value, answer.where, file)

    def fetch_graphql(self, query: str) -> Reply:
        """One GraphQL query. What only some repositories are refused is in the reply's errors."""
        requester = self._requester("graphql")
        url = self.graphql_url
        value: JsonValue
        try:
            _, value = requester.graphql_query(query, {})
        except GithubException as error:
            # One repository that is not found makes the whole query raise, with all the others in its data.
            value = error.data
        except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError) as error:
            value = None
            if requester.adapter.last is None:
                reason = self._rules.say(f"asking {address(url)} failed: {error}")
                raise Unread(VisitStatus.FAILED, reason) from error
        answer = requester.adapter.last
        if answer is not None and answer.status != 200:
            refusal = self._refusal(answer, answer.body[:2000].decode("utf-8", "replace"), url, self._graphql)
            # 403 or 404 for the interface as a whole says nothing about any repository.
            raise Unread(
                VisitStatus.FAILED, refusal.reason, http_status=refusal.http_status, again=refusal.again
            )
        self._meter.add(charged=parse_cost(value))
        return parse_reply(value, address(url))

    def _requester(self, which: str) -> _Requester:
        found: _Requester | None = getattr(self._own, which, None)
        if found is None:
            graphql = which == "graphql"
            budget = self._graphql if graphql else self._core
            adapter = _Adapter(
                self._rules, self._meter, self._clock, budget, _nothing if graphql else self._charge
            )
            base = self.graphql_url if graphql else self.api_url
            found = _Requester(base, self.graphql_url, self.token, adapter)
            setattr(self._own, which, found)
            with self._lock:
                self._made.append(found)
        return found

    def _charge(self, answer: Answer) -> int:
        """GitHub charges everything but an authorised answer that nothing has changed."""
        return 0 if answer.status == 304 and self.token else 1

    def _limit_reached(self, limit: int | None) -> str:
        if self.token:
            return _used_up(f"{limit or 5000} requests an hour")
        return _used_up(f"{limit or 60} requests an hour without a token")

    def _refusal(self, answer: Answer, text: str, url: str, budget: Budget) -> Unread:
        """What an unusable answer means, and what it means for all that would still be asked."""
        if answer.status == 401 and self.token:
            host = urlsplit(url).netloc.rpartition("@")[2]
            reason = f"GITHUB_TOKEN was refused by {host} (401)"
            first = self._core.close(reason)
            self._graphql.close(reason)
            if first:
                logger.error("%s", reason)
            return Unread(VisitStatus.FAILED, reason, http_status=401)
        message = _message(text)
        if answer.status in (403, 429):
            told = _allowance(answer)
            if told is not None and told.remaining <= 0:
                reason = budget.describe(told.limit).removeprefix("not asked: ")
                return Unread(VisitStatus.FAILED, reason, http_status=answer.status)
            wait = seconds_to_wait(answer.headers, self._clock())
            if wait is not None or answer.status == 429 or "rate limit" in message.lower():
                pause = wait if wait is not None else _WAIT_UNTOLD
                reason = f"GitHub asks to wait {pause:.0f} s (secondary limit)"
                until = self._clock() + timedelta(seconds=pause)
                self._core.close(f"not asked: {reason}", until)
                self._graphql.close(f"not asked: {reason}", until)
                return Unread(VisitStatus.FAILED, reason, http_status=answer.status)
        return unread_status(answer.status, url, self._rules, message)


def _nothing(answer: Answer) -> int:
    """A GraphQL query is charged by the cost that its answer names, not by the request."""
    return 0


def _used_up(what: str) -> str:
    return f"not asked: GitHub's limit of {what} is used up"


def _allowance(answer: Answer) -> Allowance | None:
    """What GitHub's headers say is left of the hour; None where they do not say it."""
    try:
        resets_at = datetime.fromtimestamp(float(answer.headers["x-ratelimit-reset"]), UTC)
        left = int(float(answer.headers["x-ratelimit-remaining"]))
        limit = int(float(answer.headers.get("x-ratelimit-limit", "0"))) or None
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return Allowance(remaining=left, resets_at=resets_at, limit=limit)


def _parsed(text: str, url: str) -> JsonValue:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise malformed(address(url)) from error


def _message(text: str) -> str:
    """GitHub's own words about a refusal, where it gives any."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    message = value.get("message") if isinstance(value, dict) else None
    return message[:160] if isinstance(message, str) else ""
