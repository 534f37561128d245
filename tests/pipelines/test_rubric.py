from __future__ import annotations

import dataclasses
from importlib import resources

import pytest

from pipelines.errors import RuleError, UsageError
from pipelines.model import Rating
from pipelines.rubric import GROUPS, load_rubric, parse_rubric, rubric_names

NAME = "opening-up-chatgpt"


def own_text() -> str:
    return (resources.files("pipelines") / "rubrics" / f"{NAME}.yaml").read_text(encoding="utf-8")


def test_the_fourteen_dimensions_stand_in_their_order() -> None:
    assert load_rubric(NAME).dimension_ids == (
        "opencode",
        "llmdata",
        "llmweights",
        "rldata",
        "rlweights",
        "license",
        "code",
        "architecture",
        "preprint",
        "paper",
        "modelcard",
        "datasheet",
        "package",
        "api",
    )


def test_the_groups_follow_one_another() -> None:
    groups = [dimension.group for dimension in load_rubric().dimensions]
    assert groups == sorted(groups, key=GROUPS.index)
    assert [groups.count(group) for group in GROUPS] == [6, 6, 2]


def test_every_dimension_asks_a_question_and_says_what_its_classes_mean() -> None:
    for dimension in load_rubric().dimensions:
        assert dimension.question.endswith("?")
        assert dimension.column
        assert dimension.heading
        assert set(dimension.meanings) == {Rating.OPEN, Rating.PARTIAL, Rating.CLOSED}
        assert all(meaning.endswith(".") for meaning in dimension.meanings.values())
        assert len(set(dimension.meanings.values())) == 3


def test_more_open_weighs_more() -> None:
    weights = load_rubric().weights
    assert weights[Rating.OPEN] > weights[Rating.PARTIAL] > weights[Rating.CLOSED]


def test_a_rubric_cannot_be_changed() -> None:
    rubric = load_rubric()
    with pytest.raises(dataclasses.FrozenInstanceError):
        rubric.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        rubric.weights[Rating.OPEN] = 2.0  # type: ignore[index]


def test_a_dimension_is_found_by_its_id() -> None:
    assert load_rubric().dimension("api").group == "access"
    with pytest.raises(UsageError, match="no dimension 'colour'"):
        load_rubric().dimension("colour")


@pytest.mark.parametrize("name", ["nothing", "../model", "", "opening-up-chatgpt.yaml"])
def test_an_unknown_rubric_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match=r"known: .*opening-up-chatgpt"):
        load_rubric(name)


def test_every_rubric_can_be_loaded() -> None:
    for name in rubric_names():
        assert load_rubric(name).name == name


def test_the_digest_is_of_the_content_and_not_of_the_comments() -> None:
    digest = load_rubric(NAME).digest
    assert parse_rubric("# another remark\n" + own_text(), "r").digest == digest
    assert parse_rubric(own_text().replace("partial: 0.5", "partial: 0.4"), "r").digest != digest
    assert (
        parse_rubric(own_text().replace("Nothing", "Little").replace("There is", "There"), "r").digest
        != digest
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id: llmdata", "id: opencode", "'opencode' is given twice"),
        ("column: llmdata", "column: opencode", "'opencode' is given twice"),
        ("id: llmdata", "id: LLM data", "a lower-case word is expected"),
        ("group: access", "group: other", "unknown group 'other'"),
        ("partial: 0.5", "partial: 1.5", "a number from 0 to 1 is expected"),
        ("partial: 0.5", "partial: half", "a number from 0 to 1 is expected"),
        ("partial: 0.5", "partial: .nan", "a number from 0 to 1 is expected"),
        (", closed: 0.0", "", "rubric.weights.closed: is missing"),
        ("    heading: API\n", "", "heading: is missing"),
        ("      closed: There is no API.", "", "classes.closed: is missing"),
        ("title: Opening", "titel: Opening", "unknown key"),
        ("name: opening-up-chatgpt", "name: Opening up", "lower-case words joined by dashes"),
    ],
)
def test_a_rubric_that_contradicts_itself_is_refused(old: str, new: str, expected: str) -> None:
    assert old in own_text()
    with pytest.raises(RuleError) as caught:
        parse_rubric(own_text().replace(old, new), "rubric.yaml")
    assert expected in str(caught.value)
    assert "rubric.yaml:" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "- a\n", "a: [", "word", "&a [*a]"])
def test_a_file_that_is_no_rubric_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        parse_rubric(text, "rubric.yaml")
