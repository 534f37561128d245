"""What a first night brings, that the same night again brings nothing, and what a changed world brings."""

from __future__ import annotations

import csv
import json

import pytest
import yaml

from pipelines.model import ArtifactKind, ArtifactRef, Quote
from pipelines.rubric import load_rubric
from pipelines.text import decoded_text
from sandbox import EXPECTED_NIGHT2, RATINGS, SEEDS

SLUGS = [entry["slug"] for entry in yaml.safe_load(SEEDS.read_text(encoding="utf-8"))]
DIMENSIONS = load_rubric().dimension_ids
REPORT_KEYS = {
    *("run", "kind", "started", "ended", "seconds", "artifacts", "artifacts_by_kind", "sources"),
    *("new_snapshots", "failed", "denied", "missing", "unread", "internal_errors"),
    *("projects", "proposals", "new_proposals", "cannot_tell", "questions"),
}
# Rows of the second night in which what happened leaves no doubt.
CERTAIN = {
    ("trellis", "license"),  # the licence file was swapped
    ("gorse", "opencode"),  # the only repository is gone
    ("kelpie-instruct", "rlweights"),  # a gate in front of the weights
}


class TestFirstNight:
    def test_reports_what_was_done_and_ends_with_the_code_that_fits(self, first_night, first_report):
        assert first_report.keys() >= REPORT_KEYS
        assert first_report["internal_errors"] == []
        assert first_report["failed"] == 0
        run = first_night.last_run()
        assert run.exit_code == 0
        assert run.report == first_report

    def test_visits_every_artifact_of_every_seed(self, first_night):
        visited = {
            (kind, name)
            for kind, name in first_night.rows(
                "SELECT a.kind, a.identifier FROM artifacts a JOIN parts p ON p.artifact_id = a.id"
                " JOIN visits v ON v.part_id = p.id"
            )
        }
        for entry in yaml.safe_load(SEEDS.read_text(encoding="utf-8")):
            for artifact in entry["artifacts"]:
                assert (artifact["kind"], artifact["id"]) in visited, entry["slug"]

    def test_follows_links_to_data_papers_and_packages(self, first_report):
        kinds = first_report["artifacts_by_kind"]
        assert all(kinds[kind] > 0 for kind in ("hf_dataset", "arxiv", "pypi", "web", "lineage"))

    def test_proposes_something_for_every_dimension_of_every_project(self, first_night, first_report):
        assert set(first_night.cells()) == {(slug, name) for slug in SLUGS for name in DIMENSIONS}
        assert first_report["projects"] == len(SLUGS)
        assert first_report["proposals"] == first_report["new_proposals"] == len(SLUGS) * len(DIMENSIONS)

    def test_every_proposal_has_evidence_or_says_where_it_was_looked_for(self, first_night):
        for stored in first_night.proposals():
            proposal = stored.proposal
            assert proposal.evidence or proposal.searched, (proposal.slug, proposal.dimension)
            assert proposal.rationale

    def test_every_quote_is_its_slice_of_the_stored_text(self, first_night):
        proposals = [stored.proposal for stored in first_night.proposals()]
        quoted = [
            item
            for proposal in proposals
            for item in (*proposal.evidence, *(e for f in proposal.findings for e in f.evidence))
        ]
        bodies = first_night.bodies(list({item.ref for item in quoted}))
        texts = {key: decoded_text(body) for key, body in bodies.items()}
        checked = 0
        for item in quoted:
            body = bodies[str(item.ref), item.part]
            assert item.sha256 == body.sha256
            if isinstance(item.where, Quote):
                text = texts[str(item.ref), item.part]
                assert text[item.where.start : item.where.end] == item.where.text
                checked += 1
        assert checked > 100

    def test_a_tuned_model_is_judged_by_its_base(self, first_night):
        """The lineage file knows the base of kelpie, which has no card anywhere."""
        found = [
            stored.proposal
            for stored in first_night.proposals()
            if (stored.proposal.slug, stored.proposal.dimension) == ("kelpie-instruct", "llmdata")
        ]
        assert any(item.ref.kind is ArtifactKind.LINEAGE for item in found[0].evidence)

    def test_cells_without_doubt_are_proposed_as_a_careful_reader_finds_them(self, first_night):
        classes = first_night.classes()
        assert classes["fennel-instruct", "llmweights"] == "open"
        assert classes["fennel-instruct", "license"] == "open"
        assert classes["monkshood-chat", "llmweights"] == "partial"  # gated
        assert classes["monkshood-chat", "license"] == "closed"  # the maker's own restrictive terms
        assert classes["trellis", "license"] == "open"
        assert classes["oleander-assistant", "rlweights"] == "closed"

    def test_a_claim_alone_opens_nothing(self, first_night):
        """Foxglove calls itself fully open; its licence is the maker's own and its data is not there."""
        classes = first_night.classes()
        assert classes["foxglove-ultra", "license"] != "open"
        assert classes["foxglove-ultra", "llmdata"] != "open"


