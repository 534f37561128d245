"""What goes in and out as files; rating from what is stored; the state of database and archive."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import stat

import pytest
import yaml

from pipelines.rubric import load_rubric
from sandbox import EXPECTED, RATINGS, SEEDS

DIMENSIONS = load_rubric().dimension_ids
FIGURES = {
    *("n", "coverage", "accuracy", "within_one", "kappa_weighted", "kappa"),
    *("per_dimension", "calibration", "high_confidence"),
}


class TestRatings:
    def test_taking_over_published_ratings_twice_is_taking_them_over_once(self, night, table):
        number = len(table(RATINGS.read_text(encoding="utf-8")))
        once = night.run("import", "ratings", str(RATINGS), "--json").json
        assert once == {"confirmed": number, "unchanged": 0, "conflicts": 0}
        twice = night.run("import", "ratings", str(RATINGS), "--json").json
        assert twice == {"confirmed": 0, "unchanged": number, "conflicts": 0}
        assert night.count("decisions") == number

    def test_what_is_exported_is_what_was_taken_over(self, night, table):
        night.run("import", "ratings", str(RATINGS))

        def key(row):
            return row["slug"], row["dimension"]

        given = sorted(table(RATINGS.read_text(encoding="utf-8")), key=key)
        assert sorted(table(night.export("csv")), key=key) == given

    def test_what_a_person_decided_is_left_alone_and_said(self, small):
        question = small.questions()["trellis", "license"]
        small.run("proposals", "override", str(question["id"]), "--class", "partial", "--reason", "half")
        path = small.folder / "ratings.csv"
        path.write_text("slug,dimension,class,link\ntrellis,license,closed,\n")
        done = small.run("import", "ratings", str(path))
        assert "left alone: trellis license" in done.err
        assert "partial" in small.export("csv")

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("slug,dimension,class,link\ntrellis,licence,open,\n", "licence"),
            ("slug,dimension,class,link\ntrellis,license,wide open,\n", "wide open"),
            ("slug,dimension,class,link\ntreliss,license,open,\n", "trellis"),
            ("slug,dimension,class,link\ntrellis,license,open,\ntrellis,license,closed,\n", "trellis"),
            ("project,class\ntrellis,open\n", "ratings.csv:1"),
            ("", "ratings.csv"),
        ],
    )
    def test_a_file_with_a_mistake_is_refused_whole(self, text, named, small):
        path = small.folder / "ratings.csv"
        path.write_text(text)
        assert named in small.run("import", "ratings", str(path), code=2).err
        assert small.count("decisions") == 0

    def test_without_projects_there_is_nothing_to_rate(self, desk):
        assert "knows no project" in desk.run("import", "ratings", str(RATINGS), code=2).err


class TestSeeds:
    def test_the_same_file_twice_changes_nothing(self, desk):
        slugs = [entry["slug"] for entry in yaml.safe_load(SEEDS.read_text(encoding="utf-8"))]
        assert sorted(desk.run("import", "seeds", str(SEEDS), "--json").json["added"]) == sorted(slugs)
        again = desk.run("import", "seeds", str(SEEDS), "--json").json
        assert sorted(again.pop("unchanged")) == sorted(slugs)
        assert set(map(tuple, again.values())) == {()}


class TestExports:
    def test_csv_is_what_scripts_rely_on(self, second_night, table):
        text = second_night.export("csv")
        assert text.splitlines()[0] == "slug,dimension,class,link"
        rows = table(text)
        order = [(row["slug"], DIMENSIONS.index(row["dimension"])) for row in rows]
        assert order == sorted(order)
        assert {row["class"] for row in rows} == {"open", "partial", "closed", ""}

    def test_json_leads_back_from_every_rating(self, late_night):
        question = next(iter(late_night.questions().values()))
        late_night.run("proposals", "accept", str(question["id"]))
        document = json.loads(late_night.export("json"))
        assert document["format"] == "openness-ratings"
        assert [d["id"] for d in document["rubric"]["dimensions"]] == list(DIMENSIONS)
        projects = {project["slug"]: project for project in document["projects"]}
        assert all(list(project["ratings"]) == list(DIMENSIONS) for project in projects.values())
        rating = projects[question["slug"]]["ratings"][question["dimension"]]
        assert rating["class"] == question["class"]
        assert rating["curator"] == "Test Curator"
        assert rating["decided_at"].endswith("Z")
        bodies = {row[0] for row in late_night.rows("SELECT sha256 FROM snapshots")}
        assert {item["sha256"] for item in rating["evidence"]} <= bodies

    def test_proposals_stand_beside_the_current_ratings(self, second_night, table):
        rows = table(second_night.export("proposals"))
        assert list(rows[0]) == "slug,dimension,class,confidence,current,link,rationale,rule,evidence".split(
            ","
        )
        assert len(rows) == len(second_night.cells())
        assert {row["class"] for row in rows} <= {"open", "partial", "closed", "", "cannot_tell"}
        ratings = {(row["slug"], row["dimension"]): row["class"] for row in table(second_night.export("csv"))}
        for row in rows:
            assert row["current"] == ratings.get((row["slug"], row["dimension"]), "")
            assert 0 <= float(row["confidence"]) <= 1
            for item in json.loads(row["evidence"]):
                assert list(item) == ["artifact", "url", "fetched_at", "sha256", "quote"]

    def test_a_file_is_written_whole_with_its_folder_and_for_everybody_to_read(self, small):
        target = small.folder / "out" / "deep" / "proposals.csv"
        done = small.run("export", "proposals", str(target))
        assert done.out == ""
        assert target.read_bytes().decode("utf-8") == small.export("proposals")
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask
        assert list(target.parent.iterdir()) == [target]

    @pytest.mark.parametrize("what", ["csv", "json", "proposals"])
    def test_a_place_that_cannot_be_written_is_named(self, what, small):
        (small.folder / "file").write_text("")
        done = small.run("export", what, str(small.folder / "file" / "out"), code=2)
        assert "cannot be written" in done.err
        done = small.run("export", what, str(small.folder), code=2)
        assert "cannot be written" in done.err


class TestEvaluate:
    @pytest.fixture
    def published(self, first_night, tmp_path):
        path = tmp_path / "published.csv"
        rows = csv.DictReader(EXPECTED.read_text(encoding="utf-8").splitlines())
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, ["slug", "dimension", "class", "link"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "link": ""} for row in rows)
        path.write_text(out.getvalue(), encoding="utf-8")
        return path

    def test_prints_the_keys_that_scripts_rely_on(self, first_night, published):
        figures = first_night.run("evaluate", str(published), "--json").json
        assert figures.keys() >= FIGURES
        assert set(figures["per_dimension"]) == set(DIMENSIONS)
        for found in figures["per_dimension"].values():
            assert found.keys() >= {"n", "accuracy", "kappa_weighted", "confusion"}
        for bin_ in figures["calibration"]:
            assert bin_.keys() >= {"confidence", "n", "accuracy"}
        assert figures["high_confidence"].keys() >= {"threshold", "coverage", "accuracy"}
        assert figures["n"] == len(published.read_text().splitlines()) - 1

    def test_the_sandbox_is_read_better_than_by_chance(self, first_night, published):
        figures = first_night.run("evaluate", str(published), "--json").json
        assert figures["coverage"] > 0.9
        assert figures["accuracy"] > 0.6
        assert figures["within_one"] > figures["accuracy"]

    def test_shows_a_table_to_people(self, first_night, published):
        out = first_night.run("evaluate", str(published)).out
        assert all(dimension in out for dimension in DIMENSIONS)

    def test_a_project_that_nobody_knows_counts_as_not_rated(self, first_night, tmp_path):
        path = tmp_path / "other.csv"
        path.write_text("slug,dimension,class,link\nnobody,license,open,\n")
        figures = first_night.run("evaluate", str(path), "--json").json
        assert (figures["n"], figures["coverage"]) == (1, 0.0)


class TestRatingAnew:
    def test_touches_no_network_and_says_the_same_byte_for_byte(self, night, sandbox):
        before = night.export("proposals")
        report = night.run("rate", "--json").json
        assert night.export("proposals") == before
        assert report["new_proposals"] == 0
        assert report["sources"] == {}
        nowhere = night.with_env(
            GITHUB_API_URL="http://127.0.0.1:9", HF_ENDPOINT="http://127.0.0.1:9", GITHUB_TOKEN=None
        )
        assert nowhere.run("rate", "trellis").err == ""
        assert sandbox.requests == []

    def test_a_database_that_is_rated_anew_from_its_snapshots_says_the_same(self, small):
        before = small.export("proposals")
        other = small.with_env(OPENNESS_DATABASE_URL=f"sqlite:///{small.folder / 'other.db'}")
        other.run("crawl", "--json")
        other.run("rate")

        def told(text):
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            for row in rows:
                row["evidence"] = [
                    {**item, "fetched_at": ""}
                    for item in json.loads(row["evidence"])  # type: ignore[misc]
                ]
            return rows

        assert told(other.export("proposals")) == told(before)

    def test_nothing_would_change_where_nothing_has_changed(self, small, sandbox):
        proposals = small.count("proposals")
        assert small.run("rate", "--diff", "--json").json["changes"] == []
        assert "0 cells would change" in small.run("rate", "--diff").out
        assert small.count("proposals") == proposals
        assert sandbox.requests == []

    def test_what_was_crawled_and_not_rated_yet_is_shown_and_not_stored(self, few, sandbox):
        few.run("crawl")
        proposals = few.count("proposals")
        assert proposals == 0
        changes = few.run("rate", "--diff", "--json").json["changes"]
        assert {change["from"] for change in changes} == {"none"}
        assert {(change["published"], change["worth"]) for change in changes} == {(None, "neither")}
        assert len(changes) == 2 * len(DIMENSIONS)
        right = next(change for change in changes if change["to"] == "open")
        ratings = few.folder / "published.csv"
        ratings.write_text(
            f"slug,dimension,class,link\n{right['slug']},{right['dimension']},open,\n", "utf-8"
        )
        told = few.run("rate", "--diff", "--against", str(ratings), "--json").json
        assert (told["cells"], told["better"], told["worse"]) == (1, 1, 0)
        assert (told["before"]["accuracy"], told["after"]["accuracy"]) == (0.0, 1.0)
        text = few.run("rate", "--diff", "--against", str(ratings)).out
        assert "1 better, 0 worse" in text
        assert "accuracy 0.0 % → 100.0 %" in text
        assert few.run("rate", "--against", str(ratings), code=2).err
        assert few.count("proposals") == proposals
        few.run("rate", "trellis")
        assert few.count("proposals") == len(DIMENSIONS)

    def test_one_project_can_be_crawled_alone(self, small, sandbox):
        small.run("crawl", "trellis")
        assert sandbox.requests
        assert not any("sorrel" in entry.path for entry in sandbox.requests)


class TestState:
    def test_status_counts(self, small):
        told = small.run("status", "--json").json
        assert told["projects"] == 2
        assert told["cells"] == 2 * len(DIMENSIONS)
        assert told["rated_cells"] == 0
        assert told["questions"] == len(small.questions())
        assert told["last_run"]["status"] == "done"
        assert told["last_run"]["exit_code"] == 0
        assert told["budget_left"]["github"] > 0
        shown = small.run("status").out
        assert "2 projects" in shown
        assert "budget left at github" in shown

    def test_status_of_nothing(self, desk):
        told = desk.run("status", "--json").json
        assert (told["projects"], told["last_run"]) == (0, None)
        assert "no run yet" in desk.run("status").out

    def test_a_database_is_brought_up_to_date_and_stays_so(self, desk):
        first = desk.run("db", "upgrade").out
        assert "revision" in first
        assert desk.run("db", "upgrade").out == first

    def test_a_sound_one_is_sound(self, small):
        assert "sound" in small.run("db", "check").out

    def test_a_damaged_body_is_named(self, small):
        path = sorted(small.archive.rglob("*.gz"))[0]
        path.write_bytes(gzip.compress(b"something else"))
        done = small.run("db", "check", code=1)
        assert path.name.removesuffix(".gz") in done.out
        assert "damaged" in done.out

    def test_a_body_that_is_gone_and_a_foreign_file_are_named(self, small):
        path = sorted(small.archive.rglob("*.gz"))[0]
        path.unlink()
        (small.archive / "notes.txt").write_text("hello")
        out = small.run("db", "check", code=1).out
        assert path.name.removesuffix(".gz") in out
        assert "notes.txt" in out
        assert len(out.splitlines()) == 2

    def test_a_damaged_database_is_said(self, small):
        body = bytearray(small.database.read_bytes())
        body[4096 * 3 : 4096 * 40] = os.urandom(4096 * 37)
        small.database.write_bytes(bytes(body))
        done = small.run("db", "check", code=1)
        assert done.out
        assert "Traceback" not in done.said
