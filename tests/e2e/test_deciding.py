"""The review queue in the terminal: what is asked, what a decision changes, what comes back and what does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from db import decide
from db.session import make_engine, session_scope
from pipelines.errors import DecisionError


def rated(desk, table) -> dict[tuple[str, str], str]:
    """The confirmed ratings as they are exported."""
    return {(row["slug"], row["dimension"]): row["class"] for row in table(desk.export("csv"))}


def decision(desk, kind, question, *options):
    return desk.run("proposals", kind, str(question["id"]), *options)


class TestQuestions:
    def test_what_is_not_rated_yet_is_a_question_and_what_cannot_be_told_is_none(self, small):
        questions, cells = small.questions(), small.cells()
        assert questions.keys() == {cell for cell, row in cells.items() if row["class"] is not None}
        assert {question["current"] for question in questions.values()} == {None}

    def test_a_proposal_equal_to_the_rating_is_no_question(self, small):
        cell, question = next(iter(small.questions().items()))
        path = small.folder / "ratings.csv"
        path.write_text(f"slug,dimension,class,link\n{cell[0]},{cell[1]},{question['class']},\n")
        small.run("import", "ratings", str(path))
        assert cell not in small.questions()
        small.nightly("--full")
        assert cell not in small.questions()

    def test_filters_narrow_the_list_and_can_be_combined(self, small):
        everything = small.questions()
        only = small.questions("--project", "trellis", "--dimension", "license", "--dimension", "opencode")
        assert set(only) == {
            cell for cell in everything if cell[0] == "trellis" and cell[1] in ("license", "opencode")
        }
        assert {q["class"] for q in small.questions("--class", "closed").values()} == {"closed"}
        sure = small.questions("--min-confidence", "0.8")
        assert set(sure) == {cell for cell, q in everything.items() if q["confidence"] >= 0.8}
        assert len(small.questions("--limit", "3")) == 3
        assert "questions" in small.run("proposals", "list", "--limit", "3").out

    def test_the_biggest_change_comes_first(self, second_night):
        rank = {"closed": 0, "partial": 1, "open": 2}
        changes = [
            abs(rank[q["class"]] - rank[q["current"]])
            for q in second_night.questions().values()
            if q["current"] in rank and q["class"] in rank
        ]
        assert changes == sorted(changes, reverse=True)
        assert changes[0] == 2

    def test_show_and_explain_lead_back_to_the_bytes(self, small):
        question = small.questions()["trellis", "license"]
        detail = small.run("proposals", "show", str(question["id"]), "--json").json
        explained = small.run("explain", "trellis", "license", "--json").json
        assert detail["evidence"] == explained["evidence"]
        shown = small.run("proposals", "show", str(question["id"])).out
        told = small.run("explain", "trellis", "license").out
        for item in detail["evidence"]:
            assert item["sha256"][:12] in shown
            assert item["url"] in shown
            assert item["url"] in told
        assert "MIT" in shown
        assert f"accept {question['id']}" in shown


class TestDeciding:
    def test_accepting_makes_the_class_the_rating(self, small, table):
        question = small.questions()["trellis", "license"]
        said = decision(small, "accept", question, "--note", "checked").out
        assert "Test Curator" in said
        assert rated(small, table) == {("trellis", "license"): question["class"]}
        assert table(small.export("csv"))[0]["link"] == question["link"]
        assert ("trellis", "license") not in small.questions()
        assert "checked" in small.export("json")

    def test_overriding_gives_another_class(self, small, table):
        question = small.questions()["trellis", "license"]
        decision(
            small,
            "override",
            question,
            "--class",
            "partial",
            "--reason",
            "only the code",
            "--link",
            "https://a.example/",
        )
        assert rated(small, table) == {("trellis", "license"): "partial"}
        assert table(small.export("csv"))[0]["link"] == "https://a.example/"
        assert ("trellis", "license") not in small.questions()

    def test_a_cell_can_be_not_applicable(self, small, table):
        question = small.questions()["trellis", "package"]
        decision(small, "override", question, "--class", "not_applicable", "--reason", "no package")
        assert rated(small, table) == {("trellis", "package"): ""}

    def test_rejecting_leaves_the_rating_and_stays_away_until_the_evidence_changes(
        self, small, sandbox, table
    ):
        cell = ("trellis", "license")
        question = small.questions()[cell]
        decision(small, "reject", question, "--reason", "somebody else's repository")
        assert cell not in small.questions()
        small.run("rate")
        small.nightly("--full")
        assert cell not in small.questions()
        assert rated(small, table) == {}
        sandbox.change("github/hawthorn-tools/trellis/files/LICENSE", licence="hawthorn-fair-source")
        small.nightly(code=None)
        back = small.questions()[cell]
        assert back["id"] != question["id"]
        history = small.run("proposals", "show", str(back["id"]), "--json").json["decisions"]
        assert [d["kind"] for d in history] == ["reject"]

    def test_a_rating_stands_when_its_evidence_changes_and_the_question_shows_both(
        self, small, sandbox, table
    ):
        cell = ("trellis", "license")
        decision(small, "accept", small.questions()[cell])
        sandbox.set_night(2)
        small.nightly(code=None)
        assert rated(small, table) == {cell: "open"}
        cells = small.cells()
        if cells[cell]["class"] not in ("open", None):
            detail = small.run("proposals", "show", str(small.questions()[cell]["id"]), "--json").json
            assert detail["current"] == "open"
            assert detail["then"]["class"] == "open"

    def test_a_deferred_question_comes_back_on_its_day(self, small):
        cell = ("trellis", "license")
        question = small.questions()[cell]
        decision(small, "defer", question, "--until", "2999-12-31", "--reason", "release announced")
        assert cell not in small.questions()
        small.run("proposals", "undo", *cell, "--reason", "not announced after all")
        assert cell in small.questions()
        done = small.run(
            "proposals", "defer", str(question["id"]), "--until", "2001-01-01", "--reason", "x", code=2
        )
        assert "future" in done.err

    def test_undoing_brings_the_question_back_and_stays_on_record(self, small, table):
        cell = ("trellis", "license")
        question = small.questions()[cell]
        decision(small, "accept", question)
        small.run("proposals", "undo", *cell, "--reason", "wrong repository")
        assert rated(small, table) == {}
        assert small.questions()[cell]["id"] == question["id"]
        history = small.run("proposals", "show", str(question["id"]), "--json").json["decisions"]
        assert [(d["kind"], d["in_force"]) for d in history] == [("confirm", False), ("undo", True)]
        assert "wrong repository" in small.run("proposals", "show", str(question["id"])).out
        assert "no decision" in small.run("proposals", "undo", *cell, "--reason", "again", code=2).err

    def test_undoing_an_override_brings_back_what_was_decided_before(self, small, table):
        cell = ("trellis", "license")
        path = small.folder / "ratings.csv"
        path.write_text("slug,dimension,class,link\ntrellis,license,closed,https://a.example/\n")
        small.run("import", "ratings", str(path))
        decision(small, "override", small.questions()[cell], "--class", "partial", "--reason", "half of it")
        assert rated(small, table)[cell] == "partial"
        small.run("proposals", "undo", *cell, "--reason", "no")
        assert rated(small, table)[cell] == "closed"

    def test_a_decision_is_made_once(self, small):
        question = small.questions()["trellis", "license"]
        decision(small, "accept", question)
        done = small.run("proposals", "accept", str(question["id"]), code=2)
        assert "decided already" in done.err
        assert "Test Curator" in done.err
        assert small.count("decisions") == 1

    def test_a_superseded_proposal_cannot_be_decided(self, small, sandbox):
        question = small.questions()["trellis", "license"]
        sandbox.change("github/hawthorn-tools/trellis/files/LICENSE", licence="hawthorn-fair-source")
        small.nightly(code=None)
        assert "superseded" in small.run("proposals", "accept", str(question["id"]), code=2).err

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("reject", ()),
            ("override", ("--class", "closed")),
            ("defer", ("--until", "2999-01-01")),
            ("reject", ("--reason", "  ")),
            ("override", ("--class", "closed", "--reason", "")),
        ],
    )
    def test_every_decision_but_a_confirmation_needs_a_reason(self, kind, options, small):
        question = small.questions()["trellis", "license"]
        done = small.run("proposals", kind, str(question["id"]), *options, code=2)
        assert "reason" in done.err
        assert small.count("decisions") == 0

    def test_a_decision_without_a_class_to_decide_on_is_refused(self, few, sandbox):
        sandbox.fault("", "status", status=503)
        few.nightly(code=4)
        row = few.cells()["trellis", "license"]
        assert row["class"] is None
        assert "gives no class" in few.run("proposals", "accept", str(row["id"]), code=2).err
        few.run("proposals", "override", str(row["id"]), "--class", "open", "--reason", "I looked myself")

    def test_who_decides_is_recorded(self, small):
        question = small.questions()["trellis", "license"]
        decision(small, "accept", question, "--curator", "Somebody Else")
        (entry,) = small.run("proposals", "show", str(question["id"]), "--json").json["decisions"]
        assert entry["curator"] == "Somebody Else"


class TestSeveralCurators:
    def test_of_two_who_decide_at_once_one_is_told(self, small):
        question = small.questions()["trellis", "license"]
        engine = make_engine(f"sqlite:///{small.database}")
        results: list[str] = []
        together = threading.Barrier(2)

        def act(name):
            together.wait()
            try:
                with session_scope(engine, write=True) as session:
                    decide.accept(session, question["id"], curator=name, now=datetime.now(UTC), expected=0)
                results.append("done")
            except DecisionError as error:
                results.append(str(error))

        threads = [threading.Thread(target=act, args=(name,)) for name in ("Ada", "Ben")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.dispose()
        assert sorted(result == "done" for result in results) == [False, True]
        assert any("decided" in result for result in results)
        assert small.count("decisions") == 1

    def test_who_has_not_seen_the_latest_decision_is_told(self, small):
        question = small.questions()["trellis", "license"]
        decision(small, "defer", question, "--until", "2999-01-01", "--reason", "later", "--curator", "Ada")
        engine = make_engine(f"sqlite:///{small.database}")
        try:
            with (
                pytest.raises(DecisionError, match=r"decided meanwhile.*Ada"),
                session_scope(engine, write=True) as session,
            ):
                decide.accept(session, question["id"], curator="Ben", now=datetime.now(UTC), expected=0)
        finally:
            engine.dispose()


def test_decisions_stay_where_they_are_whatever_the_rules_say(second_night, table):
    """The second night changed many proposals and not one rating."""
    current = rated(second_night, table)
    assert current["trellis", "license"] == "open"
    assert current["gorse", "opencode"] == "open"
