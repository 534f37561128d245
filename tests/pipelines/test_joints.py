"""How a table of outcomes is read where something could not be told."""

from __future__ import annotations

import pytest

from pipelines.evidence import EvidenceSet
from pipelines.model import Finding, Outcome, Project, Rating
from pipelines.rules.engine import Row, Rule, apply, cannot_tell, inapplicable, no, yes

NOTHING = EvidenceSet(project=Project(slug="sorrel", name="Sorrel"), evidence=())
ANSWERS = {
    Outcome.YES: yes(()),
    Outcome.NO: no(()),
    Outcome.CANNOT_TELL: cannot_tell(),
    Outcome.NOT_APPLICABLE: inapplicable(""),
}


def rating(first: Row, answer: Outcome, second: Rating) -> Rating | None:
    """What a table of two rows says whose second row holds in any case."""

    def is_unsure(evidence: EvidenceSet) -> Finding:
        """Is it unsure?"""
        return ANSWERS[answer]

    def is_sure(evidence: EvidenceSet) -> Finding:
        """Is it sure?"""
        return yes(())

    conditions = {
        name: tuple(is_unsure for _ in getattr(first, name)) for name in ("yes", "no", "any_yes", "unless")
    }
    rows = (
        Row(rating=first.rating, because="", confidence=0.5, **conditions),
        Row(rating=second, because="", confidence=0.5, yes=(is_sure,)),
    )
    verdict = apply(Rule(dimension="x", version=1, checks=(is_unsure, is_sure), table=rows), NOTHING)
    return verdict.row.rating if verdict.row else None


def row(condition: str, given: Rating) -> Row:
    return Row(rating=given, because="", confidence=0.5, **{condition: (lambda evidence: no(()),)})


@pytest.mark.parametrize("condition", ["yes", "no", "any_yes", "unless"])
def test_a_row_that_might_hold_keeps_the_rows_below_it_from_giving_another_class(condition: str) -> None:
    unknown = Outcome.CANNOT_TELL
    assert rating(row(condition, Rating.OPEN), unknown, Rating.CLOSED) is None
    assert rating(row(condition, Rating.PARTIAL), unknown, Rating.OPEN) is None
    assert rating(row(condition, Rating.OPEN), unknown, Rating.OPEN) is Rating.OPEN


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("yes", {Outcome.YES}),
        ("any_yes", {Outcome.YES}),
        ("no", {Outcome.NO}),
        ("unless", {Outcome.NO, Outcome.NOT_APPLICABLE}),
    ],
)
def test_what_is_known_decides_as_ever(condition: str, holds: set[Outcome]) -> None:
    for answer in set(Outcome) - {Outcome.CANNOT_TELL}:
        expected = Rating.OPEN if answer in holds else Rating.CLOSED
        assert rating(row(condition, Rating.OPEN), answer, Rating.CLOSED) is expected
