"""Storing what sources read and extractors find: visits, snapshots, evidence. Many at once, in few statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.orm import Session

from db.evidence_table import add_evidence
from db.evidence_values import evidence_values
from db.keys import chunks, ensure_parts, insert_all_missing
from db.models import ArtifactRow, Base, ExtractionRow, PartRow, SnapshotRow, VisitRow
from db.pins import save_returned
from db.values import BodyArchive, KeptVisit, SavedVisit
from pipelines.errors import StorageError
from pipelines.model import ArtifactRef, Evidence, Validators, Visit, VisitStatus

NOTHING_STORED = "said to be unchanged, but nothing is stored of it"

Row = dict[str, Any]  # Any: columns have many types


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The snapshot of the latest visit that read a part, and what that visit left for the next."""

    snapshot_id: int
    sha256: str
    validators: Validators


def keep(archive: BodyArchive, visit: Visit) -> KeptVisit:
    """Put a visit's bytes into the archive; the visit without them. Raises StorageError when that fails."""
    if visit.capture is None:
        return KeptVisit(visit=visit)
    body = visit.capture.body
    sha256 = archive.put(body)
    bare = replace(visit, capture=replace(visit.capture, body=b""))
    return KeptVisit(visit=bare, sha256=sha256, size=len(body))


def save_visit(session: Session, archive: BodyArchive, run_id: int, visit: Visit) -> SavedVisit:
    """`save_visits` of a single visit whose bytes are not in the archive yet."""
    return save_visits(session, run_id, [keep(archive, visit)])[0]


def save_visits(session: Session, run_id: int, visits: Sequence[KeptVisit]) -> list[SavedVisit]:
    """Store visits and, where they brought new bytes, snapshots. The one road from sources into the database.

    The bytes are in the archive before the rows are committed. Bytes equal to those that stood
    before make the visit an unchanged one; so the same capture twice adds no snapshot. A visit
    that claims to be unchanged although nothing is stored is kept as failed.
    """
    return [saved for some in _without_repeats(visits) for saved in _save(session, run_id, some)]


def _without_repeats(visits: Sequence[KeptVisit]) -> Iterator[list[KeptVisit]]:
    """The visits in portions in which no part comes twice: the second of two builds upon the first."""
    portion: dict[tuple[ArtifactRef, str], KeptVisit] = {}
    for kept in visits:
        place = (kept.visit.ref, kept.visit.part)
        if place in portion:
            yield list(portion.values())
            portion = {}
        portion[place] = kept
    yield list(portion.values())


def _save(session: Session, run_id: int, visits: Sequence[KeptVisit]) -> list[SavedVisit]:
    parts = ensure_parts(session, [(kept.visit.ref, kept.visit.part) for kept in visits])
    standing = _load_standing(session, parts.values())
    save_returned(session, [kept.sha256 for kept in visits if kept.sha256])
    new: dict[tuple[int, str], KeptVisit] = {}
    for kept in visits:
        part_id = parts[kept.visit.ref, kept.visit.part]
        stands = standing.get(part_id)
        if kept.sha256 and (stands is None or stands.sha256 != kept.sha256):
            new[part_id, kept.sha256] = kept
    snapshots = _load_snapshots(session, new)
    added = _add_snapshots(session, {place: kept for place, kept in new.items() if place not in snapshots})
    snapshots |= added
    # Another process was faster with these; its rows are committed by now.
    snapshots |= _load_snapshots(session, [place for place in new if place not in snapshots])
    rows, saved = [], []
    for kept in visits:
        part_id = parts[kept.visit.ref, kept.visit.part]
        place = (part_id, kept.sha256)
        row = _visit_row(kept.visit, standing.get(part_id), snapshots.get(place))
        rows.append(row | {"run_id": run_id, "part_id": part_id})
        saved.append(
            SavedVisit(status=row["status"], snapshot_id=row["snapshot_id"], is_new_snapshot=place in added)
        )
    if rows:
        session.execute(insert(_table(VisitRow)), rows)
    return saved


def _visit_row(visit: Visit, standing: _Standing | None, snapshot_id: int | None) -> Row:
    """The columns of a visit, but for run and part. `snapshot_id`: that of its bytes, if they are not those that stand."""
    status, reason, validators = visit.status, visit.reason, Validators()
    if visit.capture is not None:
        capture = visit.capture
        validators = Validators(etag=capture.etag, last_modified=capture.last_modified, token=capture.token)
        if snapshot_id is None and standing is not None:
            status, snapshot_id = VisitStatus.UNCHANGED, standing.snapshot_id
    elif status is VisitStatus.UNCHANGED and standing is not None:
        snapshot_id = standing.snapshot_id
        validators = visit.validators or standing.validators
    elif status is VisitStatus.UNCHANGED:
        status, reason = VisitStatus.FAILED, NOTHING_STORED
    return {
        "url": visit.url,
        "at": visit.at,
        "status": status,
        "http_status": visit.http_status,
        "reason": reason,
        "snapshot_id": snapshot_id,
        "etag": validators.etag,
        "last_modified": validators.last_modified,
        "token": validators.token,
    }


