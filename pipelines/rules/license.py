"""Licence of all that the project releases.

What it asks: may anybody use, change and share code, weights and data, the base's terms included?

Why it matters: a licence that restricts use makes open weights conditional, and the strictest part
binds the whole.

What counts: licence texts in the repositories, the Hub's licence tags, licence sentences in cards
and READMEs, the base's licence. All under OSI-approved or equally open terms is open. Open code over
restricted weights or data, a missing tag or contradicting statements is partial. A bespoke licence
over weights without open code, or no licence at all, is closed.

Known misreadings: Apache-2.0 code over weights that the base's licence binds; `license: other` names
no licence; a README and a LICENSE file that disagree; tag, file and prose that disagree; a licence
file of one folder; a licence that is only cited.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet, Reading, kept
from pipelines.extract.parts import LICENCE_PART, MANIFEST_PART
from pipelines.model import ArtifactRef, Evidence, Finding, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, clip, no, yes
from pipelines.rules.products import is_hosted_product, product_row
from pipelines.rules.terms import (
    LICENCE_KINDS,
    base_binds_more,
    disagreements,
    kinds_of,
    licences_of,
    stated,
)

USE_RESTRICTED = frozenset({"non-commercial", "no-derivatives", "rail"})
BESPOKE = frozenset({"bespoke"})


@kept
def _models(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    return views.tuned_models(evidence) + views.base_models(evidence)


def _weight_terms(evidence: EvidenceSet, kinds: frozenset[str]) -> tuple[Evidence, ...]:
    """Terms of the weights: what models' repositories say, and what code repositories say of weights."""
    models = _models(evidence)
    return stated(evidence, models, (None, "weights", "data"), kinds) + stated(
        evidence, views.code_repositories(evidence) + views.homepages(evidence), ("weights",), kinds
    )


def _unread_terms(evidence: EvidenceSet, refs: tuple[ArtifactRef, ...]) -> tuple[Reading, ...]:
    """Attempts at documents that may hold a licence, and told nothing."""
    if not evidence.unread(refs):
        return ()
    documents = views.unread_documents(evidence, refs)
    files = tuple(
        reading
        for reading in evidence.unread(refs)
        if LICENCE_PART.fullmatch(reading.part) or MANIFEST_PART.fullmatch(reading.part)
    )
    return documents + files


def _unrestricted(evidence: EvidenceSet, refs: tuple[ArtifactRef, ...], what: str) -> Finding:
    """No restriction was found; might one stand where nothing could be read?"""
    unread = _unread_terms(evidence, refs)
    return cannot_tell(unread) if unread else no(evidence.places(refs, what))


def _named(found: tuple[Evidence, ...]) -> str:
    return ", ".join(
        dict.fromkeys(f"{' and '.join(licences_of(item)[:3])} ({item.ref.id})" for item in found[:4])
    )


def _with_code(evidence: EvidenceSet, repositories: tuple[ArtifactRef, ...]) -> tuple[ArtifactRef, ...]:
    """All but those whose tree is known to hold no code: what is not there yet is under no licence."""
    listed = {item.ref for item in evidence.of("tree.files", repositories)}
    holding = {item.ref for item in views.files(evidence, repositories, "code")}
    return tuple(ref for ref in repositories if ref in holding or ref not in listed)


def code_is_openly_licensed(evidence: EvidenceSet) -> Finding:
    """Is the project's code under an open licence?"""
    repositories = views.code_repositories(evidence)
    found = stated(evidence, _with_code(evidence, repositories), (None, "code"), frozenset({"open"}))
    if found:
        return yes(found, f"code: {_named(found)}")
    unread = _unread_terms(evidence, repositories)
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "licence of the code"))


def weights_are_openly_licensed(evidence: EvidenceSet) -> Finding:
    """Are the tuned weights tagged or stated to be under an open licence?"""
    models = views.tuned_models(evidence) or views.base_models(evidence)
    found = stated(evidence, models, (None, "weights"), frozenset({"open"}))
    if found:
        return yes(found, f"weights: {_named(found)}")
    unread = _unread_terms(evidence, models)
    return cannot_tell(unread) if unread else no(evidence.places(models, "licence of the weights"))


def weights_are_use_restricted(evidence: EvidenceSet) -> Finding:
    """Are weights under terms that restrict use: non-commercial, no derivatives, responsible-AI?"""
    return _restricted(evidence, USE_RESTRICTED)


def weights_are_bespoke(evidence: EvidenceSet) -> Finding:
    """Are weights under a licence of the makers' own that has to be accepted?"""
    return _restricted(evidence, BESPOKE)


def _restricted(evidence: EvidenceSet, kinds: frozenset[str]) -> Finding:
    found = _weight_terms(evidence, kinds)
    if found:
        return yes(found, f"restricted: {_named(found)}")
    models = _models(evidence)
    return _unrestricted(evidence, models + views.code_repositories(evidence), "restrictions")


def base_is_known_restricted(evidence: EvidenceSet) -> Finding:
    """Is the base publicly known for restrictive terms?"""
    found = evidence.of(
        "lineage.fact", views.lineage_entries(evidence), about="licence", rating=("closed", "partial")
    )
    if found:
        return yes(found, clip(found[0].passage.partition(" = ")[2], 160))
    unread = evidence.unread(views.lineage_entries(evidence))
    if unread:
        return cannot_tell(unread)
    return no(evidence.places(views.lineage_entries(evidence), "what is known of the base"))


