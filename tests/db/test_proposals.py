"""Proposals: stored once, current or not, with the evidence they rest on."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select

from db.decide import accept, reject
from db.load import load_proposals
from db.models import EvidenceRow, FindingRow, ProposalEvidenceRow, ProposalRow, SnapshotRow
from db.queue import load_queue
from db.save import save_extraction, save_projects, save_proposal, save_proposals, save_visit
from db.session import session_scope
from pipelines.errors import StorageError, UsageError
from pipelines.model import ArtifactKind, ArtifactRef, DecisionKind, Quote, Rating, VisitStatus

CARD = b"# Brindle\n\nWeights under the Fernlicht terms. Data on request.\n"


def save(desk, *proposals):
    with session_scope(desk.engine, write=True) as session:
        return save_proposals(session, proposals, desk.run_id, desk.now)


def load(desk, **filters):
    with session_scope(desk.engine) as session:
        return load_proposals(session, **filters)


def count(desk, row):
    with session_scope(desk.engine) as session:
        return session.scalar(select(func.count()).select_from(row))


def test_a_proposal_comes_back_whole(desk):
    quotes = desk.read(CARD, "Fernlicht terms", "Data on request")
    made = desk.proposal(Rating.PARTIAL, *quotes)
    with session_scope(desk.engine, write=True) as session:
        assert save_proposal(session, made, desk.run_id, desk.now)
    [stored] = load(desk)
    assert stored.proposal == made
    assert (stored.run_id, stored.created_at, stored.is_current) == (desk.run_id, desk.now, True)
    assert count(desk, EvidenceRow) == 2, "evidence is linked, not copied"


def test_the_same_proposal_twice_adds_nothing(desk):
    made = desk.proposal(Rating.PARTIAL, *desk.read(CARD, "Fernlicht terms"))
    assert save(desk, made, made) == 1
    before = load(desk)
    desk.later()
    assert save(desk, made) == 0
    assert load(desk) == before
    assert (count(desk, ProposalRow), count(desk, FindingRow)) == (1, 2)


def test_a_newer_proposal_becomes_current_and_an_earlier_one_can_return(desk):
    first = desk.proposal(Rating.PARTIAL, digest="one")
    second = desk.proposal(Rating.OPEN, digest="two")
    save(desk, first)
    desk.later()
    assert save(desk, second) == 1
    assert [item.proposal.rating for item in load(desk)] == [Rating.OPEN]
    made_at = desk.now
    desk.later()
    assert save(desk, first) == 0
    [stored] = load(desk)
    assert (stored.proposal, stored.current_since) == (first, desk.now)
    assert stored.created_at < made_at
    assert save(desk, second, first, second) == 0
    assert [item.proposal for item in load(desk)] == [second]


def test_quotes_stay_readable_after_the_page_has_changed(desk):
    [quote] = desk.read(CARD, "Fernlicht terms")
    proposal_id = desk.propose(Rating.PARTIAL, quote)
    desk.later()
    desk.read(b"# Brindle\n\nFree for everybody.\n", "Free for everybody", version="2")
    desk.propose(Rating.OPEN, digest="other")
    [stored] = load(desk, ids=[proposal_id])
    assert stored.proposal.evidence == (quote,)
    assert not stored.is_current


def test_evidence_that_no_extraction_holds_is_kept_with_the_proposal(desk):
    desk.save(desk.visit(CARD))
    quote = desk.evidence(CARD, "Data on request")
    field = desk.field_evidence(CARD, "$.gated", {"b": 1, "a": [None, "\x00"]})
    made = desk.proposal(Rating.CLOSED, quote, field)
    save(desk, made)
    assert [item.proposal for item in load(desk)] == [made]
    assert count(desk, EvidenceRow) == 2


def test_a_proposal_names_each_piece_of_evidence_by_its_own_row(desk):
    """Also where very many are looked up, some with the same words at several places."""
    body = "".join(f"line {number} says the same. " for number in range(150)).encode()
    lines = desk.read(body, *[f"line {number} says" for number in range(150)])
    start = body.decode().index("the same")
    repeated = [
        replace(
            lines[0], where=Quote(start=start + 25 * number, end=start + 25 * number + 8, text="the same")
        )
        for number in range(4)
    ]
    fields = [
        desk.field_evidence(body, path, value) for path in ("$.a", "$.b") for value in (1, 1.5, "1", None)
    ]
    with session_scope(desk.engine, write=True) as session:
        (snapshot_id,) = session.scalars(select(SnapshotRow.id))
        save_extraction(session, snapshot_id, "2", [*repeated, *fields])
    stored = count(desk, EvidenceRow)
    found = [*lines, *repeated, *fields]
    made = desk.proposal(Rating.PARTIAL, *found)
    save(desk, made)
    assert [item.proposal for item in load(desk)] == [made]
    assert count(desk, EvidenceRow) == stored
    with session_scope(desk.engine) as session:
        links = session.scalars(select(ProposalEvidenceRow.evidence_id).order_by(ProposalEvidenceRow.ordinal))
        assert len(set(links)) == len(found)


def test_evidence_without_a_stored_snapshot_is_refused_whole(desk):
    made = desk.proposal(Rating.CLOSED, desk.evidence(CARD, "Data on request"))
    with pytest.raises(StorageError, match=r"brindle license.*no snapshot is stored"):
        save(desk, desk.proposal(Rating.OPEN, dimension="api"), made)
    assert count(desk, ProposalRow) == 0


def test_proposals_can_be_narrowed_and_are_sorted(desk):
    desk.seed("sorrel", "brindle")
    for slug in ("sorrel", "brindle"):
        for dimension in ("paper", "api"):
            desk.propose(None, slug=slug, dimension=dimension)
    everything = [(item.proposal.slug, item.proposal.dimension) for item in load(desk)]
    assert everything == [("brindle", "api"), ("brindle", "paper"), ("sorrel", "api"), ("sorrel", "paper")]
    assert len(load(desk, slugs=["sorrel"], dimensions=["api"])) == 1
    assert load(desk, ids=[]) == []
    with pytest.raises(UsageError, match="no project"):
        load(desk, slugs=["sorel"])


def test_an_unknown_project_gets_no_proposal(desk):
    with pytest.raises(UsageError, match="no project 'sorrel'"):
        save(desk, desk.proposal(Rating.OPEN, slug="sorrel"))


def test_thirty_projects_load_in_a_fixed_number_of_queries_and_well_under_a_second(desk):
    slugs = [f"project-{number:02}" for number in range(30)]
    dimensions = [f"dimension-{number:02}" for number in range(14)]
    with session_scope(desk.engine, write=True) as session:
        save_projects(session, [desk.project(slug) for slug in slugs], desk.now)
        for slug in slugs:
            ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id=slug)
            body = "".join(f"{slug} says {word}. " for word in dimensions).encode()
            saved = save_visit(
                session, desk.archive, desk.run_id, desk.visit(body, ref=ref, status=VisitStatus.OK)
            )
            found = [desk.evidence(body, f"says {word}", ref=ref) for word in dimensions]
            save_extraction(session, saved.snapshot_id, "1", found)
            made = [
                desk.proposal(Rating.OPEN, *found[:8], slug=slug, dimension=dimension)
                for dimension in dimensions
            ]
            assert save_proposals(session, made, desk.run_id, desk.now) == 14
    statements = []
    with session_scope(desk.engine) as session:
        event.listen(desk.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        started = time.process_time()
        assert len(load_proposals(session)) == 420
        took = time.process_time() - started
    assert len([item for item in statements if item.startswith("SELECT")]) < 12
    assert took < 1


def test_the_current_proposal_tells_the_confidence_reason_and_link_of_today(desk):
    quotes = desk.read(CARD, "Fernlicht terms")
    first = desk.proposal(Rating.PARTIAL, *quotes, confidence=0.8)
    save(desk, first)
    [before] = load(desk)
    findings = count(desk, FindingRow)
    desk.later()
    again = replace(
        first, confidence=0.55, rationale="the card, read earlier", link="https://models.example/x"
    )
    assert save(desk, again) == 0
    [stored] = load(desk)
    assert stored.proposal == again
    assert (stored.id, stored.created_at, stored.current_since) == (
        before.id,
        before.created_at,
        before.current_since,
    )
    assert count(desk, FindingRow) == findings


def test_a_proposal_that_becomes_current_again_tells_the_confidence_of_today(desk):
    first = desk.proposal(Rating.PARTIAL, digest="one", confidence=0.8)
    save(desk, first)
    save(desk, desk.proposal(Rating.OPEN, digest="two"))
    save(desk, replace(first, confidence=0.6))
    [stored] = load(desk)
    assert stored.proposal.confidence == 0.6


def test_an_earlier_proposal_keeps_the_confidence_that_it_had(desk):
    first = desk.proposal(Rating.PARTIAL, digest="one", confidence=0.8)
    first_id = desk.propose(Rating.PARTIAL, digest="one", confidence=0.8)
    save(desk, desk.proposal(Rating.OPEN, digest="two", confidence=0.5))
    assert [item.proposal for item in load(desk, ids=[first_id])] == [first]


@pytest.mark.parametrize("kind", [DecisionKind.CONFIRM, DecisionKind.REJECT])
def test_another_confidence_brings_no_answered_question_back(desk, kind):
    made = desk.proposal(Rating.PARTIAL, digest="one", confidence=0.8)
    save(desk, made)
    with session_scope(desk.engine, write=True) as session:
        [question] = load_queue(session, desk.now)
        if kind is DecisionKind.CONFIRM:
            accept(session, question.proposal_id, curator="Wren", now=desk.now)
        else:
            reject(session, question.proposal_id, curator="Wren", reason="not so", now=desk.now)
    desk.later()
    save(desk, replace(made, confidence=0.3, rationale="told otherwise"))
    with session_scope(desk.engine) as session:
        assert load_queue(session, desk.now) == []
    assert [item.proposal.confidence for item in load(desk)] == [0.3]
