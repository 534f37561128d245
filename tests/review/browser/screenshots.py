"""The pictures of the review desk in docs/screenshots: `make screenshots`.

Runs the two nights of the sandbox, with the published ratings taken over between them, decides some of it,
and takes the pictures in Chromium, in colours enough for an interface.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from sandbox import RATINGS, SEEDS, Sandbox
from tests.review.browser.conftest import ARGUMENTS, NAMES, NARROW, ROOT, WIDE, Served, settings_of

TARGET = ROOT / "docs" / "screenshots"
NAME, PASSWORD = "Ada Example", "only for these pictures"
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "overview": ("/", {"viewport": {"width": 1280, "height": 1500}}),
    "queue": ("/queue", {"viewport": WIDE}),
    "question": ("/questions/sorrel-chat/license", {"viewport": WIDE}),
    "question-dark": ("/questions/sorrel-chat/license", {"viewport": WIDE, "color_scheme": "dark"}),
    "question-narrow": ("/questions/sorrel-chat/license", {"viewport": NARROW}),
}
"""What is shown on which page: what is seen without scrolling."""


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="screenshots", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--target", type=Path, default=TARGET, help="folder to write to")
    made.add_argument(
        "--desk", type=Path, help="a folder with database and archive, in place of two new nights"
    )
    options = made.parse_args(arguments)
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        sys.exit(f"no Chromium is installed: none of {', '.join(NAMES)} is on PATH")
    options.target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="openness-screenshots-") as temporary:
        folder = Path(temporary) / "desk"
        if options.desk:
            shutil.copytree(options.desk, folder)
        else:
            run_nights(folder)
        desk = Served(folder=folder, env=settings_of(folder))
        desk.run("user", "add", NAME, "--role", "admin", "--password-stdin", input=PASSWORD + "\n")
        desk.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
                for name, (path, look) in PAGES.items():
                    page = browser.new_page(reduced_motion="reduce", **look)
                    sign_in(page, desk.url)
                    page.goto(desk.url + path)
                    page.screenshot(path=options.target / f"{name}.png", animations="disabled")
                    print(f"{name}.png: {shrunk(options.target / f'{name}.png')} bytes")
                    page.close()
                browser.close()
        finally:
            desk.stop()
    return 0


def run_nights(folder: Path) -> None:
    """The first night, the published ratings, the second night."""
    folder.mkdir()
    (folder / "hub").mkdir()
    shutil.copy(SEEDS, folder / "seeds.yaml")
    with Sandbox() as sandbox:
        env = settings_of(folder, **sandbox.addresses, GITHUB_TOKEN="sandbox-token")
        desk = Served(folder=folder, env=env)
        desk.run("nightly")
        desk.run("import", "ratings", str(RATINGS))
        sandbox.set_night(2)
        # One page of the sandbox fails in its second night.
        desk.run("nightly", code=3)


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{url}/")


def shrunk(path: Path) -> int:
    """Make a picture smaller where a program for that is installed; its size in bytes."""
    for program in (["pngquant", "--force", "--ext", ".png", "--skip-if-larger"], ["optipng", "-quiet"]):
        if shutil.which(program[0]):
            subprocess.run([*program, str(path)], check=False)
            break
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
