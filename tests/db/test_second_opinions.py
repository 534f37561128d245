"""Second opinions and disputes: who is asked, what is refused, and what becomes a question."""

from __future__ import annotations

from datetime import timedelta

import pytest

from db.agreement_numbers import load_curator_agreement, load_rule_agreement
from db.audit import record
from db.decide import accept, override, rate, reject
from db.disputes import (
    FILED,
    DisputeState,
    count_open_disputes,
    dismiss_dispute,
    load_disputes,
    save_dispute,
    too_many_disputes,
)
from db.opinions import is_chosen, load_asked, load_asked_cell, load_opinions, save_opinion
from db.questions import load_page
from db.review_values import QuestionKind, QueueFilter
from db.session import session_scope
from pipelines.errors import DecisionError, UsageError
from pipelines.model import Rating
from pipelines.rubric import load_rubric

RUBRIC = load_rubric()
LINK = "https://models.example/terms"


def read(desk, function, *values, **named):
    with session_scope(desk.engine) as session:
        return function(session, *values, **named)


def write(desk, function, *values, **named):
    with session_scope(desk.engine, write=True) as session:
        return function(session, *values, **named)


def kinds(desk):
    items = read(desk, load_page, QueueFilter(), desk.now).items
    return {item.cell: item.kind for item in items}


def rated(desk, rating=Rating.OPEN, curator="Alma"):
    """A cell that a curator has confirmed; the decision."""
    proposal = desk.propose(rating, digest="d1")
    return write(desk, accept, proposal, curator=curator, now=desk.later())


def opine(desk, decision, rating, curator="Bela", **more):
    values = {"slug": "brindle", "dimension": "license", "reason": "as I read it", "share": 1.0, **more}
    return write(
        desk, save_opinion, decision_id=decision, rating=rating, curator=curator, now=desk.later(), **values
    )


def test_a_cell_is_asked_of_everybody_but_the_curator_who_rated_it(desk):
    rated(desk)
    assert [cell.slug for cell in read(desk, load_asked, "Bela", 1.0)] == ["brindle"]
    assert read(desk, load_asked, "Alma", 1.0) == []
    assert read(desk, load_asked, "Bela", 0.0) == []
    assert read(desk, load_asked_cell, "Bela", 1.0, "brindle", "license") is not None
    assert read(desk, load_asked_cell, "Bela", 1.0, "brindle", "code") is None


def test_what_was_rated_without_a_proposal_is_asked_of_nobody(desk):
    write(
        desk, rate, "brindle", "license", rating=Rating.OPEN, curator="Alma", now=desk.later(), reason="seen"
    )
    assert read(desk, load_asked, "Bela", 1.0) == []


def test_the_share_is_kept_and_a_larger_one_holds_the_smaller():
    cells = [("brindle", f"d{number}", "digest") for number in range(2000)]
    few = {cell for cell in cells if is_chosen(*cell, 0.2)}
    more = {cell for cell in cells if is_chosen(*cell, 0.4)}
    assert few < more
    assert 0.16 < len(few) / len(cells) < 0.24
    assert all(is_chosen(*cell, 1.0) for cell in cells)
    assert not any(is_chosen(*cell, 0.0) for cell in cells)


def test_an_opinion_that_differs_is_a_question_until_somebody_decides(desk):
    decision = rated(desk)
    opinion = opine(desk, decision, Rating.CLOSED)
    assert not opinion.agrees
    assert kinds(desk) == {("brindle", "license"): QuestionKind.DISAGREEMENT}
    assert read(desk, load_asked, "Cleo", 1.0) == []
    write(
        desk, rate, "brindle", "license", rating=Rating.OPEN, curator="Cleo", now=desk.later(), reason="it is"
    )
    assert kinds(desk) == {}
    (stored,) = read(desk, load_opinions)
    assert stored.is_settled


def test_an_opinion_that_agrees_asks_nothing(desk):
    assert opine(desk, rated(desk), Rating.OPEN).agrees
    assert kinds(desk) == {}


@pytest.mark.parametrize(
    "wrong",
    [{"curator": "Alma"}, {"share": 0.0}, {"reason": "  "}, {"dimension": "code"}, {"curator": " "}],
)
def test_an_opinion_is_refused_of_whoever_is_not_asked(desk, wrong):
    decision = rated(desk)
    with pytest.raises(DecisionError):
        opine(desk, decision, Rating.CLOSED, **wrong)
    assert read(desk, load_opinions) == []


