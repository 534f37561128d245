"""How extractors make evidence: exact quotes of the decoded text, fields of the parsed document."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from pipelines.folding import folded
from pipelines.model import Evidence, FieldValue, JsonValue, Quote, Snapshot
from pipelines.text import decoded_text

__all__ = ["MAX_QUOTE", "Source", "any_of", "as_list", "as_text", "folded", "rounded"]

MAX_QUOTE = 600
"""Characters of a quote. A longer passage is cut at its end: evidence points, it does not copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A snapshot on its way through an extractor, with its decoded text."""

    snapshot: Snapshot
    text: str

    @classmethod
    def of(cls, snapshot: Snapshot) -> Source:
        """Decode a snapshot once for all quotes."""
        return cls(snapshot=snapshot, text=decoded_text(snapshot))

    def json(self) -> JsonValue | None:
        """The parsed document, or None where it is not JSON (a defect of the source, not a verdict)."""
        try:
            return json.loads(self.text, parse_constant=lambda _: None, parse_float=_finite)
        except (ValueError, RecursionError):
            return None

    def quote(self, kind: str, start: int, end: int, /, **value: JsonValue) -> Evidence:
        """Evidence at text[start:end], trimmed of surrounding white space and to MAX_QUOTE."""
        start, end = max(0, start), min(end, len(self.text))
        while start < end and self.text[start].isspace():
            start += 1
        end = min(end, start + MAX_QUOTE)
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return self._evidence(kind, Quote(start=start, end=end, text=self.text[start:end]), value)

    def field(self, kind: str, path: str, found: JsonValue, /, **value: JsonValue) -> Evidence:
        """Evidence that rests on a field of the parsed document."""
        return self._evidence(kind, FieldValue(path=path, value=found), value)

    def _evidence(self, kind: str, where: Quote | FieldValue, value: dict[str, JsonValue]) -> Evidence:
        snapshot = self.snapshot
        return Evidence(
            kind=kind,
            ref=snapshot.ref,
            part=snapshot.part,
            url=snapshot.url,
            fetched_at=snapshot.fetched_at,
            sha256=snapshot.sha256,
            where=where,
            value=value,
        )


def _finite(number: str) -> float | None:
    """A number of a JSON document; none where it is too large to be written as one again."""
    value = float(number)
    return value if isfinite(value) else None


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Finds any of some words."""
    # By their first letters: a letter is held against each of these, not against every word.
    by_first: defaultdict[str, list[str]] = defaultdict(list)
    for word in sorted(set(words)):
        by_first[word[0]].append(re.escape(word[1:]))
    return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items()))


def as_text(value: JsonValue) -> str:
    """A field that should be a text; empty where it is something else."""
    return value if isinstance(value, str) else ""


def as_list(value: JsonValue) -> list[str]:
    """A front matter value that may be a scalar, a list or nothing, as a list of strings."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []


def rounded(number: int) -> int:
    """Two significant digits: a word more or less is no new evidence."""
    size = int(10 ** max(0, len(str(number)) - 2))
    return number // size * size
