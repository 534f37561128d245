"""What is known of the parts of artifacts: how their latest visits ended, and what stands of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, case, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.columns import as_stored, unescape_text, utc_of
from db.keys import artifact_key, chunks
from db.models import ArtifactRow, ExtractionRow, PartRow, SnapshotRow, VisitRow
from db.rows import snapshot_from
from db.values import StoredSnapshot, StoredVisit
from pipelines.frozen import new, setters_of
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
    # Columns as they are stored and no rows of the mapped classes: a night asks for hundreds of thousands of these.
    columns = (
        ArtifactRow.kind,
        ArtifactRow.identifier,
        PartRow.name,
        latest.id,
        latest.url,
        latest.at,
        latest.status,
        latest.http_status,
        latest.reason,
        telling.status,
        telling.http_status,
        reading.etag,
        reading.last_modified,
        reading.token,
        SnapshotRow.id,
        SnapshotRow.url,
        SnapshotRow.fetched_at,
        SnapshotRow.sha256,
        SnapshotRow.media_type,
        SnapshotRow.size,
    )
    return (
        select(*map(as_stored, columns))
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
    by_name = {(str(ref.kind), ref.id): ref for ref in wanted.values()}
    groups: dict[tuple[str, str], list[PartState]] = {}
    for keys in chunks(sorted(wanted)):
        # By the connection: a session takes twice as long to hand on rows, for entities that there are none of.
        for kind, identifier, *columns in session.connection().execute(query, {"keys": keys}).all():
            name = (kind, unescape_text(identifier))
            state = _state(by_name[name], *columns)
            try:
                groups[name].append(state)
            except KeyError:
                groups[name] = [state]
    return [state for name in sorted(groups) for state in _by_part(groups[name])]


def _by_part(states: list[PartState]) -> Sequence[PartState]:
    """The parts of one artifact in order."""
    if len(states) == 1:
        return states
    return sorted(_with_main_part(states), key=lambda state: state.visit.part)


def _state(
    ref: ArtifactRef,
    part: str,
    visit_id: int,
    url: str,
    at: datetime,
    status: str,
    http_status: int | None,
    reason: str,
    known: str | None,
    known_http_status: int | None,
    etag: str,
    last_modified: str,
    token: str,
    snapshot_id: int | None,
    snapshot_url: str,
    fetched_at: datetime,
    sha256: str,
    media_type: str,
    size: int,
) -> PartState:
    """The state that columns tell as they are stored; those of a snapshot hold nothing where there is none."""
    part = unescape_text(part)
    stored = validators = None
    if snapshot_id is not None:
        stored = new(StoredSnapshot)
        _set_snapshot_id(stored, snapshot_id)
        _set_snapshot_ref(stored, ref)
        _set_snapshot_part(stored, part)
        _set_snapshot_url(stored, unescape_text(snapshot_url))
        _set_fetched_at(stored, utc_of(fetched_at))
        _set_sha256(stored, sha256)
        _set_media_type(stored, unescape_text(media_type))
        _set_size(stored, size)
        validators = new(Validators)
        _set_bytes(validators, sha256)
        _set_etag(validators, unescape_text(etag))
        _set_last_modified(validators, unescape_text(last_modified))
        _set_token(validators, unescape_text(token))
    how = _STATUS[status]
    is_known = None if known is None else _STATUS[known]
    # Is the absence that is known a cheap word? Confirmed ones have the status of the answer.
    is_main = ref.kind is ArtifactKind.GITHUB and part == MAIN_PART[ref.kind]
    visit = new(StoredVisit)
    _set_ref(visit, ref)
    _set_part(visit, part)
    _set_url(visit, unescape_text(url))
    _set_at(visit, utc_of(at))
    _set_status(visit, how)
    _set_http_status(visit, http_status)
    _set_reason(visit, unescape_text(reason))
    _set_known(visit, is_known)
    _set_stale(visit, how in UNREAD and is_known is not None)
    _set_doubtful(visit, is_main and is_known is VisitStatus.MISSING and known_http_status is None)
    state = new(PartState)
    _set_visit_id(state, visit_id)
    _set_visit(state, visit)
    _set_snapshot(state, stored)
    _set_validators(state, validators)
    return state


_STATUS = {status.value: status for status in VisitStatus}
(
    _set_snapshot_id,
    _set_snapshot_ref,
    _set_snapshot_part,
    _set_snapshot_url,
    _set_fetched_at,
    _set_sha256,
    _set_media_type,
    _set_size,
) = setters_of(StoredSnapshot, ("id", "ref", "part", "url", "fetched_at", "sha256", "media_type", "size"))
_set_bytes, _set_etag, _set_last_modified, _set_token = setters_of(
    Validators, ("sha256", "etag", "last_modified", "token")
)
(
    _set_ref,
    _set_part,
    _set_url,
    _set_at,
    _set_status,
    _set_http_status,
    _set_reason,
    _set_known,
    _set_stale,
    _set_doubtful,
) = setters_of(
    StoredVisit,
    ("ref", "part", "url", "at", "status", "http_status", "reason", "known", "stale", "doubtful"),
)
_set_visit_id, _set_visit, _set_snapshot, _set_validators = setters_of(
    PartState, ("visit_id", "visit", "snapshot", "validators")
)


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


class Extractions(NamedTuple):
    """What has read a snapshot: the latest extraction, and that by one version of the extractors."""

    latest: int
    of_version: int | None


_EXTRACTIONS = (
    select(
        ExtractionRow.snapshot_id,
        func.max(ExtractionRow.id),
        func.max(case((ExtractionRow.extractor_version == bindparam("version"), ExtractionRow.id))),
    )
    .where(ExtractionRow.snapshot_id.in_(bindparam("ids", expanding=True)))
    .group_by(ExtractionRow.snapshot_id)
)


def load_extractions(
    session: Session, snapshot_ids: Iterable[int], version: str = ""
) -> dict[int, Extractions]:
    """What has read each of the snapshots that any version of the extractors has read."""
    found: dict[int, Extractions] = {}
    session.flush()
    for ids in chunks(snapshot_ids):
        rows = session.connection().execute(_EXTRACTIONS, {"ids": ids, "version": version})
        found.update((row[0], Extractions(row[1], row[2])) for row in rows)
    return found


def load_understood(session: Session, states: Sequence[PartState]) -> tuple[list[PartState], dict[int, int]]:
    """The states as the rules may know them, and the latest extraction of each snapshot that stands.

    That bytes came says nothing yet: a part of which no extractor could read the standing snapshot counts
    as failed. What an earlier snapshot of it said goes on standing, and is stale.
    """
    standing = [stored.id for state in states if (stored := state.standing) is not None]
    found = load_extractions(session, standing)
    return load_as_understood(session, states, {each: found[each].latest for each in found})


def load_as_understood(
    session: Session, states: Sequence[PartState], latest: Mapping[int, int]
) -> tuple[list[PartState], dict[int, int]]:
    """`load_understood` for those who have asked for the latest extractions of the snapshots that stand."""
    extractions = dict(latest)
    understood = []
    for state in states:
        stored = state.standing
        if stored is not None and stored.id not in extractions:
            state = _not_understood(state, _load_earlier(session, stored.id))
            if (earlier := state.snapshot) is not None:
                extractions[earlier.id] = load_extractions(session, [earlier.id])[earlier.id].latest
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
