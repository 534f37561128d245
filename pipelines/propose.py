"""From evidence to proposals: every rule of a rubric applied to one project.

Pure and repeatable: the same evidence, rules and rubric give the same proposals, byte for byte, in
whatever order the evidence comes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from pipelines.calibration import confidence_of
from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, Evidence, Finding, Outcome, Proposal, Role, digest_of
from pipelines.rubric import Rubric
from pipelines.rules import all_rules
from pipelines.rules.engine import Rule, Verdict, apply, clip

STALE_DISCOUNT = 0.9
"""What a class is worth whose evidence could not be read again tonight."""

RATIONALE_LENGTH = 420


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


def propose(evidence: EvidenceSet, rubric: Rubric) -> list[Proposal]:
    """One proposal for each dimension of the rubric, in its order; rating None where nothing can be told."""
    rules = all_rules()
    return [_propose_one(evidence, rules[dimension], rubric) for dimension in rubric.dimension_ids]


def _propose_one(evidence: EvidenceSet, rule: Rule, rubric: Rubric) -> Proposal:
    verdict = apply(rule, evidence)
    relevant = verdict.relevant
    rested_on = _unique(
        item
        for finding in relevant
        if finding.outcome is not Outcome.CANNOT_TELL
        for item in finding.evidence
    )
    searched = tuple(dict.fromkeys(place for finding in relevant for place in finding.searched))
    if not rested_on and not searched:
        searched = evidence.places([artifact.ref for artifact in evidence.project.artifacts]) or (
            "the seed names no artifact to search",
        )
    return Proposal(
        slug=evidence.project.slug,
        dimension=rule.dimension,
        rating=verdict.row.rating if verdict.row else None,
        confidence=_confidence(evidence, verdict, rested_on),
        rationale=_rationale(verdict, searched),
        rule=rule.dimension,
        rule_version=rule.version,
        rubric_digest=rubric.digest,
        evidence_digest=_evidence_digest(verdict),
        findings=verdict.findings,
        evidence=rested_on,
        searched=searched,
        link=_link(evidence, rule.dimension, _shown(verdict) or rested_on),
    )


def _shown(verdict: Verdict) -> tuple[Evidence, ...]:
    """The evidence that the row of the table says to link to, where it does."""
    names = verdict.row.shown_names if verdict.row else frozenset()
    if not names:
        return ()
    return tuple(
        item
        for finding in verdict.relevant
        if finding.check in names and finding.outcome is Outcome.YES
        for item in finding.evidence
    )


def _unique(items: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple({item.key: item for item in items}.values())


def _confidence(evidence: EvidenceSet, verdict: Verdict, rested_on: tuple[Evidence, ...]) -> float:
    if verdict.row is None:
        return 0.0
    stale = evidence.stale_refs
    factor = STALE_DISCOUNT if stale and any(item.ref in stale for item in rested_on) else 1.0
    return round(confidence_of(verdict.rule, verdict.row) * factor, 4)


def _rationale(verdict: Verdict, searched: tuple[str, ...]) -> str:
    if verdict.row is None:
        unknown = [finding for finding in verdict.findings if finding.outcome is Outcome.CANNOT_TELL]
        reasons = [place for finding in unknown for place in finding.searched] or [
            finding.note for finding in unknown if finding.note
        ]
        told = "; ".join(dict.fromkeys(clip(reason, 140) for reason in reasons[:3]))
        return f"Cannot tell{': ' + told if told else ' from the evidence there is'}."
    notes = [
        finding.note
        for finding in verdict.relevant
        if finding.note and finding.outcome is not Outcome.CANNOT_TELL
    ]
    sentence = verdict.row.because
    if notes:
        sentence += ": " + "; ".join(dict.fromkeys(notes))
    elif searched:
        sentence += f" (searched: {', '.join(dict.fromkeys(place.split(' ', 1)[0].rstrip(':') for place in searched[:4]))})"
    return clip(sentence, RATIONALE_LENGTH) + ("" if sentence.endswith((".", "…", "”")) else ".")


def _evidence_digest(verdict: Verdict) -> str:
    """What the class rests on: the answers and the evidence, not when or where in the bytes it stood."""
    return digest_of(
        [[f.check, f.outcome.value, sorted({item.key for item in f.evidence})] for f in _told(verdict)]
    )


def _told(verdict: Verdict) -> list[Finding]:
    return sorted(verdict.relevant, key=lambda finding: finding.check)


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
            if (
                role in evidence.roles.get(item.ref, frozenset())
                and item.ref.kind is not ArtifactKind.LINEAGE
            ):
                return item.url
    for item in shown:
        source = item.value.get("source")
        return str(source) if item.ref.kind is ArtifactKind.LINEAGE and source else item.url
    return ""
