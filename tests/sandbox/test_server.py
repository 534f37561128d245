"""The running server: its addresses, its log, its faults and how it starts and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]


def test_the_addresses_are_the_settings_that_lead_to_services(sandbox):
    assert set(sandbox.addresses) == {
        "GITHUB_API_URL",
        "GITHUB_GRAPHQL_URL",
        "HF_ENDPOINT",
        "OPENNESS_PYPI_URL",
        "OPENNESS_ARXIV_URL",
        "OPENNESS_WEB_GATEWAY",
        "OPENNESS_ALLOW_PRIVATE_HOSTS",
    }
    assert sandbox.addresses["OPENNESS_ALLOW_PRIVATE_HOSTS"].startswith("127.0.0.1:")
    assert set(sandbox.environment) - set(sandbox.addresses) == {"GITHUB_TOKEN", "HF_TOKEN"}


def test_the_log_tells_service_path_status_token_and_condition(sandbox, rest, hub, page):
    rest("/repos/quillwort/sorrel", **{"If-None-Match": '"x"'})
    card = "/hf/quillwort/sorrel-chat-7b/resolve/main/README.md"
    hub("/quillwort/sorrel-chat-7b/resolve/main/README.md?download=true")
    page("https://oleander.example/nothing")
    log = [
        (e.service, e.method, e.path, e.query, e.status, e.authorised, e.conditional)
        for e in sandbox.requests
    ]
    assert log == [
        ("github", "GET", "/github/api/v3/repos/quillwort/sorrel", "", 200, True, True),
        ("huggingface", "GET", card, "download=true", 200, False, False),
        ("web", "GET", "/web/https/oleander.example/nothing", "", 404, False, False),
    ]
    assert sandbox.requests[0].bytes > 100
    sandbox.clear_log()
    assert sandbox.requests == []


def test_a_status_fault_fires_as_often_as_told(sandbox, rest):
    sandbox.fault("/repos/quillwort/sorrel$", "status", status=502, times=2, retry_after=1)
    answers = [rest("/repos/quillwort/sorrel") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].headers["Retry-After"] == "1"
    assert [entry.fault for entry in sandbox.requests] == ["status", "status", ""]


def test_a_reset_is_a_broken_connection_and_logged_without_status(sandbox, rest):
    sandbox.fault("sorrel", "reset")
    with pytest.raises(requests.ConnectionError):
        rest("/repos/quillwort/sorrel")
    assert [(entry.status, entry.fault) for entry in sandbox.requests] == [(0, "reset")]


def test_a_hanging_answer_meets_the_clients_timeout(sandbox, http):
    sandbox.fault("oleander", "hang")
    with pytest.raises(requests.ReadTimeout):
        http.get(f"{sandbox.base}/web/https/oleander.example/", timeout=0.2)


def test_a_slow_answer_is_right_in_the_end(sandbox, page):
    sandbox.fault("oleander", "slow", seconds=0.4)
    began = time.monotonic()
    assert "Oleander Assistant" in page("https://oleander.example/").text
    assert time.monotonic() - began > 0.3


def test_a_truncated_answer_is_noticed_by_the_client(sandbox, page):
    sandbox.fault("oleander", "truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        page("https://oleander.example/")


def test_garbage_comes_under_the_right_content_type(sandbox, rest):
    sandbox.fault("sorrel", "garbage")
    answer = rest("/repos/quillwort/sorrel")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    with pytest.raises(ValueError, match=r".*"):
        answer.json()


def test_a_huge_answer_has_no_length_and_goes_on(sandbox, http):
    sandbox.fault("oleander", "huge", size=5_000_000)
    with http.get(f"{sandbox.base}/web/https/oleander.example/", stream=True, timeout=5) as answer:
        assert "Content-Length" not in answer.headers
        assert sum(len(chunk) for chunk in answer.iter_content(65536)) == 5_000_000
    sandbox.clear_faults()
    sandbox.fault("oleander", "huge")
    with http.get(f"{sandbox.base}/web/https/oleander.example/", stream=True, timeout=5) as answer:
        assert len(next(answer.iter_content(65536))) > 0


def test_a_redirect_loop_never_ends(sandbox, http):
    sandbox.fault("oleander", "redirect_loop")
    with pytest.raises(requests.TooManyRedirects):
        http.get(f"{sandbox.base}/web/https/oleander.example/?a=b%20c", timeout=5)
    loop = [entry for entry in sandbox.requests if entry.fault == "redirect_loop"]
    assert {entry.query for entry in loop} == {"a=b%20c"}


def test_a_login_page_stands_where_the_thing_was(sandbox, http, page):
    sandbox.fault("fennel-hollow", "login_page")
    answer = http.get(f"{sandbox.base}/web/https/fennel-hollow.example/", timeout=5)
    assert [step.status_code for step in answer.history] == [302]
    assert answer.url.startswith(f"{sandbox.base}/web/https/fennel-hollow.example/login?")
    assert 'type="password"' in answer.text
    sandbox.clear_faults()
    sandbox.fault("fennel-hollow", "login_page", status=200)
    assert 'type="password"' in page("https://fennel-hollow.example/").text


@pytest.mark.parametrize(("kind", "words"), [("bot_wall", "human"), ("script_page", "enable JavaScript")])
def test_a_page_that_is_none_answers_with_200(sandbox, page, kind, words):
    sandbox.fault("fennel-hollow", kind)
    answer = page("https://fennel-hollow.example/")
    assert (answer.status_code, words in answer.text) == (200, True)


def test_an_unknown_kind_of_fault_is_refused(sandbox):
    with pytest.raises(ValueError, match="no such kind of fault"):
        sandbox.fault("x", "gremlins")


def test_it_stops_while_a_request_hangs_and_can_be_started_again():
    sandbox = Sandbox()
    with sandbox:
        sandbox.fault("oleander", "hang")
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{sandbox.base}/web/https/oleander.example/", timeout=0.1)
        port = sandbox.base
        with pytest.raises(RuntimeError):
            sandbox.start()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{port}/pypi/fennel-lm/json", timeout=1)
    with sandbox:
        assert requests.get(f"{sandbox.base}/pypi/fennel-lm/json", timeout=5).status_code == 200


def test_a_taken_port_is_an_error(sandbox):
    port = int(sandbox.base.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()


def test_the_command_prints_its_addresses_and_serves_until_it_is_told_to_stop():
    command = [sys.executable, "-m", "sandbox", "--night", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True) as process:
        addresses = json.loads(process.stdout.readline())
        url = addresses["GITHUB_API_URL"] + "/repos/heathland/gorse"
        assert requests.get(url, timeout=5).status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
