"""The timeline of a project: every event once, in order, whatever the size of the pages."""

from __future__ import annotations

from sqlalchemy import select

from db.decide import accept, undo
from db.models import ProjectRow
from db.project_pages import load_past_visits, load_project_page
from db.session import session_scope
from db.timeline import EventKind, Place, load_timeline
from pipelines.model import Rating, VisitStatus


def events(desk, limit=50):
    """All events, page by page."""
    found, after = [], None
    with session_scope(desk.engine) as session:
        project_id = session.scalar(select(ProjectRow.id).where(ProjectRow.slug == "brindle"))
        while True:
            page, after = load_timeline(session, project_id, limit=limit, after=after)
            assert len(page) <= limit
            found += page
            if after is None:
                return found
            after = Place.parse(str(after))


def lived(desk):
    """A project that was read, lost, read again, proposed and decided upon."""
    evidence = desk.read(b"it is open", "open")
    proposal = desk.propose(Rating.OPEN, *evidence)
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.FAILED))
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.FAILED))
    desk.later()
    desk.save(desk.visit(None, status=VisitStatus.MISSING))
    desk.later()
    desk.save(desk.visit(b"it is open", status=VisitStatus.OK))
    with session_scope(desk.engine, write=True) as session:
        accept(session, proposal, curator="Alma", now=desk.later())
        undo(session, "brindle", "license", curator="Alma", now=desk.later(), reason="too soon")


def test_everything_that_happened_is_told_newest_first(desk):
    lived(desk)
    found = events(desk)
    assert [event.kind for event in found][:2] == [EventKind.DECISION, EventKind.DECISION]
    assert [event.at for event in found] == sorted((event.at for event in found), reverse=True)
    assert found[1].is_over
    snapshot = next(event for event in found if event.kind is EventKind.SNAPSHOT)
    assert snapshot.evidence == 1
    assert {event.kind for event in found} == {
        EventKind.PROJECT,
        EventKind.ARTIFACT,
        EventKind.SNAPSHOT,
        EventKind.VISIT,
        EventKind.PROPOSAL,
        EventKind.DECISION,
    }


def test_a_visit_is_told_only_when_it_ended_otherwise_than_the_one_before(desk):
    lived(desk)
    turns = [event.status for event in reversed(events(desk)) if event.kind is EventKind.VISIT]
    assert turns == [VisitStatus.FAILED, VisitStatus.MISSING, VisitStatus.UNCHANGED] or turns == [
        VisitStatus.FAILED,
        VisitStatus.MISSING,
        VisitStatus.OK,
    ]


def test_pages_of_any_size_hold_every_event_once(desk):
    lived(desk)
    whole = events(desk)
    for limit in (1, 2, 3):
        assert events(desk, limit) == whole


def test_a_place_that_is_none_is_no_place():
    for text in (
        "",
        "~",
        "yesterday~visit~1",
        "2031-03-01T00:00:00~visit~1",
        "2031-03-01T00:00:00+00:00~x~1",
    ):
        assert Place.parse(text) is None


def test_the_page_of_a_project_tells_how_its_visits_ended(desk):
    lived(desk)
    with session_scope(desk.engine) as session:
        page = load_project_page(session, "brindle")
        assert load_project_page(session, "nobody") is None
        visits, older = load_past_visits(session, "brindle", desk.card, limit=3)
        rest, end = load_past_visits(session, "brindle", desk.card, limit=3, before_id=older)
        assert load_past_visits(session, "nobody", desk.card) == ([], None)
    card = next(item for item in page.artifacts if item.artifact.ref == desk.card)
    assert card.parts[0].standing is not None
    assert card.worst is None
    assert [visit.status for visit in (*visits, *rest)][-1] is VisitStatus.OK
    assert (len(visits), len(rest), end) == (3, 2, None)
    assert page.cells["license"].proposed is Rating.OPEN
    assert page.cells["license"].rating is None
