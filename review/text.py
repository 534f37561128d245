"""Fetched words on a page: escaped, with what cannot be seen made visible, and never too many of them."""

from __future__ import annotations

import re

from markupsafe import Markup

from pipelines.visible import SUSPECT, is_harmless, web_address

MAX_SHOWN = 4000
"""Characters of a fetched text that a page shows unless it asks for fewer."""


def _named(found: re.Match[str]) -> str:
    character = found[0]
    if is_harmless(character):
        return character
    if character == "\r":
        return ""
    return f"\u27e8{ord(character):04X}\u27e9"


def plain(text: str, limit: int = MAX_SHOWN) -> str:
    """A text in which control, format and bidi characters stand as their number; cut to a length."""
    cut = text[:limit]
    shown = SUSPECT.sub(_named, cut)
    return f"{shown} …" if len(text) > limit else shown


def one_line(text: str, limit: int = 200) -> str:
    """The same on one line."""
    return " ".join(plain(text, limit).split())


def fetched(text: object, limit: int = MAX_SHOWN) -> Markup:
    """A fetched text as an element of its own: isolated, wrapped anywhere, spaces kept."""
    return Markup('<span class="fetched" dir="auto">{}</span>').format(plain(str(text), limit))


def live_link(address: str, words: str = "") -> Markup:
    """A link to a page of somebody else's, telling it nothing of us; as text where it is no web address."""
    shown = plain(words or address, 300)
    target = web_address(address)
    if not target:
        return Markup('<span class="fetched address" dir="auto">{}</span>').format(shown or "–")
    return Markup(
        '<a class="fetched address" dir="auto" href="{}" rel="noopener noreferrer nofollow external">{}</a>'
    ).format(target, shown)
