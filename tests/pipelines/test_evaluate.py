from __future__ import annotations

import json
import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.agreement import agreement_of, distance, kappa_of, no_counts, position
from pipelines.evaluate import Proposed, evaluate, proposed_of
from pipelines.evaluation_table import format_table
from pipelines.exports.rows import RatingRow
from pipelines.model import Proposal, Rating

OPEN, PARTIAL, CLOSED, NA = Rating.OPEN, Rating.PARTIAL, Rating.CLOSED, Rating.NOT_APPLICABLE
Cells = dict[tuple[str, str], Proposed]


def published_of(cells: Iterable[tuple[str, str, Rating]]) -> list[RatingRow]:
    return [RatingRow(slug=slug, dimension=dimension, rating=rating) for slug, dimension, rating in cells]


# Ten cells, worked out by hand below.
PUBLISHED = published_of(
    [
        ("a", "license", OPEN),
        ("a", "api", CLOSED),
        ("a", "paper", PARTIAL),
        ("b", "license", PARTIAL),
        ("b", "api", OPEN),
        ("b", "paper", CLOSED),
        ("c", "license", CLOSED),
        ("c", "api", NA),
        ("c", "paper", CLOSED),
        ("d", "license", OPEN),
    ]
)
PROPOSED: Cells = {
    ("a", "license"): Proposed(rating=OPEN, confidence=0.95),
    ("a", "api"): Proposed(rating=OPEN, confidence=0.9),
    ("a", "paper"): Proposed(rating=CLOSED, confidence=0.6),
    ("b", "license"): Proposed(rating=PARTIAL, confidence=0.7),
    ("b", "api"): Proposed(rating=PARTIAL, confidence=0.85),
    ("b", "paper"): Proposed(rating=CLOSED, confidence=1.0),
    ("c", "license"): Proposed(rating=None, confidence=0.0),
    ("c", "api"): Proposed(rating=NA, confidence=0.9),
    ("c", "paper"): Proposed(rating=NA, confidence=0.3),
    ("x", "license"): Proposed(rating=OPEN, confidence=0.9),
}


def test_shares_are_of_all_published_cells() -> None:
    found = evaluate(PROPOSED, PUBLISHED).overall
    assert found.n == 10
    assert found.coverage == 0.8  # c license and d license are unrated
    assert found.accuracy == 0.4  # a license, b license, b paper, c api
    assert found.within_one == 0.6  # and a paper, b api; c paper is no class
    assert found.flips == 0.1  # a api


def test_kappa_is_over_the_pairs_of_classes() -> None:
    # Published → proposed: open→open, closed→open, partial→closed, partial→partial, open→partial and
    # closed→closed. Each class is published twice and proposed twice.
    # Unweighted: 3 of 6 agree, 2 by chance.
    found = evaluate(PROPOSED, PUBLISHED).overall
    assert found.kappa == pytest.approx((3 / 6 - 1 / 3) / (1 - 1 / 3))
    # Quadratic: observed (4 + 1 + 1)/6; by chance (4 near cells · 1 · 4 + 2 far ones · 4 · 4)/36 = 48/36.
    assert found.kappa_weighted == pytest.approx(1 - (6 / 6) / (48 / 36))


def test_a_known_example_of_kappa() -> None:
    # Cohen's 2×2 example: 20 and 15 agree, 5 and 10 do not; kappa 0.4.
    counts = no_counts()
    for published, proposed, count in (
        (OPEN, OPEN, 20),
        (OPEN, CLOSED, 5),
        (CLOSED, OPEN, 10),
        (CLOSED, CLOSED, 15),
    ):
        counts[position(published, proposed)] = count
    assert kappa_of(counts, weighted=False) == pytest.approx(0.4)
    assert kappa_of(counts, weighted=True) == pytest.approx(0.4)


def test_agreement_by_dimension() -> None:
    document = evaluate(PROPOSED, PUBLISHED).as_json()["per_dimension"]
    assert list(document) == ["license", "api", "paper"]
    assert document["license"]["n"] == 4
    assert document["license"]["accuracy"] == 0.5
    assert document["license"]["kappa_weighted"] == 1.0
    assert document["api"]["accuracy"] == round(1 / 3, 6)
    assert document["license"]["confusion"]["closed"] == {
        "closed": 0,
        "partial": 0,
        "open": 0,
        "not_applicable": 0,
        "cannot_tell": 1,
    }
    assert document["api"]["confusion"]["not_applicable"]["not_applicable"] == 1
    assert document["api"]["confusion"]["closed"]["open"] == 1


