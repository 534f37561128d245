"""Facts about a repository, from the `repository` snapshots of `github`."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.extract.base import Source
from pipelines.extract.licences import normalise_licence
from pipelines.model import Evidence

FACTS = ("archived", "disabled", "fork", "description", "full_name")


def extract(source: Source) -> Iterator[Evidence]:
    """`repository.fact` for what rules and curators ask of a repository; its licence as a tag."""
    facts = source.json()
    if not isinstance(facts, dict):
        yield source.quote("document.problem", 0, 80, problem="malformed")
        return
    for name in FACTS:
        if facts.get(name) not in (None, "", False):
            yield source.field("repository.fact", f"$.{name}", facts[name], fact=name, value=facts[name])
    if facts.get("head") is None:
        yield source.field("document.problem", "$.head", None, problem="empty")
    licence = facts.get("license")
    if isinstance(licence, str) and licence:
        identified = normalise_licence(licence) or ("other" if licence == "NOASSERTION" else licence.lower())
        yield source.field("licence.tag", "$.license", licence, licence=identified, raw=licence, list=[])
