"""What fails, is denied or is late says nothing about a project."""

from __future__ import annotations

import time

import pytest

from pipelines.model import ArtifactKind


class TestAServiceThatIsDownForANight:
    @pytest.mark.parametrize(
        ("source", "pattern"), [("github", "^/github/"), ("huggingface", "^/hf/"), ("pypi", "^/pypi/")]
    )
    def test_moves_no_proposal_and_is_told(self, source, pattern, small, sandbox):
        before = small.proposed()
        sandbox.fault(pattern, "status", status=503)
        report = small.nightly(code=3)
        assert report["new_snapshots"] == report["new_proposals"] == 0
        assert small.proposed() == before
        assert not {"ok", "unchanged", "missing"} & report["sources"][source].keys()
        assert report["unread"]
        assert all("503" in entry["reason"] for entry in report["unread"] if entry["status"] == "failed")

    def test_on_the_web_moves_no_proposal_either(self, pages, sandbox):
        before = pages.proposed()
        sandbox.fault("^/web/", "status", status=503)
        report = pages.nightly(code=4)
        assert report["new_snapshots"] == report["new_proposals"] == 0
        assert pages.proposed() == before

    def test_makes_what_rests_on_stale_readings_less_sure(self, small, sandbox):
        sure = "SELECT confidence FROM proposals WHERE is_current AND rule = 'license' ORDER BY id"
        before = small.rows(sure)
        sandbox.fault("^/github/", "status", status=503)
        small.nightly(code=3)
        assert 0 < small.rows(sure)[0][0] < before[0][0]

    def test_leaves_stale_readings_that_status_names(self, small, sandbox):
        sandbox.fault("^/github/", "status", status=503)
        small.nightly(code=3)
        told = small.run("status", "--json").json
        assert told["last_run"]["exit_code"] == 3
        stale = {entry["artifact"] for entry in told["unread"] if entry["stale"]}
        assert {"github:hawthorn-tools/trellis", "github:quillwort/sorrel"} <= stale
        assert "earlier reading stands" in small.run("status").out

    def test_the_next_night_finds_what_changed_in_between(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis", delete=True)
        sandbox.fault("^/github/", "status", status=503)
        small.nightly(code=3)
        assert small.classes()["trellis", "opencode"] != "closed"
        sandbox.clear_faults()
        small.nightly()
        assert small.classes()["trellis", "opencode"] == "closed"

    @pytest.mark.parametrize("kind", ["reset", "truncate", "garbage"])
    def test_answers_that_are_no_answers_count_as_failures(self, kind, small, sandbox):
        before = small.proposed()
        sandbox.fault("", kind)
        # Asked conditionally, the services would answer 304, which has no body to be spoilt.
        report = small.nightly("--full", code=4)
        assert report["internal_errors"] == []
        assert report["new_proposals"] == 0
        assert small.proposed() == before

    def test_spoilt_pages_count_as_failures(self, pages, sandbox):
        before = pages.proposed()
        sandbox.fault("^/web/https/(oleander|larkspur).example/(monkshood)?$", "truncate")
        sandbox.fault("^/web/https/fennel-hollow.example/$", "garbage")
        report = pages.nightly("--full", code=4)
        assert report["internal_errors"] == []
        assert report["failed"] == 3
        assert pages.proposed() == before

    def test_costs_few_requests(self, small, sandbox):
        sandbox.fault("^/github/", "reset")
        report = small.nightly(code=3)
        assert report["sources"]["github"]["requests"] <= 12


class TestAFirstNightOnWhichEverythingIsDown:
    def test_gathers_nothing_says_so_and_judges_nothing(self, desk, sandbox):
        sandbox.fault("", "status", status=503)
        report = desk.nightly(code=4)
        assert report["failed"] == report["artifacts"] - report["artifacts_by_kind"].get("lineage", 0)
        assert {(entry["status"]) for entry in report["unread"]} == {"failed"}
        assert "closed" not in desk.classes().values()
        for stored in desk.proposals():
            if stored.proposal.rating is not None:
                # What the lineage file knows was not read from any service.
                assert {item.ref.kind for item in stored.proposal.evidence} == {ArtifactKind.LINEAGE}

    def test_is_made_up_for_by_the_next_night(self, few, sandbox, first_night):
        sandbox.fault("", "reset")
        few.nightly(code=4)
        sandbox.clear_faults()
        few.nightly()
        usual = first_night.classes()
        assert all(value == usual[cell] for cell, value in few.classes().items())

    def test_without_a_network_at_all_it_is_the_same(self, few):
        nowhere = "http://127.0.0.1:9"
        lost = few.with_env(
            GITHUB_API_URL=nowhere,
            GITHUB_GRAPHQL_URL=f"{nowhere}/graphql",
            HF_ENDPOINT=nowhere,
            OPENNESS_PYPI_URL=nowhere,
            OPENNESS_ARXIV_URL=nowhere,
            OPENNESS_WEB_GATEWAY=nowhere + "/{host}{path}",
            OPENNESS_ALLOW_PRIVATE_HOSTS="127.0.0.1:9",
            OPENNESS_LINEAGE=None,
        )
        report = lost.nightly(code=4)
        assert set(lost.classes().values()) == {None}
        assert report["cannot_tell"] == report["proposals"]
        assert "no connection" in str(report["unread"])


class TestDenied:
    @pytest.mark.parametrize("status", [403, 451])
    def test_is_no_closed(self, status, desk, sandbox, seeds):
        path = seeds(
            walled=[{"kind": "hf_model", "id": "fennelhollow/fennel-3b-instruct", "role": "rl_weights"}],
            open_one=[{"kind": "github", "id": "hawthorn-tools/trellis", "role": "code"}],
        )
        sandbox.fault("^/hf/.*fennel-3b-instruct", "status", status=status)
        report = desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_LINKS_PER_PROJECT="0").nightly(code=None)
        assert report["denied"] == 1
        cells = desk.cells()
        assert {cells["walled", "rlweights"]["class"], cells["walled", "license"]["class"]} == {None}
        assert all(row["class"] != "closed" for (slug, _), row in cells.items() if slug == "walled")
        assert cells["open-one", "license"]["class"] == "open"

    def test_a_gate_is_partial_and_its_card_is_still_read(self, first_night):
        cells = first_night.cells()
        assert cells["monkshood-chat", "rlweights"]["class"] == "partial"
        assert "gated" in cells["monkshood-chat", "rlweights"]["rationale"]

    def test_a_login_page_is_not_the_page(self, pages, sandbox):
        before = pages.proposed()
        sandbox.fault("^/web/https/fennel-hollow.example/$", "login_page")
        sandbox.fault("^/web/https/larkspur.example/monkshood", "login_page", status=200)
        report = pages.nightly("--full")
        assert {entry["artifact"] for entry in report["unread"] if entry["status"] == "denied"} == {
            "web:https://fennel-hollow.example/",
            "web:https://larkspur.example/monkshood",
        }
        assert report["new_snapshots"] == 0
        assert pages.proposed() == before


