"""What a run has changed, and what is troubled since."""

from __future__ import annotations

import pytest

from db import decide
from db.changes import load_changes, load_stock
from db.import_ratings import import_ratings
from db.models import RunStatus
from db.moved import name_in
from db.save import begin_run, end_run, save_extraction
from db.session import session_scope
from pipelines.errors import UsageError
from pipelines.exports.rows import RatingRow
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, FieldValue, Rating, VisitStatus, digest_bytes

OK, MISSING, DENIED, FAILED = VisitStatus.OK, VisitStatus.MISSING, VisitStatus.DENIED, VisitStatus.FAILED


def night(desk, kind="nightly", **delta):
    """A new run begins, a day later."""
    with session_scope(desk.engine, write=True) as session:
        if desk.run_id:
            end_run(session, desk.run_id, desk.now, RunStatus.DONE, 0, {"run": desk.run_id})
        desk.run_id = begin_run(session, kind, desk.later(**delta), 4711, "larch")


def changes(desk, **more):
    with session_scope(desk.engine) as session:
        return load_changes(session, desk.run_id, desk.now, **more)


def confirm(desk, proposal):
    with session_scope(desk.engine, write=True) as session:
        decide.accept(session, proposal, curator="Ann", now=desk.now)


def fact(desk, ref, body, path, value):
    """Read the main part of a repository and store one fact of it."""
    saved = desk.save(desk.visit(body, ref=ref, part="repository"))
    found = Evidence(
        kind="repository.fact",
        ref=ref,
        part="repository",
        url="https://code.example",
        fetched_at=desk.now,
        sha256=digest_bytes(body),
        where=FieldValue(path=path, value=value),
        value={"fact": path[2:], "value": value},
    )
    with session_scope(desk.engine, write=True) as session:
        save_extraction(session, saved.snapshot_id, "1", [found])


@pytest.fixture
def rated(desk):
    """A desk with a confirmed rating that rests on the card, at the beginning of a new night."""
    desk.seed()
    [evidence] = desk.read(b"# Brindle is open", "open")
    confirm(desk, desk.propose(Rating.OPEN, evidence))
    night(desk)
    return desk


def test_an_unknown_run_is_wrong_usage(desk):
    with session_scope(desk.engine) as session, pytest.raises(UsageError, match="no run 7"):
        load_changes(session, 7, desk.now)


def test_a_first_night_has_questions_and_nothing_else(desk):
    desk.seed()
    [evidence] = desk.read(b"# Brindle is open", "open")
    desk.propose(Rating.OPEN, evidence)
    desk.propose(None, dimension="api")
    found = changes(desk)
    [new] = found.questions
    assert (new.question.slug, new.question.dimension, new.was_proposed) == ("brindle", "license", False)
    assert {name: number for name, number in found.counts.items() if number} == {"questions": 1}
    assert (found.moved, found.stale, found.gone, found.failing, found.renamed) == ((), (), (), (), ())


def test_of_a_long_list_the_first_are_shown_and_all_are_counted(desk):
    desk.seed()
    [evidence] = desk.read(b"# Brindle is open", "open")
    for number in range(5):
        desk.propose(Rating.OPEN, evidence, dimension=f"dimension-{number}")
    found = changes(desk, limit=2)
    assert (len(found.questions), found.counts["questions"]) == (2, 5)


def test_a_night_without_news_has_no_changes(rated):
    rated.read(b"# Brindle is open", "open")
    found = changes(rated)
    assert not any(found.counts.values())
    assert found.last_success is not None


def test_changed_evidence_with_another_class_is_a_question_again(rated):
    [evidence] = rated.read(b"# Brindle is for research", "research")
    number = rated.propose(Rating.CLOSED, evidence)
    found = changes(rated)
    [moved] = found.moved
    assert (moved.proposal_id, moved.rating, moved.before, moved.now) == (
        number,
        Rating.OPEN,
        Rating.OPEN,
        Rating.CLOSED,
    )
    assert moved.is_question
    [new] = found.questions
    assert (new.was_proposed, new.before, new.question.current) == (True, Rating.OPEN, Rating.OPEN)


def test_changed_evidence_with_the_same_class_is_told_and_no_question(rated):
    [evidence] = rated.read(b"# Brindle is free", "free")
    rated.propose(Rating.OPEN, evidence)
    found = changes(rated)
    assert [moved.is_question for moved in found.moved] == [False]
    assert found.questions == ()


