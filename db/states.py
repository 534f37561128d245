"""What is known of the parts of artifacts: how their latest visits ended, and what stands of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, Select, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.keys import artifact_key, chunks
from db.models import ArtifactRow, ExtractionRow, PartRow, SnapshotRow, VisitRow
from db.rows import snapshot_from
from db.values import StoredSnapshot, StoredVisit
from pipelines.model import MAIN_PART, ArtifactKind, ArtifactRef, Validators, VisitStatus

NOT_EXTRACTED = "it was fetched, but no extractor could read it"
"""The reason of a reading whose bytes are there, and of which nothing is known all the same."""

UNREAD = frozenset({VisitStatus.DENIED, VisitStatus.FAILED})
TELLING = (VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """A part with its latest visit, and the snapshot and validators of the latest visit that read it."""

    visit_id: int
    visit: StoredVisit
    snapshot: StoredSnapshot | None
    validators: Validators | None

    @property
    def standing(self) -> StoredSnapshot | None:
        """The snapshot, unless the part or its whole artifact was found missing since it was read."""
        return None if self.visit.known is VisitStatus.MISSING else self.snapshot

    @property
    def is_absent(self) -> bool:
        """Is this the main part, and the latest thing that is known of it that it is not there?"""
        visit = self.visit
        return visit.part == MAIN_PART[visit.ref.kind] and visit.known is VisitStatus.MISSING


def _latest(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The latest visit of the part in the outer query. Ordered, so that an index answers it at once."""
    query = select(VisitRow.id).where(VisitRow.part_id == PartRow.id, *conditions).correlate(PartRow)
    return query.order_by(VisitRow.id.desc()).limit(1).scalar_subquery()


@cache
def _states_query() -> Select[*tuple[Any, ...]]:  # Any: columns have many types
    """Parts with their artifact, latest visit, status of the latest that told anything, latest reading."""
    latest, telling, reading = aliased(VisitRow), aliased(VisitRow), aliased(VisitRow)
    # Columns and no rows of the mapped classes: a night asks for hundreds of thousands of these.
    return (
        select(
            ArtifactRow.kind,
            ArtifactRow.identifier,
            PartRow.name,
            latest.id.label("visit_id"),
            latest.url,
            latest.at,
            latest.status,
            latest.http_status,
            latest.reason,
            telling.status.label("known"),
            telling.http_status.label("known_http_status"),
            reading.etag,
            reading.last_modified,
            reading.token,
            SnapshotRow.id.label("snapshot_id"),
            SnapshotRow.url.label("snapshot_url"),
            SnapshotRow.fetched_at,
            SnapshotRow.sha256,
            SnapshotRow.media_type,
            SnapshotRow.size,
        )
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(latest, latest.id == _latest())
        .outerjoin(telling, telling.id == _latest(VisitRow.status.in_(TELLING)))
        .outerjoin(reading, reading.id == _latest(VisitRow.snapshot_id.is_not(None)))
        .outerjoin(SnapshotRow, SnapshotRow.id == reading.snapshot_id)
        .where(ArtifactRow.key.in_(bindparam("keys", expanding=True)))
    )


def load_states(session: Session, refs: Iterable[ArtifactRef]) -> list[PartState]:
    """What is known of every part of some artifacts, sorted by artifact and part."""
    query = _states_query()
    session.flush()
    wanted = {artifact_key(ref): ref for ref in refs}
    by_name = {(ref.kind, ref.id): ref for ref in wanted.values()}
    groups: dict[ArtifactRef, list[PartState]] = {}
    for keys in chunks(sorted(wanted)):
        # By the connection: a session takes twice as long to hand on rows, for entities that there are none of.
        for row in session.connection().execute(query, {"keys": keys}).all():
            ref = by_name[row.kind, row.identifier]
            groups.setdefault(ref, []).append(_state(ref, row))
    return [
        state
        for ref in sorted(groups)
        for state in sorted(_with_main_part(groups[ref]), key=lambda state: state.visit.part)
    ]


def _state(ref: ArtifactRef, row: Row[*tuple[Any, ...]]) -> PartState:
    stored = validators = None
    if row.snapshot_id is not None:
        stored = StoredSnapshot(
            id=row.snapshot_id,
            ref=ref,
            part=row.name,
            url=row.snapshot_url,
            fetched_at=row.fetched_at,
            sha256=row.sha256,
            media_type=row.media_type,
            size=row.size,
        )
        validators = Validators(
            sha256=row.sha256, etag=row.etag, last_modified=row.last_modified, token=row.token
        )
    visit = StoredVisit(
        ref=ref,
        part=row.name,
        url=row.url,
        at=row.at,
        status=row.status,
        http_status=row.http_status,
        reason=row.reason,
        known=row.known,
        stale=row.status in UNREAD and row.known is not None,
        doubtful=_is_doubtful(ref, row),
    )
    return PartState(visit_id=row.visit_id, visit=visit, snapshot=stored, validators=validators)


