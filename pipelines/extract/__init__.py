"""Extraction: from a snapshot to evidence. One module a kind of document; pure and repeatable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

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
from pipelines.model import ArtifactKind, Evidence, Snapshot

Extractor = Callable[[Source], Iterator[Evidence]]

READERS = (
    *("markdown", "markdown_blocks", "markdown_links", "markdown_tables", "front_matter"),
    *("text", "html_text", "volatile", "folding", "artifact_ids", "licence_words"),
    "model",  # what the identity of evidence is made of
)
"""Modules beside this folder that what the extractors say depends on."""

PROSE_FILE = re.compile(
    r"file:.*\.(?:md|mdx|rst|txt|markdown|adoc)$|file:(?:.*/)?readme[^/]*$", re.IGNORECASE
)
NOT_PROSE = re.compile(r"file:(?:.*/)?(?:requirements|constraints|license_header)[^/]*\.txt$", re.IGNORECASE)

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
    if licence_file.LICENCE_PART.fullmatch(part):
        return licence_file.extract
    if kind is ArtifactKind.GITHUB and manifest.MANIFEST_PART.fullmatch(part):
        return manifest.extract
    if PROSE_FILE.fullmatch(part) and not NOT_PROSE.fullmatch(part):
        return prose.extract
    return None


def extract(snapshot: Snapshot) -> list[Evidence]:
    """All evidence in a snapshot, in the order of the document's own structure."""
    extractor = extractor_of(snapshot.ref.kind, snapshot.part)
    return list(extractor(Source.of(snapshot))) if extractor else []


@cache
def _version() -> str:
    """A digest over the extractors' own sources and tables: what they say can only change with it."""
    folder = Path(__file__).parent
    files = [*folder.glob("*.py"), *(folder.parent / f"{name}.py" for name in READERS)]
    files += [
        path
        for path in (folder.parent / "data").iterdir()
        # How far rules are trusted changes nothing of what documents say.
        if path.suffix in (".yaml", ".gz") and path.name != "confidence.yaml"
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


EXTRACTOR_VERSION = _version()
"""Names what these extractors say. Another one, and every standing snapshot is read anew."""
