"""Nights with thousands of projects: `make bench ARGS=scale`.

The corpus is served `--replicate` times over, which makes so many times thirty projects. Each night
begins with an empty database: one with the first third of the projects, one with two thirds, one with
all. The last third may take at most 1.2 times as long as the first (the time of all less that of two
thirds, against the time of one third), and no process may need more than 400 MB at its peak.

Wall times mean something on a machine with nothing else to do, so CPU seconds are given beside them.
Where a night is not linear, the rates within the largest one show where. Needs /proc.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

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


@dataclass(slots=True, kw_only=True)
class Peaks:
    """The most memory in bytes that a process and any one that it started have had."""

    command: int = 0
    children: int = 0

    def look(self, pid: int) -> None:
        """Take what the system has noted so far of a process and of those that it started."""
        self.command = max(self.command, peak_of(pid))
        self.children = max([self.children, *(peak_of(child) for child in children_of(pid))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A night with so many projects, and what the server did for it."""

    projects: int
    done: Done
    peaks: Peaks = field(default_factory=Peaks)
    requests: dict[str, int]
    server: int

    def figures(self) -> dict[str, object]:
        told: dict[str, Any] = self.done.report
        return {
            "artifacts": told["artifacts"],
            "new snapshots": told["new_snapshots"],
            "failed visits": told["failed"],
            "requests": self.requests,
            "seconds": self.done.seconds,
            "CPU seconds": self.done.cpu,
            "peak memory of the command, MB": self.peaks.command / MEGABYTE,
            "peak memory of any process it started, MB": self.peaks.children / MEGABYTE,
            "peak memory of the server, MB": self.server / MEGABYTE,
        }


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "scale")
    made.add_argument("--replicate", type=int, default=100, help="how often the corpus is served (100)")
    made.add_argument("--projects", type=int, metavar="N", help="the first N of these projects only")
    made.add_argument(
        "--once", action="store_true", help="only the night with all projects, so no comparison"
    )
    options = made.parse_args(arguments)
    with working_folder(options) as folder:
        projects = load_seeds(options.shared, options.replicate)[: options.projects]
        nights = []
        for third in (3,) if options.once else (1, 2, 3):
            part = projects[: len(projects) * third // 3]
            nights.append(night(options.shared, folder / f"desk-{len(part)}", part, options.replicate))
        within = rates(folder / f"desk-{len(projects)}" / "openness.db")
    figures = {f"{name}, {n.projects} projects": value for n in nights for name, value in n.figures().items()}
    figures |= within
    figures |= {
        "peak memory of the command, MB": max(n.peaks.command for n in nights) / MEGABYTE,
        "peak memory of any process it started, MB": max(n.peaks.children for n in nights) / MEGABYTE,
        "internal errors": sum(len(n.done.report["internal_errors"]) for n in nights),
    }
    if options.once:
        return report(
            figures, {name: bound for name, bound in BOUNDS.items() if name != LINEAR}, options.json
        )
    first, second, last = nights
    figures |= {
        "CPU " + LINEAR: (last.done.cpu - second.done.cpu) / first.done.cpu,
        LINEAR: (last.done.seconds - second.done.seconds) / first.done.seconds,
    }
    return report(figures, BOUNDS, options.json)


def night(shared: Path, folder: Path, projects: list[dict[str, Any]], replicate: int) -> Night:
    """One cold night, with an eye on memory; what it left is kept only where that was asked for."""
    with serve(shared, "--replicate", str(replicate), "--no-limits", "--log-max", "1000000") as services:
        folder.mkdir(parents=True)
        desk = set_up(services, folder, seeds=write_seeds(folder / "seeds.yaml", projects))
        services.take_log()
        peaks = Peaks()
        done = desk.night(watch=peaks.look)
        made = Night(
            projects=len(projects),
            done=done,
            peaks=peaks,
            requests=requests_by_service(services.take_log()),
            server=peak_of(services.process.pid),
        )
    say(
        f"{made.projects} projects: {done.seconds:.0f} s, {done.cpu:.0f} s CPU,"
        f" {peaks.command / MEGABYTE:.0f} MB, its largest process {peaks.children / MEGABYTE:.0f} MB"
    )
    return made


def rates(database: Path) -> dict[str, object]:
    """Rows a second in the first and in the last third of the visits and of the proposals of a night."""
    found: dict[str, object] = {}
    queries = {
        "visits": "SELECT at FROM visits ORDER BY id",
        "proposals": "SELECT created_at FROM proposals ORDER BY id",
    }
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for name, query in queries.items():
            times = [datetime.fromisoformat(at) for (at,) in connection.execute(query)]
            third = len(times) // 3
            for which, part in (("first", times[:third]), ("last", times[-third:])):
                seconds = (max(part) - min(part)).total_seconds() if part else 0.0
                found[f"{name} a second, {which} third"] = len(part) / seconds if seconds else 0.0
    return found


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
