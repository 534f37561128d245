"""What the rules propose, as CSV, one line for each project and dimension.

`slug,dimension,class,confidence,current,link,rationale,rule,evidence`. The class is `open`,
`partial`, `closed`, empty for not applicable, or `cannot_tell`; `current` is the confirmed rating,
empty where it is not applicable or nothing is decided. `confidence` runs from 0 to 1. `evidence`
lists the passages in JSON, each `{artifact, url, fetched_at, sha256, quote}`. Open the file with
`newline=""`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from pipelines.exports.cells import class_text, escaped_surrogates, guarded, utc_text
from pipelines.exports.rows import EvidenceItem, ProposalRow
from pipelines.model import Rating

SUFFIX = ".csv"
HEADER = ("slug", "dimension", "class", "confidence", "current", "link", "rationale", "rule", "evidence")
CANNOT_TELL = "cannot_tell"


def write(rows: Iterable[ProposalRow], out: TextIO) -> None:
    """Write the proposals in the order given."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow(
            (
                guarded(row.slug),
                guarded(row.dimension),
                _proposed(row.rating),
                f"{row.confidence:.4f}".rstrip("0").rstrip("."),
                class_text(row.current),
                guarded(row.link),
                guarded(row.rationale),
                guarded(row.rule),
                evidence_json(row.evidence),
            )
        )


def evidence_json(items: Sequence[EvidenceItem]) -> str:
    """The evidence as a JSON list on one line. It begins with a bracket, so no spreadsheet runs it."""
    return escaped_surrogates(json.dumps([evidence_object(item) for item in items], ensure_ascii=False))


def evidence_object(item: EvidenceItem) -> dict[str, str]:
    """One passage with the keys that users' scripts rely on."""
    return {
        "artifact": item.artifact,
        "url": item.url,
        "fetched_at": utc_text(item.fetched_at),
        "sha256": item.sha256,
        "quote": item.quote,
    }


def _proposed(rating: Rating | None) -> str:
    return CANNOT_TELL if rating is None else class_text(rating)
