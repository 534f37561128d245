"""`openness review`: what it is told, where it listens, how it ends; and what it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from crawler.commands.review import review_url
from crawler.github_sign_in import GitHub, github_sign_in, web_address_of
from crawler.lock import run_lock
from crawler.settings import Settings
from crawler.visit_again import VisitAgain
from pipelines.errors import UsageError
from review.context import SignInError

ROOT = Path(__file__).resolve().parents[2]


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


def start(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENNESS_", "GITHUB_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", "review", *arguments],
        cwd=folder,
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "OPENNESS_DATABASE_URL": f"sqlite:///{folder / 'openness.db'}",
            "OPENNESS_ARCHIVE": str(folder / "archive"),
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_it_serves_until_it_is_told_to_end(desk: Any) -> None:
    process = start(desk.folder, "--port", "0")
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert url, said
        with requests.Session() as session:
            assert session.get(f"{url[0]}/healthz", timeout=30).text == "ok\n"
            page = session.get(f"{url[0]}/sign-in", timeout=30)
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            form = {"csrf": csrf[1], "name": "Ada Curator", "password": "a quiet desk by the window"}
            page = session.post(f"{url[0]}/sign-in", form, timeout=30)
            assert page.status_code == 200
            assert "Signed in as Ada Curator." in page.text
            assert "server" not in page.headers
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err
        assert "quiet desk" not in err
    finally:
        process.kill()
        process.wait()


def test_a_port_that_is_taken_is_said(desk: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(desk.folder, "--port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot listen" in err


def test_others_than_this_machine_need_an_address_that_is_set() -> None:
    assert review_url(settings(), "127.0.0.1", 8700) == "http://127.0.0.1:8700"
    assert review_url(settings(), "::1", 8700) == "http://[::1]:8700"
    with pytest.raises(UsageError, match="OPENNESS_REVIEW_URL is not set"):
        review_url(settings(), "0.0.0.0", 8700)
    told = settings(OPENNESS_REVIEW_URL="https://Desk.Example.org/")
    assert review_url(told, "0.0.0.0", 8700) == "https://desk.example.org"


@pytest.mark.parametrize(
    "url", ["desk.example.org", "https://desk.example.org/below", "ftp://x", "https://u:p@x"]
)
def test_an_address_that_the_desk_cannot_have_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"OPENNESS_REVIEW_URL|address|behind"):
        settings(OPENNESS_REVIEW_URL=url)


def test_a_visit_is_not_begun_while_a_night_holds_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'openness.db'}"
    visits = VisitAgain(settings(OPENNESS_DATABASE_URL=url))
    with run_lock(url):
        assert visits.start("sorrel", "Ada").startswith("Not begun: another run holds the database")
    visits.close()


def test_a_visit_crawls_and_then_rates_in_the_background(tmp_path: Path, monkeypatch: Any) -> None:
    done: list[list[str]] = []
    gate = threading.Event()

    def command(self: VisitAgain, *arguments: str) -> int:
        gate.wait(10)
        done.append(list(arguments))
        return 3

    monkeypatch.setattr(VisitAgain, "_command", command)
    visits = VisitAgain(settings(OPENNESS_DATABASE_URL=f"sqlite:///{tmp_path / 'openness.db'}"))
    assert visits.start("sorrel", "Ada").startswith("sorrel is being visited")
    assert "just now" in visits.start("trellis", "Ada")
    gate.set()
    visits.wait(10)
    assert done == [["crawl", "sorrel"], ["rate", "sorrel"]]


def test_a_visit_that_fails_is_logged_and_rates_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'openness.db'}"
    visits = VisitAgain(settings(OPENNESS_DATABASE_URL=url, OPENNESS_ARCHIVE=str(tmp_path / "archive")))
    visits.start("nobody", "Ada")
    visits.wait(60)
    assert [record.getMessage()[:29] for record in caplog.records if record.levelname == "WARNING"] == [
        "openness crawl nobody ended w"
    ]
    visits.close()


class _GitHub(BaseHTTPRequestHandler):
    """Plays the two addresses of GitHub that signing in asks."""

    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.asked.append(form)
        good = form["code"] == ["good"]
        self._answer(
            b'{"access_token": "gho_invented", "token_type": "bearer", "scope": ""}'
            if good
            else b'{"error": "bad_verification_code"}'
        )

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer gho_invented"
        self._answer(b'{"login": "Ada-At-GitHub", "id": 7}')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    _GitHub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GitHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def github(url: str) -> GitHub:
    found = github_sign_in(
        settings(
            OPENNESS_GITHUB_CLIENT_ID="an-app", OPENNESS_GITHUB_CLIENT_SECRET="a-secret", GITHUB_API_URL=url
        )
    )
    assert found is not None
    return found


def test_github_is_asked_for_the_login_name_and_nothing_else(service: str) -> None:
    asked = github(service)
    callback = "https://desk.example.org/sign-in/github/callback"
    url = urlsplit(asked.authorize_url(state="s", verifier="v" * 43, redirect_uri=callback))
    query = parse_qs(url.query)
    assert url.path == "/login/oauth/authorize"
    assert query["state"] == ["s"]
    assert query["redirect_uri"] == [callback]
    assert query["code_challenge_method"] == ["S256"]
    assert "scope" not in query
    assert asked.fetch_login(code="good", verifier="v" * 43, redirect_uri=callback) == "Ada-At-GitHub"
    assert _GitHub.asked[0]["code_verifier"] == ["v" * 43]
    assert _GitHub.asked[0]["client_secret"] == ["a-secret"]


def test_what_github_does_not_confirm_is_refused_without_a_secret_in_the_log(
    service: str, caplog: pytest.LogCaptureFixture
) -> None:
    for url, code in ((service, "bad"), ("http://127.0.0.1:9", "good")):
        with pytest.raises(SignInError, match="not confirmed"):
            github(url).fetch_login(code=code, verifier="v" * 43, redirect_uri="https://desk.example.org/x")
    assert "a-secret" not in caplog.text


def test_half_an_app_is_refused() -> None:
    assert github_sign_in(settings()) is None
    with pytest.raises(UsageError, match="together"):
        github_sign_in(settings(OPENNESS_GITHUB_CLIENT_ID="an-app"))


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://git.example.org/api/v3", "https://git.example.org"),
    ],
)
def test_people_sign_in_where_the_api_belongs_to(api: str, web: str) -> None:
    assert web_address_of(api) == web
