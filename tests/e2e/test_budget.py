"""A night spends only what it has, says what waits, and the next one goes on with that."""

from __future__ import annotations

import pytest

REPOSITORIES = {"github:hawthorn-tools/trellis", "github:quillwort/sorrel"}


@pytest.fixture
def poor(few, sandbox):
    """Two projects, no token, and at GitHub six requests an hour: enough for one repository."""
    sandbox.limits.set("github.core.anonymous", 6)
    return few.with_env(GITHUB_TOKEN=None, OPENNESS_PAGES_PER_PROJECT="0")


def read(desk) -> set[str]:
    """The repositories of which the main part was ever read."""
    query = (
        "SELECT DISTINCT a.kind || ':' || a.identifier FROM artifacts a JOIN parts p ON p.artifact_id = a.id"
        " JOIN visits v ON v.part_id = p.id WHERE p.name = 'repository' AND v.snapshot_id IS NOT NULL"
    )
    return {name for (name,) in desk.rows(query)}


def asked(sandbox) -> list[int]:
    """The status of every answer of GitHub that counted."""
    return [e.status for e in sandbox.requests if e.service == "github" and "rate_limit" not in e.path]


def test_without_a_token_nights_take_turns_and_no_request_is_refused(poor, sandbox):
    told = poor.run("nightly", "--plan", "--json").json
    assert (poor.count("runs"), len(told["postponed"]), asked(sandbox)) == (0, 1, [])
    first = poor.nightly(code=None)
    (budget,) = [part for part in first["budget"] if part["service"] == "github"]
    assert (budget["limit"], budget["fits"], budget["waits"]) == (6, 1, 1)
    assert len(read(poor)) == 1
    waits = REPOSITORIES - read(poor)
    # What waits is no failure: it has no visit at all.
    assert not waits & {entry["artifact"] for entry in first["unread"]}
    status = poor.run("status", "--json").json["waiting"]
    assert {(entry["artifact"], entry["nights"]) for entry in status} == {(name, 1) for name in waits}
    assert f"1 night   {min(waits)}" in poor.run("status").out

    sandbox.limits.set("github.core.anonymous", 6)
    assert not waits & set(poor.run("nightly", "--plan", "--json").json["postponed"])
    poor.nightly(code=None)
    assert read(poor) == REPOSITORIES
    assert 403 not in asked(sandbox)
    assert 429 not in asked(sandbox)
    assert len(asked(sandbox)) <= 12


def test_a_night_without_any_budget_asks_nothing_and_judges_nothing(poor, sandbox):
    sandbox.limits.set("github.core.anonymous", 0)
    poor.nightly(code=None)
    assert asked(sandbox) == []
    assert poor.classes()["trellis", "opencode"] is None
    shown = poor.run("nightly", "--plan").out
    assert "2 wait for another night" in shown
    assert "Waiting at github: sorrel-chat, trellis" in shown


def test_a_plan_stores_nothing_and_asks_for_no_artifact(small, sandbox):
    before = small.everything_stored()
    shown = small.run("nightly", "--plan").out
    assert "Plan of the next night: 2 projects" in shown
    assert [entry.path.rpartition("/")[2] for entry in sandbox.requests] == ["rate_limit"]
    assert small.everything_stored() == before


def test_what_a_repository_still_waits_for_is_no_failure(poor, sandbox):
    sandbox.limits.set("github.core.anonymous", 5)
    first = poor.nightly()
    assert (first["exit_code"], first["failed"]) == (0, 0)
    assert first["waiting_parts"] > 0
    assert not [entry for entry in first["unread"] if entry["status"] == "failed"]
    assert f"{first['waiting_parts']} parts of those that were" in poor.run("report").out
    # What was not asked for is no absence either.
    (reason, *_) = poor.rows("SELECT reason FROM visits WHERE status = 'failed' LIMIT 1")[0]
    assert reason.startswith("not asked yet: without a token")
    for _ in range(6):
        sandbox.limits.set("github.core.anonymous", 12)
        last = poor.nightly()
    assert last["waiting_parts"] == 0
    assert read(poor) == REPOSITORIES
