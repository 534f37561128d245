"""Planning a night from what is stored and from what the services say."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from crawler.budget import Plan, Rates
from crawler.commands.plan import format_plan, make_plan, plan_as_json
from crawler.commands.status import Status, format_status, load_status, status_as_json
from crawler.context import Context, open_context
from crawler.planning import (
    allowances_left,
    fetch_allowances,
    make_wishes,
    plan_visits,
    spent_night,
)
from crawler.settings import load_settings
from crawler.sources.base import Allowance, Usage
from db.models import RunStatus
from db.save import begin_run, end_run, save_projects, save_visit
from db.session import session_scope
from db.waiting import WaitingArtifact
from pipelines.errors import UsageError
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Capture,
    Project,
    Role,
    Visit,
    VisitRequest,
    VisitStatus,
)

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=30)
GITHUB = frozenset({ArtifactKind.GITHUB})

RATES = {"github": Rates(cold=Fraction(5), warm=Fraction(1))}

TOLD_COSTS = {
    "budget": [{"service": "github", "limit": 60, "cold": 2, "warm": 3, "left": 60}],
    "sources": {"github": {"charged": 14, "ok": 40, "failed": 1}},
}

TOLD_LIMITS = {
    "sources": {
        "github": {"remaining": 3, "limit": 60, "resets_at": SOON.isoformat(), "ok": 2},
        "huggingface": {"remaining": 480, "limit": 500, "resets_at": NOW.isoformat()},
        "web": {"remaining": None},
    },
    "services_failing": [{"service": "arxiv", "since": "2031-02-26T02:00:00+00:00", "nights": 4}],
}


class Service:
    """A source that is asked for its allowance and for nothing else."""

    def __init__(self, name: str, *kinds: ArtifactKind, tells: Allowance | Exception | None = None) -> None:
        self.name = name
        self.kinds = frozenset(kinds)
        self.tells = tells
        self.usage = Usage()

    def visit(self, requests: list[VisitRequest]) -> Iterator[Visit]:
        raise AssertionError("nothing is visited while a night is planned")

    def fetch_allowance(self) -> Allowance | None:
        if isinstance(self.tells, Exception):
            raise self.tells
        return self.tells

    def close(self) -> None:
        pass


def github(left: int = 60, limit: int = 60) -> Service:
    return Service(
        "github", ArtifactKind.GITHUB, tells=Allowance(remaining=left, limit=limit, resets_at=SOON)
    )


def repository(number: int) -> ArtifactRef:
    return ArtifactRef(kind=ArtifactKind.GITHUB, id=f"larch/p{number:02}")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    settings = load_settings(None).with_changes(
        database_url=f"sqlite:///{tmp_path / 'openness.db'}",
        archive=tmp_path / "archive",
        seeds=tmp_path / "seeds.yaml",
    )
    with open_context(settings, clock=lambda: NOW) as opened:
        yield opened


def seed(context: Context, number: int) -> None:
    projects = [
        Project(slug=f"p{n:02}", name=f"P {n}", artifacts=(Artifact(ref=repository(n), role=Role.CODE),))
        for n in range(number)
    ]
    with session_scope(context.engine, write=True) as session:
        save_projects(session, projects, NOW - timedelta(days=9))


def night(
    context: Context,
    began: datetime,
    numbers: range,
    *,
    token: str = "head tree",
    report: dict[str, object] | None = None,
) -> None:
    """A night on which some repositories were read."""
    with session_scope(context.engine, write=True) as session:
        run_id = begin_run(session, "nightly", began, 4711, "larch")
        for number in numbers:
            visit = Visit(
                ref=repository(number),
                part="repository",
                url="https://code.example/",
                at=began + timedelta(minutes=1),
                status=VisitStatus.OK,
                capture=Capture(body=b"{}", media_type="application/json", token=token),
            )
            save_visit(session, context.archive, run_id, visit)
        end_run(session, run_id, began + timedelta(minutes=9), RunStatus.DONE, 0, report or {})


def plan(context: Context, *sources: Service, **more: bool) -> Plan:
    return plan_visits(context, sources, fetch_allowances(sources), **more)


class TestAllowances:
    def test_all_services_are_asked_at_once(self) -> None:
        together = threading.Barrier(3, timeout=10)

        class Slow(Service):
            def fetch_allowance(self) -> Allowance | None:
                together.wait()
                return None

        assert fetch_allowances([Slow(name) for name in "abc"]) == {"a": None, "b": None, "c": None}

    def test_a_defect_of_one_costs_foresight_only(self, caplog: pytest.LogCaptureFixture) -> None:
        told = Allowance(remaining=5, resets_at=SOON)
        with caplog.at_level(logging.ERROR):
            found = fetch_allowances([Service("a", tells=RuntimeError("a defect")), Service("b", tells=told)])
        assert found == {"a": None, "b": told}
        assert "a: what is left of its limit could not be told" in caplog.text

    def test_in_the_midst_of_a_night_the_answers_so_far_tell_what_is_left(self) -> None:
        before = Allowance(remaining=60, limit=60, resets_at=SOON)
        spent, silent = github(), Service("pypi", ArtifactKind.PYPI)
        spent.usage = Usage(requests=9, charged=9, remaining=51, limit=60, resets_at=SOON)
        left = allowances_left([spent, silent], {"github": before, "pypi": None})
        assert left == {"github": Allowance(remaining=51, limit=60, resets_at=SOON), "pypi": None}
        assert allowances_left([github()], {"github": before}) == {"github": before}

    def test_a_limit_for_minutes_that_nobody_told_in_advance_is_not_planned_with(self) -> None:
        hub = Service("huggingface", ArtifactKind.HF_MODEL)
        hub.usage = Usage(requests=450, charged=450, remaining=50, limit=500, resets_at=SOON)
        assert allowances_left([hub], {"huggingface": None}) == {"huggingface": None}


class TestPlan:
    def test_without_a_token_a_first_night_reads_what_fits_and_the_next_ones_the_rest(
        self, context: Context
    ) -> None:
        seed(context, 30)
        first = plan(context, github())
        assert (first.services[0].fits, first.services[0].waits) == (6, 24)
        night(context, NOW - timedelta(days=1), range(6))
        second = plan(context, github())
        # Six are known and may wait; of the others six more fit.
        assert {repository(n) for n in range(12, 30)} <= second.postponed
        assert not {repository(n) for n in range(6, 12)} & second.postponed

    def test_with_a_token_all_fit(self, context: Context) -> None:
        seed(context, 30)
        settings = context.settings.with_changes(github_token="t0ken", budget_reserve=10)
        with_token = Context(
            settings=settings, engine=context.engine, archive=context.archive, clock=context.clock
        )
        made = plan(with_token, github(5000, 5000))
        assert not made.postponed
        assert (made.services[0].need, made.services[0].reserve) == (60, 500)
        night(context, NOW - timedelta(days=1), range(30))
        assert plan(with_token, github(5000, 5000)).services[0].need == 1
        # Read everything anew: nothing stored is told to the services.
        assert plan(with_token, github(5000, 5000), full=True).services[0].need == 60

    def test_the_last_nights_tell_what_an_artifact_costs(self, context: Context) -> None:
        seed(context, 30)
        report = {
            "budget": [{"service": "github", "limit": 60, "cold": 0, "warm": 30}],
            "sources": {"github": {"charged": 90, "ok": 300}},
        }
        night(context, NOW - timedelta(days=1), range(30), report=report)
        assert plan(context, github()).services[0].need == 90
        # Under another limit another road is taken: what it cost says nothing.
        assert plan(context, github(5000, 5000)).services[0].need == 30

    def test_only_what_is_pending_is_planned_for_a_later_wave(self, context: Context) -> None:
        seed(context, 3)
        made = plan_visits(context, [github()], {}, pending={repository(1)})
        assert (made.order, made.services[0].fits) == (("p01",), 1)
        assert plan_visits(context, [github()], {}, pending=[]).services == ()

    def test_named_projects_only(self, context: Context) -> None:
        seed(context, 3)
        assert plan_visits(context, [github()], {}, ["p02"]).order == ("p02",)
        with pytest.raises(UsageError, match="no project 'p99'"):
            plan_visits(context, [github()], {}, ["p99"])


class TestWishes:
    def waiting(self, token: str = "", *, known: bool = False, kind: str = "github") -> WaitingArtifact:
        return WaitingArtifact(
            slug="larch",
            ref=ArtifactRef(kind=ArtifactKind(kind), id="larch/code"),
            last_read=None,
            waiting_since=NOW,
            known=known,
            token=token,
        )

    @pytest.mark.parametrize(
        ("token", "known", "full", "cost"),
        [
            ("", False, False, 5),
            ("head tree", True, False, 1),
            ("head tree incomplete", True, False, 5),
            # Known to be missing: one question tells whether it has come back.
            ("", True, False, 1),
            ("head tree", True, True, 5),
        ],
    )
    def test_what_is_not_whole_costs_as_much_as_something_new(
        self, token: str, known: bool, full: bool, cost: int
    ) -> None:
        wishes = make_wishes(
            [self.waiting(token, known=known)], {ArtifactKind.GITHUB: "github"}, RATES, full=full
        )
        assert [wish.cost for wish in wishes] == [cost]

    def test_lineage_entries_are_no_wishes(self) -> None:
        assert make_wishes([self.waiting(kind="lineage")], {}, RATES) == []


class TestSpentNights:
    def test_a_report_tells_what_was_charged_for_how_many(self) -> None:
        night = spent_night(TOLD_COSTS, "github", GITHUB, 60)
        assert night is not None
        assert (night.cold, night.warm, night.charged) == (2, 3, 14)

    @pytest.mark.parametrize(
        "report",
        [
            {},
            {"budget": [], "sources": {}},
            {"sources": {"github": {"charged": 14}}},
            {"budget": TOLD_COSTS["budget"], "sources": {}},
            {"budget": TOLD_COSTS["budget"], "sources": {"github": {"ok": 4}}},
            {"budget": TOLD_COSTS["budget"], "sources": {"github": {"charged": 4, "ok": 9, "failed": 9}}},
        ],
    )
    def test_what_is_not_told_is_not_guessed(self, report: dict[str, object]) -> None:
        assert spent_night(report, "github", GITHUB, 60) is None

    def test_what_was_visited_beyond_the_plan_was_new(self) -> None:
        report = {**TOLD_COSTS, "artifacts_by_kind": {"github": 9, "web": 40}}
        night = spent_night(report, "github", GITHUB, 60)
        assert night is not None
        assert (night.cold, night.warm) == (6, 3)

    def test_a_night_under_another_limit_tells_nothing(self) -> None:
        assert spent_night(TOLD_COSTS, "github", GITHUB, 5000) is None
        assert spent_night(TOLD_COSTS, "pypi", [ArtifactKind.PYPI], None) is None


class TestShownPlan:
    def test_a_plan_reads_well(self, context: Context) -> None:
        seed(context, 30)
        assert format_plan(plan(context, github())).splitlines() == [
            "Plan of the next night: 30 projects, 6 artifacts to visit, 24 wait for another night",
            "",
            "service        limit    left    kept    need planned    fits   waits  begins anew",
            "github            60      60       0     300      60       6      24  02:30 UTC",
            "",
            "First: p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 and 20 more",
            "Waiting at github: p06, p07, p08, p09, p10, …",
        ]

    def test_a_service_that_tells_nothing_shows_no_figures_of_a_limit(self, context: Context) -> None:
        seed(context, 1)
        shown = format_plan(plan_visits(context, [github()], {}))
        assert "github             –       –       –      10      10       1       0  –" in shown
        assert "wait" not in shown.splitlines()[0]

    def test_as_json_it_names_everything(self, context: Context) -> None:
        seed(context, 30)
        told = json.loads(json.dumps(plan_as_json(plan(context, github()))))
        assert len(told["order"]) == 30
        assert told["postponed"][0] == "github:larch/p06"
        assert told["services"][0]["need"] == 300

    def test_an_empty_database_is_planned_from_the_seed_file(
        self, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crawler.commands.plan.make_sources", lambda *_: [github()])
        with pytest.raises(UsageError, match=r"seeds\.yaml does not exist"):
            make_plan(context)
        context.settings.seeds.write_text(
            "- slug: larch\n  name: Larch\n  artifacts:\n    - {kind: github, id: larch/code, role: code}\n"
        )
        made = make_plan(context)
        assert (made.order, made.services[0].need) == (("larch",), 10)
        with session_scope(context.engine) as session:
            assert load_status(context, session).projects == 0

    def test_no_project_with_an_artifact_is_said(self) -> None:
        assert format_plan(Plan()) == "Nothing is to be visited: no project has an artifact."


def status_of(context: Context) -> Status:
    with session_scope(context.engine) as session:
        return load_status(context, session)


class TestStatus:
    def test_it_tells_what_is_left_and_when_that_begins_anew(self, context: Context) -> None:
        seed(context, 2)
        night(context, NOW - timedelta(hours=1), range(2), report=TOLD_LIMITS)
        status = status_of(context)
        assert list(format_status(status))[2:] == [
            "budget left at github: 3 of 60 requests; it begins anew at 2031-03-01 02:30 UTC",
            "budget left at huggingface: 480 of 500 requests after the last run; it has begun anew since",
            "arxiv told nothing since 2031-02-26, 4 nights",
        ]
        told = status_as_json(status)
        assert told["budget"]["github"] == {
            "remaining": 3,
            "limit": 60,
            "resets_at": "2031-03-01T02:30:00+00:00",
        }
        assert told["budget_left"] == {"github": 3, "huggingface": 480, "web": None}
        assert told["waiting"] == []

    def test_it_tells_what_waits_for_how_many_nights(self, context: Context) -> None:
        seed(context, 30)
        night(context, NOW - timedelta(days=2), range(12))
        night(context, NOW - timedelta(days=1), range(12, 24))
        status = status_of(context)
        shown = list(format_status(status))
        assert shown[2] == "18 artifacts wait for a night (18 at github): openness nightly --plan"
        assert shown[3] == "  2 nights  github:larch/p24 of p24, never read"
        assert shown[9] == "  1 night   github:larch/p00 of p00"
        told = status_as_json(status)["waiting"]
        assert len(told) == 18
        assert told[0] == {
            "artifact": "github:larch/p24",
            "slugs": ["p24"],
            "service": "github",
            "since": (NOW - timedelta(days=9)).isoformat(),
            "nights": 2,
        }

    def test_it_tells_what_has_failed_for_how_many_nights(self, context: Context) -> None:
        seed(context, 1)
        for days in (3, 2, 1):
            with session_scope(context.engine, write=True) as session:
                began = NOW - timedelta(days=days)
                run_id = begin_run(session, "nightly", began, 4711, "larch")
                failed = Visit(
                    ref=repository(0),
                    part="repository",
                    url="https://code.example/",
                    at=began,
                    status=VisitStatus.FAILED,
                    reason="HTTP 503",
                )
                save_visit(session, context.archive, run_id, failed)
                end_run(session, run_id, began, RunStatus.DONE, 4, {})
        status = status_of(context)
        shown = list(format_status(status))
        assert "1 artifact has failed for more than a night:" in shown
        assert "  3 nights  failed  github:larch/p00 repository: HTTP 503" in shown
        assert status_as_json(status)["failing"][0]["nights"] == 3

    def test_a_run_of_an_older_version_is_told_as_far_as_it_goes(self, context: Context) -> None:
        seed(context, 1)
        night(context, NOW, range(1), report={"sources": {"github": {"remaining": 4999}}})
        shown = list(format_status(status_of(context)))
        assert shown[2] == "budget left at github: 4999 requests"


def test_the_reserve_is_a_share_that_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENNESS_BUDGET_RESERVE", "20")
    assert load_settings(None).budget_reserve == 20
    monkeypatch.setenv("OPENNESS_BUDGET_RESERVE", "95")
    with pytest.raises(UsageError, match="OPENNESS_BUDGET_RESERVE"):
        load_settings(None)
