"""The services that artifacts are at, and for how many nights one of them has failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from db.values import StoredRun
from pipelines.model import ArtifactKind, JsonValue

SERVICE_OF: Mapping[ArtifactKind, str] = {
    ArtifactKind.GITHUB: "github",
    ArtifactKind.HF_MODEL: "huggingface",
    ArtifactKind.HF_DATASET: "huggingface",
    ArtifactKind.PYPI: "pypi",
    ArtifactKind.ARXIV: "arxiv",
    ArtifactKind.WEB: "web",
    ArtifactKind.LINEAGE: "lineage",
}
"""The source that visits artifacts of a kind, by its name."""

LINEAGE = SERVICE_OF[ArtifactKind.LINEAGE]
WEB = SERVICE_OF[ArtifactKind.WEB]

TELLING = ("ok", "unchanged", "missing")

Sources = Mapping[str, Mapping[str, JsonValue]]
"""What a report says of each source: visits by status, and what was spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingService:
    """A service that has told nothing. `since` is the start (ISO 8601) of the first of `nights` such nights in a row."""

    service: str
    since: str
    nights: int


def silent_services(sources: Sources) -> list[str]:
    """The services that were asked and told nothing: all visits failed, or were denied by an API.

    That every page was denied says something of the pages, and nothing of a service.
    """
    found = []
    for name, row in sources.items():
        tried = row.get("failed", 0) + (0 if name == WEB else row.get("denied", 0))
        if name != LINEAGE and tried and not any(row.get(status, 0) for status in TELLING):
            found.append(name)
    return sorted(found)


def failing_services(
    sources: Sources, started: str, earlier: Iterable[StoredRun]
) -> tuple[FailingService, ...]:
    """The services that told nothing in a run, with the nights before it; `earlier` runs come newest first.

    A night on which a service was not asked (and one that left no report) neither counts nor ends
    the row.
    """
    found = dict.fromkeys(silent_services(sources), (started, 1))
    still_silent = set(found)
    for run in earlier:
        if not still_silent:
            break
        told: Sources = run.report.get("sources") or {}
        silent = silent_services(told)
        for name in sorted(still_silent):
            if name in silent:
                found[name] = run.started_at.isoformat(), found[name][1] + 1
            elif any(told.get(name, {}).get(status, 0) for status in TELLING):
                still_silent.discard(name)
    return tuple(
        FailingService(service=name, since=since, nights=nights) for name, (since, nights) in found.items()
    )
