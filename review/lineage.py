"""How an artifact came to belong to a project: from the seeds over what named what, down to a base model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.model import Artifact, ArtifactRef, Origin

MAX_STEPS = 6
"""Steps of a chain. Links are followed over one hop and bases over three, so there are no more."""

MAX_CHAINS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An artifact with those that led to it, the seeds' own first."""

    steps: tuple[Artifact, ...]

    @property
    def is_inherited(self) -> bool:
        """Does it lead to a base model?"""
        return any(step.origin is Origin.LINEAGE for step in self.steps)


def chains(artifacts: Sequence[Artifact], refs: Iterable[ArtifactRef]) -> list[Chain]:
    """The chains that lead to these artifacts, where there is more to tell than that the seeds name them."""
    by_ref: dict[ArtifactRef, Artifact] = {}
    for artifact in artifacts:
        by_ref.setdefault(artifact.ref, artifact)
    found = [_chain(by_ref, ref) for ref in dict.fromkeys(refs) if ref in by_ref]
    return [chain for chain in found if chain.steps[-1].named_by is not None][:MAX_CHAINS]


def _chain(by_ref: Mapping[ArtifactRef, Artifact], ref: ArtifactRef) -> Chain:
    steps = [by_ref[ref]]
    while len(steps) < MAX_STEPS:
        naming = steps[0].named_by
        before = by_ref.get(naming.artifact) if naming is not None else None
        if before is None or before in steps:
            break
        steps.insert(0, before)
    return Chain(steps=tuple(steps))
