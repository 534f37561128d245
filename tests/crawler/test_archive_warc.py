"""WARC files hold what was read, say nothing that was not kept, and are read by standard tools."""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.cli import main as warcio

from crawler.context import Context
from crawler.settings import Settings
from crawler.warc import NOT_MODIFIED, SAME_BYTES, RecordWriter, date_text, fields, header
from crawler.warc_export import export_warc
from db.pins import save_pruned
from db.session import session_scope
from pipelines.errors import StorageError, UsageError

SECRET = "not-to-be-seen-by-anybody"


def export(shelf, folder, **more):
    settings = Settings(
        _env_file=None, GITHUB_TOKEN=SECRET, HF_TOKEN=SECRET, OPENNESS_CONTACT="rowan@brindle.example"
    )
    context = Context(settings=settings, engine=shelf.engine, archive=shelf.archive)
    return export_warc(context, folder, **{"split_bytes": 10**9, **more})


def records(*files):
    """Type, headers and content of every record, digests checked."""
    found = []
    for path in files:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, check_digests="raise"):
                found.append((record.rec_type, record.rec_headers, record.content_stream().read()))
    return found


def of_type(kind, found):
    return [(headers, body) for record, headers, body in found if record == kind]


@pytest.fixture
def filled(shelf):
    shelf.read(b"# One", etag='"one"', token="sha-1")
    shelf.read(b"<p>Brindle", ref=shelf.page, part="page", url=shelf.page.id, media_type="text/html")
    shelf.later()
    shelf.read(None, http_status=304)
    shelf.later()
    shelf.read(b"# Two")
    shelf.later()
    shelf.read(b"# Two")
    return shelf


def test_every_snapshot_is_a_resource_with_its_bytes_and_digest(filled, tmp_path):
    done = export(filled, tmp_path / "warc")
    [file] = done.files
    found = records(file)
    bodies = [body for _, body in of_type("resource", found)]
    assert bodies == [b"# One", b"<p>Brindle", b"# Two"]
    for headers, body in of_type("resource", found):
        digest = base64.b32encode(hashlib.sha256(body).digest()).decode()
        assert headers.get_header("WARC-Payload-Digest") == f"sha256:{digest}"
    assert (done.snapshots, done.revisits, done.bytes) == (3, 2, file.stat().st_size)
    assert of_type("response", found) == []


def test_a_page_has_its_address_and_what_an_interface_said_has_a_name_of_ours(filled, tmp_path):
    found = records(*export(filled, tmp_path / "warc").files)
    uris = [headers.get_header("WARC-Target-URI") for headers, _ in of_type("resource", found)]
    card = "urn:x-openness:hf_model:hazelmoor/brindle-3b:card"
    assert uris == [card, "https://brindle.example/", card]
    types = [headers.get_header("Content-Type") for headers, _ in of_type("resource", found)]
    assert types == ["text/markdown", "text/html", "text/markdown"]


def test_the_metadata_say_what_is_known(filled, tmp_path):
    found = records(*export(filled, tmp_path / "warc").files)
    resource, _ = of_type("resource", found)[0]
    headers, block = of_type("metadata", found)[0]
    assert headers.get_header("WARC-Concurrent-To") == resource.get_header("WARC-Record-ID")
    assert block.decode().splitlines() == [
        "artifact: hf_model:hazelmoor/brindle-3b",
        "part: card",
        "seen-at: https://models.example/hazelmoor/brindle-3b",
        "project: brindle (rl_weights)",
        "content: as handed over",
        f"sha256: {hashlib.sha256(b'# One').hexdigest()}",
        "size: 5",
        "media-type: text/markdown",
        "http-status: 200",
        'etag: "one"',
        "change-token: sha-1",
    ]


def test_a_later_visit_is_a_revisit_that_refers_to_the_resource(filled, tmp_path):
    found = records(*export(filled, tmp_path / "warc").files)
    resources = {headers.get_header("WARC-Record-ID"): headers for headers, _ in of_type("resource", found)}
    revisits = [headers for headers, _ in of_type("revisit", found)]
    assert [headers.get_header("WARC-Profile") for headers in revisits] == [NOT_MODIFIED, SAME_BYTES]
    for headers in revisits:
        first = resources[headers.get_header("WARC-Refers-To")]
        for name, value in (("Target-URI", "Target-URI"), ("Date", "Date")):
            assert headers.get_header(f"WARC-Refers-To-{name}") == first.get_header(f"WARC-{value}")
        assert headers.get_header("WARC-Payload-Digest") == first.get_header("WARC-Payload-Digest")
        assert headers.get_header("Content-Length") == "0"
        assert headers.get_header("WARC-Date") > first.get_header("WARC-Date")


