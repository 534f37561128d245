"""How long artifacts have waited for a visit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import event

from db.links import retire_links
from db.models import RunStatus
from db.save import begin_run, end_run, save_artifacts, save_projects
from db.session import session_scope
from db.waiting import NOT_ASKED, WaitingArtifact, load_passed_over, load_waiting
from pipelines.errors import UsageError
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Role, VisitStatus

FORK = ArtifactRef(kind=ArtifactKind.GITHUB, id="hazelmoor/brindle-fork")


def waiting(desk, *slugs: str) -> dict[ArtifactRef, WaitingArtifact]:
    with session_scope(desk.engine) as session:
        return {artifact.ref: artifact for artifact in load_waiting(session, list(slugs) or None)}


def new_night(desk, **delta: float) -> datetime:
    began = desk.later(**delta)
    with session_scope(desk.engine, write=True) as session:
        desk.run_id = begin_run(session, "nightly", began, 4711, "larch")
    desk.later(minutes=5)
    return began


def turn(desk, status: VisitStatus = VisitStatus.OK, reason: str = "", **more: str) -> None:
    """One attempt to read the repository, as its source would tell it: other parts, then the main one."""
    body = b'{"name": "brindle"}' if status is VisitStatus.OK else None
    visit = desk.visit(body, ref=desk.repository, part="repository", status=status, **more)
    desk.save(replace(visit, reason=reason or visit.reason))


def test_what_was_never_visited_waits_since_it_was_added(desk) -> None:
    found = waiting(desk)[desk.repository]
    assert (found.slug, found.last_read, found.known, found.token) == ("brindle", None, False, "")
    assert found.waiting_since == desk.now


def test_what_was_visited_waits_since_the_night_of_its_turn_began(desk) -> None:
    began = new_night(desk)
    turn(desk, token="head tree")
    found = waiting(desk)[desk.repository]
    assert found.waiting_since == began
    assert found.last_read == desk.now
    assert (found.known, found.token) == (True, "head tree")


def test_a_night_without_a_visit_goes_on_with_the_waiting(desk) -> None:
    began = new_night(desk)
    turn(desk)
    new_night(desk)
    new_night(desk)
    assert waiting(desk)[desk.repository].waiting_since == began


@pytest.mark.parametrize("status", [VisitStatus.FAILED, VisitStatus.DENIED, VisitStatus.MISSING])
def test_an_attempt_in_vain_was_a_turn_too(desk, status: VisitStatus) -> None:
    new_night(desk)
    turn(desk, token="head tree")
    began = new_night(desk)
    turn(desk, status)
    found = waiting(desk)[desk.repository]
    assert found.waiting_since == began
    # What was learnt before is known still.
    assert (found.known, found.token) == (True, "head tree")


def test_only_what_told_something_is_known(desk) -> None:
    new_night(desk)
    turn(desk, VisitStatus.DENIED)
    assert not waiting(desk)[desk.repository].known
    turn(desk, VisitStatus.MISSING)
    assert waiting(desk)[desk.repository].known


def test_what_was_not_asked_for_still_waits(desk) -> None:
    began = new_night(desk)
    turn(desk)
    new_night(desk)
    turn(desk, VisitStatus.FAILED, f"{NOT_ASKED}: the limit of the service is used up")
    assert waiting(desk)[desk.repository].waiting_since == began


def test_other_parts_are_no_turn_of_the_artifact(desk) -> None:
    new_night(desk)
    desk.save(desk.visit(b"# Brindle", ref=desk.repository, part="file:README.md"))
    assert waiting(desk)[desk.repository].last_read is None


def test_a_link_waits_since_it_was_found_and_the_longest_waiting_comes_first(desk) -> None:
    link = Artifact(ref=FORK, role=Role.CODE, origin=Origin.LINK)
    found_at = desk.later()
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [link], found_at)
    with session_scope(desk.engine) as session:
        found = load_waiting(session)
    assert [artifact.ref for artifact in found] == [desk.repository, desk.card, FORK]
    assert found[-1].waiting_since == found_at
    with session_scope(desk.engine, write=True) as session:
        retire_links(session, "brindle", keep=[])
    assert FORK not in waiting(desk)


def test_a_link_of_unknown_age_waits_since_its_project_was_added(desk) -> None:
    added = desk.now
    desk.later()
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [Artifact(ref=FORK, role=Role.CODE, origin=Origin.LINK)])
    assert waiting(desk)[FORK].waiting_since == added


def test_an_artifact_comes_once_for_each_project_whatever_its_roles(desk) -> None:
    twice = [Artifact(ref=desk.repository, role=role) for role in (Role.CODE, Role.PACKAGE)]
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [desk.project("brindle", *twice), desk.project("sedge", *twice[:1])], desk.now)
        found = load_waiting(session)
    assert [(artifact.slug, artifact.ref) for artifact in found] == [
        ("brindle", desk.repository),
        ("sedge", desk.repository),
    ]


def test_retired_projects_wait_for_nothing_and_unknown_ones_are_named(desk) -> None:
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [desk.project("sedge")], desk.now)
    assert waiting(desk) == {}
    assert set(waiting(desk, "brindle")) == {desk.card, desk.repository}
    with pytest.raises(UsageError, match="no project 'brindel'"):
        waiting(desk, "brindel")


def test_however_many_projects_there_are_one_query_tells_of_all(desk) -> None:
    projects = [
        desk.project(
            f"p{n}",
            Artifact(ref=ArtifactRef(kind=ArtifactKind.GITHUB, id=f"larch/p{n}"), role=Role.CODE),
        )
        for n in range(120)
    ]
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, projects, desk.now)
    asked: list[str] = []

    def count(connection, cursor, statement, parameters, context, executemany) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    with session_scope(desk.engine) as session:
        event.listen(desk.engine, "before_cursor_execute", count)
        try:
            found = load_waiting(session)
        finally:
            event.remove(desk.engine, "before_cursor_execute", count)
    assert len(found) == 120
    assert len(asked) == 1


def end_night(desk) -> None:
    with session_scope(desk.engine, write=True) as session:
        end_run(session, desk.run_id, desk.now, RunStatus.DONE, 0, {})


def passed_over(desk) -> dict[ArtifactRef, int]:
    with session_scope(desk.engine) as session:
        return {passed.ref: passed.nights for passed in load_passed_over(session)}


def test_the_nights_that_passed_an_artifact_over_are_counted(desk) -> None:
    assert passed_over(desk) == {}
    new_night(desk)
    turn(desk)
    desk.save(desk.visit(b"{}", part="info"))
    end_night(desk)
    assert passed_over(desk) == {}
    for nights in (1, 2):
        new_night(desk)
        desk.save(desk.visit(b"{}", part="info"))
        end_night(desk)
        assert passed_over(desk) == {desk.repository: nights}
    new_night(desk)
    turn(desk)
    end_night(desk)
    assert passed_over(desk) == {desk.card: 1}


def test_a_link_that_was_found_and_left_waits_for_one_night(desk) -> None:
    new_night(desk)
    turn(desk)
    desk.save(desk.visit(b"{}", part="info"))
    desk.later(minutes=1)
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [Artifact(ref=FORK, role=Role.CODE, origin=Origin.LINK)], desk.now)
    assert passed_over(desk) == {}
    desk.later(minutes=1)
    end_night(desk)
    assert passed_over(desk) == {FORK: 1}


def test_what_came_after_the_latest_night_was_not_passed_over(desk) -> None:
    new_night(desk)
    turn(desk)
    desk.save(desk.visit(b"{}", part="info"))
    end_night(desk)
    desk.later(minutes=1)
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [Artifact(ref=FORK, role=Role.CODE, origin=Origin.LINK)], desk.now)
    assert passed_over(desk) == {}


def test_what_several_projects_share_is_passed_over_once(desk) -> None:
    desk.seed("brindle", "sedge")
    desk.later(minutes=1)
    end_night(desk)
    with session_scope(desk.engine) as session:
        found = load_passed_over(session)
    assert [(passed.ref, passed.slugs) for passed in found] == [
        (desk.repository, ("brindle", "sedge")),
        (desk.card, ("brindle", "sedge")),
    ]
