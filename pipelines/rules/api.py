"""Access through an interface.

What it asks: can anyone use the model through an API, without payment or sign-up?

Why it matters: most people who study a system cannot run it themselves.

What counts: an API server in the released code, documented endpoints, demos, the Hub's own
inference, and words on keys, prices and waiting lists. A free endpoint or a server that anybody can
start is open; a demo, a key or a sign-up is partial; none is closed.

Known misreadings: a closed product's API is not open access; `inference: false` speaks against the
Hub's widget; a server of a general library is not the project's; a demo that was switched off is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.evidence import EvidenceSet
from pipelines.model import Finding, JsonValue, Rating
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, no, yes
from pipelines.rules.products import is_hosted_product, product_row

SPACE = re.compile(r"huggingface\.co/spaces/(?!\S*leaderboard)|\bdemo\b|playground|//chat\.", re.IGNORECASE)

# Every match of SPACE has one of these, which are found in a fraction of the time. No letter that has another
# form for IGNORECASE than for lower() (i, k, s) is in them.
SPACE_WORDS = ("face.co/", "demo", "playground", "//chat.")

OVER = re.compile(
    r"\b(?:suspended|discontinued|(?:taken|shut)\s+down|no\s+longer|not\s+(?:currently\s+)?available|unavailable|"
    r"offline\b|under\s+maintenance)|下线|暂停|停止服务",
    re.IGNORECASE,
)
"""What is said of a demo that there was."""
SUBSTANCE = 15
"""Words below which a section on an API only points elsewhere."""
PROMISED = re.compile(r"\bcoming\s+soon\b|\bwill\s+(?:be|release)|即将", re.IGNORECASE)


def has_api_server(evidence: EvidenceSet) -> Finding:
    """Is there an API server in the project's own code?"""
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, "api_server")
    if found:
        return yes(found, f"server code: {', '.join(found[0].value['paths'][:2])}")
    unread = evidence.unread(repositories, "tree")
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "server code"))


def _tells(section: Mapping[str, JsonValue]) -> bool:
    """Has it some substance? Calls of an API say more than words on it."""
    if section["template"]:
        return False
    return bool(section["code"] or section["words"] + 4 * section["items"] >= SUBSTANCE)


def documents_an_api(evidence: EvidenceSet) -> Finding:
    """Do the documents describe an API: a section on it, or its addresses?"""
    told = tuple(
        item
        for item in views.statements(evidence, views.seeded_documents(evidence), "api_offer")
        if not views.names_base(evidence, item)
    )
    found = evidence.of("section", views.seeded_documents(evidence), having=_tells, topic="api") + told
    if found:
        return yes(found, f"“{views.told_by(found[0], 80)}”")
    pages = tuple(ref for ref in views.homepages(evidence) if ref not in views.main_places(evidence))
    unread = views.unread_documents(evidence, views.main_places(evidence) + pages)
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(views.own_documents(evidence), "API documentation"))
    )


def demands_sign_up(evidence: EvidenceSet) -> Finding:
    """Is access bound to a key, a price, a form or an account?"""
    found = views.statements(evidence, views.own_documents(evidence), "sign_up") + evidence.of(
        "hub.gated", views.tuned_models(evidence), gated=("manual", "auto")
    )
    if found:
        return yes(found, f"“{views.told_by(found[0], 80)}”")
    unread = views.unread_documents(evidence, views.main_places(evidence))
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(views.own_documents(evidence), "sign-up or price"))
    )


def _leads_to_demo(link: Mapping[str, JsonValue]) -> bool:
    told = link["id"] + " " + link["text"]
    lower = told.lower()
    return any(word in lower for word in SPACE_WORDS) and SPACE.search(told) is not None


def has_demo(evidence: EvidenceSet) -> Finding:
    """Is there a demo to try the model in?"""
    documents = views.own_documents(evidence)
    found = evidence.of("link", documents, having=_leads_to_demo, kind="web") + views.statements(
        evidence, documents, "demo_offer"
    )
    # One document that says the demo is over outweighs those that nobody has changed since.
    own = views.unread_documents(evidence, views.main_places(evidence))
    if found and own:
        return cannot_tell(own, note="whether the demo is over could not be read")
    is_over = any(OVER.search(item.passage) for item in found)
    found = () if is_over else tuple(item for item in found if not PROMISED.search(item.passage))
    if found:
        return yes(found, f"demo: {views.told_by(found[0], 80)}")
    unread = views.unread_documents(evidence, documents)
    return cannot_tell(unread) if unread else no(evidence.places(documents, "demo"))


def hub_inference_is_off(evidence: EvidenceSet) -> Finding:
    """Did the makers switch off the Hub's own inference?"""
    found = evidence.of("hub.inference", views.tuned_models(evidence), enabled=False)
    if found:
        return yes(found, "the Hub's inference is switched off")
    models = views.tuned_models(evidence)
    unread = evidence.unread(models, "info")
    return cannot_tell(unread) if unread else no(evidence.places(models, "inference flag"))


def hub_can_run_it(evidence: EvidenceSet) -> Finding:
    """Are whole, ungated weights on the Hub that its inference can load?"""
    models = views.tuned_models(evidence)
    ungated = [ref for ref in models if evidence.of("hub.gated", [ref], gated="no")]
    found = evidence.of("hub.weights", ungated, form="full")
    if found:
        return yes(found, f"{found[0].ref.id} can be loaded by the Hub's inference")
    unread = evidence.unread(models, "info")
    return cannot_tell(unread) if unread else no(evidence.places(models, "weights on the Hub"))


def is_gated_on_the_hub(evidence: EvidenceSet) -> Finding:
    """Is the model on the Hub behind a form, so that access takes a sign-up?"""
    models = views.tuned_models(evidence)
    found = evidence.of("hub.gated", models, gated=("manual", "auto"))
    if found:
        return yes(found, f"{found[0].ref.id} asks for a sign-up")
    unread = evidence.unread(models, "info")
    return cannot_tell(unread) if unread else no(evidence.places(models, "gate"))


def project_is_read(evidence: EvidenceSet) -> Finding:
    """Could the places be read that would offer access?"""
    places = views.main_places(evidence)
    unread = views.unread_documents(evidence, places)
    if places and not unread:
        return yes(evidence.of("hub.gated", places)[:1] or evidence.of("tree.files", places)[:1])
    return cannot_tell(unread, note="the project's own places could not all be read")


RULE = Rule(
    dimension="api",
    version=5,
    checks=(
        is_hosted_product,
        has_api_server,
        documents_an_api,
        demands_sign_up,
        has_demo,
        hub_inference_is_off,
        hub_can_run_it,
        is_gated_on_the_hub,
        project_is_read,
    ),
    table=(
        product_row(0.8),
        Row(
            rating=Rating.OPEN,
            yes=(has_api_server, documents_an_api, hub_can_run_it),
            unless=(demands_sign_up,),
            confidence=0.35,
            because="Anyone can start the API server in the released code with the released weights",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(has_api_server, documents_an_api),
            confidence=0.6,
            because="There is an API, bound to conditions or to one's own hardware",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_demo,),
            confidence=0.45,
            because="The model can be tried in a demo, there is no API of its own",
        ),
        Row(
            rating=Rating.PARTIAL,
            any_yes=(hub_can_run_it, is_gated_on_the_hub),
            unless=(hub_inference_is_off,),
            confidence=0.45,
            because="The model can be run through the Hub, there is no API of its own",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(project_is_read,),
            unless=(documents_an_api,),
            confidence=0.5,
            because="No API was found",
        ),
    ),
)
