"""How the scheduler is: a small file that it writes while it lives, for container engines and monitors.

Few imports: an engine asks every minute.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ALIVE_SECONDS = 60.0
"""How old the health file of a scheduler that lives may be."""

GOOD_CODES = (0, 3)
"""Exit codes of a night that gathered something and stored all of it."""

_MEANINGS = {
    0: "done",
    1: "an internal error, or storage that failed",
    2: "wrong configuration, or another run holds the database",
    3: "done, but some visits failed",
    4: "nothing could be gathered",
    130: "interrupted",
    143: "terminated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A night that was begun. `code` is None while it runs; -9 and the like: a signal ended it."""

    started: datetime
    ended: datetime | None = None
    code: int | None = None
    problem: str = ""

    @property
    def meaning(self) -> str:
        """How it ended, in words."""
        if self.problem:
            return self.problem
        if self.code is None:
            return "it runs"
        if self.code < 0:
            return f"killed by signal {-self.code}"
        return _MEANINGS.get(self.code, "no exit code of ours")


def write_health(
    path: Path, *, alive: datetime, schedule: str, upcoming: datetime | None, last: Night | None
) -> None:
    """Say that the scheduler lives, when the next night begins and how the last one was. Raises OSError."""
    values = {
        "alive": _moment(alive),
        "pid": os.getpid(),
        "schedule": schedule,
        "next": _moment(upcoming),
        "last": {
            "started": _moment(last.started),
            "ended": _moment(last.ended),
            "code": last.code,
            "meaning": last.meaning,
            "problem": last.problem,
        }
        if last
        else None,
    }
    temporary = path.with_name(f"{path.name}~{os.getpid()}")
    temporary.write_text(json.dumps(values), encoding="utf-8")
    os.replace(temporary, path)


def check_health(path: Path, now: datetime) -> tuple[bool, str]:
    """Whether the scheduler that writes the health file lives and its last night ended well; why, in a line."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        age = (now - datetime.fromisoformat(values["alive"])).total_seconds()
        upcoming, last = values["next"], values["last"]
        if age > ALIVE_SECONDS:
            return False, f"the scheduler has given no sign of life for {age:.0f} s"
        if last is None:
            return True, f"no night yet; the next one begins at {upcoming}"
        if last["ended"] is None:
            return True, f"a night runs since {last['started']}"
        good = last["code"] in GOOD_CODES and not last["problem"]
        told = f"the last night ended at {last['ended']} with code {last['code']}: {last['meaning']}"
        return good, f"{told}; the next one begins at {upcoming}"
    except FileNotFoundError:
        return False, f"no scheduler is at work: there is no {path}"
    except OSError as error:
        return False, f"the health file {path} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return False, f"{path} is no health file"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