def test_calibration_counts_the_rated_cells_by_confidence() -> None:
    bins = {
        tuple(entry["confidence"]): entry for entry in evaluate(PROPOSED, PUBLISHED).as_json()["calibration"]
    }
    assert list(bins) == [(0.3, 0.4), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)]
    assert bins[(0.9, 1.0)]["n"] == 4
    assert bins[(0.9, 1.0)]["accuracy"] == 0.75
    assert bins[(0.9, 1.0)]["mean_confidence"] == 0.9375
    assert bins[(0.3, 0.4)] == {
        "confidence": [0.3, 0.4], "n": 1, "accuracy": 0.0, "mean_confidence": 0.3, "interval": [0.0, 0.0],
    }  # fmt: skip


def test_calibration_error_is_the_mean_gap() -> None:
    # 0.3 wrong, 0.6 wrong, 0.7 right, 0.85 wrong, four with a mean of 0.9375 of which three are right.
    expected = (0.3 + 0.6 + 0.3 + 0.85 + 4 * 0.1875) / 8
    assert evaluate(PROPOSED, PUBLISHED).calibration_error == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.1 + 0.2, 0.7, 0.1 * 3, 0.9, 1.0, 0.0])
def test_a_confidence_falls_in_the_bin_that_it_names(confidence: float) -> None:
    cells = published_of([("a", "api", OPEN)])
    (entry,) = evaluate({("a", "api"): Proposed(rating=OPEN, confidence=confidence)}, cells).calibration
    assert entry.low - 1e-9 <= confidence <= entry.high
    assert entry.low == min(0.9, math.floor(round(confidence * 10, 6)) / 10)


def test_high_confidence_is_a_share_of_all_cells() -> None:
    high = evaluate(PROPOSED, PUBLISHED, threshold=0.9).as_json()["high_confidence"]
    assert high == {"threshold": 0.9, "coverage": 0.4, "accuracy": 0.75, "interval": [0.5, 1.0]}


def test_the_baseline_names_the_most_frequent_class() -> None:
    # license: open 2 of 4; api: 1 of 3; paper: closed 2 of 3.
    assert evaluate({}, PUBLISHED).baseline == 0.5


def test_the_worst_cells_come_first() -> None:
    worst = evaluate(PROPOSED, PUBLISHED).as_json()["worst"]
    assert [(miss["slug"], miss["dimension"]) for miss in worst] == [
        ("a", "api"),
        ("b", "api"),
        ("a", "paper"),
        ("c", "paper"),
    ]


def test_projects_of_which_nothing_was_proposed_are_named() -> None:
    found = evaluate(PROPOSED, PUBLISHED)
    assert found.missing == ("d",)
    assert found.projects == 4


def test_not_applicable_agrees_with_itself_only() -> None:
    cells = published_of([("a", "api", NA), ("b", "api", NA), ("c", "api", NA), ("d", "api", OPEN)])
    said = {
        ("a", "api"): Proposed(rating=NA, confidence=0.5),
        ("b", "api"): Proposed(rating=CLOSED, confidence=0.5),
        ("d", "api"): Proposed(rating=NA, confidence=0.5),
    }
    found = evaluate(said, cells).overall
    assert (found.accuracy, found.within_one, found.flips) == (0.25, 0.25, 0.0)
    assert found.kappa is None


def test_nothing_proposed_is_all_missed() -> None:
    found = evaluate({}, PUBLISHED)
    assert (found.overall.coverage, found.overall.accuracy, found.overall.within_one) == (0.0, 0.0, 0.0)
    assert found.overall.kappa_weighted is None
    assert found.as_json()["calibration"] == []
    assert found.as_json()["high_confidence"] == {
        "threshold": 0.8, "coverage": 0.0, "accuracy": None, "interval": None,
    }  # fmt: skip
    assert "kappa, weighted   -" in format_table(found)


