"""Pages of lists that are kept, and which absences of repositories count."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from crawler.rating import load_evidence_set
from db.links import load_only_mentioned
from db.listings import KEPT, load_pages, save_pages
from db.load import load_latest_visits, load_requests
from db.save import save_artifacts
from db.session import session_scope
from pipelines.hub_models import ListedPage, question_key
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Role, VisitStatus

PAGE = ListedPage(
    etag='W/"1"', body='[{"id": "brindle-lab/brindle-7b"}]', following="author=brindle-lab&cursor=2"
)
LINKED = ArtifactRef(kind=ArtifactKind.GITHUB, id="elsewhere/tool")


def pages(desk):
    with session_scope(desk.engine) as session:
        return load_pages(session)


def keep(desk, *found):
    with session_scope(desk.engine, write=True) as session:
        save_pages(session, found, desk.now)


def test_a_page_comes_back_by_its_question_and_is_replaced(desk):
    keep(desk, ("author=brindle-lab", PAGE), ("author=hazelmoor", PAGE))
    newer = replace(PAGE, etag='W/"2"', following="")
    keep(desk, ("author=brindle-lab", newer))
    assert pages(desk) == {question_key("author=brindle-lab"): newer, question_key("author=hazelmoor"): PAGE}


def test_pages_that_nobody_was_given_for_long_are_forgotten(desk):
    keep(desk, ("author=brindle-lab", PAGE))
    desk.later(seconds=(KEPT + timedelta(days=1)).total_seconds())
    keep(desk, ("author=hazelmoor", PAGE))
    assert list(pages(desk)) == [question_key("author=hazelmoor")]


def link(desk, role, slug="brindle"):
    with session_scope(desk.engine, write=True) as session:
        save_artifacts(session, slug, [Artifact(ref=LINKED, role=role, origin=Origin.LINK)], desk.now)


def requests(desk, **options):
    with session_scope(desk.engine) as session:
        return {
            request.ref: request for request in load_requests(session, [LINKED, desk.repository], **options)
        }


def test_the_absence_of_what_is_only_mentioned_does_not_count(desk):
    link(desk, Role.OTHER)
    with session_scope(desk.engine) as session:
        assert load_only_mentioned(session, [LINKED, desk.repository, desk.card]) == {LINKED}
    found = requests(desk)
    assert (found[LINKED].absence_counts, found[desk.repository].absence_counts) == (False, True)
    assert requests(desk, full=True)[LINKED].absence_counts


def test_the_absence_of_what_is_anybodys_code_counts(desk):
    desk.seed("brindle", "bramble")
    link(desk, Role.OTHER)
    link(desk, Role.CODE, slug="bramble")
    assert requests(desk)[LINKED].absence_counts


@pytest.mark.parametrize("http_status", [None, 404])
def test_an_absence_that_was_not_confirmed_is_doubtful_and_asked_about_again(desk, http_status):
    link(desk, Role.OTHER)
    gone = desk.visit(None, ref=LINKED, part="repository", status=VisitStatus.MISSING)
    desk.save(replace(gone, http_status=http_status))
    link(desk, Role.CODE)
    assert requests(desk)[LINKED].was_missing is (http_status is not None)
    desk.save(desk.visit(None, ref=LINKED, part="repository", status=VisitStatus.FAILED))
    with session_scope(desk.engine) as session:
        (visit,) = load_latest_visits(session, [LINKED])
    assert (visit.known, visit.doubtful) == (VisitStatus.MISSING, http_status is None)


def test_no_rule_rests_on_a_doubtful_absence(desk):
    link(desk, Role.CODE)
    gone = desk.visit(None, ref=LINKED, part="repository", status=VisitStatus.MISSING)
    project = desk.project("brindle", Artifact(ref=LINKED, role=Role.CODE, origin=Origin.LINK))
    for http_status, status in ((None, VisitStatus.DENIED), (404, VisitStatus.MISSING)):
        desk.save(replace(gone, http_status=http_status))
        (reading,) = load_evidence_set(SimpleNamespace(engine=desk.engine), project).readings
        assert reading.status is status
