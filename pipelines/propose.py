"""From evidence to proposals: every rule of a rubric applied to one project.

Pure and repeatable: the same evidence, rules and rubric give the same proposals, byte for byte, in
whatever order the evidence comes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from pipelines.calibration import confidence_of
from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, Evidence, Finding, Outcome, Proposal, Rating, Role, digest_of
from pipelines.rubric import Rubric
from pipelines.rules import all_rules
from pipelines.rules.engine import Rule, Ruling, apply, clip, rule_on

STALE_DISCOUNT = 0.9
"""What a class is worth whose evidence could not be read again tonight."""

RATIONALE_LENGTH = 420

# See `pipelines.rules.engine`: named once.
_YES, _CANNOT_TELL, _LINEAGE = Outcome.YES, Outcome.CANNOT_TELL, ArtifactKind.LINEAGE


@cache
def _sources() -> str:
    """A digest over all code and data of this package: what is proposed can only change with it.

    And with Python, by which texts are told apart.
    """
    folder = Path(__file__).parent
    digest = hashlib.sha256(".".join(map(str, sys.version_info[:3])).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = path.relative_to(folder).as_posix()
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def rules_version() -> str:
    """Names the rules with everything that they use: the same version says the same of the same evidence."""
    return _version_of(tuple([(name, rule.version) for name, rule in all_rules().items()]))


@lru_cache(maxsize=4)
def _version_of(versions: tuple[tuple[str, int], ...]) -> str:
    return digest_of([_sources(), dict(versions)])


class Gist(NamedTuple):
    """What tells a proposal from another one on the same cell: all of it but what it shows."""

    slug: str
    dimension: str
    rating: Rating | None
    confidence: float
    rationale: str
    rule: str
    rule_version: int
    rubric_digest: str
    evidence_digest: str
    link: str


def propose(evidence: EvidenceSet, rubric: Rubric) -> list[Proposal]:
    """One proposal for each dimension of the rubric, in its order; rating None where nothing can be told."""
    return [_propose_one(evidence, rule, rubric) for rule in _rules_of(rubric)]


def gists(sets: Iterable[EvidenceSet], rubric: Rubric) -> list[Gist]:
    """What is told of each of the proposals of `propose`, project by project, by a part of the work.

    Checks are left out on which no class turns.
    """
    rules, projects = _rules_of(rubric), list(sets)
    # A tenth less time than project by project: a processor's caches hold one rule, and not all of them.
    for rule in rules:
        for evidence in projects:
            rule_on(rule, evidence)
    return [_gist(evidence, rule, rubric)[0] for evidence in projects for rule in rules]


def _rules_of(rubric: Rubric) -> list[Rule]:
    rules = all_rules()
    return [rules[dimension.id] for dimension in rubric.dimensions]


def _propose_one(evidence: EvidenceSet, rule: Rule, rubric: Rubric) -> Proposal:
    gist, rested_on, searched = _gist(evidence, rule, rubric)
    return Proposal(
        **gist._asdict(),
        findings=apply(rule, evidence).findings,
        evidence=rested_on,
        searched=searched,
    )


def _gist(
    evidence: EvidenceSet, rule: Rule, rubric: Rubric
) -> tuple[Gist, tuple[Evidence, ...], tuple[str, ...]]:
    """What is told of a proposal, with what it shows: the evidence it rests on and the places searched in vain."""
    ruling = rule_on(rule, evidence)
    # By their identities: of two with the same the last one counts, at the place of the first.
    pieces: dict[str, Evidence] = {}
    places: dict[str, None] = {}
    for finding in ruling.relevant:
        if finding.evidence and finding.outcome is not _CANNOT_TELL:
            for item in finding.evidence:
                pieces[item.key] = item
        for place in finding.searched:
            places[place] = None
    rested_on, searched = tuple(pieces.values()), tuple(places)
    if not rested_on and not searched:
        searched = evidence.places([artifact.ref for artifact in evidence.project.artifacts]) or (
            "the seed names no artifact to search",
        )
    gist = Gist(
        slug=evidence.project.slug,
        dimension=rule.dimension,
        rating=ruling.row.rating if ruling.row else None,
        confidence=_confidence(evidence, ruling, rested_on),
        rationale=_rationale(ruling, searched),
        rule=rule.dimension,
        rule_version=rule.version,
        rubric_digest=rubric.digest,
        evidence_digest=_evidence_digest(ruling),
        link=_link(evidence, rule.dimension, _shown(ruling) or rested_on),
    )
    return gist, rested_on, searched


def _shown(ruling: Ruling) -> tuple[Evidence, ...]:
    """The evidence that the row of the table says to link to, where it does."""
    names = ruling.row.shown_names if ruling.row else frozenset()
    if not names:
        return ()
    return tuple(
        item
        for finding in ruling.relevant
        if finding.check in names and finding.outcome is _YES
        for item in finding.evidence
    )


def _confidence(evidence: EvidenceSet, ruling: Ruling, rested_on: tuple[Evidence, ...]) -> float:
    if ruling.row is None:
        return 0.0
    stale = evidence.stale_refs
    factor = STALE_DISCOUNT if stale and any(item.ref in stale for item in rested_on) else 1.0
    return round(confidence_of(ruling.rule, ruling.row) * factor, 4)


def _rationale(ruling: Ruling, searched: tuple[str, ...]) -> str:
    if ruling.row is None:
        unknown = [finding for finding in ruling.relevant if finding.outcome is _CANNOT_TELL]
        reasons = [place for finding in unknown for place in finding.searched] or [
            finding.note for finding in unknown if finding.note
        ]
        told = "; ".join(dict.fromkeys(clip(reason, 140) for reason in reasons[:3]))
        return f"Cannot tell{': ' + told if told else ' from the evidence there is'}."
    notes = [
        finding.note for finding in ruling.relevant if finding.note and finding.outcome is not _CANNOT_TELL
    ]
    sentence = ruling.row.because
    if notes:
        sentence += ": " + "; ".join(dict.fromkeys(notes))
    elif searched:
        sentence += f" (searched: {', '.join(dict.fromkeys(place.split(' ', 1)[0].rstrip(':') for place in searched[:4]))})"
    return clip(sentence, RATIONALE_LENGTH) + ("" if sentence.endswith((".", "…", "”")) else ".")


def _evidence_digest(ruling: Ruling) -> str:
    """What the class rests on: the answers and the evidence, not when or where in the bytes it stood."""
    told = sorted(ruling.relevant, key=_CHECK)
    return hashlib.sha256(f"[{','.join(map(_told, told))}]\n".encode()).hexdigest()


_CHECK = attrgetter("check")


def _told(finding: Finding) -> str:
    """Check, outcome and evidence in canonical JSON: names and digests need no escapes, which saves much time."""
    # An outcome is a text itself, and to be formatted takes it longer than all the rest.
    told = '["' + finding.check + '","' + finding.outcome + '",['
    if not finding.evidence:
        return told + "]]"
    return told + '"' + '","'.join(sorted({item.key for item in finding.evidence})) + '"]]'


_LINK_ROLES: dict[str, tuple[Role, ...]] = {
    "llmdata": (Role.LLM_DATA, Role.LLM_WEIGHTS),
    "llmweights": (Role.LLM_WEIGHTS,),
    "rldata": (Role.RL_DATA, Role.CODE),
    "rlweights": (Role.RL_WEIGHTS,),
    "modelcard": (Role.RL_WEIGHTS,),
    "package": (Role.PACKAGE,),
    "preprint": (Role.PREPRINT,),
    "paper": (Role.PAPER, Role.PREPRINT),
}


def _link(evidence: EvidenceSet, dimension: str, shown: tuple[Evidence, ...]) -> str:
    """The address that a curator would give: that of the decisive evidence, by role if there is a choice."""
    for role in _LINK_ROLES.get(dimension, ()):
        for item in shown:
            if role in evidence.roles.get(item.ref, frozenset()) and item.ref.kind is not _LINEAGE:
                return item.url
    for item in shown:
        source = item.value.get("source")
        return str(source) if item.ref.kind is _LINEAGE and source else item.url
    return ""
