"""Which further artifacts belong to a project: the links of its documents, and its lineage.

Links are followed one hop from the seed's artifacts and within a budget; what is nearer to the
project goes first. Lineage (`base_model`) is followed until it ends, at most LINEAGE_DEPTH models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.artifact_ids import id_problem, same_thing
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Evidence, Origin, Passage, Project, Role

LINEAGE_DEPTH = 3

FOLLOWED = frozenset({"link", "hub.datasets", "package.link", "install", "hub.base_model"})
"""The kinds of evidence that lead to further artifacts; the functions below look at no others."""

REVIEWED = re.compile(
    r"aclanthology\.org|openreview\.net|proceedings\.|papers\.nips\.cc|neurips\.cc|jmlr\.org|dl\.acm\.org|doi\.org/(?!10\.48550)",
    re.I,
)
API_PAGE = re.compile(r"(?:^|//|\.)(?:api|platform|developers?)\.|/api(?:s|[-_/]|$)|\bapi\b", re.IGNORECASE)
DOCS_PAGE = re.compile(
    r"readthedocs|(?:^|//|\.)docs?\.|/docs?(?:/|$)|documentation|data[-_]?(?:sheet|statement|card)|\bpolicy\b|licen[cs]e",
    re.IGNORECASE,
)
BLOG_PAGE = re.compile(r"blog|/news/|/posts?/|introducing|announc|medium\.com", re.IGNORECASE)
# Places that hold no evidence on a project: chats, videos, social media, badges, shops, app stores.
NO_EVIDENCE = re.compile(
    r"""(?:^|//|\.)(?:discord\.(?:gg|com)|twitter\.com|x\.com|t\.me|facebook\.com|linkedin\.com|youtube\.com|youtu\.be|reddit\.com|weixin|zhihu\.com
        |bilibili\.com|slack\.com|wikipedia\.org|img\.shields\.io|colab\.research\.google\.com|wandb\.(?:ai|me)|patreon\.com|qq\.com|mailto|jq\.qq
        |drive\.google\.com|python\.org|pytorch\.org|nvidia\.com|anaconda\.com|google\.com/search|localhost|127\.0\.0\.1|example\.(?:com|org))""",
    re.VERBOSE | re.IGNORECASE,
)
PRETRAINING_PASSAGE = re.compile(r"pre-?\s?train|预训练", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    artifact: Artifact
    rank: tuple[int, int]


def linked_artifacts(
    project: Project, evidence: Iterable[Evidence], *, links: int, pages: int
) -> tuple[Artifact, ...]:
    """What the documents of the seed's artifacts link to: at most `links` artifacts, `pages` of them web pages.

    Each with its role and the passage that named it. What the project has already is left out.
    """
    roles = {
        artifact.ref: artifact.role for artifact in project.artifacts if artifact.origin is not Origin.LINK
    }
    have = {_key(artifact.ref) for artifact in project.artifacts if artifact.origin is not Origin.LINK}
    owners = _owners(project)
    best: dict[tuple[str, str, str], _Candidate] = {}
    for position, item in enumerate(evidence):
        if item.ref not in roles:
            continue
        for ref in _targets(item):
            key = _key(ref)
            if key in have or not _is_wanted(ref):
                continue
            role = _role(ref, item, roles[item.ref], owners)
            artifact = Artifact(
                ref=ref,
                role=role,
                origin=Origin.LINK,
                named_by=Passage(artifact=item.ref, part=item.part, text=item.passage[:300]),
            )
            candidate = _Candidate(
                artifact=artifact, rank=(_distance(ref, role, item, roles[item.ref], owners), position)
            )
            # A dataset that base and tuned model both name is data of both.
            place = (*key, role.value if ref.kind is ArtifactKind.HF_DATASET else "")
            if place not in best or candidate.rank < best[place].rank:
                best[place] = candidate
    chosen: list[Artifact] = []
    page_count = 0
    for candidate in sorted(best.values(), key=lambda c: c.rank):
        is_page = candidate.artifact.ref.kind is ArtifactKind.WEB
        if len(chosen) >= links:
            break
        if is_page and page_count >= pages:
            continue
        page_count += is_page
        chosen.append(candidate.artifact)
    return tuple(chosen)


DERIVED_FROM = re.compile(
    r"""
    (?:\b(?:(?:instruction[-\s])?fine[-\s]?tun(?:ed|e|ing)|initiali[sz]ed|buil(?:t|ds?|ding)|derived|based|distilled|adapted|aligned|quanti[sz]ed
          |(?:continued?|continual(?:ly)?|further)[-\s](?:pre-?)?train(?:ed|ing))\b
       (?:(?!\bthan\b|\blike\b)[^.;!?\n]){0,50}?\b(?:from|on|upon|of|with)\b
     | \b(?:base\s+model|finetuned\s+from(?:\s+model)?|parent\s+model)\b\W{0,8}
     | \b(?:adapters?\s+(?:for|of)|(?:chat|instruct(?:ion[-\s]tuned)?|merged|quanti[sz]ed)\s+(?:version|variant)\s+of|backbone(?:\s+model)?\s*(?:is|:)|instruction[-\s]tuning)
     | (?:基于|以)
    )
    (?:(?!\b(?:dataset|data|corpus|than|like|library|using)\b)[^.;!?\n]){0,50}$
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What stands before the name of a base: "a fine-tuned version of", "based on", "Finetuned from model:"."""


def base_artifacts(project: Project, evidence: Iterable[Evidence]) -> tuple[Artifact, ...]:
    """The bases that the seed's models name, and theirs, nearest first, each with the words that name it.

    A model names its base in the field `base_model`, or else in a sentence of its card ("fine-tuned from …").
    All of them, whether the project has them already or not; what the seed names itself is left out.
    """
    fields: dict[ArtifactRef, list[tuple[Evidence, str]]] = {}
    sentences: dict[ArtifactRef, list[tuple[Evidence, str]]] = {}
    for item in evidence:
        if item.kind == "hub.base_model":
            fields.setdefault(item.ref, []).extend((item, name) for name in item.value["ids"])
        elif item.kind == "link" and item.part == "card" and _says_derived_from(item):
            sentences.setdefault(item.ref, []).append((item, str(item.value["id"])))
    seeds = [artifact for artifact in project.artifacts if artifact.origin is Origin.SEED]
    known = {_key(artifact.ref) for artifact in seeds}
    models = [
        artifact.ref
        for artifact in seeds
        if artifact.ref.kind is ArtifactKind.HF_MODEL and artifact.role in (Role.RL_WEIGHTS, Role.LLM_WEIGHTS)
    ]
    found: list[Artifact] = []
    # Grows while it is gone through: a base that is found may name its own.
    for model in models:
        for item, name in fields.get(model) or sentences.get(model) or []:
            ref = _valid(ArtifactKind.HF_MODEL, name)
            if ref is None or _key(ref) in known or len(found) >= LINEAGE_DEPTH:
                continue
            known.add(_key(ref))
            models.append(ref)
            passage = Passage(artifact=item.ref, part=item.part, text=item.passage[:300])
            found.append(Artifact(ref=ref, role=Role.LLM_WEIGHTS, origin=Origin.LINEAGE, named_by=passage))
    return tuple(found)


def _says_derived_from(item: Evidence) -> bool:
    """Does the sentence before a link to a model say that this one was made from it?"""
    if item.value["kind"] != ArtifactKind.HF_MODEL.value:
        return False
    before = item.passage.partition(f"{item.value['id']}](http")[0]
    if before == item.passage:
        before = item.passage.partition(f"huggingface.co/{item.value['id']}")[0]
    return before != item.passage and bool(DERIVED_FROM.search(re.sub(r"\[[^\]]*\]?\(?[^\s)]*$", "", before)))


def _targets(item: Evidence) -> Iterator[ArtifactRef]:
    if item.kind == "link":
        ref = _valid(ArtifactKind(item.value["kind"]), item.value["id"])
        if ref:
            yield ref
    elif item.kind == "hub.datasets":
        for name in item.value["ids"]:
            ref = _valid(ArtifactKind.HF_DATASET, name) if "/" in name else None
            if ref:
                yield ref
    elif item.kind == "package.link":
        ref = _valid(ArtifactKind(item.value["kind"]), item.value["id"])
        if ref and ref.kind is ArtifactKind.GITHUB:
            yield ref
    elif item.kind == "install" and item.value.get("own"):
        ref = _valid(ArtifactKind.PYPI, item.value["package"])
        if ref:
            yield ref


def _valid(kind: ArtifactKind, identifier: str) -> ArtifactRef | None:
    return ArtifactRef(kind=kind, id=identifier) if not id_problem(kind, identifier) else None


def _key(ref: ArtifactRef) -> tuple[str, str]:
    kind, identifier = same_thing(ref)
    return (kind.value, identifier.lower().rstrip("/"))


def _is_wanted(ref: ArtifactRef) -> bool:
    return ref.kind is not ArtifactKind.WEB or not NO_EVIDENCE.search(ref.id)


def _owners(project: Project) -> frozenset[str]:
    seeds = [
        a
        for a in project.artifacts
        if a.origin is Origin.SEED and "/" in a.ref.id and a.ref.kind is not ArtifactKind.WEB
    ]
    own = [a for a in seeds if a.role in (Role.CODE, Role.RL_WEIGHTS, Role.RL_DATA)] or seeds
    return frozenset(a.ref.id.split("/", 1)[0].lower() for a in own)


def _is_own(ref: ArtifactRef, owners: frozenset[str]) -> bool:
    """Is it under one of the makers' accounts? They are not always spelt alike on both hosts."""
    owner, _, name = ref.id.lower().partition("/")
    if not name:
        return False
    if owner in owners:
        return True
    if ref.kind is not ArtifactKind.GITHUB:
        return False
    mine = {_plain(one) for one in owners}
    # A repository that is called as the account on the other host: "somebody/model" and "model/model-7b".
    return _plain(name) in mine or any(_alike(_plain(owner), one) for one in mine)


