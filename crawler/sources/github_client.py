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
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from github import Auth, GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from crawler.adapter import PatientAdapter
from crawler.http import (
    MEBIBYTE,
    Answer,
    Meter,
    TransportRules,
    Unread,
    address,
    looks_like_json,
    lower_keys,
    unread_status,
)
from crawler.limits import Budget, Door, Pause, asked_pause, nearest
from crawler.sources.base import Allowance, Usage
from crawler.sources.github_documents import TreeFile, malformed, parse_blob
from crawler.sources.github_graphql import Reply, parse_cost, parse_reply
from pipelines.model import JsonValue, VisitStatus

logger = logging.getLogger(__name__)

# PyGithub brings a handler that writes to stderr past every setting; where logs go is for our caller to say.
# Its finest log lines hold whole answers, and no body belongs into a log.
logging.getLogger("github").handlers.clear()
logging.getLogger("github").setLevel(logging.WARNING)

LARGEST_ANSWER = 16 * MEBIBYTE
"""GitHub cuts trees at 7 MB; a query for 2 MB of texts comes back as at most 12 MB of JSON."""

_MOST_REDIRECTS = 5
_MESSAGE_BYTES = 4096
_FREE = "/rate_limit"
"""The one path that GitHub answers without charging for it."""

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
        *,
        rest: bool,
    ) -> None:
        super().__init__(rules, meter, clock, budget, pool_size=1)
        self.rest = rest
        self.divisible = not rest
        self.hops = 0
        self.last: Answer | None = None

    def allowance(self, answer: Answer) -> Allowance | None:
        return _allowance(answer)

    def is_refusal(self, answer: Answer) -> bool:
        return answer.status in (403, 429) or (not self.rest and _is_rate_limited(answer))

    def pause(self, answer: Answer) -> Pause | None:
        """A secondary limit: 403 or 429 (GraphQL: 200, too), with a time or with none."""
        asked = asked_pause(answer, self.clock())
        if asked is not None or not self.is_refusal(answer):
            return asked
        said = _message(answer.body.decode("utf-8", "replace")).lower() if answer.status == 403 else ""
        limited = answer.status != 403 or "rate limit" in said or "abuse detection" in said
        return Pause(seconds=None) if limited else None

    def check(self, request: requests.PreparedRequest, answer: Answer) -> None:
        """A token that is refused is refused to all: nobody follows this request. Noise is no answer."""
        if answer.status == 401 and "authorization" in request.headers:
            host = urlsplit(request.url or "").netloc.rpartition("@")[2]
            reason = f"GITHUB_TOKEN was refused by {host} (401)"
            if self.budget.door.close(reason):
                logger.error("%s", reason)
            raise Unread(VisitStatus.FAILED, reason, http_status=401)
        if answer.status == 200 and not looks_like_json(answer.body):
            raise malformed(address(request.url or ""))

    def answered(self, answer: Answer) -> None:
        self.last = answer

    def charge(self, request: requests.PreparedRequest, answer: Answer | None) -> int:
        """REST charges everything but an authorised answer that nothing has changed.

        A GraphQL query is charged by the cost that its answer names, not by the request.
        """
        if answer is None or not self.rest or urlsplit(request.url or "").path.endswith(_FREE):
            return 0
        return 0 if answer.status == 304 and "authorization" in request.headers else 1

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
        # A secondary limit is the account's: what REST is told holds for GraphQL, and the other way round.
        self._door = Door(clock, "GitHub", rules.max_wait)
        self._core = Budget(self._door, clock, self._limit_reached)
        self._graphql = Budget(
            self._door, clock, lambda limit: _used_up(f"{limit or 5000} GraphQL points an hour")
        )
        self._own = threading.local()
        self._made: list[_Requester] = []
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        return self._meter.told(nearest([self._core, self._graphql]))

    def fetch_allowance(self) -> Allowance | None:
        """What GitHub says is left of both limits: of the nearer one; None where it says nothing.

        The question is free. Servers without limits answer it with 404.
        """
        try:
            resources = self.fetch_json(_FREE).value["resources"]
            self._core.note(parse_allowance(resources["core"]))
            if self.token:
                # Without a token GraphQL is not asked, and its limit is told as used up.
                self._graphql.note(parse_allowance(resources["graphql"]))
        except Unread as error:
            logger.warning("GitHub does not say what is left: %s", error.reason)
        except (KeyError, TypeError):
            logger.warning("GitHub does not say what is left in a form that is understood")
        return nearest([self._core, self._graphql])

    def leave(self) -> None:
        """Wake the threads that wait for a limit: nothing more will be asked."""
        self._door.leave()

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
        answer = requester.adapter.last or Answer(status=status, headers=lower_keys(raw_headers), body=b"")
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
        if answer is not None and (answer.status != 200 or answer.limited):
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
            adapter = _Adapter(self._rules, self._meter, self._clock, budget, rest=not graphql)
            base = self.graphql_url if graphql else self.api_url
            found = _Requester(base, self.graphql_url, self.token, adapter)
            setattr(self._own, which, found)
            with self._lock:
                self._made.append(found)
        return found

    def _limit_reached(self, limit: int | None) -> str:
        if self.token:
            return _used_up(f"{limit or 5000} requests an hour")
        return _used_up(f"{limit or 60} requests an hour without a token")

    def _refusal(self, answer: Answer, text: str, url: str, budget: Budget) -> Unread:
        """What an unusable answer means, and what it means for all that would still be asked."""
        if answer.limited:
            told = budget.allowance
            used_up = told is not None and told.remaining <= 0
            reason = budget.describe(told.limit) if told and used_up else self._door.reason
            return Unread(VisitStatus.FAILED, reason, http_status=answer.status)
        return unread_status(answer.status, url, self._rules, _message(text))


def _is_rate_limited(answer: Answer) -> bool:
    """Whether GraphQL refuses because of a limit: it does so with 200, no data and an error of this type."""
    if answer.status != 200 or b"RATE_LIMIT" not in answer.body[:_MESSAGE_BYTES]:
        return False
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    listed = value.get("errors") if isinstance(value, dict) and not value.get("data") else None
    kinds = {entry.get("type") for entry in (listed or ()) if isinstance(entry, dict)}
    return not kinds.isdisjoint({"RATE_LIMITED", "RATE_LIMIT"})


def _used_up(what: str) -> str:
    return f"GitHub's limit of {what} is used up"


def parse_allowance(value: JsonValue) -> Allowance:
    """One entry of GitHub's list of limits. Raises KeyError or TypeError where it is none."""
    try:
        resets_at = datetime.fromtimestamp(value["reset"], UTC)
        return Allowance(remaining=int(value["remaining"]), resets_at=resets_at, limit=int(value["limit"]))
    except (ValueError, OverflowError, OSError) as error:
        raise TypeError("not a limit") from error


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