def _is_doubtful(ref: ArtifactRef, row: Row[*tuple[Any, ...]]) -> bool:
    """Is the absence that is known a cheap word? Confirmed ones have the status of the answer."""
    is_main = ref.kind is ArtifactKind.GITHUB and row.name == MAIN_PART[ref.kind]
    return is_main and row.known is VisitStatus.MISSING and row.known_http_status is None


def _with_main_part(states: Sequence[PartState]) -> Iterator[PartState]:
    """The parts of one artifact, with what the visit of its main part says of all of them.

    A main part that is missing takes all parts with it; one that was denied or failed after a part
    was last visited means that the part could not be read either.
    """
    main = next((state for state in states if state.visit.part == MAIN_PART[state.visit.ref.kind]), None)
    for state in states:
        yield state if main is None or state is main else _under(main, state)


def _under(main: PartState, state: PartState) -> PartState:
    whole, own = main.visit, state.visit
    gone = whole.known is VisitStatus.MISSING
    unread = whole.status in UNREAD and main.visit_id > state.visit_id
    if own.status is VisitStatus.MISSING or not (gone or unread):
        return state
    known = VisitStatus.MISSING if gone else own.known
    visit = replace(
        own,
        at=whole.at,
        status=whole.status,
        http_status=whole.http_status,
        reason=whole.reason,
        known=known,
        stale=whole.status in UNREAD and known is not None,
    )
    return replace(state, visit=visit)


_EXTRACTIONS = (
    select(ExtractionRow.snapshot_id, func.max(ExtractionRow.id))
    .where(ExtractionRow.snapshot_id.in_(bindparam("ids", expanding=True)))
    .group_by(ExtractionRow.snapshot_id)
)


def load_extractions(session: Session, snapshot_ids: Iterable[int]) -> dict[int, int]:
    """The latest extraction of each of the snapshots that any version of the extractors has read."""
    found: dict[int, int] = {}
    for ids in chunks(snapshot_ids):
        found.update(session.execute(_EXTRACTIONS, {"ids": ids}).all())
    return found


def load_understood(session: Session, states: Sequence[PartState]) -> tuple[list[PartState], dict[int, int]]:
    """The states as the rules may know them, and the latest extraction of each snapshot that stands.

    That bytes came says nothing yet: a part of which no extractor could read the standing snapshot counts
    as failed. What an earlier snapshot of it said goes on standing, and is stale.
    """
    extractions = load_extractions(session, [state.standing.id for state in states if state.standing])
    understood = []
    for state in states:
        if state.standing is not None and state.standing.id not in extractions:
            state = _not_understood(state, _load_earlier(session, state.standing.id))
            if state.snapshot is not None:
                extractions |= load_extractions(session, [state.snapshot.id])
        understood.append(state)
    return understood, extractions


def _not_understood(state: PartState, earlier: StoredSnapshot | None) -> PartState:
    status, reason = VisitStatus.FAILED, NOT_EXTRACTED
    if state.visit.status in UNREAD:
        status, reason = state.visit.status, state.visit.reason
    known = None if earlier is None else VisitStatus.OK
    visit = replace(state.visit, status=status, reason=reason, known=known, stale=earlier is not None)
    return replace(state, visit=visit, snapshot=earlier)


def _load_earlier(session: Session, snapshot_id: int) -> StoredSnapshot | None:
    """The snapshot of the same part that was read last of those that an extractor has read; None where the
    part was missing since."""
    part = select(SnapshotRow.part_id).where(SnapshotRow.id == snapshot_id).scalar_subquery()
    later = aliased(VisitRow)
    missing_since = exists().where(
        later.part_id == VisitRow.part_id, later.status == VisitStatus.MISSING, later.id > VisitRow.id
    )
    query = (
        select(ArtifactRow, PartRow, SnapshotRow)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .join(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
        .where(VisitRow.part_id == part, exists().where(ExtractionRow.snapshot_id == SnapshotRow.id))
        .where(~missing_since)
        .order_by(VisitRow.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return None if row is None else snapshot_from(*row)
