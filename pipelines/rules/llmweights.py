"""Weights of the base model.

What it asks: can anyone download the weights of the base model?

Why it matters: without the base nobody can repeat the tuning or compare the tuned model with it.

What counts: weight files in the base's own repository and its gate; what is publicly known of a
base without a card. Ungated weights are open; a gate, a form, deltas or murky terms are partial; a
base that was never released is closed.

Known misreadings: the tuned model's weights are another dimension; a re-upload by somebody else is
not the makers' release; an adapter is not a base.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, Finding, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, inapplicable, no, yes


def has_open_base_weights(evidence: EvidenceSet) -> Finding:
    """Are there weight files of a base that anyone can download?"""
    bases = views.base_models(evidence)
    ungated = [ref for ref in bases if evidence.of("hub.gated", [ref], gated="no")]
    found = evidence.of("hub.weights", ungated, form=("full", "quantised"))
    if found:
        return yes(found, f"{found[0].value['count']} weight file(s) at {found[0].ref.id}, without a gate")
    unread = evidence.unread(bases, "info")
    return cannot_tell(unread) if unread else no(evidence.places(bases, "weight files"))


def has_gated_base(evidence: EvidenceSet) -> Finding:
    """Is the base behind a gate, or only there as a delta?"""
    bases = views.base_models(evidence)
    found = evidence.of("hub.gated", bases, gated=("manual", "auto")) + evidence.of(
        "hub.weights", bases, form="delta"
    )
    if found:
        return yes(found, f"{found[0].ref.id} asks for access ({views.told_by(found[0])})")
    unread = evidence.unread(bases, "info")
    return cannot_tell(unread) if unread else no(evidence.places(bases, "gate"))


def base_is_known_open(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for weights that anyone can download?"""
    return _known(evidence, "open")


def base_is_known_restricted(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for weights on request or of murky status?"""
    return _known(evidence, "partial")


def base_is_known_closed(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known as never released?"""
    return _known(evidence, "closed")


def _known(evidence: EvidenceSet, rating: str) -> Finding:
    found = evidence.of("lineage.fact", views.lineage_entries(evidence), about="weights", rating=rating)
    if found:
        return yes(found, clip(found[0].passage.partition(" = ")[2], 200))
    unread = evidence.unread(views.lineage_entries(evidence))
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(views.lineage_entries(evidence), "what is known of the base"))


def has_no_base_at_all(evidence: EvidenceSet) -> Finding:
    """Does a project with a tuned model of its own have no base model that was found?"""
    if views.is_framework(evidence):
        return inapplicable("a framework has no base of its own")
    bases = views.base_models(evidence) + views.lineage_entries(evidence)
    places = views.main_places(evidence)
    unread = views.unread_documents(evidence, places)
    if bases:
        missing = [ref for ref in bases if evidence.is_missing(ref)]
        if len(missing) == len(bases):
            return yes((), f"{missing[0]} is not there")
        return no(evidence.places(bases, "base"))
    if unread or not places:
        return cannot_tell(unread, note="no place of the project could be read")
    read = evidence.of("hub.gated", views.tuned_models(evidence))
    return yes(read, "neither the seed nor the cards name a base repository")


def works_with_public_bases(evidence: EvidenceSet) -> Finding:
    """Does a framework name, in its documents, base models that anyone can download?"""
    if not views.is_framework(evidence):
        return inapplicable("the project has a model of its own")
    repositories = views.code_repositories(evidence)
    found = evidence.of("link", repositories, kind=ArtifactKind.HF_MODEL.value) + evidence.of(
        "lineage.fact", evidence.refs(Role.LLM_WEIGHTS), about="weights", rating="open"
    )
    if found:
        return yes(found, f"its documents name {found[0].value.get('id') or found[0].value.get('base')}")
    unread = views.unread_documents(evidence, repositories)
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "named base models"))


def is_a_framework(evidence: EvidenceSet) -> Finding:
    """Does the project ship code but no model of its own?"""
    repositories = views.code_repositories(evidence)
    if not views.is_framework(evidence):
        return no(evidence.places(repositories), "the project has a model of its own, or no code")
    found = evidence.of("tree.files", repositories, role="code")
    if found:
        return yes(found, "the project ships no model of its own")
    unread = evidence.unread(repositories, "tree")
    return cannot_tell(unread) if unread else no(evidence.places(repositories))


RULE = Rule(
    dimension="llmweights",
    version=2,
    checks=(
        has_open_base_weights,
        has_gated_base,
        base_is_known_open,
        base_is_known_restricted,
        base_is_known_closed,
        has_no_base_at_all,
        works_with_public_bases,
        is_a_framework,
    ),
    table=(
        Row(
            rating=Rating.PARTIAL,
            any_yes=(has_gated_base,),
            unless=(has_open_base_weights,),
            confidence=0.95,
            because="The base's weights can only be had on request or after accepting terms",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(base_is_known_restricted,),
            confidence=0.8,
            because="The base's weights were released under conditions",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_open_base_weights,),
            confidence=0.95,
            because="Anyone can download the base's weights",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(base_is_known_open,),
            confidence=0.85,
            because="The base's weights are publicly known to be downloadable",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(base_is_known_closed,),
            confidence=0.9,
            because="The base was never released",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(is_a_framework, works_with_public_bases),
            confidence=0.6,
            because="The framework works with base models that anyone can download",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(has_no_base_at_all,),
            confidence=0.8,
            because="No base model was released beside the tuned one",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(is_a_framework,),
            confidence=0.6,
            because="A framework without a model of its own works with the base that its users choose",
        ),
    ),
)
