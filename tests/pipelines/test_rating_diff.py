"""What a change of rules is worth against published ratings."""

from __future__ import annotations

import pytest

from pipelines.model import Proposal, Rating
from pipelines.rating_diff import Worth, diff, worth_of

CLOSED, PARTIAL, OPEN, NA = Rating.CLOSED, Rating.PARTIAL, Rating.OPEN, Rating.NOT_APPLICABLE


def proposal(slug, dimension, rating):
    return Proposal(
        slug=slug,
        dimension=dimension,
        rating=rating,
        confidence=0.5,
        rationale="so it is written",
        rule=dimension,
        rule_version=1,
        rubric_digest="r",
        evidence_digest="e",
        findings=(),
        evidence=(),
        searched=("everywhere",),
    )


@pytest.mark.parametrize(
    ("before", "after", "published", "worth"),
    [
        (CLOSED, OPEN, OPEN, Worth.BETTER),
        (None, OPEN, OPEN, Worth.BETTER),
        (OPEN, None, OPEN, Worth.WORSE),
        (OPEN, NA, OPEN, Worth.WORSE),
        (CLOSED, PARTIAL, OPEN, Worth.BETTER),
        (PARTIAL, OPEN, CLOSED, Worth.WORSE),
        (CLOSED, OPEN, PARTIAL, Worth.NEITHER),
        (CLOSED, OPEN, NA, Worth.NEITHER),
        (CLOSED, None, OPEN, Worth.NEITHER),
        (None, CLOSED, OPEN, Worth.NEITHER),
    ],
)
def test_a_change_is_worth_what_it_gains_against_the_published_class(before, after, published, worth):
    assert worth_of(before, after, published) is worth


def test_agreement_is_measured_over_all_published_cells_of_the_projects_that_were_rated():
    stored = {
        ("brindle", "api"): proposal("brindle", "api", CLOSED),
        ("brindle", "paper"): proposal("brindle", "paper", OPEN),
    }
    now = [
        proposal("brindle", "api", OPEN),
        proposal("brindle", "paper", OPEN),
        proposal("brindle", "code", PARTIAL),
    ]
    published = {("brindle", "api"): OPEN, ("brindle", "paper"): OPEN, ("sorrel", "api"): CLOSED}
    found = diff(stored, now, published)
    assert [(c.dimension, c.before, c.after, c.is_new, c.worth) for c in found.changes] == [
        ("api", CLOSED, OPEN, False, Worth.BETTER),
        ("code", None, PARTIAL, True, Worth.NEITHER),
    ]
    assert (found.before.n, found.before.accuracy, found.after.accuracy) == (2, 0.5, 1.0)
    assert found.before.flips == 0.5
    assert [change.as_json()["from"] for change in found.changes] == ["closed", "none"]


def test_nothing_published_is_no_agreement():
    found = diff({}, [proposal("brindle", "api", OPEN)], {})
    assert (found.after.n, found.after.accuracy, found.count(Worth.NEITHER)) == (0, None, 1)
