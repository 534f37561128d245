"""Everything that is read back: projects, what stands of their artifacts, evidence, runs.

Ratings and proposals have their own modules and can be imported from here as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy.orm import Session, aliased

from db.keys import artifact_key, chunks, project_ids
from db.models import (
    ArtifactRow,
    EvidenceRow,
    ExtractionRow,
    PartRow,
    ProjectArtifactRow,
    ProjectRow,
    RunRow,
    RunStatus,
    SnapshotRow,
    VisitRow,
)
from db.proposals import load_proposals
from db.ratings import load_decisions, load_ratings
from db.rows import evidence_from, ref_from, snapshot_from
from db.values import BodyArchive, StoredRun, StoredSnapshot, StoredVisit
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactRef,
    Evidence,
    Passage,
    Project,
    Snapshot,
    Validators,
    VisitStatus,
)

__all__ = [
    "load_current_snapshots",
    "load_decisions",
    "load_digests",
    "load_evidence",
    "load_known",
    "load_latest_visits",
    "load_projects",
    "load_proposals",
    "load_ratings",
    "load_run",
    "load_run_visits",
    "load_runs",
    "load_snapshot",
    "load_stored_snapshots",
    "load_unextracted",
    "load_validators",
    "load_visited",
]

_UNREAD = {VisitStatus.DENIED, VisitStatus.FAILED}
_TELLING = [VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING]


def load_projects(session: Session, slugs: Iterable[str] | None = None) -> list[Project]:
    """Projects with all their artifacts, sorted by slug: those named, or all that are not retired.

    Artifacts come in the order of the seed entry, then those that were found, as they were found.
    Raises UsageError that names unknown slugs and what is close to them.
    """
    query = select(ProjectRow)
    if slugs is None:
        rows = list(session.scalars(query.where(ProjectRow.active)))
    else:
        wanted = sorted(project_ids(session, slugs).values())
        rows = [
            row for chunk in chunks(wanted) for row in session.scalars(query.where(ProjectRow.id.in_(chunk)))
        ]
    # Not by the database: PostgreSQL sorts by the server's language.
    rows.sort(key=lambda row: row.slug)
    artifacts = _load_artifacts(session, [row.id for row in rows])
    return [
        Project(
            slug=row.slug,
            name=row.name,
            org=row.org,
            llmbase=tuple(row.llmbase),
            rlbase=tuple(row.rlbase),
            homepage=row.homepage,
            artifacts=tuple(artifacts.get(row.id, ())),
        )
        for row in rows
    ]


def _load_artifacts(session: Session, ids: Sequence[int]) -> dict[int, list[Artifact]]:
    naming = aliased(ArtifactRow)
    query = (
        select(
            ProjectArtifactRow,
            ArtifactRow.kind,
            ArtifactRow.identifier,
            naming.kind.label("naming_kind"),
            naming.identifier.label("naming_identifier"),
        )
        .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
        .outerjoin(naming, naming.id == ProjectArtifactRow.named_by_artifact_id)
        .where(ProjectArtifactRow.active)
        .order_by(ProjectArtifactRow.position, ProjectArtifactRow.id)
    )
    found: dict[int, list[Artifact]] = {}
    for chunk in chunks(ids):
        rows = session.execute(query.where(ProjectArtifactRow.project_id.in_(chunk)))
        for link, kind, identifier, naming_kind, naming_identifier in rows:
            named_by = None
            if naming_kind is not None:
                named_by = Passage(
                    artifact=ArtifactRef(kind=naming_kind, id=naming_identifier),
                    part=link.named_by_part or "",
                    text=link.named_by_text or "",
                )
            ref = ArtifactRef(kind=kind, id=identifier)
            artifact = Artifact(ref=ref, role=link.role, origin=link.origin, named_by=named_by)
            found.setdefault(link.project_id, []).append(artifact)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartState:
    """A part with its latest visit, and the snapshot and validators of the latest visit that read it."""

    visit_id: int
    visit: StoredVisit
    snapshot: StoredSnapshot | None
    validators: Validators | None


def _latest(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The latest visit of the part in the outer query. Ordered, so that an index answers it at once."""
    query = select(VisitRow.id).where(VisitRow.part_id == PartRow.id, *conditions).correlate(PartRow)
    return query.order_by(VisitRow.id.desc()).limit(1).scalar_subquery()