def test_an_opinion_about_a_decision_that_was_overtaken_is_refused(desk):
    decision = rated(desk)
    write(
        desk, rate, "brindle", "license", rating=Rating.PARTIAL, curator="Cleo", now=desk.later(), reason="so"
    )
    with pytest.raises(DecisionError, match="not asked of you any more"):
        opine(desk, decision, Rating.CLOSED)


def test_agreement_counts_what_was_decided_with_the_proposal_before_ones_eyes(desk):
    rated(desk)
    second = desk.propose(Rating.CLOSED, digest="d2", dimension="code")
    write(desk, override, second, rating=Rating.OPEN, curator="Alma", now=desk.later(days=40), reason="no")
    third = desk.propose(Rating.CLOSED, digest="d3", dimension="api")
    write(desk, reject, third, curator="Alma", now=desk.later(), reason="no")
    write(desk, rate, "brindle", "paper", rating=Rating.OPEN, curator="Alma", now=desk.later(), reason="yes")
    found = read(desk, load_rule_agreement)
    assert (found.total.n, found.total.agreed, found.total.rejected) == (3, 1, 1)
    assert found.total.classes.flips == 0.5
    assert [(month.n, month.agreed) for month in found.total.months] == [(1, 1), (2, 0)]
    assert set(found.by_dimension) == {"api", "code", "license"}


def test_agreement_between_curators_counts_second_opinions(desk):
    opine(desk, rated(desk), Rating.CLOSED)
    found = read(desk, load_curator_agreement)
    assert (found.total.n, found.total.agreed) == (1, 0)
    assert read(desk, load_curator_agreement).by_dimension["license"].share == 0.0


def dispute(desk, **more):
    values = {
        "slug": "brindle",
        "dimension": "license",
        "link": LINK,
        "text": "The terms were changed.",
        "contact": "",
        **more,
    }
    return write(desk, save_dispute, RUBRIC, now=desk.later(), **values)


def test_a_dispute_is_a_question_until_the_cell_is_decided(desk):
    rated(desk)
    dispute(desk)
    assert kinds(desk) == {("brindle", "license"): QuestionKind.DISPUTE}
    assert read(desk, count_open_disputes) == 1
    write(
        desk, rate, "brindle", "license", rating=Rating.OPEN, curator="Cleo", now=desk.later(), reason="it is"
    )
    assert kinds(desk) == {}
    (stored,) = read(desk, load_disputes)
    assert stored.state is DisputeState.ANSWERED
    assert read(desk, count_open_disputes) == 0


def test_a_dispute_that_is_dismissed_asks_nothing_any_more(desk):
    rated(desk)
    number = dispute(desk)
    with pytest.raises(DecisionError, match="reason"):
        write(desk, dismiss_dispute, number, curator="Alma", reason=" ", now=desk.later())
    done = write(
        desk, dismiss_dispute, number, curator="Alma", reason="the terms are the same", now=desk.later()
    )
    assert (done.state, done.closed_by) == (DisputeState.DISMISSED, "Alma")
    assert kinds(desk) == {}
    with pytest.raises(DecisionError, match="dismissed already"):
        write(desk, dismiss_dispute, number, curator="Bela", reason="again", now=desk.later())
    with pytest.raises(UsageError, match="no dispute"):
        write(desk, dismiss_dispute, 99, curator="Bela", reason="again", now=desk.later())


@pytest.mark.parametrize(
    "wrong",
    [
        {"slug": "nobody"},
        {"dimension": "taste"},
        {"link": ""},
        {"link": "javascript:alert(1)"},
        {"link": "https://user:secret@models.example/"},
        {"text": "  "},
        {"text": "x" * 4001},
        {"contact": "x" * 201},
    ],
)
def test_a_dispute_without_what_it_needs_is_refused(desk, wrong):
    with pytest.raises(UsageError):
        dispute(desk, **wrong)
    assert read(desk, load_disputes) == []


def test_disputes_are_limited_by_address_and_in_all(desk):
    def filed(address, number):
        for _ in range(number):
            write(
                desk, record, at=desk.now, actor="-", action=FILED, subject="brindle license", address=address
            )

    filed("203.0.113.9", 3)
    assert read(desk, too_many_disputes, "203.0.113.9", desk.now)
    assert not read(desk, too_many_disputes, "203.0.113.10", desk.now)
    assert not read(desk, too_many_disputes, "203.0.113.9", desk.now + timedelta(hours=2))
    filed("203.0.113.11", 97)
    assert read(desk, too_many_disputes, "203.0.113.10", desk.now)
