"""What deciding costs a curator at the review desk: `make bench ARGS=effort`.

Runs the two nights of the bundled sandbox, with the published ratings taken over between them, serves
the review desk and sits down at it with a browser. The curator knows what a careful reader finds
(sandbox/world/expected.csv and expected_night2.csv) and goes through the queue with the keyboard alone:
where the proposal says the same, it is confirmed; where it does not, the other class is given with a
reason; where nothing can be told, it is rejected with a reason. Nothing is clicked.

    keystrokes         all that are pressed from the moment a question is shown until the next one is;
                       those of a reason are its letters, and are counted apart
    seconds of server  from the arrival of a request to the last byte of its answer, for everything that
                       a decision asks for: the decision itself, the next question
    seconds of waiting from the key to the next question on the screen, browser included

Needs Chromium, and no recorded corpus, no token and no network.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import environment, load_expected, shown
from world import ROOT, Desk, parser, report

sys.path.insert(0, str(ROOT))

import uvicorn

from crawler.archive import Archive
from db.questions import load_page
from db.review_values import QueueFilter, UserRole
from db.session import make_engine, session_scope
from db.users import add_user
from pipelines.model import Rating
from pipelines.rubric import load_rubric
from review.app import create_app
from review.context import ReviewContext, ReviewOptions
from sandbox import EXPECTED, EXPECTED_NIGHT2, RATINGS, SEEDS, Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

BOUNDS = {
    "keystrokes for an undisputed decision, at most": ("<=", 2),
    "questions left": ("<=", 0),
}
KEYS = {Rating.OPEN: "o", Rating.PARTIAL: "p", Rating.CLOSED: "x", Rating.NOT_APPLICABLE: "n"}
REASON = "The documents say otherwise."
CURATOR = "Careful Reader"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@dataclass(slots=True)
class Timed:
    """ASGI middleware that adds up how long the desk works on requests."""

    app: Any  # an ASGI application; its types are long and of no use here
    seconds: float = 0.0
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        try:
            await self.app(scope, receive, send)
        finally:
            with self.lock:
                self.seconds += time.perf_counter() - began
                self.requests += 1


@dataclass(slots=True)
class Decided:
    """What the decisions of one sort have cost."""

    keystrokes: list[int] = field(default_factory=list)
    letters: int = 0
    server: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)


class Keyboard:
    """Presses keys and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0
        self.letters = 0

    def press(self, key: str) -> None:
        self.pressed += 1
        self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.letters += len(text)
        self.page.keyboard.type(text)


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "effort")
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="openness-effort-") as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        run_nights(folder)
        figures = sit_down(folder)
    return report(figures, BOUNDS, options.json)


def run_nights(folder: Path) -> None:
    """Both nights of the sandbox, the published ratings taken over between them."""
    shutil.copy(SEEDS, folder / "seeds.yaml")
    with Sandbox(night=1) as sandbox:
        desk = Desk(folder=folder, env=environment(sandbox.addresses, folder))
        desk.scratch.mkdir(exist_ok=True)
        desk.run("import", "seeds", str(SEEDS))
        desk.night()
        desk.run("import", "ratings", str(RATINGS))
        sandbox.set_night(2)
        desk.night()


def sit_down(folder: Path) -> dict[str, object]:
    """Answer every question of the queue; what it has cost."""
    from playwright.sync_api import sync_playwright

    expected = load_expected(EXPECTED, "class") | load_expected(EXPECTED_NIGHT2, "class_after")
    password = secrets.token_urlsafe(16)
    costs = {"undisputed": Decided(), "overridden": Decided(), "rejected": Decided()}
    with served(folder, password) as (timed, url, count), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}/sign-in")
        page.get_by_label("Name").fill(CURATOR)
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        questions = count()
        page.goto(f"{url}/queue")
        keyboard = Keyboard(page)
        # To the first question: the first row, and Enter. The keys of this way are counted with none.
        keyboard.press("j")
        keyboard.press("Enter")
        page.wait_for_selector("article.question")
        way_in, keyboard.pressed = keyboard.pressed, 0
        changes: Counter[str] = Counter()
        for _ in range(questions):
            sort, change = answer(keyboard, timed, expected, costs)
            changes[change] += sort != "undisputed"
        left = count()
        browser.close()
    return figures_of(questions, left, way_in, costs, changes)


