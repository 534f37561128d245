"""The picture of the index: found, ordered and paged the same on every database."""

from __future__ import annotations

from db.decide import accept, rate
from db.matrix import (
    MatrixSort,
    ProjectState,
    count_projects,
    load_matrix,
    load_orgs,
    load_totals,
    openness_of,
)
from db.save import save_projects
from db.session import session_scope
from pipelines.model import Project, Rating
from pipelines.rubric import load_rubric

RUBRIC = load_rubric()


def page(desk, **more):
    with session_scope(desk.engine) as session:
        return load_matrix(session, RUBRIC, desk.now, **more)


def names(desk, **more):
    return [row.slug for row in page(desk, **more).rows]


def decide(desk, slug, dimension, rating):
    with session_scope(desk.engine, write=True) as session:
        rate(session, slug, dimension, rating=rating, curator="Alma", now=desk.later(hours=1), reason="seen")


def seeds(desk, *projects):
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [Project(slug=s, name=n, org=o) for s, n, o in projects], desk.later())


def three(desk):
    seeds(
        desk, ("a-teal", "teal", "Moorland"), ("b-Ä", "Ärmel", "Saltmarsh"), ("c-gorse", "Gorse", "Moorland")
    )


def test_projects_are_in_the_order_of_their_names_in_any_case(desk):
    three(desk)
    assert names(desk) == ["c-gorse", "a-teal", "b-Ä"]


def test_a_search_finds_parts_of_slug_name_and_maker_in_any_case(desk):
    three(desk)
    assert names(desk, search="MOOR") == ["c-gorse", "a-teal"]
    assert names(desk, search="ärm") == ["b-Ä"]
    assert names(desk, search="moor gorse") == ["c-gorse"]
    assert names(desk, search="%") == []
    assert names(desk, org="Saltmarsh") == ["b-Ä"]


def test_a_page_holds_its_part_and_the_total_counts_all(desk):
    three(desk)
    found = page(desk, limit=2, offset=2)
    assert [row.slug for row in found.rows] == ["b-Ä"]
    assert found.total == 3


def test_retired_projects_are_shown_only_where_they_are_asked_for(desk):
    three(desk)
    assert "brindle" not in names(desk)
    assert names(desk, state=ProjectState.RETIRED) == ["brindle"]
    assert len(names(desk, state=ProjectState.ALL)) == 4
    with session_scope(desk.engine) as session:
        assert count_projects(session) == 3
        assert load_orgs(session) == [("Moorland", 2), ("Saltmarsh", 1)]


def test_cells_have_their_class_and_tell_whether_a_question_waits(desk):
    proposal = desk.propose(Rating.OPEN, digest="d1")
    (row,) = page(desk).rows
    assert row.classes == {}
    assert row.asked == {"license"}
    with session_scope(desk.engine, write=True) as session:
        accept(session, proposal, curator="Alma", now=desk.later())
    (row,) = page(desk).rows
    assert row.classes == {"license": Rating.OPEN}
    assert row.asked == frozenset()


def test_the_most_open_come_first_and_those_without_a_rating_last_both_ways(desk):
    three(desk)
    decide(desk, "a-teal", "license", Rating.CLOSED)
    decide(desk, "b-Ä", "license", Rating.OPEN)
    assert names(desk, sort=MatrixSort.OPEN) == ["b-Ä", "a-teal", "c-gorse"]
    assert names(desk, sort=MatrixSort.CLOSED) == ["a-teal", "b-Ä", "c-gorse"]


def test_those_with_most_questions_and_the_newest_come_first(desk):
    seeds(desk, ("brindle", "Brindle", ""), ("young", "Young", ""))
    desk.propose(Rating.OPEN, digest="d1")
    assert names(desk, sort=MatrixSort.WAITING)[0] == "brindle"
    assert names(desk, sort=MatrixSort.NEWEST)[0] == "young"


def test_openness_is_over_the_dimensions_that_apply(desk):
    assert openness_of({}, RUBRIC) is None
    assert openness_of({"license": Rating.NOT_APPLICABLE}, RUBRIC) is None
    half = openness_of({"license": Rating.OPEN, "code": Rating.CLOSED, "api": Rating.NOT_APPLICABLE}, RUBRIC)
    assert half == (RUBRIC.weights[Rating.OPEN] + RUBRIC.weights[Rating.CLOSED]) / 2


def test_totals_count_the_classes_of_each_dimension(desk):
    three(desk)
    decide(desk, "a-teal", "license", Rating.CLOSED)
    decide(desk, "b-Ä", "license", Rating.OPEN)
    decide(desk, "b-Ä", "license", Rating.CLOSED)
    with session_scope(desk.engine) as session:
        assert load_totals(session) == {"license": {Rating.CLOSED: 2}}
