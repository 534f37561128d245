"""Extraction: from a snapshot to evidence. One module a kind of document; pure and repeatable.

`by_part` says which module reads what. Whoever only asks for the version imports none of them.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

READERS = (
    *("markdown", "markdown_blocks", "markdown_links", "markdown_tables", "front_matter"),
    *("text", "html_text", "volatile", "folding", "artifact_ids", "licence_words", "licence_arrays"),
    "model",  # what the identity of evidence is made of
)
"""Modules beside this folder that what the extractors say depends on."""


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
