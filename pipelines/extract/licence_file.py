"""Licence files: which licence's text a file holds, and what it is for.

Reads `file:` snapshots of licence files. A text that is no known licence is evidence as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.extract.base import Source
from pipelines.extract.licences import match_licence_text
from pipelines.model import Evidence

LICENCE_PART = re.compile(
    r"file:(?:.*/)?[^/]*(?:licen[cs]e|copying|unlicense|use[_-]?policy)[^/]*$", re.IGNORECASE
)
FOR_WEIGHTS = re.compile(r"weight|model|checkpoint", re.IGNORECASE)
FOR_DATA = re.compile(r"data", re.IGNORECASE)
FOR_CODE = re.compile(r"code", re.IGNORECASE)
POLICY = re.compile(r"use[_-]?policy", re.IGNORECASE)
TERMS = re.compile(
    r"\byou\s+(?:may|must|shall|agree|can)|\b(?:licensee|permitted|permission|grant(?:s|ed)?|prohibited|warrant(?:y|ies))\b|许可|授权|不得",
    re.IGNORECASE,
)
UNRECOGNISED = "LicenseRef-unrecognised"
SHORTEST_LICENCE = 200
"""Characters below which an unknown text is a pointer to a licence rather than one."""


def extract(source: Source) -> Iterator[Evidence]:
    """`licence.text` for every licence recognised in the file."""
    name = source.snapshot.part.rsplit("/", 1)[-1].removeprefix("file:")
    scope = (
        "weights"
        if FOR_WEIGHTS.search(name)
        else "data"
        if FOR_DATA.search(name)
        else "code"
        if FOR_CODE.search(name)
        else None
    )
    matches = match_licence_text(source.text)
    for match in matches:
        yield source.quote(
            "licence.text", match.start, match.end, licence=match.id, score=round(match.score, 2), scope=scope
        )
    is_terms = len(source.text.strip()) >= SHORTEST_LICENCE and bool(TERMS.search(source.text))
    if not matches and is_terms and not POLICY.search(name):
        yield source.quote("licence.text", 0, 400, licence=UNRECOGNISED, score=0.0, scope=scope)
