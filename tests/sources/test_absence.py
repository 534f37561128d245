"""Kinds of absence, counters, and services that mean no good: what must hold at every source."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from crawler.sources.base import Allowance
from pipelines.model import ArtifactKind, VisitRequest, VisitStatus

OK, UNCHANGED, MISSING = VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING
FAILED, DENIED = VisitStatus.FAILED, VisitStatus.DENIED
GRAPHQL = "/a/place/of/its/own/graphql"
REPO = "/repos/willow-lab/seedling"
NOT_FOUND = {"type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository"}
LIMITED = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 7."}
BOMB = gzip.compress(b'{"id": "' + b" " * (64 << 20) + b'"}', 9)
SECRET = "a-long-secret-of-nobody-at-all"


@pytest.fixture
def github(make_case: Callable[[str], Any]) -> Any:
    return make_case("github")


@pytest.fixture
def anonymous(make_case: Callable[[str], Any]) -> Any:
    return make_case("github_without_token")


@pytest.fixture
def model(make_case: Callable[[str], Any]) -> Any:
    return make_case("hf_model")


@pytest.fixture
def package(make_case: Callable[[str], Any]) -> Any:
    return make_case("pypi")


def hour(left: int, of: int, now: Any, seconds: int = 1800) -> dict[str, str]:
    reset = int((now + timedelta(seconds=seconds)).timestamp())
    return {
        "x-ratelimit-limit": str(of),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(reset),
    }


def spoil(case: Any) -> None:
    """Make a question of GitHub's be one that its REST has to answer."""
    if case.name == "github":
        case.service.say(GRAPHQL, {"data": {"r0": None}, "errors": [NOT_FOUND]})


# Hostile answers


def test_a_bomb_is_a_failure_at_every_source(case: Any) -> None:
    headers = {"Content-Encoding": "gzip"}
    case.service.fault(".", status=200, body=BOMB, headers=headers)
    (visit,) = case.visit()
    assert (visit.part, visit.status, visit.capture) == (case.main, FAILED, None)
    assert any(words in visit.reason for words in ("200 times its size", "is larger than"))


def test_a_compression_that_nobody_asked_for_is_not_unpacked(case: Any) -> None:
    case.service.fault(".", status=200, body=b"words", headers={"Content-Encoding": "br"})
    (visit,) = case.visit()
    assert (visit.status, "cannot be decompressed" in visit.reason) == (FAILED, True)
    assert {asked.headers["accept-encoding"] for asked in case.service.asked} == {"gzip"}


def test_a_compressed_answer_is_read_like_any_other_and_counted_as_it_came(case: Any, tools: Any) -> None:
    plain = {visit.part: visit.capture.body for visit in case.visit()}
    answer, sent = case.service.answer, list[int]()

    def packed(path: str, body: bytes) -> Any:
        status, headers, said = answer(path, body)
        said = gzip.compress(said)
        sent.append(len(said))
        return status, {**headers, "Content-Encoding": "gzip"}, said

    if case.name != "huggingface":  # its stand-in reads its own answers again
        case.service.answer = packed
        source = case.make()
        visits = list(source.visit([tools.request(case.ref)]))
        source.close()
        assert {visit.part: visit.capture.body for visit in visits} == plain
        assert source.usage.bytes == sum(sent)


def test_a_login_page_is_no_document(case: Any) -> None:
    """Also where the service says 200 and sends the page after a redirect of its own."""
    case.service.fault(r"^(?!/login)", "status", status=302, headers={"Location": "/login"}, times=1)
    case.service.say("/login", b"<html><form>Please log in</form></html>", **{"Content-Type": "text/html"})
    case.service.fault("^/login", "login_page")
    (visit,) = case.visit()
    assert (visit.part, visit.status, visit.capture) == (case.main, FAILED, None)


