"""The cases notice when a rule's table says something else.

Every row is taken out, given another class, and robbed of each of its conditions; every two rows that
follow one another change places. A mutant that all cases of its dimension survive is one that
nobody would notice.

Some changes change nothing: two rows that exclude one another may change places. These are not
named one by one but found, by trying the table and its mutant on every combination of answers that the
checks can give (`Answers`); where the answers of two checks are tied, FACTS says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import and_, or_

import pytest

from pipelines.artifacts import linked_artifacts
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Outcome, Project, Rating, Role
from pipelines.rules import all_rules
from pipelines.rules.engine import Row, Rule, _decisive_row, apply, name_of

RULES = all_rules()
OTHER = {Rating.OPEN: Rating.CLOSED, Rating.CLOSED: Rating.OPEN, Rating.PARTIAL: Rating.OPEN}
CONDITIONS = ("yes", "no", "any_yes", "unless")
YES, NO, UNTOLD, OUTSIDE = Outcome.YES, Outcome.NO, Outcome.CANNOT_TELL, Outcome.NOT_APPLICABLE

Fact = tuple[str, tuple[Outcome, ...], str, tuple[Outcome, ...]]

# A hosted product has no things in its seed, so its base is not the makers' own, and no link makes a repository
# or model its own.
_PRODUCT = ("is_hosted_product", (YES, UNTOLD))
FACTS: dict[str, tuple[Fact, ...]] = {
    "api": ((*_PRODUCT, "has_api_server", (NO,)),),
    "license": (
        # What is openly licensed carries a licence, and both are looked for in the same places.
        ("has_any_licence", (NO,), "code_is_openly_licensed", (NO,)),
        ("tag_is_missing", (YES,), "weights_are_openly_licensed", (NO,)),
        ("weights_are_openly_licensed", (YES,), "tag_is_missing", (NO,)),
    ),
    "llmweights": (
        ("is_a_framework", (YES, UNTOLD), "has_no_base_at_all", (OUTSIDE,)),
        ("works_with_public_bases", (YES, NO, UNTOLD), "has_no_base_at_all", (OUTSIDE,)),
    ),
    "opencode": (
        (*_PRODUCT, "only_tunes", (NO,)),
        # Both are looked for in the same trees.
        ("has_training_code", (UNTOLD,), "has_data_preparation", (YES, UNTOLD)),
    ),
    "paper": ((*_PRODUCT, "has_reviewed_base_paper_of_the_makers", (NO,)),),
    "rldata": ((*_PRODUCT, "stated_sets_are_public", (NO,)),),
    "rlweights": ((*_PRODUCT, "is_gated", (NO,)),),
}
"""What ties the answers of two checks of a rule: where the first gives one of these, the second gives one of those."""

Table = tuple[Row, ...]
Answered = tuple[dict[str, Outcome], Rating | None, str | None]
"""What the checks say of a case, the class it has to get, and the reason."""


def without_a_condition(row: Row) -> Iterator[tuple[str, Row]]:
    for field in CONDITIONS:
        checks = getattr(row, field)
        for check in checks:
            rest = tuple(other for other in checks if other is not check)
            if field == "any_yes" and not rest:
                continue  # Without any, the condition would be gone, as with `yes` taken away.
            changed = replace(row, **{field: rest})
            if any(getattr(changed, name) for name in CONDITIONS):
                yield f"without {field} {name_of(check)}", changed


def mutants(rule: Rule) -> Iterator[tuple[str, Table]]:
    table = rule.table
    for at, row in enumerate(table):
        before, after = table[:at], table[at + 1 :]
        yield f"row {at + 1} taken out", before + after
        yield (
            f"row {at + 1} says {OTHER[row.rating].value}",
            (*before, replace(row, rating=OTHER[row.rating]), *after),
        )
        for what, changed in without_a_condition(row):
            yield f"row {at + 1} {what}", (*before, changed, *after)
        if after and after[0].rating is not row.rating:
            yield f"rows {at + 1} and {at + 2} change places", (*before, after[0], row, *after[1:])


def outcomes_of(rule: Rule, cases) -> list[Answered]:
    found = []
    for case in cases:
        if case.dimension == rule.dimension:
            verdict = apply(rule, case.evidence)
            found.append(
                ({finding.check: finding.outcome for finding in verdict.findings}, case.rating, case.because)
            )
    return found


def survives(table: Table, answers: list[Answered]) -> bool:
    for outcomes, rating, because in answers:
        row = _decisive_row(table, lambda check: outcomes[name_of(check)])  # noqa: B023
        if (row.rating if row else None, row.because if row else None) != (rating, because):
            return False
    return True


class Answers:
    """Every combination of answers that the checks of a rule can give, one bit each in an integer.

    What a row says is then an integer too: the combinations in which it holds. Two tables that decide
    by the same row in the same combinations are the same table.
    """

    def __init__(self, rule: Rule, outside: frozenset[str]) -> None:
        self.told: dict[str, dict[Outcome, int]] = {}
        size = 1
        names = sorted({name_of(check) for row in rule.table for check in row.checks})
        given = {name: (YES, NO, UNTOLD, *((OUTSIDE,) if name in outside else ())) for name in names}
        for answers in given.values():
            size *= len(answers)
        self.all = (1 << size) - 1
        run = 1
        for name, answers in given.items():
            # The answers take turns in runs of `run` combinations.
            turn = run * len(answers)
            once = ((1 << run) - 1) * (self.all // ((1 << turn) - 1))
            self.told[name] = {answer: once << (at * run) for at, answer in enumerate(answers)}
            run = turn
        for one, answers, other, then in FACTS.get(rule.dimension, ()):
            self.all &= ~(self._of(one, *answers) & ~self._of(other, *then))

    def _of(self, check: str, *answers: Outcome) -> int:
        return reduce(or_, (self.told[check].get(answer, 0) for answer in answers), 0)

    def where(self, row: Row, *unknown: Outcome) -> int:
        """The combinations in which a row holds; with UNTOLD, those in which it may."""
        conditions = [
            *(self._of(name_of(check), YES, *unknown) for check in row.yes),
            *(self._of(name_of(check), NO, *unknown) for check in row.no),
            *(self._of(name_of(check), NO, OUTSIDE, *unknown) for check in row.unless),
        ]
        if row.any_yes:
            conditions.append(reduce(or_, (self._of(name_of(check), YES, *unknown) for check in row.any_yes)))
        return reduce(and_, conditions, self.all)

    def decided(self, table: Table) -> Mapping[tuple[Rating, str], int]:
        """The combinations in which each class is given for each reason."""
        found: dict[tuple[Rating, str], int] = {}
        left, possible = self.all, dict.fromkeys(Rating, 0)
        for row in table:
            holds = self.where(row) & left
            others = reduce(or_, (where for rating, where in possible.items() if rating is not row.rating), 0)
            key = (row.rating, row.because)
            if holds & ~others:
                found[key] = found.get(key, 0) | holds & ~others
            left &= ~holds
            possible[row.rating] |= self.where(row, UNTOLD)
        return found


def unnoticed(rule: Rule, cases) -> list[str]:
    """The mutants of a rule that all cases survive, less those that are the same table in other words."""
    answers = outcomes_of(rule, cases)
    assert survives(rule.table, answers), "the table as it is"
    outside = {name for told, _, _ in answers for name, outcome in told.items() if outcome is OUTSIDE}
    everything = Answers(rule, frozenset(outside))
    as_it_is = everything.decided(rule.table)
    return [
        what
        for what, table in mutants(rule)
        if survives(table, answers) and everything.decided(table) != as_it_is
    ]


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_change_of_the_table_is_noticed_by_a_case(dimension: str, cases) -> None:
    assert unnoticed(RULES[dimension], cases) == []


@pytest.mark.parametrize("dimension", sorted(FACTS))
def test_what_ties_the_answers_holds_in_all_cases(dimension: str, cases) -> None:
    for case in cases:
        told = {finding.check: finding.outcome for finding in apply(RULES[dimension], case.evidence).findings}
        for one, answers, other, then in FACTS[dimension]:
            assert told[one] not in answers or told[other] in then, f"{case}: {one}, {other}"


def test_a_link_makes_no_repository_or_model_a_hosted_products_own(extracted) -> None:
    page = "https://chat.meadowlab.example/"
    product = Project(
        slug="sorrel",
        name="Sorrel",
        org="Meadow Lab",
        artifacts=(
            Artifact(ref=ArtifactRef(kind=ArtifactKind.WEB, id=page), role=Role.HOMEPAGE, origin=Origin.SEED),
        ),
    )
    names = (
        "github.com/meadowlab/sorrel",
        "huggingface.co/meadowlab/sorrel-7b-chat",
        "pypi.org/project/sorrel",
    )
    links = " ".join(f"<a href='https://{name}'>Sorrel</a>" for name in names)
    found = extracted("web", "page", f"<html><body><p>Our model: {links}</p></body></html>", identifier=page)
    linked = {
        artifact.ref.kind: artifact.role for artifact in linked_artifacts(product, found, links=9, pages=9)
    }
    assert linked == {
        ArtifactKind.GITHUB: Role.OTHER,
        ArtifactKind.HF_MODEL: Role.OTHER,
        ArtifactKind.PYPI: Role.PACKAGE,
    }
