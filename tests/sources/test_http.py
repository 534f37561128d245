"""The transport rules by themselves."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections import deque
from datetime import UTC, datetime

import pytest

from crawler.http import (
    MEBIBYTE,
    Meter,
    TransportRules,
    Unread,
    address,
    inflated,
    same_host,
    seconds_to_wait,
    unread_status,
)
from crawler.sources.base import Allowance
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


def test_a_meter_adds_up() -> None:
    meter = Meter()
    meter.add(requests=1, bytes=10)
    meter.add(requests=2, charged=1)
    usage = meter.usage
    assert (usage.requests, usage.charged, usage.bytes, usage.remaining) == (3, 1, 10, None)


def test_a_meter_tells_what_is_left_beside_what_was_spent() -> None:
    told = Meter().told(Allowance(remaining=7, resets_at=NOW, limit=60))
    assert (told.requests, told.remaining, told.limit, told.resets_at) == (0, 7, 60, NOW)


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", b"plain words"),
        ("identity", b"plain words"),
        ("gzip", gzip.compress(b"plain words")),
        ("GZIP", gzip.compress(b"plain ") + gzip.compress(b"words")),
        ("deflate", zlib.compress(b"plain words")),
    ],
    ids=["plain", "identity", "gzip", "two streams", "deflate"],
)
def test_bodies_are_unpacked_however_they_arrive(encoding: str, body: bytes, size: int) -> None:
    assert b"".join(inflated(in_pieces(body, size), encoding, "http://h.example/x")) == b"plain words"


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", b"words", "cannot be decompressed"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"words")), "cannot be decompressed"),
        ("gzip", b"no gzip at all", "cannot be decompressed"),
        ("gzip", gzip.compress(b"words" * 99)[:-9], "broke off"),
        ("gzip", gzip.compress(b" " * 64 * MEBIBYTE), "200 times its size"),
    ],
    ids=["not asked for", "twice", "garbage", "cut off", "bomb"],
)
def test_bodies_that_cannot_be_unpacked_are_no_bodies(encoding: str, body: bytes, reason: str) -> None:
    with pytest.raises(Unread, match=reason) as caught:
        list(inflated(in_pieces(body, 1 << 14), encoding, "http://h.example/x?key=1"))
    assert caught.value.status is VisitStatus.FAILED
    assert "key" not in caught.value.reason


def test_a_bomb_never_gets_large_in_memory() -> None:
    body = gzip.compress(b" " * 256 * MEBIBYTE, 9)
    tracemalloc.start()
    with pytest.raises(Unread):
        deque(inflated([body], "gzip", "http://h.example/x"), maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MEBIBYTE
