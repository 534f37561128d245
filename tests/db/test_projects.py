"""Seeds and found artifacts."""

from __future__ import annotations

import pytest

from db.load import has_much_unvisited, load_projects
from db.save import save_artifacts, save_projects
from db.session import session_scope
from pipelines.errors import UsageError
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Passage, Role, VisitStatus

PAPER = ArtifactRef(kind=ArtifactKind.ARXIV, id="2101.00001")


def imported(desk, *projects):
    with session_scope(desk.engine, write=True) as session:
        return save_projects(session, projects, desk.later())


def stored(desk, *slugs):
    with session_scope(desk.engine) as session:
        return load_projects(session, slugs or None)


def test_projects_come_back_as_the_seeds_had_them(desk):
    with session_scope(desk.engine) as session:
        found = load_projects(session)
    assert [item.slug for item in found] == ["brindle"]
    assert [item.ref for item in found[0].artifacts] == [desk.card, desk.repository]
    assert found[0] == desk.project("brindle", *found[0].artifacts)


def test_whether_much_was_never_visited(desk):
    def has_much(number):
        with session_scope(desk.engine) as session:
            return has_much_unvisited(session, number)

    assert has_much(2)
    assert not has_much(3)
    imported(desk, *stored(desk), desk.project("sorrel", Artifact(ref=desk.card, role=Role.RL_WEIGHTS)))
    assert not has_much(3), "an artifact of two projects is visited once"
    desk.save(desk.visit(None, status=VisitStatus.FAILED))
    assert has_much(1)
    assert not has_much(2)
    imported(desk, desk.project("sorrel", Artifact(ref=desk.card, role=Role.RL_WEIGHTS)))
    assert not has_much(1), "what no project has any more is not visited"


def test_the_same_seeds_twice_change_nothing(desk):
    seeds = stored(desk)
    result = imported(desk, *seeds)
    assert (result.added, result.changed, result.unchanged, result.retired) == ((), (), ("brindle",), ())
    assert stored(desk) == seeds


def test_what_the_seeds_drop_is_retired_and_can_come_back(desk):
    [brindle] = stored(desk)
    result = imported(desk, desk.project("sorrel"))
    assert (result.added, result.retired) == (("sorrel",), ("brindle",))
    assert [item.slug for item in stored(desk)] == ["sorrel"]
    assert imported(desk, brindle, desk.project("sorrel")).changed == ("brindle",)
    assert stored(desk, "brindle") == [brindle]


def test_seeds_rule_over_seed_artifacts_and_leave_found_ones_alone(desk):
    [brindle] = stored(desk)
    named_by = Passage(artifact=desk.card, part="card", text="see our paper\x00 \ud800")
    link = Artifact(ref=PAPER, role=Role.PREPRINT, origin=Origin.LINK, named_by=named_by)
    with session_scope(desk.engine, write=True) as session:
        assert save_artifacts(session, "brindle", [link, link]) == (link,)
        assert save_artifacts(session, "brindle", [link]) == ()
    fewer = desk.project("brindle", brindle.artifacts[1])
    assert imported(desk, fewer).changed == ("brindle",)
    assert stored(desk)[0].artifacts == (brindle.artifacts[1], link)
    assert imported(desk, fewer).unchanged == ("brindle",)


def test_a_found_artifact_that_a_seed_names_becomes_a_seed_artifact(desk):
    [brindle] = stored(desk)
    link = Artifact(ref=PAPER, role=Role.PREPRINT, origin=Origin.LINEAGE)
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [link])
    seed = Artifact(ref=PAPER, role=Role.PREPRINT)
    imported(desk, desk.project("brindle", *brindle.artifacts, seed))
    assert stored(desk)[0].artifacts == (*brindle.artifacts, seed)


def test_a_dropped_artifact_that_is_found_again_counts_as_new(desk):
    imported(desk, desk.project("brindle"))
    link = Artifact(ref=desk.card, role=Role.RL_WEIGHTS, origin=Origin.LINK)
    with session_scope(desk.engine, write=True) as session:
        assert save_artifacts(session, "brindle", [link]) == (link,)
    assert stored(desk)[0].artifacts == (link,)


def test_an_address_of_any_length_can_be_an_artifact(desk):
    ref = ArtifactRef(kind=ArtifactKind.WEB, id="https://pages.example/" + "ü" * 20_000)
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, "brindle", [Artifact(ref=ref, role=Role.OTHER, origin=Origin.LINK)])
    assert stored(desk)[0].artifacts[-1].ref == ref


def test_unknown_slugs_are_named_with_what_is_close(desk):
    with (
        session_scope(desk.engine) as session,
        pytest.raises(UsageError, match=r"'brinle'; did you mean brindle\?"),
    ):
        load_projects(session, ["brindle", "brinle"])
    with (
        session_scope(desk.engine, write=True) as session,
        pytest.raises(UsageError, match=r"no project 'zzz'$"),
    ):
        save_artifacts(session, "zzz", [])


def test_seed_artifacts_do_not_enter_by_the_side_door(desk):
    with session_scope(desk.engine, write=True) as session, pytest.raises(ValueError, match="of seeds"):
        save_artifacts(session, "brindle", [Artifact(ref=PAPER, role=Role.PAPER)])
