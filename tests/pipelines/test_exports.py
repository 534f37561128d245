from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.exports import csv_, json_, proposals
from pipelines.exports.cells import guarded, unguarded, utc_text
from pipelines.exports.rows import (
    EvidenceItem,
    ProjectRatings,
    ProposalRow,
    RatingCell,
    evidence_item,
    proposal_row,
    rating_rows,
)
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, FieldValue, Proposal, Quote, Rating
from pipelines.rubric import load_rubric

NIGHT = datetime(2024, 5, 1, 2, 3, 4, tzinfo=UTC)
CARD = EvidenceItem(
    artifact="hf_model:paperwing/quill-7b",
    url="https://huggingface.co/paperwing/quill-7b",
    fetched_at=NIGHT,
    sha256="ab" * 32,
    quote='Weights, "all" of them,\nare under Apache-2.0.',
)
REPOSITORY = EvidenceItem(
    artifact="github:paperwing/quill",
    url="https://github.com/paperwing/quill",
    fetched_at=NIGHT,
    sha256="cd" * 32,
    quote="$.license = null",
)
PROJECTS = [
    ProjectRatings(
        slug="quill",
        name="Quill Chät",
        org="Paperwing",
        llmbase=("Inkwell 7B",),
        rlbase=("Quill Letters",),
        homepage="https://quill.example/",
        cells={
            "api": RatingCell(rating=Rating.NOT_APPLICABLE),
            "license": RatingCell(
                rating=Rating.PARTIAL,
                link="https://github.com/paperwing/quill",
                note="The code has no licence.",
                curator="ada",
                decided_at=NIGHT,
                evidence=(CARD, REPOSITORY),
            ),
            "opencode": RatingCell(rating=Rating.OPEN, link="=HYPERLINK(1)"),
        },
    ),
    ProjectRatings(slug="nib", name="Nib"),
]
PROPOSALS = [
    ProposalRow(
        slug="quill",
        dimension="license",
        rating=Rating.PARTIAL,
        confidence=0.85,
        current=Rating.OPEN,
        link="https://github.com/paperwing/quill",
        rationale="The weights are under Apache-2.0,\nthe code names no licence.",
        rule="license@2",
        evidence=(CARD, REPOSITORY),
    ),
    ProposalRow(
        slug="quill",
        dimension="api",
        rating=Rating.NOT_APPLICABLE,
        confidence=1.0,
        current=Rating.NOT_APPLICABLE,
        link="",
        rationale="=cmd|' /C calc'!A0",
        rule="api@1",
    ),
    ProposalRow(
        slug="nib",
        dimension="paper",
        rating=None,
        confidence=0.0,
        current=None,
        link="",
        rationale="No source could be read tonight.",
        rule="paper@1",
    ),
]


def text_of(write: object, *args: object, **kwargs: object) -> str:
    out = io.StringIO(newline="")
    write(*args, out, **kwargs)  # type: ignore[operator]
    return out.getvalue()


def ratings_csv() -> str:
    return text_of(csv_.write, rating_rows(PROJECTS, load_rubric().dimension_ids))


def ratings_json() -> str:
    return text_of(json_.write, PROJECTS, rubric=load_rubric(), generated_at=NIGHT)


def proposals_csv() -> str:
    return text_of(proposals.write, PROPOSALS)


@pytest.mark.parametrize(
    ("name", "written"),
    [("ratings.csv", ratings_csv), ("ratings.json", ratings_json), ("proposals.csv", proposals_csv)],
)
def test_an_export_is_byte_for_byte_as_before(root: Path, name: str, written: object) -> None:
    golden = root / "tests" / "golden" / name
    body = written().encode("utf-8")  # type: ignore[operator]
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(body)
    assert body == golden.read_bytes(), "run the tests with UPDATE_GOLDEN=1 if the change is meant"


def test_every_format_says_its_suffix() -> None:
    assert (csv_.SUFFIX, json_.SUFFIX, proposals.SUFFIX) == (".csv", ".json", ".csv")


def test_a_dimension_that_nobody_decided_has_no_line() -> None:
    assert ratings_csv().splitlines() == [
        "slug,dimension,class,link",
        "quill,opencode,open,'=HYPERLINK(1)",
        "quill,license,partial,https://github.com/paperwing/quill",
        "quill,api,,",
    ]


def test_json_tells_undecided_from_not_applicable() -> None:
    document = json.loads(ratings_json())
    quill, nib = document["projects"]
    assert list(quill["ratings"]) == list(load_rubric().dimension_ids)
    assert quill["ratings"]["api"]["class"] == "not_applicable"
    assert quill["ratings"]["paper"] is None
    assert set(nib["ratings"].values()) == {None}
    assert document["generated_at"] == "2024-05-01T02:03:04Z"
    assert document["rubric"]["digest"] == load_rubric().digest


def test_json_leads_back_to_the_bytes_and_the_person() -> None:
    cell = json.loads(ratings_json())["projects"][0]["ratings"]["license"]
    assert cell["curator"] == "ada"
    assert cell["decided_at"] == "2024-05-01T02:03:04Z"
    assert cell["evidence"][0] == {
        "artifact": "hf_model:paperwing/quill-7b",
        "url": "https://huggingface.co/paperwing/quill-7b",
        "fetched_at": "2024-05-01T02:03:04Z",
        "sha256": "ab" * 32,
        "quote": 'Weights, "all" of them,\nare under Apache-2.0.',
    }