def _plain(account: str) -> str:
    return re.sub(r"[^a-z0-9]", "", account)


def _alike(one: str, other: str) -> bool:
    """The same but for what stands before or behind: "quillwort" and "quillwortai"."""
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= 5 and (longer.startswith(shorter) or longer.endswith(shorter))


def _role(ref: ArtifactRef, item: Evidence, source_role: Role, owners: frozenset[str]) -> Role:
    """What a linked artifact is to the project, from its kind, the passage and the document that named it."""
    if ref.kind is ArtifactKind.ARXIV:
        return Role.PREPRINT
    if ref.kind is ArtifactKind.PYPI:
        return Role.PACKAGE
    if ref.kind is ArtifactKind.HF_DATASET:
        # A night follows its first link long after its first request, and importing the extractors takes a while.
        from pipelines.extract.corpora import is_pretraining_corpus

        from_base = source_role in (Role.LLM_WEIGHTS, Role.LLM_DATA)
        if from_base or PRETRAINING_PASSAGE.search(item.passage) or is_pretraining_corpus(ref.id):
            return Role.LLM_DATA
        return Role.RL_DATA
    if ref.kind is ArtifactKind.WEB:
        if REVIEWED.search(ref.id):
            return Role.PAPER
        text = f"{ref.id} {item.value.get('text', '')}"
        return Role.API if API_PAGE.search(text) else Role.OTHER
    if (
        ref.kind is ArtifactKind.GITHUB
        and _is_own(ref, owners)
        and source_role in (Role.RL_WEIGHTS, Role.HOMEPAGE, Role.PACKAGE)
    ):
        return Role.CODE
    return Role.OTHER


