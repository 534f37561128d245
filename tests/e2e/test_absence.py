"""The kinds of absence, each through every layer: visit, snapshot, evidence, reading, proposal, report, status.

Only *missing* says something about a project. Whatever is denied or fails, in whatever disguise, leaves
standing what was read before, marks it as stale, and moves no proposal.
"""

from __future__ import annotations

import pytest

from db.load import load_evidence, load_latest_visits, load_projects, load_stored_snapshots
from pipelines.model import ArtifactKind, ArtifactRef, VisitStatus

DENIED, FAILED, MISSING = VisitStatus.DENIED, VisitStatus.FAILED, VisitStatus.MISSING
PAGE = ArtifactRef(kind=ArtifactKind.WEB, id="https://fennel-hollow.example/")

# How a page may be withheld, and what its visit then says.
WITHHELD = {
    "401": ({"kind": "status", "status": 401}, DENIED, "answered 401"),
    "403": ({"kind": "status", "status": 403}, DENIED, "answered 403"),
    "451": ({"kind": "status", "status": 451}, DENIED, "answered 451"),
    "members": ({"kind": "login_page"}, DENIED, "redirected to a login page"),
    "login": ({"kind": "login_page", "status": 200}, DENIED, "a login form answers"),
    "wall": ({"kind": "bot_wall"}, DENIED, "a bot wall answers"),
    "500": ({"kind": "status", "status": 500}, FAILED, "answered 500"),
    "503": ({"kind": "status", "status": 503, "retry_after": 3600}, FAILED, "answered 503"),
    "429": ({"kind": "status", "status": 429, "retry_after": 3600}, FAILED, "answered 429"),
    "418": ({"kind": "status", "status": 418}, FAILED, "answered 418"),
    "reset": ({"kind": "reset"}, FAILED, "the connection broke off"),
    "hang": ({"kind": "hang"}, FAILED, "no complete answer within 1 s"),
    "truncated": ({"kind": "truncate"}, FAILED, "truncated"),
    "garbage": ({"kind": "garbage"}, FAILED, "not a page"),
    "endless": ({"kind": "huge"}, FAILED, "too large"),
    "loop": ({"kind": "redirect_loop"}, FAILED, "more than 5 redirects"),
    "scripts": ({"kind": "script_page"}, FAILED, "shows nothing without JavaScript"),
}
ABSENT = {"404": 404, "410": 410}
ROBOTS = {"forbidden": "disallows it", "unreadable": "cannot be read: answered 500"}


def page_of(way):
    return f"https://{way}.withheld.example/"


def standing(desk):
    """What stands: digests of snapshots, keys of evidence, by artifact and part."""
    with desk.session() as session:
        refs = [artifact.ref for project in load_projects(session) for artifact in project.artifacts]
        digests = {(item.ref, item.part): item.sha256 for item in load_stored_snapshots(session, refs)}
        return digests, {item.key for item in load_evidence(session, refs)}


def latest(desk, ref=PAGE):
    with desk.session() as session:
        return {visit.part: visit for visit in load_latest_visits(session, [ref])}


def change_everything(sandbox):
    """Let every thing have something new, so that nothing is answered with "not modified"."""
    sandbox.change("github/hawthorn-tools/trellis/files/README.md", append="\nA new paragraph.\n")
    sandbox.change("hub/models/quillwort/sorrel-chat-7b/files/README.md", append="\nA new paragraph.\n")
    sandbox.change("pypi/trellis-rl", merge={"summary": "A new summary"})
    sandbox.change("arxiv/2404.91001", merge={"comment": "A new comment"})
    sandbox.change("https://fennel-hollow.example/", append="<p>A new paragraph.</p>")