def test_evidence_that_makes_a_class_untellable_is_told(rated):
    rated.propose(None, digest="other")
    [moved] = changes(rated).moved
    assert (moved.now, moved.is_question) == (None, False)


def test_a_new_version_of_a_rule_with_the_same_evidence_is_no_change_of_evidence(rated):
    [evidence] = rated.read(b"# Brindle is open", "open")
    rated.propose(Rating.CLOSED, evidence, version=2)
    found = changes(rated)
    assert found.moved == ()
    assert found.counts["questions"] == 1


def test_a_later_run_does_not_tell_of_what_an_earlier_one_changed(rated):
    [evidence] = rated.read(b"# Brindle is for research", "research")
    rated.propose(Rating.CLOSED, evidence)
    night(rated)
    assert changes(rated).counts["questions"] == 0


@pytest.mark.parametrize("status", [FAILED, DENIED])
def test_a_rating_goes_stale_with_the_part_that_it_rests_on(rated, status):
    rated.save(rated.visit(None, status=status))
    found = changes(rated)
    [stale] = found.stale
    assert (stale.slug, stale.dimension, stale.part, stale.status) == ("brindle", "license", "card", status)
    assert (stale.is_new, stale.nights, stale.since) == (True, 1, rated.now)
    assert found.gone == ()


def test_a_rating_goes_stale_with_the_whole_artifact(rated):
    rated.save(rated.visit(None, part="info", status=FAILED))
    [stale] = changes(rated).stale
    assert (stale.part, stale.reason) == ("info", "it was failed")


def test_a_rating_that_is_stale_for_some_nights_is_not_new(rated):
    rated.save(rated.visit(None, status=FAILED))
    began = rated.now
    night(rated)
    rated.save(rated.visit(None, status=DENIED))
    night(rated)
    rated.save(rated.visit(None, status=FAILED))
    found = changes(rated)
    [stale] = found.stale
    assert (stale.is_new, stale.nights, stale.since) == (False, 3, began)
    assert (found.counts["stale"], found.counts["stale_new"]) == (1, 0)
    [failing] = found.failing
    assert (failing.nights, failing.since, failing.status, failing.slugs) == (3, began, FAILED, ("brindle",))
    assert found.counts["failing_long"] == 1


def test_two_runs_of_a_day_count_as_two_and_two_visits_of_a_run_as_one(rated):
    rated.save(rated.visit(None, status=FAILED))
    rated.save(rated.visit(None, status=FAILED))
    night(rated, kind="crawl", hours=1)
    rated.save(rated.visit(None, status=FAILED))
    [failing] = changes(rated).failing
    assert failing.nights == 2


def test_reading_it_again_ends_the_row(rated):
    rated.save(rated.visit(None, status=FAILED))
    night(rated)
    rated.save(rated.visit(b"# Brindle is open"))
    assert changes(rated).failing == ()
    night(rated)
    rated.save(rated.visit(None, status=FAILED))
    [failing] = changes(rated).failing
    assert failing.nights == 1


def test_what_was_not_asked_neither_fails_nor_counts(rated):
    visit = rated.visit(None, status=FAILED)
    rated.save(visit)
    night(rated)
    waiting = rated.visit(None, status=FAILED)
    object.__setattr__(waiting, "reason", "not asked: the limit of the service is used up")
    rated.save(waiting)
    [failing] = changes(rated).failing
    assert (failing.nights, failing.reason) == (1, "it was failed")


@pytest.mark.parametrize("part", ["card", "info"])
def test_a_rating_loses_the_evidence_that_is_gone(rated, part):
    if part == "info":
        rated.save(rated.visit(b"{}", part="info"))
    rated.save(rated.visit(None, part=part, status=MISSING))
    found = changes(rated)
    [gone] = found.gone
    assert (gone.part, gone.status, gone.is_new, gone.rating) == (part, MISSING, True, Rating.OPEN)
    assert found.stale == found.failing == ()
    night(rated)
    rated.save(rated.visit(None, part=part, status=MISSING))
    found = changes(rated)
    assert (found.counts["gone"], found.counts["gone_new"]) == (1, 0)


def test_what_is_gone_stays_gone_while_its_service_fails(rated):
    rated.save(rated.visit(None, status=MISSING))
    night(rated)
    rated.save(rated.visit(None, status=FAILED))
    found = changes(rated)
    assert (found.counts["gone"], found.counts["gone_new"], found.counts["stale"]) == (1, 0, 0)


