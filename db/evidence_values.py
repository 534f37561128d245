"""From evidence to the columns that hold it. Few imports: the processes that extract use it, too."""

from __future__ import annotations

from pipelines.model import Evidence, JsonValue, Quote


def evidence_values(evidence: Evidence, snapshot_id: int) -> dict[str, JsonValue]:
    """The columns of a piece of evidence, without extraction and ordinal."""
    where = evidence.where
    quote = where if isinstance(where, Quote) else None
    field = None if isinstance(where, Quote) else where
    return {
        "snapshot_id": snapshot_id,
        "kind": evidence.kind,
        "key": evidence.key,
        "quote_start": quote.start if quote else None,
        "quote_end": quote.end if quote else None,
        "quote_text": quote.text if quote else None,
        "field_path": field.path if field else None,
        "field_value": field.value if field else None,
        "value": dict(evidence.value),
    }