def test_the_file_says_who_wrote_it_and_no_secret(filled, tmp_path):
    [file] = export(filled, tmp_path / "warc").files
    [(headers, block)] = of_type("warcinfo", records(file))
    assert headers.get_header("WARC-Filename") == file.name
    assert "software: openness-crawler/" in block.decode()
    assert "operator: rowan@brindle.example" in block.decode()
    assert SECRET.encode() not in gzip.decompress(file.read_bytes())


def test_the_same_archive_gives_the_same_bytes(filled, tmp_path):
    [one] = export(filled, tmp_path / "one").files
    [two] = export(filled, tmp_path / "two").files
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())
    assert one.name == "openness-crawler-20310304020000-00000.warc.gz"


def test_every_record_has_an_identifier_of_its_own(filled, tmp_path):
    ids = [
        headers.get_header("WARC-Record-ID")
        for _, headers, _ in records(*export(filled, tmp_path / "w").files)
    ]
    assert len(set(ids)) == len(ids) == 1 + 3 + 3 + 2


def test_a_new_file_is_begun_at_the_size_and_each_is_whole_by_itself(filled, tmp_path):
    done = export(filled, tmp_path / "warc", split_bytes=1)
    assert [path.name[-13:] for path in done.files] == [f"{number:05d}.warc.gz" for number in range(3)]
    for path in done.files:
        found = records(path)
        assert [kind for kind, *_ in found[:3]] == ["warcinfo", "resource", "metadata"]
        info = found[0][1].get_header("WARC-Record-ID")
        assert {headers.get_header("WARC-Warcinfo-ID") for _, headers, _ in found[1:]} == {info}
    assert sum(path.stat().st_size for path in done.files) == done.bytes


def test_standard_tools_find_nothing_to_complain_about(filled, tmp_path, capsys):
    [file] = export(filled, tmp_path / "warc").files
    with pytest.raises(SystemExit) as left:
        warcio(["check", str(file)])
    assert left.value.code == 0
    assert capsys.readouterr().out == ""
    warcio(["index", "-f", "offset,warc-type,warc-target-uri", str(file)])
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["warc-type"] for row in rows].count("resource") == 3
    offset = next(row["offset"] for row in rows if row.get("warc-target-uri") == "https://brindle.example/")
    # Each record can be read from its offset alone.
    with file.open("rb") as stream:
        stream.seek(int(offset))
        assert next(iter(ArchiveIterator(stream))).content_stream().read() == b"<p>Brindle"


def test_only_what_was_read_since_a_day(filled, tmp_path):
    since = filled.now - timedelta(days=1)
    found = records(*export(filled, tmp_path / "warc", since=since).files)
    assert [body for _, body in of_type("resource", found)] == [b"# Two"]
    assert len(of_type("revisit", found)) == 1
    found = records(*export(filled, tmp_path / "later", since=filled.now).files)
    assert [kind for kind, *_ in found] == ["warcinfo", "revisit"]


def test_visits_that_found_nothing_new_can_be_left_out(filled, tmp_path):
    assert of_type("revisit", records(*export(filled, tmp_path / "warc", revisits=False).files)) == []


def test_only_the_projects_that_are_named(filled, tmp_path):
    other = filled.page.__class__(kind=filled.page.kind, id="https://elsewhere.example/")
    filled.read(b"<p>Elsewhere", ref=other, part="page", url=other.id)
    found = records(*export(filled, tmp_path / "warc", slugs=["brindle"]).files)
    assert b"<p>Elsewhere" not in [body for _, body in of_type("resource", found)]
    assert len(of_type("resource", found)) == 3
    with pytest.raises(UsageError, match="brindel"):
        export(filled, tmp_path / "other", slugs=["brindel"])


def test_nothing_read_is_nothing_written(shelf, tmp_path):
    assert export(shelf, tmp_path / "warc").files == []


