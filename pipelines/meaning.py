"""What a page says, as a digest: the same for two readings that differ in nothing that a reader would tell.

Compared is the text that the extractors read, not the bytes: scripts, class names, hidden fields and
keys of a session are not in it. Volatile words are marked (`pipelines.volatile`), and blocks that say of
themselves that they change (live regions, carousels, advertisements, banners) are left out, unless they
speak of what is rated here: then what they say is news.
"""

from __future__ import annotations

import re

from bs4 import Tag

from pipelines.html_text import render_html
from pipelines.model import digest_of
from pipelines.text import decode, is_page
from pipelines.volatile import steady

LONGEST_BLOCK = 1500
"""Characters of text beyond which a block is content, whatever it is called."""
BLOCK_TAGS = 200
"""Elements within a block beyond which it is content."""

LIVE_ROLES = frozenset({"alert", "log", "marquee", "status", "timer"})
CHANGING_NAMES = frozenset(
    """ad ads advert adverts advertisement advertising announcement banner carousel consent cookie cookies countdown
    counter marquee promo promotion rotator slider slideshow sponsor sponsored sponsors swiper testimonial testimonials
    ticker visitors""".split()
)
# The page itself and its great parts are content, whatever their classes say of what stands in them.
CONTENT_ELEMENTS = frozenset({"html", "body", "main", "article", "form", "table"})
NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Words that the ratings turn on: a banner that says them says something.
TELLING = re.compile(
    r"""licen[cs]|weights?\b|check-?points?\b|data-?\s?sets?\b|corpus|open[-\s]?sourc|github|hugging\s?face|huggingface|arxiv|pypi|\bpip\b|model\scard
      | releas | 许可 | 开源 | 权重 | 数据集""",
    re.VERBOSE | re.IGNORECASE,
)


def page_meaning(body: bytes, media_type: str, url: str) -> str:
    """A digest (hex) of what a page or another text says; empty where there is nothing to be read in it."""
    media_type = media_type.strip().lower()
    text = decode(body, media_type)
    if is_page(body, media_type):
        text = render_html(text, url, left_out=is_changing)
    words = " ".join(steady(text).split())
    return digest_of(["page", words]) if words else ""


def is_changing(tag: Tag) -> bool:
    """Is it a block that changes by itself and says nothing of what is rated?"""
    if tag.name in CONTENT_ELEMENTS or not _says_that_it_changes(tag):
        return False
    texts, length = [], 0
    for number, node in enumerate(tag.descendants):
        if isinstance(node, Tag):
            if node.name == "h1":
                return False
            texts.append(str(node.get("href") or ""))
        else:
            texts.append(str(node))
            length += len(texts[-1])
        if number > BLOCK_TAGS or length > LONGEST_BLOCK:
            return False
    return not TELLING.search(" ".join(texts))


def _says_that_it_changes(tag: Tag) -> bool:
    if (
        tag.name == "marquee"
        or tag.get("role") in LIVE_ROLES
        or tag.get("aria-roledescription") == "carousel"
    ):
        return True
    if tag.get("aria-live") in ("polite", "assertive"):
        return True
    classes = tag.get("class") or ""
    given = f"{classes if isinstance(classes, str) else ' '.join(classes)} {tag.get('id') or ''}"
    return any(part.lower() in CHANGING_NAMES for part in NAME_PART.findall(given[:500]))
