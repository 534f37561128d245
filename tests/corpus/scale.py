"""A night with thousands of projects: `make bench ARGS=scale`.

The corpus is served `--replicate` times over, which makes so many times thirty projects; a first night
visits and rates all of them. The last third may take at most 1.2 times as long as the first, planning,
new candidates and report included, and no process may need more than 400 MB at its peak. What
of the memory is due to the number of projects shows in the peaks after each third.

Wall times mean something on a machine with nothing else to do, so CPU seconds are given beside them:
those of the command and of all that it started. Needs /proc.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from world import (
    Done,
    load_seeds,
    parser,
    report,
    requests_by_service,
    say,
    serve,
    set_up,
    working_folder,
    write_seeds,
)

LINEAR = "time of the last third as a multiple of the first"
BOUNDS = {
    "peak memory of the command, MB": ("<=", 400.0),
    "peak memory of any process it started, MB": ("<=", 400.0),
    LINEAR: ("<=", 1.2),
    "internal errors": ("<=", 0),
}

KILOBYTE, MEGABYTE = 1024, 1_000_000
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far a night has come: projects that are done, seconds and CPU seconds since its start, peaks in bytes."""

    done: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    command: int = 0
    children: int = 0


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks at a night once a second: `moments`, in order."""

    database: Path
    began: float = field(default_factory=time.monotonic)
    moments: list[Moment] = field(default_factory=lambda: [Moment()])

    def look(self, pid: int) -> None:
        now = time.monotonic() - self.began
        last = self.moments[-1]
        if now - last.seconds < LOOK_SECONDS:
            return
        children = list(children_of(pid))
        self.moments.append(
            Moment(
                done=max(last.done, done_projects(self.database)),
                seconds=now,
                # One that has ended and is not yet counted with its parent is missed for a moment.
                cpu=max(last.cpu, cpu_of(pid) + sum(map(cpu_of, children))),
                command=max(last.command, peak_of(pid)),
                children=max([last.children, *map(peak_of, children)]),
            )
        )

    def when(self, done: int) -> Moment:
        """The first moment at which so many projects were done."""
        return next((moment for moment in self.moments if moment.done >= done), self.moments[-1])


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "scale")
    made.add_argument("--replicate", type=int, default=100, help="how often the corpus is served (100)")
    made.add_argument("--projects", type=int, metavar="N", help="the first N of these projects only")
    options = made.parse_args(arguments)
    with (
        working_folder(options) as folder,
        serve(
            options.shared, "--replicate", str(options.replicate), "--no-limits", "--log-max", "1000000"
        ) as services,
    ):
        projects = load_seeds(options.shared, options.replicate)[: options.projects]
        desk = set_up(services, folder / "desk", seeds=write_seeds(folder / "seeds.yaml", projects))
        services.take_log()
        watch = Watch(database=desk.database)
        done = desk.night(watch=watch.look)
        figures: dict[str, object] = {
            "requests": requests_by_service(services.take_log()),
            "peak memory of the server, MB": peak_of(services.process.pid) / MEGABYTE,
        }
    return report({**of_night(len(projects), done, watch), **figures}, BOUNDS, options.json)


def of_night(projects: int, done: Done, watch: Watch) -> dict[str, object]:
    """The figures of the night, and how its last third compares with its first."""
    end = Moment(done=projects, seconds=done.seconds, cpu=done.cpu)
    first, second = watch.when(projects // 3), watch.when(projects * 2 // 3)
    told = done.report
    say(f"{projects} projects: {done.seconds:.0f} s, {done.cpu:.0f} s CPU")
    return {
        "projects": projects,
        **{name: told[name] for name in ("artifacts", "new_snapshots", "failed")},
        **{f"seconds, {which} third": b.seconds - a.seconds for which, a, b in _thirds(first, second, end)},
        **{f"CPU seconds, {which} third": b.cpu - a.cpu for which, a, b in _thirds(first, second, end)},
        "peak memory after the first third, MB": first.command / MEGABYTE,
        "peak memory after the second third, MB": second.command / MEGABYTE,
        "peak memory of the command, MB": watch.moments[-1].command / MEGABYTE,
        "peak memory of any process it started, MB": watch.moments[-1].children / MEGABYTE,
        "CPU " + LINEAR: (end.cpu - second.cpu) / (first.cpu or 1.0),
        LINEAR: (end.seconds - second.seconds) / (first.seconds or 1.0),
        "internal errors": len(told["internal_errors"]),
    }


def _thirds(first: Moment, second: Moment, end: Moment) -> list[tuple[str, Moment, Moment]]:
    return [("first", Moment(), first), ("second", first, second), ("last", second, end)]


def done_projects(database: Path) -> int:
    """How many projects the night is done with; 0 where that cannot be told at the moment."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("SELECT count(*) FROM run_projects").fetchone()[0])
    return 0


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of those that it has started and waited for; 0 when it is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


def peak_of(pid: int) -> int:
    """The most memory that a process has had so far, as the system has noted it; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KILOBYTE
    return 0


def children_of(pid: int) -> Iterator[int]:
    """The programs that a process has started and that still run."""
    own = arguments_of(pid)
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                # Until it has become another program it shows the memory of the one that starts it.
                if arguments_of(child) != own:
                    yield child


def arguments_of(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


if __name__ == "__main__":
    sys.exit(main())
