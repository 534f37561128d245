"""Peer-reviewed paper on the model.

What it asks: did others review a paper that covers the model?

Why it matters: review is the one outside check that documentation goes through.

What counts: a journal reference, a DOI of a venue, an acceptance in the comment of an arXiv entry, a
page of proceedings, each of a paper that is the project's own. One on the tuned model is open; one
on the makers' own base or data is partial; none is closed.

Known misreadings: arXiv alone is no peer review; "submitted to" and "under review" are no
acceptance; the base's paper by other makers says nothing about this project.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import Finding, Rating
from pipelines.rules import papers, views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes
from pipelines.rules.preprint import documents_are_read
from pipelines.rules.products import is_hosted_product, product_row


def has_reviewed_own_paper(evidence: EvidenceSet) -> Finding:
    """Is a paper on the tuned model peer-reviewed?"""
    own = papers.own_papers(evidence)
    found = papers.reviews_of(evidence, own)
    if found:
        return yes(found + own[:1], f"{clip(found[0].passage)}")
    unread = evidence.unread(papers.candidates(evidence))
    places = papers.candidates(evidence) + views.main_places(evidence)
    return cannot_tell(unread) if unread else no(evidence.places(places, "signs of peer review"))


def has_reviewed_base_paper_of_the_makers(evidence: EvidenceSet) -> Finding:
    """Is a paper on the makers' own base peer-reviewed?"""
    if not views.same_maker(evidence):
        return no((), "the base is by other makers")
    base = papers.base_papers(evidence)
    found = papers.reviews_of(evidence, base)
    if found:
        return yes(found, f"{clip(found[0].passage)}")
    unread = evidence.unread(papers.candidates(evidence))
    unread += views.unread_documents(evidence, views.base_models(evidence))
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(papers.candidates(evidence), "signs of peer review"))
    )


RULE = Rule(
    dimension="paper",
    version=3,
    checks=(
        is_hosted_product,
        has_reviewed_own_paper,
        has_reviewed_base_paper_of_the_makers,
        documents_are_read,
    ),
    table=(
        Row(
            rating=Rating.OPEN,
            yes=(has_reviewed_own_paper,),
            confidence=0.6,
            because="A peer-reviewed paper covers the model",
        ),
        product_row(0.9),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_reviewed_base_paper_of_the_makers,),
            confidence=0.5,
            because="A peer-reviewed paper covers the makers' base, not the tuned model",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(documents_are_read,),
            no=(has_reviewed_own_paper,),
            confidence=0.95,
            because="No peer-reviewed paper on the model was found",
        ),
    ),
)
