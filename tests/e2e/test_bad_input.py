"""Bad input: a message that names the thing, the right exit code, nothing half-written, the rest done."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3

import pytest

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
OBEYED = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{BIDI}]")
TRELLIS = {"kind": "github", "id": "hawthorn-tools/trellis", "role": "code"}
SORREL = {"kind": "hf_model", "id": "quillwort/sorrel-chat-7b", "role": "rl_weights"}


class TestSeeds:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("- {slug: one", "seeds.yaml:2: not valid YAML"),
            ("- {slug: one, name: One, artifacts: [{kind: gopher, id: a/b, role: code}]}", "gopher"),
            ("- {slug: one, name: One, artifact: []}", "artifact"),
            ("- {slug: '../one', name: One, artifacts: []}", "slug"),
            ("", "empty"),
            ("!!python/object/apply:os.system ['true']", "seeds.yaml"),
        ],
    )
    def test_a_malformed_file_is_refused_whole(self, text, named, small):
        path = small.folder / "seeds.yaml"
        path.write_text(text, encoding="utf-8")
        before = small.count("projects"), small.count("runs")
        for arguments in (["import", "seeds", str(path)], ["nightly", "--json"]):
            done = small.run(*arguments, code=2)
            assert named in done.err
            assert "Traceback" not in done.err
            assert done.out == ""
        assert (small.count("projects"), small.count("runs")) == before

    def test_every_mistake_is_named_and_no_project_of_the_file_is_taken_over(self, desk, seeds):
        path = seeds(good=[TRELLIS], bad=[{**TRELLIS, "id": "no slash"}], worse=[{**SORREL, "role": "king"}])
        done = desk.run("import", "seeds", str(path), code=2)
        assert "no slash" in done.err
        assert "king" in done.err
        assert desk.run("status", "--json").json["projects"] == 0

    def test_a_file_that_is_not_there_is_named(self, desk):
        done = desk.with_env(OPENNESS_SEEDS="nowhere.yaml").run("nightly", code=2)
        assert "nowhere.yaml does not exist" in done.err
        assert not desk.archive.exists()

    def test_a_file_that_is_not_text_is_named(self, desk):
        path = desk.folder / "seeds.yaml"
        path.write_bytes(b"- slug: caf\xe9\n")
        assert "not UTF-8" in desk.run("import", "seeds", str(path), code=2).err

    @pytest.mark.parametrize("command", [["crawl"], ["rate"], ["rate", "--diff"]])
    def test_an_unknown_slug_is_answered_with_what_is_close(self, command, small, sandbox):
        done = small.run(command[0], "treliss", *command[1:], code=2)
        assert "treliss" in done.err
        assert "trellis" in done.err
        assert sandbox.requests == []

    def test_an_unknown_slug_of_a_question_likewise(self, small):
        for arguments in (["proposals", "list", "--project", "treliss"], ["explain", "treliss", "license"]):
            assert "trellis" in small.run(*arguments, code=2).err

    def test_an_unknown_dimension_or_proposal_is_named(self, small):
        assert "no such dimension: licence" in small.run("explain", "trellis", "licence", code=2).err
        assert "999999" in small.run("proposals", "show", "999999", code=2).err


class TestSettings:
    def test_a_lineage_file_that_was_named_has_to_be_there(self, few, sandbox):
        done = few.with_env(OPENNESS_LINEAGE="nowhere.yaml").run("nightly", code=2)
        assert "nowhere.yaml does not exist" in done.err
        assert sandbox.requests == []

    def test_a_malformed_lineage_file_is_named_with_its_line(self, few, sandbox):
        path = few.folder / "lineage.yaml"
        path.write_text("- name: Base\n  maker: 3\n", encoding="utf-8")
        done = few.with_env(OPENNESS_LINEAGE=str(path)).run("crawl", code=2)
        assert "lineage.yaml:" in done.err
        assert sandbox.requests == []

    def test_the_default_lineage_file_may_be_absent(self, few):
        few.with_env(OPENNESS_LINEAGE=None).nightly()

    def test_what_the_lineage_file_said_stands_where_there_is_none(self, night, sandbox):
        before = night.proposed()
        bare = night.with_env(OPENNESS_LINEAGE=None)
        report = bare.run("crawl", "kelpie-instruct", "--json", code=3).json
        assert "no lineage file" in str(report["unread"])
        assert bare.run("rate", "kelpie-instruct", "--json").json["new_proposals"] == 0
        assert night.proposed() == before

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("OPENNESS_DATABASE_URL", "mysql://root:hunter2@localhost/x"),
            ("OPENNESS_HTTP_TIMEOUT", "soon"),
            ("GITHUB_API_URL", "ftp://example.org"),
            ("OPENNESS_WEB_GATEWAY", "http://127.0.0.1/{nonsense}"),
            ("OPENNESS_ALLOW_PRIVATE_HOSTS", "localhost"),
        ],
    )
    def test_a_wrong_value_names_its_variable(self, name, value, desk):
        done = desk.with_env(**{name: value}).run("nightly", code=2)
        assert name in done.err
        assert "hunter2" not in done.err

    @pytest.mark.parametrize("command", [["nightly"], ["status"], ["db", "upgrade"], ["proposals", "list"]])
    def test_a_database_that_cannot_be_made_is_named(self, command, desk):
        (desk.folder / "file").write_text("")
        url = f"sqlite:///{desk.folder / 'file' / 'openness.db'}"
        done = desk.with_env(OPENNESS_DATABASE_URL=url).run(*command, code=2)
        assert "OPENNESS_DATABASE_URL" in done.err
        assert str(desk.folder / "file") in done.err
        assert "Traceback" not in done.err

    def test_a_file_that_is_no_database_is_named_and_left_as_it_is(self, desk):
        desk.database.write_text("a diary, page one\n" * 100)
        done = desk.run("nightly", code=2)
        assert "openness.db" in done.err
        assert desk.database.read_text().startswith("a diary")

    def test_an_archive_that_cannot_be_written_is_named_before_anything_is_asked(self, few, sandbox):
        (few.folder / "file").write_text("")
        lost = few.with_env(OPENNESS_ARCHIVE=str(few.folder / "file" / "archive"))
        done = lost.run("nightly", code=2)
        assert "OPENNESS_ARCHIVE" in done.err
        assert sandbox.requests == []
        assert few.count("runs") == 0

    def test_a_database_of_a_newer_version_is_left_alone(self, small):
        connection = sqlite3.connect(small.database)
        with connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        for command in (["nightly"], ["status"], ["db", "upgrade"]):
            done = small.run(*command, code=2)
            assert "newer version" in done.err
        assert small.rows("SELECT version_num FROM alembic_version") == [("9999",)]

    def test_flags_take_the_place_of_the_environment(self, desk):
        other = desk.folder / "other.db"
        desk.run("--database", f"sqlite:///{other}", "--archive", str(desk.folder / "b"), "status")
        assert other.exists()
        assert not desk.database.exists()


class TestTokens:
    def test_a_refused_token_is_named_and_never_told(self, few, sandbox):
        token = "bad_1234567890abcdef_token_of_nobody"
        hub = "bad_hub_0987654321fedcba_token"
        desk = few.with_env(GITHUB_TOKEN=token, HF_TOKEN=hub)
        done = desk.run("--verbose", "nightly", "--json", code=3)
        assert "GITHUB_TOKEN was refused" in done.err
        assert "HF_TOKEN was refused" in done.err
        assert any("GITHUB_TOKEN was refused" in entry["reason"] for entry in done.json["unread"])
        shown = done.said + desk.run("status").said + desk.run("status", "--json").said
        shown += desk.run("proposals", "list", "--all", "--json").said
        for secret in (token, hub):
            assert secret not in shown
            assert secret.encode() not in desk.everything_stored()
        asked = [entry for entry in sandbox.requests if entry.service == "github"]
        assert len(asked) <= 3

    def test_with_only_one_token_refused_the_others_work_is_done(self, few):
        done = few.with_env(GITHUB_TOKEN="bad-token-for-the-test").run("nightly", "--json", code=3)
        assert "GITHUB_TOKEN" in done.err
        classes = few.classes()
        assert classes["sorrel-chat", "rlweights"] == "open"
        assert classes["trellis", "opencode"] is None

    def test_a_token_that_works_is_nowhere_either(self, small):
        assert small.env["GITHUB_TOKEN"].encode() not in small.everything_stored()


class TestDocuments:
    """One odd document each; the other project and the other documents are done all the same."""

    def after(self, small, sandbox, code=0):
        before = small.cells()
        report = small.nightly(code=code)
        assert report["internal_errors"] == []
        return before, small.cells(), report

    def test_a_card_with_broken_front_matter_is_named(self, small, sandbox):
        sandbox.change(
            "hub/models/quillwort/sorrel-chat-7b/files/README.md",
            text="---\nlicense: [apache-2.0\ntags: {\n---\n# Sorrel\n\nTrained with care.\n",
        )
        before = small.classes()
        told = small.run("nightly").out
        assert re.search(r"sorrel-chat-7b +card +broken front matter", told), told
        (problem,) = small.last_run().report["document_problems"]
        assert problem["artifact"] == "hf_model:quillwort/sorrel-chat-7b"
        assert problem["problem"] == "broken_front_matter"
        after = small.classes()
        assert after["trellis", "license"] == before["trellis", "license"]
        # A card that cannot be read in part is no sign of a licence that is gone.
        assert after["sorrel-chat", "rlweights"] == "open"

    def test_a_readme_in_another_encoding_is_read(self, small, sandbox):
        text = "# Trellis\n\nFür Übersetzer: café, naïve Größe.\n\n## License\n\nMIT\n"
        sandbox.change("github/hawthorn-tools/trellis/files/README.md", body=text.encode("latin-1"))
        self.after(small, sandbox)
        shown = small.run("explain", "trellis", "license").out
        assert "MIT" in shown

    def test_a_readme_that_is_no_text_at_all_harms_nothing(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis/files/README.md", body=bytes(range(256)) * 40)
        self.after(small, sandbox)

    def test_an_empty_repository_is_a_fact(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis/files", delete=True)
        _, after, _ = self.after(small, sandbox)
        assert after["trellis", "opencode"]["class"] == "closed"

    def test_a_file_of_fifty_megabytes_is_not_fetched(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis/files/data/dump.csv", size=50_000_000)
        before, after, report = self.after(small, sandbox)
        assert report["sources"]["github"]["bytes"] < 5_000_000
        assert after["trellis", "license"]["class"] == before["trellis", "license"]["class"]

    def test_a_readme_of_fifty_megabytes_is_named_and_the_one_read_before_stands(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis/files/README.md", size=50_000_000)
        before, after, report = self.after(small, sandbox, code=3)
        assert report["sources"]["github"]["bytes"] < 5_000_000
        entry = next(e for e in report["unread"] if e["part"] == "file:README.md")
        assert entry["status"] == "failed"
        assert "50000000" in entry["reason"]
        assert after["trellis", "license"]["class"] == before["trellis", "license"]["class"]

    def test_a_redirect_in_a_circle_ends(self, desk, sandbox, seeds):
        page = "https://fennel-hollow.example/"
        path = seeds(one=[{"kind": "web", "id": page, "role": "homepage"}], two=[TRELLIS])
        sandbox.fault("^/web/https/fennel-hollow.example/$", "redirect_loop")
        report = desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_LINKS_PER_PROJECT="0").nightly(code=3)
        entry = next(e for e in report["unread"] if e["artifact"] == f"web:{page}")
        assert entry["status"] == "failed"
        assert "redirect" in entry["reason"]
        assert desk.classes()["two", "license"] == "open"


class TestHostileDocuments:
    HOSTILE = (
        "---\nlicense: mit\n---\n# Trellis \x1b[2J\x1b]0;owned\x07 \u202eneddih\u202c \x9b31m \u200f\n\n"
        '## License\n\n=HYPERLINK("http://evil.example") MIT license \x1b[31m\u2066red\u2069\x00\x08\n\n'
        "## Install\n\n<script>alert(1)</script>\n\n```\npip install trellis-rl\x1b[5m\n```\n"
        "## Data\n\nWe will not release the training data.\x1b[0m\u202e\r\n"
    )

    @pytest.fixture
    def hostile(self, small, sandbox):
        sandbox.change("github/hawthorn-tools/trellis/files/README.md", text=self.HOSTILE)
        sandbox.change("github/hawthorn-tools/trellis/files/docs/\x1b[31mred.md", text="# Docs\n")
        sandbox.change("hub/models/quillwort/sorrel-chat-7b/files/README.md", text=self.HOSTILE)
        small.nightly(code=None)
        return small

    def test_nothing_of_them_reaches_the_terminal(self, hostile):
        cells = hostile.cells()
        seen = ""
        for (slug, dimension), row in cells.items():
            seen += hostile.run("proposals", "show", str(row["id"])).out
            if dimension in ("license", "rldata", "package", "modelcard"):
                seen += hostile.run("explain", slug, dimension).out
        seen += hostile.run("proposals", "list", "--all").out + hostile.run("proposals", "list").out
        seen += hostile.run("status").out + hostile.run("nightly", code=None).said
        seen += hostile.run("rate", "--diff").out
        assert "neddih" in seen or "MIT license" in seen
        assert not OBEYED.search(seen.replace("\n", ""))

    def test_json_says_it_all_and_obeys_nothing_either(self, hostile):
        done = hostile.run("proposals", "list", "--all", "--json")
        assert not OBEYED.search(done.out.replace("\n", ""))
        assert any(OBEYED.search(item["quote"]) for row in done.json for item in row["evidence"])

    def test_tables_are_safe_to_open_in_a_spreadsheet(self, hostile):
        text = hostile.export("proposals")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert len(rows) == len(hostile.cells())
        for row in rows:
            for name, cell in row.items():
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), name
            for item in json.loads(row["evidence"]):
                assert set(item) == {"artifact", "url", "fetched_at", "sha256", "quote"}

    def test_half_a_character_in_an_answer_of_the_hub_harms_nothing(self, small, sandbox):
        thing = sandbox.world.thing("hub/models/quillwort/sorrel-chat-7b")
        tags = [*thing.facts.get("tags", []), "tag-\ud800-half"]
        sandbox.change("hub/models/quillwort/sorrel-chat-7b", merge={"tags": tags})
        small.nightly()
        for words in (["proposals", "list", "--all", "--json"], ["export", "proposals", "-"], ["status"]):
            assert small.run(*words).out.encode("utf-8")


def test_what_the_archive_lost_is_named_and_the_rest_goes_on(small, sandbox):
    shutil.rmtree(small.archive)
    done = small.run("nightly", "--json")
    assert done.json["new_proposals"] == 0
    checked = small.run("db", "check", code=1)
    assert "missing" in checked.out
    report = small.nightly("--full")
    assert report["new_snapshots"] == 0
    small.run("db", "check")
