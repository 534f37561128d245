"""The question page: the evidence in its context, what changed, and what cannot be shown."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from crawler.archive import Archive
from db.models import PrunedBodyRow
from db.proposals import load_proposals
from db.question_pages import StoredBody, load_cell, load_stored_bodies
from db.values import StoredSnapshot
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    FieldValue,
    Origin,
    Passage,
    Quote,
    Role,
)
from pipelines.visible import web_address
from review.differences import MAX_WORDS, Piece, differences
from review.lineage import chains
from review.passages import CONTEXT, Texts, shown_evidence
from review.text import fetched, live_link, plain

REF = ArtifactRef(kind=ArtifactKind.GITHUB, id="quill/sorrel")
AT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def quoted(
    text: str, words: str, archive: Archive, media_type: str = "text/markdown"
) -> tuple[Evidence, Any]:
    """Evidence that quotes words of a stored text, and the snapshot that has them."""
    body = text.encode("utf-8", "surrogatepass")
    sha256 = archive.put(body)
    start = text.index(words)
    evidence = Evidence(
        kind="statement",
        ref=REF,
        part="file:README.md",
        url="https://example.org/readme",
        fetched_at=AT,
        sha256=sha256,
        where=Quote(start=start, end=start + len(words), text=words),
    )
    snapshot = StoredSnapshot(
        id=1,
        ref=REF,
        part="file:README.md",
        url="https://example.org/readme",
        fetched_at=AT,
        sha256=sha256,
        media_type=media_type,
        size=len(body),
    )
    return evidence, StoredBody(snapshot=snapshot, pruned_at=None, pruned_by="")


def shown(evidence: Evidence, body: Any, archive: Archive) -> Any:
    bodies = {} if body is None else {(evidence.ref, evidence.part, evidence.sha256): body}
    return shown_evidence([evidence], bodies, archive, Texts())[0]


def test_every_question_of_the_second_night_can_be_looked_at(shared_desk: Any, reading: Any) -> None:
    for item in shared_desk.questions():
        page = reading.get(f"/questions/{item.slug}/{item.dimension}")
        assert page.status_code == 200, item.cell
        cell = shared_desk.read(load_cell, item.slug, item.dimension, shared_desk.clock())
        proposal = cell.proposal.proposal
        assert str(escape(plain(proposal.rationale))) in page.text
        assert page.text.count("<mark>") >= min(len(proposal.evidence), 12), item.cell
        for evidence in proposal.evidence:
            assert evidence.sha256[:12] in page.text
        for place in proposal.searched:
            assert str(escape(plain(place))) in page.text
        assert "only the quote" not in page.text


def test_every_quote_stands_in_the_stored_bytes_where_it_is_shown(shared_desk: Any) -> None:
    seen = 0
    for stored in shared_desk.read(load_proposals):
        evidence = stored.proposal.evidence
        bodies = shared_desk.read(load_stored_bodies, [item.sha256 for item in evidence])
        for piece in shown_evidence(evidence, bodies, shared_desk.context.archive, Texts()):
            assert piece.problem == ""
            if isinstance(piece.evidence.where, Quote) and piece.number <= 12:
                seen += 1
                assert piece.quote == piece.evidence.where.text
                assert len(piece.before) <= CONTEXT
                assert len(piece.after) <= CONTEXT
    assert seen > 100


def test_a_quote_stands_in_its_context(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    text = "# Title\n\nBefore it.\n\nThe weights are given away.\n\nAfter it.\n"
    piece = shown(*quoted(text, "The weights are given away.", archive), archive)
    assert (piece.before, piece.after) == ("# Title\n\nBefore it.\n\n", "\n\nAfter it.\n")
    assert not piece.starts_inside
    assert not piece.ends_inside


def test_a_line_of_five_megabytes_shows_as_little_as_any_other(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    text = "lorem ipsum " * 220_000 + "THE TERMS" + " dolor sit" * 220_000
    piece = shown(*quoted(text, "THE TERMS", archive), archive)
    assert len(piece.before) <= CONTEXT
    assert len(piece.after) <= CONTEXT
    assert piece.starts_inside
    assert piece.ends_inside
    assert not piece.before.startswith("orem")


def test_bytes_that_are_gone_damaged_or_removed_are_said(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    evidence, body = quoted("All of it is open.", "is open", archive)
    file = next(tmp_path.rglob("*.gz"))
    file.write_bytes(gzip.compress(b"something else"))
    assert "damaged" in shown(evidence, body, archive).problem
    file.unlink()
    piece = shown(evidence, body, archive)
    assert "not in the archive" in piece.problem
    assert str(tmp_path) not in piece.problem
    assert piece.quote == "is open"
    removed = replace(body, pruned_at=AT, pruned_by="Olga")
    assert "removed on 2030-01-02 by Olga" in shown(evidence, removed, archive).problem
    assert "does not know" in shown(evidence, None, archive).problem


def test_a_quote_that_is_not_where_it_was_is_shown_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    evidence, body = quoted("All of it is open.", "is open", archive)
    moved = replace(evidence, where=Quote(start=3, end=10, text="is open"))
    piece = shown(moved, body, archive)
    assert "at its place" in piece.problem
    assert (piece.before, piece.quote, piece.after) == ("", "is open", "")


def test_a_field_is_shown_as_path_and_value_however_large(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    evidence, body = quoted("{}", "{}", archive)
    field = replace(evidence, where=FieldValue(path="$.license", value=["mit"] * 10_000))
    piece = shown(field, body, archive)
    assert piece.path == "$.license"
    assert piece.value.startswith('[\n  "mit"')
    assert len(piece.value) < 2100


def test_texts_are_kept_within_bounds(tmp_path: Path) -> None:
    archive, texts = Archive(tmp_path), Texts(limit=1000)
    bodies = [quoted(f"{number} " * 100, f"{number}", archive)[1] for number in range(10)]
    for body in bodies:
        texts.read(body, archive)
    assert sum(map(len, texts._kept.values())) == texts._size <= 1000
    assert texts.read(quoted("x" * 2000, "x", archive)[1], archive) == "x" * 2000
    assert texts._size <= 1000


def test_a_desk_without_its_archive_still_shows_every_question(desk: Any, ada: Any) -> None:
    for file in (desk.folder / "archive").rglob("*.gz"):
        file.unlink()
    item = next(i for i in desk.questions() if i.dimension == "license")
    page = ada.get(f"/questions/{item.slug}/{item.dimension}")
    assert page.status_code == 200
    assert "not in the archive" in page.text
    assert "<mark>" in page.text
    assert "stored bytes</a>" not in page.text.split('id="evidence-1"')[1].split("</li>")[0]


def test_stored_bytes_are_handed_out_as_a_file_and_never_as_a_page(desk: Any, ada: Any) -> None:
    evidence = next(
        e for stored in desk.read(load_proposals) for e in stored.proposal.evidence if e.ref.kind == "web"
    )
    answer = ada.get(f"/snapshots/{evidence.sha256}")
    assert answer.content == desk.context.archive.get(evidence.sha256)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert ada.get("/snapshots/" + "0" * 64).status_code == 404
    assert ada.get("/snapshots/..%2f..%2fopenness.db").status_code == 404
    next((desk.folder / "archive").rglob(f"{evidence.sha256}.gz")).unlink()
    assert ada.get(f"/snapshots/{evidence.sha256}").status_code == 410
    row = {"sha256": evidence.sha256, "pruned_at": AT, "pruned_by": "Olga"}
    desk.write(lambda session: session.add(PrunedBodyRow(**row)))
    gone = ada.get(f"/snapshots/{evidence.sha256}")
    assert gone.status_code == 410
    assert "removed on 2030-01-02 by Olga" in gone.text


def test_the_page_tells_what_changed_since_the_rating(shared_desk: Any, reading: Any) -> None:
    changed = [
        item
        for item in shared_desk.questions()
        if 'id="diff-heading"' in reading.get(f"/questions/{item.slug}/{item.dimension}").text
    ]
    assert changed
    page = reading.get(f"/questions/{changed[0].slug}/{changed[0].dimension}").text
    assert "<del>" in page or "<ins>" in page


def piece_of(text: str, part: str = "card", kind: str = "statement") -> Evidence:
    return Evidence(
        kind=kind,
        ref=REF,
        part=part,
        url="https://example.org/",
        fetched_at=AT,
        sha256="0" * 64,
        where=Quote(start=0, end=len(text), text=text),
    )


def test_passages_are_compared_word_by_word() -> None:
    then, now = piece_of("The weights are open to all."), piece_of("The weights are closed to all.")
    (found,) = differences([then], [now])
    assert found.pieces == (
        (Piece.SAME, "The weights are "),
        (Piece.GONE, "open"),
        (Piece.NEW, "closed"),
        (Piece.SAME, " to all."),
    )


def test_what_stayed_is_no_difference_and_what_has_no_counterpart_is_whole() -> None:
    same, gone, new = piece_of("Same."), piece_of("Gone.", "file:A"), piece_of("New.", "file:B")
    found = differences([same, gone], [new, same])
    assert [(item.then, item.now) for item in found] == [(gone, None), (None, new)]


def test_long_passages_are_compared_in_bounds() -> None:
    (found,) = differences([piece_of("a b " * 50_000)], [piece_of("b c " * 50_000)])
    assert sum(len(text) for _, text in found.pieces) <= 4 * MAX_WORDS


def test_the_chain_leads_from_the_seeds_to_the_base() -> None:
    card, base = (
        ArtifactRef(kind=ArtifactKind.HF_MODEL, id="quill/chat"),
        ArtifactRef(kind=ArtifactKind.HF_MODEL, id="marsh/base"),
    )
    seed = Artifact(ref=card, role=Role.RL_WEIGHTS)
    named = Passage(artifact=card, part="card", text="base_model: marsh/base")
    inherited = Artifact(ref=base, role=Role.LLM_WEIGHTS, origin=Origin.LINEAGE, named_by=named)
    (chain,) = chains([seed, inherited], [base, card])
    assert [step.ref for step in chain.steps] == [card, base]
    assert chain.is_inherited
    circle = replace(seed, named_by=Passage(artifact=base, part="card", text="x"))
    assert len(chains([circle, inherited], [base])[0].steps) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("abc\u202egnp.exe", "abc\u27e8202E\u27e9gnp.exe"),
        ("a\x1b[31mb\x00c", "a\u27e8001B\u27e9[31mb\u27e80000\u27e9c"),
        ("one\r\ntwo\u2028three", "one\ntwo\u27e82028\u27e9three"),
        ("\ud800", "\u27e8D800\u27e9"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_fetched_words_are_escaped_and_what_is_hidden_is_seen(text: str, expected: str) -> None:
    assert str(fetched(text)) == f'<span class="fetched" dir="auto">{expected}</span>'
    str(fetched(text)).encode()


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " https://example.org/",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "//example.org/",
        "https://user:secret@example.org/",
        "https://",
        "https://exam\u202eple.org/",
        "http://[::1",
        "https://example.org/" + "a" * 3000,
    ],
)
def test_what_is_no_web_address_is_text(address: str) -> None:
    assert web_address(address) == ""
    assert "<a " not in live_link(address)


def test_a_link_to_the_live_page_tells_it_nothing() -> None:
    link = live_link('https://example.org/?a="><script>')
    assert 'rel="noopener noreferrer nofollow external"' in link
    assert "<script>" not in link


def test_a_page_says_who_asks_and_when(shared_desk: Any, reading: Any) -> None:
    item = next(item for item in shared_desk.questions() if item.current is not None)
    page = reading.get(f"/questions/{item.slug}/{item.dimension}").text
    assert "Taken over from" in page or "Decided by" in page
    assert "What the classes mean" in page
    assert re.search(r'class="is-proposed"><th scope="row"><span class="rating ' + item.rating.value, page)
