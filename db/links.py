"""Artifacts that links brought to a project, and that go again when nothing links to them any more."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.keys import project_ids
from db.models import ArtifactRow, ProjectArtifactRow
from db.rows import ref_from
from pipelines.model import Artifact, ArtifactRef, Origin


def retire_links(session: Session, slug: str, keep: Iterable[Artifact]) -> tuple[ArtifactRef, ...]:
    """Take a project's linked artifacts out of it that are not among those to keep; which they were.

    What was read of them stays stored. Seeds and lineage are not touched. Raises UsageError for an
    unknown project.
    """
    project_id = project_ids(session, [slug])[slug]
    kept = {(artifact.ref, artifact.role) for artifact in keep}
    query = (
        select(ProjectArtifactRow, ArtifactRow)
        .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
        .where(
            ProjectArtifactRow.project_id == project_id,
            ProjectArtifactRow.origin == Origin.LINK,
            ProjectArtifactRow.active,
        )
        .order_by(ProjectArtifactRow.id)
    )
    gone = []
    for link, artifact in session.execute(query).all():
        if (ref_from(artifact), link.role) not in kept:
            link.active = False
            gone.append(ref_from(artifact))
    session.flush()
    return tuple(gone)