def test_nothing_published_has_no_shares() -> None:
    document = evaluate(PROPOSED, []).as_json()
    assert document["n"] == 0
    assert document["accuracy"] is None
    assert document["baseline"] is None
    assert document["per_dimension"] == {}
    assert set(document["bootstrap"]["intervals"].values()) == {None}
    assert format_table(evaluate(PROPOSED, [])).startswith("0 published ratings of 0 projects\n")


def test_kappa_without_variation_is_null() -> None:
    cells = published_of([("a", "api", OPEN), ("b", "api", OPEN)])
    said = {(row.slug, row.dimension): Proposed(rating=OPEN, confidence=0.9) for row in cells}
    document = evaluate(said, cells).as_json()
    assert document["accuracy"] == 1.0
    assert document["kappa"] is None
    assert document["per_dimension"]["api"]["kappa_weighted"] is None


def test_a_cell_published_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="published twice"):
        evaluate({}, [*PUBLISHED, PUBLISHED[0]])


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_a_confidence_outside_its_range_is_an_error(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        Proposed(rating=OPEN, confidence=confidence)


def test_the_promised_keys_are_there() -> None:
    document = json.loads(json.dumps(evaluate(PROPOSED, PUBLISHED).as_json(), allow_nan=False))
    promised = {"n", "coverage", "accuracy", "within_one", "kappa_weighted", "kappa"}
    promised |= {"per_dimension", "calibration", "high_confidence"}
    assert promised <= set(document)
    for entry in document["per_dimension"].values():
        assert {"n", "accuracy", "kappa_weighted", "confusion"} <= set(entry)
    for entry in document["calibration"]:
        assert {"confidence", "n", "accuracy"} <= set(entry)
    assert {"threshold", "coverage", "accuracy"} <= set(document["high_confidence"])


def test_the_table_shows_what_a_person_asks_for() -> None:
    text = format_table(evaluate(PROPOSED, PUBLISHED))
    assert text.startswith("10 published ratings of 4 projects\n")
    assert "accuracy          0.400   95%: " in text
    assert "  a api: open proposed with 0.90, closed published\n" in text
    assert "confidence 0.8 or more: 0.500 of the cells, 0.600 of them right (" in text
    assert "  api           closed → open 1, open → partial 1\n" in text
    assert text.endswith("nothing proposed of: d\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def many(projects: int) -> tuple[Cells, list[RatingRow]]:
    ratings = (OPEN, PARTIAL, CLOSED)
    published = published_of(
        (f"p{number}", f"d{dimension}", ratings[(number * 7 + dimension) % 3])
        for number in range(projects)
        for dimension in range(14)
    )
    said = {
        (row.slug, row.dimension): Proposed(rating=ratings[place % 5 % 3], confidence=place % 11 / 10)
        for place, row in enumerate(published)
    }
    return said, published


def test_the_bootstrap_is_the_same_every_time_and_in_any_order() -> None:
    said, published = many(25)
    first = evaluate(said, published).as_json()
    assert evaluate(said, published).as_json() == first
    assert evaluate(said, published[::-1]).as_json()["bootstrap"] == first["bootstrap"]
    assert (
        evaluate(said, published, seed=1).as_json()["bootstrap"]["intervals"]
        != first["bootstrap"]["intervals"]
    )


def test_an_interval_holds_its_estimate() -> None:
    said, published = many(25)
    found = evaluate(said, published)
    for measure, interval in found.intervals.items():
        assert interval is not None
        assert interval[0] <= getattr(found.overall, measure) <= interval[1]
        assert interval[1] - interval[0] < 0.5


def test_alike_projects_leave_no_doubt() -> None:
    cells = published_of((slug, "api", OPEN) for slug in "abcdef")
    said = {(row.slug, row.dimension): Proposed(rating=OPEN, confidence=0.9) for row in cells}
    assert evaluate(said, cells).intervals["accuracy"] == (1.0, 1.0)


def test_proposals_are_taken_as_they_are() -> None:
    proposal = Proposal(
        slug="a",
        dimension="api",
        rating=None,
        confidence=0.25,
        rationale="",
        rule="api",
        rule_version=1,
        rubric_digest="",
        evidence_digest="",
        findings=(),
        evidence=(),
        searched=(),
    )
    assert proposed_of([proposal]) == {("a", "api"): Proposed(rating=None, confidence=0.25)}


ratings = st.sampled_from([OPEN, PARTIAL, CLOSED, NA])
proposals = st.builds(
    Proposed, rating=st.one_of(st.none(), ratings), confidence=st.floats(min_value=0, max_value=1)
)
tables = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["api", "paper", "code"])),
    st.tuples(ratings, proposals),
    min_size=1,
)


