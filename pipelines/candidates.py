"""Which models of known makers may be new projects.

Reads nothing but the entries of the Hub's list: names, tags, front matter, file names. A candidate
is an instruction-tuned or chat text generator by its makers, of a release that neither a project
nor an earlier candidate has. It is a question to a curator, not a project.

Known misreadings: a release whose name, tags and data say nothing of tuning is passed over; a
model tuned for one narrow task (a judge, an extractor) looks like a general one; a maker who gives
every size a name of its own is asked about more than once; a maker's successor that differs by a
version number alone ("v2") counts as the same release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipelines.artifact_ids import id_problem, same_thing
from pipelines.hub_models import ListedModel, Release, owner_of, release_of, size_of
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, JsonValue, Origin, Project, Role
from pipelines.model_kinds import (
    Judged,
    ModelKind,
    Reason,
    Surroundings,
    judge_model,
    surroundings_of,
)

HUB = "https://huggingface.co/"
_WEIGHTS = (Role.RL_WEIGHTS, Role.LLM_WEIGHTS)
_NO_SLUG = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that may be a new project, why, and the seed entry that would make it one."""

    ref: ArtifactRef
    maker: str
    name: str
    reasons: tuple[Reason, ...]
    seed: Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The candidates among some models, and what every one of the models was taken for."""

    candidates: tuple[Candidate, ...]
    judged: tuple[Judged, ...]


def makers_of(projects: Iterable[Project]) -> tuple[str, ...]:
    """The Hub accounts that the projects' seed models stand under, in alphabetical order."""
    found: dict[str, str] = {}
    for project in projects:
        for artifact in project.artifacts:
            owner = owner_of(artifact.ref.id)
            if owner and _is_model(artifact) and artifact.origin is Origin.SEED:
                found.setdefault(owner.lower(), owner)
    return tuple(found[name] for name in sorted(found))


def propose_candidates(
    models: Sequence[ListedModel],
    projects: Sequence[Project],
    *,
    decided: Collection[ArtifactRef] = (),
    waiting: Collection[ArtifactRef] = (),
) -> Discovery:
    """The new releases among the models of known makers, one candidate each: the largest of its sizes.

    `decided` are the candidates that a curator has decided upon: neither they nor other sizes of
    theirs are proposed again. Those `waiting` are proposed as their entries read now, in place of
    other sizes of theirs.
    """
    known = {same_thing(a.ref) for project in projects for a in project.artifacts if _is_model(a)}
    known |= {same_thing(ref) for ref in decided}
    asked = {same_thing(ref) for ref in waiting}
    around = _surroundings(models, projects)
    taken = list(_known_releases(projects, (*decided, *waiting), around))
    judged: list[Judged] = []
    candidates: list[Candidate] = []
    for item in sorted((judge_model(model, around) for model in _distinct(models)), key=_largest_first):
        if item.kind is ModelKind.PROJECT:
            key = same_thing(item.model.ref)
            own = _OwnedRelease.of(item.model.id, around)
            same = next((other for other in taken if other.is_same(own)), None)
            if key in asked and key not in known:
                candidates.append(_candidate(item))
            elif key in known or same is not None:
                item = _as_variant(item, same)
            else:
                taken.append(own)
                candidates.append(_candidate(item))
        judged.append(item)
    slugs = {project.slug.lower() for project in projects}
    return Discovery(
        candidates=tuple(_with_free_slugs(sorted(candidates, key=lambda c: c.ref.id.lower()), slugs)),
        judged=tuple(sorted(judged, key=lambda item: item.model.id.lower())),
    )


def _is_model(artifact: Artifact) -> bool:
    return artifact.ref.kind is ArtifactKind.HF_MODEL and artifact.role in _WEIGHTS


def _distinct(models: Iterable[ListedModel]) -> Iterator[ListedModel]:
    seen = set()
    for model in models:
        key = same_thing(model.ref)
        if key not in seen:
            seen.add(key)
            yield model


