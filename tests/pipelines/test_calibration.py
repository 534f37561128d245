"""Confidence: drawn together for small data, rising, and checked on families left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.calibration import (
    BLOCK_CELLS,
    Calibration,
    Judged,
    families,
    fit,
    judge,
    leave_families_out,
    load_calibration,
    parse_calibration,
    write_calibration,
)
from pipelines.evidence import EvidenceSet
from pipelines.model import Project, Rating
from pipelines.rules import all_rules
from pipelines.rules.engine import Verdict


def cells(because: str, right: int, n: int, *, expected: float = 0.5, slug: str = "a") -> list[Judged]:
    return [
        Judged(slug=slug, dimension="d", because=because, expected=expected, right=number < right)
        for number in range(n)
    ]


def project(slug: str, *bases: str) -> EvidenceSet:
    made = Project(slug=slug, name=slug, org="", llmbase=bases, rlbase=(), homepage="", artifacts=())
    return EvidenceSet(project=made, evidence=(), readings=())


judged = st.builds(
    Judged,
    slug=st.sampled_from("abcdef"),
    dimension=st.sampled_from(("d", "e")),
    because=st.sampled_from(("one", "two", "three", "four")),
    expected=st.sampled_from((0.3, 0.5, 0.9)),
    right=st.booleans(),
)


def test_without_rated_projects_a_row_has_what_its_author_expects() -> None:
    assert fit([]).confidence("d", "one", 0.7) == 0.7


def test_few_hits_move_a_confidence_little() -> None:
    few, many = fit(cells("one", 2, 2)), fit(cells("one", 40, 40))
    assert 0.5 < few.estimate("d", "one", 0.5) < 0.65
    assert many.estimate("d", "one", 0.5) > 0.9


def test_a_row_that_is_right_more_often_has_the_higher_confidence() -> None:
    found = fit(cells("good", 95, 100) + cells("bad", 20, 100))
    assert found.confidence("d", "good", 0.5) > 0.85
    assert found.confidence("d", "bad", 0.5) < 0.3


def test_a_block_has_enough_cells_or_is_the_only_one() -> None:
    found = fit(cells("one", 10, 40) + cells("two", 35, 50) + cells("three", 60, 60) + cells("four", 3, 3))
    assert all(block.n >= BLOCK_CELLS for block in found.blocks)
    assert sum(block.n for block in found.blocks) == 153


@given(st.lists(judged, max_size=400))
def test_confidence_rises_with_the_estimate_and_stays_between_0_and_1(found: list[Judged]) -> None:
    calibration = fit(found)
    rows = {(cell.dimension, cell.because, cell.expected) for cell in found}
    pairs = sorted((calibration.estimate(*row), calibration.confidence(*row)) for row in rows)
    assert all(0 <= confidence <= 1 for _, confidence in pairs)
    assert all(low[1] <= high[1] for low, high in pairwise(pairs))


@given(st.lists(judged, max_size=200), st.randoms())
def test_the_order_of_the_cells_does_not_matter(found: list[Judged], chance) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert fit(shuffled) == fit(found)


def test_projects_on_one_base_are_one_family_also_by_way_of_a_third() -> None:
    found = families(
        [
            project("rush", "Bramble 7B"),
            project("sedge", "Bramble", "Thicket"),
            project("fern", "Thicket 13B"),
            project("moss", "Hedgerow"),
        ]
    )
    assert found == {"rush": "fern", "sedge": "fern", "fern": "fern", "moss": "moss"}


def test_a_project_without_a_base_is_its_own_family() -> None:
    assert families([project("moss"), project("fern")]) == {"moss": "moss", "fern": "fern"}


def test_a_family_that_is_left_out_tells_nothing_of_itself() -> None:
    # The row was right for family a only: for b it is worth what the others, that is a, showed, and the reverse.
    found = cells("one", 100, 100, slug="a") + cells("one", 0, 100, slug="b")
    said = {cell.slug: confidence for cell, confidence in leave_families_out(found, {"a": "a", "b": "b"})}
    assert said["a"] < 0.1
    assert said["b"] > 0.9


def test_only_cells_with_a_class_and_a_published_rating_are_judged() -> None:
    rule = all_rules()["license"]
    row = rule.table[0]
    verdicts = [
        ("a", Verdict(rule=rule, findings=(), row=row)),
        ("b", Verdict(rule=rule, findings=(), row=row)),
        ("c", Verdict(rule=rule, findings=(), row=None)),
    ]
    published = {("a", "license"): row.rating, ("c", "license"): Rating.OPEN}
    assert judge(verdicts, published) == [
        Judged(slug="a", dimension="license", because=row.because, expected=row.confidence, right=True)
    ]


def test_what_is_written_is_read_again() -> None:
    rules = all_rules()
    reason = rules["api"].table[0].because
    found = fit(
        [
            Judged(slug="a", dimension="api", because=reason, expected=0.5, right=number % 3 > 0)
            for number in range(120)
        ]
    )
    assert parse_calibration(write_calibration(found, rules)) == found


def test_the_data_file_names_rows_that_there_are() -> None:
    rules = all_rules()
    there = {(name, row.because) for name, rule in rules.items() for row in rule.table}
    assert set(load_calibration().rows) - there == set()


def test_the_blocks_of_the_data_file_rise() -> None:
    blocks = load_calibration().blocks
    assert blocks
    assert [block.low for block in blocks] == sorted(block.low for block in blocks)
    assert [block.share for block in blocks] == sorted(block.share for block in blocks)


@pytest.mark.parametrize("dimension", sorted(all_rules()))
def test_every_row_has_a_reason_of_its_own(dimension: str) -> None:
    reasons = [row.because for row in all_rules()[dimension].table]
    assert len(set(reasons)) == len(reasons)


def test_an_unknown_row_has_the_confidence_of_rows_like_it() -> None:
    found = Calibration(rows={}, blocks=fit(cells("good", 95, 100) + cells("bad", 20, 100)).blocks)
    assert found.confidence("d", "new", 0.95) > found.confidence("d", "new", 0.2)
