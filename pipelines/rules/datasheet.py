"""Datasheet of the data.

What it asks: is it documented how the data was collected and curated?

Why it matters: data that can be downloaded but not understood cannot be judged.

What counts: sections on collection, curation, preprocessing and sources in dataset cards, data
statements and datasheets, for pretraining and for tuning data. For both is open, for one of them
partial, for none closed.

Known misreadings: a dataset card that only lists fields, or a loading snippet, documents nothing; a
list of names is not a datasheet; an empty card.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet, kept_of_artifact
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Finding, Outcome, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes
from pipelines.rules.products import is_hosted_product, product_row

SUBSTANCE = 60
"""Words of one section on collection or curation below which a card only names its sources: four sentences."""


def _documented(evidence: EvidenceSet, sets: tuple[ArtifactRef, ...]) -> tuple[Evidence, ...]:
    return tuple(item for ref in sets for item in _documented_one(evidence, ref))


@kept_of_artifact
def _documented_one(evidence: EvidenceSet, ref: ArtifactRef) -> tuple[Evidence, ...]:
    """Sections of one card, when together they say where the data is from and what was done to it."""
    origin = views.sections(evidence, [ref], "collection", words=12)
    treatment = views.sections(
        evidence, [ref], "preprocessing", "composition", "limitations", "training", words=10
    )
    # The words of a section are counted again in the section around it.
    longest = max((item.value["words"] for item in origin), default=0)
    return origin + treatment if longest >= SUBSTANCE and (treatment or longest >= 2 * SUBSTANCE) else ()


def _finding(evidence: EvidenceSet, role: Role, what: str) -> Finding:
    sets = evidence.refs(role, kind=ArtifactKind.HF_DATASET)
    found = _documented(evidence, sets)
    if found:
        return yes(
            found,
            f"{what}: {', '.join(dict.fromkeys(clip(item.value['title'], 40) for item in found[:3]))} at {found[0].ref.id}",
        )
    unread = evidence.unread(sets, "card")
    return cannot_tell(unread) if unread else no(evidence.places(sets, f"documentation of the {what}"))


def documents_tuning_data(evidence: EvidenceSet) -> Finding:
    """Is collection and curation of the tuning data documented?"""
    return _finding(evidence, Role.RL_DATA, "tuning data")


def documents_pretraining_data(evidence: EvidenceSet) -> Finding:
    """Is collection and curation of the pretraining data documented?"""
    found = evidence.of("lineage.fact", views.lineage_entries(evidence), about="datasheet", rating="open")
    if found:
        return yes(found, clip(found[0].passage.partition(" = ")[2], 160))
    told = _finding(evidence, Role.LLM_DATA, "pretraining data")
    unread = views.unread_documents(evidence, views.base_models(evidence) + views.lineage_entries(evidence))
    # The base's documents are what names the data.
    return cannot_tell(unread) if unread and told.outcome is Outcome.NO else told


def has_datasheet_file(evidence: EvidenceSet) -> Finding:
    """Is there a datasheet, data card or data statement in the project's own repository?"""
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, "datasheet")
    if found:
        return yes(found, f"{found[0].value['paths'][0]} in {found[0].ref.id}")
    unread = evidence.unread(repositories, "tree")
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "datasheet"))


def project_is_read(evidence: EvidenceSet) -> Finding:
    """Could the places be read that would name data or a datasheet?"""
    places = views.main_places(evidence)
    unread = views.unread_documents(evidence, places)
    if places and not unread:
        return yes(
            evidence.of("hub.gated", places, at_most=2) or evidence.of("tree.files", places, at_most=1)
        )
    return cannot_tell(unread, note="the project's own places could not all be read")


RULE = Rule(
    dimension="datasheet",
    version=2,
    checks=(
        is_hosted_product,
        documents_tuning_data,
        documents_pretraining_data,
        has_datasheet_file,
        project_is_read,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.OPEN,
            yes=(documents_tuning_data, documents_pretraining_data),
            confidence=0.5,
            because="Pretraining and tuning data are documented",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(documents_tuning_data, documents_pretraining_data, has_datasheet_file),
            confidence=0.4,
            because="Part of the data is documented",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(project_is_read,),
            no=(documents_tuning_data, documents_pretraining_data, has_datasheet_file),
            confidence=0.8,
            because="No documentation of collection and curation was found",
        ),
    ),
)