_LATEST_READING = (
    select(VisitRow.id)
    .where(VisitRow.part_id == PartRow.id, VisitRow.snapshot_id.is_not(None))
    .correlate(PartRow)
    .order_by(VisitRow.id.desc())
    .limit(1)
    .scalar_subquery()
)
# Made once: a night asks hundreds of times, and making one costs more than its answer.
_STANDING = (
    select(
        PartRow.id,
        SnapshotRow.id,
        SnapshotRow.sha256,
        VisitRow.etag,
        VisitRow.last_modified,
        VisitRow.token,
    )
    .join(VisitRow, VisitRow.id == _LATEST_READING)
    .join(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
    .where(PartRow.id.in_(bindparam("ids", expanding=True)))
)
_SNAPSHOTS = select(SnapshotRow.part_id, SnapshotRow.sha256, SnapshotRow.id).where(
    SnapshotRow.part_id.in_(bindparam("ids", expanding=True))
)


def _load_standing(session: Session, part_ids: Iterable[int]) -> dict[int, _Standing]:
    found: dict[int, _Standing] = {}
    for ids in chunks(part_ids):
        rows = session.execute(_STANDING, {"ids": ids})
        for part_id, snapshot_id, sha256, etag, last_modified, token in rows:
            validators = Validators(sha256=sha256, etag=etag, last_modified=last_modified, token=token)
            found[part_id] = _Standing(snapshot_id=snapshot_id, sha256=sha256, validators=validators)
    return found


def _load_snapshots(session: Session, places: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """The snapshots there are of parts with certain bytes: something may return to what it was."""
    wanted = set(places)
    found: dict[tuple[int, str], int] = {}
    for ids in chunks(sorted({part_id for part_id, _ in wanted})):
        for part_id, sha256, snapshot_id in session.execute(_SNAPSHOTS, {"ids": ids}):
            if (part_id, sha256) in wanted:
                found[part_id, sha256] = snapshot_id
    return found


def _add_snapshots(session: Session, new: Mapping[tuple[int, str], KeptVisit]) -> dict[tuple[int, str], int]:
    rows = []
    for (part_id, sha256), kept in new.items():
        visit, capture = kept.visit, kept.visit.capture
        if capture is None:
            raise ValueError(f"{visit.ref} {visit.part}: bytes without a capture")
        rows.append(
            {
                "part_id": part_id,
                "sha256": sha256,
                "url": visit.url,
                "media_type": capture.media_type,
                "size": kept.size,
                "fetched_at": visit.at,
                "etag": capture.etag,
                "last_modified": capture.last_modified,
                "token": capture.token,
            }
        )
    added = insert_all_missing(session, SnapshotRow, rows, ["part_id", "sha256"])
    return {(part_id, sha256): snapshot_id for (part_id, sha256), snapshot_id in added.items()}


def save_extraction(
    session: Session, snapshot_id: int, extractor_version: str, evidence: Sequence[Evidence]
) -> bool:
    """Store what a version of the extractors found in a snapshot; False when that is stored already.

    Raises StorageError when there is no such snapshot or the evidence is not of it.
    """
    row = session.execute(
        select(ArtifactRow.kind, ArtifactRow.identifier, PartRow.name, SnapshotRow.sha256)
        .join(PartRow, PartRow.id == SnapshotRow.part_id)
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .where(SnapshotRow.id == snapshot_id)
    ).one_or_none()
    if row is None:
        raise StorageError(f"there is no snapshot {snapshot_id} to store evidence of")
    owner = (ArtifactRef(kind=row[0], id=row[1]), row[2], row[3])
    for item in evidence:
        if (item.ref, item.part, item.sha256) != owner:
            raise StorageError(f"evidence of {item.ref} {item.part} is not of snapshot {snapshot_id}")
    rows = [evidence_values(item, snapshot_id) for item in evidence]
    return save_extractions(session, extractor_version, {snapshot_id: rows}) == 1


def save_extractions(session: Session, extractor_version: str, found: Mapping[int, Sequence[Row]]) -> int:
    """Store what a version of the extractors found in snapshots, by their ids; how many were not stored already.

    The rows are `evidence_values` of the evidence, in its order.
    """
    versions = [{"snapshot_id": snapshot_id, "extractor_version": extractor_version} for snapshot_id in found]
    ids = insert_all_missing(session, ExtractionRow, versions, ["snapshot_id", "extractor_version"])
    rows = [
        row | {"extraction_id": extraction_id, "ordinal": ordinal}
        for (snapshot_id, _), extraction_id in ids.items()
        for ordinal, row in enumerate(found[snapshot_id])
    ]
    add_evidence(session, rows)
    return len(ids)


def _table(row: type[Base]) -> Table:
    """The table itself: inserting rows of a mapped class costs twice as much."""
    table = row.__table__
    assert isinstance(table, Table)
    return table