class TestLimits:
    def test_without_a_token_the_limit_is_said_and_kept(self, few, sandbox):
        sandbox.limits.set("github.core.anonymous", 6)
        # What waits for its turn has not failed.
        done = few.with_env(GITHUB_TOKEN=None).run("nightly", "--json", code=0)
        assert "No GITHUB_TOKEN" in done.err
        asked = [entry for entry in sandbox.requests if entry.service == "github"]
        assert 5 <= len(asked) <= 7
        (budget,) = [part for part in done.json["budget"] if part["service"] == "github"]
        assert (budget["limit"], budget["waits"]) == (6, 1)
        # A repository that did not get its turn is not judged by it.
        (slug,) = budget["first_waiting"]
        assert few.classes()[slug, "opencode"] is None

    def test_a_service_that_hangs_is_waited_for_as_long_as_is_set(self, small, sandbox):
        before = small.proposed()
        sandbox.fault("^/(github|pypi|arxiv)/", "hang", seconds=30)
        began = time.monotonic()
        report = small.with_env(OPENNESS_HTTP_TIMEOUT="0.5").nightly(code=3)
        assert time.monotonic() - began < 12
        assert "in time" in str(report["unread"])
        assert small.proposed() == before

    def test_an_endless_answer_is_cut_off(self, small, sandbox):
        before = small.proposed()
        sandbox.fault("README.md", "huge", size=100_000_000)
        report = small.nightly("--full", code=3)
        # Four cards, each cut off after four mebibytes.
        assert report["sources"]["huggingface"]["bytes"] < 4 * 5_000_000
        assert small.proposed() == before

    def test_an_endless_page_is_cut_off(self, pages, sandbox):
        before = pages.proposed()
        sandbox.fault("^/web/https/fennel-hollow.example/$", "huge", size=100_000_000)
        report = pages.nightly("--full", code=3)
        assert report["sources"]["web"]["bytes"] < 10_000_000
        assert pages.proposed() == before
