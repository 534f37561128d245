"""What several rules ask of a project: its tuned models, its base, its code, its documents.

Nothing here judges; it only says which artifacts a question is about and which evidence of them
there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pipelines.evidence import EvidenceSet, Reading, kept
from pipelines.extract.parts import LICENCE_PART
from pipelines.known import Having
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Origin, Role
from pipelines.rules.engine import clip

DOCUMENT_PART = re.compile(
    r".*(?:card|page)|file:.*\.(?:md|mdx|rst|txt|markdown)|file:readme[^/]*", re.IGNORECASE
)

# Parts of names that say what kind of model it is, not which one.
GENERIC_NAME_PARTS = frozenset(
    """model models chat instruct instruction instructions tuned base large small mini medium huge xl xxl llm lm gpt ai hf
    open assistant the and research university institute labs lab team inc technology technologies for with of sft rlhf dpo ppo rl v delta diff weights language bot web webui ui server pytorch
    v0 v1 v2 v3 v4 it pt 4k 8k 16k 32k 128k 200k project series family preview beta alpha ultra pro plus version data dataset
    """.split()
)
SIZE = re.compile(r"^\d+(?:[.x]\d+)?[bmk]?$|^v?\d+(?:\.\d+)*$", re.IGNORECASE)


@kept
def tuned_models(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The Hub repositories of the tuned model itself."""
    return evidence.refs(Role.RL_WEIGHTS, kind=ArtifactKind.HF_MODEL)


