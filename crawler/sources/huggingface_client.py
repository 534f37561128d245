"""One account's conversation with the Hugging Face Hub: huggingface_hub under our transport rules.

The library brings the HTTP client, the headers and the knowledge of how the Hub says no. It has no
timeouts, conditional requests or limit on sizes, and does not repeat what failed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import errors

# The library marks none of these as exported, and documents them all.
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
    parse_ratelimit_headers,
)

from crawler.http import (
    ACCEPTED_ENCODING,
    CHUNK,
    Answer,
    Meter,
    TransportRules,
    Unread,
    address,
    inflated,
    looks_like_json,
    lower_keys,
    read_bounded,
    same_host,
    unread_status,
)
from crawler.limits import Budget, Door, asked_pause, nearest, with_patience
from crawler.sources.base import Allowance, Usage
from crawler.turns import HUB_AT_ONCE, Turns
from pipelines.model import VisitStatus
from spiders.judge import binary_content

logger = logging.getLogger(__name__)

# The libraries beneath write the headers of every answer into their finest log lines, whatever is in them.
for _name in ("httpcore2", "httpx2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_MOST_REDIRECTS = 5


class HubClient:
    """Fetches from the Hub; raises `Unread` and nothing else. Safe to share between threads.

    It asks while it holds one of `turns`, which it may share with other clients: more threads than there are
    turns keep all of them in use, since some are always busy with an answer.
    The HTTP client beneath is shared by the whole process and not ours to close.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | None,
        rules: TransportRules,
        clock: Callable[[], datetime],
        turns: Turns | None = None,
    ) -> None:
        self.token = token
        self._turns = turns or Turns(HUB_AT_ONCE)
        self._endpoint = endpoint.rstrip("/")
        self._rules = rules
        self._clock = clock
        self._meter = Meter()
        self._budgets = {
            name: Budget(Door(clock, "the Hub", rules.max_wait), clock, partial(_used_up, what))
            for name, what in (("api", "API requests"), ("resolvers", "file requests"))
        }
        # With `token=None` the library would look for one in the environment and in files.
        self._headers = {
            **build_hf_headers(token=token or False),
            "user-agent": rules.user_agent,
            "accept-encoding": ACCEPTED_ENCODING,
        }
        self._refused = threading.Event()

    @property
    def usage(self) -> Usage:
        return self._meter.told(self.allowance)

    @property
    def allowance(self) -> Allowance | None:
        """What the Hub said last of the limit that is nearest to its end."""
        return nearest(self._budgets.values())

    def prepare(self) -> None:
        """Make the HTTP client, which reads all certificates that there are."""
        get_session()

    def leave(self) -> None:
        """Wake the threads that wait for a limit: nothing more will be asked."""
        for budget in self._budgets.values():
            budget.door.leave()

    def where(self, path: str) -> str:
        """The address of something at the Hub, as it may be said."""
        return address(self._endpoint + path)

    def fetch_info(self, path: str, etag: str = "") -> Answer:
        """One request to the API; 200 or 304."""
        return self._fetch(path, "api", etag)

    def fetch_file(self, path: str, etag: str = "") -> Answer:
        """One file, which has a limit of its own; 200 or 304."""
        return self._fetch(path, "resolvers", etag)

    def _fetch(self, path: str, bucket: str, etag: str) -> Answer:
        """One request, with its redirects; an answer of 200 or 304, or Unread."""
        url = self._endpoint + path
        headers = dict(self._headers)
        if etag:
            headers["if-none-match"] = etag
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(url, bucket, headers)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            target = urljoin(url, answer.headers.get("location", ""))
            if not same_host(url, target):
                # Only large files lie elsewhere; our token and our trust are for the Hub alone.
                raise Unread(VisitStatus.FAILED, f"{address(url)} redirects to another host")
            url = target
        raise Unread(VisitStatus.FAILED, f"more than {_MOST_REDIRECTS} redirects from {address(url)}")

    def _ask(self, url: str, bucket: str, headers: Mapping[str, str]) -> Answer:
        budget = self._budgets[bucket]
        answer = with_patience(
            self._rules, budget, lambda: _not_noise(self._ask_in_turn(url, budget, headers), bucket, url)
        )
        if answer.status in (200, 304) or 300 <= answer.status < 400:
            return answer
        raise self._refusal(answer, url, bucket)

    def _ask_in_turn(self, url: str, budget: Budget, headers: Mapping[str, str]) -> Answer:
        with self._turns:
            return self._ask_once(url, budget, headers)

    def _ask_once(self, url: str, budget: Budget, headers: Mapping[str, str]) -> Answer:
        turn = budget.take()
        told: Allowance | None = None
        self._meter.add(requests=1, charged=1)
        try:
            answer = self._exchange(url, headers)
            told = self._allowance(answer)
        except BaseException:
            budget.door.lost(turn)
            raise
        finally:
            budget.settle(told)
        used_up = answer.status == 429 and told is not None and told.remaining <= 0
        pause = None if used_up else asked_pause(answer, self._clock())
        if pause is not None:
            budget.door.hold(turn, pause.seconds)
            return replace(answer, limited=True)
        if self._is_token_refused(answer):
            self._close(url)
        budget.door.welcome(turn)
        return replace(answer, limited=used_up)

    def _exchange(self, url: str, headers: Mapping[str, str]) -> Answer:
        rules = self._rules
        deadline = time.monotonic() + rules.total_timeout
        try:
            # The library's client has no timeout of its own, so every request brings one.
            with get_session().stream(
                "GET",
                _taken_apart(url),
                headers=dict(headers),
                timeout=httpx2.Timeout(rules.read_timeout, connect=rules.connect_timeout),
                follow_redirects=False,
            ) as response:
                packed = self._meter.count(response.iter_raw(CHUNK))
                whole = inflated(packed, response.headers.get("content-encoding", ""), url)
                body = read_bounded(whole, url, rules, deadline)
        except httpx2.TimeoutException as error:
            reason = f"no answer from {address(url)} in time"
            raise Unread(VisitStatus.FAILED, reason, silent=True) from error
        except httpx2.TransportError as error:
            reason = rules.say(f"the connection to {address(url)} broke: {type(error).__name__}")
            raise Unread(VisitStatus.FAILED, reason, again=True) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # HF_HUB_OFFLINE ends here too: the library raises a ConnectionError then.
            reason = rules.say(f"asking {address(url)} failed: {type(error).__name__}")
            raise Unread(VisitStatus.FAILED, reason) from error
        return Answer(status=response.status_code, headers=lower_keys(dict(response.headers)), body=body)

    def _allowance(self, answer: Answer) -> Allowance | None:
        told = parse_ratelimit_headers(answer.headers)
        if told is None:
            return None
        resets_at = self._clock() + timedelta(seconds=told.reset_in_seconds)
        return Allowance(remaining=told.remaining, resets_at=resets_at, limit=told.limit)

    def _refusal(self, answer: Answer, url: str, bucket: str) -> Unread:
        """What an unusable answer means. The library knows the Hub's own ways of saying so."""
        error = _library_error(answer, url)
        status = answer.status
        if isinstance(error, errors.GatedRepoError):
            return Unread(
                VisitStatus.DENIED, "gated: access must be asked for at the Hub", http_status=status
            )
        if isinstance(error, errors.DisabledRepoError):
            return Unread(VisitStatus.DENIED, "access is disabled at the Hub", http_status=status)
        told = answer.headers.get("x-error-code", "")
        if told == "RepoNotFound":
            return Unread(VisitStatus.MISSING, "the Hub knows no such public repository", http_status=status)
        if isinstance(error, (errors.RemoteEntryNotFoundError, errors.RevisionNotFoundError)):
            return Unread(VisitStatus.MISSING, "the Hub has no such file", http_status=status)
        if status == 401 and self.token:
            return Unread(VisitStatus.FAILED, self._close(url), http_status=401)
        if answer.limited:
            budget = self._budgets[bucket]
            left = budget.allowance
            used_up = left is not None and left.remaining <= 0
            reason = budget.describe(left.limit) if left and used_up else budget.door.reason
            return Unread(VisitStatus.FAILED, reason, http_status=status)
        return unread_status(status, url, self._rules)

    def _is_token_refused(self, answer: Answer) -> bool:
        """The Hub says 401 of what is gated or absent, too, and then says that."""
        return answer.status == 401 and bool(self.token) and "x-error-code" not in answer.headers

    def _close(self, url: str) -> str:
        """A token that is refused is refused to all: nobody follows this request. The reason."""
        reason = f"HF_TOKEN was refused by {urlsplit(url).netloc.rpartition('@')[2]} (401)"
        for budget in self._budgets.values():
            budget.door.close(reason)
        if not self._refused.is_set():
            self._refused.set()
            logger.error("%s", reason)
        return reason


