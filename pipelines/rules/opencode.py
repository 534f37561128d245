"""Source code of the model.

What it asks: is the code public with which the model was trained or tuned, and with which it runs?

Why it matters: weights without the code that made them can be used, not studied or repeated.

What counts: files of the project's own repositories, told apart by their paths: training and tuning
entry points, data preparation and configurations, code that runs the model. Training or tuning code
with one of the other two is open; code that only runs the model, or that only tunes weights whose
own training is not there, is partial; no repository, or hardly more than a loader, is closed.

Known misreadings: a big repository is not a complete one; a repository of a general framework or of
the base is not the project's own; "code coming soon" is no code; test files are not entry points; a
snippet in a card that loads the weights is no repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.evidence import EvidenceSet
from pipelines.model import Finding, JsonValue, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes
from pipelines.rules.products import is_hosted_product, product_row

TRAINING = ("training", "tuning", "pretraining")
TRAINING_REPOSITORY = re.compile(r"(?:^|[/_-])(?:pre)?train(?:ing|er)?(?:[_-]|$)", re.IGNORECASE)
RUNNING = ("inference", "api_server", "demo", "notebook")
MINIMAL = 12
"""Code files below which a repository without training code is a loader with examples."""


def _from_trees(evidence: EvidenceSet, roles: tuple[str, ...], count: int, what: str) -> Finding:
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, *roles)
    total = views.count_files(found)
    if total >= count:
        shown = dict.fromkeys(path for item in found[:3] for path in item.value["paths"][:2])
        return yes(found, f"{what}: {', '.join(shown)}")
    unread = evidence.unread(repositories, "tree")
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(repositories, "file tree"), f"no {what}")


def has_code_repository(evidence: EvidenceSet) -> Finding:
    """Does the project have a repository of its own with code in it?"""
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, "code")
    if found:
        return yes(
            found, f"{views.count_files(found)} code files in {', '.join(sorted({i.ref.id for i in found}))}"
        )
    places = repositories or views.main_places(evidence)
    unread = evidence.unread(repositories, "tree") or views.unread_documents(evidence, places)
    if unread or not places:
        return cannot_tell(unread, note="no place of the project could be read")
    return no(evidence.places(places, "looked for a code repository"), "no repository with code")


def has_training_code(evidence: EvidenceSet) -> Finding:
    """Is there an entry point that trains or tunes the model?"""
    return _from_trees(evidence, TRAINING, 1, "training or tuning code")


def documents_training(evidence: EvidenceSet) -> Finding:
    """Do the repository's READMEs give the commands with which the model was trained?"""
    repositories = views.code_repositories(evidence)
    told = evidence.of("section", repositories, having=_is_told, topic="training", code=True)
    found = tuple([item for item in told if "readme" in item.part.lower()])
    if found:
        return yes(found, f"training instructions: {clip(found[0].value['title'], 60)}")
    unread = views.unread_documents(evidence, repositories)
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(repositories, "training instructions"))


def _is_told(value: Mapping[str, JsonValue]) -> bool:
    return bool(value["words"] >= 20)


def belongs_to_the_model(evidence: EvidenceSet) -> Finding:
    """Do the repositories name the model, so that they are more than a general framework?"""
    repositories = views.code_repositories(evidence)
    naming = [ref for ref in repositories if views.speaks_of_model(evidence, ref)]
    if naming or views.is_framework(evidence):
        return yes(views.files(evidence, naming, "code")[:2])
    unread = views.unread_documents(evidence, repositories)
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(repositories, "name of the model"), "the repositories do not name the model")


def only_tunes(evidence: EvidenceSet) -> Finding:
    """Is the base the makers' own, and all the training code there is for tuning it?"""
    repositories = views.code_repositories(evidence)
    tuning = views.files(evidence, repositories, "tuning")
    training = views.files(evidence, repositories, "training", "pretraining")
    for_training = [ref for ref in repositories if TRAINING_REPOSITORY.search(ref.id)]
    if training or for_training or not views.same_maker(evidence):
        return no(evidence.places(repositories, "file tree"))
    unread = evidence.unread(repositories, "tree")
    if unread:
        return cannot_tell(unread)
    if tuning:
        return yes(tuning, "the code tunes the released base and does not train it")
    return no(evidence.places(repositories, "file tree"))


def has_data_preparation(evidence: EvidenceSet) -> Finding:
    """Is there code that prepares data, or a training configuration?"""
    return _from_trees(evidence, ("data_preparation", "config"), 1, "data preparation or configuration")


def has_running_code(evidence: EvidenceSet) -> Finding:
    """Is there code that runs the model?"""
    return _from_trees(evidence, RUNNING, 1, "code that runs the model")


def has_substantial_code(evidence: EvidenceSet) -> Finding:
    """Is there more code than a loader and its examples: some size, a demo, or a server?"""
    repositories = views.code_repositories(evidence)
    for_users = views.files(evidence, repositories, "demo", "api_server")
    if for_users:
        return yes(for_users, f"for users: {', '.join(for_users[0].value['paths'][:2])}")
    return _from_trees(evidence, ("code",), MINIMAL, "code base of some size")


RULE = Rule(
    dimension="opencode",
    version=4,
    checks=(
        is_hosted_product,
        has_code_repository,
        has_training_code,
        documents_training,
        belongs_to_the_model,
        only_tunes,
        has_data_preparation,
        has_running_code,
        has_substantial_code,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.PARTIAL,
            yes=(only_tunes,),
            confidence=0.6,
            because="Code to tune the released weights is public, the code that trained them is not",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(
                has_training_code,
                belongs_to_the_model,
                has_data_preparation,
                has_running_code,
                has_substantial_code,
            ),
            confidence=0.8,
            because="Code for training, data preparation and running is public",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_training_code, has_substantial_code),
            no=(belongs_to_the_model,),
            confidence=0.6,
            because="The code is a general framework without this model's own scripts",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_training_code,),
            any_yes=(has_data_preparation, has_running_code),
            confidence=0.75,
            because="Training code is public, with data preparation, configuration or running code beside it",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_code_repository, documents_training, has_data_preparation),
            confidence=0.6,
            because="Data preparation is public and the commands for training are documented",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_training_code,),
            confidence=0.5,
            because="Some training code is public, without data preparation or code to run the model",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_substantial_code,),
            no=(has_training_code,),
            confidence=0.6,
            because="The public code runs the model but does not train it",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_code_repository, documents_training),
            confidence=0.5,
            because="Commands for training are documented, though no file is known by its name to hold that code",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(has_code_repository,),
            no=(has_training_code, has_substantial_code),
            confidence=0.75,
            because="The repository holds hardly more than what loads the weights",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(has_code_repository,),
            confidence=0.85,
            because="No code of the project was found",
        ),
    ),
)
