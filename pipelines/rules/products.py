"""Hosted products: a base that was never released, and a seed that names nothing to download.

Such a product has one page, and often one that programs cannot read. What it holds back need not be
searched for page by page: that its base was never released is told by the lineage file, with a
source, and the curators who keep the seed know of no repository, model, dataset or package.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, Finding, Origin, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, cannot_tell, clip, no, yes

THINGS = frozenset({ArtifactKind.GITHUB, ArtifactKind.HF_MODEL, ArtifactKind.HF_DATASET, ArtifactKind.PYPI})


def is_hosted_product(evidence: EvidenceSet) -> Finding:
    """Was the base never released, and does the seed name neither repository, model, dataset nor package?"""
    seeds = [artifact.ref for artifact in evidence.project.artifacts if artifact.origin is Origin.SEED]
    things = [ref for ref in seeds if ref.kind in THINGS]
    if things or not seeds:
        places = evidence.places(things or seeds, "things to download")
        return no(places or ("the seed entry",), "the seed names things to download" if things else "")
    entries = views.lineage_entries(evidence)
    facts = evidence.of("lineage.fact", entries, about="weights")
    if facts and all(fact.value["rating"] == "closed" for fact in facts):
        return yes(facts, f"of its base: {clip(facts[0].passage.partition(' = ')[2], 160)}")
    unread = evidence.unread(entries)
    return cannot_tell(unread) if unread else no(evidence.places(entries, "what is known of the base"))


def product_row(confidence: float) -> Row:
    """The row that closes a dimension for hosted products; the first of its table."""
    return Row(
        rating=Rating.CLOSED,
        yes=(is_hosted_product,),
        confidence=confidence,
        because="A hosted product: its base was never released, and no repository, model, dataset or package of it is known",
    )
