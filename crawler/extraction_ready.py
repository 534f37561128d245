"""What every process that reads documents needs, made once: they are forked from one that has imported this.

Imported for its effect, and by nobody else.
"""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from importlib import import_module

from pipelines.model import ArtifactKind, ArtifactRef, Snapshot

# The first is what a script that is called `openness` imports in each of them.
MODULES = ("crawler.cli", "crawler.extraction_worker", "pipelines.extract.by_part")

# Reading these compiles what is compiled on first use, and reads the tables. Pages are few: what only
# they need is imported by whoever reads one, and nobody waits for it before.
SAMPLES = (
    (
        ArtifactKind.HF_MODEL,
        "card",
        "---\nlicense: mit\n---\n# Data\n\nLicensed under <the> [MIT](x) License: `a`.\n",
    ),
    (
        ArtifactKind.GITHUB,
        "file:LICENSE",
        "Some License\n\nYou may do what this says.",
    ),
)


def _make() -> None:
    for name in MODULES:
        import_module(name)
    from pipelines.extract.by_part import extract
    from pipelines.extract.licence_index import licence_index

    # The texts of all licences, ready for comparison.
    licence_index()
    for kind, part, text in SAMPLES:
        extract(
            Snapshot(
                ref=ArtifactRef(kind=kind, id="a/b"),
                part=part,
                url="https://example.org/",
                fetched_at=datetime(2000, 1, 1, tzinfo=UTC),
                sha256="",
                media_type="text/plain",
                body=text.encode(),
            )
        )


# Nothing of this is ever garbage, and what is not looked at stays shared. Looking in between takes a tenth of the time.
gc.disable()
_make()
gc.collect()
gc.freeze()
gc.enable()