class TestPages:
    """A project for every way: its page alone, rated closed for what does not stand in it."""

    WAYS = (*WITHHELD, *ABSENT, *ROBOTS, "stays")

    @pytest.fixture
    def many(self, desk, sandbox, seeds):
        text = "<title>{0}</title><h1>{0}</h1><p>" + "A model that talks about plants. " * 10 + "</p>"
        for way in self.WAYS:
            sandbox.change(page_of(way), text=text.format(way.title()))
        path = seeds(
            **{f"way_{way}": [{"kind": "web", "id": page_of(way), "role": "homepage"}] for way in self.WAYS}
        )
        return desk.with_env(
            OPENNESS_SEEDS=str(path),
            OPENNESS_LINKS_PER_PROJECT="0",
            OPENNESS_LINEAGE=None,
            OPENNESS_HTTP_TIMEOUT="1",
        )

    def spoil(self, sandbox):
        for way in self.WAYS:
            # Something new stands there, so that no answer is "not modified".
            sandbox.change(page_of(way), append="<p>A new paragraph.</p>")
        for way, (fault, _, _) in WITHHELD.items():
            sandbox.fault(f"^/web/https/{way}.withheld.example/$", **fault)
        for way, status in ABSENT.items():
            sandbox.fault(f"^/web/https/{way}.withheld.example/$", "status", status=status)
        sandbox.change("https://forbidden.withheld.example/robots.txt", text="User-agent: *\nDisallow: /\n")
        sandbox.fault("unreadable.withheld.example/robots.txt", "status", status=500)
        sandbox.clear_log()

    def test_each_way_through_every_layer(self, many, sandbox):
        many.nightly()
        (digests, keys), cells = standing(many), many.cells()
        assert "closed" in {row["class"] for row in cells.values()}
        self.spoil(sandbox)
        report = many.nightly(code=3)

        # visits
        ends = {way: latest(many, web(page_of(way)))["page"] for way in self.WAYS}
        for way, (_, status, reason) in WITHHELD.items():
            assert (ends[way].status, ends[way].reason[: len(reason)]) == (status, reason)
        assert {ends[way].status for way in ABSENT} == {MISSING}
        assert (ends["forbidden"].status, ends["unreadable"].status) == (DENIED, FAILED)
        assert all(words in ends[way].reason for way, words in ROBOTS.items())
        assert not [e for e in sandbox.requests if e.path in ("/web/https/forbidden.withheld.example/",)]
        assert {way for way in self.WAYS if ends[way].stale} == {*WITHHELD, *ROBOTS}

        # snapshots and evidence
        now, left = standing(many)
        assert {ref.id for ref, _ in digests.keys() - now.keys()} == {page_of(way) for way in ABSENT}
        changed = {ref.id for ref, part in now if now[ref, part] != digests[ref, part]}
        assert changed == {page_of("stays")}
        assert report["new_snapshots"] == 1
        assert left < keys

        # proposals: only what is missing may have moved, and the page that was read
        moved = {slug for (slug, name), row in many.cells().items() if row["id"] != cells[slug, name]["id"]}
        assert moved <= {"way-stays", *(f"way-{way}" for way in ABSENT)}
        assert {cell: row["class"] for cell, row in many.cells().items() if cell[0] not in moved} == {
            cell: row["class"] for cell, row in cells.items() if cell[0] not in moved
        }

        # report and status
        denied = [way for way in WITHHELD if WITHHELD[way][1] is DENIED]
        assert (report["denied"], report["missing"]) == (len(denied) + 1, len(ABSENT))
        assert report["failed"] == len(WITHHELD) - len(denied) + 1
        assert report["internal_errors"] == []
        told = many.run("status", "--json").json["unread"]
        assert {entry["artifact"] for entry in told if entry["stale"]} == {
            f"web:{page_of(way)}" for way in (*WITHHELD, *ROBOTS)
        }

        # the next reading ends it; what was missing and fails now has not come back
        sandbox.clear_faults()
        sandbox.change("https://forbidden.withheld.example/robots.txt", delete=True)
        sandbox.fault("404.withheld.example/$", "status", status=503)
        many.nightly(code=3)
        stale = [e["artifact"] for e in many.run("status", "--json").json["unread"] if e["stale"]]
        assert stale == [f"web:{page_of('404')}"]
        assert {page_of(way) for way in self.WAYS} - {ref.id for ref, _ in standing(many)[0]} == {
            page_of("404")
        }

    def test_on_a_first_night_none_is_a_reason_for_a_class(self, many, sandbox):
        self.spoil(sandbox)
        many.nightly(code=3)
        classes = many.classes()
        rated = {slug for (slug, _), value in classes.items() if value is not None}
        # What is not there is a fact from the first night on; what could not be read is none.
        assert rated <= {"way-stays", *(f"way-{way}" for way in ABSENT)}
        assert "way-stays" in rated


def web(url):
    return ArtifactRef(kind=ArtifactKind.WEB, id=url)


