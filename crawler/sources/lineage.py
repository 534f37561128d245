"""Source `lineage`: what the lineage file says of bases without a readable card.

Parts: `entry`, the canonical JSON of one base model's entry. The file is local; every fact in it
has the public address that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from crawler.sources.base import Allowance, Usage
from pipelines.lineage_data import BaseModel, Fact, find_base
from pipelines.model import (
    ArtifactKind,
    Capture,
    JsonValue,
    Visit,
    VisitRequest,
    VisitStatus,
    canonical_json,
)


def _fact(fact: Fact) -> dict[str, JsonValue]:
    return {
        "class": fact.rating.value,
        "statement": fact.statement,
        "source": fact.source,
        "licence": fact.license_id or None,
    }


def entry_of(base: BaseModel) -> bytes:
    """The canonical bytes of a base model's entry."""
    entry: dict[str, JsonValue] = {
        "name": base.name,
        "maker": base.maker,
        "data": _fact(base.data),
        "weights": _fact(base.weights),
        "licence": _fact(base.license),
        "architecture": _fact(base.architecture),
    }
    if base.datasheet is not None:
        entry["datasheet"] = _fact(base.datasheet)
    return canonical_json(entry)


class LineageSource:
    """Reads entries of the lineage file, which was parsed already; `bases` None: there is no such file."""

    name = "lineage"
    kinds = frozenset({ArtifactKind.LINEAGE})

    def __init__(self, *, bases: Sequence[BaseModel] | None, clock: Callable[[], datetime]) -> None:
        self._bases = None if bases is None else tuple(bases)
        self._clock = clock

    def fetch_allowance(self) -> Allowance | None:
        """A file has no limit."""
        return None

    @property
    def usage(self) -> Usage:
        """Nothing is requested of anybody."""
        return Usage()

    def close(self) -> None:
        """There is nothing to give back."""

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        """One visit for each base: its entry, or missing where the file no longer has it.

        Without a file nothing is known to be missing: the visits fail, and what was read stands.
        """
        for request in requests:
            base = find_base(self._bases or (), request.ref.id)
            status, reason = VisitStatus.OK, ""
            if self._bases is None:
                status, reason = VisitStatus.FAILED, "there is no lineage file to read"
            elif base is None:
                status, reason = VisitStatus.MISSING, "the lineage file has no such base"
            yield Visit(
                ref=request.ref,
                part="entry",
                url=base.data.source if base else "",
                at=self._clock(),
                status=status,
                capture=Capture(body=entry_of(base), media_type="application/json") if base else None,
                reason=reason,
            )
