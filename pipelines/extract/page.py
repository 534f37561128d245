"""Web pages: their title, and the same as any document for people.

A page of proceedings whose title is that of a paper is a sign of peer review.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from pipelines.extract import prose
from pipelines.extract.base import Source
from pipelines.model import Evidence

PROCEEDINGS = re.compile(
    r"aclanthology\.org/\S|openreview\.net/forum|proceedings\.(?:mlr|neurips)|papers\.n(?:eur)?ips\.cc|jmlr\.org/papers|dl\.acm\.org/doi|ieeexplore",
    re.IGNORECASE,
)
TITLE = re.compile(r"^#\s+(\S[^\n]*)$", re.MULTILINE)
LONGEST_TITLE = 1000
TITLES = 3
"""Headings of the first level of a page of proceedings, one of which may be the paper's title."""
SITE_NAME = re.compile(r"\s+[-|–—·]\s+(?:ACL Anthology|OpenReview|NeurIPS[^-|]*|PMLR)\s*$", re.IGNORECASE)


def extract(source: Source) -> Iterator[Evidence]:
    """`page.title` or `paper.title`, then what `prose` finds."""
    is_paper = bool(PROCEEDINGS.search(source.snapshot.url) or PROCEEDINGS.search(source.snapshot.ref.id))
    for match in islice(TITLE.finditer(source.text), TITLES if is_paper else 1):
        title = SITE_NAME.sub("", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1][:LONGEST_TITLE])).strip()
        if is_paper:
            yield source.quote(
                "paper.title", match.start(1), match.end(1), title=title[:300], url=source.snapshot.url
            )
        else:
            yield source.quote("page.title", match.start(1), match.end(1), title=title[:300])
    yield from prose.extract(source)
