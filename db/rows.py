"""From rows to the values that travel."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from db.models import ArtifactRow, EvidenceRow, PartRow, SnapshotRow
from db.values import StoredSnapshot
from pipelines.errors import StorageError
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, FieldValue, Quote


def ref_from(row: ArtifactRow) -> ArtifactRef:
    """The name of an artifact."""
    return ArtifactRef(kind=row.kind, id=row.identifier)


def parse_ref(text: str) -> ArtifactRef | None:
    """The artifact whose name is written as `kind:identifier`; None when it names none."""
    kind, _, identifier = text.partition(":")
    if not identifier or kind not in tuple(ArtifactKind):
        return None
    return ArtifactRef(kind=ArtifactKind(kind), id=identifier)


def snapshot_from(artifact: ArtifactRow, part: PartRow, row: SnapshotRow) -> StoredSnapshot:
    """A snapshot, without its bytes."""
    return StoredSnapshot(
        id=row.id,
        ref=ref_from(artifact),
        part=part.name,
        url=row.url,
        fetched_at=row.fetched_at,
        sha256=row.sha256,
        media_type=row.media_type,
        size=row.size,
    )


def evidence_from(row: EvidenceRow | Row[*tuple[Any, ...]], snapshot: StoredSnapshot) -> Evidence:
    """Evidence as it was extracted from its snapshot. `row`: an EvidenceRow, or its columns of that name."""
    where: Quote | FieldValue
    if row.quote_text is not None and row.quote_start is not None and row.quote_end is not None:
        where = Quote(start=row.quote_start, end=row.quote_end, text=row.quote_text)
    elif row.field_path is not None:
        where = FieldValue(path=row.field_path, value=row.field_value)
    else:
        raise StorageError(f"evidence {row.id} is neither a quote nor a field")
    return Evidence(
        kind=row.kind,
        ref=snapshot.ref,
        part=snapshot.part,
        url=snapshot.url,
        fetched_at=snapshot.fetched_at,
        sha256=snapshot.sha256,
        where=where,
        value=row.value,
    )
