"""Claims against facts: what a project says of its openness beside what the evidence shows.

Claims decide nothing: no rule reads them as openness. But a project that calls itself open while its
own licence or card says otherwise is worth a curator's look, with both quotes side by side
(Liesenfeld & Dingemanse 2024, doi:10.1145/3630106.3659005, call it open-washing).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.evidence import EvidenceSet
from pipelines.model import Evidence, JsonValue, Outcome, Rating
from pipelines.rules import all_rules, views
from pipelines.rules.engine import apply, rule_on


def _found_in_any_case(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str], bool]:
    """What finds a pattern, written in lower case, in a text in whatever case that is."""
    of_lower, of_any = re.compile(pattern, flags), re.compile(pattern, flags | re.IGNORECASE)

    def is_found(text: str) -> bool:
        # Nothing but ASCII has one lower case only, in which a pattern is found in a fraction of the time.
        found = of_lower.search(text.lower()) if text.isascii() else of_any.search(text)
        return found is not None

    return is_found


_is_denied = _found_in_any_case(
    r"\b(?:not|isn't|aren't|never|no\s+longer|cannot|alternatives?\s+to|unlike|than|other|existing|many|various|tools?)\b|不|非",
)
"""Words that turn a claim round, or make it one about others or about tools."""

_is_of_itself = _found_in_any_case(
    r"""
    \b(?:is|are|was|were|been|as|an?|our|this|fully|truly|completely|entirely)\s+(?:[\w-]+\s+){0,2}?open[-\s]?sourced?\b
      (?![-\s]+(?:communit|ecosystem|research|project|data|framework|librar|tool|software|movement|world|contribut|initiative|approach|code\b))
    | :\s+an?\s+open[-\s]?source\b
    | \bwe\s+(?:\w+\s+){0,3}?open[-\s]?sourc(?:e|ed|ing)\b(?![-\s]+(?:communit|ecosystem|research|data|librar|tool|software))
    | \b(?:fully|truly|completely|100\s?%)\s+open\b
    | 完全开源 | 我们开源 | 开源了
    """,
    re.VERBOSE,
)
"""Open source said of a thing, not of a community around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A claim, what speaks against it, and the dimension in which a curator weighs the two.

    `note` is what the check that found the facts says of them.
    """

    dimension: str
    claim: Evidence
    facts: tuple[Evidence, ...]
    note: str

    def as_json(self) -> dict[str, JsonValue]:
        """Both sides with artifact, address and quote."""
        return {
            "dimension": self.dimension,
            "claim": _side(self.claim),
            "facts": [_side(fact) for fact in self.facts],
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Which kind of claim (about what) is contradicted by which checks of which dimension answering yes."""

    says: str
    about: tuple[str | None, ...]
    dimension: str
    checks: tuple[str, ...]
    below: Rating
    """Only where the class proposed is worse than this."""


_ORDER = {Rating.CLOSED: 0, Rating.PARTIAL: 1, Rating.OPEN: 2}
_RESTRICTIONS = (
    "weights_are_use_restricted",
    "weights_are_bespoke",
    "base_is_known_restricted",
    "data_is_restricted",
    "code_is_bespoke",
)
_PAIRS = (
    _Pair(
        says="open_claim",
        about=("weights", None),
        dimension="license",
        checks=_RESTRICTIONS,
        below=Rating.OPEN,
    ),
    _Pair(
        says="commercial_claim",
        about=("weights", "data", "code", None),
        dimension="license",
        checks=_RESTRICTIONS,
        below=Rating.OPEN,
    ),
    _Pair(
        says="open_claim",
        about=("data",),
        dimension="rldata",
        checks=("withholds_data", "names_restricted_data", "names_vanished_data"),
        below=Rating.OPEN,
    ),
    _Pair(
        says="open_claim",
        about=("weights", None),
        dimension="rlweights",
        checks=("is_gated", "is_incomplete"),
        below=Rating.OPEN,
    ),
)


def contradictions(evidence: EvidenceSet) -> tuple[Contradiction, ...]:
    """Every claim of the project's own documents that its evidence speaks against, the first claim of a kind each."""
    return tuple(_contradictions(evidence))


def _contradictions(evidence: EvidenceSet) -> Iterator[Contradiction]:
    rules = all_rules()
    documents = views.own_documents(evidence)
    for pair in _PAIRS:
        # Of the questions the cheapest first: most projects claim nothing.
        said = [
            item
            for item in views.statements(evidence, documents, pair.says)
            if item.value.get("about") in pair.about
        ]
        if not said:
            continue
        row = rule_on(rules[pair.dimension], evidence).row
        if row is None or _ORDER.get(row.rating, 2) >= _ORDER[pair.below]:
            continue
        claim = next((item for item in said if _is_own(evidence, item)), None)
        if claim is None:
            continue
        verdict = apply(rules[pair.dimension], evidence)
        against = [
            finding
            for finding in verdict.findings
            if finding.check in pair.checks and finding.outcome is Outcome.YES and finding.evidence
        ]
        if against:
            yield Contradiction(
                dimension=pair.dimension,
                claim=claim,
                facts=tuple(
                    {item.key: item for item in (finding.evidence[0] for finding in against)}.values()
                ),
                note="; ".join(finding.note for finding in against if finding.note),
            )


def _is_own(evidence: EvidenceSet, item: Evidence) -> bool:
    """Does a sentence claim something of the project itself?"""
    # Nights in which nothing is rated need none of the patterns that stand beside it.
    from pipelines.extract.statements import FIRST_PERSON

    words = item.passage
    lower = words.lower()
    return (
        (any(token in lower for token in views.project_tokens(evidence)) or bool(FIRST_PERSON.search(words)))
        and not _is_denied(words)
        and (item.value["says"] != "open_claim" or _is_of_itself(words))
    )


def _side(item: Evidence) -> dict[str, JsonValue]:
    return {
        "artifact": str(item.ref),
        "part": item.part,
        "url": item.url,
        "fetched_at": item.fetched_at.isoformat(),
        "sha256": item.sha256,
        "quote": item.passage,
    }
