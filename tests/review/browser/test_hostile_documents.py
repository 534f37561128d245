"""What strangers have written to run in a curator's browser: really crawled, really shown, never run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from db.bulk import confirm_bulk, preview_bulk
from db.review_values import QueueFilter, UserRole
from db.session import make_engine, session_scope
from db.users import add_user
from sandbox import Sandbox
from tests.review.browser.conftest import Served, now, settings_of
from tests.review.browser.hostile import HostileWorld, first_night, payloads, second_night

NAME, PASSWORD = "Ada Curator", "a quiet desk by the window"
PAGES = (
    *("/", "/queue", "/projects", "/candidates", "/runs", "/runs/2", "/audit"),
    *("/bulk?min_confidence=0.1", "/batches/1"),
)
QUESTIONS = ("opencode", "rldata", "license", "modelcard", "datasheet", "paper", "package")
"""What is asked of each project in these tests: between them the questions quote most documents."""
MOST_ELEMENTS = 6_000
MOST_BYTES = 1_500_000

CANARY = """
window.ran = [];
window.canary = (number) => { window.ran.push(number); };
document.addEventListener("securitypolicyviolation", (event) => window.ran.push(`policy: ${event.blockedURI}`));
"""

# What is wrong with a page, as sentences. Strangers' words may be text, and nothing else.
FAULTS = r"""
() => {
  const faults = window.ran.map((number) => `ran: ${number}`);
  const shown = (element) => element.outerHTML.slice(0, 200);
  const root = document.documentElement;
  if (/owned/.test(document.title) && !/nandu/.test(document.title)) faults.push(`title: ${document.title}`);
  if (root.scrollWidth > root.clientWidth) faults.push(`scrolls sideways by ${root.scrollWidth - root.clientWidth}`);
  const forbidden = "iframe, object, embed, base, frame, applet, style, math, video, audio, img, image, " +
    "foreignObject, animate, template, marquee, meta[http-equiv], [style], [srcdoc], [formaction], " +
    "[autofocus]:not(#help *)";
  for (const element of document.querySelectorAll(forbidden)) faults.push(`has ${shown(element)}`);
  const kinds = new Set(["SPAN", "MARK", "INS", "DEL", "BR", "A"]);
  for (const element of document.querySelectorAll(".fetched *")) {
    if (!kinds.has(element.tagName)) faults.push(`among strangers' words: ${shown(element)}`);
  }
  const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/;
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (/^(?:data-)?(?:on|hx-on)/i.test(name)) faults.push(`attribute ${name} of ${shown(element)}`);
      if (/^(?:href|src|action|xlink:href|poster|data|(?:data-)?hx-(?:get|post|put|patch|delete))$/i.test(name)) {
        const to = new URL(value, location.href);
        const may = element.tagName === "A" ? ["http:", "https:"] : [location.protocol];
        if (!may.includes(to.protocol) || to.username || (element.tagName !== "A" && to.origin !== location.origin)) {
          faults.push(`${name} of ${shown(element)}`);
        }
      }
      // What somebody types is given back to them as it is.
      if (unseen.test(value) && element.tagName !== "INPUT") faults.push(`unseen letters in ${name} of ${shown(element)}`);
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const found = unseen.exec(walker.currentNode.data);
    if (found) faults.push(`letter ${found[0].codePointAt(0).toString(16)} in ${shown(walker.currentNode.parentElement)}`);
  }
  // Scrolling boxes and what is hidden from sight may hold more than is seen.
  const isClipped = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.overflowX !== "visible" || style.position === "absolute") return true;
    }
    return false;
  };
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || box.right <= root.clientWidth + 1 && box.left >= -1) continue;
    if (!isClipped(element) && getComputedStyle(element).position !== "absolute") {
      faults.push(`from ${Math.round(box.left)} to ${Math.round(box.right)}: ${shown(element)}`);
    }
  }
  return faults.slice(0, 12);
}
"""


@dataclass(slots=True, kw_only=True)
class Shown:
    """A desk after two nights among hostile documents, and what its pages have shown so far."""

    served: Any
    pages: list[str]
    texts: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hostile(chromium: Any, serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Two nights of `openness nightly`: after the first everything is confirmed, in the second all has changed."""
    folder = tmp_path_factory.mktemp("hostile") / "desk"
    (folder / "hub").mkdir(parents=True)
    with Sandbox() as sandbox:
        env = settings_of(
            folder, **sandbox.addresses, GITHUB_TOKEN="sandbox-token", OPENNESS_LINKS_PER_PROJECT="0"
        )
        desk = Served(folder=folder, env=env)
        run_night(desk, sandbox, first_night())
        confirm_everything(folder)
        run_night(desk, sandbox, second_night())
    slugs = [str(seed["slug"]) for seed in first_night().seeds]
    pages = [
        *PAGES,
        *(f"/projects/{slug}" for slug in slugs),
        *(f"/projects/{slug}/seed" for slug in slugs[:2]),
    ]
    pages += [f"/questions/{slug}/{dimension}" for slug in slugs for dimension in QUESTIONS]
    return Shown(served=serve(folder), pages=pages)


