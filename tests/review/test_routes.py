"""The doors of every view that changes something: who has to stay outside, for all of them that there are."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

import review.routes
from db.models import Base
from db.review_values import UserRole
from db.session import session_scope
from review.calls import VIEWS, Listed

BELOW = {UserRole.CURATOR: "Rita Reader", UserRole.ADMIN: "Ada Curator"}
WITH = {UserRole.READER: "Rita Reader", UserRole.CURATOR: "Ada Curator", UserRole.ADMIN: "Olga Admin"}
FILL = {"slug": "sorrel-chat", "dimension": "license", "id": "1", "sha256": "0" * 64, "format": "csv"}

# Forms that carry the version of what was looked at: each is tried with a stale one below.
VERSIONED = {
    "/questions/{slug}/{dimension}/decide",
    "/questions/{slug}/{dimension}/undo",
    "/bulk",
    "/opinions/{slug}/{dimension}",
    "/projects/{slug}/seed",
}
# What they do does not depend on what was looked at, or it can happen once only.
WITHOUT_VERSION = {
    "/sign-in",
    "/sign-in/github/callback",
    "/sign-out",
    "/account/password",
    "/account/sign-out",
    "/account/tokens",
    "/account/tokens/{id:int}/revoke",
    "/questions/{slug}/{dimension}/comment",
    "/batches/{id}",
    "/projects/{slug}/visit",
    "/candidates/{id:int}/adopt",
    "/candidates/{id:int}/dismiss",
    "/candidates/{id:int}/merge",
    "/disputes/new/{slug}",
    "/disputes/{id:int}/dismiss",
}


def load_views() -> None:
    """Import every module of routes: they list their views as they are imported."""
    for module in pkgutil.iter_modules(review.routes.__path__):
        importlib.import_module(f"review.routes.{module.name}")


def views(kind: Callable[[Listed], bool]) -> list[Any]:
    """Every view of the pages; those for programs are tried with tokens, elsewhere."""
    found = [listed for listed in VIEWS.values() if not listed.view.api and kind(listed)]
    return [pytest.param(each, id=f"{each.method} {each.path}") for each in found]


load_views()
WRITING = views(lambda listed: listed.view.write)
READING = views(lambda listed: not listed.view.write)


def address(path: str) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: FILL[found[1]], path)


def everything(desk: Any) -> dict[str, int]:
    """How many rows each table has."""
    with session_scope(desk.engine) as session:
        tables = Base.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables}


@pytest.fixture(scope="module")
def doors(shared_desk: Any) -> Any:
    """A desk with everything switched on that can be. Nothing that is tried here gets in, so it stays as it is."""
    return shared_desk.with_options(disputes=True, second_opinions=1.0)


@pytest.fixture(scope="module")
def people(doors: Any) -> dict[str, Any]:
    """Somebody of every role, signed in, and somebody who is not."""
    found = {
        name: doors.browser(name) for name in ("Rita Reader", "Ada Curator", "Ben Curator", "Olga Admin")
    }
    found[""] = doors.browser()
    found[""].get("/sign-in")
    return found


def test_the_views_are_all_there() -> None:
    assert len(WRITING) >= 18
    assert len(READING) >= 20


def test_every_view_that_writes_says_whether_it_has_a_version() -> None:
    paths = {param.values[0].path for param in WRITING}
    assert paths == VERSIONED | WITHOUT_VERSION


@pytest.mark.parametrize("listed", WRITING)
def test_without_a_session_nothing_is_changed(doors: Any, people: Any, listed: Listed) -> None:
    before = everything(doors)
    stranger = people[""]
    if listed.view.role is None:
        stranger = doors.browser()  # not even the token of the sign-in form
    answer = stranger.post(address(listed.path), {"csrf": "guessed"})
    assert answer.status_code == (403 if listed.view.role is None else 401)
    assert everything(doors) == before


@pytest.mark.parametrize("listed", WRITING)
def test_with_too_small_a_role_nothing_is_changed(doors: Any, people: Any, listed: Listed) -> None:
    if listed.view.role not in BELOW:
        pytest.skip("there is no smaller role")
    before = everything(doors)
    answer = people[BELOW[listed.view.role]].post(address(listed.path))
    assert answer.status_code == 403
    assert "role" in answer.text
    assert everything(doors) == before


@pytest.mark.parametrize("listed", WRITING)
@pytest.mark.parametrize("token", ["", "guessed", "of somebody else"])
def test_without_the_token_of_the_session_nothing_is_changed(
    doors: Any, people: Any, listed: Listed, token: str
) -> None:
    before = everything(doors)
    given = people["Ben Curator"].csrf if token == "of somebody else" else token
    browser = people[WITH.get(listed.view.role, "Ada Curator")]
    assert browser.post(address(listed.path), {"csrf": given}).status_code == 403
    assert everything(doors) == before


@pytest.mark.parametrize("listed", WRITING)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8700"},
        {"origin": "https://evil.example"},
    ],
)
def test_from_a_page_of_another_site_nothing_is_changed(
    doors: Any, people: Any, listed: Listed, headers: dict[str, str]
) -> None:
    before = everything(doors)
    browser = people[WITH.get(listed.view.role, "Ada Curator")]
    assert browser.post(address(listed.path), headers=headers).status_code == 403
    assert everything(doors) == before


@pytest.mark.parametrize("listed", WRITING)
def test_nothing_is_changed_by_following_a_link(doors: Any, people: Any, listed: Listed) -> None:
    before = everything(doors)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        people["Olga Admin"].client.request(method, address(listed.path), follow_redirects=False)
    assert everything(doors) == before


@pytest.mark.parametrize("listed", READING)
def test_what_is_read_needs_its_role(doors: Any, people: Any, listed: Listed) -> None:
    if listed.view.role is None:
        pytest.skip("it is for everybody")
    answer = people[""].get(address(listed.path), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"][:14]) == (303, "/sign-in?next=")
    if listed.view.role in BELOW:
        assert people[BELOW[listed.view.role]].get(address(listed.path)).status_code == 403


@pytest.mark.parametrize("listed", READING)
def test_reading_changes_nothing(doors: Any, people: Any, listed: Listed) -> None:
    before = everything(doors)
    answer = people["Olga Admin"].get(address(listed.path), follow_redirects=False)
    assert answer.status_code < 500
    assert everything(doors) == before


def test_a_stale_version_decides_nothing(doors: Any, people: Any) -> None:
    item = doors.questions()[0]
    path, before = f"/questions/{item.slug}/{item.dimension}", everything(doors)
    form = {"action": "confirm", "proposal": str(item.proposal_id), "expected": "999999"}
    assert people["Ada Curator"].post(f"{path}/decide", form).status_code == 409
    undo = {"decision": "999999", "expected": "999999", "reason": "x"}
    assert people["Ada Curator"].post(f"{path}/undo", undo).status_code == 409
    assert everything(doors) == before


def test_another_cells_proposal_decides_nothing(doors: Any, people: Any) -> None:
    first, second = doors.questions()[:2]
    before = everything(doors)
    page = people["Ada Curator"].get(f"/questions/{first.slug}/{first.dimension}")
    expected = re.search(r'name="expected" value="(\d+)"', page.text)[1]
    for action in ("confirm", "reject", "defer", "not_applicable"):
        form = {
            "action": action,
            "proposal": str(second.proposal_id),
            "expected": expected,
            "reason": "x",
            "until": "2031-01-01",
        }
        path = f"/questions/{first.slug}/{first.dimension}/decide"
        assert people["Ada Curator"].post(path, form).status_code == 409
    assert everything(doors) == before


def test_a_preview_that_is_not_of_now_confirms_nothing(doors: Any, people: Any) -> None:
    before = everything(doors)
    answer = people["Ada Curator"].post("/bulk?min_confidence=0.5", {"digest": "0" * 64})
    assert answer.status_code == 409
    assert everything(doors) == before


def test_an_opinion_on_another_decision_is_not_taken(doors: Any, people: Any) -> None:
    before = everything(doors)
    form = {"rating": "open", "decision": "999999", "reason": "x"}
    answer = people["Ada Curator"].post(f"/opinions/{FILL['slug']}/{FILL['dimension']}", form)
    assert answer.status_code in (404, 409)
    assert everything(doors) == before


def test_a_seed_file_that_was_changed_meanwhile_is_not_written(doors: Any, people: Any) -> None:
    before, seeds = everything(doors), doors.context.options.seeds.read_bytes()
    form = {"entry": "- slug: sorrel-chat\n  name: Other\n", "digest": "0" * 64}
    answer = people["Ada Curator"].post(f"/projects/{FILL['slug']}/seed", form)
    assert answer.status_code == 409
    assert doors.context.options.seeds.read_bytes() == seeds
    assert everything(doors) == before