@cache
def _states_query() -> Select[ArtifactRow, PartRow, VisitRow, VisitStatus, VisitRow, SnapshotRow]:
    """Parts with their artifact, latest visit, status of the latest that told anything, latest reading."""
    latest, telling, reading = aliased(VisitRow), aliased(VisitRow), aliased(VisitRow)
    return (
        select(ArtifactRow, PartRow, latest, telling.status, reading, SnapshotRow)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(latest, latest.id == _latest())
        .outerjoin(telling, telling.id == _latest(VisitRow.status.in_(_TELLING)))
        .outerjoin(reading, reading.id == _latest(VisitRow.snapshot_id.is_not(None)))
        .outerjoin(SnapshotRow, SnapshotRow.id == reading.snapshot_id)
    )


def _load_states(session: Session, refs: Iterable[ArtifactRef]) -> list[_PartState]:
    """What is known of every part of some artifacts, sorted by artifact and part."""
    query = _states_query()
    groups: dict[ArtifactRef, list[_PartState]] = {}
    for keys in chunks(sorted({artifact_key(ref) for ref in refs})):
        for row in session.execute(query.where(ArtifactRow.key.in_(keys))):
            state = _state(*row)
            groups.setdefault(state.visit.ref, []).append(state)
    states = [state for group in groups.values() for state in _with_main_part(group)]
    return sorted(states, key=lambda state: (state.visit.ref, state.visit.part))


def _state(
    artifact: ArtifactRow,
    part: PartRow,
    latest: VisitRow,
    known: VisitStatus | None,
    reading: VisitRow | None,
    snapshot: SnapshotRow | None,
) -> _PartState:
    stored = validators = None
    if reading is not None and snapshot is not None:
        stored = snapshot_from(artifact, part, snapshot)
        validators = Validators(
            sha256=snapshot.sha256,
            etag=reading.etag,
            last_modified=reading.last_modified,
            token=reading.token,
        )
    visit = StoredVisit(
        ref=ref_from(artifact),
        part=part.name,
        url=latest.url,
        at=latest.at,
        status=latest.status,
        http_status=latest.http_status,
        reason=latest.reason,
        known=known,
        stale=latest.status in _UNREAD and known is not None,
    )
    return _PartState(visit_id=latest.id, visit=visit, snapshot=stored, validators=validators)


def _with_main_part(states: Sequence[_PartState]) -> Iterator[_PartState]:
    """The parts of one artifact, with what the visit of its main part says of all of them.

    A main part that is missing takes all parts with it; one that was denied or failed after a part
    was last visited means that the part could not be read either.
    """
    main = next((state for state in states if state.visit.part == MAIN_PART[state.visit.ref.kind]), None)
    for state in states:
        yield state if main is None or state is main else _under(main, state)


def _under(main: _PartState, state: _PartState) -> _PartState:
    whole, own = main.visit, state.visit
    gone = whole.known is VisitStatus.MISSING
    unread = whole.status in _UNREAD and main.visit_id > state.visit_id
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
        stale=whole.status in _UNREAD and known is not None,
    )
    return replace(state, visit=visit)


def load_known(session: Session, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, dict[str, Validators]]:
    """For each artifact and part that was ever read: what its service needs to tell whether it changed."""
    known: dict[ArtifactRef, dict[str, Validators]] = {ref: {} for ref in refs}
    for state in _load_states(session, list(known)):
        if state.validators is not None:
            known[state.visit.ref][state.visit.part] = state.validators
    return known


def load_validators(session: Session, ref: ArtifactRef) -> dict[str, Validators]:
    """`load_known` of one artifact."""
    return load_known(session, [ref])[ref]


def load_latest_visits(session: Session, refs: Iterable[ArtifactRef]) -> list[StoredVisit]:
    """What the latest attempt to read each part came to, sorted by artifact and part."""
    return [state.visit for state in _load_states(session, refs)]


def load_stored_snapshots(session: Session, refs: Iterable[ArtifactRef]) -> list[StoredSnapshot]:
    """The snapshots that stand, without their bytes, sorted by artifact and part.

    Of each part the one that was read last, unless the part or its whole artifact was found missing
    since. Failure and denial change nothing, neither a snapshot nor an absence.
    """
    return [
        state.snapshot
        for state in _load_states(session, refs)
        if state.snapshot is not None and state.visit.known is not VisitStatus.MISSING
    ]


def load_current_snapshots(
    session: Session, archive: BodyArchive, refs: Iterable[ArtifactRef]
) -> list[Snapshot]:
    """The snapshots that stand, with their bytes. Raises StorageError when bytes are gone or damaged."""
    return [stored.read(archive) for stored in load_stored_snapshots(session, refs)]


