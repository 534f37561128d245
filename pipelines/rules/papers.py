"""Whose paper a paper is: the project's, its base's, or somebody else's that is only cited.

Told from the title and the abstract against what tells the names of the model and of its base.
"""

from __future__ import annotations

import re

from pipelines.evidence import EvidenceSet, kept
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Role
from pipelines.rules import views

DATASET_TITLE = re.compile(
    r"\b(?:data ?sets?|corpus|corpora|web data|conversations|collection)\b", re.IGNORECASE
)
_NO_LETTERS = re.compile(r"[^0-9a-z\u00c0-\uffff]+")
_WORDS = re.compile(r"[0-9a-z\u00c0-\uffff.]+")


def candidates(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """All papers that the project's documents link to."""
    return evidence.refs(Role.PREPRINT, Role.PAPER)


def _names(evidence: EvidenceSet, text: str, tokens: frozenset[str]) -> bool:
    """Does a text have one of the names, as a word or as the beginning of one (a version follows)?"""
    if not tokens:
        return False
    # A word with one of the names is a part of the text: most texts have none.
    lower = text.lower()
    if any(token in lower for token in tokens):
        words = evidence.once((_words_of, text), lambda: _words_of(text))
        if not words.isdisjoint(tokens):
            return True
    long = [token for token in tokens if len(token) >= 8]
    if not long:
        return False
    plain = evidence.once((_plain, text), lambda: _plain(text))
    return any(token in plain for token in long)


def _words_of(text: str) -> frozenset[str]:
    """Its words, with and without a version at the end."""
    words = {word.strip(".") for word in _WORDS.findall(text.lower())}
    return frozenset(words | {word.rstrip("0123456789.") for word in words})


def _entries(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    return evidence.of("paper.entry", candidates(evidence))


def seeded_papers(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    """Papers that the seed itself names."""
    return evidence.of("paper.entry", views.seeded(evidence, candidates(evidence)))


@kept
def own_papers(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    """Papers on the tuned model: named by the seed, or with its name in the title, or in the
    abstract of a paper that the project's own documents ask to be cited."""
    tokens = views.project_tokens(evidence)
    own = views.same_maker(evidence)
    names = tokens if own else tokens - views.base_tokens(evidence)
    makers = _maker_names(evidence) if own else frozenset()
    found: dict[str, Evidence] = {item.value["id"]: item for item in seeded_papers(evidence)}
    linked, asked = _linked(evidence), _asked_to_cite(evidence)
    for item in _entries(evidence):
        title, summary = item.value["title"], item.value["summary"]
        if _is_on_data(evidence, title):
            continue
        if (
            _names(evidence, title, names)
            or _names(evidence, title.partition(":")[0], makers)
            or (item.ref.id in linked and _names(evidence, summary, names))
            or (item.ref.id in asked and not _names(evidence, title, views.base_tokens(evidence)))
        ):
            found[item.value["id"]] = item
    return tuple(found.values())


def _maker_names(evidence: EvidenceSet) -> frozenset[str]:
    """What tells the makers' names: the organisation and the accounts."""
    accounts = views.tuned_models(evidence) + views.seeded(evidence, views.code_repositories(evidence))
    names = {evidence.project.org, *(views.owner(ref) for ref in accounts)}
    return frozenset(token for name in names for token in views.name_tokens(name) if len(token) > 3)


def _is_on_data(evidence: EvidenceSet, title: str) -> bool:
    """Is a paper on a dataset rather than on a model: does its title call one by name?"""
    sets, sources = _data_tokens(evidence)
    return (bool(DATASET_TITLE.search(title)) and _names(evidence, title, sets)) or _names(
        evidence, title, sources
    )


@kept
def _data_tokens(evidence: EvidenceSet) -> tuple[frozenset[str], frozenset[str]]:
    """What tells the names of the datasets that are linked, and of those that the seed names, from the models'."""
    names = {ref.id for ref in evidence.refs(Role.RL_DATA, Role.LLM_DATA, kind=ArtifactKind.HF_DATASET)}
    tokens = frozenset(token for name in names for token in views.name_tokens(name))
    known = views.project_tokens(evidence) | views.base_tokens(evidence)
    sources = frozenset(token for name in evidence.project.rlbase for token in views.name_tokens(name))
    return tokens - known, sources - known


@kept
def base_papers(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    """Papers with the base's name in the title that are not the tuned model's own."""
    own = {item.value["id"] for item in own_papers(evidence)}
    tokens = views.base_tokens(evidence)
    return tuple(
        item
        for item in _entries(evidence)
        if item.value["id"] not in own and _names(evidence, item.value["title"], tokens)
    )


@kept
def data_papers(evidence: EvidenceSet) -> tuple[Evidence, ...]:
    """Papers with the name of one of the project's datasets in the title."""
    others = {item.value["id"] for item in own_papers(evidence) + base_papers(evidence)}
    names = {ref.id for ref in evidence.refs(Role.RL_DATA, Role.LLM_DATA, kind=ArtifactKind.HF_DATASET)}
    tokens = frozenset(
        token for name in names | set(evidence.project.rlbase) for token in views.name_tokens(name)
    )
    return tuple(
        item
        for item in _entries(evidence)
        if item.value["id"] not in others and _names(evidence, item.value["title"], tokens)
    )


FEW = 4
"""Entries to cite above which a document gives a bibliography rather than its own papers."""


def _linked(evidence: EvidenceSet) -> frozenset[str]:
    """arXiv ids that the seed's documents link to."""
    return frozenset(
        link["id"] for link in evidence.values("link", views.seeded_documents(evidence), kind="arxiv")
    )


def _asked_to_cite(evidence: EvidenceSet) -> frozenset[str]:
    """arXiv ids of the few BibTeX entries that a document on the model asks to be cited with."""
    asked: set[str] = set()
    for ref in views.seeded_documents(evidence):
        entries = {link["id"] for link in evidence.values("link", [ref], kind="arxiv", bibtex=True)}
        if len(entries) <= FEW and views.speaks_of_model(evidence, ref):
            asked |= entries
    return frozenset(asked)


def reviews_of(evidence: EvidenceSet, entries: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Signs of peer review of these papers: at arXiv, or pages of proceedings with their title."""
    refs = {item.ref for item in entries}
    found = evidence.of("paper.review", refs)
    titles = {_plain(item.value["title"]) for item in entries}
    pages = tuple(page for page in evidence.of("paper.title") if _plain(page.value["title"]) in titles)
    return found + pages


def _plain(title: str) -> str:
    return _NO_LETTERS.sub("", title.lower())
