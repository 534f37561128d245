"""Who gets in, by password and through GitHub, and what an account may do with itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from db.audit import load_audit
from db.sign_ins import load_tokens
from db.users import deactivate_user, load_user, set_github_login
from review.context import SignInError


def actions(desk: Any) -> list[str]:
    return [entry.action for entry in desk.read(load_audit)]


def test_a_page_leads_to_the_sign_in_and_from_there_back(desk: Any) -> None:
    browser = desk.browser()
    answer = browser.get("/queue?kind=new_project", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fqueue%3Fkind%3Dnew_project"
    browser.get(answer.headers["location"])
    answer = browser.post(
        "/sign-in",
        {"name": "Ada Curator", "password": "a quiet desk by the window", "next": "/queue?kind=new_project"},
    )
    assert answer.headers["location"] == "/queue?kind=new_project"
    page = browser.get(answer.headers["location"])
    assert "Signed in as Ada Curator." in page.text
    assert "Signed in as" not in browser.get("/queue").text
    assert actions(desk) == ["sign-in"]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"]
)
def test_nobody_is_led_elsewhere_after_signing_in(desk: Any, target: str) -> None:
    browser = desk.browser()
    browser.get("/sign-in")
    answer = browser.post(
        "/sign-in", {"name": "Ada Curator", "password": "a quiet desk by the window", "next": target}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Ada Curator", "another password"),
        ("Nobody", "a quiet desk by the window"),
        ("Ada Curator", ""),
        ("", "x"),
    ],
)
def test_a_wrong_name_or_password_is_refused_in_the_same_words(desk: Any, name: str, password: str) -> None:
    answer = desk.browser().sign_in(name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text


def test_a_disabled_account_gets_neither_in_nor_on(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    desk.write(deactivate_user, "Ada Curator")
    assert browser.get("/account", follow_redirects=False).status_code == 303
    assert desk.browser().sign_in("Ada Curator").status_code == 401


def test_after_five_failures_the_right_password_does_not_help_for_a_quarter_of_an_hour(desk: Any) -> None:
    browser = desk.browser()
    for _ in range(5):
        assert browser.sign_in("Ada Curator", "wrong").status_code == 401
    refused = browser.sign_in("Ada Curator")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "900"
    assert browser.sign_in("Ben Curator").status_code == 303
    desk.clock.forward(minutes=16)
    assert desk.browser().sign_in("Ada Curator").status_code == 303
    assert actions(desk).count("sign-in-failed") == 5


def test_a_password_is_never_recorded(desk: Any) -> None:
    desk.browser().sign_in("Ada Curator", "swordfish swordfish")
    desk.browser().sign_in("Ada Curator")
    told = str(desk.read(load_audit))
    assert "swordfish" not in told
    assert "quiet desk" not in told


def test_a_sign_in_needs_the_token_of_its_form(desk: Any) -> None:
    browser = desk.browser()
    browser.get("/sign-in")
    browser.csrf = ""
    assert browser.post("/sign-in", {"name": "Ada Curator"}).status_code == 403
    assert actions(desk) == []


def test_a_new_sign_in_is_a_new_session_and_ends_the_one_before(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    before = browser.client.cookies["openness-session"]
    assert browser.get("/sign-in", follow_redirects=False).status_code == 303
    browser.post("/sign-in", {"name": "Ada Curator", "password": "a quiet desk by the window"})
    assert browser.client.cookies["openness-session"] != before
    stale = desk.browser()
    stale.client.cookies.set("openness-session", before)
    assert stale.get("/account", follow_redirects=False).status_code == 303


def test_a_session_is_over_after_its_hours(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    desk.clock.forward(hours=11)
    assert browser.get("/account", follow_redirects=False).status_code == 200
    desk.clock.forward(hours=2)
    assert browser.get("/account", follow_redirects=False).status_code == 303


def test_signing_out_ends_the_session_in_the_database(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    token = browser.client.cookies["openness-session"]
    assert browser.post("/sign-out").status_code == 303
    thief = desk.browser()
    thief.client.cookies.set("openness-session", token)
    assert thief.get("/account", follow_redirects=False).status_code == 303


def test_where_reading_is_public_nobody_can_decide(desk: Any) -> None:
    browser = desk.with_options(public_read=True).browser()
    page = browser.get("/queue", follow_redirects=False)
    assert page.status_code == 200
    assert "Sign in" in page.text
    question = desk.questions()[0]
    page = browser.get(f"/questions/{question.slug}/{question.dimension}")
    assert page.status_code == 200
    assert "/decide" not in page.text
    assert browser.post(f"/questions/{question.slug}/{question.dimension}/decide").status_code == 401
    assert browser.get("/account", follow_redirects=False).status_code == 303
    assert browser.get("/bulk", follow_redirects=False).status_code == 303


def test_a_changed_password_ends_every_session(desk: Any) -> None:
    browser, other = desk.browser("Ada Curator"), desk.browser("Ada Curator")
    new = "another quiet desk, further in"
    form = {"present": "a quiet desk by the window", "new": new, "again": new}
    assert browser.post("/account/password", {**form, "present": "wrong"}).status_code == 403
    assert browser.post("/account/password", {**form, "again": "else"}).status_code == 422
    assert browser.post("/account/password", {**form, "new": "short", "again": "short"}).status_code == 422
    assert browser.post("/account/password", form).status_code == 303
    assert other.get("/account", follow_redirects=False).status_code == 303
    assert desk.browser().sign_in("Ada Curator").status_code == 401
    assert desk.browser().sign_in("Ada Curator", new).status_code == 303


def test_a_token_is_shown_once_and_can_be_revoked(desk: Any) -> None:
    browser = desk.browser("Ada Curator")
    answer = browser.post("/account/tokens", {"name": "my script", "scope": "write"})
    assert answer.status_code == 200
    assert "openness_" in answer.text
    page = browser.get("/account")
    assert "my script" in page.text
    assert "openness_" not in page.text
    user = desk.read(load_user, "Ada Curator")
    token = desk.read(load_tokens, user.id)[0]
    assert browser.post(f"/account/tokens/{token.id}/revoke").status_code == 303
    assert desk.read(load_tokens, user.id)[0].revoked_at is not None
    assert {"token-made", "token-revoked"} <= set(actions(desk))


def test_nobody_revokes_a_token_of_somebody_else(desk: Any) -> None:
    desk.browser("Ada Curator").post("/account/tokens", {"name": "my script", "scope": "read"})
    token = desk.read(load_tokens, desk.read(load_user, "Ada Curator").id)[0]
    assert desk.browser("Ben Curator").post(f"/account/tokens/{token.id}/revoke").status_code == 400
    assert desk.read(load_tokens, token.user.id)[0].revoked_at is None


def test_a_reader_makes_tokens_that_read_only(desk: Any) -> None:
    browser = desk.browser("Rita Reader")
    assert browser.post("/account/tokens", {"name": "all", "scope": "write"}).status_code == 403
    assert browser.post("/account/tokens", {"name": "some", "scope": "read"}).status_code == 200


@dataclass
class FakeGitHub:
    """Knows who holds which code."""

    logins: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def authorize_url(self, *, state: str, verifier: str, redirect_uri: str) -> str:
        return f"https://github.example/authorize?state={state}&redirect_uri={redirect_uri}"

    def fetch_login(self, *, code: str, verifier: str, redirect_uri: str) -> str:
        self.asked.append({"code": code, "verifier": verifier, "redirect_uri": redirect_uri})
        if code not in self.logins:
            raise SignInError("GitHub has not confirmed who you are. Try again.")
        return self.logins[code]


@pytest.fixture
def github(desk: Any) -> tuple[Any, FakeGitHub]:
    fake = FakeGitHub(logins={"good": "Ada-At-GitHub", "stranger": "someone-else"})
    desk.write(set_github_login, "Ada Curator", "ada-at-github")
    return desk.with_options(github=fake), fake


def state_of(browser: Any, path: str = "/sign-in/github?next=/queue") -> str:
    answer = browser.get(path, follow_redirects=False)
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8700/sign-in/github/callback"]
    return query["state"][0]


def proof_of(page: Any) -> str:
    return page.text.split('name="proof" value="')[1].split('"')[0]


def test_an_account_signs_in_through_github(github: tuple[Any, FakeGitHub]) -> None:
    desk, fake = github
    browser = desk.browser()
    assert "Sign in with GitHub" in browser.get("/sign-in").text
    page = browser.get(f"/sign-in/github/callback?code=good&state={state_of(browser)}")
    assert "You are Ada-At-GitHub at GitHub" in page.text
    proof = proof_of(page)
    answer = browser.post("/sign-in/github/callback", {"proof": proof})
    assert answer.headers["location"] == "/queue"
    assert "Ada Curator" in browser.get("/account").text
    assert len(fake.asked[0]["verifier"]) >= 43
    again = desk.browser()
    again.get("/sign-in")
    assert again.post("/sign-in/github/callback", {"proof": proof}).status_code == 401


def test_a_stranger_at_github_gets_no_account(github: tuple[Any, FakeGitHub]) -> None:
    desk, _ = github
    browser = desk.browser()
    page = browser.get(f"/sign-in/github/callback?code=stranger&state={state_of(browser)}")
    answer = browser.post("/sign-in/github/callback", {"proof": proof_of(page)})
    assert answer.status_code == 401
    assert "No account here belongs to someone-else" in answer.text
    assert actions(desk) == ["sign-in-failed"]


def test_an_answer_that_another_browser_asked_for_is_worth_nothing(github: tuple[Any, FakeGitHub]) -> None:
    desk, fake = github
    state = state_of(desk.browser())
    victim = desk.browser()
    assert victim.get(f"/sign-in/github/callback?code=good&state={state}").status_code == 401
    state_of(victim)
    assert victim.get(f"/sign-in/github/callback?code=good&state={state}").status_code == 401
    assert fake.asked == []


def test_a_code_that_github_does_not_know_is_refused(github: tuple[Any, FakeGitHub]) -> None:
    desk, _ = github
    browser = desk.browser()
    assert browser.get(f"/sign-in/github/callback?code=bad&state={state_of(browser)}").status_code == 401


def test_without_an_app_there_is_no_sign_in_through_github(desk: Any) -> None:
    browser = desk.browser()
    assert "GitHub" not in browser.get("/sign-in").text
    assert browser.get("/sign-in/github").status_code == 404
