"""Documentation of the code.

What it asks: is the project's code documented so that others can work with it?

Why it matters: published code that nobody can follow is open in name only.

What counts: sections of READMEs on installing, using, training and evaluating with some substance,
READMEs of sub-folders, a docs folder or site, examples and notebooks. Throughout is open, some of it
partial. Where there is no code there is nothing to document: closed.

Known misreadings: a long README about the model is not documentation of code; inference-only code
with instructions to load it is hardly documented code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.evidence import EvidenceSet
from pipelines.model import Finding, JsonValue, Rating
from pipelines.rules import opencode, views
from pipelines.rules.engine import Row, Rule, cannot_tell, no, rule_on, yes
from pipelines.rules.products import is_hosted_product, product_row

CODE_TOPICS = ("installation", "usage", "training", "hyperparameters", "evaluation", "data", "api")
DOCS_SITE = re.compile(
    r"readthedocs|(?:^|//|\.)docs?\.|/docs?(?:/|$)|\.github\.io|documentation", re.IGNORECASE
)
SUBSTANCE = 30
"""Words below which a section only points elsewhere."""
WITH_CODE = 12
"""Words beside a block of code from which on a section says what the commands do."""


def has_published_code(evidence: EvidenceSet) -> Finding:
    """Is there code to document: is the code dimension better than closed?"""
    ruling = rule_on(opencode.RULE, evidence)
    if ruling.row is None:
        return cannot_tell(note="whether there is code could not be told")
    basis = [item for finding in ruling.relevant for item in finding.evidence]
    searched = [place for finding in ruling.relevant for place in finding.searched]
    if ruling.row.rating is Rating.CLOSED:
        return no(searched or ["code repositories"], "no code to document", basis)
    return yes(basis, "")


def code_is_complete(evidence: EvidenceSet) -> Finding:
    """Is the code dimension itself open, so that what documents it can be?"""
    ruling = rule_on(opencode.RULE, evidence)
    if ruling.row is None:
        return cannot_tell(note="whether the code is complete could not be told")
    if ruling.row.rating is Rating.OPEN:
        return yes(item for finding in ruling.relevant for item in finding.evidence[:1])
    return no([place for finding in ruling.relevant for place in finding.searched] or ["code repositories"])


def _explains_a_step(section: Mapping[str, JsonValue]) -> bool:
    """Has it some substance? Commands under a sentence that says what they do explain a step, however few the words."""
    if section["template"]:
        return False
    return bool(
        section["words"] + 4 * section["items"] >= SUBSTANCE
        or (section["code"] and section["words"] >= WITH_CODE)
    )


def _explains(evidence: EvidenceSet, at_least: int) -> Finding:
    repositories = views.code_repositories(evidence)
    found = evidence.of("section", repositories, having=_explains_a_step, topic=CODE_TOPICS)
    topics = views.topics_covered(found)
    if len(topics) >= at_least:
        return yes(found, f"READMEs cover {', '.join(sorted(topics))}")
    unread = views.unread_documents(evidence, repositories)
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "README sections"))


def explains_several_steps(evidence: EvidenceSet) -> Finding:
    """Do READMEs explain at least three of installing, using, training, data, evaluating?"""
    return _explains(evidence, 3)


def explains_two_steps(evidence: EvidenceSet) -> Finding:
    """Do READMEs explain at least two of these steps?"""
    return _explains(evidence, 2)


def explains_something(evidence: EvidenceSet) -> Finding:
    """Do READMEs explain at least one of these steps?"""
    return _explains(evidence, 1)


def _is_docs_site(link: Mapping[str, JsonValue]) -> bool:
    return bool(link["own"] and DOCS_SITE.search(link["id"]))


def has_docs(evidence: EvidenceSet) -> Finding:
    """Is there a docs folder, a documentation site, or READMEs in the folders?"""
    repositories = views.code_repositories(evidence)
    folder = views.files(evidence, repositories, "docs", count=3) + views.files(
        evidence, repositories, "readme", count=4
    )
    site = evidence.of("link", repositories, having=_is_docs_site, kind="web")
    found = folder + site
    if found:
        return yes(
            found,
            f"further documentation: {found[0].value.get('id') or ', '.join(found[0].value['paths'][:3])}",
        )
    unread = views.unread_documents(evidence, repositories)
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "docs folder or site"))


def has_examples(evidence: EvidenceSet) -> Finding:
    """Are there examples, notebooks or tests to learn from?"""
    repositories = views.code_repositories(evidence)
    found = views.files(evidence, repositories, "example", "notebook", "test")
    if views.count_files(found) >= 2:
        return yes(found, f"examples: {', '.join(found[0].value['paths'][:2])}")
    unread = evidence.unread(repositories, "tree")
    return cannot_tell(unread) if unread else no(evidence.places(repositories, "examples"))


RULE = Rule(
    dimension="code",
    version=3,
    checks=(
        is_hosted_product,
        has_published_code,
        code_is_complete,
        explains_two_steps,
        explains_several_steps,
        explains_something,
        has_docs,
        has_examples,
    ),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.CLOSED,
            no=(has_published_code,),
            confidence=0.9,
            because="There is no published code to document",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_published_code, code_is_complete, explains_several_steps),
            any_yes=(has_docs, has_examples),
            confidence=0.65,
            because="The code is documented throughout",
        ),
        Row(
            rating=Rating.OPEN,
            yes=(has_published_code, code_is_complete, explains_two_steps, has_docs, has_examples),
            confidence=0.5,
            because="The code is documented in README, docs and examples",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(has_published_code,),
            any_yes=(explains_something, has_docs),
            confidence=0.55,
            because="Parts of the code are documented",
        ),
        Row(
            rating=Rating.CLOSED,
            yes=(has_published_code,),
            no=(explains_something,),
            confidence=0.55,
            because="The published code is hardly documented",
        ),
    ),
)
