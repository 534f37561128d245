"""A desk after the sandbox's second night, with accounts, and browsers that sign in to it.

The nights are run once; every test that changes anything works on a copy.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock
from starlette.testclient import TestClient

import db.session
from crawler.archive import Archive
from crawler.http import TransportRules
from db.questions import load_page
from db.review_values import QueueFilter, QueueItem, Sort, UserRole
from db.session import make_engine, session_scope
from db.users import add_user
from pipelines.rubric import load_rubric
from review.app import create_app
from review.context import ReviewContext, ReviewOptions
from sandbox import RATINGS, SEEDS, Sandbox

NOW = datetime(2030, 3, 4, 10, 0, tzinfo=UTC)
PASSWORD = "a quiet desk by the window"
PEOPLE = {
    "Ada Curator": UserRole.CURATOR,
    "Ben Curator": UserRole.CURATOR,
    "Rita Reader": UserRole.READER,
    "Olga Admin": UserRole.ADMIN,
}
CSRF = re.compile(r'name="csrf" value="([^"]*)"')


def _e2e() -> ModuleType:
    """The desks of the end-to-end tests: the nights are run as there."""
    path = Path(__file__).parents[1] / "e2e" / "conftest.py"
    name = "_desks_of_the_end_to_end_tests"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@dataclass(slots=True)
class Clock:
    """A clock that a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(slots=True, kw_only=True)
class Browser:
    """A client that keeps cookies and sends the token of its pages, as a browser does."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str, **options: Any) -> Any:
        answer = self.client.get(path, **options)
        if found := CSRF.search(answer.text):
            self.csrf = found[1]
        return answer

    def post(self, path: str, data: dict[str, str] | None = None, **options: Any) -> Any:
        """Send a form. Redirects are not followed."""
        options.setdefault("follow_redirects", False)
        answer = self.client.post(path, data={"csrf": self.csrf, **(data or {})}, **options)
        if found := CSRF.search(answer.text):
            self.csrf = found[1]
        return answer

    def sign_in(self, name: str, password: str = PASSWORD) -> Any:
        self.get("/sign-in")
        answer = self.post("/sign-in", {"name": name, "password": password})
        if answer.status_code == 303:
            self.get("/account")
        return answer


@dataclass(slots=True, kw_only=True)
class ReviewDesk:
    """A folder with a database and an archive, and the application over it."""

    folder: Path
    context: ReviewContext
    clock: Clock
    clients: list[TestClient] = field(default_factory=list)

    @property
    def engine(self) -> Any:
        return self.context.engine

    def with_options(self, **options: Any) -> ReviewDesk:
        """The same desk with other options."""
        context = replace(self.context, options=replace(self.context.options, **options))
        return ReviewDesk(folder=self.folder, context=context, clock=self.clock, clients=self.clients)

    def with_context(self, **values: Any) -> ReviewDesk:
        """The same desk with another context."""
        return ReviewDesk(
            folder=self.folder,
            context=replace(self.context, **values),
            clock=self.clock,
            clients=self.clients,
        )

    def browser(self, name: str = "", **options: Any) -> Browser:
        """A browser of its own, signed in if a name is given."""
        client = TestClient(
            create_app(self.context),
            base_url=self.context.options.base_url,
            client=("203.0.113.9", 5000),
            **options,
        )
        self.clients.append(client)
        browser = Browser(client=client)
        if name:
            assert browser.sign_in(name).status_code == 303
        return browser

    def read(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """What a function of `db` reads."""
        with session_scope(self.engine) as session:
            return function(session, *values, **named)

    def write(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """What a function of `db` does."""
        with session_scope(self.engine, write=True) as session:
            return function(session, *values, **named)

    def questions(self, sort: Sort = Sort.GAIN, **filters: Any) -> list[QueueItem]:
        """The open questions."""
        page = self.read(load_page, QueueFilter(**filters), self.clock(), sort=sort, limit=1000)
        return list(page.items)


def make_desk(folder: Path, clock: Clock | None = None, **options: Any) -> ReviewDesk:
    """The application over a folder that has a database and an archive."""
    clock = clock or Clock()
    seeds = folder / "seeds.yaml"
    if not seeds.exists():
        shutil.copy(SEEDS, seeds)
    context = ReviewContext(
        engine=make_engine(f"sqlite:///{folder / 'openness.db'}"),
        archive=Archive(folder / "archive"),
        rubric=load_rubric(),
        clock=clock,
        options=ReviewOptions(**{"base_url": "http://127.0.0.1:8700", "seeds": seeds, **options}),
    )
    return ReviewDesk(folder=folder, context=context, clock=clock)


@pytest.fixture(scope="session")
def _crawled(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder after two nights, with published ratings and accounts: one for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "review-desk"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            crawl_desk(folder.with_name("review-desk-in-the-making"))
            folder.with_name("review-desk-in-the-making").rename(folder)
    return folder


def crawl_desk(folder: Path) -> None:
    """Run both nights in a new folder."""
    e2e = _e2e()
    with pytest.MonkeyPatch.context() as patch, Sandbox() as sandbox:
        patch.setitem(TransportRules.__init__.__kwdefaults__, "backoff", 0.01)
        patch.setattr("db.session.head_revision", functools.cache(db.session.head_revision))
        e2e._put_back(sandbox)
        desk = e2e._desk(folder, sandbox)
        desk.nightly(code=None)
        desk.run("import", "ratings", str(RATINGS))
        e2e._put_back(sandbox, night=2)
        desk.nightly(code=None)
    engine = make_engine(f"sqlite:///{folder / 'openness.db'}")
    with session_scope(engine, write=True) as session:
        for name, role in PEOPLE.items():
            add_user(session, name, role, now=NOW, created_by="tests", password=PASSWORD)
    engine.dispose()


def _closed(desk: ReviewDesk) -> None:
    for client in desk.clients:
        client.close()
    desk.engine.dispose()


@pytest.fixture(scope="session")
def shared_desk(_crawled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewDesk]:
    """The desk after the second night. Only to be looked at; `desk` is a copy to work on."""
    folder = tmp_path_factory.mktemp("shared") / "desk"
    shutil.copytree(_crawled, folder)
    desk = make_desk(folder)
    yield desk
    _closed(desk)


@pytest.fixture
def desk(_crawled: Path, tmp_path: Path) -> Iterator[ReviewDesk]:
    """A copy of the desk after the second night, to be worked on."""
    folder = tmp_path / "desk"
    shutil.copytree(_crawled, folder)
    made = make_desk(folder)
    yield made
    _closed(made)


@pytest.fixture
def ada(desk: ReviewDesk) -> Browser:
    """A curator's browser at the desk to be worked on."""
    return desk.browser("Ada Curator")


@pytest.fixture(scope="session")
def reading(shared_desk: ReviewDesk) -> Browser:
    """A curator's browser that only reads."""
    return shared_desk.browser("Ada Curator")
