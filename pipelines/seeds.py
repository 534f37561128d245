"""The seed file: which projects are rated, and what a curator knows of them at the start.

A list of projects: `slug`, `name`, `org`, `llmbase`, `rlbase`, `homepage`, and
`artifacts: [{kind, id, role}]`. Only `slug` and `name` have to be there. A file is taken over whole
or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from pipelines.artifact_ids import address_problem, id_problem, same_thing
from pipelines.checked_yaml import Entry, Problems, line_of, mapping_of, quoted, root_list
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Project, Role

# A slug names files, addresses and database rows, so it keeps to what all of them take.
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OPTIONAL = ("org", "llmbase", "rlbase", "homepage", "artifacts")

SEED_KINDS = tuple(kind for kind in ArtifactKind if kind is not ArtifactKind.LINEAGE)


def parse_seeds(text: str, file_name: str) -> list[Project]:
    """The projects of a seed file, in its order.

    Raises SeedError with every mistake of the file, each with line and field.
    """
    problems = Problems(file_name)
    projects: list[Project] = []
    lines: dict[str, int] = {}
    for index, node in enumerate(root_list(text, problems, of="projects")):
        entry = mapping_of(node, f"[{index}]", problems, required=("slug", "name"), optional=_OPTIONAL)
        if entry is None:
            continue
        project = _project(entry)
        folded = project.slug.casefold()
        if folded in lines:
            entry.wrong("slug", f"{quoted(project.slug)} is already the slug on line {lines[folded]}")
        elif folded:
            lines[folded] = entry.line_at("slug")
        projects.append(project)
    problems.raise_if_any()
    return projects


def dump_seeds(projects: Iterable[Project]) -> str:
    """A seed file of the projects; what was found by following links is left for the next run to find."""
    documents = [_document(project) for project in projects]
    if not documents:
        return "[]\n"
    text = yaml.dump(documents, Dumper=_SeedDumper, sort_keys=False, allow_unicode=True, width=4096)
    return str(text)


def _project(entry: Entry) -> Project:
    slug = entry.text("slug")
    if slug and not SLUG.fullmatch(slug):
        entry.wrong(
            "slug", f"{quoted(slug)} is no slug: up to 100 letters, digits, dots, dashes, underscores"
        )
    homepage = entry.text("homepage")
    if homepage and (problem := address_problem(homepage)):
        entry.wrong("homepage", f"{quoted(homepage)}: {problem}")
    return Project(
        slug=slug,
        name=entry.text("name"),
        org=entry.text("org"),
        llmbase=entry.texts("llmbase"),
        rlbase=entry.texts("rlbase"),
        homepage=homepage,
        artifacts=_artifacts(entry),
    )


def _artifacts(entry: Entry) -> tuple[Artifact, ...]:
    artifacts: list[Artifact] = []
    lines: dict[tuple[ArtifactKind, str], int] = {}
    for index, node in enumerate(entry.nodes("artifacts")):
        path = f"{entry.field_path('artifacts')}[{index}]"
        item = mapping_of(node, path, entry.problems, required=("kind", "id", "role"))
        artifact = None if item is None else _artifact(item)
        if item is None or artifact is None:
            continue
        key = same_thing(artifact.ref)
        if key in lines:
            item.wrong("id", f"{artifact.ref} already stands on line {lines[key]}")
        else:
            lines[key] = line_of(node)
        artifacts.append(artifact)
    return tuple(artifacts)


def _artifact(item: Entry) -> Artifact | None:
    kind_text, identifier, role_text = item.text("kind"), item.text("id"), item.text("role")
    kind = role = None
    if kind_text in SEED_KINDS:
        kind = ArtifactKind(kind_text)
    elif kind_text:
        item.wrong("kind", f"unknown kind {quoted(kind_text)} (known: {', '.join(SEED_KINDS)})")
    if role_text in tuple(Role):
        role = Role(role_text)
    elif role_text:
        item.wrong("role", f"unknown role {quoted(role_text)} (known: {', '.join(Role)})")
    if kind is not None and identifier and (problem := id_problem(kind, identifier)):
        item.wrong("id", f"{quoted(identifier)}: {problem}")
        return None
    if kind is None or role is None or not identifier:
        return None
    return Artifact(ref=ArtifactRef(kind=kind, id=identifier), role=role)


class _SeedDumper(yaml.SafeDumper):
    """Writes an artifact on one line, as people write it."""

    def ignore_aliases(self, data: Any) -> bool:  # whatever is to be written; the signature is PyYAML's
        return True


class _OneLine(dict[str, str]):
    """A mapping that is written on one line."""


def _represent_one_line(dumper: yaml.SafeDumper, data: _OneLine) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


_SeedDumper.add_representer(_OneLine, _represent_one_line)


def _document(project: Project) -> dict[str, object]:
    artifacts = [
        _OneLine(kind=artifact.ref.kind.value, id=artifact.ref.id, role=artifact.role.value)
        for artifact in project.artifacts
        if artifact.origin is Origin.SEED
    ]
    values: dict[str, object] = {
        "slug": project.slug,
        "name": project.name,
        "org": project.org,
        "llmbase": list(project.llmbase),
        "rlbase": list(project.rlbase),
        "homepage": project.homepage,
        "artifacts": artifacts,
    }
    return {key: value for key, value in values.items() if value}
