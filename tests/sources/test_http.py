"""The transport rules by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crawler.http import (
    Allowance,
    Answer,
    Budget,
    Meter,
    TransportRules,
    Unread,
    address,
    same_host,
    seconds_to_wait,
    unread_status,
    with_patience,
)
from pipelines.model import VisitStatus

NOW = datetime(2031, 5, 3, 1, 0, tzinfo=UTC)
RULES = TransportRules(user_agent="t", retries=2, backoff=0.5, max_wait=5.0, secrets=("hush-hush",))


@pytest.mark.parametrize(
    "text",
    [
        "sent hush-hush to them",
        "ghp_0123456789abcdef",
        "github_pat_0123456789abcdef",
        "hf_0123456789abcdef",
        "Authorization: Bearer abc.def-123456",
        "http://somebody:password@host.example/x",
        "https://host.example/?access_token=abcdef123456",
    ],
)
def test_secrets_are_not_said(text: str) -> None:
    said = RULES.say(text)
    assert "***" in said
    assert not any(word in said for word in ("hush-hush", "0123456789", "123456", "password"))


@pytest.mark.parametrize("text", ["hf_hub", "the token was refused", "ghp_ short", "tokens=4 of 9"])
def test_harmless_words_stay(text: str) -> None:
    assert RULES.say(text) == text


def test_a_reason_is_one_line_of_bounded_length() -> None:
    said = RULES.say("a\nb\t\r\n" + "c" * 1000)
    assert said.startswith("a b c")
    assert len(said) == 300


def test_an_address_is_said_without_user_and_query() -> None:
    assert address("https://u:p@host.example:8443/a/b?key=1#x") == "https://host.example:8443/a/b"
    assert address("http://[::1]:80/x") == "http://[::1]:80/x"
    assert "unreadable" in address("http://host:notaport/")


def test_another_scheme_or_port_is_another_host() -> None:
    assert same_host("https://a.example/x", "https://A.example/y")
    assert not same_host("https://a.example/x", "http://a.example/x")
    assert not same_host("https://a.example/x", "https://a.example:444/x")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("-3", 0.0),
        ("Sat, 03 May 2031 01:01:00 GMT", 60.0),
        ("Fri, 02 May 2031 01:01:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_waits_are_read_as_seconds_and_as_dates(value: str, seconds: float | None) -> None:
    assert seconds_to_wait({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (404, VisitStatus.MISSING),
        (410, VisitStatus.MISSING),
        (401, VisitStatus.DENIED),
        (403, VisitStatus.DENIED),
        (451, VisitStatus.DENIED),
        (429, VisitStatus.FAILED),
        (500, VisitStatus.FAILED),
        (301, VisitStatus.FAILED),
        (418, VisitStatus.FAILED),
    ],
)
def test_only_absence_is_a_fact(status: int, meaning: VisitStatus) -> None:
    assert unread_status(status, "http://h.example/x", RULES).status is meaning


def answers(*script: Any) -> tuple[Any, list[float]]:
    """with_patience over a script of statuses, (status, headers) and exceptions; the waits it made."""
    steps, waits = list(script), list[float]()

    def attempt() -> Answer:
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        status, headers = step if isinstance(step, tuple) else (step, {})
        return Answer(status=status, headers=headers, body=b"")

    try:
        result: Any = with_patience(RULES, attempt, clock=lambda: NOW, sleep=waits.append).status
    except Unread as error:
        result = error.reason
    return result, waits


def broken(again: bool) -> Unread:
    return Unread(VisitStatus.FAILED, "broke", again=again)


@pytest.mark.parametrize(
    ("script", "result", "waits"),
    [
        ([200], 200, []),
        ([503, 502, 200], 200, [0.5, 1.0]),
        ([503, 503, 503], 503, [0.5, 1.0]),
        ([404], 404, []),
        ([429], 429, []),
        ([(429, {"retry-after": "3"}), 200], 200, [3.0]),
        ([(403, {"retry-after": "60"})], 403, []),
        ([(503, {"retry-after": "900"})], 503, []),
        ([broken(True), 200], 200, [0.5]),
        ([broken(True), broken(True), broken(True)], "broke", [0.5, 1.0]),
        ([broken(False)], "broke", []),
    ],
)
def test_patience_is_bounded(script: list[Any], result: Any, waits: list[float]) -> None:
    assert answers(*script) == (result, waits)


def test_a_budget_refuses_what_would_be_refused() -> None:
    now = NOW
    budget = Budget(lambda: now, lambda limit: f"{limit} used up")
    budget.take()
    budget.settle(Allowance(remaining=2, resets_at=NOW + timedelta(minutes=5), limit=60))
    budget.take()
    budget.take()
    with pytest.raises(Unread, match="60 used up"):
        budget.take()
    now = NOW + timedelta(minutes=5)
    budget.take()


def test_a_closed_budget_opens_when_it_is_time() -> None:
    now = NOW
    budget = Budget(lambda: now, lambda limit: "")
    assert budget.close("asked to wait", NOW + timedelta(seconds=9))
    with pytest.raises(Unread, match="asked to wait"):
        budget.take()
    now = NOW + timedelta(seconds=9)
    budget.take()
    budget.close("refused for good")
    now = NOW + timedelta(days=9)
    with pytest.raises(Unread, match="for good"):
        budget.take()


def test_a_meter_adds_up() -> None:
    meter = Meter()
    meter.add(requests=1, bytes=10)
    meter.add(requests=2, charged=1)
    usage = meter.usage
    assert (usage.requests, usage.charged, usage.bytes, usage.remaining) == (3, 1, 10, None)