def test_no_credential_follows_a_redirect_to_another_host(case: Any, make_case: Callable[[str], Any]) -> None:
    other = make_case("pypi")
    spoil(case)
    case.service.fault(
        "^(?!.*graphql)", status=302, headers={"Location": f"{other.service.url}/pypi/seedling-tools/json"}
    )
    (visit,) = case.visit()
    assert visit.status is FAILED
    assert other.service.asked == []


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_a_service_that_repeats_our_credential_does_not_make_us_store_or_log_it(
    case: Any, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    case.visit()
    options = {"token": SECRET} if case.token_sent() else {}
    spoil(case)
    echo = json.dumps({"message": f"denied to Authorization: token {SECRET}", "id": "x"}).encode()
    headers = {"X-Error-Message": f"Bearer {SECRET}"}
    case.service.fault("^(?!.*graphql)", status=status, body=echo, headers=headers)
    visits = case.visit(**options)
    for visit in visits:
        assert SECRET not in "".join(repr(getattr(visit, field.name)) for field in fields(visit))
    assert SECRET not in caplog.text
    if options:
        assert any(SECRET in asked.headers.get("authorization", "") for asked in case.service.asked)


# Counters


def test_new_counters_cost_no_new_document(case: Any, tools: Any) -> None:
    """Stars, forks, downloads, likes: the answers have other bytes and another ETag, the documents have not."""
    known = tools.remember(case.visit())
    answer = case.service.answer
    counters = {"downloads": 9_999, "likes": 77, "stargazers_count": 12, "forks_count": 3, "last_serial": 41}

    def moved(path: str, body: bytes) -> Any:
        status, headers, said = answer(path, body)
        if said[:1] == b"{" and b"data" not in said[:8]:
            said = json.dumps(json.loads(said) | counters).encode()
        return status, headers, said

    case.service.answer = moved
    case.service.asked.clear()
    first = case.visit(known)
    assert {visit.status for visit in first} == {UNCHANGED}
    assert len(case.service.asked) == 1, "no file is read again"
    for ref, parts in tools.remember(first).items():
        known[ref].update(parts)
    source = case.make()
    assert {visit.status for visit in source.visit([tools.request(case.ref, known)])} == {UNCHANGED}
    source.close()
    if case.conditional:
        assert source.usage.bytes == 0, "the new ETag was kept: the next night gets a 304"


def test_what_is_unchanged_at_the_index_has_no_body(package: Any, tools: Any) -> None:
    known = tools.remember(package.visit())
    source = package.make()
    (visit,) = source.visit([tools.request(package.ref, known)])
    source.close()
    assert (visit.status, visit.http_status, source.usage.bytes) == (UNCHANGED, 304, 0)


def test_packages_are_asked_for_one_after_the_other(package: Any, tools: Any) -> None:
    under_way, most = 0, 0
    answer = package.service.answer

    def counting(path: str, body: bytes) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        said = answer(path, body)
        under_way -= 1
        return said

    package.service.answer = counting
    package.visit(None, *(tools.ref(ArtifactKind.PYPI, f"bed-{i}") for i in range(9)))
    assert most == 1


# Weights without a new commit


@pytest.mark.parametrize(
    ("change", "value"), [("gated", "manual"), ("disabled", True), ("private", True), ("tags", ["news"])]
)
def test_a_switch_at_the_hub_without_a_commit_is_noticed(
    model: Any, tools: Any, change: str, value: Any
) -> None:
    known = tools.remember(model.visit())
    path = "/api/models/willow-lab/seedling-1b"
    model.service.say(path, json.loads(model.service.recorded(path)) | {change: value})
    model.service.asked.clear()
    visits = model.visit(known)
    assert tools.statuses(visits) == {"info": OK, "card": UNCHANGED, "file:LICENSE.txt": UNCHANGED}
    assert json.loads(visits[-1].capture.body)[change] == value
    assert len(model.service.asked) == 1


def test_weights_that_were_deleted_or_renamed_are_noticed(model: Any, tools: Any) -> None:
    known = tools.remember(model.visit())
    path = "/api/models/willow-lab/seedling-1b"
    whole = json.loads(model.service.recorded(path))
    model.service.fault(path, status=404, headers={"X-Error-Code": "RepoNotFound"}, times=1)
    assert tools.statuses(model.visit(known)) == {"info": MISSING}
    model.service.say(path, b"", status=307, Location="/api/models/new-lab/sapling-1b")
    model.service.say("/api/models/new-lab/sapling-1b", whole | {"id": "new-lab/sapling-1b"})
    visits = model.visit(known)
    assert json.loads(visits[-1].capture.body)["id"] == "new-lab/sapling-1b"


def test_a_gate_without_a_token_costs_nothing_from_the_second_night_on(model: Any, tools: Any) -> None:
    path = "/api/models/willow-lab/seedling-1b"
    whole = json.loads(model.service.recorded(path))
    model.service.say(path, whole | {"gated": "manual"})
    known = tools.remember(model.visit(token=None))
    model.service.asked.clear()
    source = model.make(token=None)
    visits = list(source.visit([tools.request(model.ref, known)]))
    source.close()
    assert tools.statuses(visits) == {"info": UNCHANGED, "card": UNCHANGED, "file:LICENSE.txt": DENIED}
    assert (len(model.service.asked), source.usage.bytes) == (1, 0)
    model.service.say(path, whole)
    assert tools.statuses(model.visit(known, token=None))["file:LICENSE.txt"] is OK


def test_whoever_was_let_in_meanwhile_reads_what_is_behind_the_gate(model: Any, tools: Any) -> None:
    path = "/api/models/willow-lab/seedling-1b"
    model.service.say(path, json.loads(model.service.recorded(path)) | {"gated": "manual"})
    model.service.fault("LICENSE", status=403, headers={"X-Error-Code": "GatedRepo"}, times=2)
    known = tools.remember(model.visit())
    assert tools.statuses(model.visit(known))["file:LICENSE.txt"] is DENIED
    visits = model.visit(known)
    assert tools.statuses(visits)["file:LICENSE.txt"] is OK
    known[model.ref].update(tools.remember(visits)[model.ref])
    model.service.asked.clear()
    assert {visit.status for visit in model.visit(known)} == {UNCHANGED}
    assert len(model.service.asked) == 1


def test_a_hub_that_knows_no_such_property_is_asked_plainly(model: Any, tools: Any) -> None:
    model.service.fault(r"\?expand=", status=400, body=b'{"error": "expand must be one of"}')
    refs = [model.ref, *(tools.ref(ArtifactKind.HF_MODEL, f"willow-lab/bed-{i}") for i in range(4))]
    visits = model.visit(None, *refs, max_workers=1)
    assert {visit.status for visit in visits if visit.ref == model.ref} == {OK}
    assert sum("?expand=" in asked.path for asked in model.service.asked) == 1


# Repositories that GitHub does not know


def ask(case: Any, **options: Any) -> list[Any]:
    source = case.make()
    try:
        return list(source.visit([VisitRequest(ref=case.ref, **options)]))
    finally:
        source.close()


def test_a_repository_that_is_only_mentioned_costs_no_question_of_its_own(github: Any) -> None:
    spoil(github)
    (visit,) = ask(github, absence_counts=False)
    assert (visit.status, visit.http_status) == (MISSING, None)
    assert "gone, private or blocked" in visit.reason
    assert github.service.paths() == [GRAPHQL]


def test_a_blocked_repository_that_was_read_before_is_denied_though_only_mentioned(
    github: Any, tools: Any
) -> None:
    known = tools.remember(github.visit())[github.ref]
    spoil(github)
    github.service.fault(f"^{REPO}$", status=451, body=b'{"message": "Repository access blocked"}')
    (visit,) = ask(github, known=known, absence_counts=False)
    assert (visit.status, visit.http_status) == (DENIED, 451)


def test_an_absence_that_counts_is_confirmed_once(github: Any) -> None:
    spoil(github)
    github.service.say(REPO, {"message": "Not Found"}, status=404)
    (visit,) = ask(github)
    assert (visit.status, visit.http_status) == (MISSING, 404)
    (visit,) = ask(github, was_missing=True)
    assert (visit.status, visit.http_status) == (MISSING, 404)
    assert github.service.paths().count(REPO) == 1


# What is left


def rate_limit(core: int, graphql: int, limit: int, now: Any) -> dict[str, Any]:
    reset = int((now + timedelta(minutes=30)).timestamp())
    entry = {"limit": limit, "used": 0, "reset": reset}
    return {"resources": {"core": entry | {"remaining": core}, "graphql": entry | {"remaining": graphql}}}


def test_what_is_left_at_github_is_asked_for_free(github: Any, anonymous: Any, tools: Any) -> None:
    resets = tools.now + timedelta(minutes=30)
    for case, limit, core, graphql, least in ((github, 1000, 900, 850, 850), (anonymous, 60, 41, 0, 41)):
        case.service.say("/rate_limit", rate_limit(core, graphql, limit, tools.now))
        source = case.make()
        assert source.fetch_allowance() == Allowance(remaining=least, resets_at=resets, limit=limit)
        usage = source.usage
        source.close()
        assert (usage.requests, usage.charged) == (1, 0)
        assert (usage.remaining, usage.limit, usage.resets_at) == (least, limit, resets)


@pytest.mark.parametrize("answer", [{"message": "Rate limiting is not enabled."}, {"resources": []}, [1]])
def test_a_server_without_limits_tells_nothing(github: Any, answer: Any) -> None:
    github.service.say("/rate_limit", answer, status=404 if "message" in answer else 200)
    source = github.make()
    assert source.fetch_allowance() is None
    assert {visit.status for visit in source.visit([VisitRequest(ref=github.ref)])} == {OK}
    source.close()


def test_what_a_small_quota_leaves_is_spent_and_not_overdrawn(github: Any, tools: Any) -> None:
    """A workflow's own token has 1,000 requests an hour: the service's figures are believed."""
    answer = github.service.answer

    def counting(path: str, body: bytes) -> Any:
        status, headers, said = answer(path, body)
        return status, headers if path == GRAPHQL else {**headers, **hour(0, 1000, tools.now)}, said

    github.service.answer = counting
    github.service.say("/rate_limit", rate_limit(1, 1000, 1000, tools.now))
    source = github.make(max_workers=1)
    assert source.fetch_allowance().limit == 1000
    visits = list(source.visit([VisitRequest(ref=github.ref)]))
    usage = source.usage
    source.close()
    assert github.service.paths()[0] == "/rate_limit"
    assert not any("/git/" in path for path in github.service.paths()), (
        "that answer said that nothing is left"
    )
    (tree,) = [visit for visit in visits if visit.status is FAILED]
    assert (tree.part, tree.reason) == (
        "tree",
        "not asked yet: GitHub's limit of 1000 requests an hour is used up",
    )
    assert (usage.remaining, usage.limit) == (0, 1000)


def test_sources_that_are_told_nothing_in_advance_say_so(case: Any) -> None:
    if case.name == "github":
        pytest.skip("GitHub tells it")
    source = case.make()
    assert source.fetch_allowance() is None
    source.close()
    assert case.service.asked == []


# Limits


def test_a_limit_of_graphql_that_comes_with_200_is_a_limit(github: Any, tools: Any) -> None:
    github.service.say(GRAPHQL, {"errors": [LIMITED]}, **hour(0, 5000, tools.now))
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(120)]
    visits = github.visit(None, *refs)
    assert {visit.status for visit in visits} == {FAILED}
    assert all("5000 GraphQL points an hour is used up" in visit.reason for visit in visits)
    assert len(github.service.asked) == 1


