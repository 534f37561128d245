"""From evidence to what its columns hold. Few imports: the processes that extract use it, too."""

from __future__ import annotations

from db.stored_text import escape_text, exact_json
from pipelines.model import Evidence, Quote


def evidence_values(evidence: Evidence, snapshot_id: int) -> dict[str, int | str | None]:
    """The columns of a piece of evidence as they are stored, without extraction and ordinal.

    Whoever stores them converts nothing any more (`db.evidence_table`).
    """
    where = evidence.where
    quote = where if isinstance(where, Quote) else None
    field = None if isinstance(where, Quote) else where
    return {
        "snapshot_id": snapshot_id,
        "kind": escape_text(evidence.kind),
        "key": evidence.key,
        "quote_start": quote.start if quote else None,
        "quote_end": quote.end if quote else None,
        "quote_text": escape_text(quote.text) if quote else None,
        "field_path": escape_text(field.path) if field else None,
        "field_value": exact_json(field.value if field else None),
        "value": exact_json(dict(evidence.value)),
    }