def test_pruned_bytes_leave_what_is_known_of_them(filled, tmp_path):
    sha256 = hashlib.sha256(b"# One").hexdigest()
    with session_scope(filled.engine, write=True) as session:
        save_pruned(session, [sha256], filled.now, "rowan")
    filled.archive.remove(sha256)
    done = export(filled, tmp_path / "warc")
    assert (done.snapshots, done.pruned, done.revisits, done.unreadable) == (2, 1, 1, [])
    found = records(*done.files)
    [block] = [block for _, block in of_type("metadata", found) if b"pruned:" in block]
    assert f"pruned: {date_text(filled.now)}" in block.decode()


def test_bytes_that_are_lost_are_left_out_and_named(filled, tmp_path):
    sha256 = hashlib.sha256(b"# One").hexdigest()
    filled.archive.remove(sha256)
    done = export(filled, tmp_path / "warc")
    assert (done.snapshots, done.unreadable) == (2, [sha256])
    assert len(of_type("metadata", records(*done.files))) == 2


HOSTILE = "text/html\r\nWARC-Type: response\r\n\r\nWARC/1.1\r\n"


def test_what_comes_from_outside_cannot_get_out_of_its_line(shelf, tmp_path):
    shelf.read(
        b"<p>\r\n\r\nWARC/1.1\r\nWARC-Type: response\r\n",
        ref=shelf.page,
        part="page",
        url="https://brindle.example/ä b\r\nWARC-Type: response#\u2028\ud800",
        media_type=HOSTILE,
        etag=HOSTILE,
        last_modified="\x85\x0bWARC-Type: response\n",
        token="a\nb",
    )
    found = records(*export(shelf, tmp_path / "warc").files)
    assert [kind for kind, *_ in found] == ["warcinfo", "resource", "metadata"]
    headers, body = of_type("resource", found)[0]
    assert body == b"<p>\r\n\r\nWARC/1.1\r\nWARC-Type: response\r\n"
    assert headers.get_header("Content-Type") == "application/octet-stream"
    assert headers.get_header("WARC-Target-URI").isascii()
    assert headers.get_header("WARC-Target-URI").startswith("https://brindle.example/%C3%A4%20b%0D%0A")
    assert [name for name, _ in headers.headers].count("WARC-Type") == 1
    names = {line.split(": ")[0] for line in of_type("metadata", found)[0][1].decode().split("\r\n") if line}
    assert "WARC-Type" not in names


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
        ('text/html;charset="utf-8"', 'text/html;charset="utf-8"'),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("text/html;\n charset=utf-8", "application/octet-stream"),
        ("text/html\n", "application/octet-stream"),
        ('text/html; a="b\nc"', "application/octet-stream"),
        ("text/" + "x" * 5000, "application/octet-stream"),
    ],
)
def test_a_media_type_is_one_or_is_unknown(shelf, tmp_path, given, shown):
    shelf.read(b"one", media_type=given)
    [(headers, _)] = of_type("resource", records(*export(shelf, tmp_path / "warc").files))
    assert headers.get_header("Content-Type") == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_becomes_one_line_that_can_be_written(text):
    line = header(text)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line
    assert fields([("name", text), ("other", "x")]).count(b"\n") == (2 if line else 1)


@pytest.mark.parametrize("name", ["ä/ü?x=1#y", "a b:c\r\nd", "..//%2f"])
def test_a_name_with_odd_characters_is_an_address_all_the_same(shelf, tmp_path, name):
    shelf.read(b"one", part=f"file:{name}")
    [(headers, _)] = of_type("resource", records(*export(shelf, tmp_path / "warc").files))
    uri = headers.get_header("WARC-Target-URI")
    assert uri.isascii()
    assert not set(uri) & set(' \r\n#?"<>')


def test_an_export_that_is_there_already_is_not_overwritten(filled, tmp_path):
    [file] = export(filled, tmp_path / "warc").files
    before = file.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        export(filled, tmp_path / "warc", slugs=["brindle"], split_bytes=1)
    assert [path.read_bytes() for path in (tmp_path / "warc").iterdir()] == [before]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_export_that_is_cut_off_leaves_nothing(filled, tmp_path, monkeypatch, error):
    written = []
    real = RecordWriter._write

    def write(self, *more, **options):
        written.append(1)
        if len(written) > 4:
            raise error
        return real(self, *more, **options)

    monkeypatch.setattr(RecordWriter, "_write", write)
    expected = StorageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        export(filled, tmp_path / "warc", split_bytes=1)
    assert list((tmp_path / "warc").iterdir()) == []
    monkeypatch.undo()
    assert export(filled, tmp_path / "warc").snapshots == 3


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_done(filled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        export(filled, tmp_path / "file" / "warc")