def _not_noise(answer: Answer, bucket: str, url: str) -> Answer:
    """The answer. Raises Unread where it cannot be what was asked for: cards and licences are texts."""
    if answer.status != 200:
        return answer
    if bucket == "api" and not looks_like_json(answer.body):
        raise Unread(VisitStatus.FAILED, f"the answer of {address(url)} is not JSON", again=True)
    if bucket == "resolvers" and (binary := binary_content(answer.body)):
        raise Unread(VisitStatus.FAILED, f"no text: {binary}", again=True)
    return answer


@lru_cache(maxsize=64)
def _taken_apart(url: str) -> httpx2.URL:
    """An address as the library has it, once for the question and once for its answer. Raises InvalidURL."""
    return httpx2.URL(url)


def _library_error(answer: Answer, url: str) -> Exception | None:
    """The error that huggingface_hub makes of an answer."""
    headers = {k: v for k, v in answer.headers.items() if k not in ("content-encoding", "transfer-encoding")}
    response = httpx2.Response(
        answer.status,
        headers=headers,
        content=answer.body[:4096],
        request=httpx2.Request("GET", _taken_apart(url)),
    )
    try:
        hf_raise_for_status(response)
    except errors.HfHubHTTPError as error:
        return error
    except (ValueError, TypeError, AttributeError):
        # The library takes the body apart for its message and stumbles over some shapes.
        return None
    return None


def _used_up(what: str, limit: int | None) -> str:
    number = f"{limit} " if limit else ""
    return f"the Hub's limit of {number}{what} in five minutes is used up"
