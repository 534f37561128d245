"""`openness archive`: verified, pruned and exported as a person would, after real nights."""

from __future__ import annotations

import gzip
import io
import shutil

import pytest
from warcio.archiveiterator import ArchiveIterator


def bodies(desk):
    return {path.name.removesuffix(".gz"): path for path in desk.archive.glob("??/??/*.gz")}


def change(sandbox, text):
    """The model card of sorrel-chat says something new from now on."""
    sandbox.change("hub/models/quillwort/sorrel-chat-7b", merge={"cardData": {"license": text}})


@pytest.fixture
def three_nights(small, sandbox):
    """A small desk whose sorrel-chat has said another thing in each of three nights."""
    for text in ("mit", "cc-by-nc-4.0"):
        change(sandbox, text)
        small.nightly()
    return small


class TestVerify:
    def test_a_sound_archive_is_told(self, small):
        done = small.run("archive", "verify")
        assert done.out.startswith(f"{len(bodies(small))} bodies (")
        told = small.run("archive", "verify", "--quick", "--json").json
        assert (told["sound"], told["bodies"], told["problems"]) == (True, len(bodies(small)), [])

    def test_what_is_wrong_is_named_with_the_way_to_repair_it(self, small):
        gone, damaged, *_ = sorted(bodies(small).items())
        gone[1].unlink()
        damaged[1].write_bytes(gzip.compress(b"something else"))
        (small.archive / "notes\x1b[2J.txt").write_text("hello")
        done = small.run("archive", "verify", code=1)
        assert f"missing    {gone[1]}" in done.out
        assert f"damaged    {damaged[1]}" in done.out
        assert "standing)" in done.out
        assert "nightly --full" in done.out
        assert "\x1b" not in done.said
        told = small.run("archive", "verify", "--json", code=1).json
        assert {name: number for name, number in told["counts"].items() if number} == {
            "missing": 1,
            "damaged": 1,
            "foreign": 1,
        }
        assert [problem["sha256"] for problem in told["problems"]][:2] == [gone[0], damaged[0]]
        (small.archive / "notes\x1b[2J.txt").unlink()
        small.nightly("--full")
        assert small.run("archive", "verify", "--json").json["sound"]

    def test_what_a_killed_run_left_is_no_fault_here_nor_for_db_check(self, small):
        from crawler.archive import Archive

        orphan = Archive(small.archive).put(b"of a run that was cut off")
        done = small.run("archive", "verify")
        assert f"{orphan}.gz" in done.out
        assert "no harm" in done.out
        assert small.run("archive", "verify", "--json").json["counts"]["orphan"] == 1
        assert "sound" in small.run("db", "check").out


