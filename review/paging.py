"""Numbers and words from the query of an address: what is not right is passed over, not an error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

Choice = TypeVar("Choice", bound=StrEnum)

MAX_SEARCH = 200
MAX_PAGE = 100_000
MAX_ID = 2**62


def text_of(query: Mapping[str, str], name: str, limit: int = MAX_SEARCH) -> str:
    """A text without spaces around it, at most so long."""
    return query.get(name, "").strip()[:limit]


def page_of(query: Mapping[str, str], name: str = "page") -> int:
    """The number of a page, from 1."""
    return min(number_of(query, name) or 1, MAX_PAGE)


def number_of(query: Mapping[str, str], name: str) -> int | None:
    """A number above 0; None when there is none. As ids have it: no larger than a database takes."""
    text = query.get(name, "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        return None
    return min(int(text), MAX_ID) or None


def choice_of(query: Mapping[str, str], name: str, otherwise: Choice) -> Choice:
    """One of the values of an enum, another one when it is none of them."""
    kind = type(otherwise)
    text = query.get(name, "")
    return kind(text) if text in tuple(kind) else otherwise


def address(path: str, **query: object) -> str:
    """A path with a query, without what is empty."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given)}" if given else path
