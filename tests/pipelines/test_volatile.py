"""What is no news: counters, clocks and keys in a text; and what looks like one and is a fact."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.extract.by_part import extract
from pipelines.meaning import page_meaning
from pipelines.model import ArtifactKind, ArtifactRef, Evidence, Quote, Snapshot, digest_bytes
from pipelines.volatile import MARK, steady

NOW = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tonight", "tomorrow"),
    [
        ("12,345 downloads", "1,112,346 downloads"),
        ("Stars: 998", "Stars: 1.2k"),
        ("9 monthly visitors", "10 monthly visitors"),
        ("Downloads last month: 7", "Downloads last month: 8"),
        ("3 people online", "12 people online"),
        ("Visitor number 4711", "Visitor number 4712"),
        ("阅读：12345", "阅读：12399"),
        ("1,234 次访问", "1,240 次访问"),
        ("released 3 days ago", "released 4 days ago"),
        ("posted just now", "posted an hour ago"),
        ("It is 01:02:03", "It is 23:59:59"),
        ("at 9:15 am", "at 10:20 pm"),
        ("2025-03-03T01:00:00Z", "2025-03-04T13:05:09.123Z"),
        ("Mon, 03 Mar 2025 01:00:00 GMT", "Tue, 04 Mar 2025 02:10:20 GMT"),
        ("Last updated: 3 March 2025", "Last updated: 4 March 2025"),
        ("Last updated on March 3rd, 2025", "Last updated on yesterday"),
        ("This page was last modified on 2025-03-03.", "This page was last modified on 2025-04-03."),
        ("Today is 3 March 2025", "Today is 4 March 2025"),
        ("Page generated in 0.035 seconds", "Page generated in 12 ms"),
        ("This page took 2 s, its 9 queries took 3 ms", "This page took 1 s, its 9 queries took 11 ms"),
        ("Request ID: 8d1f0c2b-7a96", "Request ID: 17e09d44-aa3b"),
        ("csrf-token: c0ffee00", "csrf-token: deadbeef"),
        ("© 2024 Quillfeather", "© 2025 Quillfeather"),
        ("Copyright (c) 2019-2024 Quillfeather", "Copyright (c) 2019-2025 Quillfeather"),
        ("[a](https://a.example/?utm_source=mon)", "[a](https://a.example/?utm_source=tue)"),
        ("![x](https://a.example/x.3fa9c1b2.png)", "![x](https://a.example/x.00ffaa11.png)"),
    ],
)
def test_what_counts_or_tells_the_time_is_no_news(tonight: str, tomorrow: str) -> None:
    assert steady(tonight) == steady(tomorrow)
    assert MARK in steady(tonight)
    assert steady(steady(tonight)) == steady(tonight)


@pytest.mark.parametrize(
    "fact",
    [
        "trained on 10 billion tokens",
        "version 2.1, with 7.3 B parameters",
        "files of repositories with at least 5 stars",
        "posts with more than 10 likes",
        "answers with ≥ 3 likes",
        "1,000 users contributed 5,000 dialogues",
        "1. Install the package",
        "3. Download the weights",
        "a split of 80:20, at a ratio of 16:9",
        "Released on 3 March 2025",
        "Wikipedia, accessed 2023-01-01",
        "a dump of 2023-06-01",
        "The corpus was last updated on 2023-06-01",
        "arXiv 2405.91003, pages 20:31",
        "sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "commit 1a2b3c4d5e6f7a8b",
        "[film](https://a.example/watch?v=abcDEF123)",
        "domesticated 5,000 years before",
        "the model was built in 2024",
        "event 2024-spring, session 12",
        "Copyright law of 1976",
        "Views differ: 3 of 4 reviewers agree",
        "1 million (1.0M) rows",
        "thirty queries; the training took 30 seconds",
    ],
)
def test_a_fact_stays(fact: str) -> None:
    assert steady(fact) == fact


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    started = time.monotonic()
    for piece in (
        "1,",
        "1 ",
        "updated ",
        "- updated on ",
        "request id ",
        "?_=",
        "stars : ",
        "12:00",
        "© ",
        "a few ",
        "1 total ",
    ):
        steady(piece * (200_000 // len(piece)))
    assert time.monotonic() - started < 10


PAGE = """<html><head><title>Quillfeather</title><meta name="csrf-token" content="{nonce}">
<script src="/assets/app.{nonce}.js"></script><link rel="stylesheet" href="/s.css?v={nonce}"></head>
<body class="page build-{nonce} has-banner"><h1>Quillfeather</h1><div class="promo-banner">{banner}</div>
<h2>Weights</h2><p>The weights are published under the {licence}. Downloaded {visitors} downloads to this day.</p>
<form><input type="hidden" name="csrf" value="{nonce}"></form>
<p><a href="https://github.com/quillfeather/quill?utm_source={nonce}">the code</a></p>
<div role="status">{visitors} readers at this moment</div><div id="sponsorCarousel">{banner}</div>
<footer>{visitors} visitors so far &middot; {clock} &middot; <span>Request ID: {nonce}</span>
&copy; 2019-{year} Quillfeather</footer><!-- rendered by {nonce} in 0.0{visitors} s --></body></html>"""
TONIGHT = {
    "nonce": "8d1f0c2b7a96",
    "banner": "Autumn school: seats left!",
    "visitors": "12,345",
    "clock": "Last updated: 3 March 2025 at 01:00:00 UTC",
    "year": "2024",
    "licence": "MIT licence",
}
NOISE = [
    {"nonce": "17e09d44aa3b"},
    {"banner": "Meet us at the fair in June."},
    {"visitors": "9"},
    {"visitors": "1,112,346", "clock": "Last updated: 4 March 2025 at 13:59:07 UTC"},
    {"clock": "Last updated: yesterday at 01:00:00 UTC", "year": "2025", "banner": ""},
    {
        "nonce": "00ff00ff",
        "visitors": "1",
        "clock": "Last updated: 31 December 2031 at 9:15 pm",
        "year": "2031",
    },
]
NEWS = [
    {"licence": "GPL licence"},
    {"banner": "The weights are released!"},
    {"banner": '<a href="https://huggingface.co/quillfeather/quill-7b">Try it</a>'},
    {"banner": "A longer story. " * 120},
    {"clock": "Released on 4 March 2025"},
]


def page(**changes: str) -> bytes:
    return PAGE.format(**(TONIGHT | changes)).encode()


def meaning(body: bytes, media_type: str = "text/html; charset=utf-8") -> str:
    return page_meaning(body, media_type, "https://quillfeather.example/")


@pytest.mark.parametrize("change", NOISE, ids=str)
def test_a_page_with_other_noise_says_the_same(change: dict[str, str]) -> None:
    assert page(**change) != page()
    assert meaning(page(**change)) == meaning(page())


@given(
    visitors=st.integers(0, 10**9).map("{:,}".format),
    nonce=st.text("0123456789abcdef", min_size=8, max_size=40),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
    form=st.sampled_from(
        ["%d %B %Y at %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S", "%B %d, %Y", "%d/%m/%Y, %I:%M %p"]
    ),
)
@settings(max_examples=40)
def test_no_count_no_key_and_no_clock_is_news(visitors: str, nonce: str, at: datetime, form: str) -> None:
    noise = {
        "visitors": visitors,
        "nonce": nonce,
        "clock": f"Last updated: {at.strftime(form)}",
        "year": str(at.year),
    }
    assert steady(steady(noise["clock"])) == steady(noise["clock"])
    one, other = TONIGHT | noise, TONIGHT | noise | {"visitors": "7", "nonce": "17e09d44aa3b", "year": "2025"}
    other["clock"] = f"Last updated: {datetime(2025, 3, 3, 1, 0).strftime(form)}"
    assert meaning(page(**one)) == meaning(page(**other))
    assert {item.key for item in evidence_of(page(**one))} == {
        item.key for item in evidence_of(page(**other))
    }


@pytest.mark.parametrize("change", NEWS, ids=lambda change: next(iter(change.values()))[:30])
def test_a_page_with_news_says_something_else(change: dict[str, str]) -> None:
    assert meaning(page(**change)) != meaning(page())


def test_the_whole_page_is_content_whatever_its_classes_say() -> None:
    for element in ("body", "main", "article"):
        one, other = (f'<{element} class="banner">{text}</{element}>'.encode() for text in ("One.", "Two."))
        assert meaning(one) != meaning(other)
    one, other = (f'<div class="hero-banner"><h1>{text}</h1></div>'.encode() for text in ("One", "Two"))
    assert meaning(one) != meaning(other)


def test_what_says_nothing_has_no_meaning() -> None:
    assert meaning(b"") == ""
    assert meaning(b"<html><script>x()</script></html>") == ""
    assert meaning(b"%PDF-1.7", "application/pdf") != ""
    assert meaning(b"plain 12 downloads", "text/plain") == meaning(b"plain 13 downloads", "text/plain")
    assert meaning(b"\xff\xfe\x00<", "text/html; charset=nonsense")


def evidence_of(body: bytes) -> list[Evidence]:
    return extract(
        Snapshot(
            ref=ArtifactRef(kind=ArtifactKind.WEB, id="https://quillfeather.example/"),
            part="page",
            url="https://quillfeather.example/",
            fetched_at=NOW,
            sha256=digest_bytes(body),
            media_type="text/html; charset=utf-8",
            body=body,
        )
    )


@pytest.mark.parametrize("change", NOISE, ids=str)
def test_noise_makes_no_new_evidence(change: dict[str, str]) -> None:
    """Also where a snapshot is taken for other reasons, or is a README, whose bytes are all kept."""
    before, after = evidence_of(page()), evidence_of(page(**change))
    assert {item.key for item in before} == {item.key for item in after}
    assert len(before) >= 4


def test_a_swapped_licence_is_new_evidence() -> None:
    before, after = evidence_of(page()), evidence_of(page(licence="GPL licence"))
    assert {item.key for item in before} != {item.key for item in after}


def test_a_counter_within_a_long_quote_does_not_move_its_end() -> None:
    def quoted(number: str) -> Evidence:
        text = f"Training data. {number} downloads so far. " + "We describe every source of our corpus. " * 30
        item, *_ = [
            e for e in evidence_of(f"<h2>Training data</h2><p>{text}</p>".encode()) if e.kind == "section"
        ]
        assert isinstance(item.where, Quote)
        assert len(item.where.text) > 590
        return item

    assert quoted("9").key == quoted("1,234,567").key
    assert quoted("9").where != quoted("1,234,567").where


def test_the_value_of_evidence_counts_as_it_is_but_for_its_words() -> None:
    item = evidence_of(page())[0]
    assert replace(item, value={"n": 1}).key != replace(item, value={"n": 2}).key
    assert replace(item, value={"t": "7 stars"}).key == replace(item, value={"t": "8 stars"}).key
    assert replace(item, value={"t": "7 layers"}).key != replace(item, value={"t": "8 layers"}).key
