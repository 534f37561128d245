"""What follows a night, whichever way it ends: the report is sent, the metrics are written.

Nothing here changes how the night ended. A night that could not begin is told as well; but one
that found the database held writes no metrics: the run that holds it will.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.context import open_engine, utc_now
from crawler.settings import Settings
from db.reports import save_report
from db.session import session_scope
from pipelines.errors import LockHeldError, OpennessError, StorageError
from pipelines.model import JsonValue

if TYPE_CHECKING:
    from crawler.notify_message import Message

log = logging.getLogger(__name__)

INTERRUPTED, TERMINATED = 130, 143

HURRY_SECONDS = 5.0
"""How long sending may take when we were told to end."""


@dataclass(slots=True, kw_only=True)
class Night:
    """What is known of a night so far: its report, once it has one."""

    report: dict[str, JsonValue] | None = None

    def keep(self, report: dict[str, JsonValue]) -> None:
        """Take the report over, as `at_end` of `crawler.nightly.run` hands it out."""
        self.report = report


@contextmanager
def told_in_the_morning(
    settings: Settings,
    *,
    is_night: bool = True,
    metrics_file: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[Night]:
    """Tell of the night that runs within, and of nothing but nights; exceptions go on as they came.

    `is_night`: one is about to begin, so that one which could not is told, too. The metrics go to
    `metrics_file`, else to the file of the settings.
    """
    night, began = Night(), clock()
    path = metrics_file or settings.metrics_file
    if path is not None:
        # While there is time: whoever interrupts a night does not wait for an import.
        import crawler.metrics  # noqa: F401
    try:
        yield night
    except BaseException as error:
        if night.report is not None:
            _tell(settings, night.report, path, clock, error)
        elif is_night:
            _tell_that_there_is_no_report(settings, error, path, began, clock)
        raise
    if night.report is not None:
        _tell(settings, night.report, path, clock, None)


def exit_code_of(error: BaseException) -> int:
    """The exit code that an exception ends the command with."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED if type(error) is KeyboardInterrupt else TERMINATED
    return error.exit_code if isinstance(error, OpennessError) else 1


def _tell(
    settings: Settings,
    report: dict[str, JsonValue],
    path: Path | None,
    clock: Callable[[], datetime],
    error: BaseException | None,
) -> None:
    if report["kind"] != "nightly":
        return
    code = report["exit_code"] if error is None else exit_code_of(error)
    # First, and again at the end: whoever told us to end may not wait until all is sent.
    _write(path, report, code)
    if _is_watched(error) or not settings.channels:
        return
    try:
        from crawler.notify import host_name, wants
        from crawler.notify_message import report_message

        if not wants(settings.notify, report):
            return
        notified = _send(settings, lambda: report_message(report, host_name()), clock, error)
    except Exception:
        log.exception("the report could not be sent")
        return
    if notified:
        report["notified"] = notified
        _write(path, report, code)
        _store(settings, report)


def _tell_that_there_is_no_report(
    settings: Settings,
    error: BaseException,
    path: Path | None,
    began: datetime,
    clock: Callable[[], datetime],
) -> None:
    code = exit_code_of(error)
    if path is not None and not isinstance(error, LockHeldError):
        from crawler.metrics import write_failure

        try:
            write_failure(path, began, clock(), code)
        except StorageError as problem:
            log.warning("%s", problem)
    if _is_watched(error) or not settings.channels:
        return
    try:
        from crawler.notify import host_name
        from crawler.notify_message import no_report_message
        from crawler.report.broken import why_broken

        reason = why_broken(error)
        _send(settings, lambda: no_report_message(reason, code, began, host_name()), clock, error)
    except Exception:
        log.exception("that the night left no report could not be told")


def _is_watched(error: BaseException | None) -> bool:
    """Did somebody press Ctrl-C, who knows already and does not want to wait?"""
    return type(error) is KeyboardInterrupt


def _send(
    settings: Settings,
    message: Callable[[], Message],
    clock: Callable[[], datetime],
    error: BaseException | None,
) -> list[dict[str, JsonValue]]:
    """Send by the channels that are set. SIGTERM means hurry."""
    from crawler.notify import SEND_SECONDS, send

    hurry = isinstance(error, KeyboardInterrupt)
    sent = send(
        settings,
        message(),
        clock(),
        seconds=HURRY_SECONDS if hurry else SEND_SECONDS,
        tries=1 if hurry else 3,
    )
    return [delivery.as_json() for delivery in sent]


def _write(path: Path | None, report: dict[str, JsonValue], exit_code: int) -> None:
    if path is None:
        return
    from crawler.metrics import write_metrics

    try:
        write_metrics(path, report, exit_code)
    except StorageError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("the metrics could not be written")


def _store(settings: Settings, report: dict[str, JsonValue]) -> None:
    """Note in the stored report how sending it went."""
    try:
        with open_engine(settings) as engine, session_scope(engine, write=True) as session:
            save_report(session, report["run"], report)
    except OpennessError as error:
        log.warning("how sending the report went could not be stored: %s", error)