def test_a_secondary_limit_of_graphql_stops_rest_too(github: Any, tools: Any) -> None:
    github.service.say(GRAPHQL, {"errors": [LIMITED]}, **hour(4000, 5000, tools.now))
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(120)]
    visits = github.visit(None, *refs, max_wait=30)
    assert {visit.status for visit in visits} == {FAILED}
    assert all("GitHub asks to wait 60 s" in visit.reason for visit in visits)
    assert len(github.service.asked) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_short_secondary_limit_is_waited_out_once_by_all(github: Any, tools: Any, status: int) -> None:
    said = b'{"message": "You have exceeded a secondary rate limit."}'
    github.service.fault(
        "/git/blobs|/git/trees", status=status, body=said, headers={"Retry-After": "0.1"}, times=1
    )
    assert tools.statuses(github.visit()) == dict.fromkeys(github.parts, OK)
    assert len(github.service.asked) == 5, "the one that was refused is asked again, and nothing else"


def test_a_limit_of_the_hub_that_ends_soon_is_waited_for(model: Any, tools: Any) -> None:
    headers = {"RateLimit": '"api";r=0;t=1', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
    whole = json.loads(model.service.recorded("/api/models/willow-lab/seedling-1b"))
    model.service.say("/api/models/willow-lab/seedling-1b", whole, **headers)
    refs = [model.ref, *(tools.ref(ArtifactKind.HF_MODEL, f"willow-lab/bed-{i}") for i in range(3))]
    soon = model.visit(None, *refs, max_wait=2, max_workers=1)
    assert [visit.status for visit in soon if visit.ref != model.ref] == [MISSING] * 3
    model.service.asked.clear()
    late = model.visit(None, *refs, max_wait=0.5, max_workers=1)
    assert [visit.status for visit in late if visit.ref != model.ref] == [FAILED] * 3
    assert [path for path in model.service.paths() if path.startswith("/api")] == [
        "/api/models/willow-lab/seedling-1b"
    ]


def test_leaving_does_not_wait_for_a_limit(case: Any) -> None:
    case.service.fault(".", status=429, headers={"Retry-After": "20"})
    source = case.make(max_wait=60)
    visits = source.visit([VisitRequest(ref=case.ref)])
    threading.Timer(0.2, source.close).start()
    began = time.monotonic()
    assert {(visit.status, visit.reason) for visit in visits} <= {(FAILED, "not asked: the run was stopped")}
    assert time.monotonic() - began < 2
    assert len(case.service.asked) == 1
