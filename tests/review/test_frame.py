"""What stands around every page."""

from __future__ import annotations

from typing import Any

import pytest

from review.app import create_app
from review.frame import HEADERS, MAX_BODY
from review.static_files import asset_path, load_assets


def test_every_answer_has_the_headers(reading: Any) -> None:
    for path in ("/queue", "/nowhere", "/healthz", "/static/nothing.css", "/snapshots/x"):
        answer = reading.get(path)
        for name in HEADERS:
            assert name in answer.headers, (path, name)
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_are_not_kept_by_anybody(reading: Any) -> None:
    assert reading.get("/queue").headers["cache-control"] == "no-store"


def test_no_page_has_script_or_style_of_its_own(reading: Any) -> None:
    for path in ("/queue", "/account", "/sign-in", "/nowhere"):
        text = reading.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert all("src=" in tag for tag in text.split("<script")[1:])


def test_another_host_is_refused(shared_desk: Any) -> None:
    browser = shared_desk.browser()
    assert browser.get("/queue", headers={"host": "rebound.example"}).status_code == 421
    assert browser.get("/sign-in", headers={"host": "localhost:8700"}).status_code == 200
    assert browser.get("/healthz", headers={"host": "10.0.0.7:8700"}).text == "ok\n"


def test_a_request_that_is_too_large_is_refused(shared_desk: Any) -> None:
    browser = shared_desk.browser()
    body = b"name=" + b"a" * MAX_BODY
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/sign-in", content=body, headers=kind).status_code == 413
    unannounced = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    assert browser.client.post("/sign-in", content=unannounced, headers=kind).status_code == 413


def test_static_files_are_named_for_what_is_in_them_and_kept_for_good(shared_desk: Any) -> None:
    browser = shared_desk.browser()
    assert {"desk.css", "desk.js", "icon.svg", "vendor/htmx-2.0.10.min.js"} <= set(load_assets())
    for name in load_assets():
        answer = browser.get(asset_path(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/desk.css").status_code == 404
    assert browser.get("/static/../calls.py").status_code == 404


def test_with_https_cookies_are_secure_and_bound_to_the_host(desk: Any) -> None:
    browser = desk.with_options(base_url="https://desk.example.org").browser()
    assert browser.sign_in("Ada Curator").status_code == 303
    assert all(name.startswith("__Host-") for name in browser.client.cookies)
    answer = browser.get("/account")
    assert answer.status_code == 200
    assert "strict-transport-security" in answer.headers


def test_cookies_cannot_be_read_by_scripts_nor_sent_by_other_sites(shared_desk: Any) -> None:
    answer = shared_desk.browser().get("/sign-in")
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie


@pytest.mark.parametrize("path", ["/queue?kind=%00", "/questions/a%00b/license", "/queue?class=best"])
def test_nonsense_in_an_address_is_refused_with_a_page(reading: Any, path: str) -> None:
    answer = reading.get(path)
    assert answer.status_code == 400
    assert "<h1" in answer.text


def test_a_mistake_of_ours_is_a_page_that_tells_nothing(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*values: Any, **named: Any) -> Any:
        raise RuntimeError("the secret is swordfish")

    browser = desk.browser("Ada Curator")
    monkeypatch.setattr("review.routes.queue.load_page", break_down)
    answer = browser.get("/queue")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert "content-security-policy" in answer.headers


def test_a_database_that_fails_is_said_and_not_shown(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    desk.engine.dispose()
    (desk.folder / "openness.db").write_bytes(b"this is no database" * 100)
    answer = browser.get("/queue")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_two_applications_may_serve_one_database(desk: Any) -> None:
    browser, other = desk.browser("Ada Curator"), create_app(desk.context)
    assert other is not browser.client.app
    assert browser.get("/queue").status_code == 200
