"""Projects with their artifacts, read back: by the hundred in a night, so that what one costs counts."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, aliased

from db.columns import as_stored, unescape_text
from db.keys import chunks, project_ids
from db.models import ArtifactRow, ProjectArtifactRow, ProjectRow
from pipelines.frozen import new, setters_of
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Passage, Project, Role


def load_projects(session: Session, slugs: Iterable[str] | None = None) -> list[Project]:
    """Projects with all their artifacts, sorted by slug: those named, or all that are not retired.

    Artifacts come in the order of the seed entry, then those that were found, as they were found.
    Raises UsageError that names unknown slugs and what is close to them.
    """
    session.flush()
    # By the connection and by columns: a session takes twice as long to hand on rows, mapped ones several times.
    connection = session.connection()
    if slugs is None:
        rows = list(connection.execute(_PROJECTS.where(ProjectRow.active)))
    else:
        wanted = list(dict.fromkeys(slugs))
        rows = [
            row for chunk in chunks(wanted) for row in connection.execute(_PROJECTS_BY_SLUG, {"slugs": chunk})
        ]
        if len(rows) < len(wanted):
            project_ids(session, wanted)
    # Not by the database: PostgreSQL sorts by the server's language.
    rows.sort(key=itemgetter(1))
    artifacts = load_artifacts(session, [row[0] for row in rows])
    return [
        Project(
            slug=slug,
            name=name,
            org=org,
            llmbase=tuple(llmbase),
            rlbase=tuple(rlbase),
            homepage=homepage,
            artifacts=tuple(artifacts.get(row_id, ())),
        )
        for row_id, slug, name, org, llmbase, rlbase, homepage in rows
    ]


_PROJECTS = select(
    ProjectRow.id,
    ProjectRow.slug,
    ProjectRow.name,
    ProjectRow.org,
    ProjectRow.llmbase,
    ProjectRow.rlbase,
    ProjectRow.homepage,
)
_PROJECTS_BY_SLUG = _PROJECTS.where(ProjectRow.slug.in_(bindparam("slugs", expanding=True)))
_NAMING = aliased(ArtifactRow)
_ARTIFACTS = (
    select(
        *map(
            as_stored,
            (
                ProjectArtifactRow.project_id,
                ProjectArtifactRow.role,
                ProjectArtifactRow.origin,
                ProjectArtifactRow.named_by_part,
                ProjectArtifactRow.named_by_text,
                ArtifactRow.kind,
                ArtifactRow.identifier,
                _NAMING.kind,
                _NAMING.identifier,
            ),
        )
    )
    .join(ArtifactRow, ArtifactRow.id == ProjectArtifactRow.artifact_id)
    .outerjoin(_NAMING, _NAMING.id == ProjectArtifactRow.named_by_artifact_id)
    .where(ProjectArtifactRow.active, ProjectArtifactRow.project_id.in_(bindparam("ids", expanding=True)))
    .order_by(ProjectArtifactRow.position, ProjectArtifactRow.id)
)
_KINDS = {kind.value: kind for kind in ArtifactKind}
_ROLES = {role.value: role for role in Role}
_ORIGINS = {origin.value: origin for origin in Origin}


def load_artifacts(session: Session, project_ids: Iterable[int]) -> dict[int, list[Artifact]]:
    """The artifacts of some projects by the project's id, in the order of `load_projects`."""
    found: dict[int, list[Artifact]] = {}
    # Projects share artifacts, and artifacts name several: each name is one object, which is soon compared with itself.
    refs: dict[tuple[str, str], ArtifactRef] = {}

    def ref_of(kind: str, identifier: str) -> ArtifactRef:
        ref = refs.get((kind, identifier))
        if ref is None:
            ref = ArtifactRef(kind=_KINDS[kind], id=unescape_text(identifier))
            refs[kind, identifier] = ref
        return ref

    session.flush()
    for chunk in chunks(project_ids):
        # By the connection: a session takes twice as long to hand on rows, for entities that there are none of.
        for row in session.connection().execute(_ARTIFACTS, {"ids": chunk}).all():
            project_id, role, origin, part, text, kind, identifier, naming_kind, naming_identifier = row
            named_by = None
            if naming_kind is not None:
                named_by = new(Passage)
                _set_naming(named_by, ref_of(naming_kind, naming_identifier))
                _set_naming_part(named_by, unescape_text(part or ""))
                _set_naming_text(named_by, unescape_text(text or ""))
            artifact = new(Artifact)
            _set_ref(artifact, ref_of(kind, identifier))
            _set_role(artifact, _ROLES[role])
            _set_origin(artifact, _ORIGINS[origin])
            _set_named_by(artifact, named_by)
            found.setdefault(project_id, []).append(artifact)
    return found


_set_naming, _set_naming_part, _set_naming_text = setters_of(Passage, ("artifact", "part", "text"))
_set_ref, _set_role, _set_origin, _set_named_by = setters_of(Artifact, ("ref", "role", "origin", "named_by"))