def load_unextracted(
    session: Session, extractor_version: str, refs: Iterable[ArtifactRef]
) -> list[StoredSnapshot]:
    """The snapshots that stand and that this version of the extractors has not read yet."""
    standing = load_stored_snapshots(session, refs)
    read: set[int] = set()
    for ids in chunks(snapshot.id for snapshot in standing):
        query = select(ExtractionRow.snapshot_id).where(
            ExtractionRow.snapshot_id.in_(ids), ExtractionRow.extractor_version == extractor_version
        )
        read.update(session.scalars(query))
    return [snapshot for snapshot in standing if snapshot.id not in read]


def load_evidence(session: Session, refs: Iterable[ArtifactRef]) -> list[Evidence]:
    """The evidence in the snapshots that stand, as the latest extractors found it, in a fixed order."""
    standing = load_stored_snapshots(session, refs)
    found: dict[int, list[Evidence]] = {}
    for snapshots in chunks(standing):
        by_id = {snapshot.id: snapshot for snapshot in snapshots}
        latest = select(func.max(ExtractionRow.id)).where(ExtractionRow.snapshot_id.in_(list(by_id)))
        query = (
            select(EvidenceRow)
            .where(EvidenceRow.extraction_id.in_(latest.group_by(ExtractionRow.snapshot_id)))
            .order_by(EvidenceRow.extraction_id, EvidenceRow.ordinal)
        )
        for row in session.scalars(query):
            snapshot = by_id[row.snapshot_id]
            found.setdefault(snapshot.id, []).append(evidence_from(row, snapshot))
    return [item for snapshot in standing for item in found.get(snapshot.id, ())]


def load_snapshot(session: Session, sha256: str) -> StoredSnapshot | None:
    """The snapshot with this digest, without its bytes; the earliest where several parts share it."""
    row = session.execute(
        select(ArtifactRow, PartRow, SnapshotRow)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(SnapshotRow, SnapshotRow.part_id == PartRow.id)
        .where(SnapshotRow.sha256 == sha256)
        .order_by(SnapshotRow.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    return snapshot_from(*row)


def load_digests(session: Session) -> list[str]:
    """The digests of all snapshots, sorted: what the archive must hold."""
    return sorted(session.scalars(select(SnapshotRow.sha256).distinct()))


def load_run(session: Session, run_id: int) -> StoredRun | None:
    """A run and its report."""
    row = session.get(RunRow, run_id)
    return None if row is None else _stored_run(row)


def load_runs(
    session: Session,
    *,
    kinds: Iterable[str] | None = None,
    statuses: Iterable[RunStatus] | None = None,
    limit: int = 20,
) -> list[StoredRun]:
    """The latest runs, newest first."""
    query = select(RunRow).order_by(RunRow.id.desc()).limit(limit)
    if kinds is not None:
        query = query.where(RunRow.kind.in_(list(kinds)))
    if statuses is not None:
        query = query.where(RunRow.status.in_(list(statuses)))
    return [_stored_run(row) for row in session.scalars(query)]


def _stored_run(row: RunRow) -> StoredRun:
    report: Mapping[str, object] = row.report
    return StoredRun(
        id=row.id,
        kind=row.kind,
        started_at=row.started_at,
        ended_at=row.ended_at,
        status=row.status,
        exit_code=row.exit_code,
        pid=row.pid,
        host=row.host,
        report=report,
    )


def load_visited(session: Session, run_id: int) -> set[ArtifactRef]:
    """The artifacts of which the run has stored a visit: a resumed run leaves them out.

    An artifact counts from its first stored visit, so the visits of one artifact belong into one
    transaction.
    """
    visited = (
        select(PartRow.artifact_id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .where(VisitRow.run_id == run_id)
    )
    return {ref_from(row) for row in session.scalars(select(ArtifactRow).where(ArtifactRow.id.in_(visited)))}


def load_run_visits(session: Session, run_id: int) -> list[tuple[StoredVisit, bool]]:
    """The visits that a run has stored, in their order, and whether each brought a new snapshot."""
    query = (
        select(ArtifactRow, PartRow.name, VisitRow, SnapshotRow.fetched_at)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .outerjoin(SnapshotRow, SnapshotRow.id == VisitRow.snapshot_id)
        .where(VisitRow.run_id == run_id)
        .order_by(VisitRow.id)
    )
    found = []
    for artifact, part, row, fetched_at in session.execute(query):
        visit = StoredVisit(
            ref=ref_from(artifact),
            part=part,
            url=row.url,
            at=row.at,
            status=row.status,
            http_status=row.http_status,
            reason=row.reason,
            known=row.status if row.status in _TELLING else None,
            stale=False,
        )
        found.append((visit, row.status is VisitStatus.OK and fetched_at == row.at))
    return found
