"""Preprint on the model.

What it asks: is there an archived preprint that covers base, tuning and data?

Why it matters: an archived paper has a version and a date, and says more than a blog post.

What counts: papers that the project's documents link, told apart by title and abstract: the model's
own, its base's, its data's. One on the model whose data is not undisclosed is open; a report silent
on data, or a paper on the base or on a dataset only, is partial; none is closed.

Known misreadings: a cited method's paper is not the project's; a tag that lists every cited paper;
a blog post is not a preprint.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, Finding, Rating, Role
from pipelines.rules import llmdata, papers, views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, rule_on, yes


def has_own_paper(evidence: EvidenceSet) -> Finding:
    """Is there a preprint on the tuned model itself?"""
    found = papers.own_papers(evidence)
    if found:
        return yes(found, f"“{clip(found[0].value['title'], 110)}” (arXiv:{found[0].value['id']})")
    # The project's own documents are what links it.
    unread = evidence.unread(papers.candidates(evidence)) + views.unread_documents(
        evidence, views.main_places(evidence)
    )
    places = papers.candidates(evidence) + views.main_places(evidence)
    return cannot_tell(unread) if unread else no(evidence.places(places, "own preprint"))


def has_related_paper(evidence: EvidenceSet) -> Finding:
    """Is there a preprint on the base or on one of the datasets?"""
    found = papers.base_papers(evidence) + papers.data_papers(evidence)
    found += evidence.of(
        "lineage.fact", views.lineage_entries(evidence), about="preprint", rating=("open", "partial")
    )
    if found:
        return yes(found, f"“{clip(str(found[0].value.get('title') or found[0].passage), 110)}”")
    unread = evidence.unread(papers.candidates(evidence) + views.lineage_entries(evidence))
    # The documents of base and data are what links papers on them.
    named = views.base_models(evidence) + evidence.refs(
        Role.RL_DATA, Role.LLM_DATA, kind=ArtifactKind.HF_DATASET
    )
    unread += views.unread_documents(evidence, named)
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(papers.candidates(evidence), "related preprint"))
    )


def data_is_undisclosed(evidence: EvidenceSet) -> Finding:
    """Is the makers' own pretraining data undisclosed, so that their report is silent on it?"""
    if not views.same_maker(evidence):
        return no((), "the base is by other makers")
    ruling = rule_on(llmdata.RULE, evidence)
    if ruling.row is None:
        return cannot_tell(note="whether the data is disclosed could not be told")
    if ruling.row.rating is Rating.CLOSED:
        return yes([item for finding in ruling.relevant for item in finding.evidence], "silent on the data")
    return no(evidence.places(views.base_models(evidence), "data of the base"))


def documents_are_read(evidence: EvidenceSet) -> Finding:
    """Could the documents be read that would link a preprint?"""
    places = views.main_places(evidence)
    unread = views.unread_documents(evidence, places)
    if places and not unread:
        return yes(evidence.of("section", places, at_most=2) or evidence.of("hub.gated", places, at_most=2))
    return cannot_tell(unread, note="the project's own documents could not all be read")


RULE = Rule(
    dimension="preprint",
    version=2,
    checks=(has_own_paper, has_related_paper, data_is_undisclosed, documents_are_read),
    table=(
        Row(
            rating=Rating.PARTIAL,
            yes=(has_own_paper, data_is_undisclosed),
            confidence=0.6,
            because="A preprint covers the model but not its data",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_own_paper,),
            confidence=0.5,
            because="A preprint covers the model",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_related_paper,),
            confidence=0.6,
            because="A preprint covers the base or the data, not the tuned model",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(documents_are_read,),
            no=(has_own_paper, has_related_paper),
            confidence=0.75,
            because="No preprint on the model was found",
        ),
    ),
)
