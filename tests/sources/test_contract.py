"""What holds for every source, over recorded answers."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

import pytest

from crawler.sources.base import Source
from pipelines.model import VisitRequest, VisitStatus

OK, UNCHANGED = VisitStatus.OK, VisitStatus.UNCHANGED


def test_the_first_visit_hands_over_every_part(case: Any, tools: Any) -> None:
    visits = case.visit()
    assert tools.statuses(visits) == dict.fromkeys(case.parts, OK)
    assert all(visit.at == tools.now and visit.url.startswith("http") for visit in visits)
    assert all(visit.ref == case.ref for visit in visits)


def test_the_main_part_comes_last(case: Any) -> None:
    assert case.visit()[-1].part == case.main


def test_the_second_visit_finds_everything_unchanged(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    cold = len(case.service.asked)
    visits = case.visit(known)
    assert tools.statuses(visits) == dict.fromkeys(case.parts, UNCHANGED)
    warm = case.service.asked[cold:]
    assert len(warm) == 1, "an unchanged artifact costs one request"
    if case.conditional:
        assert "if-none-match" in warm[0].headers


def test_a_change_is_handed_over_and_nothing_else(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    case.service.night = 2
    visits = case.visit(known)
    wanted = {part: OK if part in case.changed else UNCHANGED for part in case.parts}
    assert tools.statuses(visits) == wanted
    for part, validators in tools.remember(visits)[case.ref].items():
        assert validators.sha256 != known[case.ref][part].sha256
        known[case.ref][part] = validators
    assert tools.statuses(case.visit(known)) == dict.fromkeys(case.parts, UNCHANGED)


def test_counters_are_no_change(case: Any, tools: Any) -> None:
    """Without validators the same service gives the same bytes again."""
    first, second = case.visit(), case.visit()
    assert {v.part: v.capture.body for v in first} == {v.part: v.capture.body for v in second}


def test_what_is_not_there_is_missing(case: Any, tools: Any) -> None:
    if case.name == "github":
        not_found = {"type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository"}
        case.service.say("/a/place/of/its/own/graphql", {"data": {"r0": None}, "errors": [not_found]})
    (visit,) = case.visit(None, case.absent)
    assert (visit.part, visit.status) == (case.main, VisitStatus.MISSING)
    assert visit.reason


@pytest.mark.parametrize("status", [500, 503, 429, 418, 302, 202])
def test_an_answer_that_is_none_is_a_failure(case: Any, tools: Any, status: int) -> None:
    case.service.fault(".", status=status)
    (visit,) = case.visit()
    assert (visit.part, visit.status) == (case.main, VisitStatus.FAILED)
    assert visit.reason
    assert visit.http_status in (status, None)


@pytest.mark.parametrize("status", [403, 451])
def test_a_refusal_is_denied(case: Any, status: int) -> None:
    if case.name == "arxiv":
        pytest.skip("arXiv is asked about many papers at once: a refusal is about none of them")
    if case.name == "github":
        not_found = {"type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository"}
        case.service.say("/a/place/of/its/own/graphql", {"data": {"r0": None}, "errors": [not_found]})
    case.service.fault("^(?!.*graphql)", status=status)
    (visit,) = case.visit()
    assert (visit.part, visit.status, visit.http_status) == (case.main, VisitStatus.DENIED, status)


@pytest.mark.parametrize(
    "kind",
    [
        "hang",
        "reset",
        "truncated",
        "garbage",
        "not_http",
        "other_json",
        "deep_json",
        "login_page",
        "huge",
        "dripping",
        "elsewhere",
        "in_circles",
    ],
)
def test_misbehaviour_is_a_failure_that_names_the_address(case: Any, tools: Any, kind: str) -> None:
    case.service.fault(".", kind)
    (visit,) = case.visit(rules=tools.impatient if kind in ("hang", "dripping") else tools.rules)
    assert (visit.part, visit.status) == (case.main, VisitStatus.FAILED)
    assert case.service.url in visit.reason
    assert "\n" not in visit.reason
    assert len(visit.reason) <= 300


def test_a_failure_that_passes_is_overcome(case: Any, tools: Any) -> None:
    case.service.fault(case.main_path, status=503, times=1)
    assert tools.statuses(case.visit()) == dict.fromkeys(case.parts, OK)


def test_a_short_wait_that_is_asked_for_is_waited(case: Any, tools: Any) -> None:
    case.service.fault(case.main_path, status=429, times=1, headers={"Retry-After": "0.05"})
    assert tools.statuses(case.visit()) == dict.fromkeys(case.parts, OK)


def test_one_bad_artifact_does_not_spoil_the_others(case: Any, tools: Any) -> None:
    if case.name == "arxiv":
        pytest.skip("papers share a query")
    if case.name == "github":
        pytest.skip("repositories share a query; test_github.py has this case")
    case.service.fault("weed", "garbage")
    visits = case.visit(None, case.absent, case.ref)
    assert {visit.status for visit in visits if visit.ref == case.ref} == {OK}
    assert [visit.status for visit in visits if visit.ref == case.absent] == [VisitStatus.FAILED]


def test_names_that_are_none_are_never_sent(case: Any, tools: Any) -> None:
    wild = tools.ref(case.ref.kind, '../../x") { viewer { login } }?q=1')
    (visit,) = case.visit(None, wild)
    assert (visit.status, case.service.asked) == (VisitStatus.FAILED, [])


def test_the_token_appears_in_nothing_that_is_yielded_or_logged(
    case: Any, tools: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visits = case.visit()
    token = case.token_sent()
    case.service.fault(".", status=401, body=b'{"message": "Bad credentials: ' + token.encode() + b'"}')
    visits += case.visit()
    for visit in visits:
        assert tools.token not in "".join(repr(getattr(visit, field.name)) for field in fields(visit))
    assert tools.token not in caplog.text


def test_an_answer_that_repeats_the_token_is_not_stored(case: Any, tools: Any) -> None:
    case.visit()
    if not case.token_sent():
        pytest.skip("no token is sent")
    case.service.fault(".", status=200, body=b'{"id": "' + tools.token.encode() + b'"}')
    (visit,) = case.visit()
    assert (visit.status, visit.capture) == (VisitStatus.FAILED, None)
    assert "our token" in visit.reason


def test_what_is_spent_is_counted(case: Any) -> None:
    source: Source = case.make()
    list(source.visit([_request(case)]))
    usage = source.usage
    source.close()
    assert usage.requests == len(case.service.asked)
    assert 0 < usage.charged <= usage.requests
    assert usage.bytes > 0


def _request(case: Any) -> Any:
    return VisitRequest(ref=case.ref)


def test_who_is_asking_is_said(case: Any) -> None:
    case.visit()
    assert {asked.headers["user-agent"] for asked in case.service.asked} == {"openness-tests/1"}


def test_leaving_in_the_middle_is_allowed(case: Any) -> None:
    source = case.make()
    visits = source.visit([_request(case), _request(case)])
    next(visits)
    visits.close()
    source.close()


def test_nothing_to_visit_asks_nothing(case: Any) -> None:
    source = case.make()
    assert list(source.visit([])) == []
    source.close()
    assert case.service.asked == []
