"""What every process that reads documents needs, made once: they are forked from one that has imported this.

Imported for its effect, and by nobody else.
"""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from importlib import import_module

from pipelines.model import ArtifactKind, ArtifactRef, Snapshot

# The first is what a script that is called `openness` imports in each of them.
MODULES = ("crawler.cli", "crawler.extraction_worker", "pipelines.extract")

# Reading these compiles what is compiled on first use, and reads the tables.
SAMPLES = (
    (
        ArtifactKind.HF_MODEL,
        "card",
        "---\nlicense: mit\n---\n# Data\n\nLicensed under <the> [MIT](x) License: `a`.\n",
    ),
    (
        ArtifactKind.GITHUB,
        "file:LICENSE",
        "Some License\n\nYou may do what this says, under its terms and conditions.",
    ),
    (ArtifactKind.WEB, "page", "<!doctype html><title>Page</title><p>Words."),
)


def _make() -> None:
    for name in MODULES:
        import_module(name)
    from pipelines.extract import extract
    from pipelines.extract.licence_index import licence_index

    # The texts of all licences, ready for comparison: half a second of work.
    licence_index()
    for kind, part, text in SAMPLES:
        extract(
            Snapshot(
                ref=ArtifactRef(kind=kind, id="https://example.org/" if kind is ArtifactKind.WEB else "a/b"),
                part=part,
                url="https://example.org/",
                fetched_at=datetime(2000, 1, 1, tzinfo=UTC),
                sha256="",
                media_type="text/html" if kind is ArtifactKind.WEB else "text/plain",
                body=text.encode(),
            )
        )


# Nothing of this is ever garbage, and what is not looked at stays shared. Looking in between takes a tenth of the time.
gc.disable()
_make()
gc.collect()
gc.freeze()
gc.enable()