class TestPrune:
    def test_nothing_is_done_without_being_told_what_to_keep(self, small):
        assert "--keep" in small.run("archive", "prune", code=2).err
        assert "--dry-run" in small.run("archive", "prune", "--keep", "1", "--dry-run", "--yes", code=2).err

    def test_nothing_is_removed_unasked(self, three_nights):
        before = set(bodies(three_nights))
        dry = three_nights.run("archive", "prune", "--keep", "0", "--dry-run").out
        assert "remove" in dry
        assert "Nothing was removed" in three_nights.run_apart("archive", "prune", "--keep", "0").out
        told = three_nights.run("archive", "prune", "--keep", "0", "--json").json
        assert (told["done"], told["removed"]["bodies"] > 0) == (False, True)
        assert set(bodies(three_nights)) == before

    def test_what_was_read_lately_stays(self, three_nights):
        told = three_nights.run("archive", "prune", "--keep", "1", "--json").json
        assert told["removed"]["bodies"] == 0
        assert told["kept"]["recent"] > 0

    def test_what_goes_is_needed_by_nothing_and_all_goes_on_as_before(self, three_nights, sandbox, tmp_path):
        desk = three_nights
        untouched = desk.copy(tmp_path / "untouched")
        before = set(bodies(desk))
        told = desk.run("archive", "prune", "--keep", "0", "--yes", "--json").json
        assert told["done"]
        assert 0 < told["removed"]["bodies"] == len(before - set(bodies(desk)))
        assert told["removed"]["bytes"] > 0
        desk.run("archive", "verify")
        desk.run("db", "check")
        resting = {
            item.sha256
            for stored in desk.proposals()
            for item in [
                *stored.proposal.evidence,
                *(e for f in stored.proposal.findings for e in f.evidence),
            ]
        }
        assert resting <= set(bodies(desk))
        # The same rules say the same of what is left, today and tomorrow.
        for other in (desk, untouched):
            other.run("rate")
        assert desk.export("proposals") == untouched.export("proposals")
        report = desk.nightly()
        assert (report["new_snapshots"], report["new_proposals"]) == (0, 0)
        assert (
            desk.run("archive", "prune", "--keep", "0", "--json").json["pruned_earlier"]
            == (told["removed"]["bodies"])
        )

    def test_bytes_that_come_back_are_read_and_kept_again(self, three_nights, sandbox):
        three_nights.run("archive", "prune", "--keep", "0", "--yes")
        gone = three_nights.count("pruned_bodies")
        change(sandbox, "apache-2.0")
        three_nights.nightly()
        assert three_nights.count("pruned_bodies") <= gone
        three_nights.run("archive", "verify")

    def test_not_while_a_run_holds_the_database(self, three_nights):
        from crawler.lock import run_lock

        before = set(bodies(three_nights))
        with run_lock(f"sqlite:///{three_nights.database}"):
            done = three_nights.run("archive", "prune", "--keep", "0", "--yes", code=2)
        assert "another run holds the database" in done.err
        assert set(bodies(three_nights)) == before

    def test_orphans_of_a_database_that_knows_nothing_stay(self, small, tmp_path):
        done = small.run(
            *("--database", f"sqlite:///{tmp_path / 'other.db'}"),
            *("archive", "prune", "--keep", "0", "--orphans", "--yes"),
            code=2,
        )
        assert "names no snapshot" in done.err
        small.run("archive", "verify")


class TestExport:
    def read(self, files):
        found = []
        for file in files:
            with open(file, "rb") as stream:
                for record in ArchiveIterator(stream, check_digests="raise"):
                    found.append((record.rec_type, record.content_stream().read()))
        return found

    def test_every_body_can_be_read_back_from_warc_files(self, small):
        told = small.run("archive", "export", "warc", "warc", "--json").json
        found = self.read([small.folder / name for name in told["files"]])
        stored = {gzip.decompress(path.read_bytes()) for path in bodies(small).values()}
        assert {body for kind, body in found if kind == "resource"} == stored
        assert told["snapshots"] == small.count("snapshots")

    def test_only_a_project_and_only_since_a_day(self, small):
        one = small.run("archive", "export", "warc", "one", "trellis", "--json").json
        assert 0 < one["snapshots"] < small.count("snapshots")
        done = small.run("archive", "export", "warc", "none", "--since", "2100-01-01")
        assert done.out.startswith("0 snapshots")
        assert not (small.folder / "none").exists()

    def test_a_wrong_name_and_a_wrong_day_do_nothing(self, small):
        assert "trelis" in small.run("archive", "export", "warc", "warc", "trelis", code=2).err
        small.run("archive", "export", "warc", "warc", "--since", "yesterday", code=2)
        assert not (small.folder / "warc").exists()

    def test_lost_bytes_are_left_out_and_said(self, small):
        next(iter(bodies(small).values())).unlink()
        done = small.run("archive", "export", "warc", "warc", code=1)
        assert "left out: 1 bodies" in done.err
        assert list((small.folder / "warc").glob("*.warc.gz"))

    def test_no_token_is_in_the_files(self, small):
        told = small.run("archive", "export", "warc", "warc", "--json").json
        for name in told["files"]:
            content = io.BytesIO((small.folder / name).read_bytes())
            assert b"sandbox-token-of-nobody" not in gzip.GzipFile(fileobj=content).read()
        shutil.rmtree(small.folder / "warc")
