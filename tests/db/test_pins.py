"""Which bytes have to stay: the latest of every part, and what decisions and proposals rest on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.decide import accept, reject, undo
from db.load import load_projects
from db.models import PrunedBodyRow, SnapshotRow
from db.pins import (
    KeepRule,
    Need,
    load_body_needs,
    load_pinned_bodies,
    load_pinned_but_pruned,
    load_pruned,
    load_resting_on_pruned,
    save_pruned,
    save_returned,
)
from db.proposals import load_proposals
from db.session import session_scope
from pipelines.model import Rating, digest_bytes


def needs(desk, rule=None, prefix=""):
    with session_scope(desk.engine) as session:
        found = load_body_needs(session, prefix, rule or KeepRule())
    return {body.sha256: body.need for body in found}


def read(desk, *bodies, ref=None, part="card", days=1):
    """Visit a part once a day with these bodies; their digests."""
    for body in bodies:
        desk.later(days=days)
        desk.save(desk.visit(body, ref=ref or desk.card, part=part))
    return [digest_bytes(body) for body in bodies]


def decide(desk, decision, proposal_id, **more):
    with session_scope(desk.engine, write=True) as session:
        return decision(session, proposal_id, curator="rowan", now=desk.now, **more)


def test_the_latest_of_every_part_stays_and_the_others_need_a_reason(desk):
    one, two, three = read(desk, b"one", b"two", b"three")
    [tree] = read(desk, b"[]", ref=desk.repository, part="tree")
    assert needs(desk) == {one: Need.NONE, two: Need.NONE, three: Need.STANDING, tree: Need.STANDING}


def test_bytes_that_a_part_returned_to_are_the_latest(desk):
    one, two, _ = read(desk, b"one", b"two", b"one")
    assert needs(desk) == {one: Need.STANDING, two: Need.NONE}


def test_what_was_last_read_in_the_time_to_keep_stays(desk):
    one, two, three = read(desk, b"one", b"two", b"three", days=10)
    since = desk.now - timedelta(days=10)
    assert needs(desk, KeepRule(since=since)) == {one: Need.NONE, two: Need.RECENT, three: Need.STANDING}


def test_the_time_to_keep_counts_from_the_last_visit_that_found_it_unchanged(desk):
    [one] = read(desk, b"one")
    desk.later(days=100)
    desk.save(desk.visit(b"one"))
    read(desk, b"two")
    assert needs(desk, KeepRule(since=desk.now - timedelta(days=30)))[one] is Need.RECENT


def test_so_many_snapshots_of_a_part_stay(desk):
    one, two, three, four = read(desk, b"one", b"two", b"three", b"four")
    assert needs(desk, KeepRule(last=3)) == {
        one: Need.NONE,
        two: Need.RECENT,
        three: Need.RECENT,
        four: Need.STANDING,
    }


def test_going_to_and_fro_is_two_snapshots_however_often(desk):
    one, two, three, *_ = read(desk, b"one", b"two", b"three", b"two", b"three")
    assert needs(desk, KeepRule(last=2)) == {one: Need.NONE, two: Need.RECENT, three: Need.STANDING}


def test_bytes_that_two_parts_share_stay_while_one_needs_them(desk):
    read(desk, b"licence", b"other licence")
    shared = digest_bytes(b"licence")
    assert needs(desk)[shared] is Need.NONE
    read(desk, b"licence", ref=desk.repository, part="file:LICENSE")
    assert needs(desk)[shared] is Need.STANDING


def test_only_bodies_with_the_prefix_are_told(desk):
    digests = read(desk, *(b"%d" % number for number in range(8)))
    found = [sha256 for prefix in "0123456789abcdef" for sha256 in needs(desk, prefix=prefix)]
    assert found == sorted(digests)


class TestProposals:
    def test_what_the_current_proposal_rests_on_stays(self, desk):
        body = b"# Brindle\nThe weights are free."
        [evidence] = desk.read(body, "weights are free")
        desk.propose(Rating.OPEN, evidence)
        read(desk, b"two", b"three")
        assert needs(desk)[digest_bytes(body)] is Need.PINNED
        assert needs(desk)[digest_bytes(b"two")] is Need.NONE
        with session_scope(desk.engine) as session:
            some = [digest_bytes(body), digest_bytes(b"two"), "0" * 64]
            assert load_pinned_bodies(session, some) == {digest_bytes(body)}

    def test_evidence_of_a_finding_alone_is_enough(self, desk):
        body = b"# Brindle\nThe weights are free."
        [evidence] = desk.read(body, "weights are free")
        made = desk.proposal(Rating.OPEN, evidence)
        from dataclasses import replace

        from db.save import save_proposal

        with session_scope(desk.engine, write=True) as session:
            save_proposal(session, replace(made, evidence=()), desk.run_id, desk.now)
        read(desk, b"two")
        assert needs(desk)[digest_bytes(body)] is Need.PINNED

    def test_the_proposal_before_the_current_one_is_shown_beside_it_and_stays_those_before_do_not(self, desk):
        bodies = [b"# One free", b"# Two free", b"# Three free"]
        for body in bodies:
            desk.later()
            [evidence] = desk.read(body, body.decode()[2:])
            desk.propose(Rating.OPEN, evidence)
        read(desk, b"later")
        found = needs(desk)
        assert [found[digest_bytes(body)] for body in bodies] == [Need.NONE, Need.PINNED, Need.PINNED]

    @pytest.mark.parametrize("decision", [accept, reject])
    def test_what_was_decided_about_stays_for_good_even_when_it_was_taken_back(self, desk, decision):
        body = b"# One free"
        desk.later()
        [evidence] = desk.read(body, "One free")
        proposal_id = desk.propose(Rating.OPEN, evidence)
        more = {} if decision is accept else {"reason": "it is not"}
        decide(desk, decision, proposal_id, **more)
        for text in ("Two free", "Three free"):
            desk.later()
            [evidence] = desk.read(f"# {text}".encode(), text)
            desk.propose(Rating.OPEN, evidence)
        assert needs(desk)[digest_bytes(body)] is Need.PINNED
        with session_scope(desk.engine, write=True) as session:
            undo(session, "brindle", "license", curator="rowan", now=desk.later(), reason="a mistake")
        assert needs(desk)[digest_bytes(body)] is Need.PINNED

    def test_what_stood_when_a_decision_was_made_stays_since_it_was_searched_in_vain(self, desk):
        before, silent, after = b"before", b"says nothing", b"after"
        read(desk, before, silent)
        desk.later()
        proposal_id = desk.propose(Rating.CLOSED)
        decide(desk, accept, proposal_id)
        read(desk, after, b"latest")
        found = needs(desk)
        assert found[digest_bytes(before)] is Need.NONE
        assert found[digest_bytes(silent)] is Need.PINNED
        assert found[digest_bytes(after)] is Need.NONE

    def test_what_stood_when_the_proposal_was_made_stays_also_if_it_was_decided_later(self, desk):
        read(desk, b"then")
        desk.later()
        proposal_id = desk.propose(Rating.CLOSED)
        read(desk, b"when decided")
        desk.later()
        decide(desk, accept, proposal_id)
        read(desk, b"latest")
        found = needs(desk)
        assert found[digest_bytes(b"then")] is found[digest_bytes(b"when decided")] is Need.PINNED

    def test_an_imported_rating_rests_on_the_latest_proposal_that_says_the_same(self, desk):
        from db.import_ratings import import_ratings
        from pipelines.ratings import parse_ratings

        for rating, text in (
            (Rating.OPEN, "One"),
            (Rating.OPEN, "Two"),
            (Rating.CLOSED, "Three"),
            (Rating.PARTIAL, "Four"),
            (Rating.CLOSED, "Five"),
        ):
            desk.later()
            desk.propose(rating, *desk.read(f"# {text}".encode(), text))
        rows = parse_ratings("slug,dimension,class,link\nbrindle,license,open,\n", "ratings.csv")
        with session_scope(desk.engine, write=True) as session:
            import_ratings(session, rows, "an index", desk.now)
        read(desk, b"latest")
        found = needs(desk)
        pinned = {
            text
            for text in ("One", "Two", "Three", "Four", "Five")
            if found[digest_bytes(f"# {text}".encode())] is Need.PINNED
        }
        assert pinned == {"Two", "Four", "Five"}

    def test_decisions_of_other_projects_hold_nothing(self, desk):
        from db.save import save_projects

        with session_scope(desk.engine, write=True) as session:
            projects = load_projects(session)
            save_projects(session, [*projects, desk.project("sedge")], desk.now)
        read(desk, b"one")
        desk.later()
        decide(desk, accept, desk.propose(Rating.CLOSED, slug="sedge"))
        read(desk, b"two")
        assert needs(desk)[digest_bytes(b"one")] is Need.NONE


def test_what_was_pruned_is_known_until_it_is_back(desk):
    one, _ = read(desk, b"one", b"two")
    with session_scope(desk.engine, write=True) as session:
        save_pruned(session, [one], desk.now, "rowan")
    with session_scope(desk.engine) as session:
        assert load_pruned(session, one[:2]) == {one: desk.now}
        assert load_pruned(session, "zz") == {}
        assert [body.is_pruned for body in load_body_needs(session, one[:2], KeepRule())] == [True]
    with session_scope(desk.engine, write=True) as session:
        save_returned(session, [one])
    with session_scope(desk.engine) as session:
        assert load_pruned(session, "") == {}


def test_a_visit_that_brings_pruned_bytes_back_makes_them_unpruned(desk):
    one, _ = read(desk, b"one", b"two")
    with session_scope(desk.engine, write=True) as session:
        save_pruned(session, [one], desk.now, "rowan")
    desk.archive.remove(one)
    [again] = read(desk, b"one")
    assert again == one
    assert desk.archive.get(one) == b"one"
    with session_scope(desk.engine) as session:
        assert session.scalars(select(PrunedBodyRow)).all() == []
        assert len(session.scalars(select(SnapshotRow)).all()) == 2


def test_a_proposal_that_becomes_current_again_rests_on_bytes_that_are_there(desk):
    """The same words stand in later bytes; those of then were pruned while the proposal was superseded."""
    old, other, new = b"# Free weights", b"# Other", b"# Brindle\n\nFree weights"
    desk.later()
    first = desk.propose(Rating.OPEN, *desk.read(old, "Free weights"))
    for text in (b"# Other", b"# Another"):
        desk.later()
        desk.propose(Rating.PARTIAL, *desk.read(text, text.decode()[2:]))
    assert needs(desk)[digest_bytes(old)] is Need.NONE
    with session_scope(desk.engine, write=True) as session:
        save_pruned(session, [digest_bytes(old)], desk.now, "rowan")
    with session_scope(desk.engine) as session:
        assert load_resting_on_pruned(session, [first]) == {first}
        assert load_pinned_but_pruned(session) == []
    desk.later()
    again = desk.propose(Rating.OPEN, *desk.read(new, "Free weights"))
    assert again == first
    with session_scope(desk.engine) as session:
        assert load_resting_on_pruned(session, [first]) == set()
        assert load_pinned_but_pruned(session) == []
        [stored] = load_proposals(session, ids=[first])
    assert [item.sha256 for item in stored.proposal.evidence] == [digest_bytes(new)]
    assert [finding.check for finding in stored.proposal.findings] == ["names_terms", "names_data"]
    assert [item.sha256 for item in stored.proposal.findings[0].evidence] == [digest_bytes(new)]
    assert digest_bytes(other) in needs(desk)


def test_pinned_bytes_that_were_pruned_all_the_same_are_named(desk):
    [one] = read(desk, b"one")
    with session_scope(desk.engine, write=True) as session:
        save_pruned(session, [one], desk.now, "rowan")
    with session_scope(desk.engine) as session:
        assert load_pinned_but_pruned(session) == [one]
