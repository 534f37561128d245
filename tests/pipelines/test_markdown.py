"""Markdown documents: sections, links, code, tables and sentences with exact offsets."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import front_matter, markdown, markdown_blocks, markdown_links, markdown_tables
from pipelines.markdown import Document, parse_markdown

CARD = """---
license: mit
language: no
date: 2030-01-02
tags: [robin, yes]
---

# Robin-7B [link](https://finch.example) `x` <a id="top"></a>

Intro with a [page](https://finch.example/a "T"). See <https://finch.example/b> and https://finch.example/c_(d).

**Model details**

- Developed by: Finch
- *Size*: 7B

Data sources
------------

The data is [described][d] here. It is called "Nest". 数据已公开。可以下载！

### Training data ###

[![Licence](https://img.example/l.svg)](LICENSE) <img src="logo.png" alt="Logo">

| Name | Tokens |
|------|-------:|
| nest | 3 `x` |

```python
# not a heading
print("[no](link)")
```

<h2 align="center">Use <b>it</b></h2>

~~~
**Not bold**
~~~

    # indented code

Ends with e.g. a point. And v. 2 of it.

<!-- # hidden [x](https://hidden.example) -->

[d]: https://finch.example/data
"""


def titles(document: Document) -> list[str]:
    return [section.title for section in document.sections]


def slices_are_exact(text: str, document: Document) -> None:
    """Every part that a document names is the slice it says, inside the text."""
    assert document.text == text
    assert len(document.prose) == len(text)
    for section in document.sections:
        assert 0 <= section.start < section.body_start <= section.own_end <= section.end <= len(text)
        assert text[section.start : section.body_start].strip()
    for link in document.links:
        assert 0 <= link.start < link.end <= len(text)
        assert link.section is None or document.sections[link.section].start <= link.start
    for block in document.code_blocks:
        assert text[block.start : block.end] == block.text
    for start, end in document.inline_code:
        assert text[start] == text[end - 1] == "`"
    for sentence in document.sentences():
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.text == sentence.text.strip()
        assert sentence.text
    for table in document.tables:
        assert 0 <= table.start <= table.rows[0].start < table.rows[-1].end == table.end <= len(text)


def test_every_part_equals_its_slice() -> None:
    slices_are_exact(CARD, parse_markdown(CARD))


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_do_not_move_anything(newline: str) -> None:
    text = CARD.replace("\n", newline)
    document = parse_markdown(text)
    slices_are_exact(text, document)
    assert titles(document) == titles(parse_markdown(CARD))
    assert [link.url for link in document.links] == [link.url for link in parse_markdown(CARD).links]
    assert document.front_matter == parse_markdown(CARD).front_matter


def test_headings_of_all_forms_are_sections() -> None:
    document = parse_markdown(CARD)
    assert [(section.level, section.title, section.is_bold) for section in document.sections] == [
        (1, "Robin-7B link x", False),
        (6, "Model details", True),
        (2, "Data sources", False),
        (3, "Training data", False),
        (2, "Use it", False),
    ]
    assert document.sections[3].path == ("Robin-7B link x", "Data sources")


def test_a_section_ends_where_the_next_of_its_level_begins() -> None:
    text = "## A\none\n### B\ntwo\n## C\nthree\n"
    a, b, c = parse_markdown(text).sections
    assert text[a.start : a.end] == "## A\none\n### B\ntwo\n"
    assert text[a.body_start : a.own_end] == "\none\n"
    assert text[b.start : b.end] == "### B\ntwo\n"
    assert c.end == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "```\n# code\n```",
        "    # indented",
        "#hashtag",
        "<!-- # comment -->",
        "**This is a bold sentence.**",
        "text **bold** text",
        "- **entry**",
    ],
)
def test_what_is_no_heading(text: str) -> None:
    assert parse_markdown(text).sections == ()


def test_links_have_address_text_and_section() -> None:
    document = parse_markdown(CARD)
    found = [(link.url, link.text, link.is_image, link.section) for link in document.links]
    assert found == [
        ("https://finch.example", "link", False, 0),
        ("https://finch.example/a", "page", False, 0),
        ("https://finch.example/b", "https://finch.example/b", False, 0),
        ("https://finch.example/c_(d)", "https://finch.example/c_(d)", False, 0),
        ("https://finch.example/data", "described", False, 2),
        ("LICENSE", "Licence", False, 3),
        ("https://img.example/l.svg", "Licence", True, 3),
        ("logo.png", "Logo", True, 3),
    ]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("[a](<b c> 'T')", ["b c"]),
        ("[a](b\\)c)", ["b)c"]),
        ("[a b](x(y)z)", ["x(y)z"]),
        ("[[1]](u)", ["u"]),
        ("<a class='q' href='https://x.example/?a=1&amp;b=2'>t</a>", ["https://x.example/?a=1&b=2"]),
        ("[A]\n\n[a]: u", ["u"]),
        ("[t][]\n\n[T]: u", ["u"]),
        ("见https://x.example/a。好", ["https://x.example/a"]),
        ("(https://x.example/a).", ["https://x.example/a"]),
        ("**https://x.example/a**", ["https://x.example/a"]),
        ("`[a](b)`", []),
        ("```\nhttps://x.example\n```", []),
        ("[a] (b)", []),
        ("[ ] todo [x] done", []),
        ("\\[a](b)", []),
        ("[a\n\nb](c)", []),
    ],
)
def test_forms_of_links(text: str, urls: list[str]) -> None:
    assert [link.url for link in parse_markdown(text).links] == urls


def test_code_blocks_have_a_language_and_no_fences() -> None:
    document = parse_markdown(CARD)
    assert [(block.language, block.text) for block in document.code_blocks] == [
        ("python", '# not a heading\nprint("[no](link)")'),
        ("", "**Not bold**"),
        ("", "    # indented code"),
    ]


def test_a_fence_that_is_never_closed_reaches_to_the_end() -> None:
    assert parse_markdown("```sh\na\nb").code_blocks[0].text == "a\nb"


def test_tables_have_rows_of_plain_cells() -> None:
    (table,) = parse_markdown(CARD).tables
    assert [row.cells for row in table.rows] == [("Name", "Tokens"), ("nest", "3 x")]
    (table,) = parse_markdown("<table><tr><th>A</th><td><b>1</b></td></tr><tr><td>B</td></tr></table>").tables
    assert [row.cells for row in table.rows] == [("A", "1"), ("B",)]


def test_sentences_in_two_languages() -> None:
    document = parse_markdown(CARD)
    found = [sentence.text for sentence in document.sentences()]
    assert 'It is called "Nest".' in found
    assert "数据已公开。" in found
    assert "可以下载！" in found
    assert "Developed by: Finch" in found
    assert "Ends with e.g. a point." in found
    assert "And v. 2 of it." in found
    assert "| nest | 3 `x` |" in found
    assert not any("hidden" in sentence or "print" in sentence for sentence in found)


def test_prose_hides_addresses_tags_code_and_comments_but_no_words() -> None:
    document = parse_markdown(CARD)
    assert "https" not in document.prose.replace("https://finch.example/data", "")
    assert "print" not in document.prose
    assert "hidden" not in document.prose
    assert "license: mit" not in document.prose
    assert "described" in document.prose


def test_front_matter_keeps_dates_and_words_as_written() -> None:
    document = parse_markdown(CARD)
    assert document.front_matter == {
        "license": "mit",
        "language": "no",
        "date": "2030-01-02",
        "tags": ["robin", "yes"],
    }
    assert document.front_matter_span is not None
    start, end = document.front_matter_span
    assert CARD[start:end].startswith("---\nlicense")
    assert CARD[start:end].endswith("---\n")


@pytest.mark.parametrize(
    "head",
    [
        "a: [b",
        "a: b: c",
        "- a\n- b",
        "a: !!python/object/apply:os.system [ls]",
        "a: &a [*a]",
        "? [a]\n: b",
        "a: " + "[" * 500 + "]" * 500,
        "a: &a [x, x]\n"
        + "\n".join(
            f"{k}: &{k} [*{j}, *{j}, *{j}]" for j, k in zip("abcdefghijk", "bcdefghijkl", strict=True)
        ),
        "\x00: 1",
    ],
)
def test_broken_front_matter_is_said_and_not_raised(head: str) -> None:
    document = parse_markdown(f"---\n{head}\n---\n# T\n")
    assert document.front_matter is None
    assert document.front_matter_error
    assert titles(document) == ["T"]


@pytest.mark.parametrize(
    "text", ["# no head\n", "text\n---\na: b\n---\n", "---\na: b\n", "----\na: b\n----\n"]
)
def test_a_document_without_front_matter(text: str) -> None:
    document = parse_markdown(text)
    assert (document.front_matter, document.front_matter_error, document.front_matter_span) == (
        None,
        None,
        None,
    )


HOSTILE = {
    "brackets": "[" * 100_000 + "]" * 100_000,
    "one long line": "a" * 5_000_000,
    "spaces": "a" + " " * 400_000 + "b",
    "quotes": "> " * 50_000,
    "lists": "- " * 50_000,
    "backticks": "`" * 100_000,
    "growing backticks": "".join("`" * n + " " for n in range(1, 500)),
    "emphasis": "*a " * 100_000,
    "openings": "<" * 200_000,
    "images": "![[" * 50_000,
    "unclosed links": "[a](<b" * 50_000,
    "unclosed links in brackets": "[a](b(" * 30_000,
    "comments": "<!--" * 50_000,
    "html headings": "<h1>" * 30_000,
    "anchors": "<a href='x'>" * 30_000,
    "addresses": "http://" * 50_000,
    "definitions": "[a]: http://x\n" * 20_000,
    "headings": "# a\n" * 50_000,
    "setext": "a\n=\n" * 30_000,
    "fences": "```\n" * 50_000,
    "table": "|a|b|\n|-|-|\n" + "|x|y|\n" * 40_000,
    "cells": "<table>" + "<tr><td>x" * 30_000,
    "front matter": "---\n" + "[" * 90_000 + "\n---\n",
    "tags of spaces": ("<a " + " " * 2900) * 100,
    "letters that grow": "İ" * 100_000 + "<a href='x'>y</a>",
    "null": "\0" * 50_000,
    "dots": "." * 480_000,
    "dots and spaces": ("." * 400 + " " * 400) * 600,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_read_in_bounded_time(name: str) -> None:
    text = HOSTILE[name]
    started = time.process_time()
    document = parse_markdown.__wrapped__(text)
    list(document.sentences())
    assert time.process_time() - started < 4
    slices_are_exact(text, document)


def test_long_texts_keep_their_headings_and_fences() -> None:
    text = "# A\n\nword\n\nB\n-\n\n```\n# no\n```\n\n" + "filler words\n" * 30_000 + "\n## C\n"
    document = parse_markdown(text)
    assert len(text) > markdown_blocks.MAX_PARSED
    assert titles(document) == ["A", "B", "C"]
    slices_are_exact(text, document)


PIECES = [
    *"ab #*_`[]()<>!|-=.:\n\r\t\\\"'~/。！模&;1{}",
    "---\n",
    "```\n",
    "https://x.example/",
    "<h2>",
    "</h2>",
    "<!--",
    "-->",
]
MARKDOWN_CHARACTERS = st.lists(st.sampled_from(PIECES), max_size=120).map("".join)


@given(st.one_of(st.text(max_size=300), MARKDOWN_CHARACTERS))
def test_any_text_is_read_exactly_and_the_same_every_time(text: str) -> None:
    document = parse_markdown.__wrapped__(text)
    slices_are_exact(text, document)
    assert parse_markdown.__wrapped__(text) == document


@given(MARKDOWN_CHARACTERS)
def test_the_line_based_reading_is_exact_too(text: str) -> None:
    lines = markdown_blocks.Lines(text)
    blocks = list(markdown_blocks._blocks_of_lines(lines))
    assert all(0 <= block.first < block.last <= len(lines) for block in blocks)
    assert all(one.last <= other.first for one, other in itertools.pairwise(blocks))


def test_the_patterns_leave_other_things_alone() -> None:
    assert not markdown_blocks.FENCE.match("``` a`b ```x`".replace("``` a", "`` a"))
    assert not markdown_blocks.ATX_HEADING.match("#tag")
    assert not markdown_blocks.ATX_HEADING.match("####### seven")
    assert not markdown_blocks.SETEXT_UNDERLINE.match("- item")
    assert not markdown_blocks.CLOSING_FENCE.match("```python")
    assert not markdown_blocks.PRE_TAG.match("<preface>")
    assert not markdown.BOLD_LINE.fullmatch("**a** and **b**")
    assert not markdown.HEADING_TAG.search("<hr><header>")
    assert not markdown.SENTENCE_END.search("version 2.0 of it, v1.5 too")
    assert not markdown.SENTENCE_END.search("<pathway>")
    assert not markdown.ABBREVIATION.search("a sentence about data")
    assert not markdown_tables.DELIMITER_ROW.match("| a - b |")
    assert not markdown_tables.TABLE_ROW_TAG.search("<track>")
    assert not markdown_tables.TABLE_CELL_TAG.search("<thead><tdx>")
    assert not markdown_tables.ROW_CLOSE_TAG.search("</td>")
    assert markdown_tables.CELL_EDGE.split("a\\|b") == ["a\\|b"]
    assert not markdown_links.DESTINATION.match("(a b c)")
    assert not markdown_links.REFERENCE.search("text [a]: b")
    assert not markdown_links.ANCHOR_OR_IMAGE.search("<abbr title='x'>")
    assert not markdown_links.ATTRIBUTE.search("data-href='x'")
    assert not markdown_links.AUTOLINK.search("<mailto:a@b.example>")
    assert not markdown_links.BARE_URL.search("xhttps://a.example")
    assert not markdown_links.HTML_TAG.search("a < b > c")
    assert markdown_links.plain("snake_case_name and 2*3*4x") == "snake_case_name and 234x"
    assert not front_matter.FRONT_MATTER.match("a\n---\nb: c\n---\n")


def test_headings_may_be_underlined_as_in_restructured_text() -> None:
    text = "Sorrel\n======\n\nUsage\n-----\n\nFirst.\n\nTraining data\n~~~~~~~~~~~~~\n\nSecond.\n\nMore\n^^^^\n\nLast.\n"
    document = parse_markdown(text)
    assert [(section.level, section.title) for section in document.sections] == [
        (1, "Sorrel"),
        (2, "Usage"),
        (3, "Training data"),
        (4, "More"),
    ]
    assert not document.code_blocks


def test_tildes_below_a_text_of_another_length_are_a_fence() -> None:
    for text in ("Run it:\n~~~\ncode\n~~~\n", "Run it like this:\n~~~~ sh\ncode\n~~~~\n"):
        document = parse_markdown(text)
        assert not document.sections
        assert len(document.code_blocks) == 1