class TestServices:
    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "status": 403},
            {"kind": "login_page"},
            {"kind": "bot_wall"},
        ],
        ids=str,
    )
    def test_what_was_read_of_them_before_stands_and_is_stale(self, fault, absence, sandbox):
        before, cells = standing(absence), absence.cells()
        change_everything(sandbox)
        sandbox.fault("", **fault)
        report = absence.nightly(code=4)
        assert standing(absence) == before
        assert report["new_snapshots"] == report["new_proposals"] == report["missing"] == 0
        assert report["internal_errors"] == []
        unread = {entry["artifact"]: entry["status"] for entry in report["unread"]}
        assert len(unread) >= 5
        assert set(unread.values()) <= {"denied", "failed"}
        told = absence.run("status", "--json").json["unread"]
        assert {entry["artifact"] for entry in told if entry["stale"]} >= unread.keys()
        after = absence.cells()
        assert {cell: (row["id"], row["class"]) for cell, row in after.items()} == {
            cell: (row["id"], row["class"]) for cell, row in cells.items()
        }

    def test_a_package_that_is_gone_counts_as_gone_and_stays_stored(self, absence, sandbox):
        (before, keys), classes = standing(absence), absence.classes()
        sandbox.fault("^/pypi/", "status", status=404)
        report = absence.nightly()
        assert report["missing"] == 1
        now, left = standing(absence)
        assert {ref.kind for ref, _ in before.keys() - now.keys()} == {ArtifactKind.PYPI}
        assert left < keys
        assert absence.count("snapshots") == len(before)
        assert absence.classes()["many-things", "package"] != classes["many-things", "package"]
        sandbox.clear_faults()
        assert absence.nightly()["new_snapshots"] == 0
        assert (standing(absence), absence.classes()) == ((before, keys), classes)


class TestNeither:
    def test_a_renamed_repository_is_followed_and_the_seed_is_named(self, desk, sandbox, seeds):
        path = seeds(bogbean=[{"kind": "github", "id": "mirefen/bogbean-chat", "role": "code"}])
        fresh = desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_LINKS_PER_PROJECT="0")
        report = fresh.nightly()
        assert report["missing"] == 0 or all(e["part"] != "repository" for e in report["unread"])
        old = ArtifactRef(kind=ArtifactKind.GITHUB, id="mirefen/bogbean-chat")
        visit = latest(fresh, old)["repository"]
        assert (visit.status, visit.url) == (VisitStatus.OK, "https://github.com/mirefen/bogbean")
        assert fresh.cells()["bogbean", "opencode"]["class"] not in (None, "closed")
        (renamed,) = report["changes"]["renamed"]["shown"]
        assert (renamed["artifact"], renamed["now"], renamed["seeds"]) == (
            str(old),
            "mirefen/bogbean",
            ["bogbean"],
        )

    def test_an_archived_repository_is_there(self, absence, sandbox):
        trellis = ArtifactRef(kind=ArtifactKind.GITHUB, id="hawthorn-tools/trellis")
        classes = absence.classes()
        sandbox.change("github/hawthorn-tools/trellis", merge={"archived": True})
        report = absence.nightly()
        assert latest(absence, trellis)["repository"].status is VisitStatus.OK
        assert absence.classes() == classes
        assert [entry["artifact"] for entry in report["changes"]["archived"]["shown"]] == [str(trellis)]
        with absence.session() as session:
            facts = [e.value for e in load_evidence(session, [trellis]) if e.kind == "repository.fact"]
        assert {"fact": "archived", "value": True} in facts


class TestNoise:
    """What changes although nothing is said anew wakes nobody."""

    def test_pages_that_count_and_tell_the_time_are_unchanged_every_night(self, desk, sandbox, seeds):
        pages = ["https://fennel-hollow.example/docs/", "https://sedge-nlp.example/blog/thistle"]
        path = seeds(noisy=[{"kind": "web", "id": page, "role": "homepage"} for page in pages])
        fresh = desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_LINKS_PER_PROJECT="0")
        fresh.nightly()
        before, exported = standing(fresh), fresh.export("proposals")
        sandbox.clear_log()
        report = fresh.nightly()
        assert report["new_snapshots"] == report["new_proposals"] == 0
        assert report["sources"]["web"]["unchanged"] == 2
        answers = [e for e in sandbox.requests if e.path.endswith(("/docs/", "/thistle"))]
        assert [entry.status for entry in answers] == [200, 200]
        assert (standing(fresh), fresh.export("proposals")) == (before, exported)
        sandbox.change(pages[1], append="<p>The conversations are released under CC BY 4.0.</p>")
        assert fresh.nightly()["new_snapshots"] == 1

    def test_a_readme_with_other_counters_is_a_new_snapshot_and_no_question(self, absence, sandbox):
        """Its bytes are the repository's; what they say is what they said."""
        place = "github/hawthorn-tools/trellis/files/README.md"
        sandbox.change(
            place, append="\n## Used by\n\n1,204 downloads, 77 stars. Last updated: 3 March 2025.\n"
        )
        absence.nightly()
        proposals = {cell: row["id"] for cell, row in absence.cells().items()}
        keys = standing(absence)[1]
        sandbox.change(
            place,
            replace=[
                [
                    "1,204 downloads, 77 stars. Last updated: 3",
                    "21,310 downloads, 1.2k stars. Last updated: 4",
                ]
            ],
        )
        report = absence.nightly()
        assert report["new_snapshots"] > 0
        assert report["new_proposals"] == 0
        assert standing(absence)[1] == keys
        assert {cell: row["id"] for cell, row in absence.cells().items()} == proposals
