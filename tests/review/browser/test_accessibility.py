"""Every page of the desk for everybody: WCAG 2.2 AA by axe, light and dark, on a telephone and on a wide screen."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize, expect

from review.calls import VIEWS
from tests.review.browser.conftest import NARROW, WIDE

PASSWORD = "a quiet desk by the window"
OLGA = "Olga Admin"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

PAGES = {
    "/": "/",
    "/queue": "/queue?class=open",
    "/queue/selection": "/queue/selection",
    "/questions/{slug}/{dimension}": "/questions/sorrel-chat/license",
    "/bulk": "/bulk?min_confidence=0.8",
    "/batches/{id}": "/batches/1",
    "/projects": "/projects",
    "/projects/{slug}": "/projects/sorrel-chat",
    "/projects/{slug}/seed": "/projects/sorrel-chat/seed",
    "/candidates": "/candidates?status=all",
    "/opinions": "/opinions",
    "/opinions/{slug}/{dimension}": "",  # the first that is asked for
    "/agreement": "/agreement",
    "/runs": "/runs",
    "/runs/{id:int}": "/runs/2",
    "/disputes": "/disputes",
    "/disputes/new/{slug}": "/disputes/new/sorrel-chat",
    "/audit": "/audit",
    "/account": "/account",
    "/sign-in": "/sign-in",
    "/nowhere": "/nowhere",
}
"""An address for every page, by its route."""

NO_PAGES = {"/audit.csv", "/audit.jsonl", "/healthz", "/snapshots/{sha256}", "/export/{format}"}
"""What is handed out as a file."""

FOCUS_STYLE = """
() => {
  const style = getComputedStyle(document.activeElement);
  return {tag: document.activeElement.tagName, text: document.activeElement.textContent.trim().slice(0, 30),
          outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth)};
}
"""


@pytest.fixture(scope="module")
def served(crawled_copy: Path, serve: Callable[..., Any]) -> Any:
    """A desk with something on every page: a batch, a second opinion that is asked for, disputes."""
    from db.bulk import confirm_bulk, preview_bulk
    from db.review_values import QueueFilter
    from db.session import make_engine, session_scope
    from tests.review.browser.conftest import now

    engine = make_engine(f"sqlite:///{crawled_copy / 'openness.db'}")
    with session_scope(engine, write=True) as session:
        chosen = QueueFilter()
        preview = preview_bulk(session, chosen, 0.9, now())
        confirm_bulk(session, chosen, 0.9, preview.digest, "Ada Curator", now())
    engine.dispose()
    return serve(crawled_copy, OPENNESS_SECOND_OPINIONS="1", OPENNESS_DISPUTES="true")


def addresses(page: Page, url: str) -> list[str]:
    """Where every page is, those included that depend on what is stored."""
    found = dict(PAGES)
    page.goto(f"{url}/opinions")
    link = page.locator("main a[href^='/opinions/']").first
    found["/opinions/{slug}/{dimension}"] = link.get_attribute("href") or ""
    return list(found.values())


def test_no_page_is_forgotten() -> None:
    pages = {
        path
        for method, path in VIEWS
        if method == "GET" and not path.startswith(("/api/", "/sign-in/github", "/static"))
    }
    assert pages - NO_PAGES - PAGES.keys() == set()


COLOURS = ["color-contrast", "link-in-text-block"]
LOOKS: tuple[tuple[str, ViewportSize, dict[str, Any]], ...] = (
    ("light", WIDE, {"type": "tag", "values": STANDARD}),
    # What another scheme can change, and less room.
    ("dark", WIDE, {"type": "rule", "values": COLOURS}),
    ("dark", NARROW, {"type": "rule", "values": [*COLOURS, "scrollable-region-focusable", "target-size"]}),
    ("light", NARROW, {"type": "rule", "values": COLOURS}),
)


def test_axe_finds_nothing_on_any_page(served: Any, seat: Callable[..., Any]) -> None:
    olga, nobody = seat(served, OLGA, PASSWORD), seat(served)
    found = []
    for path in addresses(olga.page, olga.url):
        who = nobody if path == "/sign-in" else olga
        page = who.page
        page.set_viewport_size(WIDE)
        assert who.goto(path) == (404 if path == "/nowhere" else 200), path
        assert urlsplit(page.url).path == urlsplit(path).path, "somewhere else"
        page.evaluate(
            "() => { for (const one of document.querySelectorAll('main details')) one.open = true; }"
        )
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
        page.evaluate(AXE_SCRIPT)
        for scheme, size, rules in LOOKS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(size)
            found += [f"{path}, {scheme}, {size['width']}: {problem}" for problem in problems_of(page, rules)]
    assert not found, "\n".join(found)


def problems_of(page: Page, rules: dict[str, Any]) -> list[str]:
    """What axe finds, and whether the page has to be scrolled sideways."""
    found = []
    result = page.evaluate("runOnly => axe.run(document, {runOnly, resultTypes: ['violations']})", rules)
    for violation in result["violations"]:
        places = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
        reason = " ".join(violation["nodes"][0].get("failureSummary", "").split())[:300]
        found.append(f"{violation['id']}: {places} ({reason})")
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, f"scrolls sideways by {wide}"] if wide > 0 else found


def test_the_focus_can_be_seen_wherever_tab_goes(served: Any, seat: Callable[..., Any]) -> None:
    for scheme in ("light", "dark"):
        olga = seat(served, OLGA, PASSWORD, color_scheme=scheme)
        for path in ("/", "/queue", "/questions/sorrel-chat/license"):
            olga.goto(path)
            seen = set()
            for _ in range(40):
                olga.page.keyboard.press("Tab")
                style = olga.page.evaluate(FOCUS_STYLE)
                if style["tag"] == "BODY":
                    break
                assert style["outline"] >= 2, (path, style)
                seen.add((style["tag"], style["text"]))
            assert len(seen) > 8


def test_letters_twice_as_large_lose_nothing(served: Any, seat: Callable[..., Any]) -> None:
    """Text spacing and size: 200 per cent on a narrow screen still needs no sideways scrolling."""
    olga = seat(served, OLGA, PASSWORD, viewport={"width": 640, "height": 800})
    for path in ("/queue", "/questions/sorrel-chat/license", "/projects/sorrel-chat"):
        olga.goto(path)
        wide = olga.page.evaluate(
            "() => { document.documentElement.style.fontSize = '200%';"
            " return document.documentElement.scrollWidth - document.documentElement.clientWidth; }"
        )
        assert wide <= 0, path


def test_pages_are_there_while_a_night_writes(served: Any, seat: Callable[..., Any], tmp_path: Path) -> None:
    """A curator reads and decides while `openness nightly` runs over the same database."""
    from sandbox import Sandbox

    folder = tmp_path / "desk"
    shutil.copytree(served.folder, folder)
    ada = None
    with Sandbox(night=1) as sandbox:
        from tests.review.browser.conftest import Served, settings_of

        desk = Served(
            folder=folder, env=settings_of(folder, **sandbox.addresses, GITHUB_TOKEN="sandbox-token")
        )
        desk.start()
        ada = seat(desk, "Ada Curator", PASSWORD)
        night = subprocess.Popen(
            [sys.executable, "-m", "crawler", "nightly", "--full"],
            env=desk.env,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            slowest, pages = 0.0, 0
            while night.poll() is None:
                for path in ("/queue", "/questions/trellis/license", "/projects/trellis", "/"):
                    began = time.perf_counter()
                    assert ada.goto(path) == 200
                    slowest, pages = max(slowest, time.perf_counter() - began), pages + 1
                ada.goto("/questions/trellis/license")
                ada.page.get_by_label("Say something to the others").or_(
                    ada.page.get_by_label("Answer")
                ).fill("Still here.")
                ada.page.get_by_role("button", name="Comment").click()
                expect(ada.page.locator("#said")).to_contain_text("stored")
            assert night.returncode in (0, 3)
            assert pages >= 4
            assert slowest < 10
        finally:
            night.kill()
            night.wait()
            desk.stop()
