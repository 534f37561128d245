"""A curator at the desk with the keyboard alone, and with forms alone: over the second night of the sandbox."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

PASSWORD = "a quiet desk by the window"
ADA, BEN = "Ada Curator", "Ben Curator"

FOCUS = """
() => {
  const at = document.activeElement;
  const box = at.getBoundingClientRect();
  const isSeen = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  return {tag: at.tagName, inside: at !== document.body && document.querySelector("#content").contains(at), isSeen};
}
"""


@pytest.fixture(scope="module")
def served(crawled_copy: Path, serve: Callable[..., Any]) -> Any:
    return serve(crawled_copy)


class Keys:
    """Presses keys, one at a time, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.pressed += 1
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)

    def wait_for_next(self, before: str) -> None:
        """Until another question is shown, with the focus on it."""
        self.page.wait_for_function(
            "before => location.pathname !== before && !document.querySelector('.htmx-request')"
            " && document.querySelector('#content h1')",
            arg=before,
        )
        self.page.wait_for_function("() => document.activeElement !== document.body")


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


def cell_of(page: Page) -> tuple[str, str]:
    slug, dimension = path_of(page).split("/")[2:4]
    return slug, dimension


def export_of(seat: Any) -> dict[tuple[str, str], str]:
    """The published ratings: what the desk hands out as CSV."""
    answer = seat.page.request.get(f"{seat.url}/export/csv")
    assert answer.status == 200
    return ratings_in(answer.text())


def ratings_in(text: str) -> dict[tuple[str, str], str]:
    return {(row["slug"], row["dimension"]): row["class"] for row in csv.DictReader(io.StringIO(text))}


def proposed(page: Page) -> str:
    """The class that is proposed for the question that is shown."""
    button = page.locator("button[value=confirm]")
    return button.inner_text().split("Confirm")[1].strip().replace(" ", "_")


def test_twenty_questions_are_decided_with_the_keyboard_alone(served: Any, seat: Callable[..., Any]) -> None:
    ada = seat(served)
    page, keys = ada.page, Keys(ada.page)
    # Signing in: the name, Tab, the password, Enter.
    ada.goto("/sign-in")
    page.get_by_label("Name").focus()
    keys.write(ADA)
    keys.press("Tab")
    keys.write(PASSWORD)
    keys.press("Enter")
    page.wait_for_url(f"{ada.url}/")
    before = export_of(ada)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    ada.goto("/queue")
    keys.press("j", "Enter")
    page.wait_for_selector("article.question")

    decided: dict[tuple[str, str], str] = {}
    strokes = []
    for number in range(20):
        cell, where = cell_of(page), path_of(page)
        keys.pressed = 0
        if number % 5 == 4:
            # Another class than the one proposed, with a reason.
            other = "closed" if proposed(page) != "closed" else "partial"
            keys.press("x" if other == "closed" else "p")
            expect(page.get_by_label("Reason")).to_be_focused()
            keys.write("The card says otherwise; see its section on terms.")
            keys.press("Enter")
            decided[cell] = other
        elif number == 7:
            keys.press("r")
            keys.write("The passage is about another model.")
            keys.press("Enter")
        elif number == 13:
            keys.press("d")
            keys.write("The makers have announced a release.")
            keys.press("Enter")
        else:
            decided[cell] = proposed(page)
            keys.press("c")
        strokes.append(keys.pressed)
        keys.wait_for_next(where)
        focus = page.evaluate(FOCUS)
        assert focus["inside"], f"after decision {number + 1} the focus is on {focus}"
        assert focus["isSeen"], f"after decision {number + 1} the focus is out of sight"
        expect(page.locator("#said")).to_contain_text(cell[0])
    assert max(strokes) <= 2

    after = export_of(ada)
    assert {cell: after[cell] for cell in decided} == decided
    assert ratings_in(served.run("export", "csv", "-")) == after, "the command exports the same"
    assert {cell: value for cell, value in after.items() if cell not in decided} == {
        cell: value for cell, value in before.items() if cell not in decided
    }


def test_one_key_takes_the_last_decision_back(served: Any, seat: Callable[..., Any]) -> None:
    ada = seat(served, ADA, PASSWORD)
    page, keys = ada.page, Keys(ada.page)
    before = export_of(ada)
    ada.goto("/queue")
    keys.press("j", "Enter")
    page.wait_for_selector("article.question")
    cell, where = cell_of(page), path_of(page)
    wanted = proposed(page)
    keys.press("c")
    keys.wait_for_next(where)
    assert export_of(ada)[cell] == wanted
    elsewhere = path_of(page)
    keys.press("u")
    keys.wait_for_next(elsewhere)
    assert path_of(page) == where
    assert page.evaluate(FOCUS)["inside"]
    assert export_of(ada) == before
    expect(page.get_by_role("heading", name="Decisions")).to_be_visible()


