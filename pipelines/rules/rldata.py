"""Instruction and preference data of the tuned model.

What it asks: is the data public with which the model was tuned?

Why it matters: it decides how a model answers, and is often where the human labour is.

What counts: dataset repositories named by the project and readable by anyone, data files in its own
repository, statements on what is withheld. Every set named and fetchable is open, also where a model
wrote it; part of it, or public data of which some is withheld, is partial; nothing but a count or
"in-house" is closed.

Known misreadings: evaluation sets are not tuning data; a dataset repository that is empty or gated
is not released; pretraining corpora are another dimension; data that another model wrote is data all
the same.
"""

from __future__ import annotations

import re

from pipelines.evidence import EvidenceSet, Reading
from pipelines.extract.corpora import is_pretraining_corpus
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Finding, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes
from pipelines.rules.products import is_hosted_product, product_row

HUB_MODEL = re.compile(r"huggingface\.co/(?!datasets/|spaces/|papers/|docs/)(?P<owner>[\w.-]+)/[\w.-]+")
ADDRESSED = re.compile(r"\byour\b|[你您]的", re.IGNORECASE)
"""Advice on the reader's own data names none of the project's."""
OF_TUNING = re.compile(
    r"fine-?\s?tun|\binstruct|\bsft\b|\bq?lora\b|\bdpo\b|\brlhf\b|\bpreference|微调|指令", re.IGNORECASE
)
"""What a sentence that names the base has to say to be on the tuning all the same: fine-tuned from it on in-house data."""


def _datasets(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    return evidence.refs(Role.RL_DATA, kind=ArtifactKind.HF_DATASET)


def _named(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    documents = views.own_documents(evidence)
    named = tuple(
        item
        for item in evidence.of("hub.datasets", views.tuned_models(evidence))
        if not all(is_pretraining_corpus(name) for name in item.value["ids"])
    ) + tuple(
        item
        for item in evidence.of("corpus.named", documents, access=("open", "partial"), context="tuning")
        if not ADDRESSED.search(item.passage)
        if not _speaks_of_another_model(evidence, item)
    )
    return named + tuple(
        item
        for item in evidence.of("link", documents, kind="hf_dataset", topic=("data", "training", "tag"))
        if not _speaks_of_another_model(evidence, item)
    )


def _speaks_of_another_model(evidence: EvidenceSet, item: Evidence) -> bool:
    """Is the passage about a model of somebody else's, which has its own data?"""
    owners = {views.owner(ref) for ref in views.tuned_models(evidence)}
    named = {match["owner"].lower() for match in HUB_MODEL.finditer(item.passage)}
    return bool(named) and bool(owners) and not named & owners


def _unread(evidence: EvidenceSet) -> tuple[Reading, ...]:
    """Attempts at the project's own models and repositories that told nothing."""
    return views.unread_documents(evidence, views.main_places(evidence))


def has_released_dataset(evidence: EvidenceSet) -> Finding:
    """Is there a dataset repository of the tuning data that anyone can read?"""
    sets = _datasets(evidence)
    ungated = [ref for ref in sets if evidence.of("hub.gated", [ref], gated="no")]
    found = evidence.of("hub.data_files", ungated)
    if found:
        return yes(found, f"tuning data at {', '.join(sorted({item.ref.id for item in found}))}")
    unread = evidence.unread(sets, "info")
    return cannot_tell(unread) if unread else no(evidence.places(sets, "tuning data"))


def stated_sets_are_public(evidence: EvidenceSet) -> Finding:
    """Can anyone read every dataset that the tuned model's front matter names?"""
    stated = evidence.of("hub.datasets", views.tuned_models(evidence))
    names = {str(name).lower() for item in stated for name in item.value["ids"]}
    names = {name for name in names if not is_pretraining_corpus(name)}
    sets = [ref for ref in _datasets(evidence) if ref.id.lower() in names]
    readable = [
        ref
        for ref in sets
        if evidence.of("hub.gated", [ref], gated="no") and evidence.of("hub.data_files", [ref])
    ]
    if names and len(readable) == len(names):
        return yes(stated, f"all sets that the card states are public: {', '.join(sorted(names))}")
    unread = evidence.unread(sets, "info") + evidence.unread(views.tuned_models(evidence), "card", "info")
    return cannot_tell(unread) if unread else no(evidence.places(sets, "stated datasets"))


def has_data_in_repository(evidence: EvidenceSet) -> Finding:
    """Are there files of tuning data in the project's own repository?"""
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, "data_file")
    if found:
        return yes(found, f"data files: {', '.join(found[0].value['paths'][:3])}")
    unread = evidence.unread(repositories, "tree")
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "data files"))


