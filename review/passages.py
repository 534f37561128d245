"""Evidence as a curator reads it: the quote within its context, cut from the stored bytes.

The text is the one that the extractors read (`pipelines.text`), so that a quote is found at its very
position. Bytes that are gone or damaged, or that say something else by now, are told of.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.question_pages import BodyKey, StoredBody
from db.values import BodyArchive
from pipelines.errors import StorageError
from pipelines.model import Evidence, Quote
from pipelines.text import decoded_text

CONTEXT = 320
"""Characters of context on each side of a quote."""

CONTEXT_LINES = 6
"""Lines of it on each side."""

MAX_VALUE = 2000
"""Characters of a field's value."""

WITH_CONTEXT = 12
"""Pieces of evidence that are shown within their context. Of the others the passage is."""

MAX_PIECES = 60
"""Pieces of evidence that are shown at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEvidence:
    """A piece of evidence with what stands around it.

    `before`, `quote`, `after` are of the stored text, cut; `starts_inside` and `ends_inside` tell that it goes on.
    `path` and `value` instead, where it is a field. `problem` says in a sentence why there is no context, empty
    where nothing is wrong. `has_bytes`: the stored bytes can be asked for.
    """

    number: int
    evidence: Evidence
    before: str = ""
    quote: str = ""
    after: str = ""
    starts_inside: bool = False
    ends_inside: bool = False
    path: str = ""
    value: str = ""
    problem: str = ""
    has_bytes: bool = True


@dataclass(slots=True)
class Texts:
    """Decoded texts of snapshots, the latest ones kept: rendering a page of megabytes takes a second.

    At most so many characters altogether; a text that is longer is not kept.
    """

    limit: int = 6_000_000
    _kept: OrderedDict[tuple[str, str, str], str] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, body: StoredBody, archive: BodyArchive) -> str:
        """The text of a snapshot. Raises StorageError when its bytes are gone or damaged."""
        stored = body.snapshot
        key = (stored.sha256, stored.media_type, stored.url)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        # Past its own cache, which would keep the bytes of 64 documents.
        text = decoded_text.__wrapped__(stored.read(archive))
        with self._lock:
            if key not in self._kept and len(text) <= self.limit:
                self._kept[key] = text
                self._size += len(text)
                while self._size > self.limit:
                    self._size -= len(self._kept.popitem(last=False)[1])
        return text


def shown_evidence(
    evidence: Sequence[Evidence],
    bodies: Mapping[BodyKey, StoredBody],
    archive: BodyArchive,
    texts: Texts,
) -> list[ShownEvidence]:
    """Pieces of evidence in their order, numbered from 1."""
    return [
        _shown(number, item, bodies.get((item.ref, item.part, item.sha256)), archive, texts)
        for number, item in enumerate(evidence[:MAX_PIECES], 1)
    ]


def _shown(
    number: int, item: Evidence, body: StoredBody | None, archive: BodyArchive, texts: Texts
) -> ShownEvidence:
    if not isinstance(item.where, Quote):
        problem = _absence(body)
        return ShownEvidence(
            number=number,
            evidence=item,
            path=item.where.path,
            value=_value_text(item.where.value),
            problem=problem,
            has_bytes=not problem,
        )
    quote = item.where
    alone = ShownEvidence(number=number, evidence=item, quote=quote.text)
    if number > WITH_CONTEXT:
        return alone
    problem = _absence(body)
    if problem or body is None:
        return _without_context(alone, problem, has_bytes=False)
    try:
        text = texts.read(body, archive)
    except StorageError as error:
        # The path within the archive is nobody's business; what happened is.
        damaged = "damaged" in str(error)
        return _without_context(
            alone,
            f"The stored bytes are {'damaged' if damaged else 'not in the archive'}: only the quote is left.",
            has_bytes=False,
        )
    if text[quote.start : quote.end] != quote.text:
        return _without_context(
            alone, "The stored text does not have this quote at its place: only the quote is shown."
        )
    start, end = _edges(text, quote)
    return ShownEvidence(
        number=number,
        evidence=item,
        before=text[start : quote.start],
        quote=quote.text,
        after=text[quote.end : end],
        starts_inside=start > 0,
        ends_inside=end < len(text),
    )


def _without_context(alone: ShownEvidence, problem: str, *, has_bytes: bool = True) -> ShownEvidence:
    return ShownEvidence(
        number=alone.number,
        evidence=alone.evidence,
        quote=alone.quote,
        problem=problem,
        has_bytes=has_bytes,
    )


def _absence(body: StoredBody | None) -> str:
    if body is None:
        return "The database does not know these bytes any more."
    if body.pruned_at is not None:
        return f"The stored bytes were removed on {body.pruned_at:%Y-%m-%d} by {body.pruned_by}."
    return ""


def _edges(text: str, quote: Quote) -> tuple[int, int]:
    """Where the context begins and ends: so many characters and lines away, at a word or line if one is near."""
    start, end = max(0, quote.start - CONTEXT), min(len(text), quote.end + CONTEXT)
    before, after = text[start : quote.start], text[quote.end : end]
    lines = before.split("\n")
    if len(lines) > CONTEXT_LINES:
        start = quote.start - len("\n".join(lines[-CONTEXT_LINES:]))
    elif start > 0 and (gap := _first_gap(before)) >= 0:
        start += gap
    lines = after.split("\n")
    if len(lines) > CONTEXT_LINES:
        end = quote.end + len("\n".join(lines[:CONTEXT_LINES]))
    elif end < len(text) and (gap := _first_gap(after[::-1])) >= 0:
        end -= gap
    return start, end


def _first_gap(text: str, within: int = 40) -> int:
    """Where the first white space is, if it is near; else -1."""
    return next((index for index, character in enumerate(text[:within]) if character.isspace()), -1)


def _value_text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]} …"
