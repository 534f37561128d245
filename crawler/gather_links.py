"""From what documents say to further artifacts of a project, as far as the database is concerned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from crawler.settings import Settings
from db.links import retire_lineage, retire_links
from db.load import load_evidence, load_projects
from db.save import save_artifacts
from pipelines.artifacts import FOLLOWED, base_artifacts, linked_artifacts
from pipelines.lineage_data import BaseModel, find_base
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Evidence, Origin, Project, Role


@dataclass(slots=True)
class Under:
    """A project under way: which of its artifacts are open, and whether its links are settled."""

    project: Project
    own: set[ArtifactRef] = field(default_factory=set)
    linked: set[ArtifactRef] = field(default_factory=set)
    rounds: int = 0
    settled: bool = False

    def has(self, ref: ArtifactRef) -> bool:
        """Is this one of the project's artifacts?"""
        return any(artifact.ref == ref for artifact in self.project.artifacts)


def own_refs(project: Project) -> set[ArtifactRef]:
    """The artifacts whose documents can lead to others: those of the seed, and the bases."""
    return {artifact.ref for artifact in project.artifacts if artifact.origin is not Origin.LINK}


def add_lineage_entries(
    session: Session, projects: Sequence[Project], bases: Sequence[BaseModel], now: datetime
) -> list[Project]:
    """Give each project the entries of the lineage file that its seed names as base; the projects as they are then."""
    if not bases:
        return list(projects)
    changed = []
    for project in projects:
        entries = {base.name: None for name in project.llmbase if (base := find_base(bases, name))}
        wanted = [
            Artifact(
                ref=ArtifactRef(kind=ArtifactKind.LINEAGE, id=name),
                role=Role.LLM_WEIGHTS,
                origin=Origin.LINEAGE,
            )
            for name in entries
        ]
        if _places(wanted) != _places(_of(project, Origin.LINEAGE, ArtifactKind.LINEAGE)):
            retire_lineage(session, project.slug, ArtifactKind.LINEAGE, keep=wanted)
            save_artifacts(session, project.slug, wanted, now)
            changed.append(project.slug)
    anew = {project.slug: project for project in load_projects(session, changed)} if changed else {}
    return [anew.get(project.slug, project) for project in projects]


def follow(session: Session, projects: Sequence[Project], settings: Settings, now: datetime) -> list[Project]:
    """Make what the documents link to, and the bases that models name, artifacts of their projects.

    Links and bases that nothing names any more are taken out. The projects as they are then: the
    same objects where nothing is otherwise.
    """
    refs = {ref for project in projects for ref in own_refs(project)}
    told: dict[ArtifactRef, list[Evidence]] = {}
    for item in load_evidence(session, refs, FOLLOWED):
        told.setdefault(item.ref, []).append(item)
    changed = [
        project.slug
        for project in projects
        # Sorted, as evidence always is: the place of a passage plays a part in what is chosen.
        if _follow(
            session,
            project,
            [e for ref in sorted(own_refs(project)) for e in told.get(ref, ())],
            settings,
            now,
        )
    ]
    anew = {project.slug: project for project in load_projects(session, changed)} if changed else {}
    return [anew.get(project.slug, project) for project in projects]


def _follow(
    session: Session, project: Project, evidence: Sequence[Evidence], settings: Settings, now: datetime
) -> bool:
    """Whether anything is otherwise now."""
    links = linked_artifacts(
        project, evidence, links=settings.links_per_project, pages=settings.pages_per_project
    )
    bases = base_artifacts(project, evidence)
    have = _places(project.artifacts)
    gone_links = _places(_of(project, Origin.LINK)) - _places(links)
    gone_bases = _places(_of(project, Origin.LINEAGE, ArtifactKind.HF_MODEL)) - _places(bases)
    if gone_links:
        retire_links(session, project.slug, keep=links)
    if gone_bases:
        retire_lineage(session, project.slug, ArtifactKind.HF_MODEL, keep=bases)
    # What goes as a base may stay as a link, and the other way round.
    is_more = bool(gone_links or gone_bases) or not _places([*links, *bases]) <= have
    if is_more:
        save_artifacts(session, project.slug, [*links, *bases], now)
    return is_more


def _of(project: Project, origin: Origin, kind: ArtifactKind | None = None) -> list[Artifact]:
    return [
        artifact
        for artifact in project.artifacts
        if artifact.origin is origin and kind in (None, artifact.ref.kind)
    ]


def _places(artifacts: Iterable[Artifact]) -> set[tuple[ArtifactRef, Role]]:
    return {(artifact.ref, artifact.role) for artifact in artifacts}
