"""Artifacts that their service has under another name by now, and repositories that were just archived."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from db.keys import chunks
from db.models import ArtifactRow, EvidenceRow, PartRow, ProjectArtifactRow, ProjectRow, SnapshotRow, VisitRow
from db.troubles import belongs_to_a_project
from pipelines.model import MAIN_PART, ArtifactKind, ArtifactRef, Origin, VisitStatus

NAMED = (ArtifactKind.GITHUB, ArtifactKind.HF_MODEL, ArtifactKind.HF_DATASET)
"""The kinds whose services follow an old name to the new one."""

_READING = aliased(VisitRow)
_BEFORE = aliased(VisitRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedArtifact:
    """An artifact whose service answers with another name. `seeds` are the projects whose seed names the old one."""

    ref: ArtifactRef
    now: str
    url: str
    seeds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRepository:
    """A repository that was not archived at the reading before, and is now."""

    ref: ArtifactRef
    url: str


def load_renamed(session: Session) -> list[RenamedArtifact]:
    """The artifacts that were read under another name than their own, sorted.

    The address of a main part's snapshot is made from the name in the service's answer.
    """
    last_reading = (
        select(VisitRow.id)
        .where(VisitRow.part_id == PartRow.id, VisitRow.snapshot_id.is_not(None))
        .order_by(VisitRow.id.desc())
        .limit(1)
        .correlate(PartRow)
        .scalar_subquery()
    )
    query = (
        select(ArtifactRow.id, ArtifactRow.kind, ArtifactRow.identifier, SnapshotRow.url)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(_READING, _READING.id == last_reading)
        .join(SnapshotRow, SnapshotRow.id == _READING.snapshot_id)
        .where(
            ArtifactRow.kind.in_(NAMED),
            PartRow.name.in_({MAIN_PART[kind] for kind in NAMED}),
            belongs_to_a_project(),
        )
    )
    found: dict[int, tuple[ArtifactRef, str, str]] = {}
    for artifact_id, kind, identifier, url in session.execute(query):
        now = name_in(url)
        # Names are compared by the services without regard to case.
        if now and now.casefold() != identifier.casefold():
            found[artifact_id] = ArtifactRef(kind=kind, id=identifier), now, url
    seeds = _load_seeds(session, list(found))
    renamed = [
        RenamedArtifact(ref=ref, now=now, url=url, seeds=seeds.get(artifact_id, ()))
        for artifact_id, (ref, now, url) in found.items()
    ]
    return sorted(renamed, key=lambda item: (not item.seeds, item.ref))


def name_in(url: str) -> str:
    """The name OWNER/NAME at the end of a public address; empty where there is none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    parts = [unquote(part) for part in path.split("/") if part]
    return "/".join(parts[1:] if len(parts) == 3 and parts[0] == "datasets" else parts)


def _load_seeds(session: Session, artifact_ids: list[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, set[str]] = {}
    for ids in chunks(artifact_ids):
        query = (
            select(ProjectArtifactRow.artifact_id, ProjectRow.slug)
            .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
            .where(
                ProjectArtifactRow.artifact_id.in_(ids),
                ProjectArtifactRow.origin == Origin.SEED,
                ProjectArtifactRow.active,
                ProjectRow.active,
            )
        )
        for artifact_id, slug in session.execute(query):
            found.setdefault(artifact_id, set()).add(slug)
    return {artifact_id: tuple(sorted(slugs)) for artifact_id, slugs in found.items()}


def load_newly_archived(session: Session, run_id: int) -> list[ArchivedRepository]:
    """The repositories that this run found archived and the reading before did not, sorted."""
    before = (
        select(_BEFORE.snapshot_id)
        .where(
            _BEFORE.part_id == VisitRow.part_id, _BEFORE.snapshot_id.is_not(None), _BEFORE.id < VisitRow.id
        )
        .order_by(_BEFORE.id.desc())
        .limit(1)
        .correlate(VisitRow)
        .scalar_subquery()
    )
    query = (
        select(ArtifactRow.kind, ArtifactRow.identifier, VisitRow.url, VisitRow.snapshot_id, before)
        .join(PartRow, PartRow.artifact_id == ArtifactRow.id)
        .join(VisitRow, VisitRow.part_id == PartRow.id)
        .where(
            VisitRow.run_id == run_id,
            VisitRow.status == VisitStatus.OK,
            ArtifactRow.kind == ArtifactKind.GITHUB,
            PartRow.name == MAIN_PART[ArtifactKind.GITHUB],
            belongs_to_a_project(),
        )
    )
    rows = [row for row in session.execute(query) if row[4] is not None and row[3] != row[4]]
    archived = _archived(session, {snapshot_id for row in rows for snapshot_id in (row[3], row[4])})
    found = {
        ArchivedRepository(ref=ArtifactRef(kind=kind, id=identifier), url=url)
        for kind, identifier, url, now, then in rows
        if now in archived and then not in archived
    }
    return sorted(found, key=lambda item: item.ref)


def _archived(session: Session, snapshot_ids: set[int]) -> set[int]:
    """Those of some snapshots of repositories that say: archived."""
    found: set[int] = set()
    for ids in chunks(sorted(snapshot_ids)):
        query = select(EvidenceRow.snapshot_id).where(
            EvidenceRow.snapshot_id.in_(ids),
            EvidenceRow.kind == "repository.fact",
            EvidenceRow.field_path == "$.archived",
            EvidenceRow.extraction_id.is_not(None),
        )
        found.update(session.scalars(query))
    return found