def test_proposals_have_the_promised_columns() -> None:
    first, second, third = csv.DictReader(io.StringIO(proposals_csv(), newline=""), strict=True)
    header = proposals_csv().splitlines()[0]
    assert header == "slug,dimension,class,confidence,current,link,rationale,rule,evidence"
    assert (first["class"], first["confidence"], first["current"]) == ("partial", "0.85", "open")
    assert (second["class"], second["confidence"], second["current"]) == ("", "1", "")
    assert (third["class"], third["confidence"], third["current"]) == ("cannot_tell", "0", "")
    assert first["rationale"] == "The weights are under Apache-2.0,\nthe code names no licence."
    evidence = json.loads(first["evidence"])
    assert [list(item) for item in evidence] == [["artifact", "url", "fetched_at", "sha256", "quote"]] * 2
    assert evidence[0]["quote"] == CARD.quote
    assert json.loads(third["evidence"]) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_free_text_is_run_by_a_spreadsheet(start: str) -> None:
    row = ProposalRow(
        slug="quill",
        dimension="api",
        rating=Rating.OPEN,
        confidence=0.5,
        current=None,
        link=f"{start}1",
        rationale=f"{start}1",
        rule=f"{start}1",
    )
    (read,) = csv.DictReader(io.StringIO(text_of(proposals.write, [row]), newline=""))
    for column, value in read.items():
        assert column == "confidence" or not value.startswith(("=", "+", "-", "@", "\t", "\r")), column
    assert read["rationale"].endswith("1")


def test_a_stranger_s_bytes_leave_the_file_valid() -> None:
    item = EvidenceItem(artifact="web:x", url="u", fetched_at=NIGHT, sha256="", quote="\ud800\x00\r\n;,\"'")
    row = ProposalRow(
        slug="quill",
        dimension="api",
        rating=Rating.OPEN,
        confidence=0.123456,
        current=None,
        link="",
        rationale="one\rtwo\r\nthree\x00\ud800",
        rule="api@1",
        evidence=(item,),
    )
    text = text_of(proposals.write, [row])
    text.encode("utf-8")
    (read,) = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert read["rationale"] == "one\ntwo\nthree \ufffd"
    assert read["confidence"] == "0.1235"
    assert json.loads(read["evidence"])[0]["quote"] == item.quote
    cell = RatingCell(rating=Rating.OPEN, note="\ud800", evidence=(item,))
    document = text_of(
        json_.write,
        [ProjectRatings(slug="a", name="A", cells={"api": cell})],
        rubric=load_rubric(),
        generated_at=NIGHT,
    )
    assert json.loads(document.encode("utf-8"))["projects"][0]["ratings"]["api"]["note"] == "\ud800"


def test_times_are_written_in_utc() -> None:
    assert utc_text(NIGHT.astimezone(timezone(timedelta(hours=5)))) == "2024-05-01T02:03:04Z"
    with pytest.raises(ValueError, match="without a zone"):
        utc_text(datetime(2024, 5, 1))


def test_a_proposal_becomes_a_row() -> None:
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="paperwing/quill-7b")
    quote = Evidence(
        kind="license",
        ref=ref,
        part="card",
        url="https://huggingface.co/paperwing/quill-7b",
        fetched_at=NIGHT,
        sha256="ab" * 32,
        where=Quote(start=0, end=3, text="MIT"),
    )
    proposal = Proposal(
        slug="quill",
        dimension="license",
        rating=Rating.OPEN,
        confidence=0.9,
        rationale="All is under MIT.",
        rule="license",
        rule_version=3,
        rubric_digest="r",
        evidence_digest="e",
        findings=(),
        evidence=(quote,),
        searched=(),
        link="https://huggingface.co/paperwing/quill-7b",
    )
    row = proposal_row(proposal, Rating.CLOSED)
    assert row.rule == "license@3"
    assert row.current is Rating.CLOSED
    assert row.evidence[0].artifact == "hf_model:paperwing/quill-7b"
    assert row.evidence[0].quote == "MIT"


def test_a_field_is_quoted_with_its_path() -> None:
    field = Evidence(
        kind="gated",
        ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="o/n"),
        part="info",
        url="u",
        fetched_at=NIGHT,
        sha256="s",
        where=FieldValue(path="$.gated", value="manual"),
    )
    assert evidence_item(field).quote == '$.gated = "manual"'


@given(st.text(max_size=30))
def test_a_guarded_text_is_never_a_formula_and_guarding_is_undone(text: str) -> None:
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    if text.isprintable() and not text.startswith("'"):
        assert unguarded(cell) == text


@given(st.lists(st.text(max_size=30), max_size=5))
def test_rows_of_any_text_are_rows_again(texts: list[str]) -> None:
    rows = [
        ProposalRow(
            slug="a",
            dimension="api",
            rating=None,
            confidence=0.5,
            current=None,
            link="",
            rationale=text,
            rule="api@1",
        )
        for text in texts
    ]
    read = list(csv.DictReader(io.StringIO(text_of(proposals.write, rows), newline=""), strict=True))
    assert [row["rationale"] for row in read] == [guarded(text) for text in texts]
