"""Which extractor reads which part of an artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipelines.extract import (
    hub,
    licence_file,
    lineage_entry,
    manifest,
    package,
    page,
    paper,
    prose,
    repository,
    tree,
)
from pipelines.extract.base import Source
from pipelines.extract.parts import LICENCE_PART, MANIFEST_PART, NOT_PROSE, PROSE_PART
from pipelines.model import ArtifactKind, Evidence, Snapshot

Extractor = Callable[[Source], Iterator[Evidence]]

_BY_PART: dict[tuple[ArtifactKind, str], Extractor] = {
    (ArtifactKind.GITHUB, "repository"): repository.extract,
    (ArtifactKind.GITHUB, "tree"): tree.extract,
    (ArtifactKind.HF_MODEL, "info"): hub.extract_info,
    (ArtifactKind.HF_DATASET, "info"): hub.extract_info,
    (ArtifactKind.HF_MODEL, "card"): prose.extract,
    (ArtifactKind.HF_DATASET, "card"): prose.extract,
    (ArtifactKind.PYPI, "metadata"): package.extract,
    (ArtifactKind.ARXIV, "entry"): paper.extract,
    (ArtifactKind.WEB, "page"): page.extract,
    (ArtifactKind.LINEAGE, "entry"): lineage_entry.extract,
}


def extractor_of(kind: ArtifactKind, part: str) -> Extractor | None:
    """Which extractor reads a part; None for parts that are stored for people only."""
    if (kind, part) in _BY_PART:
        return _BY_PART[kind, part]
    if LICENCE_PART.fullmatch(part):
        return licence_file.extract
    if kind is ArtifactKind.GITHUB and MANIFEST_PART.fullmatch(part):
        return manifest.extract
    if PROSE_PART.fullmatch(part) and not NOT_PROSE.fullmatch(part):
        return prose.extract
    return None


def extract(snapshot: Snapshot) -> list[Evidence]:
    """All evidence in a snapshot, in the order of the document's own structure."""
    extractor = extractor_of(snapshot.ref.kind, snapshot.part)
    return list(extractor(Source.of(snapshot))) if extractor else []
