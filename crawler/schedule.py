"""When nights are due: cron expressions with a time zone, and what a restart has to make up for.

Pure: the time is an argument, and nothing sleeps here; `crawler/scheduler.py` does.

APScheduler's trigger finds the times, but reads expressions otherwise than cron does: its weekday 0
is Monday, it takes day *and* weekday where cron takes either, it passes over letters it does not
know, and on the day on which clocks are set back it fires twice. So an expression is checked and
translated here, and the trigger works on the times that a clock on the wall shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.combining import OrTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

from db.models import RunStatus
from db.values import StoredRun
from pipelines.errors import UsageError

EXAMPLE = "17 2 * * *"
"""Every night at 02:17. An odd minute: full hours are when everybody asks."""

MOST_TRIES = 3
"""How many nights of a day may be cut off before a restart no longer begins another one."""

_FORM = "minute hour day month weekday"
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (
    # name, least, most, names of the numbers from `least` on
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _WEEKDAYS),
)
_ENTRY = re.compile(
    r"""
    (?: (?P<all> \* ) | (?P<first> \d{1,2} | [a-z]{3} ) (?: - (?P<last> \d{1,2} | [a-z]{3} ) )? )
    (?: / (?P<step> \d{1,3} ) )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_LONGEST_SKIP = timedelta(hours=2)
"""As much as clocks are set forward at once anywhere in summer."""


class CronTimes(BaseTrigger):  # type: ignore[misc]
    """The moments that a cron expression names in a time zone.

    Every time on the wall that matches comes once a day. One that is skipped, because clocks are set
    forward, comes as much later; one that the wall shows twice comes the first time only.
    """

    __slots__ = ("_walls", "expression", "jitter", "zone")

    def __init__(self, expression: str, zone: tzinfo, jitter: int = 0) -> None:
        """Raises UsageError for an expression that is none, or that names no day there is.

        `jitter` is in seconds: a night begins by chance up to so much later.
        """
        self.expression = " ".join(expression.split())
        self.zone = zone
        self.jitter = jitter
        self._walls = _walls(self.expression)
        if self.next_after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
            raise _problem(self.expression, "there is no such day")

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than the moment, without jitter, in UTC; None when there is none."""
        wall = moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0) - _LONGEST_SKIP
        while True:
            wall = self._walls.get_next_fire_time(None, wall + timedelta(microseconds=1))
            if wall is None:
                return None
            found: datetime = wall.replace(tzinfo=self.zone).astimezone(UTC)
            if found > moment:
                return found

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """What APScheduler asks: the time after the previous one, however long ago that was."""
        found = self.next_after(previous_fire_time or now)
        with_jitter: datetime | None = self._apply_jitter(found, self.jitter, now)
        return with_jitter

    def __str__(self) -> str:
        return f"{self.expression} ({self.zone})"


def parse_zone(name: str) -> tzinfo:
    """A time zone by its name, such as Europe/Lisbon; the machine's own where the name is empty.

    Raises UsageError for an unknown one.
    """
    if not name:
        import tzlocal

        try:
            return tzlocal.get_localzone()
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(f"the machine's time zone cannot be told, name one: {error}") from None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"{name!r} is no time zone that is known here; one is Europe/Lisbon") from None


def missed_night(nights: Sequence[StoredRun], times: CronTimes, now: datetime) -> datetime | None:
    """The time of a night that was due while nobody kept the schedule; None where there is none.

    `nights` are the stored nightly runs, newest first. A night that was cut off counts as missed, but
    not for ever: where three of the last day were cut off, the next one waits for its time. Before
    the first night nothing can have been missed.
    """
    done = next((night for night in nights if night.status is RunStatus.DONE), None)
    cut_off = [night for night in nights if done is None or night.id > done.id]
    if done is not None:
        due = times.next_after(done.started_at)
    else:
        due = cut_off[-1].started_at if cut_off else None
    if due is None or due > now:
        return None
    tries = [night for night in cut_off if night.started_at > now - timedelta(days=1)]
    return due if len(tries) < MOST_TRIES else None


def _problem(expression: str, what: str) -> UsageError:
    return UsageError(
        f"{expression!r} is no schedule: {what}. One is {EXAMPLE!r}: every night at 02:17 ({_FORM})"
    )


def _walls(expression: str) -> CronTrigger | OrTrigger:
    """The trigger for an expression, on a clock that is never set forward or back."""
    if expression.lower() == "@reboot":
        raise _problem(expression, "for a night at the start there is --at-start")
    fields = _SHORT.get(expression.lower(), expression).split()
    if len(fields) != len(_FIELDS):
        raise _problem(expression, f"it has {len(fields)} fields, not five")
    minute, hour, day, month, weekday = (
        _numbers(expression, text, *field) for text, field in zip(fields, _FIELDS, strict=True)
    )
    common = {"minute": minute, "hour": hour, "month": month, "timezone": UTC}
    weekdays = ",".join(
        dict.fromkeys(_WEEKDAYS[int(number) % 7] for number in weekday.split(",") if number != "*")
    )
    if fields[2].startswith("*") or fields[4].startswith("*"):
        return CronTrigger(day=day, day_of_week=weekdays or "*", **common)
    # As cron has it: where both are given, either will do.
    return OrTrigger([CronTrigger(day=day, **common), CronTrigger(day_of_week=weekdays, **common)])


def _numbers(expression: str, text: str, name: str, least: int, most: int, names: Sequence[str]) -> str:
    """A field as APScheduler reads it: `*`, or its numbers separated by commas."""

    def number(word: str) -> int:
        if word.isdigit():
            value = int(word)
        elif word.lower() in names:
            value = names.index(word.lower()) + least
        else:
            raise _problem(expression, f"{word!r} is no {name}")
        if not least <= value <= most:
            raise _problem(expression, f"the {name} {word} is not between {least} and {most}")
        return value

    found: set[int] = set()
    for entry in text.split(","):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise _problem(expression, f"{entry!r} is no {name}")
        if match["all"]:
            # Sunday has two numbers; one of them will do.
            first, last = least, min(most, 6) if name == "weekday" else most
        else:
            first = number(match["first"])
            last = number(match["last"]) if match["last"] else first
            if name == "weekday" and last == 0 and first > 0:
                last = 7
        step = int(match["step"] or 1)
        if step == 0 or (match["step"] and first == last):
            raise _problem(expression, f"the step of {entry!r} leads nowhere")
        if last < first:
            raise _problem(expression, f"the range {entry!r} runs backwards")
        found.update(range(first, last + 1, step))
    if text == "*":
        return "*"
    return ",".join(str(value) for value in sorted(found))
