"""The queue of candidates: asked once, decided once, and what becomes of adopted ones."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy.exc import IntegrityError

from db.candidate_row import CandidateStatus
from db.candidates import (
    adopt_candidate,
    count_candidates,
    dismiss_candidate,
    load_all_projects,
    load_candidates,
    merge_candidate,
    save_candidates,
)
from db.load import load_projects
from db.runs import load_slugs
from db.save import save_projects
from db.session import _config, make_engine, session_scope, upgrade
from pipelines.candidates import Candidate
from pipelines.errors import DecisionError, UsageError
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Project, Role
from pipelines.model_kinds import Reason

OPEN = [CandidateStatus.OPEN]


def candidate(name="hazelmoor/walnut-7b-chat", *, says="tuned to chat", value="chat", slug=""):
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id=name)
    last = name.split("/")[-1]
    seed = Project(
        slug=slug or last.lower(),
        name=last,
        org="hazelmoor",
        llmbase=("Brindle base",),
        homepage=f"https://models.example/{name}",
        artifacts=(Artifact(ref=ref, role=Role.RL_WEIGHTS),),
    )
    reason = Reason(field="id", value=value, says=says)
    return Candidate(ref=ref, maker="hazelmoor", name=last, reasons=(reason,), seed=seed)


def save(desk, *candidates):
    with session_scope(desk.engine, write=True) as session:
        return save_candidates(session, candidates, desk.run_id, desk.later())


def stored(desk, statuses=None):
    with session_scope(desk.engine) as session:
        return load_candidates(session, statuses)


def waiting(desk):
    with session_scope(desk.engine) as session:
        return count_candidates(session)


def adopt(desk, name="1", **more):
    with session_scope(desk.engine, write=True) as session:
        return adopt_candidate(session, name, curator="Alma", now=desk.later(), **more)


def dismiss(desk, name="1", **more):
    with session_scope(desk.engine, write=True) as session:
        return dismiss_candidate(
            session, name, **({"curator": "Alma", "reason": "a toy", "now": desk.later()} | more)
        )


def imported(desk, *projects):
    with session_scope(desk.engine, write=True) as session:
        return save_projects(session, projects, desk.later())


def slugs(desk):
    with session_scope(desk.engine) as session:
        return [project.slug for project in load_projects(session)]


def test_a_candidate_comes_back_as_it_was_found(desk):
    found = candidate()
    [new] = save(desk, found)
    [item] = stored(desk)
    assert (item.id, item.candidate, item.status) == (new, found, CandidateStatus.OPEN)
    assert (item.found_at, item.curator, item.decided_at, item.reason, item.slug) == (
        desk.now,
        "",
        None,
        "",
        "",
    )
    assert waiting(desk) == 1


def test_the_same_discovery_twice_adds_nothing_and_brings_an_open_one_up_to_date(desk):
    save(desk, candidate())
    first = stored(desk)[0].found_at
    newer = candidate(says="states data for tuning", slug="walnut")
    assert save(desk, newer, newer) == []
    [item] = stored(desk)
    assert item.candidate == newer
    assert item.found_at == first


def test_the_hub_takes_names_in_any_case_and_so_does_the_queue(desk):
    save(desk, candidate())
    assert save(desk, candidate("Hazelmoor/Walnut-7B-Chat")) == []


def test_hostile_texts_are_stored(desk):
    save(desk, candidate(value="a\x00b\ud800‮"))
    [reason] = stored(desk)[0].candidate.reasons
    assert reason.value.startswith("a")
    assert "\x00" not in reason.value


def test_a_dismissed_candidate_never_comes_back(desk):
    save(desk, candidate())
    item = dismiss(desk)
    assert (item.status, item.curator, item.reason, item.decided_at) == (
        CandidateStatus.DISMISSED,
        "Alma",
        "a toy",
        desk.now,
    )
    assert save(desk, candidate(says="otherwise")) == []
    assert stored(desk, OPEN) == []
    assert waiting(desk) == 0
    assert stored(desk)[0].candidate == candidate()
    with pytest.raises(DecisionError, match=r"walnut-7b-chat\) was dismissed by Alma"):
        adopt(desk)


@pytest.mark.parametrize(
    "name",
    [
        "1",
        "hazelmoor/walnut-7b-chat",
        "HAZELMOOR/Walnut-7B-Chat",
        "hf_model:hazelmoor/walnut-7b-chat",
        "https://huggingface.co/hazelmoor/walnut-7b-chat",
    ],
)
def test_a_candidate_is_found_by_id_name_or_address(desk, name):
    save(desk, candidate())
    assert dismiss(desk, name).id == 1


@pytest.mark.parametrize("name", ["2", "walnut", "", "9" * 60, "²", "%"])
def test_an_unknown_candidate_is_a_usage_error(desk, name):
    save(desk, candidate())
    with pytest.raises(UsageError, match="there is no candidate"):
        dismiss(desk, name)


@pytest.mark.parametrize(
    ("more", "said"), [({"reason": " "}, "with a reason"), ({"curator": " "}, "curator's name")]
)
def test_a_dismissal_needs_a_reason_and_a_curator(desk, more, said):
    save(desk, candidate())
    with pytest.raises(DecisionError, match=said):
        dismiss(desk, **more)
    assert waiting(desk) == 1


def test_adopting_adds_a_project_and_retires_none(desk):
    save(desk, candidate())
    adopted = adopt(desk, reason="well documented")
    assert (adopted.slug, adopted.status, adopted.reason) == (
        "walnut-7b-chat",
        CandidateStatus.ADOPTED,
        "well documented",
    )
    assert slugs(desk) == ["brindle", "walnut-7b-chat"]
    with session_scope(desk.engine) as session:
        [project] = load_projects(session, ["walnut-7b-chat"])
    assert project == candidate().seed
    assert waiting(desk) == 0
    with pytest.raises(DecisionError, match="was adopted by Alma"):
        adopt(desk)


def test_adopting_under_another_slug_is_remembered_in_the_entry(desk):
    save(desk, candidate())
    adopted = adopt(desk, slug="walnut")
    assert adopted.candidate.seed.slug == adopted.slug == "walnut"
    assert "walnut" in slugs(desk)


@pytest.mark.parametrize("slug", ["brindle", "BRINDLE", "no slug", "../x"])
def test_a_slug_that_is_taken_or_malformed_changes_nothing(desk, slug):
    save(desk, candidate())
    with pytest.raises(UsageError, match="slug"):
        adopt(desk, slug=slug)
    assert waiting(desk) == 1
    assert slugs(desk) == ["brindle"]


def test_the_slug_of_a_retired_project_is_taken(desk):
    save(desk, candidate(slug="brindle"))
    imported(desk)
    with pytest.raises(UsageError, match=r"brindle.*\(retired\)"):
        adopt(desk)


def test_an_adopted_project_stays_through_imports_until_a_seed_file_has_named_it(desk):
    save(desk, candidate())
    adopt(desk)
    brindle = desk.project("brindle")
    result = imported(desk, brindle)
    assert (result.kept, result.retired) == (("walnut-7b-chat",), ())
    assert slugs(desk) == ["brindle", "walnut-7b-chat"]
    named = imported(desk, brindle, candidate().seed)
    assert (named.kept, named.retired) == ((), ())
    assert "walnut-7b-chat" in named.unchanged
    assert stored(desk)[0].in_seeds
    dropped = imported(desk, brindle)
    assert (dropped.kept, dropped.retired) == ((), ("walnut-7b-chat",))
    assert slugs(desk) == ["brindle"]


def test_an_adopted_project_that_no_file_names_can_be_taken_back(desk):
    save(desk, candidate())
    adopt(desk)
    taken_back = dismiss(desk, reason="a duplicate")
    assert (taken_back.status, taken_back.slug) == (CandidateStatus.DISMISSED, "walnut-7b-chat")
    assert slugs(desk) == ["brindle"]
    assert imported(desk, desk.project("brindle")).kept == ()
    with pytest.raises(DecisionError, match="was dismissed"):
        dismiss(desk)


def test_an_adopted_project_that_the_file_names_goes_by_the_file_only(desk):
    save(desk, candidate())
    adopt(desk)
    imported(desk, candidate().seed)
    with pytest.raises(DecisionError, match="seed file"):
        dismiss(desk)
    assert slugs(desk) == ["walnut-7b-chat"]


def test_a_candidate_that_a_seed_file_names_is_no_question_any_more(desk):
    save(desk, candidate("Hazelmoor/Walnut-7B-Chat"), candidate("hazelmoor/beech-7b-chat"))
    imported(desk, desk.project("brindle"), candidate("hazelmoor/walnut-7b-chat", slug="walnut").seed)
    assert [item.candidate.name for item in stored(desk, OPEN)] == ["beech-7b-chat"]
    assert waiting(desk) == 1
    imported(desk, desk.project("brindle"))
    assert waiting(desk) == 2


def test_retired_projects_are_known_to_discovery(desk):
    imported(desk)
    with session_scope(desk.engine) as session:
        assert [project.slug for project in load_all_projects(session)] == ["brindle"]
        assert load_projects(session) == []


def test_rows_that_contradict_themselves_are_refused(desk):
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    save(desk, candidate())
    for change in ("status = 'adopted'", "curator = 'Alma'", "status = 'gone'", "decided_at = found_at"):
        with pytest.raises(DBAPIError), session_scope(desk.engine, write=True) as session:
            session.execute(text(f"UPDATE candidates SET {change}"))


OTHER = "hazelmoor/brindle-7b"


def merge(desk, name="1", slug="brindle", **more):
    with session_scope(desk.engine, write=True) as session:
        return merge_candidate(session, name, slug=slug, curator="Alma", now=desk.later(), **more)


def artifacts_of(desk, slug="brindle"):
    with session_scope(desk.engine) as session:
        return {(a.ref.id, a.role): a.origin for a in load_projects(session, [slug])[0].artifacts}


def brindle_imported(desk, *artifacts):
    with session_scope(desk.engine, write=True) as session:
        return save_projects(session, [desk.project("brindle", *artifacts)], desk.later())


def test_a_merged_candidate_is_one_more_artifact_of_the_project(desk):
    save(desk, candidate(OTHER))
    merged = merge(desk)
    assert (merged.status, merged.slug, merged.curator) == (CandidateStatus.MERGED, "brindle", "Alma")
    assert artifacts_of(desk)[OTHER, Role.RL_WEIGHTS] is Origin.SEED
    assert waiting(desk) == 0
    with pytest.raises(DecisionError, match="merged by Alma"):
        adopt(desk)


def test_a_merged_candidate_has_the_role_that_is_given(desk):
    save(desk, candidate(OTHER))
    merge(desk, role=Role.LLM_WEIGHTS)
    assert (OTHER, Role.LLM_WEIGHTS) in artifacts_of(desk)


def test_an_import_of_seeds_leaves_a_merged_artifact_alone_until_it_has_named_it(desk):
    card = Artifact(ref=desk.card, role=Role.RL_WEIGHTS)
    named = Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id=OTHER), role=Role.RL_WEIGHTS)
    save(desk, candidate(OTHER))
    merge(desk)
    brindle_imported(desk, card)
    assert (OTHER, Role.RL_WEIGHTS) in artifacts_of(desk)
    brindle_imported(desk, card, named)
    assert stored(desk)[0].in_seeds
    with (
        pytest.raises(DecisionError, match="in the seed file by now"),
        session_scope(desk.engine, write=True) as session,
    ):
        dismiss_candidate(session, "1", curator="Alma", reason="no", now=desk.later())
    brindle_imported(desk, card)
    assert (OTHER, Role.RL_WEIGHTS) not in artifacts_of(desk)


def test_a_merged_candidate_that_is_dismissed_leaves_the_project_and_nothing_else(desk):
    save(desk, candidate(OTHER))
    merge(desk)
    with session_scope(desk.engine, write=True) as session:
        dismiss_candidate(session, "1", curator="Alma", reason="another model", now=desk.later())
        assert load_slugs(session) == ["brindle"]
    assert (OTHER, Role.RL_WEIGHTS) not in artifacts_of(desk)
    assert len(artifacts_of(desk)) == 2


def test_a_candidate_is_merged_only_into_a_project_that_is_there_and_has_not_got_it(desk):
    save(desk, candidate(OTHER))
    with pytest.raises(UsageError, match="no project 'nobody'"):
        merge(desk, slug="nobody")
    save(desk, candidate("hazelmoor/walnut-1b"))
    merge(desk)
    brindle_imported(
        desk,
        Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="hazelmoor/walnut-1b"), role=Role.RL_WEIGHTS),
    )
    with pytest.raises(DecisionError, match="already"):
        merge(desk, name="2")


def test_candidates_of_an_earlier_version_are_kept(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        command.upgrade(_config(connection), "0009")
        connection.exec_driver_sql(
            "INSERT INTO candidates (key, kind, identifier, found_at, maker, name, reasons, seed, status, curator,"
            " reason, in_seeds) VALUES ('k', 'hf_model', 'a/b', '2031-03-01', 'a', 'b', '[]', '{}', 'open', '', '', 0)"
        )
    upgrade(engine)
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        assert connection.exec_driver_sql("SELECT id, identifier FROM candidates").all() == [(1, "a/b")]
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql(
                "UPDATE candidates SET status = 'merged', curator = 'A', decided_at = '2031-03-01'"
            )
    engine.dispose()