@kept
def base_models(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The Hub repositories of the base, nearest first: named by the seed, then found through lineage."""
    return evidence.refs(Role.LLM_WEIGHTS, kind=ArtifactKind.HF_MODEL)


@kept
def lineage_entries(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The entries of the lineage file that describe the project's base."""
    return evidence.refs(Role.LLM_WEIGHTS, kind=ArtifactKind.LINEAGE)


@kept
def code_repositories(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The project's own code repositories."""
    return evidence.refs(Role.CODE, kind=ArtifactKind.GITHUB)


@kept
def homepages(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The project's own pages."""
    return evidence.refs(Role.HOMEPAGE, kind=ArtifactKind.WEB)


@kept
def own_documents(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """Where a project tells about itself: its models, repositories and pages."""
    return tuned_models(evidence) + code_repositories(evidence) + homepages(evidence)


@kept
def own_things(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """The tuned models and the project's own repositories."""
    return tuned_models(evidence) + code_repositories(evidence)


@kept
def main_places(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """Where a project would tell about itself: its models and repositories; its pages if it has neither."""
    places = tuned_models(evidence) + code_repositories(evidence)
    if not places:
        places = seeded(evidence, base_models(evidence)) + seeded(
            evidence, evidence.refs(Role.OTHER, kind=ArtifactKind.GITHUB)
        )
    return places or homepages(evidence)


def seeded(evidence: EvidenceSet, refs: Iterable[ArtifactRef]) -> tuple[ArtifactRef, ...]:
    """Those of the artifacts that the seed names."""
    named = _seeds(evidence)
    return tuple([ref for ref in refs if ref in named])


@kept
def _seeds(evidence: EvidenceSet) -> frozenset[ArtifactRef]:
    return frozenset(
        [artifact.ref for artifact in evidence.project.artifacts if artifact.origin is Origin.SEED]
    )


@kept
def seeded_documents(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    """Those of its own documents that the seed names."""
    return seeded(evidence, own_documents(evidence))


def unread_documents(evidence: EvidenceSet, refs: Iterable[ArtifactRef]) -> tuple[Reading, ...]:
    """Attempts at the artifacts' main parts, trees or documents for people that told nothing."""
    unread = evidence.unread(refs)
    if not unread:
        return ()
    return tuple([reading for reading in unread if _is_for_people(reading.part)])


@lru_cache(maxsize=1024)
def _is_for_people(part: str) -> bool:
    """Is it a main part, a tree or a document for people?"""
    if part in ("repository", "info", "metadata", "entry", "page", "card", "tree"):
        return True
    return bool(DOCUMENT_PART.fullmatch(part)) and not LICENCE_PART.fullmatch(part)


def owner(ref: ArtifactRef) -> str:
    """The account that an artifact stands under, in lower case."""
    return ref.id.split("/", 1)[0].lower() if "/" in ref.id else ""


@kept
def is_framework(evidence: EvidenceSet) -> bool:
    """A project that ships code but names no model of its own."""
    models = tuned_models(evidence) + seeded(evidence, base_models(evidence))
    return bool(code_repositories(evidence)) and not models


@lru_cache(maxsize=4096)
def name_tokens(name: str) -> frozenset[str]:
    """The parts of a model's or project's name that tell it from others, in lower case."""
    last = name.rsplit("/", 1)[-1]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", last)
    parts = {
        part for form in (last, spaced) for part in re.split(r"[^0-9A-Za-z\u00c0-\uffff.]+", form.lower())
    }
    parts |= {re.sub(r"[\d.]+[bmk]?$", "", part) for part in parts}
    return frozenset(
        part for part in parts if len(part) > 1 and part not in GENERIC_NAME_PARTS and not SIZE.match(part)
    )


@kept
def project_tokens(evidence: EvidenceSet) -> frozenset[str]:
    """What tells the tuned model's name: from the project's name and its Hub repositories, less the base's."""
    names = {evidence.project.name, *(ref.id for ref in tuned_models(evidence))}
    return frozenset(token for name in names for token in name_tokens(name))


@kept
def base_tokens(evidence: EvidenceSet) -> frozenset[str]:
    """What tells the base's name."""
    names = {
        *evidence.project.llmbase,
        *(ref.id for ref in base_models(evidence)),
        *(ref.id for ref in lineage_entries(evidence)),
    }
    return frozenset(token for name in names for token in name_tokens(name))


@kept
def same_maker(evidence: EvidenceSet) -> bool:
    """Is the base made by the makers of the tuned model? (Its account is one of theirs.)"""
    own = {owner(ref) for ref in tuned_models(evidence)} | {
        owner(ref) for ref in seeded(evidence, code_repositories(evidence))
    }
    bases = {owner(ref) for ref in seeded(evidence, base_models(evidence))}
    if bases:
        return any(_alike(base, mine) for base in bases for mine in own)
    if lineage_entries(evidence):
        return False
    shared = project_tokens(evidence) & base_tokens(evidence)
    return bool(shared) or not evidence.project.llmbase


def speaks_of_model(evidence: EvidenceSet, repository: ArtifactRef) -> bool:
    """Does anything found in a repository name the project's own model?"""
    tokens = project_tokens(evidence)
    if not tokens or any(token in repository.id.lower() for token in tokens):
        return True
    # What there is least of comes first.
    for kind in ("repository.fact", "tree.files", "statement", "section", "link"):
        for item in evidence.of(kind, [repository]):
            words = f"{item.passage} {item.value.get('paths', '')}".lower()
            if any(token in words for token in tokens):
                return True
    return False


def names_base(evidence: EvidenceSet, item: Evidence) -> bool:
    """Does a passage speak of the base by name, rather than of the project itself?"""
    words = item.passage.lower()
    return any(token in words for token in base_tokens(evidence) - project_tokens(evidence))


def _alike(one: str, other: str) -> bool:
    one, other = re.sub(r"[^a-z0-9]", "", one), re.sub(r"[^a-z0-9]", "", other)
    return bool(one and other) and (
        one == other or (min(len(one), len(other)) >= 5 and (one in other or other in one))
    )


def sections(
    evidence: EvidenceSet, refs: Iterable[ArtifactRef], *topics: str, words: int = 0
) -> tuple[Evidence, ...]:
    """Sections on any of the topics with at least so many words of prose (list entries count for four)."""
    return evidence.of("section", refs, having=_filled_in(words), topic=topics)


@lru_cache(maxsize=64)
def _filled_in(words: int) -> Having:
    return lambda value: not value["template"] and value["words"] + 4 * value["items"] >= words


def topics_covered(items: Iterable[Evidence]) -> frozenset[str]:
    """The topics of some sections."""
    return frozenset(item.value["topic"] for item in items)


def statements(
    evidence: EvidenceSet, refs: Iterable[ArtifactRef], *says: str, about: str | None = None
) -> tuple[Evidence, ...]:
    """Sentences that state one of these things (about that, if given)."""
    if about is None:
        return evidence.of("statement", refs, says=says)
    return evidence.of("statement", refs, says=says, about=about)


def told_by(item: Evidence, length: int = 120) -> str:
    """The passage of a statement on one line, cut so that the words by which it says so are among what is left."""
    passage = item.passage
    if item.kind != "statement" or len(passage) <= length:
        return clip(passage, length)
    # Only here and seldom: extractors take long to load.
    from pipelines.extract.statements import STATEMENTS

    telling = STATEMENTS[item.value["says"]].search(passage)
    if telling is None or telling.end() < length:
        return clip(passage, length)
    begin = min(telling.start(), telling.end() - length * 3 // 4)
    word = passage.find(" ", begin, begin + 20) + 1
    return "…" + clip(passage[word if 0 < word <= telling.start() else begin :], length)


def files(
    evidence: EvidenceSet, refs: Iterable[ArtifactRef], *roles: str, count: int = 1
) -> tuple[Evidence, ...]:
    """The trees' files of any of these roles, where there are at least so many of them."""
    return evidence.of("tree.files", refs, having=_at_least(count), role=roles)


@lru_cache(maxsize=64)
def _at_least(count: int) -> Having:
    return lambda value: bool(value["count"] >= count)


def count_files(items: Iterable[Evidence]) -> int:
    """How many files the evidence speaks of."""
    return sum(item.value["count"] for item in items)
