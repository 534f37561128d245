"""Reading evidence back: the rules ask for that of every project, so that what a piece costs counts.

Rows come as plain columns, JSON is parsed once for many of them, and the identity of a piece is taken
from its column where the extractors of today have written it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from db.columns import unescape_text
from db.keys import chunks
from db.models import EvidenceRow, ExtractionRow
from db.states import PartState
from db.values import StoredSnapshot
from pipelines.errors import StorageError
from pipelines.model import Evidence, FieldValue, JsonValue, Quote

PARSED_TOGETHER = 1000
"""Rows whose JSON is parsed in one go."""


@cache
def _query() -> Select[*tuple[Any, ...]]:  # Any: columns have many types
    """The evidence of some extractions, texts as they are stored: types that convert cost more than all the rest."""
    plain = Text()
    return (
        select(
            EvidenceRow.id,
            EvidenceRow.snapshot_id,
            EvidenceRow.extraction_id,
            type_coerce(EvidenceRow.kind, plain),
            type_coerce(EvidenceRow.key, plain),
            EvidenceRow.quote_start,
            EvidenceRow.quote_end,
            type_coerce(EvidenceRow.quote_text, plain),
            type_coerce(EvidenceRow.field_path, plain),
            type_coerce(EvidenceRow.field_value, plain),
            type_coerce(EvidenceRow.value, plain),
        )
        .where(EvidenceRow.extraction_id.in_(bindparam("extractions", expanding=True)))
        .order_by(EvidenceRow.extraction_id, EvidenceRow.ordinal)
    )


def load_evidence_of(
    session: Session,
    states: Iterable[PartState],
    extractions: Mapping[int, int],
    kinds: Collection[str] | None = None,
    *,
    keyed: Collection[int] = (),
) -> list[Evidence]:
    """What these extractions (by snapshot) found in the standing snapshots of some parts, in the order of the parts.

    Of the kinds named, or of every kind. `keyed`: the extractions whose identities of evidence hold;
    those that other versions of the extractors have written are worked out anew.
    """
    query = _query()
    session.flush()
    if kinds is not None:
        query = query.where(EvidenceRow.kind.in_(sorted(kinds)))
    standing = [state.standing for state in states if state.standing is not None]
    by_id = {snapshot.id: snapshot for snapshot in standing}
    found: dict[int, list[Evidence]] = {}
    for ids in chunks(extractions[snapshot_id] for snapshot_id in by_id if snapshot_id in extractions):
        # By the connection: a session takes twice as long to hand on rows.
        rows = session.connection().execute(query, {"extractions": ids})
        for some in rows.partitions(PARSED_TOGETHER):
            _add_evidence(found, some, by_id, keyed)
    return [item for snapshot in standing for item in found.get(snapshot.id, ())]


def load_extractions_by(session: Session, version: str, snapshot_ids: Iterable[int]) -> dict[int, int]:
    """The extractions of this version of the extractors, by snapshot."""
    found: dict[int, int] = {}
    for ids in chunks(snapshot_ids):
        query = select(ExtractionRow.snapshot_id, ExtractionRow.id).where(
            ExtractionRow.snapshot_id.in_(ids), ExtractionRow.extractor_version == version
        )
        found.update((snapshot_id, extraction_id) for snapshot_id, extraction_id in session.execute(query))
    return found


def _add_evidence(
    found: dict[int, list[Evidence]],
    rows: Sequence[Row[*tuple[Any, ...]]],  # Any: columns have many types
    snapshots: Mapping[int, StoredSnapshot],
    keyed: Collection[int],
) -> None:
    """Add the evidence of some rows to that of its snapshots."""
    values = _parsed([row[10] for row in rows])
    fields = iter(_parsed([row[9] for row in rows if row[8] is not None]))
    for row, value in zip(rows, values, strict=True):
        row_id, snapshot_id, extraction_id, kind, key, start, end, text, path, _, _ = row
        where: Quote | FieldValue
        if text is not None:
            where = Quote(start=start, end=end, text=unescape_text(text))
        elif path is not None:
            where = FieldValue(path=unescape_text(path), value=next(fields))
        else:
            raise StorageError(f"evidence {row_id} is neither a quote nor a field")
        snapshot = snapshots[snapshot_id]
        item = Evidence(
            kind=unescape_text(kind),
            ref=snapshot.ref,
            part=snapshot.part,
            url=snapshot.url,
            fetched_at=snapshot.fetched_at,
            sha256=snapshot.sha256,
            where=where,
            value=value,
        )
        if extraction_id in keyed:
            item.keep_key(key)
        found.setdefault(snapshot_id, []).append(item)


def _parsed(texts: Sequence[str | None]) -> list[JsonValue]:
    """The JSON of many columns, parsed as one document: None for those that hold nothing."""
    try:
        whole: list[JsonValue] = json.loads("[" + ",".join(text or "null" for text in texts) + "]")
    except ValueError as error:
        raise StorageError(f"a value of evidence is no JSON: {error}") from None
    if len(whole) != len(texts):
        raise StorageError("a value of evidence is no single JSON value")
    return whole
