"""A project visited again because somebody at the desk asks for it: `openness crawl` and `rate` in the background."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from crawler.lock import run_lock
from crawler.settings import Settings
from crawler.terminal import line
from pipelines.errors import LockHeldError, OpennessError

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long a visit may take to end in order when the desk ends."""

_GATHERED = frozenset({0, 3})
"""Exit codes after which there is something to rate: all, or some sources failed."""


class VisitAgain:
    """Starts one visit at a time. A night or another run that holds the database comes first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._slug = ""
        self._ends = False

    def start(self, slug: str, curator: str) -> str:
        """Begin to visit a project; a sentence that says so, or why not."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return f"{self._slug} is being visited just now. Try again when that is done."
            try:
                # Only to tell at once; the run takes the lock by itself.
                with run_lock(self._settings.database_url):
                    pass
            except LockHeldError as error:
                return f"Not begun: {error}."
            except OpennessError as error:
                log.error("a visit of %s cannot begin: %s", slug, error)
                return "Not begun: the lock of the database cannot be taken."
            self._slug = slug
            self._thread = threading.Thread(target=self._run, args=(slug,), name=f"visit {slug}", daemon=True)
            self._thread.start()
        log.info("visiting %s again, as %s asked", slug, line(curator, 60))
        return f"{slug} is being visited. What is new shows here in a minute or some."

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the visit under way is done, at most so long."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def close(self) -> None:
        """End the visit under way in order: what it has gathered stays."""
        self._ends = True
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self.wait(STOP_SECONDS)
        if process is not None and process.poll() is None:
            process.kill()

    def _run(self, slug: str) -> None:
        if self._command("crawl", slug) in _GATHERED:
            self._command("rate", slug)

    def _command(self, name: str, slug: str) -> int | None:
        """Run a command of ours to its end; its exit code, None when it was not begun."""
        if self._ends:
            return None
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "crawler", name, "--", slug],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            log.error("%s %s cannot begin: %s", name, slug, os.strerror(error.errno or 0))
            return None
        self._process = process
        last = ""
        with contextlib.closing(process.stderr) if process.stderr else contextlib.nullcontext() as lines:
            for text in lines or ():
                last = text if text.strip() else last
        code = process.wait()
        if code:
            log.warning("openness %s %s ended with %d: %s", name, slug, code, line(last, 300))
        return code

    def _environment(self) -> dict[str, str]:
        """The same settings for the run, flags of this command included. An address may hold a password,
        which everybody on the machine could read among the arguments."""
        package = str(Path(__file__).resolve().parent.parent)
        path = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            "OPENNESS_DATABASE_URL": self._settings.database_url,
            "OPENNESS_ARCHIVE": str(self._settings.archive),
            "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        }
