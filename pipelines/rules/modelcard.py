"""Model card of the tuned model.

What it asks: is there a model card on data, training, evaluation, intended use and limitations?

Why it matters: it is where users learn what a model is for, and what it must not be used for.

What counts: the sections of the card and how much they say. All five topics with substance is open;
some of them partial; none, a placeholder, an advertisement or a pointer is closed.

Known misreadings: length is not substance; install snippets and tables of benchmarks are
advertising; a form with "more information needed" is no card; telling readers how to train is not
telling how it was trained.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet, Reading, kept
from pipelines.model import ArtifactRef, Evidence, Finding, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, no, yes
from pipelines.rules.products import is_hosted_product, product_row

GROUPS: dict[str, tuple[str, ...]] = {
    "data": ("data", "collection", "composition", "preprocessing"),
    "training": ("training", "hyperparameters", "architecture"),
    "evaluation": ("evaluation",),
    "intended use": ("intended_use",),
    "limitations": ("limitations",),
}
SUBSTANCE = 20
"""Words below which a section of a card only points elsewhere."""
SEVERAL = 3
"""Topics of the five that make a card, be it a thin one."""
ACCOUNT = 30
"""Words of prose from which on data or training are told about, rather than named: two sentences."""


def _card_sections(evidence: EvidenceSet, words: int) -> tuple[Evidence, ...]:
    return evidence.once((_find_sections, words), lambda: _find_sections(evidence, words))


def _find_sections(evidence: EvidenceSet, words: int) -> tuple[Evidence, ...]:
    models = views.tuned_models(evidence)
    topics = tuple(topic for group in GROUPS.values() for topic in group)
    found = tuple(
        item
        for item in views.sections(evidence, models, *topics, words=words)
        # How one can train it oneself does not say how it was trained.
        if not (item.value["topic"] in GROUPS["training"] and (item.value["code"] or item.value["instructs"]))
    )
    in_code = tuple(
        item
        for item in views.sections(evidence, views.code_repositories(evidence), *topics, words=words)
        if _is_card(item.part)
    )
    return tuple(item for item in found if item.part == "card") + in_code


def _unread_cards(evidence: EvidenceSet) -> tuple[Reading, ...]:
    """Attempts at the model's cards that told nothing, wherever they are kept."""
    models = views.tuned_models(evidence)
    unread = evidence.unread(models, "card") or views.unread_documents(
        evidence, models or views.main_places(evidence)
    )
    return unread + _unread_cards_in_code(evidence)


def _silent(evidence: EvidenceSet, what: str) -> Finding:
    """Nothing was found in the cards: because they say nothing, or because they could not be read."""
    unread = _unread_cards(evidence)
    return cannot_tell(unread) if unread else no(evidence.places(views.tuned_models(evidence), what))


def _unread_cards_in_code(evidence: EvidenceSet) -> tuple[Reading, ...]:
    """Attempts at the repositories' own model cards, or at the trees that would list one, that told nothing."""
    return tuple(
        reading
        for reading in evidence.unread(views.code_repositories(evidence))
        if reading.part in ("repository", "tree") or _is_card(reading.part)
    )


def _is_card(part: str) -> bool:
    return "model_card" in part.lower() or "modelcard" in part.lower()


def groups_covered(sections: tuple[Evidence, ...]) -> list[str]:
    """The five questions of a card that these sections answer."""
    topics = views.topics_covered(sections)
    return [name for name, members in GROUPS.items() if topics & frozenset(members)]


@kept
def _best_card(evidence: EvidenceSet) -> tuple[ArtifactRef, tuple[Evidence, ...], list[str]] | None:
    """The card that answers most of the five, with its sections and what it answers; None where none has any."""
    best: tuple[ArtifactRef, tuple[Evidence, ...], list[str]] | None = None
    for ref, mine in _by_card(_card_sections(evidence, SUBSTANCE)).items():
        groups = groups_covered(mine)
        if best is None or len(groups) > len(best[2]):
            best = (ref, mine, groups)
    return best


def _by_card(sections: tuple[Evidence, ...]) -> dict[ArtifactRef, tuple[Evidence, ...]]:
    found: dict[ArtifactRef, list[Evidence]] = {}
    for item in sections:
        found.setdefault(item.ref, []).append(item)
    return {ref: tuple(mine) for ref, mine in found.items()}


def _covers(evidence: EvidenceSet, at_least: int) -> Finding:
    models = views.tuned_models(evidence)
    best = _best_card(evidence)
    if best and len(best[2]) >= at_least:
        return yes(best[1], f"the card of {best[0].id} speaks of {', '.join(best[2])}")
    places = models or views.main_places(evidence)
    unread = _unread_cards(evidence)
    if unread or not places:
        return cannot_tell(unread, note="the card could not be read")
    told = f"only {', '.join(best[2])}" if best and best[2] else "none of the five topics"
    return no(evidence.places(places, "model card"), told, best[1] if best else ())


def covers_all_topics(evidence: EvidenceSet) -> Finding:
    """Does the card say something of substance on all five topics?"""
    return _covers(evidence, 5)


def covers_several_topics(evidence: EvidenceSet) -> Finding:
    """Does it on at least three of them?"""
    return _covers(evidence, SEVERAL)


def tells_of_its_making(evidence: EvidenceSet) -> Finding:
    """Does it tell in words of its data or training, and of one of the other topics?"""
    found = _card_sections(evidence, SUBSTANCE)
    making = (*GROUPS["data"], *GROUPS["training"])
    of_card = _by_card(found)
    for told in found:
        mine = of_card[told.ref]
        if told.value["topic"] in making and told.value["words"] >= ACCOUNT and len(groups_covered(mine)) > 1:
            return yes((told, *mine), f"the card of {told.ref.id} tells how the model was made")
    return _silent(evidence, "data and training")


def tells_use_and_limits(evidence: EvidenceSet) -> Finding:
    """Does it say both what the model is for and where it fails, which is what cards were invented for?"""
    found = _card_sections(evidence, SUBSTANCE)
    uses = [item for item in found if item.value["topic"] == "intended_use"]
    limits = [item for item in found if item.value["topic"] == "limitations"]
    both = {item.ref for item in uses} & {item.ref for item in limits}
    if both:
        return yes(
            (item for item in (*uses, *limits) if item.ref in both),
            f"the card of {min(both).id} tells intended use and limitations",
        )
    return _silent(evidence, "use and limitations")


def describes_data_at_length(evidence: EvidenceSet) -> Finding:
    """Is the data more than mentioned: a hundred words on it, or a table?"""
    found = tuple(item for item in _card_sections(evidence, 100) if item.value["topic"] in GROUPS["data"])
    if found:
        return yes(found)
    return _silent(evidence, "description of the data")


RULE = Rule(
    dimension="modelcard",
    version=2,
    checks=(
        is_hosted_product,
        covers_all_topics,
        describes_data_at_length,
        covers_several_topics,
        tells_of_its_making,
        tells_use_and_limits,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.OPEN,
            yes=(covers_all_topics, describes_data_at_length),
            confidence=0.5,
            because="The model card covers data, training, evaluation, intended use and limitations",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(covers_several_topics, tells_of_its_making, tells_use_and_limits),
            confidence=0.7,
            because="The model card covers some of what a card is for",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(covers_several_topics, tells_of_its_making, tells_use_and_limits),
            confidence=0.8,
            because="There is no model card of substance",
        ),
    ),
)
