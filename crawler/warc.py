"""The archive as WARC/1.1 files, the form in which web archives keep and exchange what they have read.

    warcinfo    one at the start of each file: which software wrote it, for whom
    resource    the bytes of a snapshot
    metadata    what is known of them: artifact, part, projects, validators, whether they were selected
    revisit     a later visit that found the same bytes, or was told that they are the same

Only what was kept is written. Headers of answers were not kept, so no record claims to be a
response. The address of a resource is that of a page only for pages, of which the bytes are what
the address gave. Everything else came from an interface, much of it as a selection; it has a name
of its own, `urn:x-openness:KIND:ID:PART`, and the metadata tell the address at which a person sees it.

The same input gives the same bytes: dates are those of the visits, identifiers are derived from
what they identify, each record is compressed by itself without a date.
"""

from __future__ import annotations

import hashlib
import io
import re
from base64 import b32encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID, uuid5

from warcio.statusandheaders import StatusAndHeaders  # type: ignore[import-untyped]
from warcio.warcwriter import WARCWriter  # type: ignore[import-untyped]

from db.archived import ArchivedSnapshot, Reading
from db.values import StoredSnapshot
from pipelines.model import ArtifactKind

VERSION = "WARC/1.1"
SAME_BYTES = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"

_FIELDS = "application/warc-fields"
_UNKNOWN = "application/octet-stream"
_NAMESPACE = UUID("7d0f2bb4-5f0c-5c39-9d6e-3a2f0c9be6a1")
_LONGEST = 2000
"""Characters of a header or field that came from outside."""

_MEDIA_TYPE = re.compile(
    r"""
    [\w!#$&^.+-]{1,100} / [\w!#$&^.+-]{1,100}      # text/html
    (?: [ ]{0,5} ; [ ]{0,5} [\w!#$&^.+-]{1,50} =   # ; charset=
        (?: [\w!#$&^.+-]{1,100} | "[\x20\x21\x23-\x5b\x5d-\x7e]{0,100}" )
    ){0,5}
    """,
    re.VERBOSE | re.ASCII,
)
_LINE_BREAKING = re.compile(
    r"""
    [\x00-\x1f\x7f-\x9f\u2028\u2029]+  # control characters and separators of lines
    """,
    re.VERBOSE,
)
_ADDRESS_CHARACTERS = "!#$%&'()*+,/:;=?@[]~-._"
_NAME_CHARACTERS = "/-._~@!$&'()*+,;="


class RecordWriter:
    """Writes records to one file after the other, each compressed by itself."""

    def __init__(self) -> None:
        self._info_id = ""
        self._writer: WARCWriter | None = None

    def begin(self, out: BinaryIO, name: str, date: datetime, info: Mapping[str, str]) -> None:
        """Begin a file of this name with its warcinfo record; `info` is what it says."""
        self._writer = WARCWriter(out, gzip=True, warc_version=VERSION)
        block = fields(info.items())
        self._info_id = _record_id("warcinfo", name, block.decode())
        headers = [("WARC-Filename", header(name))]
        self._write("warcinfo", self._info_id, date, headers, block, _FIELDS)

    def write_snapshot(self, stored: ArchivedSnapshot, body: bytes | None) -> None:
        """Write what is known of a snapshot, and its bytes unless they are None (they were pruned)."""
        uri, resource_id = target_uri(stored), _snapshot_id(stored)
        date = stored.snapshot.fetched_at
        headers = [("WARC-Target-URI", uri)]
        if body is not None:
            media_type = stored.snapshot.media_type
            content_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else _UNKNOWN
            self._write("resource", resource_id, date, headers, body, content_type)
            headers.append(("WARC-Concurrent-To", resource_id))
        block = fields(_facts(stored))
        # What is known of a snapshot may be more another time: then it is another record.
        metadata_id = _record_id("metadata", resource_id, block.decode())
        self._write("metadata", metadata_id, date, headers, block, _FIELDS)

    def write_revisit(self, stored: ArchivedSnapshot, reading: Reading) -> None:
        """Write that a later visit found the same bytes, or was told that they are the same."""
        uri, resource_id = target_uri(stored), _snapshot_id(stored)
        headers = [
            ("WARC-Target-URI", uri),
            ("WARC-Profile", SAME_BYTES if reading.http_status == 200 else NOT_MODIFIED),
            ("WARC-Payload-Digest", _encoded(bytes.fromhex(stored.snapshot.sha256))),
            ("WARC-Refers-To", resource_id),
            ("WARC-Refers-To-Target-URI", uri),
            ("WARC-Refers-To-Date", date_text(stored.snapshot.fetched_at)),
        ]
        revisit_id = _record_id("revisit", resource_id, date_text(reading.at), str(reading.visit_id))
        self._write("revisit", revisit_id, reading.at, headers, b"", None)

    def _write(
        self,
        kind: str,
        record_id: str,
        date: datetime,
        more: Iterable[tuple[str, str]],
        block: bytes,
        content_type: str | None,
    ) -> None:
        assert self._writer is not None
        headers = [("WARC-Type", kind), ("WARC-Record-ID", record_id), ("WARC-Date", date_text(date)), *more]
        if kind != "warcinfo":
            headers.append(("WARC-Warcinfo-ID", self._info_id))
        block_digest = digest(block)
        headers.append(("WARC-Block-Digest", block_digest))
        if kind in ("resource", "metadata"):
            # Or the writer computes one, with SHA-1.
            headers.append(("WARC-Payload-Digest", block_digest))
        record = self._writer.create_warc_record(
            "",
            kind,
            payload=io.BytesIO(block),
            length=len(block),
            warc_headers=StatusAndHeaders("", headers, protocol=VERSION),
            warc_content_type=content_type or "",
        )
        record.content_type = content_type
        self._writer.write_record(record)


