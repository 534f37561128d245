"""The list of an account's models at the Hugging Face Hub, newest first.

No snapshot comes of it: it tells what is there to be looked at, and nothing rests on it. It is asked
for without counters, so that a list to which nothing was added is not sent again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from crawler.http import MEBIBYTE, TransportRules, Unread
from crawler.sources.base import Usage
from crawler.sources.huggingface_client import HubClient
from crawler.turns import Turns
from pipelines.hub_models import ListedModel, ListedPage, parse_models, question_key
from pipelines.model import VisitStatus, canonical_json

PAGE = 100
"""Models in one answer: entries hold whole front matters and may be large."""
MAX_PAGES = 3
"""Requests for one account; older models than these hold are not looked at."""
MAX_BYTES = 16 * MEBIBYTE

_ASKED = (
    "author",
    "createdAt",
    "pipeline_tag",
    "library_name",
    "tags",
    "cardData",
    "siblings",
    "private",
    "disabled",
)
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the Hub listed of an account. `failure` says why it is not the whole or nothing.

    `skipped` entries could not be understood; `has_more`: there are older models than were asked for.
    `pages` are those that were given anew, each with its question.
    """

    maker: str
    models: tuple[ListedModel, ...] = ()
    skipped: int = 0
    has_more: bool = False
    failure: Unread | None = None
    pages: tuple[tuple[str, ListedPage], ...] = ()


class HuggingFaceListing:
    """Lists models; safe to share between threads. `known` are the pages of earlier lists, by `question_key`."""

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | None,
        user_agent: str,
        clock: Callable[[], datetime],
        rules: TransportRules | None = None,
        known: Mapping[str, ListedPage] | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._known = known or {}
        token = token or None
        rules = replace(
            rules or TransportRules(user_agent=user_agent),
            user_agent=user_agent,
            max_bytes=MAX_BYTES,
            secrets=(token,) if token else (),
        )
        self._client = HubClient(endpoint=endpoint, token=token, rules=rules, clock=clock, turns=turns)

    @property
    def usage(self) -> Usage:
        """What has been spent since the start."""
        return self._client.usage

    def fetch_models(self, maker: str) -> Listing:
        """The newest models of an account, at most MAX_PAGES requests. Failure is told, not raised."""
        listing = Listing(maker=maker)
        question = {"author": maker, "sort": "createdAt", "direction": "-1", "limit": str(PAGE)}
        query = urlencode([*question.items(), *(("expand", name) for name in _ASKED)])
        try:
            for _ in range(MAX_PAGES):
                page, is_new = self._fetch_page(query)
                models, skipped = parse_models(json.loads(page.body))
                listing = replace(
                    listing,
                    models=(*listing.models, *_own(models, maker)),
                    skipped=listing.skipped + skipped,
                    pages=(*listing.pages, (query, page)) if is_new and page.etag else listing.pages,
                )
                query = page.following
                if not query:
                    return listing
        except Unread as error:
            return replace(listing, failure=error)
        return replace(listing, has_more=True)

    def _fetch_page(self, query: str) -> tuple[ListedPage, bool]:
        """A page, and whether it was sent: else it is the one that is known."""
        known = self._known.get(question_key(query))
        answer = self._client.fetch_info(f"/api/models?{query}", known.etag if known else "")
        if answer.status == 304 and known is not None:
            return known, False
        try:
            value = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            reason = f"the answer of {self._client.where('/api/models')} is not JSON"
            raise Unread(VisitStatus.FAILED, reason) from error
        if not isinstance(value, list):
            reason = f"the answer of {self._client.where('/api/models')} is no list"
            raise Unread(VisitStatus.FAILED, reason)
        # Only the query of the address is taken over: our token goes to no other path or host.
        following = _NEXT.search(answer.headers.get("link", ""))
        page = ListedPage(
            etag=answer.headers.get("etag", ""),
            body=canonical_json(value).decode("utf-8", "surrogatepass"),
            following=urlsplit(following[1]).query if following and value else "",
        )
        return page, True


def _own(models: tuple[ListedModel, ...], maker: str) -> tuple[ListedModel, ...]:
    """The models that stand under the account, whatever else a list may hold."""
    return tuple(model for model in models if model.owner.lower() == maker.lower())
