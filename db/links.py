"""Artifacts that links or lineage brought to a project, and that go again when nothing names them any more."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from db.keys import artifact_key, chunks, project_ids
from db.models import ArtifactRow, ProjectArtifactRow
from db.rows import ref_from
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Role


def retire_links(session: Session, slug: str, keep: Iterable[Artifact]) -> tuple[ArtifactRef, ...]:
    """Take a project's linked artifacts out of it that are not among those to keep; which they were.

    What was read of them stays stored. Seeds and lineage are not touched. Raises UsageError for an
    unknown project.
    """
    return _retire(session, slug, keep, ProjectArtifactRow.origin == Origin.LINK)


def retire_lineage(
    session: Session, slug: str, kind: ArtifactKind, keep: Iterable[Artifact]
) -> tuple[ArtifactRef, ...]:
    """The same for the bases of one kind that lineage brought."""
    return _retire(session, slug, keep, ProjectArtifactRow.origin == Origin.LINEAGE, ArtifactRow.kind == kind)


def load_only_mentioned(session: Session, refs: Iterable[ArtifactRef]) -> set[ArtifactRef]:
    """Those of the GitHub repositories that documents mention and that are nobody's code: no rule asks
    whether they are there."""
    wanted = {artifact_key(ref): ref for ref in refs if ref.kind is ArtifactKind.GITHUB}
    counts = or_(ProjectArtifactRow.origin != Origin.LINK, ProjectArtifactRow.role != Role.OTHER)
    query = (
        select(ArtifactRow.key)
        .join(ProjectArtifactRow, ProjectArtifactRow.artifact_id == ArtifactRow.id)
        .where(ProjectArtifactRow.active, counts)
    )
    needed = {
        key for keys in chunks(wanted) for key in session.scalars(query.where(ArtifactRow.key.in_(keys)))
    }
    return {ref for key, ref in wanted.items() if key not in needed}


def _retire(
    session: Session, slug: str, keep: Iterable[Artifact], *which: ColumnElement[bool]
) -> tuple[ArtifactRef, ...]:
    project_id = project_ids(session, [slug])[slug]
    kept = {(artifact.ref, artifact.role) for artifact in keep}
    query = (
        select(ProjectArtifactRow, ArtifactRow)
        .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
        .where(ProjectArtifactRow.project_id == project_id, ProjectArtifactRow.active, *which)
        .order_by(ProjectArtifactRow.id)
    )
    gone = []
    for link, artifact in session.execute(query).all():
        if (ref_from(artifact), link.role) not in kept:
            link.active = False
            gone.append(ref_from(artifact))
    session.flush()
    return tuple(gone)
