"""A running worker of the web source: its process, its pipes, and how it may end."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import spiders
from spiders.protocol import MAX_LINE, Counters, Message, ProtocolError, parse_message

logger = logging.getLogger(__name__)

# All that a worker needs of the environment. Tokens are not among it: it talks to strangers.
ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONWARNINGS"),
)
STDERR_LINES = 30
END_PATIENCE = 5.0


class WorkerLostError(Exception):
    """The worker says nothing more; the text tells why."""


class Worker:
    """A running worker: its process, and two threads that keep its pipes from filling up.

    Bodies go through the spool folder, so what waits here is small however slowly it is taken.
    """

    def __init__(self, command: Sequence[str], spool: Path) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._stopped = False
        self._process = subprocess.Popen(
            [*command, str(spool)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=spool,
            env=_environment(),
            # A session of its own: Ctrl-C reaches this process alone, which then ends the worker.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin
        self._pipes = (self._process.stdout, self._process.stderr)
        self._threads = (
            threading.Thread(target=self._drain_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._drain_stderr, args=(self._process.stderr,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def announce(self, number: int) -> None:
        """Say that further pages are told under this number. A worker that is gone does not hear it."""
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(f"{number:d}\n".encode("ascii"))
            self._stdin.flush()

    def end_orders(self) -> None:
        """Say that no more pages come: the worker ends once it has read those that it knows."""
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()

    def messages(self, stall: float) -> Iterator[Message]:
        """What the worker says. Raises WorkerLostError when it ends or hangs."""
        while True:
            try:
                line = self._lines.get(timeout=stall)
            except queue.Empty:
                raise WorkerLostError(f"the web worker hung: no sign of life for {stall:g} s") from None
            if line is None:
                raise WorkerLostError(self._how_it_ended())
            try:
                yield parse_message(line)
            except ProtocolError as error:
                raise WorkerLostError("the web worker spoke nonsense") from error

    def finish(self, counters: Counters) -> None:
        """Take the exit status of a worker that has said its last; errors of ours are not passed over."""
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=END_PATIENCE)
        if (code or counters.errors) and not self._stopped:
            logger.error(
                "the web worker met %d errors of its own (exit status %s)%s",
                counters.errors,
                code,
                self.last_words(),
            )

    def last_words(self) -> str:
        """The end of what the worker wrote to standard error, for the log."""
        return "".join("\n  " + line for line in tuple(self._stderr))

    def stop(self) -> None:
        """End the worker and all that belongs to it. No process is left, no pipe, no thread."""
        self._stopped = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.end_orders()
        for thread in self._threads:
            thread.join(timeout=END_PATIENCE)
        for pipe, thread in zip(self._pipes, self._threads, strict=True):
            if not thread.is_alive():
                pipe.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=END_PATIENCE)
        except subprocess.TimeoutExpired:
            return "the web worker closed its output"
        if code < 0:
            return f"the web worker was killed by signal {-code}"
        return f"the web worker ended with exit status {code}"

    def _drain_lines(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            # A line longer than any message is cut here and fails to parse.
            while line := pipe.readline(MAX_LINE):
                self._lines.put(line)
        self._lines.put(None)

    def _drain_stderr(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := pipe.readline(MAX_LINE):
                self._stderr.append(line.decode("utf-8", "replace").rstrip()[:500])


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # The worker must find the same packages from whatever folder this process was started.
    root = str(Path(spiders.__file__).resolve().parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH", ""))))
    return kept