def both(table: dict[tuple[str, str], tuple[Rating, Proposed]]) -> tuple[Cells, list[RatingRow]]:
    return (
        {cell: said for cell, (_, said) in table.items()},
        published_of((slug, dimension, rating) for (slug, dimension), (rating, _) in table.items()),
    )


@given(tables)
def test_measures_are_in_their_ranges(table: dict[tuple[str, str], tuple[Rating, Proposed]]) -> None:
    found = evaluate(*both(table), resamples=5)
    overall = found.overall
    assert overall.accuracy is not None
    assert overall.within_one is not None
    assert overall.coverage is not None
    assert overall.flips is not None
    assert 0 <= overall.accuracy <= overall.within_one <= overall.coverage <= 1
    assert overall.within_one + overall.flips <= 1 + 1e-12
    for kappa in (overall.kappa, overall.kappa_weighted):
        assert kappa is None or -1 - 1e-9 <= kappa <= 1 + 1e-9
    assert sum(part.n for part in found.per_dimension.values()) == overall.n
    assert sum(entry.n for entry in found.calibration) == round(overall.coverage * overall.n)
    assert sum(sum(row.values()) for part in found.confusion.values() for row in part.values()) == overall.n
    json.dumps(found.as_json(), allow_nan=False)
    format_table(found)


@given(tables)
def test_perfect_proposals_agree_perfectly(table: dict[tuple[str, str], tuple[Rating, Proposed]]) -> None:
    _, published = both(table)
    said = {(row.slug, row.dimension): Proposed(rating=row.rating, confidence=1.0) for row in published}
    found = evaluate(said, published, resamples=5)
    assert found.overall.accuracy == found.overall.within_one == found.overall.coverage == 1.0
    assert found.overall.kappa in (None, 1.0)
    assert found.overall.kappa_weighted in (None, 1.0)
    assert found.worst == ()


@given(tables)
def test_order_does_not_matter(table: dict[tuple[str, str], tuple[Rating, Proposed]]) -> None:
    said, published = both(table)
    first = evaluate(said, published, resamples=5)
    second = evaluate(dict(reversed(said.items())), published[::-1], resamples=5)
    assert first.overall == second.overall
    assert first.intervals == second.intervals
    assert first.worst == second.worst


@given(ratings, ratings)
def test_distance_is_symmetric(left: Rating, right: Rating) -> None:
    assert distance(left, right) == distance(right, left)
    assert (distance(left, right) == 0) == (left is right)


@given(st.lists(st.integers(min_value=0, max_value=9), min_size=20, max_size=20))
def test_kappa_does_not_change_with_the_scale(counts: list[int]) -> None:
    once, thrice = agreement_of(counts), agreement_of([count * 3 for count in counts])
    assert once.kappa == pytest.approx(thrice.kappa)
    assert once.kappa_weighted == pytest.approx(thrice.kappa_weighted)


def test_what_is_furthest_off_is_shown_with_its_reasons() -> None:
    cells = published_of([("a", "license", CLOSED)])
    said = Proposed(rating=OPEN, confidence=0.9, rationale="All is open.", quotes=("card: MIT",))
    found = evaluate({("a", "license"): said}, cells)
    assert "      All is open.\n      card: MIT\n" in format_table(found)
    (worst,) = found.as_json()["worst"]
    assert (worst["rationale"], worst["quotes"]) == ("All is open.", ["card: MIT"])


def test_a_dimension_has_an_interval_of_its_own() -> None:
    found = evaluate(PROPOSED, PUBLISHED).as_json()["per_dimension"]
    low, high = found["license"]["accuracy_interval"]
    assert 0.0 <= low <= found["license"]["accuracy"] <= high <= 1.0
    assert low < high
