from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import RatingsError, UsageError
from pipelines.exports import csv_
from pipelines.exports.rows import RatingRow
from pipelines.model import Rating
from pipelines.ratings import parse_ratings
from pipelines.rubric import load_rubric

HEADER = "slug,dimension,class,link\n"


def errors_of(text: str) -> list[str]:
    with pytest.raises(RatingsError) as caught:
        parse_ratings(text, "ratings.csv")
    return str(caught.value).splitlines()


def test_every_class_is_read() -> None:
    text = (
        HEADER
        + "quill,opencode,open,https://a.example/\nquill,api,partial,\nnib,paper,closed,\nnib,package,,\n"
    )
    assert parse_ratings(text, "r") == [
        RatingRow(slug="quill", dimension="opencode", rating=Rating.OPEN, link="https://a.example/"),
        RatingRow(slug="quill", dimension="api", rating=Rating.PARTIAL),
        RatingRow(slug="nib", dimension="paper", rating=Rating.CLOSED),
        RatingRow(slug="nib", dimension="package", rating=Rating.NOT_APPLICABLE),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "quill,api,open,\n",
        HEADER.replace("\n", "\r\n") + "quill,api,open,\r\n",
        HEADER + "quill,api,open,",
        HEADER + "\nquill , api,open,\n\n",
        '"slug","dimension","class","link"\n"quill","api","open",""\n',
    ],
)
def test_what_spreadsheets_write_is_taken(text: str) -> None:
    assert parse_ratings(text, "r") == [RatingRow(slug="quill", dimension="api", rating=Rating.OPEN)]


def test_a_file_with_nothing_but_a_header_has_no_ratings() -> None:
    assert parse_ratings(HEADER, "r") == []


def test_several_links_stay_as_they_are() -> None:
    text = HEADER + "quill,api,open,https://a.example/ https://b.example/\n"
    assert parse_ratings(text, "r")[0].link == "https://a.example/ https://b.example/"


def test_other_rubrics_have_other_dimensions() -> None:
    text = HEADER + "quill,safety,open,\n"
    assert parse_ratings(text, "r", dimensions=["safety"])[0].dimension == "safety"
    with pytest.raises(RatingsError, match="unknown dimension 'safety'"):
        parse_ratings(text, "r")


def test_all_bad_rows_are_named_at_once_with_line_and_column() -> None:
    known = ", ".join(load_rubric().dimension_ids)
    lines = errors_of(
        HEADER
        + "quill,api,open,\n"
        + "a b,api,open,\n"
        + 'nib,api,closed,"https://a.example/\n more"\n'
        + "quill,colour,opened,javascript:alert(1)\n"
        + "quill,api\n"
        + "quill,api,closed,\n"
    )
    assert lines == [
        "ratings.csv:3: slug: 'a b' is no slug",
        "ratings.csv:4: link: 'https://a.example/\\n more' is no web address",
        f"ratings.csv:6: dimension: unknown dimension 'colour' (known: {known})",
        "ratings.csv:6: class: unknown class 'opened' (open, partial, closed, or empty for not applicable)",
        "ratings.csv:6: link: 'javascript:alert(1)' is no web address",
        "ratings.csv:7: class: 4 columns are expected, here are 2",
        "ratings.csv:8: dimension: quill api is already rated on line 2",
        "7 errors in ratings.csv; nothing was taken over",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "ratings.csv:1: header: the file is empty"),
        ("\n\n", "ratings.csv:1: header: the file is empty"),
        ("quill,api,open,\n", "ratings.csv:1: header: slug,dimension,class,link is expected"),
        ("slug,dimension,link,class\n", "header: slug,dimension,class,link is expected"),
        ("slug;dimension;class;link\n", "header: slug,dimension,class,link is expected"),
        ("slug,dimension,class,link,note\n", "header: slug,dimension,class,link is expected"),
        (HEADER + 'quill,api,open,"https://a.example/\n', "ratings.csv:2: not valid CSV"),
        (HEADER + 'quill,api,open,"a"b\n', "ratings.csv:2: not valid CSV"),
        (HEADER + "quill,api,open,,\n", "4 columns are expected, here are 5"),
        (HEADER + "quill,api,Open,\n", "class: unknown class 'Open'"),
        (HEADER + "quill,api,cannot_tell,\n", "class: unknown class 'cannot_tell'"),
        (HEADER + ",api,open,\n", "slug: '' is no slug"),
        (HEADER + "quill,api,open,data:text/html;x\n", "link: 'data:text/html;x' is no web address"),
    ],
)
def test_a_malformed_file_is_refused(text: str, expected: str) -> None:
    assert expected in errors_of(text)[0]


def test_many_bad_rows_are_counted_and_not_all_shown() -> None:
    lines = errors_of(HEADER + "a b,api,open,\n" * 200)
    assert len(lines) == 52
    assert lines[-1] == "200 errors in ratings.csv; nothing was taken over"


def test_a_ratings_error_is_wrong_usage() -> None:
    assert issubclass(RatingsError, UsageError)


cells = st.tuples(
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"), st.sampled_from(load_rubric().dimension_ids)
)
links = st.sampled_from(
    ["", "https://a.example/", "=1+1", "@x", '"quoted", text', "-", "ü https://b.example/?a=1"]
)


@given(st.dictionaries(cells, st.tuples(st.sampled_from(list(Rating)), links), max_size=8))
def test_exported_ratings_are_read_back(found: dict[tuple[str, str], tuple[Rating, str]]) -> None:
    rows = [
        RatingRow(slug=slug, dimension=dimension, rating=rating, link=link)
        for (slug, dimension), (rating, link) in found.items()
    ]
    out = io.StringIO(newline="")
    csv_.write(rows, out)
    assert parse_ratings(out.getvalue(), "r") == rows


@given(st.text(alphabet='slug,dimension"\n\r\x00 open;', max_size=80))
def test_any_text_is_read_or_refused_with_a_ratings_error(text: str) -> None:
    with contextlib.suppress(RatingsError):
        parse_ratings(HEADER + text, "r")
