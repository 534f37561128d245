"""Discovery against the sandbox: what the known makers bring out becomes a question, once."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from dataclasses import dataclass, field

import pytest

import crawler.cli
import crawler.nightly
from crawler.http import TransportRules
from crawler.sources import huggingface_listing
from sandbox import LINEAGE, Sandbox

NEW = "quillwort/burnet-7b-instruct"
SEEDS = """
- slug: sorrel-chat
  name: Sorrel-Chat-7B
  artifacts:
    - {kind: hf_model, id: quillwort/sorrel-chat-7b, role: rl_weights}
    - {kind: hf_model, id: tansycomputing/tansy-7b, role: llm_weights}
- slug: fennel-instruct
  name: Fennel-3B-Instruct
  artifacts:
    - {kind: hf_model, id: fennelhollow/fennel-3b-instruct, role: rl_weights}
"""


@pytest.fixture(scope="module")
def running():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.set_night(2)
    running.clear_faults()
    running.clear_log()
    running.limits.reset()
    return running


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Desk:
    """Runs `openness` in this process, in a folder of its own."""

    seeds: object
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments, code=0):
        out, err = io.StringIO(), io.StringIO()
        handlers, before = logging.getLogger().handlers[:], dict(os.environ)
        logging.getLogger().handlers[:] = []
        os.environ.update(self.env)
        try:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as left,
            ):
                crawler.cli.main(list(arguments))
        finally:
            logging.getLogger().handlers[:] = handlers
            os.environ.clear()
            os.environ.update(before)
        done = Done(code=int(left.value.code or 0), out=out.getvalue(), err=err.getvalue())
        assert done.code == code, f"{arguments} ended with {done.code}:\n{done.out}{done.err}"
        return done

    def discover(self, *arguments, code=0):
        return self.run("discover", "--json", *arguments, code=code).json

    def waiting(self):
        return [item["model"] for item in self.run("candidates", "list", "--json").json]


@pytest.fixture
def desk(tmp_path, sandbox, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TransportRules.__init__.__kwdefaults__, "backoff", 0.01)
    monkeypatch.setitem(TransportRules.__init__.__kwdefaults__, "retries", 1)
    (tmp_path / "seeds.yaml").write_text(SEEDS, encoding="utf-8")
    settings = {
        "OPENNESS_DATABASE_URL": f"sqlite:///{tmp_path / 'openness.db'}",
        "OPENNESS_ARCHIVE": str(tmp_path / "archive"),
        "OPENNESS_LINEAGE": str(LINEAGE),
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_PAGES_PER_PROJECT": "0",
        "OPENNESS_LINKS_PER_PROJECT": "0",
        "OPENNESS_CURATOR": "Alma",
        "GITHUB_TOKEN": "sandbox",
        "HF_HOME": str(tmp_path / "hub"),
    }
    return Desk(seeds=tmp_path / "seeds.yaml", env=sandbox.addresses | settings)


def test_a_new_model_of_a_known_maker_is_a_candidate_and_another_size_is_none(desk):
    report = desk.discover()
    assert (report["kind"], report["new_candidates"], report["candidates_waiting"]) == ("discover", 1, 1)
    assert report["discovery"]["makers"] == 3
    assert report["discovery"]["candidates"] == [
        {"id": 1, "artifact": f"hf_model:{NEW}", "maker": "quillwort"}
    ]
    kinds = report["discovery"]["models_by_kind"]
    assert kinds["project"] == 1
    assert kinds["other"] == 1
    assert kinds["variant"] >= 2
    [item] = desk.run("candidates", "list", "--json").json
    assert (item["model"], item["status"], item["url"]) == (NEW, "open", f"https://huggingface.co/{NEW}")
    said = {(reason["field"], reason["value"]) for reason in item["reasons"]}
    assert {
        ("id", "instruct"),
        ("tags", "instruct"),
        ("cardData.base_model", "tansycomputing/tansy-7b"),
    } <= said
    assert item["seed"]["artifacts"] == [
        {"kind": "hf_model", "id": NEW, "role": "rl_weights"},
        {"kind": "hf_model", "id": "tansycomputing/tansy-7b", "role": "llm_weights"},
        {"kind": "hf_dataset", "id": "hollyoak/clover-instructions", "role": "rl_data"},
    ]


def test_on_the_first_night_there_is_nothing_to_ask_about(desk, sandbox):
    sandbox.set_night(1)
    assert desk.discover()["new_candidates"] == 0


def test_one_request_a_maker_and_what_is_said_of_it(desk, sandbox):
    report = desk.discover()
    asked = [entry for entry in sandbox.requests if entry.service == "hf"] or sandbox.requests
    assert len(asked) == 3
    assert all("limit=100" in entry.query and "author=" in entry.query for entry in asked)
    assert report["sources"]["huggingface"]["requests"] == report["discovery"]["requests"] == 3
    assert report["sources"]["huggingface"]["remaining"] is not None


def test_the_same_discovery_twice_asks_once(desk):
    desk.discover()
    assert desk.discover()["new_candidates"] == 0
    assert desk.waiting() == [NEW]


def test_adopting_prints_the_seed_entry_and_the_project_stays_through_imports(desk):
    desk.discover()
    done = desk.run("candidates", "adopt", NEW)
    assert done.out.startswith("- slug: burnet-7b-instruct\n")
    assert "is a project now" in done.err
    kept = desk.run("import", "seeds", str(desk.seeds), "--json").json
    assert (kept["kept"], kept["retired"]) == (["burnet-7b-instruct"], [])
    status = desk.run("status", "--json").json
    assert (status["projects"], status["candidates"]) == (3, 0)
    desk.seeds.write_text(SEEDS + done.out, encoding="utf-8")
    taken = desk.run("import", "seeds", str(desk.seeds), "--json").json
    assert taken["kept"] == []
    assert "burnet-7b-instruct" in taken["unchanged"]
    [item] = desk.run("candidates", "list", "--status", "adopted", "--json").json
    assert (item["slug"], item["curator"], item["in_seeds"]) == ("burnet-7b-instruct", "Alma", True)
    assert desk.discover()["new_candidates"] == 0


def test_a_merged_one_belongs_to_the_project_through_imports(desk):
    desk.discover()
    said = desk.run("candidates", "merge", NEW, "sorrel-chat", "--role", "llm_weights").out
    assert said.startswith(f"{NEW} is an artifact of sorrel-chat now")
    kept = desk.run("import", "seeds", str(desk.seeds), "--json").json
    assert (kept["changed"], kept["retired"]) == ([], [])
    [item] = desk.run("candidates", "list", "--status", "merged", "--json").json
    assert (item["slug"], item["curator"], item["in_seeds"]) == ("sorrel-chat", "Alma", False)
    assert "by Alma" in desk.run("candidates", "list", "--status", "merged").out
    assert desk.discover()["new_candidates"] == 0
    assert "was merged by Alma" in desk.run("candidates", "adopt", NEW, code=2).err


def test_a_dismissed_one_stays_away_with_all_its_sizes(desk, sandbox):
    desk.discover()
    said = desk.run("candidates", "dismiss", "1", "--reason", "a demo").out
    assert said == f"{NEW} is dismissed. 0 candidates wait.\n"
    card = "---\npipeline_tag: text-generation\ntags: [chat]\n---\n# Burnet\n"
    sandbox.change("hub/models/quillwort/burnet-70b-instruct/files/README.md", text=card)
    assert desk.discover()["new_candidates"] == 0
    assert desk.waiting() == []
    shown = desk.run("candidates", "list", "--status", "all").out
    assert "dismissed" in shown
    assert "by Alma" in shown
    assert "a demo" in shown


def test_a_card_that_is_filled_in_later_brings_the_question_up_to_date(desk, sandbox):
    desk.discover()
    sandbox.change(
        f"hub/models/{NEW}/files/README.md",
        replace=[["base_model: tansycomputing/tansy-7b", "base_model: fennelhollow/fennel-7b"]],
    )
    desk.discover()
    [item] = desk.run("candidates", "list", "--json").json
    assert item["seed"]["llmbase"] == ["fennel-7b"]


def test_decisions_without_a_candidate_or_a_reason_are_usage_errors(desk):
    desk.discover()
    assert "there is no candidate" in desk.run("candidates", "adopt", "nobody/nothing", code=2).err
    assert "--reason" in desk.run("candidates", "dismiss", "1", code=2).err
    assert "there is no project 'nobody'" in desk.run("candidates", "merge", "1", "nobody", code=2).err
    assert "already the slug" in desk.run("candidates", "adopt", "1", "--slug", "sorrel-chat", code=2).err
    assert desk.waiting() == [NEW]


def test_some_makers_that_cannot_be_listed_are_named_and_the_rest_is_done(desk, sandbox):
    sandbox.fault("author=fennelhollow", "status", status=502)
    report = desk.discover(code=3)
    assert report["new_candidates"] == 1
    [failed] = report["discovery"]["failed"]
    assert (failed["maker"], failed["status"]) == ("fennelhollow", "failed")
    assert "502" in failed["reason"]
    assert "failed  fennelhollow  HTTP 502" in desk.run("discover", code=3).out


@pytest.mark.parametrize("kind", ["status", "reset", "truncate", "garbage"])
def test_a_hub_that_lists_nobody_ends_with_4_and_changes_nothing(desk, sandbox, kind):
    sandbox.fault("/api/models", kind)
    report = desk.discover(code=4)
    assert len(report["discovery"]["failed"]) == 3
    assert desk.waiting() == []
    sandbox.clear_faults()
    assert desk.discover()["new_candidates"] == 1


def test_lists_to_which_nothing_was_added_are_not_sent_again(desk, sandbox):
    first = desk.discover()["discovery"]
    sandbox.clear_log()
    again = desk.discover()["discovery"]
    asked = [entry for entry in sandbox.requests if "author=" in entry.query]
    assert [entry.status for entry in asked] == [304] * 3
    assert not any("downloads" in entry.query for entry in asked), (
        "a counter would make every answer a new one"
    )
    assert (again["models"], again["models_by_kind"]) == (first["models"], first["models_by_kind"])
    assert again["candidates"] == []


def test_an_endless_list_is_cut_off(desk, sandbox, monkeypatch):
    monkeypatch.setattr(huggingface_listing, "MAX_BYTES", 100_000)
    sandbox.fault("author=quillwort", "huge")
    report = desk.discover(code=3)
    assert [failed["maker"] for failed in report["discovery"]["failed"]] == ["quillwort"]


def test_a_token_is_in_nothing_that_is_said_or_stored(desk, sandbox, tmp_path):
    desk.env["HF_TOKEN"] = "bad-token-of-nobody"
    done = desk.run("discover", "--json", code=4)
    assert "bad-token" not in done.out + done.err + (tmp_path / "openness.db").read_bytes().decode("latin-1")
    assert "refused" in done.out


def test_pages_are_followed_within_bounds(desk, sandbox, monkeypatch):
    monkeypatch.setattr(huggingface_listing, "PAGE", 1)
    monkeypatch.setattr(huggingface_listing, "MAX_PAGES", 2)
    report = desk.discover()
    assert report["discovery"]["only_newest_read"] == ["fennelhollow", "quillwort"]
    assert report["discovery"]["requests"] == 5
    assert report["discovery"]["candidates"][0]["artifact"] == f"hf_model:{NEW}"


def test_named_makers_are_looked_at_instead_of_those_of_the_seeds(desk):
    report = desk.discover("--maker", "bindweed", "--maker", "bindweed")
    assert report["discovery"]["makers"] == 1
    assert desk.waiting() == ["bindweed/betony-2b-chat"]


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x y", "a?b=c", "a\nb"])
def test_what_cannot_be_an_account_is_a_usage_error(desk, sandbox, name):
    assert "not the name of an account" in desk.run("discover", "--maker", name, code=2).err
    assert sandbox.requests == []


def test_a_night_looks_for_candidates_and_a_defect_of_that_step_costs_nothing_else(desk, monkeypatch):
    report = desk.run("nightly", "--json").json
    assert (report["new_candidates"], report["candidates_waiting"]) == (1, 1)
    text = desk.run("status").out
    assert "1 candidates wait: openness candidates list" in text

    def explode(*arguments, **more):
        raise ZeroDivisionError("an invented defect")

    monkeypatch.setattr("crawler.discovery.discover", explode)
    done = desk.run("nightly", "--json", code=1)
    assert done.json["proposals"] > 0
    assert done.json["internal_errors"] == ["discovery: ZeroDivisionError: an invented defect"]
    assert done.json["candidates_waiting"] == 1


def test_a_night_in_which_lists_fail_is_a_night_in_which_a_source_failed(desk, sandbox):
    sandbox.fault("author=", "status", status=503)
    report = desk.run("nightly", "--json", code=3).json
    assert len(report["discovery"]["failed"]) == 3
    assert report["proposals"] > 0
    assert report["failed"] == 0


def test_a_crawl_or_rating_alone_discovers_nothing(desk):
    for command in ("crawl", "rate"):
        report = desk.run(command, "--json").json
        assert (report["new_candidates"], report["discovery"]) == (None, None)
