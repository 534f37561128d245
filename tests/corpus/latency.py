"""How long a night takes when every answer does: `make bench ARGS=latency`.

The server delays every answer by `--latency-ms` on average, and tokens are given, so nobody has to
wait for a limit. A cold and a warm night are run, each on a database of its own that is made before.

The least possible time of a night, by the requests that it made: services are asked side by side, so
the slowest of them counts.

    GitHub, Hub    requests x mean latency / how many are asked at once
    PyPI, arXiv    requests x mean latency: one after the other
    pages          requests x mean latency / how many the worker asks at once; one server plays all
                   hosts, so that what is kept to at each of them does not count

    least possible = the largest of these, and nothing else: no time for computing, none for learning
                     from one answer what the next question is
    one by one     = all requests x mean latency

How many are asked at once is read from what asks them. "Reading" is the time between the
first request and the end of the last answer, as the server saw it; the whole night has the start of
the program, the rating and the report around that.

What the required figures do not tell apart is told beside them. A night computes, and so does the
server, on the same cores; other programs may, too. The core seconds of the night (its wall time by the
cores of the machine) are divided into those of the night with all its processes, of the server, of
everybody else and of the host of a virtual machine, which gave them to others (what these two take makes
the night longer), and those that were idle: nothing but waiting.
"Least possible for computing" is what the night and the server have computed, spread over all cores:
no night that computes as much can be quicker on this machine, however it waits.
"""

from __future__ import annotations

import compileall
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world import (
    ROOT,
    Desk,
    Done,
    Services,
    load_seeds,
    parser,
    report,
    requests_by_service,
    serve,
    set_up,
    working_folder,
    write_seeds,
)

from crawler.sources.github import GitHubSource
from crawler.turns import HUB_AT_ONCE
from spiders.protocol import Limits

BOUNDS = {
    "wall time as a multiple of the least possible, cold": ("<=", 1.5),
    "wall time as a multiple of the least possible, warm": ("<=", 1.5),
    "times faster than one by one, cold": (">=", 8.0),
    "times faster than one by one, warm": (">=", 8.0),
}

PACKAGES = ("crawler", "db", "pipelines", "spiders")

SERIAL = 1
"""PyPI and arXiv are asked one thing at a time."""


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "latency")
    made.add_argument("--latency-ms", type=float, default=100, help="mean delay of every answer (100)")
    made.add_argument("--projects", type=int, metavar="N", help="the first N projects only")
    made.add_argument("--replicate", type=int, default=1, metavar="N", help="every project N times (1)")
    options = made.parse_args(arguments)
    at_once = asked_at_once()
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, object] = {
        "mean latency": options.latency_ms / 1000,
        "asked at once": at_once,
        "cores, which the server shares": cores,
    }
    for package in PACKAGES:
        # A program that is installed has its bytecode; a checkout has it after the first run.
        compileall.compile_dir(ROOT / package, quiet=2)
    copies = options.replicate
    with (
        working_folder(options) as folder,
        serve(options.shared, "--no-limits", "--replicate", str(copies)) as services,
    ):
        projects = load_seeds(options.shared, copies)[: options.projects]
        seeds = write_seeds(folder / "seeds.yaml", projects)
        desk = set_up(
            services, folder / "desk", seeds=seeds, HF_TOKEN="recorded-hub-token", PYTHONDONTWRITEBYTECODE=""
        )
        services.control("latency", {"mean_ms": options.latency_ms})
        for name in ("cold", "warm"):
            done, log, machine = night(services, desk)
            values = measured(done, log, at_once, options)
            values |= computing(done, machine, cores, least=values["least possible"])
            figures |= {f"{key}, {name}": value for key, value in values.items()}
    return report(figures, BOUNDS, options.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """CPU seconds of the server, of everybody on the machine (the server included), of its host, and of nobody."""

    server: float
    busy: float
    stolen: float
    idle: float

    def since(self, before: Machine) -> Machine:
        return Machine(
            server=self.server - before.server,
            busy=self.busy - before.busy,
            stolen=self.stolen - before.stolen,
            idle=self.idle - before.idle,
        )

    @classmethod
    def now(cls, server: int) -> Machine:
        """What the system has counted so far."""
        own = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        total = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        ticks = os.sysconf("SC_CLK_TCK")
        # The fourth and fifth are idle, and idle while something is written or read; the eighth is stolen.
        idle, stolen = sum(total[3:5]), total[7]
        return cls(
            server=(int(own[11]) + int(own[12])) / ticks,
            busy=(sum(total) - idle - stolen) / ticks,
            stolen=stolen / ticks,
            idle=idle / ticks,
        )


def night(services: Services, desk: Desk) -> tuple[Done, list[dict[str, Any]], Machine]:
    services.take_log()
    before = Machine.now(services.process.pid)
    done = desk.night()
    machine = Machine.now(services.process.pid).since(before)
    return done, services.take_log(), machine


def computing(done: Done, machine: Machine, cores: int, *, least: Any) -> dict[str, object]:
    """Who computed in a night, and how long nobody did."""
    computed = done.cpu + machine.server
    return {
        "CPU seconds of the night": done.cpu,
        "CPU seconds of the server": machine.server,
        "CPU seconds of everybody else": max(0.0, machine.busy - computed),
        "CPU seconds that the machine's host took": machine.stolen,
        "core seconds of waiting": machine.idle,
        "least possible for computing": computed / cores,
        "wall time as a multiple of whichever is larger": done.seconds / max(least, computed / cores),
    }


def asked_at_once() -> dict[str, int]:
    """How many requests each service is asked at once, by the sources' own defaults."""
    return {
        "github": default_of(GitHubSource, "max_workers"),
        "hf": HUB_AT_ONCE,
        "pypi": SERIAL,
        "arxiv": SERIAL,
        "web": Limits().concurrency,
    }


def default_of(source: type, name: str) -> int:
    """What a source takes for an argument that nobody gives."""
    return int(inspect.signature(source).parameters[name].default)


def measured(
    done: Done, log: Sequence[Mapping[str, Any]], at_once: Mapping[str, int], options: Any
) -> dict[str, object]:
    """The figures of one night."""
    mean = options.latency_ms / 1000
    least = least_possible(log, at_once, mean)
    one_by_one = len(log) * mean
    ends = [entry["t"] + entry["seconds"] for entry in log]
    reading = max(ends) - min(entry["t"] for entry in log)
    return {
        "requests": requests_by_service(log),
        "least possible, by service": {name: round(seconds, 2) for name, seconds in least.items()},
        "least possible": max(least.values()),
        "wall time": done.seconds,
        "wall time of reading": reading,
        "wall time as a multiple of the least possible": done.seconds / max(least.values()),
        "reading as a multiple of the least possible": reading / max(least.values()),
        "one by one": one_by_one,
        "times faster than one by one": one_by_one / done.seconds,
    }


def least_possible(
    log: Sequence[Mapping[str, Any]], at_once: Mapping[str, int], mean: float
) -> dict[str, float]:
    """Seconds that each service takes at least for the requests that it got."""
    return {service: number * mean / at_once[service] for service, number in requests_by_service(log).items()}


if __name__ == "__main__":
    sys.exit(main())