def run_night(desk: Served, sandbox: Sandbox, world: HostileWorld) -> None:
    """Some of it is larger than what is fetched: that is a failure of a part, and not of the night."""
    world.put_into(sandbox)
    world.write_seeds(desk.folder / "seeds.yaml")
    report = json.loads(desk.run("nightly", "--json", code=3))
    assert report["visits"]["ok"] > 150


def confirm_everything(folder: Path) -> None:
    """So that the second night has something to differ from."""
    engine = make_engine(f"sqlite:///{folder / 'openness.db'}")
    with session_scope(engine, write=True) as session:
        add_user(session, NAME, UserRole.ADMIN, now=now(), created_by="tests", password=PASSWORD)
        preview = preview_bulk(session, QueueFilter(), 0.0, now())
        confirm_bulk(session, QueueFilter(), 0.0, preview.digest, NAME, now())
    engine.dispose()


def faults_of(page: Page, widths: tuple[int, ...] = (1280, 360)) -> list[str]:
    """What is wrong with the page that is open, at these widths."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        found += [f"{page.url} at {width}: {fault}" for fault in page.evaluate(FAULTS)]
    return found


def test_there_are_at_least_fifty_of_them() -> None:
    documents = first_night().documents
    assert len({document.tries for document in documents}) >= 50
    assert len(documents) >= len(payloads(0)) >= 50


def test_nothing_of_them_runs_and_nothing_breaks_the_layout(hostile: Shown, seat: Callable[..., Any]) -> None:
    ada = seat(hostile.served, NAME, PASSWORD)
    ada.context.add_init_script(CANARY)
    faults = []
    for path in hostile.pages:
        assert ada.goto(path) == 200, path
        faults += faults_of(ada.page)
        size, elements, text = ada.page.evaluate(
            "() => [document.documentElement.outerHTML.length, document.querySelectorAll('*').length,"
            " document.querySelector('main').textContent]"
        )
        hostile.texts.append(text)
        if size > MOST_BYTES or elements > MOST_ELEMENTS:
            faults.append(f"{path}: {size} characters, {elements} elements")
        assert len(faults) < 60, "\n".join(faults)
    assert not faults, "\n".join(faults)


def test_all_of_them_were_shown(hostile: Shown) -> None:
    """Otherwise the other tests would show nothing."""
    seen = "\n".join(hostile.texts)
    documents = {document.number: document for document in second_night().documents}
    shown = {document.tries for document in documents.values() if document.word in seen}
    every = {document.tries for document in documents.values()}
    assert {"one line of four megabytes", "letters that turn the line round"} <= shown
    assert len(shown) >= 70, f"not shown: {sorted(every - shown)}"
    scripts = [number for number in documents if f"canary({number})" in seen]
    assert len(scripts) >= 50, "scripts are to be read as text"


def test_escaping_alone_holds_without_the_policy(hostile: Shown, seat: Callable[..., Any]) -> None:
    ada = seat(hostile.served, NAME, PASSWORD, bypass_csp=True)
    ada.context.add_init_script(CANARY)
    paths = [
        path
        for path in hostile.pages
        if path.endswith(("/license", "/modelcard", "/queue", "/projects", "/1"))
    ]
    for path in paths:
        ada.goto(path)
        # What waits for a pointer, a focus or a toggle gets it.
        ada.page.evaluate(
            "() => { for (const e of document.querySelectorAll('main *')) for (const kind of"
            " ['mouseover', 'focus', 'toggle', 'load', 'error', 'animationend', 'begin'])"
            " e.dispatchEvent(new Event(kind)); }"
        )
        assert ada.page.evaluate("() => window.ran") == []


def test_what_is_typed_into_addresses_is_text_as_well(hostile: Shown, seat: Callable[..., Any]) -> None:
    ada = seat(hostile.served, NAME, PASSWORD)
    ada.context.add_init_script(CANARY)
    typed = [
        payload.text
        for payload in payloads(990)
        if isinstance(payload.text, str) and len(payload.text) < 300 and "\0" not in payload.text
    ]
    faults = []
    for first in range(0, len(typed), 6):
        text = quote(" ".join(typed[first : first + 6]).encode("utf-8", "replace"), safe="")
        for path in (f"/queue?org={text}&sort={text}", f"/projects?search={text[:600]}", f"/{text[:600]}"):
            ada.goto(path)
            faults += faults_of(ada.page, (360,))
    assert not faults, "\n".join(faults[:30])


def test_stored_bytes_are_handed_out_as_a_file_that_no_browser_renders(
    hostile: Shown, seat: Callable[..., Any]
) -> None:
    ada = seat(hostile.served, NAME, PASSWORD)
    engine = make_engine(f"sqlite:///{hostile.served.folder / 'openness.db'}")
    with engine.connect() as connection:
        digests = [row[0] for row in connection.exec_driver_sql("SELECT DISTINCT sha256 FROM snapshots")]
    engine.dispose()
    assert len(digests) > 150
    for digest in digests[::9]:
        answer = ada.page.request.get(f"{ada.url}/snapshots/{digest}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
