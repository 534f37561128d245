"""The decoded text of a snapshot: encodings, and pages rendered as Markdown."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.html_text import (
    HIDDEN_STYLE,
    LOOKS_LIKE_MARK,
    MAX_TAGS,
    UNSEEN_ELEMENT,
    render_html,
)
from pipelines.markdown import parse_markdown
from pipelines.model import ArtifactKind, ArtifactRef, Snapshot, digest_bytes
from pipelines.text import CHARSET_IN_PAGE, CHARSET_PARAMETER, PAGE_START, decode, decoded_text

PAGE = "https://finch.example/models/robin/"


def snapshot(body: bytes, media_type: str = "text/markdown", url: str = PAGE) -> Snapshot:
    return Snapshot(
        ref=ArtifactRef(kind=ArtifactKind.WEB, id=url),
        part="page",
        url=url,
        fetched_at=datetime(2030, 1, 2, tzinfo=UTC),
        sha256=digest_bytes(body),
        media_type=media_type,
        body=body,
    )


@pytest.mark.parametrize(
    ("body", "media_type", "text"),
    [
        ("Größe 模型".encode(), "text/plain", "Größe 模型"),
        (b"\xef\xbb\xbfhead", "text/plain", "head"),
        ("Größe".encode("utf-16"), "text/plain", "Größe"),
        ("Größe".encode("latin-1"), "text/plain; charset=iso-8859-1", "Größe"),
        ("“Robin”".encode("cp1252"), 'text/plain; charset="latin1"', "“Robin”"),
        ("模型权重".encode("gb18030"), "text/plain; charset=gbk", "模型权重"),
        ("权重".encode()[:-1], "text/plain", "权"),
        (b"line\r\nline\rline\n", "text/plain", "line\r\nline\rline\n"),
        (b"Gr\xf6\xdfe", "text/plain; charset=no-such-charset", None),
        (b"Gr\xf6\xdfe", "text/plain; charset=punycode", None),
        (b"", "", ""),
    ],
)
def test_the_encoding_is_found(body: bytes, media_type: str, text: str | None) -> None:
    decoded = decode(body, media_type)
    assert decoded == text if text is not None else len(decoded) > 0


def test_a_few_bad_bytes_do_not_make_a_long_utf8_text_another_encoding() -> None:
    body = ("模型的权重可以下载。" * 300).encode() + b"\xff" + ("数据也可以。" * 300).encode()
    assert decode(body).count("\ufffd") == 1


def test_a_text_without_declaration_is_guessed_and_the_same_every_time() -> None:
    body = ("Les données d'entraînement sont décrites à la page précédente. " * 20).encode("cp1252")
    assert decode(body) == decode(body)
    assert "donn\u00e9es" in decode(body)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"%PDF-1.7 ...", "text/html"), (b"anything", "image/png"), (b"\x1f\x8b\x08", ""), (b"PK\x03\x04", "")],
)
def test_what_is_no_text_has_no_text(body: bytes, media_type: str) -> None:
    assert decoded_text(snapshot(body, media_type)) == ""


def test_markdown_is_left_as_it_is() -> None:
    body = b"# Robin\r\n\r\n<div>not a page</div>\n"
    assert decoded_text(snapshot(body, "text/markdown")) == body.decode()


def test_a_page_is_told_by_its_type_or_its_first_tag() -> None:
    page = b"<!DOCTYPE html><html><body><h2>Data</h2></body></html>"
    assert decoded_text(snapshot(page, "text/html; charset=utf-8")) == "## Data\n"
    assert decoded_text(snapshot(page, "")) == "## Data\n"
    assert decoded_text(snapshot(page, "text/plain")) == page.decode()


def test_the_charset_of_a_page_stands_in_the_page() -> None:
    page = '<html><head><meta charset="windows-1252"></head><body><p>Größe</p></body></html>'.encode("cp1252")
    assert decoded_text(snapshot(page, "text/html")) == "Größe\n"


FINCH_PAGE = """
<html><head><title>Robin | Finch Labs</title><style>p{color:red}</style></head><body>
<nav><a href="/">Home</a></nav>
<header><h1>Robin-7B</h1></header>
<p>Weights are on <a href="../weights?id=1#top">our page</a>, the code on <a href="https://code.example/r/(x)">a forge</a>.</p>
<ul><li>One<ul><li>Two <b>bold</b></li></ul></li><li>Three</li></ul>
<table><caption>Sizes</caption><tr><th>Name</th><th>Tokens</th></tr><tr><td>small</td><td>1 | 2</td></tr></table>
<pre><code>pip install robin-tools
robin  --serve</code></pre>
<p>Run <code>robin</code>.<br>Licence: <strong>MIT</strong></p>
<p># not a heading</p><p>``` no fence</p>
<img src="/i.png" alt="Chart"><img src="/j.png"><a href="#x">within</a> <a href="mailto:a@b.example">mail</a>
<a href="/paper"><h3>Our paper</h3><p>read it</p></a>
<script>var x = "<p>no</p>";</script><p hidden>hidden</p><p style="display: none">gone</p><!-- comment -->
</body></html>
"""


def test_a_page_is_rendered_as_markdown() -> None:
    assert render_html(FINCH_PAGE, PAGE) == (
        "# Robin | Finch Labs\n\n"
        "# Robin-7B\n\n"
        "Weights are on [our page](https://finch.example/models/weights?id=1#top), "
        "the code on [a forge](https://code.example/r/%28x%29).\n\n"
        "- One\n  - Two **bold**\n- Three\n\n"
        "Sizes\n\n"
        "| Name | Tokens |\n| --- | --- |\n| small | 1 \\| 2 |\n\n"
        "```\npip install robin-tools\nrobin  --serve\n```\n\n"
        "Run `robin`.\n\nLicence: **MIT**\n\n"
        "\\# not a heading\n\n\\``` no fence\n\n"
        "![Chart](https://finch.example/i.png)within mail [Our paper read it](https://finch.example/paper)\n"
    )


def test_a_rendered_page_is_read_by_the_markdown_parser() -> None:
    document = parse_markdown(render_html(FINCH_PAGE, PAGE))
    assert [section.title for section in document.sections] == ["Robin | Finch Labs", "Robin-7B"]
    assert [link.url for link in document.links if not link.is_image][-1] == "https://finch.example/paper"
    assert [block.text for block in document.code_blocks] == ["pip install robin-tools\nrobin  --serve"]
    assert [row.cells for row in document.tables[0].rows] == [("Name", "Tokens"), ("small", "1 | 2")]


def test_a_table_that_arranges_the_page_keeps_its_headings() -> None:
    text = render_html("<table><tr><td><h2>Data</h2><p>a</p></td><td><ul><li>b</li></ul></td></tr></table>")
    assert text == "## Data\n\na\n\n- b\n"


def test_links_follow_the_base_of_the_page() -> None:
    page = '<base href="https://cdn.example/docs/"><p><a href="a">x</a></p>'
    assert "(https://cdn.example/docs/a)" in render_html(page, PAGE)


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 60_000 + "x",
        "<b>" * 40_000,
        "<table><tr><td>" * 20_000,
        "<a href=" * 50_000,
        "<" * 300_000,
        "a" * 5_000_000,
        "<p>x</p>" * 200_000,
        "<script>" * 50_000,
        "<!--" * 100_000,
        "&amp;" * 300_000,
    ],
    ids=lambda page: page[:12],
)
def test_hostile_pages_are_rendered_in_bounded_time(page: str) -> None:
    started = time.process_time()
    render_html(page, PAGE)
    assert time.process_time() - started < 5


def test_what_lies_behind_too_many_tags_is_not_read() -> None:
    text = render_html("<p>a</p>" * MAX_TAGS + "<p>end</p>")
    assert text.startswith("a\n\na")
    assert "end" not in text


@given(st.text(max_size=400), st.text(max_size=30))
def test_any_text_is_rendered_and_the_same_every_time(page: str, url: str) -> None:
    assert render_html(page, url) == render_html(page, url)


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "text/html", "text/plain; charset=utf-16", "text/html; charset=x"]),
)
def test_any_bytes_are_decoded_and_the_same_every_time(body: bytes, media_type: str) -> None:
    first = decoded_text(snapshot(body, media_type))
    decoded_text.cache_clear()
    assert decoded_text(snapshot(body, media_type)) == first


def test_the_patterns_leave_other_things_alone() -> None:
    assert not CHARSET_PARAMETER.search("text/html; boundary=charset")
    assert not CHARSET_IN_PAGE.search(b"<p>charset=latin1</p>")
    assert not PAGE_START.match(b"# Title\n<html>")
    assert not UNSEEN_ELEMENT.search("<styled-box><p>")
    assert not HIDDEN_STYLE.search("display: block; visibility: visible")
    assert not LOOKS_LIKE_MARK.match("#hashtag")
    assert not LOOKS_LIKE_MARK.match("-5 degrees")
