"""The report as JSON, as text and as HTML."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from crawler.gathered import Gathered
from crawler.report import format_report
from crawler.report.html import html_report
from pipelines.model import VisitStatus
from pipelines.report.words import count_of, duration, size
from pipelines.visible import web_address

KEYS_SINCE_EVER = {
    "run", "kind", "started", "ended", "seconds", "artifacts", "artifacts_by_kind", "sources", "new_snapshots",
    "failed", "denied", "missing", "unread", "unread_not_shown", "document_problems", "internal_errors",
    "projects", "proposals", "new_proposals", "cannot_tell", "questions", "new_candidates",
    "candidates_waiting", "discovery",
}  # fmt: skip


class Page(HTMLParser):
    """What a browser makes of a page: tags with attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


def test_the_keys_that_scripts_rely_on_are_there(make_report):
    assert make_report().keys() >= KEYS_SINCE_EVER


def test_a_report_is_json(eventful):
    assert json.loads(json.dumps(eventful)) == eventful


def test_the_budget_says_what_is_left_before_and_after(eventful):
    [part] = eventful["budget"]
    assert (part["limit"], part["left"], part["left_at_end"], part["waits"]) == (60, 60, 48, 6)


def test_failed_parts_come_before_denied_ones(eventful):
    assert [entry["status"] for entry in eventful["unread"]] == ["failed", "failed", "denied"]


def test_the_last_success_is_this_night_or_the_one_before(make_report, eventful):
    assert make_report()["last_success"] == "2031-03-01T02:18:23+00:00"
    assert eventful["last_success"] == "2031-02-28T02:17:00+00:00"


@pytest.mark.parametrize("name", ["eventful", "cut_off_report"])
def test_text_tells_everything_and_obeys_nothing(request, name):
    report = request.getfixturevalue(name)
    text = format_report(report)
    assert text.splitlines()[1] == report["verdict"]["line"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    for step in report["next"]:
        assert step["command"] in text


def test_text_names_what_an_eventful_night_brought(eventful):
    text = format_report(eventful)
    for told in (
        "whose evidence has vanished",
        "whose evidence changed: 1, of which 1 is a question now",
        "41  brindle  license",
        "whose evidence is stale",
        "web      since 2031-02-27, 3 nights",
        "since 2031-02-25, 5 nights",
        "hazelmoor/new",
        "Repositories that were archived",
        "11  nightly",
        "4 questions wait for a curator",
        "marram, sorrel",
        "openness proposals show 41",
        "set GITHUB_TOKEN",
    ):
        assert told in text


def test_text_shows_the_first_entries_of_a_list(eventful):
    text = format_report(eventful, unread_shown=1)
    assert text.count("web:https://brindle.example/") == 2
    assert "… and 2 more (`openness report --json` names them)" in text


def test_a_quiet_night_is_short(make_report):
    assert len(format_report(make_report()).splitlines()) < 15


def test_a_report_of_ratings_alone_can_be_shown(make_report):
    report = make_report(kind="rate", gathered=Gathered())
    assert "GREEN" not in format_report(report)
    assert "GREEN" not in Page(html_report(report)).text


@pytest.mark.parametrize("name", ["eventful", "cut_off_report"])
def test_html_is_whole_and_fetches_nothing(request, name):
    page = Page(html_report(request.getfixturevalue(name)))
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "input", "svg", "base", "video"}
    for _, attributes in page.tags:
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
        assert not attributes.keys() & {"src", "srcset", "background", "style"}


def test_html_has_no_address_from_elsewhere_in_its_style(eventful):
    style = re.search(r"<style>(.*?)</style>", html_report(eventful), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_html_escapes_what_was_fetched(eventful, helpers):
    text = html_report(eventful)
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    page = Page(text)
    shown = helpers.HOSTILE.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")
    assert page.text.count(shown) >= 4
    assert "49" not in page.text.replace("2031", "")


def test_html_leads_to_web_addresses_only(eventful):
    links = [attributes for tag, attributes in Page(html_report(eventful)).tags if tag == "a"]
    assert links
    for link in links:
        assert (link["href"] or "").startswith("https://")
        assert link["rel"] == "noopener noreferrer nofollow"
    assert "javascript:" not in html_report(eventful)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://a.example/b?c=1&d=2", True),
        ("http://a.example", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//a.example", False),
        ("https://user:password@a.example/", False),
        ("https://", False),
        ("https://[", False),
        ("https://a.example/ b", False),
        ("https://a.example/\u202eb", False),
        ("", False),
    ],
)
def test_only_plain_web_addresses_are_led_to(address, kept):
    assert web_address(address) == (address if kept else "")


def test_html_tables_can_be_read_aloud(eventful):
    page = Page(html_report(eventful))
    tables = [attributes for tag, attributes in page.tags if tag == "table"]
    ids = {attributes["id"] for tag, attributes in page.tags if tag == "h2"}
    assert tables
    assert all(table["aria-labelledby"] in ids for table in tables)
    assert all(a["scope"] in ("col", "row") for tag, a in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags
    cells = [a for tag, a in page.tags if tag == "td"]
    assert all(cell["data-label"] for cell in cells)


def test_html_says_the_verdict_in_words_and_not_in_colour_alone(eventful):
    page = Page(html_report(eventful))
    assert "RED" in page.text
    assert "1 internal error" in page.text


def test_html_forbids_by_policy_what_it_does_not_use(make_report):
    [policy] = [
        attributes["content"]
        for tag, attributes in Page(html_report(make_report())).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")


def test_lone_surrogates_of_a_document_can_be_sent(make_report, helpers):
    gathered = helpers.gathered_with({("web", VisitStatus.OK): 1})
    gathered.errors.add("half a character: \ud83d")
    report = make_report(gathered=gathered, exit_code=1)
    assert format_report(report).encode()
    assert html_report(report).encode()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (count_of(1, "visit"), "1 visit"),
        (count_of(2000, "visit"), "2,000 visits"),
        (count_of(0, "match", "matches"), "0 matches"),
        (duration(0.42), "0.4 s"),
        (duration(59.6), "1 min 0 s"),
        (duration(200), "3 min 20 s"),
        (duration(7500), "2 h 5 min"),
        (size(0), "0 B"),
        (size(1536), "1.5 KiB"),
        (size(38 * 1024), "38 KiB"),
        (size(5 * 1024**4), "5.0 TiB"),
    ],
)
def test_numbers_in_words(said, expected):
    assert said == expected
