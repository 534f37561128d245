"""A real browser at the real desk: the Chromium of the machine, and `openness review` as a process of its own."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright

from sandbox import LINEAGE

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # the tests run as root in containers; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 40.0
NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
SETTINGS = ("OPENNESS_", "GITHUB_", "HF_")
# Read here, since tests see none of the variables of the person who runs them.
IS_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


def _unavailable(reason: str) -> None:
    if IS_CI:
        pytest.fail(f"the desk must be tested in a browser in CI: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The browser. Skips where there is none, and fails in CI.

    For one file at a time: as long as Playwright runs, no other test of the process could run an event loop.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        _unavailable(f"no Chromium is installed: none of {', '.join(NAMES)} is on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


def now() -> datetime:
    """The time that the processes have, too."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Served:
    """A desk that is served: its folder, its settings and where it is."""

    folder: Path
    env: dict[str, str]
    url: str = ""
    process: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """A command at this desk, as a process; what it has printed."""
        done = subprocess.run(
            [sys.executable, "-m", "crawler", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=600,  # a machine with much else to do
            check=False,
            **options,
        )
        assert done.returncode == code, f"openness {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Serve at a free port, as `openness review` does."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crawler", "review", "--port", "0"],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        lines: queue.Queue[str] = queue.Queue()
        stream = self.process.stderr
        assert stream is not None

        def listen() -> None:
            for line in stream:
                self.said.append(line)
                lines.put(line)
            lines.put("")
            stream.close()

        threading.Thread(target=listen, daemon=True).start()
        while not self.url:
            try:
                line = lines.get(timeout=START_SECONDS)
            except queue.Empty:
                line = ""
            assert line, f"the desk did not start:\n{''.join(self.said)}"
            self.url = next((word for word in line.split() if word.startswith("http://")), "")
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() < deadline, f"the desk does not answer:\n{''.join(self.said)}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """End it as a service manager does. Raises where it does not end well."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process = None


def settings_of(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command at a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {
        **kept,
        "OPENNESS_DATABASE_URL": f"sqlite:///{folder / 'openness.db'}",
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "OPENNESS_SEEDS": str(folder / "seeds.yaml"),
        "OPENNESS_LINEAGE": str(LINEAGE),
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_PAGE_DELAY": "0",
        "OPENNESS_CONTACT": "tests@example.org",
        "HF_HOME": str(folder / "hub"),
        "PYTHONPATH": str(ROOT),
        **more,
    }


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Served]]:
    """Serves a folder with a database and an archive, until the tests of the file are done."""
    started: list[Served] = []

    def start(folder: Path, **settings: str) -> Served:
        served = Served(folder=folder, env=settings_of(folder, **settings))
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.stop()
        assert not any("Traceback" in line for line in served.said), "".join(served.said)


@pytest.fixture(scope="module")
def crawled_copy(_crawled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the second night, for the tests of one file to work on."""
    folder = tmp_path_factory.mktemp("browser") / "desk"
    shutil.copytree(_crawled, folder)
    if not (folder / "seeds.yaml").exists():
        from sandbox import SEEDS

        shutil.copy(SEEDS, folder / "seeds.yaml")
    return folder


@dataclass(slots=True, kw_only=True)
class Seat:
    """Somebody at the desk with a browser of their own. `problems` is what a person would find wrong with it:
    errors of scripts, refusals of the security policy, dialogs, requests to others than the desk."""

    url: str
    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def goto(self, path: str) -> int:
        """Open a page of the desk; its status."""
        answer = self.page.goto(self.url + path, wait_until="load")
        assert answer is not None
        return answer.status

    def sign_in(self, name: str, password: str) -> None:
        self.goto("/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self.url}/")

    def watch(self, page: Page) -> None:
        """Note everything that is wrong with a page."""
        page.on("pageerror", lambda error: self.problems.append(f"error in {page.url}: {error}"))
        page.on(
            "console",
            lambda said: (
                self.problems.append(f"{said.type} in {page.url}: {said.text}")
                if said.type in ("error", "warning") and "status of" not in said.text
                else None
            ),
        )
        page.on("dialog", lambda shown: (self.problems.append(f"dialog: {shown.message}"), shown.dismiss()))
        page.on("request", lambda asked: self._note(asked.url))
        page.on("popup", lambda other: self.problems.append(f"window: {other.url}"))
        page.on("frameattached", lambda frame: self.problems.append(f"frame: {frame.url}"))
        page.on("download", lambda file: self.problems.append(f"download: {file.url}"))

    def _note(self, url: str) -> None:
        self.requests.append(url)
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.problems.append(f"request to {url[:200]}")


@pytest.fixture
def seat(chromium: Chromium) -> Iterator[Callable[..., Seat]]:
    """Opens browsers at a served desk. Whatever is wrong with any of their pages fails the test."""
    opened: list[Seat] = []

    def open_seat(served: Served, name: str = "", password: str = "", **options: Any) -> Seat:
        options.setdefault("viewport", WIDE)
        options.setdefault("reduced_motion", "reduce")
        context = chromium.new_context(**options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        seat = Seat(url=served.url, context=context, page=page)
        seat.watch(page)
        opened.append(seat)
        if name:
            seat.sign_in(name, password)
        return seat

    yield open_seat
    for one in opened:
        one.context.close()
    found = [problem for one in opened for problem in one.problems]
    assert not found, "\n".join(found[:20])