def target_uri(stored: ArchivedSnapshot) -> str:
    """The address of a page, or the name of anything else."""
    snapshot = stored.snapshot
    if snapshot.ref.kind is ArtifactKind.WEB and snapshot.url:
        return quote(snapshot.url, safe=_ADDRESS_CHARACTERS, errors="surrogatepass")
    names = (snapshot.ref.kind.value, snapshot.ref.id, snapshot.part)
    return "urn:x-openness:" + ":".join(
        quote(name, safe=_NAME_CHARACTERS, errors="surrogatepass") for name in names
    )


def _content(snapshot: StoredSnapshot) -> str:
    """Where the bytes come from: a file or page as it is, or a selection made of what an interface said."""
    if snapshot.ref.kind is ArtifactKind.LINEAGE:
        return "an entry of the lineage file"
    is_verbatim = snapshot.part in ("card", "page") or snapshot.part.startswith("file:")
    return "as handed over" if is_verbatim else "selected from an answer"


def _facts(stored: ArchivedSnapshot) -> Iterable[tuple[str, str]]:
    snapshot = stored.snapshot
    first = next((reading for reading in stored.readings if reading.is_first), None)
    yield "artifact", str(snapshot.ref)
    yield "part", snapshot.part
    yield "seen-at", snapshot.url
    for slug, role in stored.projects:
        yield "project", f"{slug} ({role.value})"
    yield "content", _content(snapshot)
    yield "sha256", snapshot.sha256
    yield "size", str(snapshot.size)
    yield "media-type", snapshot.media_type
    yield "http-status", str(first.http_status) if first and first.http_status else ""
    yield "etag", stored.etag
    yield "last-modified", stored.last_modified
    yield "change-token", stored.token
    yield "pruned", date_text(stored.pruned_at) if stored.pruned_at else ""


def fields(facts: Iterable[tuple[str, str]]) -> bytes:
    """Lines of names and values, those that are not empty."""
    shown = [(name, header(value)) for name, value in facts]
    return "".join(f"{name}: {value}\r\n" for name, value in shown if value).encode()


def header(value: str) -> str:
    """A value on one line: what ends a line, and every other control character, cannot get in."""
    shown = value[:_LONGEST].encode("utf-8", "replace").decode()
    return _LINE_BREAKING.sub(" ", shown).strip()


def date_text(at: datetime) -> str:
    """A date as WARC/1.1 writes it, to the microsecond, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(block: bytes) -> str:
    """A digest as WARC files write it."""
    return _encoded(hashlib.sha256(block).digest())


def _encoded(raw: bytes) -> str:
    return f"sha256:{b32encode(raw).decode()}"


def _snapshot_id(stored: ArchivedSnapshot) -> str:
    snapshot = stored.snapshot
    return _record_id(
        "snapshot", str(snapshot.ref), snapshot.part, snapshot.sha256, date_text(snapshot.fetched_at)
    )


def _record_id(*names: str) -> str:
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return f"<urn:uuid:{uuid5(_NAMESPACE, hashlib.sha256(text).hexdigest())}>"