def _largest_first(item: Judged) -> tuple[float, int, str]:
    return (-size_of(item.model.name), -item.model.downloads, item.model.id.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class _OwnedRelease:
    """A release of one account, with the name that stands for it."""

    owner: str
    release: Release
    named: str

    @classmethod
    def of(cls, identifier: str, around: Surroundings, owner: str = "") -> _OwnedRelease:
        account = (owner or owner_of(identifier)).lower()
        release = release_of(identifier, around.families_for(account))
        return cls(owner=account, release=release, named=identifier)

    def is_same(self, other: _OwnedRelease) -> bool:
        return self.owner == other.owner and self.release.is_same(other.release)


def _known_releases(
    projects: Iterable[Project], earlier: Iterable[ArtifactRef], around: Surroundings
) -> Iterator[_OwnedRelease]:
    """The releases that projects and earlier candidates have.

    A project without tuned weights at the Hub is known by its name, under all of its accounts.
    """
    for project in projects:
        models = [artifact for artifact in project.artifacts if _is_model(artifact)]
        tuned = [artifact for artifact in models if artifact.role is Role.RL_WEIGHTS]
        for artifact in tuned:
            yield _OwnedRelease.of(artifact.ref.id, around)
        if not tuned:
            for owner in dict.fromkeys(owner_of(artifact.ref.id) for artifact in models):
                yield _OwnedRelease.of(project.name.replace("/", " "), around, owner)
    for ref in earlier:
        yield _OwnedRelease.of(ref.id, around)


def _surroundings(models: Iterable[ListedModel], projects: Iterable[Project]) -> Surroundings:
    """What the projects' models and the bases named by text generators say of others' models."""
    named = [a.ref.id for project in projects for a in project.artifacts if _is_model(a)]
    nothing = Surroundings()
    for model in models:
        if model.base_models and judge_model(model, nothing).kind is not ModelKind.OTHER:
            named += [base for base in model.base_models if owner_of(base)]
    return surroundings_of(named)


def _as_variant(item: Judged, same: _OwnedRelease | None) -> Judged:
    says = f"another size, format or version of {same.named}" if same else "known already"
    reason = Reason(field="id", value=item.model.id, says=says)
    return Judged(model=item.model, kind=ModelKind.VARIANT, reasons=(reason, *item.reasons))


def _candidate(item: Judged) -> Candidate:
    model = item.model
    return Candidate(
        ref=model.ref, maker=model.owner, name=model.name, reasons=item.reasons, seed=proposed_seed(model)
    )


def proposed_seed(model: ListedModel) -> Project:
    """The seed entry of a model, as far as its own entry tells: a start for a curator.

    The datasets count as tuning data where a base is named: without one they may be the data of
    the pretraining as well.
    """
    datasets = [name for name in model.datasets if model.base_models]
    named = [
        (ArtifactKind.HF_MODEL, model.id, Role.RL_WEIGHTS),
        *((ArtifactKind.HF_MODEL, base, Role.LLM_WEIGHTS) for base in model.base_models),
        *((ArtifactKind.HF_DATASET, name, Role.RL_DATA) for name in datasets),
    ]
    artifacts: dict[tuple[ArtifactKind, str], Artifact] = {}
    for kind, identifier, role in named:
        if "/" in identifier and not id_problem(kind, identifier):
            ref = ArtifactRef(kind=kind, id=identifier)
            artifacts.setdefault(same_thing(ref), Artifact(ref=ref, role=role))
    return Project(
        slug=_slug(model.name),
        name=model.name,
        org=model.owner,
        llmbase=_last_parts(model.base_models),
        rlbase=_last_parts(datasets),
        homepage=HUB + model.id,
        artifacts=tuple(artifacts.values()),
    )


def _last_parts(names: Iterable[str]) -> tuple[str, ...]:
    """Names without their accounts, on one line each."""
    parts = (" ".join(name.rsplit("/", 1)[-1].split()) for name in names)
    return tuple(dict.fromkeys(part for part in parts if part))


def _slug(name: str) -> str:
    return _NO_SLUG.sub("-", name.lower()).strip("-._")[:90] or "model"


def _with_free_slugs(candidates: Iterable[Candidate], taken: Collection[str]) -> Iterator[Candidate]:
    """The candidates with slugs that no project and no other of them has."""
    used = set(taken)
    for candidate in candidates:
        seed = candidate.seed
        if seed.slug in used:
            seed = replace(seed, slug=_slug(f"{candidate.maker}-{candidate.name}"))
        number = 2
        while seed.slug in used:
            seed = replace(seed, slug=f"{_slug(f'{candidate.maker}-{candidate.name}')}-{number}")
            number += 1
        used.add(seed.slug)
        yield replace(candidate, seed=seed)


def seed_json(project: Project) -> JsonValue:
    """A proposed seed entry as JSON, with the keys of the seed file."""
    return {
        "slug": project.slug,
        "name": project.name,
        "org": project.org,
        "llmbase": list(project.llmbase),
        "rlbase": list(project.rlbase),
        "homepage": project.homepage,
        "artifacts": [
            {"kind": a.ref.kind.value, "id": a.ref.id, "role": a.role.value} for a in project.artifacts
        ],
    }


def seed_from_json(value: JsonValue) -> Project:
    """The seed entry that `seed_json` wrote."""
    return Project(
        slug=value["slug"],
        name=value["name"],
        org=value["org"],
        llmbase=tuple(value["llmbase"]),
        rlbase=tuple(value["rlbase"]),
        homepage=value["homepage"],
        artifacts=tuple(
            Artifact(ref=ArtifactRef(kind=ArtifactKind(a["kind"]), id=a["id"]), role=Role(a["role"]))
            for a in value["artifacts"]
        ),
    )
