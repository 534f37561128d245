"""Asking again: which validators go where, what an answer is good for, and what is no change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.model import Validators, Visit, VisitStatus, digest_bytes
from spiders.protocol import Manners
from spiders.revalidation import FRESH_LIMIT, Remembered, fresh_seconds, place_of

OK, UNCHANGED, FAILED = VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.FAILED
DATE = "Mon, 03 Mar 2025 01:00:00 GMT"
LATER = "Mon, 03 Mar 2025 02:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": 'public, MAX-AGE="600"'}, 600),
        ({"cache-control": "max-age=600", "age": "200"}, 400),
        ({"cache-control": "max-age=600", "age": "2000"}, 0),
        ({"cache-control": "max-age=31536000, immutable"}, FRESH_LIMIT),
        ({"cache-control": "max-age=" + "9" * 40}, 0),
        ({"cache-control": "max-age=0, must-revalidate"}, 0),
        ({"cache-control": "no-cache, max-age=600"}, 0),
        ({"cache-control": "no-store, max-age=600"}, 0),
        ({"cache-control": "max-age=600, max-age=60"}, 0),
        ({"cache-control": "max-age=soon"}, 0),
        ({"cache-control": "max-age=-5"}, 0),
        ({"cache-control": "s-maxage=600"}, 0),
        ({"cache-control": "max-age=600", "vary": "*"}, 0),
        ({"cache-control": "max-age=600", "vary": "Cookie"}, 0),
        ({"cache-control": "max-age=600", "vary": "User-Agent, Accept-Encoding"}, 0),
        ({"cache-control": "max-age=600", "vary": "Accept-Encoding, accept"}, 600),
        ({"cache-control": "max-age=600", "age": "x"}, 0),
        ({"expires": LATER, "date": DATE}, 3600),
        ({"expires": DATE, "date": LATER}, 0),
        ({"expires": LATER}, 0),
        ({"expires": "0", "date": DATE}, 0),
        ({"expires": LATER, "date": DATE, "pragma": "no-cache"}, 0),
        ({"cache-control": "max-age=60", "expires": LATER, "date": DATE}, 60),
    ],
)
def test_an_answer_is_good_for_as_long_as_it_clearly_says(headers: dict[str, str], seconds: int) -> None:
    assert fresh_seconds(headers) == seconds


def test_what_is_remembered_comes_back_and_nothing_of_another_form_does() -> None:
    until = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)
    for kept in (
        Remembered(),
        Remembered(meaning="ab12", place="cd34", fresh_until=until),
        Remembered(place="cd34"),
    ):
        assert Remembered.of(kept.token()) == kept
    for strange in ("", "1", "2 a b -", "1 a b c d", "0a1b2c3d", "W/1 - - -"):
        assert Remembered.of(strange) == Remembered()
    assert Remembered.of("1 a b soon").fresh_until is None
    assert Remembered.of("1 a b 2025-03-03T01:00:00").fresh_until is None


def test_a_place_is_an_address_without_its_fragment() -> None:
    assert place_of("https://a.example/x#y") == place_of("https://a.example/x")
    assert place_of("https://a.example/x?y") != place_of("https://a.example/x")


def test_manners_that_a_worker_left_broken_are_none(tmp_path: Any) -> None:
    assert Manners.read(tmp_path) == Manners()
    kept = Manners(robots={"http://a.example": "x"}, rest={"a.example": 2.5})
    kept.write(tmp_path)
    assert Manners.read(tmp_path) == kept
    file = next(tmp_path.iterdir())
    for broken in (
        "",
        "{",
        "[]",
        '{"robots": 1, "rest": {}}',
        '{"robots": {"a": 1}, "rest": {}}',
        "[" * 9000,
    ):
        file.write_text(broken)
        assert Manners.read(tmp_path) == Manners()


class Pages:
    """A site whose pages are visited again and again with what was stored of them, as a night does."""

    def __init__(self, helpers: Any, site: Any, **changes: Any) -> None:
        self.helpers, self.site = helpers, site
        self.now = helpers.NOW
        self.known: dict[str, Validators] = {}
        allowed = frozenset([site.place])
        self.source = helpers.source(allow_private_hosts=allowed, clock=lambda: self.now, **changes)

    def visit(self, *paths: str) -> dict[str, Visit]:
        """Visit pages and remember what a database would."""
        requests = [self.helpers.web(self.site.base + path) for path in paths]
        requests = [
            replace(request, known={"page": self.known[path]} if path in self.known else {})
            for path, request in zip(paths, requests, strict=True)
        ]
        self.site.seen.clear()
        found = {visit.ref.id.removeprefix(self.site.base): visit for visit in self.source.visit(requests)}
        for path, visit in found.items():
            if visit.capture is not None:
                told = {name: getattr(visit.capture, name) for name in ("etag", "last_modified", "token")}
                self.known[path] = Validators(sha256=digest_bytes(visit.capture.body), **told)
            elif visit.validators is not None:
                self.known[path] = visit.validators
        return found

    def conditions(self, path: str) -> list[tuple[str | None, str | None]]:
        return [
            (seen.headers.get("if-none-match"), seen.headers.get("if-modified-since"))
            for seen in self.site.asked(path)
        ]


@pytest.fixture
def pages(helpers: Any, new_site: Callable[[], Any]) -> Pages:
    return Pages(helpers, new_site())


def test_what_does_not_change_is_not_read_again(pages: Pages, helpers: Any) -> None:
    site, text = pages.site, helpers.article("Weights and data")

    def conditional(handler: Any) -> None:
        if 'W/"1"' in (handler.headers.get("If-None-Match") or ""):
            handler.answer(304, ETag='W/"1"', Cache_Control="max-age=60")
        else:
            handler.answer(200, text.encode(), Content_Type="text/html", ETag='W/"1"')

    site.routes["/etag"] = conditional
    site.page("/new-etag", text, ETag='"one"')
    site.page("/plain", text)
    site.redirect("/moved", "/etag")
    site.page("/fresh", text, Cache_Control="max-age=3600")
    site.page("/stored-although-not-to-be", text, Cache_Control="no-store", Last_Modified=DATE)
    site.redirect("/moved-to-fresh", "/fresh")
    paths = tuple(site.routes)
    assert {visit.status for visit in pages.visit(*paths).values()} == {OK}
    assert all(condition == (None, None) for path in paths for condition in pages.conditions(path))

    site.page("/new-etag", text, ETag='"two"')
    visits = pages.visit(*paths)
    assert {visit.status for visit in visits.values()} == {UNCHANGED}
    # Validators go to the address that gave them: not to a redirect on the way there.
    assert pages.conditions("/moved") == [(None, None)]
    assert pages.conditions("/etag") == [('W/"1"', None)] * 2
    assert visits["/moved"].http_status == 304
    assert pages.conditions("/new-etag") == [('"one"', None)]
    assert pages.conditions("/stored-although-not-to-be") == [(None, DATE)]
    # What the host calls good is not asked for; where a redirect leads is not known without asking.
    assert visits["/fresh"].http_status is None
    assert visits["/fresh"].reason.startswith("not asked again: good until 08:08 UTC")
    assert len(site.asked("/fresh")) == len(site.asked("/moved-to-fresh")) == 1

    # A 304 that says "good for a minute" is believed for a minute; the newer ETag is the one that is sent.
    pages.visit("/etag", "/new-etag")
    assert not site.asked("/etag")
    assert pages.conditions("/new-etag") == [('"two"', None)]
    pages.now += timedelta(hours=24)
    assert pages.visit("/etag", "/fresh")["/fresh"].http_status == 200
    assert pages.conditions("/etag") == [('W/"1"', None)]


def test_a_page_that_moved_is_not_called_unchanged_by_the_validators_of_where_it_was(
    pages: Pages, helpers: Any
) -> None:
    """The new place has an older page: asked whether it changed since, it would say no."""
    site = pages.site
    site.redirect("/model", "/current")
    site.page("/current", helpers.article("Weights are published"), Last_Modified=LATER)
    pages.visit("/model")

    def old_page(handler: Any) -> None:
        if handler.headers.get("If-Modified-Since"):
            handler.answer(304)
        else:
            handler.answer(200, helpers.article("Weights are withheld").encode(), Last_Modified=DATE)

    site.routes["/model"] = old_page
    visit = pages.visit("/model")["/model"]
    assert visit.status is OK
    assert b"withheld" in visit.capture.body


def test_what_was_found_missing_is_asked_for_although_it_was_called_good(pages: Pages, helpers: Any) -> None:
    pages.site.page("/fresh", helpers.article("A page"), Cache_Control="max-age=3600")
    pages.visit("/fresh")
    request = helpers.web(pages.site.base + "/fresh")
    request = replace(request, known={"page": pages.known["/fresh"]}, was_missing=True)
    (visit,) = pages.source.visit([request])
    assert visit.http_status == 200


def test_other_bytes_that_say_the_same_are_no_change(pages: Pages, helpers: Any) -> None:
    def say(words: str, nonce: str) -> None:
        text = helpers.article(words) + f"<p>{nonce} visitors so far</p><input type=hidden value={nonce}>"
        pages.site.page("/noisy", text, ETag=f'"{nonce}"')

    say("Weights are published", "12,345")
    assert pages.visit("/noisy")["/noisy"].status is OK
    first = pages.known["/noisy"]
    say("Weights are published", "1,112,346")
    visit = pages.visit("/noisy")["/noisy"]
    assert (visit.status, visit.reason) == (UNCHANGED, "other bytes that say the same")
    # The snapshot that stands is the first; what is asked with from now on is the newest.
    assert (pages.known["/noisy"].sha256, pages.known["/noisy"].etag) == (first.sha256, '"1,112,346"')
    say("Weights are withheld", "1,112,347")
    assert pages.visit("/noisy")["/noisy"].status is OK
