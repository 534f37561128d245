"""Green, attention or red: what a night has to have done to be green."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crawler.budget import Plan, ServicePlan
from crawler.gathered import Gathered
from crawler.report.services import SERVICE_OF, failing_services, silent_services
from crawler.report.verdict import has_news, has_problem
from db.changes import Changes
from db.models import RunStatus
from db.values import StoredRun
from pipelines.model import ArtifactKind, VisitStatus

OK, UNCHANGED, MISSING = VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING
DENIED, FAILED = VisitStatus.DENIED, VisitStatus.FAILED


def plan_of(**services):
    """A plan; of each service how many artifacts fit and how many wait."""
    return Plan(
        services=tuple(
            ServicePlan(
                service=name,
                limit=60,
                left=0,
                resets_at=None,
                reserve=0,
                need=waits,
                planned=0,
                fits=fits,
                waits=waits,
                cold=0,
                warm=fits,
            )
            for name, (fits, waits) in services.items()
        )
    )


@pytest.fixture
def gathered(helpers):
    return helpers.gathered_with


@pytest.fixture
def verdict(make_report):
    def judge(**values):
        return make_report(**values)["verdict"]

    return judge


def test_a_night_on_which_all_went_well_is_green(verdict):
    assert verdict() == {
        "level": "green",
        "line": "GREEN: 3 artifacts visited, nothing failed, 0 new questions",
        "reasons": [],
    }


@pytest.mark.parametrize("status", [UNCHANGED, MISSING])
def test_a_night_that_found_nothing_new_is_green(verdict, gathered, status):
    assert verdict(gathered=gathered({("github", status): 4}))["level"] == "green"


def test_pages_that_are_denied_leave_a_night_green(verdict, gathered):
    visits = {("github", OK): 4, ("web", DENIED): 3}
    assert verdict(gathered=gathered(visits))["level"] == "green"


@pytest.mark.parametrize(
    ("visits", "requests", "why"),
    [
        ({}, 0, "nothing was fetched: there was nothing to visit"),
        ({("lineage", OK): 5}, 0, "nothing was fetched: there was nothing to visit"),
        ({("github", FAILED): 3}, 9, "nothing could be read"),
        ({("web", DENIED): 3}, 9, "nothing could be read"),
        ({("github", FAILED): 3, ("lineage", UNCHANGED): 5}, 0, "nothing could be read"),
    ],
)
def test_a_run_that_fetched_nothing_is_red(verdict, gathered, visits, requests, why):
    found = verdict(gathered=gathered(visits, requests=requests))
    assert (found["level"], found["reasons"][0]["text"]) == ("red", why)


@pytest.mark.parametrize("kind", ["nightly", "crawl"])
def test_a_run_that_asked_no_service_is_never_green(verdict, gathered, kind):
    found = verdict(kind=kind, gathered=gathered(requests=0))
    assert (found["level"], found["line"]) == ("attention", "ATTENTION: no service was asked")


def test_a_run_whose_budget_let_nothing_through_is_red(verdict):
    found = verdict(gathered=Gathered(), plan=plan_of(github=(0, 7), web=(0, 1)))
    assert found["line"] == "RED: the budget let nothing through, 8 artifacts wait"


def test_a_service_whose_budget_let_nothing_through_wants_attention(verdict):
    found = verdict(plan=plan_of(github=(0, 7), web=(4, 0)))
    assert found["line"] == "ATTENTION: no budget at github: 7 artifacts wait"


def test_artifacts_that_wait_for_their_turn_leave_a_night_green(verdict):
    assert verdict(plan=plan_of(github=(4, 7)))["level"] == "green"


def test_a_night_that_was_cut_off_is_red(verdict):
    found = verdict(
        status=RunStatus.INTERRUPTED, exit_code=None, broke_off="the disk is full", aftermath=None
    )
    assert found["line"] == "RED: the run was cut off: the disk is full"


def test_a_run_that_still_runs_is_not_green(verdict):
    assert verdict(status=RunStatus.RUNNING, exit_code=None)["line"] == "ATTENTION: the run has not ended"


def test_internal_errors_are_red(verdict, gathered):
    broken = gathered()
    broken.errors.add("source web: a defect")
    assert verdict(gathered=broken, exit_code=1)["line"] == "RED: 1 internal error"


def test_a_night_whose_changes_could_not_be_told_wants_attention(verdict):
    assert verdict(aftermath=None)["line"] == "ATTENTION: what has changed could not be told"


def test_everything_that_went_wrong_is_told_worst_first(eventful):
    told = [(reason["level"], reason["kind"]) for reason in eventful["verdict"]["reasons"]]
    assert told == [
        ("red", "problem"),
        *[("attention", "problem")] * 6,
        *[("attention", "news")] * 3,
    ]
    assert eventful["verdict"]["reasons"][1]["text"] == "nothing could be read from web for 3 nights in a row"


@pytest.mark.parametrize(
    ("count", "news"),
    [
        ("stale_new", False),
        ("failing_long", False),
        ("renamed_seeds", False),
        ("gone_new", True),
        ("moved_questions", True),
        ("archived", True),
    ],
)
def test_what_changed_wants_attention(make_report, helpers, count, news):
    changes = Changes(counts=helpers.counted(**{count: 1}))
    report = make_report(aftermath=helpers.aftermath_of(changes))
    [reason] = report["verdict"]["reasons"]
    assert (report["verdict"]["level"], reason["kind"]) == ("attention", "news" if news else "problem")
    assert has_problem(report) is not news
    assert has_news(report)


@pytest.mark.parametrize("count", ["stale", "gone", "failing", "moved", "renamed"])
def test_what_is_known_for_long_does_not(make_report, helpers, count):
    changes = Changes(counts=helpers.counted(**{count: 3}))
    assert make_report(aftermath=helpers.aftermath_of(changes))["verdict"]["level"] == "green"


def test_new_questions_are_news_and_leave_a_night_green(make_report, helpers):
    report = make_report(aftermath=helpers.aftermath_of(Changes(counts=helpers.counted(questions=2))))
    assert report["verdict"]["line"] == "GREEN: 3 artifacts visited, nothing failed, 2 new questions"
    assert has_news(report)
    assert not has_problem(report)


def test_rating_alone_fetches_nothing_and_gets_no_verdict(make_report):
    report = make_report(kind="rate", gathered=Gathered())
    assert report["verdict"] is None


def test_rating_alone_that_broke_off_is_red(verdict):
    assert verdict(kind="rate", gathered=Gathered(), status=RunStatus.INTERRUPTED)["level"] == "red"


def test_the_services_are_those_of_the_sources():
    from crawler.sources.arxiv import ArxivSource
    from crawler.sources.github import GitHubSource
    from crawler.sources.huggingface import HuggingFaceSource
    from crawler.sources.lineage import LineageSource
    from crawler.sources.pypi import PyPISource
    from crawler.sources.web import WebSource

    sources = (ArxivSource, GitHubSource, HuggingFaceSource, LineageSource, PyPISource, WebSource)
    assert {kind: source.name for source in sources for kind in source.kinds} == dict(SERVICE_OF)
    assert SERVICE_OF.keys() == set(ArtifactKind)


@pytest.mark.parametrize(
    ("sources", "silent"),
    [
        ({"github": {"failed": 3}}, ["github"]),
        ({"github": {"denied": 3}}, ["github"]),
        ({"github": {"failed": 3, "unchanged": 1}}, []),
        ({"web": {"denied": 3}}, []),
        ({"web": {"denied": 3, "failed": 1}}, ["web"]),
        ({"lineage": {"failed": 1}}, []),
        ({"pypi": {"requests": 0}}, []),
    ],
)
def test_a_service_is_silent_when_it_told_nothing(sources, silent):
    assert silent_services(sources) == silent


def test_nights_in_a_row_are_counted_back_to_the_last_that_told_something(helpers):
    def night(number, **sources):
        return StoredRun(
            id=number,
            kind="nightly",
            started_at=helpers.STARTED + timedelta(days=number),
            ended_at=None,
            status=RunStatus.DONE,
            exit_code=3,
            pid=1,
            host="larch",
            report={"sources": sources} if sources else {},
        )

    earlier = [
        night(9, github={"failed": 1}),
        night(8),  # it was killed and left no report
        night(7, pypi={"ok": 1}),  # github was not asked
        night(6, github={"failed": 4}),
        night(5, github={"ok": 1, "failed": 4}),
        night(4, github={"failed": 4}),
    ]
    [found] = failing_services({"github": {"failed": 2}}, "2031-03-11T00:00:00+00:00", earlier)
    assert (found.nights, found.since) == (3, "2031-03-07T02:17:00+00:00")
