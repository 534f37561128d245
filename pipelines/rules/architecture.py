"""Documentation of the architecture and of the training set-up.

What it asks: is it written down how the model is built and how it was trained?

Why it matters: without it neither results nor failures can be explained or repeated.

What counts: sections on architecture, hyper-parameters, training procedure and compute in cards and
READMEs of the model and its base, training configurations, the makers' own papers. Architecture with
the full training set-up is open; some of it is partial; the bare name of a base is closed.

Known misreadings: "based on X" is not an architecture; a list of sizes is a sketch; installation
instructions are not a training set-up.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet, kept
from pipelines.model import ArtifactRef, Finding, Rating
from pipelines.rules import opencode, papers, views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, rule_on, yes
from pipelines.rules.products import is_hosted_product, product_row


@kept
def _documents(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    return (
        views.tuned_models(evidence)
        + views.base_models(evidence)
        + views.code_repositories(evidence)
        + views.homepages(evidence)
    )


def _sections(
    evidence: EvidenceSet, refs: tuple[ArtifactRef, ...], topics: tuple[str, ...], words: int, what: str
) -> Finding:
    found = views.sections(evidence, refs, *topics, words=words)
    if found:
        return yes(
            found, f"{what}: {', '.join(dict.fromkeys(clip(item.value['title'], 50) for item in found[:3]))}"
        )
    unread = views.unread_documents(evidence, refs)
    return cannot_tell(unread) if unread else no(evidence.places(refs, what))


def describes_architecture(evidence: EvidenceSet) -> Finding:
    """Is there a section on the architecture, of model or base, with some substance?"""
    return _sections(evidence, _documents(evidence), ("architecture",), 25, "architecture")


def gives_hyperparameters(evidence: EvidenceSet) -> Finding:
    """Are hyper-parameters listed, or training configurations published?"""
    found = views.sections(evidence, _documents(evidence), "hyperparameters", words=12)
    found += views.files(evidence, views.code_repositories(evidence), "config", count=2)
    if found:
        return yes(found, f"hyper-parameters: {clip(found[0].passage, 60)}")
    unread = views.unread_documents(evidence, _documents(evidence))
    return cannot_tell(unread) if unread else no(evidence.places(_documents(evidence), "hyper-parameters"))


def describes_own_training(evidence: EvidenceSet) -> Finding:
    """Do the tuned model's own documents describe how it was trained?"""
    return _sections(evidence, views.own_documents(evidence), ("training", "compute"), 50, "training set-up")


def describes_training(evidence: EvidenceSet) -> Finding:
    """Is the training of model or base described at all?"""
    return _sections(evidence, _documents(evidence), ("training", "compute"), 25, "training")


def has_own_paper(evidence: EvidenceSet) -> Finding:
    """Is there a paper of the makers on the model or its base?"""
    found = papers.own_papers(evidence) + papers.base_papers(evidence)
    if found:
        return yes(found, f"paper: {clip(found[0].value['title'], 90)}")
    unread = evidence.unread(papers.candidates(evidence), "entry")
    return cannot_tell(unread) if unread else no(evidence.places(papers.candidates(evidence), "own paper"))


def releases_the_recipe(evidence: EvidenceSet) -> Finding:
    """Is the training code of this very model released, so that the set-up can be read from it?"""
    if views.is_framework(evidence):
        return no((), "a framework trains many models")
    ruling = rule_on(opencode.RULE, evidence)
    if ruling.row is None:
        return cannot_tell(note="whether the training code is released could not be told")
    if ruling.row.rating is Rating.OPEN:
        return yes(item for finding in ruling.relevant for item in finding.evidence[:1])
    return no([place for finding in ruling.relevant for place in finding.searched] or ["code repositories"])


def architecture_is_known(evidence: EvidenceSet) -> Finding:
    """Is the base's architecture publicly known?"""
    found = evidence.of(
        "lineage.fact", views.lineage_entries(evidence), about="architecture", rating=("open", "partial")
    )
    if found:
        return yes(found, clip(found[0].passage.partition(" = ")[2], 160))
    unread = evidence.unread(views.lineage_entries(evidence))
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(views.lineage_entries(evidence), "what is known of the base"))


def documents_are_read(evidence: EvidenceSet) -> Finding:
    """Could the project's own documents be read?"""
    places = views.own_documents(evidence) or views.main_places(evidence)
    unread = views.unread_documents(evidence, views.main_places(evidence))
    if places and not unread:
        return yes(
            evidence.of("section", places, at_most=2)
            or evidence.of("hub.gated", places, at_most=2)
            or evidence.of("page.title", places, at_most=1)
        )
    return cannot_tell(unread, note="the project's own documents could not all be read")


RULE = Rule(
    dimension="architecture",
    version=2,
    checks=(
        is_hosted_product,
        describes_architecture,
        gives_hyperparameters,
        describes_own_training,
        describes_training,
        has_own_paper,
        releases_the_recipe,
        architecture_is_known,
        documents_are_read,
    ),
    table=(
        product_row(0.75),
        Row(
            rating=Rating.OPEN,
            yes=(describes_architecture, gives_hyperparameters, describes_own_training),
            confidence=0.5,
            because="Architecture, hyper-parameters and training set-up are documented",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(releases_the_recipe, gives_hyperparameters, describes_own_training),
            confidence=0.6,
            because="The training set-up is documented and can be read from the released recipe",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(
                describes_architecture,
                gives_hyperparameters,
                describes_training,
                has_own_paper,
                architecture_is_known,
            ),
            confidence=0.6,
            because="Architecture or training set-up is sketched, not documented in full",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(documents_are_read,),
            no=(
                describes_architecture,
                gives_hyperparameters,
                describes_training,
                has_own_paper,
                architecture_is_known,
            ),
            confidence=0.6,
            because="The documents name the model but do not describe how it is built or trained",
        ),
    ),
)