class TestTheSameNightAgain:
    def test_adds_no_snapshot_and_no_proposal_and_costs_next_to_nothing(self, night, sandbox):
        before = {name: night.count(name) for name in ("snapshots", "proposals", "evidence", "findings")}
        exported = night.export("proposals")
        report = night.nightly()
        assert report["new_snapshots"] == report["new_proposals"] == 0
        assert {name: night.count(name) for name in before} == before
        assert night.export("proposals") == exported
        repositories = report["artifacts_by_kind"]["github"]
        assert report["sources"]["github"]["charged"] <= 2 * repositories
        asked = [entry for entry in sandbox.requests if entry.service == "github"]
        assert len(asked) <= 2 * repositories

    def test_counters_that_grow_are_nothing_new(self, small, sandbox):
        for thing in sandbox.world.things.values():
            counters = {"stars", "forks", "watchers", "downloads", "likes"} & thing.facts.keys()
            if counters:
                sandbox.change(thing.key, merge={name: thing.facts[name] * 3 + 1000 for name in counters})
        report = small.nightly()
        assert report["new_snapshots"] == report["new_proposals"] == 0

    def test_full_reads_everything_anew_and_finds_nothing_new(self, small, sandbox):
        report = small.nightly("--full")
        assert report["new_snapshots"] == report["new_proposals"] == 0
        assert not any(entry.conditional for entry in sandbox.requests)
        assert report["sources"]["github"]["requests"] > 1


class TestSecondNight:
    def test_is_a_night_with_one_failed_page(self, second_night, second_report):
        assert second_night.last_run().exit_code == 3
        failed = [entry for entry in second_report["unread"] if entry["status"] == "failed"]
        assert [entry["artifact"] for entry in failed] == ["web:https://barrow-sound.example/api"]

    def test_what_failed_for_a_night_moves_nothing(self, first_night, second_night):
        assert second_night.classes()["marram-chat", "api"] == first_night.classes()["marram-chat", "api"]

    def test_every_cell_that_moved_is_a_question(self, first_night, second_night):
        before, after = first_night.classes(), second_night.classes()
        questions = second_night.questions()
        cells = second_night.cells()
        for row in csv.DictReader(EXPECTED_NIGHT2.read_text(encoding="utf-8").splitlines()):
            cell = row["slug"], row["dimension"]
            moved = after[cell] != before[cell]
            if moved and cells[cell]["current"] != after[cell] and after[cell] is not None:
                assert cell in questions
                assert questions[cell]["class"] == after[cell]
                assert questions[cell]["current"] == cells[cell]["current"]

    @pytest.mark.parametrize("cell", sorted(CERTAIN), ids="-".join)
    def test_a_change_that_leaves_no_doubt_becomes_a_question(self, cell, first_night, second_night):
        assert second_night.classes()[cell] != first_night.classes()[cell]
        assert cell in second_night.questions()

    def test_a_gutted_card_is_a_question(self, night, sandbox):
        cell = ("fennel-instruct", "modelcard")
        night.run("import", "ratings", str(RATINGS))
        before = night.cells()[cell]
        assert before["class"] in ("open", "partial")
        sandbox.change(
            "hub/models/fennelhollow/fennel-3b-instruct/files/README.md",
            text="# Fennel\n\nSee our website.\n",
        )
        night.run("crawl", "fennel-instruct")
        night.run("rate", "fennel-instruct")
        question = night.questions()[cell]
        assert question["class"] not in (before["class"], "open")
        assert question["id"] != before["id"]

    def test_a_swapped_licence_is_told_with_then_and_now(self, second_night):
        question = second_night.questions()["trellis", "license"]
        assert question["current"] == "open"
        detail = second_night.run("proposals", "show", str(question["id"]), "--json").json
        assert detail["is_question"]
        now = {item["quote"] for item in detail["evidence"]}
        then = {item["quote"] for item in detail["then"]["evidence"]}
        assert now
        assert then
        assert now != then
        shown = second_night.run("proposals", "show", str(question["id"])).out
        assert "Evidence then" in shown

    def test_what_was_read_of_a_repository_that_is_gone_counts_no_more(self, second_night):
        gone = ArtifactRef(kind=ArtifactKind.GITHUB, id="heathland/gorse")
        assert second_night.bodies([gone]) == {}
        assert second_night.count("snapshots") > 0
        for stored in second_night.proposals():
            if stored.proposal.slug == "gorse":
                assert gone not in {item.ref for item in stored.proposal.evidence}

    def test_decisions_of_the_past_stand(self, second_night):
        assert second_night.count("decisions") == len(
            list(csv.DictReader(second_night.export("csv").splitlines()))
        )

    def test_a_report_for_people_names_what_was_not_read(self, small, sandbox):
        sandbox.fault("^/pypi/trellis-rl", "status", status=500)
        shown = small.run("nightly", code=3).out
        assert "failed  pypi:trellis-rl  metadata  HTTP 500" in shown
        assert "questions wait for a curator" in shown


def test_a_project_that_leaves_the_seeds_is_retired_and_comes_back(small, sandbox):
    path = small.folder / "fewer.yaml"
    entries = yaml.safe_load(SEEDS.read_text(encoding="utf-8"))
    path.write_text(json.dumps([e for e in entries if e["slug"] == "sorrel-chat"]), encoding="utf-8")
    proposals = small.count("proposals")
    report = small.with_env(OPENNESS_SEEDS=str(path)).nightly()
    assert report["projects"] == 1
    assert not any("trellis" in entry.path for entry in sandbox.requests)
    assert {slug for slug, _ in small.cells()} == {"sorrel-chat"}
    report = small.nightly()
    assert report["projects"] == 2
    assert report["new_proposals"] == 0
    assert {slug for slug, _ in small.cells()} == {"trellis", "sorrel-chat"}
    assert small.count("proposals") == proposals
