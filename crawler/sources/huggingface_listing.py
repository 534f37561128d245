"""The list of an account's models at the Hugging Face Hub, newest first.

No snapshot comes of it: it tells what is there to be looked at, and nothing rests on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from crawler.http import MEBIBYTE, TransportRules, Unread
from crawler.sources.base import Usage
from crawler.sources.huggingface_client import HubClient
from pipelines.hub_models import ListedModel, parse_models
from pipelines.model import VisitStatus

PAGE = 100
"""Models in one answer: entries hold whole front matters and may be large."""
MAX_PAGES = 3
"""Requests for one account; older models than these hold are not looked at."""
MAX_BYTES = 16 * MEBIBYTE

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the Hub listed of an account. `failure` says why it is not the whole or nothing.

    `skipped` entries could not be understood; `has_more`: there are older models than were asked for.
    """

    maker: str
    models: tuple[ListedModel, ...] = ()
    skipped: int = 0
    has_more: bool = False
    failure: Unread | None = None


class HuggingFaceListing:
    """Lists models; safe to share between threads."""

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | None,
        user_agent: str,
        clock: Callable[[], datetime],
        rules: TransportRules | None = None,
    ) -> None:
        token = token or None
        rules = replace(
            rules or TransportRules(user_agent=user_agent),
            user_agent=user_agent,
            max_bytes=MAX_BYTES,
            secrets=(token,) if token else (),
        )
        self._client = HubClient(endpoint=endpoint, token=token, rules=rules, clock=clock)

    @property
    def usage(self) -> Usage:
        """What has been spent since the start."""
        return self._client.usage

    def fetch_models(self, maker: str) -> Listing:
        """The newest models of an account, at most MAX_PAGES requests. Failure is told, not raised."""
        listing = Listing(maker=maker)
        query = urlencode(
            {
                "author": maker,
                "sort": "createdAt",
                "direction": "-1",
                "limit": str(PAGE),
                "full": "true",
                "cardData": "true",
            }
        )
        try:
            for _ in range(MAX_PAGES):
                models, skipped, query = self._fetch_page(query)
                listing = replace(
                    listing,
                    models=(*listing.models, *_own(models, maker)),
                    skipped=listing.skipped + skipped,
                )
                if not query:
                    return listing
        except Unread as error:
            return replace(listing, failure=error)
        return replace(listing, has_more=True)

    def _fetch_page(self, query: str) -> tuple[tuple[ListedModel, ...], int, str]:
        """A page, how much of it was not understood, and the query that leads on (empty at the end)."""
        path = f"/api/models?{query}"
        answer = self._client.fetch_info(path)
        try:
            value = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            reason = f"the answer of {self._client.where('/api/models')} is not JSON"
            raise Unread(VisitStatus.FAILED, reason) from error
        if not isinstance(value, list):
            reason = f"the answer of {self._client.where('/api/models')} is no list"
            raise Unread(VisitStatus.FAILED, reason)
        models, skipped = parse_models(value)
        # Only the query of the address is taken over: our token goes to no other path or host.
        following = _NEXT.search(answer.headers.get("link", ""))
        return models, skipped, urlsplit(following[1]).query if following and value else ""


def _own(models: tuple[ListedModel, ...], maker: str) -> tuple[ListedModel, ...]:
    """The models that stand under the account, whatever else a list may hold."""
    return tuple(model for model in models if model.owner.lower() == maker.lower())