def test_a_part_that_never_was_there_troubles_nobody(rated):
    rated.save(rated.visit(None, part="file:LICENSE", status=MISSING))
    found = changes(rated)
    assert not any(found.counts.values())


def test_another_artifact_that_fails_shakes_no_rating(rated):
    rated.save(rated.visit(None, ref=rated.repository, part="repository", status=FAILED))
    found = changes(rated)
    assert found.stale == ()
    assert found.counts["failing"] == 1
    assert found.failing_by_kind == {(ArtifactKind.GITHUB, FAILED): 1}


def test_an_imported_rating_rests_on_the_proposal_that_agrees_with_it(desk):
    desk.seed()
    [evidence] = desk.read(b"# Brindle is open", "open")
    desk.propose(Rating.OPEN, evidence)
    with session_scope(desk.engine, write=True) as session:
        line = RatingRow(slug="brindle", dimension="license", rating=Rating.OPEN)
        import_ratings(session, [line], curator="the index", now=desk.now, note="")
    night(desk)
    desk.save(desk.visit(None, status=FAILED))
    assert [stale.dimension for stale in changes(desk).stale] == ["license"]


def test_a_retired_project_is_not_told_of(rated):
    from db.save import save_projects

    with session_scope(rated.engine, write=True) as session:
        save_projects(session, [rated.project("another")], rated.now)
    rated.save(rated.visit(None, status=FAILED))
    found = changes(rated)
    assert not any(found.counts.values())


def test_a_renamed_repository_is_told_with_its_new_name(rated):
    visit = rated.visit(b"{}", ref=rated.repository, part="repository")
    object.__setattr__(visit, "url", "https://code.example/hazelmoor/new-name")
    rated.save(visit)
    [renamed] = changes(rated).renamed
    assert (str(renamed.ref), renamed.now, renamed.seeds) == (
        "github:hazelmoor/brindle",
        "hazelmoor/new-name",
        ("brindle",),
    )


def test_another_case_is_no_other_name(rated):
    visit = rated.visit(b"{}", ref=rated.repository, part="repository")
    object.__setattr__(visit, "url", "https://code.example/HazelMoor/Brindle")
    rated.save(visit)
    assert changes(rated).renamed == ()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://hub.example/owner/name", "owner/name"),
        ("https://hub.example/datasets/owner/a%20name", "owner/a name"),
        ("https://hub.example/datasets/name", "datasets/name"),
        ("https://hub.example/gpt2", "gpt2"),
        ("", ""),
        ("http://[", ""),
    ],
)
def test_the_name_in_an_address(url, name):
    assert name_in(url) == name


def test_a_repository_is_told_once_when_it_was_archived(rated):
    ref = rated.repository
    fact(rated, ref, b'{"a": 1}', "$.full_name", "hazelmoor/brindle")
    assert changes(rated).archived == ()
    night(rated)
    fact(rated, ref, b'{"a": 2}', "$.archived", True)
    [archived] = changes(rated).archived
    assert archived.ref == ref
    night(rated)
    fact(rated, ref, b'{"a": 3}', "$.archived", True)
    assert changes(rated).archived == ()


def test_a_repository_that_was_archived_when_first_read_is_no_news(rated):
    fact(rated, ArtifactRef(kind=ArtifactKind.GITHUB, id="hazelmoor/brindle"), b"{}", "$.archived", True)
    assert changes(rated).archived == ()


def test_the_runs_before_it_that_were_cut_off_are_told(rated):
    with session_scope(rated.engine, write=True) as session:
        end_run(session, rated.run_id, rated.now, RunStatus.INTERRUPTED, None, {})
        cut = rated.run_id
        rated.run_id = begin_run(session, "nightly", rated.later(), 4711, "larch")
    assert [item.run_id for item in changes(rated).cut_off] == [cut]
    night(rated)
    assert changes(rated).cut_off == ()


def test_the_stock_is_counted(rated):
    rated.save(rated.visit(b"# Brindle is open", part="file:COPY.md"))
    with session_scope(rated.engine) as session:
        stock = load_stock(session)
    assert (stock.projects, stock.ratings, stock.snapshots, stock.snapshot_bytes) == (1, 1, 2, 34)