def _distance(ref: ArtifactRef, role: Role, item: Evidence, source_role: Role, owners: frozenset[str]) -> int:
    """How near to the project: the smaller, the sooner it is visited."""
    main_document = item.part in ("card", "info", "metadata", "page") or item.part.lower().startswith(
        "file:readme"
    )
    distance = 0 if main_document else 4
    distance += {Role.RL_WEIGHTS: 0, Role.CODE: 1, Role.HOMEPAGE: 1, Role.LLM_WEIGHTS: 2}.get(source_role, 3)
    if role is Role.CODE or (_is_own(ref, owners) and ref.kind is not ArtifactKind.HF_MODEL):
        return distance
    if ref.kind in (ArtifactKind.ARXIV, ArtifactKind.PYPI) or role is Role.PAPER:
        # What is to be cited comes before what a list of publications holds.
        if item.value.get("bibtex") or item.value.get("own"):
            return distance
        return distance + (1 if item.value.get("topic") == "citation" else 2)
    if ref.kind is ArtifactKind.HF_DATASET:
        return distance + 1
    if ref.kind is ArtifactKind.WEB:
        text = f"{ref.id} {item.value.get('text', '')}"
        return distance + (3 if DOCS_PAGE.search(text) or BLOG_PAGE.search(text) or role is Role.API else 9)
    return distance + 8
