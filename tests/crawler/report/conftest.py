"""A report of an invented night on which everything happened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crawler.budget import Plan, ServicePlan
from crawler.gathered import Gathered
from crawler.rating import Rated
from crawler.report import run_report
from crawler.report.aftermath import Aftermath
from crawler.report.services import FailingService
from crawler.sources.base import Usage
from db.basis import ShakenRating
from db.changes import Changes, CutOff, MovedRating, NewQuestion, Stock
from db.models import RunStatus
from db.moved import ArchivedRepository, RenamedArtifact
from db.troubles import FailingArtifact
from db.values import Question, SavedVisit
from pipelines.model import ArtifactKind, ArtifactRef, Rating, Visit, VisitStatus

STARTED = datetime(2031, 3, 1, 2, 17, tzinfo=UTC)
WEBHOOK_PATH = "/services/T0/verysecretpath"
HOSTILE = '<img src=x onerror="alert(1)">\x1b[31m\u202e & {{ 7 * 7 }}'
REPOSITORY = ArtifactRef(kind=ArtifactKind.GITHUB, id="hazelmoor/brindle")
PAGE = ArtifactRef(kind=ArtifactKind.WEB, id="https://brindle.example/")


def visit(ref: ArtifactRef, part: str, status: VisitStatus, reason: str = "", url: str = "") -> Visit:
    return Visit(
        ref=ref,
        part=part,
        url=url or f"https://sites.example/{part}",
        at=STARTED,
        status=status,
        reason=reason,
    )


def gathered_with(
    visits: dict[tuple[str, VisitStatus], int] | None = None, artifacts: int = 3, requests: int = 12
) -> Gathered:
    """What a run has gathered, as counts."""
    gathered = Gathered()
    gathered.visits.update({("github", VisitStatus.OK): 4} if visits is None else visits)
    gathered.artifacts[ArtifactKind.GITHUB] = artifacts
    if requests:
        gathered.usage["github"] = Usage(
            requests=requests, charged=requests, bytes=4096, remaining=48, limit=60
        )
    return gathered


def counted(**counts: int) -> dict[str, int]:
    """Counts of changes, 0 where not named."""
    names = "questions moved moved_questions stale stale_new gone gone_new failing failing_long renamed renamed_seeds archived"
    return dict.fromkeys(names.split(), 0) | counts


def aftermath_of(changes: Changes | None = None, failing: tuple[FailingService, ...] = ()) -> Aftermath:
    stock = Stock(projects=2, ratings=5, snapshots=9, snapshot_bytes=12_345)
    return Aftermath(changes=changes or Changes(counts=counted()), stock=stock, failing=failing)


def a_report(**values: Any) -> dict[str, Any]:
    """A report of a night; without values a green one."""
    usual: dict[str, Any] = {
        "run_id": 12,
        "kind": "nightly",
        "started": STARTED,
        "ended": STARTED + timedelta(seconds=83),
        "gathered": gathered_with(),
        "rated": Rated(projects=2, proposals=28, new=3, cannot_tell=1),
        "waiting": 4,
        "aftermath": aftermath_of(),
    }
    return run_report(**(usual | values))


@pytest.fixture
def make_report() -> Callable[..., dict[str, Any]]:
    return a_report


@pytest.fixture
def eventful() -> dict[str, Any]:
    """Everything happened, and what was fetched is hostile."""
    gathered = gathered_with(
        {
            ("github", VisitStatus.OK): 4,
            ("github", VisitStatus.UNCHANGED): 7,
            ("web", VisitStatus.FAILED): 2,
            ("web", VisitStatus.DENIED): 1,
        }
    )
    for status, part in (
        (VisitStatus.FAILED, "page"),
        (VisitStatus.DENIED, "other"),
        (VisitStatus.FAILED, "p3"),
    ):
        gathered.note_visit(
            "web",
            visit(PAGE, part, status, HOSTILE, "javascript:alert(1)"),
            SavedVisit(status=status, snapshot_id=None, is_new_snapshot=False),
        )
    gathered.visits["web", VisitStatus.FAILED] = 2
    gathered.visits["web", VisitStatus.DENIED] = 1
    gathered.errors.add(f"source web: ValueError: {HOSTILE}")
    question = Question(
        proposal_id=41,
        slug="brindle",
        project="Brindle",
        dimension="license",
        rating=Rating.CLOSED,
        current=Rating.OPEN,
        change=2,
        confidence=0.8,
        rationale=HOSTILE,
        link="https://sites.example/terms?a=1&b=2",
        since=STARTED,
    )
    shaken = {
        "slug": "brindle",
        "project": "Brindle",
        "rating": Rating.OPEN,
        "ref": REPOSITORY,
        "url": "https://code.example/hazelmoor/brindle",
        "since": STARTED,
        "nights": 1,
        "is_new": True,
    }
    changes = Changes(
        questions=(
            NewQuestion(question=question, was_proposed=True, before=Rating.OPEN),
            NewQuestion(
                question=Question(
                    proposal_id=42,
                    slug="brindle",
                    project="Brindle",
                    dimension="api",
                    rating=Rating.PARTIAL,
                    current=None,
                    change=0,
                    confidence=0.5,
                    rationale="an API asks for an account",
                    link="",
                    since=STARTED,
                ),
                was_proposed=False,
                before=None,
            ),
        ),
        moved=(
            MovedRating(
                proposal_id=41,
                slug="brindle",
                project="Brindle",
                dimension="license",
                rating=Rating.OPEN,
                before=Rating.OPEN,
                now=Rating.CLOSED,
                confidence=0.8,
                why=HOSTILE,
                is_question=True,
            ),
        ),
        stale=(
            ShakenRating(
                dimension="code",
                part="file:README.md",
                status=VisitStatus.FAILED,
                reason=HOSTILE,
                is_gone=False,
                **shaken,
            ),
        ),
        gone=(
            ShakenRating(
                dimension="paper",
                part="repository",
                status=VisitStatus.MISSING,
                reason="gone",
                is_gone=True,
                **shaken,
            ),
        ),
        failing=(
            FailingArtifact(
                ref=PAGE,
                part="page",
                parts=2,
                url=PAGE.id,
                status=VisitStatus.FAILED,
                reason=HOSTILE,
                since=STARTED - timedelta(days=4),
                nights=5,
                slugs=("brindle",),
            ),
        ),
        renamed=(
            RenamedArtifact(
                ref=REPOSITORY, now="hazelmoor/new", url="https://code.example/x", seeds=("brindle",)
            ),
        ),
        archived=(ArchivedRepository(ref=REPOSITORY, url="https://code.example/x"),),
        cut_off=(CutOff(run_id=11, kind="nightly", started_at=STARTED, ended_at=None),),
        counts=counted(
            questions=2,
            moved=1,
            moved_questions=1,
            stale=1,
            stale_new=1,
            gone=1,
            gone_new=1,
            failing=1,
            failing_long=1,
            renamed=1,
            renamed_seeds=1,
            archived=1,
        ),
        failing_by_kind={(ArtifactKind.WEB, VisitStatus.FAILED): 1},
        last_success=STARTED - timedelta(days=1),
    )
    plan = Plan(
        services=(
            ServicePlan(
                service="github",
                limit=60,
                left=60,
                resets_at=STARTED + timedelta(hours=1),
                reserve=5,
                need=90,
                planned=57,
                fits=11,
                waits=6,
                cold=4,
                warm=7,
                first_waiting=("marram", "sorrel"),
            ),
        )
    )
    return a_report(
        gathered=gathered,
        plan=plan,
        exit_code=1,
        candidates=2,
        aftermath=aftermath_of(
            changes, (FailingService(service="web", since="2031-02-27T02:17:00+00:00", nights=3),)
        ),
    )


@pytest.fixture
def cut_off_report() -> dict[str, Any]:
    return a_report(
        status=RunStatus.INTERRUPTED, exit_code=None, broke_off="somebody interrupted it", aftermath=None
    )


class Hook:
    """A web server that keeps what is posted; `answers` are statuses with headers of the next answers."""

    def __init__(self):
        self.posts = []
        self.answers = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.posts.append((self.path, dict(self.headers), body))
                status, headers = hook.answers.pop(0) if hook.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}{WEBHOOK_PATH}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture(scope="session")
def helpers() -> Any:
    """This module, for what tests make of it."""
    import sys

    return sys.modules[__name__]
