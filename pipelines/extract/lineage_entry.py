"""What is publicly known of a base model without a readable card, from `lineage` `entry` snapshots."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.extract.base import Source
from pipelines.model import Evidence

ASPECTS = ("data", "weights", "licence", "architecture", "datasheet", "preprint")


def extract(source: Source) -> Iterator[Evidence]:
    """`lineage.fact` for each aspect that the entry states; the source of each is its address."""
    entry = source.json()
    if not isinstance(entry, dict):
        yield source.quote("document.problem", 0, 80, problem="malformed")
        return
    for aspect in ASPECTS:
        fact = entry.get(aspect)
        if isinstance(fact, dict) and fact.get("statement"):
            yield source.field(
                "lineage.fact",
                f"$.{aspect}.statement",
                fact["statement"],
                about=aspect,
                rating=fact.get("class"),
                licence=fact.get("licence"),
                source=fact.get("source"),
                base=entry.get("name"),
            )