def data_is_restricted(evidence: EvidenceSet) -> Finding:
    """Is data that the project releases itself under restrictive terms?"""
    own = frozenset(
        views.owner(ref) for ref in views.tuned_models(evidence) + views.code_repositories(evidence)
    )
    sets = tuple(ref for ref in evidence.refs(Role.RL_DATA, Role.LLM_DATA) if views.owner(ref) in own)
    found = stated(evidence, sets, (None, "data"), USE_RESTRICTED | BESPOKE) + stated(
        evidence, views.code_repositories(evidence), ("data",), USE_RESTRICTED | BESPOKE
    )
    if found:
        return yes(found, f"data: {_named(found)}")
    return _unrestricted(evidence, sets, "licence of the data")


def code_is_bespoke(evidence: EvidenceSet) -> Finding:
    """Is the code repository itself under a licence of the makers' own?"""
    repositories = views.code_repositories(evidence)
    found = stated(evidence, repositories, (None,), BESPOKE | USE_RESTRICTED)
    texts = tuple(item for item in found if item.kind != "licence.mention")
    if texts:
        return yes(texts, f"repository: {_named(texts)}")
    return _unrestricted(evidence, repositories, "licence of the repository")


def statements_disagree(evidence: EvidenceSet) -> Finding:
    """Do tag, licence file, package metadata and prose state open terms here and restrictive ones there?"""
    tuned, bases = views.tuned_models(evidence), views.base_models(evidence)
    places = views.own_things(evidence)
    found = disagreements(evidence, places)
    grave = [one for one in found if one.on_openness]
    bound = base_binds_more(evidence, tuned, bases)
    if grave:
        told = "; ".join(dict.fromkeys(str(one) for one in grave[:2]))
        return yes([item for one in grave for item in one], told)
    if unread := _unread_terms(evidence, places):
        return cannot_tell(unread)
    # An open licence instead of another one, or a base that binds more: told, and no contradiction here.
    shown = [*found[:2], *([bound] if bound else [])]
    note = "; ".join(dict.fromkeys(map(str, shown)))
    return no(evidence.places(places, "tag, licence files, prose"), note, [i for one in shown for i in one])


def tag_is_missing(evidence: EvidenceSet) -> Finding:
    """Do the weights carry no licence that can be identified?"""
    models = views.tuned_models(evidence)
    known = tuple(
        item for name in LICENCE_KINDS for item in evidence.of(name, models) if kinds_of(item) - {"unknown"}
    )
    if known or not models:
        return no(evidence.places(models, "licence tag"))
    unread = _unread_terms(evidence, models)
    if unread:
        return cannot_tell(unread)
    return yes(
        evidence.of("licence.tag", models) + evidence.of("hub.gated", models),
        f"no identifiable licence at {models[0].id}",
    )


def has_any_licence(evidence: EvidenceSet) -> Finding:
    """Is there any licence at all, in any of the project's places?"""
    places = views.own_things(evidence)
    found = tuple(item for name in LICENCE_KINDS for item in evidence.of(name, places))
    if found:
        return yes(found, _named(found))
    places = places or views.main_places(evidence)
    unread = _unread_terms(evidence, places)
    if unread or not places:
        return cannot_tell(unread, note="no place of the project could be read")
    return no(evidence.places(places, "licence"), "no licence anywhere")


RULE = Rule(
    dimension="license",
    version=4,
    checks=(
        is_hosted_product,
        code_is_openly_licensed,
        weights_are_openly_licensed,
        weights_are_use_restricted,
        weights_are_bespoke,
        base_is_known_restricted,
        data_is_restricted,
        code_is_bespoke,
        statements_disagree,
        tag_is_missing,
        has_any_licence,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.CLOSED,
            any_yes=(code_is_bespoke,),
            yes=(weights_are_bespoke,),
            confidence=0.9,
            because="A licence of the makers' own rules code and weights",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(weights_are_bespoke,),
            no=(code_is_openly_licensed,),
            confidence=0.85,
            because="The weights are under a licence of the makers' own, and no code is openly licensed",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(statements_disagree,),
            any_yes=(code_is_openly_licensed, weights_are_openly_licensed),
            shown_by=(statements_disagree,),
            confidence=0.55,
            because="One place states open terms for what another one restricts",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(code_is_openly_licensed,),
            any_yes=(
                weights_are_use_restricted,
                weights_are_bespoke,
                base_is_known_restricted,
                data_is_restricted,
            ),
            shown_by=(
                weights_are_use_restricted,
                weights_are_bespoke,
                base_is_known_restricted,
                data_is_restricted,
            ),
            confidence=0.65,
            because="The code is openly licensed, weights or data are not",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(weights_are_use_restricted,),
            confidence=0.6,
            because="The weights are under terms that restrict their use",
        ),
        Row(
            rating=Rating.CLOSED,
            any_yes=(code_is_bespoke, base_is_known_restricted),
            no=(weights_are_openly_licensed,),
            confidence=0.65,
            because="A restrictive licence rules, and nothing is openly licensed",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(weights_are_openly_licensed,),
            any_yes=(base_is_known_restricted, data_is_restricted, code_is_bespoke),
            shown_by=(base_is_known_restricted, data_is_restricted, code_is_bespoke),
            confidence=0.55,
            because="The licences of the parts contradict each other",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(tag_is_missing, has_any_licence),
            confidence=0.65,
            because="The weights carry no licence that can be identified, other parts do",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(tag_is_missing,),
            no=(has_any_licence,),
            confidence=0.6,
            because="Nothing carries a licence that can be identified",
        ),
        Row(
            rating=Rating.OPEN,
            any_yes=(weights_are_openly_licensed, code_is_openly_licensed),
            confidence=0.9,
            because="All that is released and carries a licence is under open terms",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(has_any_licence,),
            confidence=0.65,
            because="No licence was found",
        ),
    ),
)
