"""Weights of the tuned model.

What it asks: can anyone download the weights of the instruction-tuned model itself?

Why it matters: it is the system that people use and that claims are made about.

What counts: weight files in the tuned model's repository, its gate, and whether they are whole.
Ungated and whole is open; gated, a delta against another model or an adapter is partial; nothing of
its own is closed.

Known misreadings: the base's weights are another dimension; a reward model or an adapter alone is
not the tuned model. The earliest published ratings asked for a separate RLHF component; this rule
rates the tuned model's weights.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import Evidence, Finding, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, no, yes
from pipelines.rules.products import is_hosted_product, product_row


def has_weight_files(evidence: EvidenceSet) -> Finding:
    """Are there weight files in a repository of the tuned model?"""
    models = views.tuned_models(evidence)
    found = evidence.of("hub.weights", models)
    if found:
        return yes(found, f"{found[0].value['count']} weight file(s) at {found[0].ref.id}")
    in_code = views.files(evidence, views.code_repositories(evidence), "weights")
    if in_code and not models:
        return yes(in_code, f"weight files: {', '.join(in_code[0].value['paths'][:2])}")
    places = models or views.main_places(evidence)
    unread = evidence.unread(models, "info") or views.unread_documents(evidence, places)
    if unread or not places:
        return cannot_tell(unread, note="no place of the project could be read")
    return no(evidence.places(places, "weight files"), "no weights of a tuned model")


def is_gated(evidence: EvidenceSet) -> Finding:
    """Is the tuned model behind a gate or a form?"""
    models = views.tuned_models(evidence)
    found = evidence.of("hub.gated", models, gated=("manual", "auto"))
    if found:
        return yes(found, f"{found[0].ref.id} asks for access ({views.told_by(found[0])})")
    unread = evidence.unread(models, "info")
    return cannot_tell(unread) if unread else no(evidence.places(models, "gate"))


def is_incomplete(evidence: EvidenceSet) -> Finding:
    """Are the weights only a delta against another model, or an adapter?"""
    models = views.tuned_models(evidence)
    whole = evidence.of("hub.weights", models, form=("full", "quantised"))
    found = evidence.of("hub.weights", models, form=("delta", "adapter"))
    told = views.statements(evidence, models, "delta")
    if found or (told and len(told) >= 2 and not whole) or (told and _card_opens_with(told)):
        return yes(found + told, f"not whole: {views.told_by((found + told)[0])}")
    unread = evidence.unread(models, "card")
    return cannot_tell(unread) if unread else no(evidence.places(models, "delta or adapter"))


def _card_opens_with(told: tuple[Evidence, ...]) -> bool:
    return any(getattr(item.where, "start", 10_000) < 1_500 and item.part == "card" for item in told)


RULE = Rule(
    dimension="rlweights",
    version=3,
    checks=(is_hosted_product, has_weight_files, is_gated, is_incomplete),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_weight_files, is_gated),
            confidence=0.7,
            because="The tuned weights can only be had after asking or accepting terms",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(is_gated,),
            confidence=0.75,
            because="The tuned model is behind a gate",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_weight_files, is_incomplete),
            confidence=0.7,
            because="The tuned weights are only released as a delta or an adapter",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_weight_files,),
            confidence=0.5,
            because="Anyone can download the tuned weights",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(has_weight_files,),
            confidence=0.85,
            because="No weights of a tuned model are released",
        ),
    ),
)
