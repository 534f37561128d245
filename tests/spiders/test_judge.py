"""What an answer means, and the small parsers of what hosts say."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest

from pipelines.model import VisitStatus
from spiders.judge import Answer, is_login_redirect, is_readable, judge, look_at, media_type, validator
from spiders.middlewares import UnreadableBody, gunzip, inflate
from spiders.pace import retry_after_seconds
from spiders.robots import parse_robots, product_token

ASKED = "https://quillfeather.example/model"


def answer(body: str | bytes, status: int = 200, final: str = ASKED, **headers: str) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status=status,
        headers={"content-type": "text/html", **names},
        body=data,
        asked=ASKED,
        final=final,
    )


WALLS = [
    "<title>Just a moment...</title><noscript>Enable JavaScript and cookies to continue</noscript>",
    "<h1>Verify you are human</h1><p>This takes a second.</p>",
    "<p>We are verifying that you are not a robot</p>",
    "<title>Attention Required! | Cloudflare</title><p>Sorry</p>",
    "<p>Please enable JavaScript to continue</p>",
    "<p>Checking your browser before you go on</p>",
    "<p>Please complete the security check</p>",
    "<title>Making sure you&#39;re not a bot!</title><p>Making sure you're not a bot!</p>",
    "<h1>Access to this page has been denied</h1><p>Press & hold to confirm.</p>",
    "<p>Sorry, you have been blocked</p>",
    "<p>Request unsuccessful. Incapsula incident ID: 1-2-3</p>",
    "<p>Human verification required</p>",
    "<p>请完成安全验证</p>",
]


@pytest.mark.parametrize("body", WALLS)
def test_a_bot_wall_is_denied(body: str) -> None:
    assert judge(answer(body)).status is VisitStatus.DENIED


@pytest.mark.parametrize("body", WALLS)
def test_a_long_page_that_speaks_of_walls_is_a_page(body: str) -> None:
    assert judge(answer(body + "<p>" + "The weights are published. " * 100)).status is VisitStatus.OK


def test_a_challenge_header_is_a_bot_wall_whatever_the_status() -> None:
    for status in (200, 403, 503):
        assert judge(answer("x", status=status, cf_mitigated="challenge")).status is VisitStatus.DENIED


@pytest.mark.parametrize(
    "body",
    [
        '<body><div id="root"></div><script src="/app.js"></script></body>',
        "<noscript>You need to enable JavaScript to run this app.</noscript><script>go()</script>",
        "<script>" + "var x = 1 < 2;" * 1000 + "</script>",
        "<title>Quillfeather</title><script>",
        '<p>Loading the documentation, this should not take long at all; please wait for a little while.</p><div id="app"></div><script src=a.js></script>',
        '<div id="__next" class="x"> </div><footer>Quillfeather Institute, Fern Road 5, all rights reserved, imprint, privacy</footer><script>go()</script>',
        "<app-root></app-root><p>Quillfeather Institute, Fern Road 5, all rights reserved, imprint, privacy</p><script>go()</script>",
        "<p>This site requires JavaScript. Please switch it on in the settings of your browser and then come back here.</p><script>go()</script>",
    ],
)
def test_a_page_that_draws_itself_is_not_a_page(body: str) -> None:
    judgement = judge(answer(body))
    assert (judgement.status, judgement.reason) == (VisitStatus.FAILED, "shows nothing without JavaScript")


@pytest.mark.parametrize(
    "body",
    [
        # A page that was drawn on the server keeps its frame, filled.
        '<div id="app"><h1>Quillfeather</h1><p>'
        + "Weights and data. " * 10
        + "</p></div><script>go()</script>",
        "<p>" + "Weights and data. " * 30 + '</p><div id="app"></div><script>go()</script>',
        "<p>" + "Weights and data. " * 30 + "The demo requires JavaScript.</p><script>go()</script>",
        "<p>The demo requires JavaScript; the weights are here.</p>",
    ],
)
def test_a_page_that_shows_something_is_a_page_with_its_scripts(body: str) -> None:
    assert judge(answer(body)).status is VisitStatus.OK


def test_a_page_that_ends_with_its_connection_has_to_have_its_end() -> None:
    whole = "<html><body><p>Weights: MIT</p></body></html>\n"
    for text, status in (
        (whole, VisitStatus.OK),
        (whole[:30], VisitStatus.FAILED),
        ("<p>a page without a frame", VisitStatus.OK),
    ):
        assert judge(replace(answer(text), cut=True)).status is status
        assert judge(answer(text)).status is VisitStatus.OK


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<p>Weights: MIT</p>", "text/html"),
        (
            "<p>" + "We publish all of our weights and data. " * 3 + "</p><script>count()</script>",
            "text/html",
        ),
        ('{"license": "mit"}', "application/json"),
        ("weights: mit", "text/plain; charset=utf-8"),
        ("<p>Gewichte</p>".encode("utf-16"), "text/html; charset=utf-16"),
        ("<p>no type at all</p>", ""),
        ("<p>odd charset</p>", "text/html; charset=rot13"),
    ],
)
def test_a_short_or_plain_page_is_a_page(body: str | bytes, kind: str) -> None:
    assert judge(answer(body, content_type=kind)).status is VisitStatus.OK


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "an empty page"),
        (b" \n", "an empty page"),
        (b"%PDF-1.7 ...", "not a page: a PDF document"),
        (b"PK\x03\x04....", "not a page: a zip archive"),
        (bytes(range(256)) * 8, "not a page: binary data"),
    ],
)
def test_what_is_no_text_is_not_a_page_whatever_its_type_says(body: bytes, reason: str) -> None:
    judgement = judge(answer(body))
    assert (judgement.status, judgement.reason) == (VisitStatus.FAILED, reason)


@pytest.mark.parametrize(
    ("final", "login"),
    [
        ("https://quillfeather.example/login?next=/model", True),
        ("https://quillfeather.example/users/sign_in", True),
        ("https://quillfeather.example/signin", True),
        ("https://accounts.bigcorp.example/x", True),
        ("https://sso.quillfeather.example/", True),
        ("https://auth.quillfeather.example/u", True),
        ("https://quillfeather.example/authors/jo", False),
        ("https://quillfeather.example/blog/login-free-demo", True),
        ("https://quillfeather.example/signing-keys", False),
        ("https://quillfeather.example/model/?next=/login", False),
        ("https://quillfeather.example/model/", False),
    ],
)
def test_a_redirect_to_a_login_is_told_by_its_address(final: str, login: bool) -> None:
    assert is_login_redirect(ASKED, final) is login


LOGIN_FORM = '<form><label>Password <input name="p" type="password"></label><button>Go</button></form>'


@pytest.mark.parametrize("title", ["Sign in - Quillfeather", "Login", "Authentication", "SSO", "登录", ""])
def test_a_login_form_that_answers_at_once_is_denied(title: str) -> None:
    judgement = judge(answer(f"<title>{title}</title>{LOGIN_FORM}"))
    assert (judgement.status, judgement.reason) == (
        VisitStatus.DENIED,
        "a login form answers instead of the page",
    )


@pytest.mark.parametrize(
    "body",
    [
        f"<title>Quillfeather, an open model</title><p>Weights: MIT.</p>{LOGIN_FORM}",
        f"<title>Sign in or read on</title>{LOGIN_FORM}<p>" + "The weights are published. " * 100,
        "<title>How to log in</title><p>Type your password into the input field.</p>",
        "<title>Design in the open</title><input type=text placeholder=name>",
        "<p>" + "The weights are published. " * 20 + "</p>" + LOGIN_FORM,
    ],
)
def test_a_page_that_has_a_login_form_beside_it_is_a_page(body: str) -> None:
    assert judge(answer(body)).status is VisitStatus.OK


def test_a_page_about_logins_is_no_login_redirect() -> None:
    assert not is_login_redirect("https://docs.example/auth", "https://docs.example/auth/")
    assert not is_login_redirect("https://docs.example/login", "https://docs.example/login")
    assert (
        judge(answer("<p>form</p>", final="https://quillfeather.example/login")).status is VisitStatus.DENIED
    )


@pytest.mark.parametrize(
    ("header", "stored"),
    [
        ("text/html; charset=UTF-8", "text/html; charset=utf-8"),
        ('TEXT/HTML ; charset="utf-8" ; x=y', "text/html; charset=utf-8"),
        ("text/html;charset=../../etc", "text/html"),
        ("text/html\x1b[31m", ""),
        ("<script>", ""),
        ("text/" + "x" * 500, ""),
        ("", ""),
    ],
)
def test_a_content_type_is_stored_only_as_far_as_it_is_sound(header: str, stored: str) -> None:
    assert media_type(header) == stored


def test_a_validator_is_kept_only_when_it_can_be_sent_back() -> None:
    assert validator('"abc"') == '"abc"'
    assert validator('"a\r\nX: y"') == ""
    assert validator('"é"') == ""
    assert validator('"' + "a" * 400 + '"') == ""


@pytest.mark.parametrize(
    "kind", ["text/html", "text/x-markdown", "application/xhtml+xml", "application/json", ""]
)
def test_texts_are_read(kind: str) -> None:
    assert is_readable(kind)


@pytest.mark.parametrize(
    "kind",
    ["application/pdf", "image/png", "application/zip", "application/octet-stream", "text/css", "video/mp4"],
)
def test_other_media_are_not(kind: str) -> None:
    assert not is_readable(kind)


def test_hostile_markup_costs_no_more_than_its_length() -> None:
    started = time.monotonic()
    for piece in ("<script", "<!--", "<title>", "<svg>", "<", "</", "<a ", "&#x", "<noscript>", "İ<script>"):
        look_at(piece * (1_000_000 // len(piece)))
    assert time.monotonic() - started < 10


def test_what_is_seen_is_the_text_between_the_tags() -> None:
    seen = look_at(
        "<TITLE>A  b</TITLE><STYLE>p{}</STYLE><p>one<!-- two --> three</p><script>four</script> 1 < 2"
    )
    assert (seen.title, seen.text, seen.scripts) == ("A b", "one three 1 2", 1)


def test_retry_after_is_seconds_or_a_date_measured_by_the_hosts_own_clock() -> None:
    date = "Mon, 06 May 2024 07:00:00 GMT"
    assert retry_after_seconds("120", "") == 120
    assert retry_after_seconds("Mon, 06 May 2024 07:00:30 GMT", date) == 30
    assert retry_after_seconds("Mon, 06 May 2024 06:00:00 GMT", date) == 0
    assert retry_after_seconds("9" * 400, "") == math.inf
    for nothing in ("", "soon", "-5", "1.5", "²", "Mon, 99 May 99999 07:00:30 GMT", "\x00"):
        assert retry_after_seconds(nothing, date) is None
    assert retry_after_seconds("Mon, 06 May 2024 07:00:30 GMT", "") is None


def test_a_robots_file_with_many_agents_and_many_rules_is_read_in_time_and_space() -> None:
    lines = [f"User-agent: robot{i}" for i in range(12_000)] + [f"Disallow: /{i}" for i in range(10_000)]
    started = time.monotonic()
    rules = parse_robots(
        "\n".join([*lines, "User-agent: *", "Disallow: /private"]).encode(), "openness-crawler"
    )
    assert time.monotonic() - started < 5
    assert not rules.can_fetch("http://a.example/private/x", "openness-crawler")
    assert rules.can_fetch("http://a.example/7", "openness-crawler")


def test_half_a_rule_at_the_end_of_what_is_read_is_none() -> None:
    start = b"User-agent: *\nDisallow: /private\n"
    body = start + b"#" * ((512 << 10) - len(start) - 12) + b"\nDisallow: /a/long/path\n"
    rules = parse_robots(body, "openness-crawler")
    assert rules.can_fetch("http://a.example/x", "openness-crawler")
    assert not rules.can_fetch("http://a.example/private", "openness-crawler")


def test_robots_rules_for_us_go_before_those_for_everybody() -> None:
    body = (
        b"User-agent: Openness-Crawler # us\nDisallow: /a\n\nUser-agent: other\nUser-agent: *\nDisallow: /b\n"
    )
    rules = parse_robots(body, product_token("openness-crawler/1.0 (+x)"))
    assert not rules.can_fetch("http://a.example/a", "openness-crawler")
    assert rules.can_fetch("http://a.example/b", "openness-crawler")


def test_a_packed_body_is_unpacked_whole_or_not_at_all() -> None:
    import gzip
    import zlib

    text = b"weights " * 1000
    assert gunzip(gzip.compress(text) + gzip.compress(b"more"), 10_000) == text + b"more"
    assert inflate(zlib.compress(text), 10_000) == text
    assert inflate(zlib.compress(text)[2:-4], 10_000) == text
    for broken in (gzip.compress(text)[:-9], gzip.compress(text) + b"junk", b"junk", b"\x1f\x8b"):
        with pytest.raises(UnreadableBody):
            gunzip(broken, 10_000)
    with pytest.raises(UnreadableBody, match="too large"):
        gunzip(gzip.compress(text), 7_999)
    with pytest.raises(UnreadableBody, match="too large"):
        gunzip(gzip.compress(text) * 2, 15_000)