def test_a_second_curator_meets_the_lock_and_reads_who_was_quicker(
    served: Any, seat: Callable[..., Any]
) -> None:
    ada, ben = seat(served, ADA, PASSWORD), seat(served, BEN, PASSWORD)
    ada.goto("/queue")
    ada.page.keyboard.press("j")
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_selector("article.question")
    where, cell = path_of(ada.page), cell_of(ada.page)
    ben.goto(where)
    keys = Keys(ben.page)
    # Ben is still reading when Ada decides.
    wanted = proposed(ada.page)
    Keys(ada.page).press("c")
    Keys(ada.page).wait_for_next(where)

    keys.press("p" if wanted == "closed" else "x")
    keys.write("My own view of it.")
    with ben.page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        keys.press("Enter")
    assert answer.value.status == 409
    alert = ben.page.get_by_role("alert")
    expect(alert).to_contain_text(ADA)
    expect(ben.page.get_by_label("The rating and the proposal")).to_contain_text(
        f"{wanted.replace('_', ' ')} Decided by {ADA}"
    )
    assert ben.page.evaluate(FOCUS)["inside"]
    assert ben.page.get_by_label("Reason").input_value() == "My own view of it.", "what was written is kept"
    assert export_of(ada)[cell] == wanted


def test_a_set_is_confirmed_together_and_taken_back_together(served: Any, seat: Callable[..., Any]) -> None:
    ada = seat(served, ADA, PASSWORD)
    page = ada.page
    before = export_of(ada)
    ada.goto("/bulk?min_confidence=0.8")
    number = int(page.get_by_role("heading", level=1).inner_text().split()[1])
    assert number > 3
    assert export_of(ada) == before, "a preview changes nothing"
    page.get_by_role("button", name=f"Confirm {number}").press("Enter")
    page.wait_for_url("**/batches/*")
    after = export_of(ada)
    changed = {cell for cell in after if after[cell] != before.get(cell)}
    assert changed
    assert len(changed) <= number
    page.get_by_label("Why").fill("It was too many at once.")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.locator("#said")).to_contain_text("Taken back")
    assert export_of(ada) == before


def test_the_keys_help_opens_and_closes_with_the_focus_kept(served: Any, seat: Callable[..., Any]) -> None:
    ada = seat(served, ADA, PASSWORD)
    ada.goto("/queue")
    ada.page.keyboard.press("j")
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_selector("article.question")
    ada.page.keyboard.press("?")
    dialog = ada.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    ada.page.keyboard.press("c")  # No decision while it is open.
    expect(dialog).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert "/questions/" in ada.page.url


def test_letters_in_a_field_decide_nothing(served: Any, seat: Callable[..., Any]) -> None:
    ada = seat(served, ADA, PASSWORD)
    ada.goto("/queue")
    ada.page.keyboard.press("j")
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_selector("article.question")
    where, before = path_of(ada.page), export_of(ada)
    ada.page.get_by_label("Reason").focus()
    ada.page.keyboard.type("crop, exodus")
    assert ada.page.get_by_label("Reason").input_value() == "crop, exodus"
    assert path_of(ada.page) == where
    assert export_of(ada) == before


class TestWithoutScripts:
    """Every form works as a form."""

    def test_a_question_is_decided_and_taken_back(self, served: Any, seat: Callable[..., Any]) -> None:
        ada = seat(served, ADA, PASSWORD, java_script_enabled=False)
        page = ada.page
        ada.goto("/queue")
        page.locator("[data-rows] a[data-row]").first.click()
        cell, wanted = cell_of(page), proposed(page)
        page.locator("button[value=confirm]").click()
        assert cell_of(page) != cell
        expect(page.locator("#said")).to_contain_text(cell[0])
        assert export_of(ada)[cell] == wanted
        page.get_by_role("button", name="Undo").first.click()
        assert cell_of(page) == cell
        expect(page.locator("#said")).to_contain_text("Taken back")

    def test_a_reason_is_demanded_and_what_was_written_is_kept(
        self, served: Any, seat: Callable[..., Any]
    ) -> None:
        ada = seat(served, ADA, PASSWORD, java_script_enabled=False)
        page = ada.page
        ada.goto("/queue")
        page.locator("[data-rows] a[data-row]").first.click()
        page.locator("button[value=reject]").click()
        expect(page.get_by_role("alert")).to_contain_text("Say why")
        page.get_by_label("Reason").fill("It is about another model.")
        page.locator("button[value=reject]").click()
        expect(page.locator("#said")).to_contain_text("Rejected")

    def test_a_selection_is_made_and_confirmed_together(self, served: Any, seat: Callable[..., Any]) -> None:
        ada = seat(served, ADA, PASSWORD, java_script_enabled=False)
        page = ada.page
        ada.goto("/queue?min_confidence=0.85")
        shown = int(page.get_by_role("heading", level=1).inner_text().split()[0])
        page.get_by_text("Select and sort").click()
        page.get_by_role("link", name="Confirm many").click()
        number = int(page.get_by_role("heading", level=1).inner_text().split()[1])
        assert 0 < number <= shown
        page.get_by_role("button", name=f"Confirm {number}").click()
        page.get_by_label("Why").fill("A trial.")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#said")).to_contain_text("Taken back")

    def test_signing_out_ends_it(self, served: Any, seat: Callable[..., Any]) -> None:
        ada = seat(served, ADA, PASSWORD, java_script_enabled=False)
        ada.page.get_by_role("button", name="Sign out").click()
        ada.goto("/queue")
        assert "/sign-in" in ada.page.url
