"""Pretraining data of the base model.

What it asks: is the data named and downloadable on which the base model was pretrained?

Why it matters: what a model knows, repeats and leaves out was decided there; nothing that a
fine-tuner publishes opens it.

What counts: dataset repositories of the base and whether they can be read by anyone; public corpora
that the base's documents name; what is publicly known of a base without a readable card. Named in
full and downloadable is open; named in part, an extract, or behind a gate is partial; "publicly
available sources" or a token count alone is closed.

Known misreadings: the `datasets:` of a tuned card are tuning data; a corpus named as a benchmark or
for comparison is not training data; data of one base does not open another; a count of tokens names
no data.
"""

from __future__ import annotations

import re

from pipelines.evidence import EvidenceSet, kept
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Finding, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes

PART_NAME = re.compile(r"(?:^|[-_/])(?:samples?|subset|extract|mini|tiny|partial)(?:[-_]|$)", re.IGNORECASE)


@kept
def _base_documents(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """Where the base's data would be told: its cards; the tuned model's where it has no base or shares its makers."""
    bases = views.base_models(evidence)
    if not bases or (views.same_maker(evidence) and not evidence.of("corpus.named", bases)):
        return bases + tuple(ref for ref in views.tuned_models(evidence) if ref not in bases)
    return bases


@kept
def _documents_with_code(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The same, and the makers' own repositories where the base is theirs."""
    own = views.seeded(evidence, views.code_repositories(evidence)) if views.same_maker(evidence) else ()
    return _base_documents(evidence) + own


def _datasets(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    return evidence.refs(Role.LLM_DATA, kind=ArtifactKind.HF_DATASET)


def _open_sets(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    readable = tuple(
        ref
        for ref in _datasets(evidence)
        if evidence.is_read(ref) and evidence.of("hub.gated", [ref], gated="no")
    )
    return evidence.of("hub.data_files", readable)


def _corpora(evidence: EvidenceSet, *access: str) -> tuple[Evidence, ...]:
    return evidence.of("corpus.named", _documents_with_code(evidence), access=access, context="pretraining")


def _facts(evidence: EvidenceSet, *ratings: str) -> tuple[Evidence, ...]:
    return evidence.of("lineage.fact", views.lineage_entries(evidence), about="data", rating=ratings)


def _silent(evidence: EvidenceSet, documents: tuple[ArtifactRef, ...], what: str) -> Finding:
    """Nothing was found: because the documents say nothing, or because they could not be read."""
    unread = views.unread_documents(evidence, documents)
    return cannot_tell(unread) if unread else no(evidence.places(documents, what))


def has_released_dataset(evidence: EvidenceSet) -> Finding:
    """Is there a dataset repository of the base's pretraining data that anyone can read?"""
    found = _open_sets(evidence)
    if found:
        return yes(found, f"pretraining data at {', '.join(sorted({item.ref.id for item in found}))}")
    unread = evidence.unread(_datasets(evidence), "info")
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(_datasets(evidence) + _base_documents(evidence), "pretraining data"))


def releases_only_part(evidence: EvidenceSet) -> Finding:
    """Do the data's own documents call it an extract, or is it behind a gate?"""
    sets = _datasets(evidence)
    gated = evidence.of("hub.gated", sets, gated=("manual", "auto"))
    gated += tuple(item for item in evidence.of("hub.data_files", sets) if PART_NAME.search(item.ref.id))
    told = views.statements(evidence, sets, "part_only")
    if gated or told:
        return yes(gated + told, views.told_by((gated + told)[0]))
    unread = evidence.unread(sets, "card")
    return cannot_tell(unread) if unread else no(evidence.places(sets, "extract or gate"))


def names_public_corpora(evidence: EvidenceSet) -> Finding:
    """Do the base's documents name public corpora as its training data?"""
    found = _corpora(evidence, "open")
    if found:
        return yes(found, "named: " + ", ".join(sorted({str(item.value["corpus"]) for item in found})))
    return _silent(evidence, _documents_with_code(evidence), "named corpora")


def names_restricted_corpora(evidence: EvidenceSet) -> Finding:
    """Do they name corpora of which not everything can be downloaded?"""
    found = _corpora(evidence, "partial", "closed")
    if found:
        return yes(found, "named: " + ", ".join(sorted({str(item.value["corpus"]) for item in found})))
    return _silent(evidence, _documents_with_code(evidence), "named corpora")


def describes_data_vaguely(evidence: EvidenceSet) -> Finding:
    """Do the documents speak of the data without naming it: public sources, own data, withheld data?"""
    found = views.statements(
        evidence, _base_documents(evidence), "own_data", "vague_data"
    ) + views.statements(evidence, _base_documents(evidence), "withheld", about="data")
    if found:
        return yes(found, f"“{views.told_by(found[0])}”")
    return _silent(evidence, _base_documents(evidence), "statements on data")


def describes_data_at_length(evidence: EvidenceSet) -> Finding:
    """Is there a long section on the data in the base's documents, or documentation it links to?"""
    found = views.sections(
        evidence, _base_documents(evidence), "data", "composition", "collection", words=150
    )
    if found:
        return yes(found, f"described: {clip(found[0].value['title'], 60)}")
    return _silent(evidence, _base_documents(evidence), "description of the data")


def base_is_known_open(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for pretraining data that anyone can download?"""
    return _known(evidence, "open")


def base_is_known_partial(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for data that is described but not released in full?"""
    return _known(evidence, "partial")


def base_is_known_closed(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for undisclosed data?"""
    return _known(evidence, "closed")


def _known(evidence: EvidenceSet, rating: str) -> Finding:
    found = _facts(evidence, rating)
    if found:
        return yes(
            found,
            clip(str(found[0].where.value if hasattr(found[0].where, "value") else found[0].passage), 200),
        )
    unread = evidence.unread(views.lineage_entries(evidence))
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(views.lineage_entries(evidence), "what is known of the base"))


def base_documents_are_read(evidence: EvidenceSet) -> Finding:
    """Could the documents be read in which the base's data would be told?"""
    # Of a product that only has pages, these are where it would be told.
    documents = _base_documents(evidence) or views.homepages(evidence)
    unread = views.unread_documents(evidence, documents)
    if documents and not unread:
        return yes(
            evidence.of("hub.gated", documents, at_most=2)
            or evidence.of("section", documents, at_most=2)
            or evidence.of("page.title", documents, at_most=1)
        )
    return cannot_tell(unread, note="the base's documents could not all be read")


def is_a_framework(evidence: EvidenceSet) -> Finding:
    """Does the project ship code but no model of its own, so that its users choose the base?"""
    repositories = views.code_repositories(evidence)
    found = evidence.of("tree.files", repositories, role="code")
    if views.is_framework(evidence) and found:
        return yes(found, "the base is its users' choice")
    return no(evidence.places(repositories))


RULE = Rule(
    dimension="llmdata",
    version=4,
    checks=(
        has_released_dataset,
        releases_only_part,
        names_public_corpora,
        names_restricted_corpora,
        describes_data_vaguely,
        describes_data_at_length,
        base_is_known_open,
        base_is_known_partial,
        base_is_known_closed,
        base_documents_are_read,
        is_a_framework,
    ),
    table=(
        Row(
            rating=Rating.PARTIAL,
            yes=(has_released_dataset, releases_only_part),
            confidence=0.8,
            because="Only part of the pretraining data is released",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(base_is_known_closed,),
            any_yes=(has_released_dataset, names_public_corpora, base_is_known_open),
            confidence=0.5,
            because="One of the bases has public pretraining data, another has not",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_released_dataset,),
            confidence=0.9,
            because="The pretraining data is named and can be downloaded by anyone",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(names_public_corpora,),
            any_yes=(names_restricted_corpora, describes_data_vaguely, releases_only_part),
            confidence=0.5,
            because="Some of the pretraining data is named and public, the rest is not",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(names_restricted_corpora,),
            confidence=0.55,
            because="The pretraining corpora are named, but not all of them can be downloaded",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(names_public_corpora,),
            confidence=0.55,
            because="The base was pretrained on named public corpora",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(base_is_known_closed,),
            confidence=0.85,
            because="The base's pretraining data is not disclosed",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(base_is_known_partial,),
            confidence=0.5,
            because="The base's pretraining data is described but not released",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(base_is_known_open,),
            confidence=0.75,
            because="The base's pretraining data is public",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(is_a_framework,),
            confidence=0.5,
            because="A framework without a model of its own works with bases whose data is public, if its users choose so",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(describes_data_vaguely,),
            no=(has_released_dataset,),
            confidence=0.85,
            because="The pretraining data is only spoken of in general terms",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(describes_data_at_length,),
            confidence=0.4,
            because="The pretraining data is described at length, without being named or released in full",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(base_documents_are_read,),
            no=(has_released_dataset, names_public_corpora, base_is_known_open, base_is_known_partial),
            confidence=0.75,
            because="The documents of the base name no pretraining data",
        ),
    ),
)