def answer(
    keyboard: Keyboard,
    timed: Timed,
    expected: dict[tuple[str, str], Rating | None],
    costs: dict[str, Decided],
) -> tuple[str, str]:
    """Decide the question that is shown; as what, and which change was made of it."""
    page = keyboard.page
    slug, dimension = page.url.split("?")[0].rsplit("/", 2)[1:]
    proposed = Rating(
        page.locator("button[value=confirm]").inner_text().split("Confirm")[1].strip().replace(" ", "_")
    )
    right = expected.get((slug, dimension), proposed)
    sort = "undisputed" if right is proposed else "rejected" if right is None else "overridden"
    before = (keyboard.pressed, keyboard.letters, timed.seconds, timed.requests, time.perf_counter())
    address = page.url
    if sort == "undisputed":
        keyboard.press("c")
    else:
        keyboard.press("r" if right is None else KEYS[right])
        keyboard.write(REASON)
        keyboard.press("Enter")
    page.wait_for_function(
        "before => location.href !== before && !document.querySelector('.htmx-request')", arg=address
    )
    page.wait_for_selector("article.question h1, [data-rows], main h1")
    waited = time.perf_counter() - before[4]
    cost = costs[sort]
    cost.keystrokes.append(keyboard.pressed - before[0])
    cost.letters += keyboard.letters - before[1]
    cost.server.append(timed.seconds - before[2])
    cost.requests.append(timed.requests - before[3])
    cost.waiting.append(waited)
    return sort, f"{shown(proposed)} > {shown(right)}"


def figures_of(
    questions: int, left: int, way_in: int, costs: dict[str, Decided], changes: Counter[str]
) -> dict[str, object]:
    """The table."""
    figures: dict[str, object] = {
        "questions": questions,
        "questions left": left,
        "keystrokes from the queue to the first question": way_in,
    }
    for name, cost in costs.items():
        figures[f"decisions, {name}"] = len(cost.keystrokes)
        if not cost.keystrokes:
            continue
        if name == "undisputed":
            figures["keystrokes for an undisputed decision, at most"] = max(cost.keystrokes)
            figures["keystrokes for an undisputed decision, mean"] = statistics.mean(cost.keystrokes)
        else:
            figures[f"keystrokes for a decision, {name}, without the letters of the reason, at most"] = max(
                cost.keystrokes
            )
    figures["instead of what is proposed"] = {
        what: number for what, number in changes.most_common() if number
    }
    server = sorted(second for cost in costs.values() for second in cost.server)
    waiting = sorted(second for cost in costs.values() for second in cost.waiting)
    requests = [number for cost in costs.values() for number in cost.requests]
    figures |= {
        "keystrokes of all decisions": sum(sum(cost.keystrokes) for cost in costs.values()),
        "letters of reasons": sum(cost.letters for cost in costs.values()),
        "requests a decision, mean": statistics.mean(requests),
        "seconds of server a decision, mean": statistics.mean(server),
        "seconds of server a decision, 95th percentile": percentile(server, 0.95),
        "seconds of server, all decisions": sum(server),
        "seconds of waiting a decision, mean": statistics.mean(waiting),
        "seconds of waiting a decision, 95th percentile": percentile(waiting, 0.95),
    }
    return figures


def percentile(ordered: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def served(folder: Path, password: str) -> Iterator[tuple[Timed, str, Any]]:
    """The desk at a free port, with an account; its clock of requests, its address, and how to count what waits."""
    engine = make_engine(f"sqlite:///{folder / 'openness.db'}")
    now = datetime.now(UTC)
    with session_scope(engine, write=True) as session:
        add_user(session, CURATOR, UserRole.CURATOR, now=now, created_by="benchmark", password=password)

    def count() -> int:
        with session_scope(engine) as session:
            return load_page(session, QueueFilter(), datetime.now(UTC), limit=1).total

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        context = ReviewContext(
            engine=engine,
            archive=Archive(folder / "archive"),
            rubric=load_rubric(),
            clock=lambda: datetime.now(UTC),
            options=ReviewOptions(base_url=url, seeds=folder / "seeds.yaml"),
        )
        timed = Timed(create_app(context))
        server = uvicorn.Server(uvicorn.Config(timed, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield timed, url, count
        finally:
            server.should_exit = True
            thread.join(10)
            engine.dispose()


def chromium() -> str:
    """Where Chromium is."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        sys.exit(f"no Chromium is installed: none of {', '.join(CHROMIUM)} is on PATH")
    return found


if __name__ == "__main__":
    sys.exit(main())