def names_datasets(evidence: EvidenceSet) -> Finding:
    """Do the tuned model's documents name the datasets it was tuned on?"""
    found = _named(evidence)
    if found:
        return yes(found, f"named: {clip(found[0].passage)}")
    unread = _unread(evidence) + views.unread_documents(evidence, views.homepages(evidence))
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(views.own_documents(evidence), "named datasets"))
    )


def names_restricted_data(evidence: EvidenceSet) -> Finding:
    """Is some of the tuning data named that nobody can download?"""
    restricted = evidence.of(
        "corpus.named", views.own_documents(evidence), access=("closed", "partial"), context="tuning"
    )
    gated = evidence.of("hub.gated", _datasets(evidence), gated=("manual", "auto"))
    found = restricted + gated
    if found:
        return yes(found, f"not released in full: {clip(found[0].passage)}")
    unread = _unread(evidence) + evidence.unread(_datasets(evidence), "info")
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(views.own_documents(evidence), "restricted data"))
    )


def names_vanished_data(evidence: EvidenceSet) -> Finding:
    """Does the tuned model's card name datasets that are not there (any more), in its front matter or as its data?"""
    models = views.tuned_models(evidence)
    fields = evidence.of("hub.datasets", models)
    linked = tuple(
        item
        for item in evidence.of("link", models, kind="hf_dataset", topic=("data", "training"))
        if not _speaks_of_another_model(evidence, item)
    )
    names = {str(name).lower() for item in fields for name in item.value["ids"]}
    names |= {str(item.value["id"]).lower() for item in linked}
    stated = fields + linked
    gone = [ref for ref in _datasets(evidence) if ref.id.lower() in names and evidence.is_missing(ref)]
    if gone:
        return yes(stated, f"not there: {', '.join(ref.id for ref in gone[:3])}")
    return no(evidence.places(_datasets(evidence), "vanished data"))


def withholds_data(evidence: EvidenceSet) -> Finding:
    """Does the project say that it does not release the tuning data, or not yet?"""
    documents = views.own_documents(evidence)
    told = views.statements(evidence, documents, "withheld", about="data") + views.statements(
        evidence, views.tuned_models(evidence), "own_data", "coming_soon", about="data"
    )
    found = _on_tuning(evidence, told)
    if found:
        return yes(found, f"“{views.told_by(found[0])}”")
    unread = _unread(evidence)
    return cannot_tell(unread) if unread else no(evidence.places(documents, "statements on tuning data"))


def card_withholds_data(evidence: EvidenceSet) -> Finding:
    """Does the tuned model's own card say that some of its tuning data is not released?"""
    cards = views.tuned_models(evidence)
    found = _on_tuning(evidence, views.statements(evidence, cards, "withheld", "own_data", about="data"))
    if found:
        return yes(found, f"“{views.told_by(found[0])}”")
    unread = views.unread_documents(evidence, cards)
    return cannot_tell(unread) if unread else no(evidence.places(cards, "statements on tuning data"))


def _on_tuning(evidence: EvidenceSet, told: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Those of some statements on data that are not on the base's."""
    return tuple(
        item for item in told if OF_TUNING.search(item.passage) or not views.names_base(evidence, item)
    )


def ships_a_tuned_model(evidence: EvidenceSet) -> Finding:
    """Does the project name a tuned model of its own?"""
    models = views.tuned_models(evidence)
    if models:
        return yes(evidence.of("hub.gated", models), f"tuned model: {models[0].id}")
    return no(evidence.places(views.main_places(evidence), "tuned model"), "no tuned model is named")


RULE = Rule(
    dimension="rldata",
    version=3,
    checks=(
        is_hosted_product,
        has_released_dataset,
        stated_sets_are_public,
        has_data_in_repository,
        names_datasets,
        names_restricted_data,
        names_vanished_data,
        withholds_data,
        card_withholds_data,
        ships_a_tuned_model,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.OPEN,
            yes=(stated_sets_are_public,),
            unless=(names_restricted_data, card_withholds_data),
            confidence=0.7,
            because="All tuning data that the card states is public",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(has_released_dataset, has_data_in_repository),
            yes=(withholds_data,),
            confidence=0.5,
            because="Some of the tuning data is public, some is withheld",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_released_dataset,),
            unless=(names_restricted_data, names_vanished_data),
            confidence=0.7,
            because="The tuning data is public",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_released_dataset,),
            confidence=0.65,
            because="Part of the tuning data is public, other sets that are named cannot be downloaded",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(withholds_data,),
            no=(has_released_dataset, has_data_in_repository, names_datasets),
            confidence=0.85,
            because="The makers say that the tuning data is not released",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(has_data_in_repository, names_datasets),
            confidence=0.55,
            because="Tuning data is named or lies in the repository, but not all of it is released as data",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(has_released_dataset, has_data_in_repository, names_datasets),
            confidence=0.8,
            because="No tuning data is released or named",
        ),
    ),
)
