"""Claims of openness beside what the evidence shows."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest

from pipelines.claims import _found_in_any_case, contradictions
from pipelines.evidence import EvidenceSet, Reading
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    FieldValue,
    Origin,
    Project,
    Quote,
    Role,
    VisitStatus,
)

MODEL = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="meadowlab/sorrel-7b-chat")
NIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def evidence(kind: str, where: Quote | FieldValue, **value: object) -> Evidence:
    return Evidence(
        kind=kind,
        ref=MODEL,
        part="card",
        url="https://hub.example/sorrel",
        fetched_at=NIGHT,
        sha256="0" * 64,
        where=where,
        value=value,
    )


def said(sentence: str, says: str = "open_claim", about: str | None = "weights") -> Evidence:
    return evidence("statement", Quote(start=0, end=len(sentence), text=sentence), says=says, about=about)


def tag(licence: str) -> Evidence:
    return evidence(
        "licence.tag", FieldValue(path="$.license", value=licence), licence=licence, raw=licence, list=[]
    )


def of_sorrel(*items: Evidence) -> EvidenceSet:
    artifact = Artifact(ref=MODEL, role=Role.RL_WEIGHTS, origin=Origin.SEED)
    project = Project(
        slug="sorrel",
        name="Sorrel",
        org="Meadow Lab",
        llmbase=(),
        rlbase=(),
        homepage="",
        artifacts=(artifact,),
    )
    readings = tuple(
        Reading(ref=MODEL, part=part, url="", status=VisitStatus.OK, at=NIGHT, reason="")
        for part in ("info", "card")
    )
    return EvidenceSet(project=project, evidence=items, readings=readings)


def test_open_source_under_a_non_commercial_licence_is_shown_with_both_quotes() -> None:
    claim, fact = said("Sorrel is a fully open-source model."), tag("CC-BY-NC-4.0")
    (found,) = contradictions(of_sorrel(claim, fact))
    assert found.dimension == "license"
    assert found.claim == claim
    assert found.facts == (fact,)
    told = found.as_json()
    assert told["claim"]["quote"] == "Sorrel is a fully open-source model."
    assert told["facts"][0]["quote"] == '$.license = "CC-BY-NC-4.0"'


def test_commercial_use_claimed_under_a_non_commercial_licence_is_shown() -> None:
    claim = said("Sorrel is free for commercial use.", says="commercial_claim")
    (found,) = contradictions(of_sorrel(claim, tag("CC-BY-NC-4.0")))
    assert found.claim == claim


def test_a_claim_that_the_licence_bears_out_is_none() -> None:
    assert contradictions(of_sorrel(said("Sorrel is a fully open-source model."), tag("Apache-2.0"))) == ()


def test_without_a_claim_there_is_nothing_to_contradict() -> None:
    assert contradictions(of_sorrel(tag("CC-BY-NC-4.0"))) == ()


@pytest.mark.parametrize(
    "sentence",
    [
        "Sorrel is not an open-source model.",
        "Sorrel outperforms other open-source models.",
        "We thank the open-source community.",
        "Bramble is an open-source model.",
        "We are grateful for open source data.",
        "Our tools are open sourced.",
    ],
)
def test_what_is_no_claim_of_the_project_about_itself_is_left_out(sentence: str) -> None:
    assert contradictions(of_sorrel(said(sentence), tag("CC-BY-NC-4.0"))) == ()


def test_words_are_found_in_whatever_case_they_are_written() -> None:
    pattern = r"\b(?:tools?|isn't|like\s+this|an?\s+open[-\s]?source)\b|不"
    is_found, in_any_case = _found_in_any_case(pattern), re.compile(pattern, re.IGNORECASE)
    chance = random.Random(11)
    pieces = [
        "tool",
        "TOOLs",
        "tool\u017f",
        "I\u0130",
        "li\u212ae this",
        "Like\tTHIS",
        "An Open-Source",
        "不",
        "isn't",
        " ",
        "x",
    ]
    texts = ["".join(chance.choices(pieces, k=chance.randrange(6))) for _ in range(3000)]
    for text in [*texts, *map(str.upper, texts), *map(str.title, texts)]:
        assert is_found(text) == bool(in_any_case.search(text)), text
    assert len({is_found(text) for text in texts if text.isascii()}) == 2
    assert len({is_found(text) for text in texts if not text.isascii()}) == 2
