"""Nights that are killed: `make bench ARGS=kills`.

An undisturbed first night, and an undisturbed second one after some documents have changed, say what
there is to be found, and how long a night takes. Then `openness nightly` is killed (SIGKILL to its
process group) at random moments between its start and the end of such a night, and started again,
until it gets to its end. A part of the kills strikes first nights on an empty database, the others
second nights. After every kill the worker process has to end by itself, and `openness db check` and
`openness archive verify` have to find nothing. After every night that got to its end evidence,
proposals and stored snapshots have to be those of the undisturbed one, and nothing may be left over.

Before the night that gets to its end a day goes by, as far as left-over files can tell: their times
are put back. Needs /proc.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from state import State, difference, load_state, shown
from world import (
    WHOLE,
    Broken,
    Desk,
    Services,
    load_seeds,
    parser,
    report,
    say,
    serve,
    set_up,
    working_folder,
    write_seeds,
)

BOUNDS = {
    "kills that struck": (">=", 25),
    "half-rated cells after a kill": ("<=", 0),
    "evidence and artifacts that are off": ("<=", 0),
    "proposals that are off": ("<=", 0),
    "stored snapshots that are off": ("<=", 0),
    "orphaned rows": ("<=", 0),
    "orphaned files": ("<=", 0),
    "unsound databases or archives": ("<=", 0),
    "worker processes left over": ("<=", 0),
    "nights that could not be gone on with": ("<=", 0),
}

EARLIEST = 0.2
WORKER_PATIENCE = 15.0
"""How long a worker may take to notice that nobody listens any more."""
DAY = 86_400

ORPHANS = {
    "runs that never ended": "SELECT id FROM runs WHERE status = 'running'",
    "parts that no visit is of": "SELECT id FROM parts WHERE id NOT IN (SELECT part_id FROM visits)",
    "snapshots that no visit read": "SELECT id FROM snapshots WHERE id NOT IN"
    " (SELECT snapshot_id FROM visits WHERE snapshot_id IS NOT NULL)",
    "snapshots that nothing has extracted": "SELECT id FROM snapshots WHERE id NOT IN (SELECT snapshot_id FROM extractions)",
    "evidence without an extraction": "SELECT id FROM evidence WHERE extraction_id IS NULL",
    "artifacts without a project": "SELECT id FROM artifacts WHERE id NOT IN (SELECT artifact_id FROM project_artifacts)",
    # An absence that nobody has confirmed is asked for once more where a rule comes to rest on it (`crawler.gather_doubts`).
    "parts that a run visited twice": "SELECT part_id FROM visits"
    " GROUP BY run_id, part_id, status = 'missing' AND http_status IS NULL HAVING count(*) > 1",
    "findings without a proposal": "SELECT id FROM findings WHERE proposal_id NOT IN (SELECT id FROM proposals)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A night that nothing disturbs: the desk it begins with, and what it comes to."""

    name: str
    start: Desk
    before: State
    end: State
    digests: frozenset[str]
    orphans: Mapping[str, int]
    seconds: float
    requests: int


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "kills")
    made.add_argument("--kills", type=int, default=25, help="how often a night is killed (25)")
    made.add_argument("--seed", type=int, default=1, help="for the moments (1)")
    made.add_argument("--projects", type=int, metavar="N", help="the first N projects only")
    made.add_argument("--latency-ms", type=int, default=20, help="mean delay of every answer (20)")
    options = made.parse_args(arguments)
    chance = random.Random(options.seed)
    in_second = options.kills // 3
    with working_folder(options) as folder:
        seeds = write_seeds(folder / "seeds.yaml", load_seeds(options.shared)[: options.projects])
        with serve(options.shared, "--latency-ms", str(options.latency_ms), "--no-limits") as services:
            start = set_up(services, folder / "start", seeds=seeds)
            first, end = undisturbed(services, "first", start, folder)
            found = strike(services, folder, first, options.kills - in_second, chance)
            services.control("touch", changes(options.shared / "corpus"))
            second, _ = undisturbed(services, "second", end, folder)
            found += strike(services, folder, second, in_second, chance)
    bounds = {**BOUNDS, "kills that struck": (">=", options.kills)}
    figures = {name: found[name] for name in bounds}
    return report({**figures, **dict(sorted(found.items()))}, bounds, options.json)


def undisturbed(services: Services, name: str, start: Desk, folder: Path) -> tuple[Stage, Desk]:
    """Run a night that nothing disturbs on a copy of a desk; the stage, and the copy."""
    desk = start.copy(folder / f"undisturbed-{name}")
    services.take_log()
    done = desk.night()
    stage = Stage(
        name=name,
        start=start,
        before=load_state(start),
        end=load_state(desk),
        digests=frozenset(digests_of(desk)),
        orphans=orphaned_rows(desk),
        seconds=done.seconds,
        requests=len(services.take_log()),
    )
    say(
        f"the {name} night, undisturbed: {stage.seconds:.1f} s, {stage.requests} requests, {len(stage.digests)} bodies"
    )
    return stage, desk


def changes(corpus: Path) -> list[dict[str, object]]:
    """What the second night finds: a paragraph more in every other README and card, a repository that is gone."""
    repositories = sorted(path.parent.relative_to(corpus) for path in corpus.glob("github/*/*/repo.json"))
    documents = [*corpus.glob("github/*/*/files/README.md"), *corpus.glob("huggingface/*/*/*/README.md")]
    gone = repositories[-1]
    return [
        *(
            {"path": str(path), "append": "\n\nThe weights are released under the MIT License.\n"}
            for path in sorted(document.relative_to(corpus) for document in documents)[::2]
            if gone not in path.parents
        ),
        {"path": str(gone), "delete": True},
    ]


def strike(services: Services, folder: Path, stage: Stage, kills: int, chance: random.Random) -> Counter[str]:
    """Kill nights of a stage that often, and go on each time, until the last one gets to its end."""
    found: Counter[str] = Counter()
    latest = stage.seconds
    number = 0
    while (left := kills - found["kills that struck"]) > 0:
        number += 1
        desk = stage.start.copy(folder / f"killed-{stage.name}-{number}")
        services.take_log()
        code, struck = None, 0
        while code is None and struck < left:
            moment = chance.uniform(EARLIEST, latest)
            began = time.monotonic()
            code = run_until(desk, moment)
            found["starts"] += 1
            if code is None:
                say(f"{desk.folder.name}: killed after {moment:.2f} s")
                struck += 1
                found += after_a_kill(desk, stage)
            else:
                say(f"{desk.folder.name}: got to its end before {moment:.2f} s")
                found["nights that could not be gone on with"] += code not in WHOLE
                latest = latest if struck else time.monotonic() - began
        found["kills that struck"] += struck
        if struck:
            requests = None if code is None else len(services.take_log())
            put_back_times(desk)
            found += at_the_end(desk, stage)
            requests = len(services.take_log()) if requests is None else requests
            found["requests beyond those of undisturbed nights"] += requests - stage.requests
        shutil.rmtree(desk.folder, ignore_errors=True)
    return found


def run_until(desk: Desk, moment: float) -> int | None:
    """Start a night and kill it at that moment; its exit code if it gets to its end before."""
    process = desk.start("nightly", "--json")
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def after_a_kill(desk: Desk, stage: Stage) -> Counter[str]:
    """Nobody of the night lives on, what it has stored is sound, and no class rests on half of it."""
    found: Counter[str] = Counter()
    deadline = time.monotonic() + WORKER_PATIENCE
    while (alive := list(processes_of(desk))) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in alive:
        say(f"  process {pid} lives on")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    found["worker processes left over"] += len(alive)
    problems = desk.problems()
    for problem in problems:
        say(f"  {problem}")
    found["unsound databases or archives"] += bool(problems)
    for cell, rating in load_state(desk).classes.items():
        allowed = {stage.before.classes.get(cell), stage.end.classes.get(cell)}
        if rating not in allowed:
            say(f"  {' '.join(cell)}: {shown(rating)}, {' or '.join(map(shown, allowed))} expected")
            found["half-rated cells after a kill"] += 1
    return found


def at_the_end(desk: Desk, stage: Stage) -> Counter[str]:
    """A night that nothing disturbs any more, and whether all is as if nothing had been."""
    found: Counter[str] = Counter()
    try:
        done = desk.night(codes=WHOLE)
    except Broken as error:
        say(f"  {error}")
        found["nights that could not be gone on with"] += 1
        return found
    found["seconds of nights that were gone on with"] += round(done.seconds)
    off = difference(load_state(desk), stage.end)
    for line in off.lines():
        say(f"  {line}")
    found["evidence and artifacts that are off"] += len(off.artifacts) + len(off.evidence)
    found["proposals that are off"] += len(off.proposals)
    digests = digests_of(desk)
    found["stored snapshots that are off"] += len(digests ^ stage.digests)
    for name, number in orphaned_rows(desk).items():
        if number > stage.orphans[name]:
            say(f"  {number - stage.orphans[name]} {name}")
            found["orphaned rows"] += number - stage.orphans[name]
    bodies = {path.name.split(".")[0]: path for path in desk.archive.rglob("*") if path.is_file()}
    left_over = [bodies[name] for name in sorted(bodies.keys() - digests)] + sorted(desk.scratch.iterdir())
    for path in left_over:
        say(f"  left over: {path.relative_to(desk.folder)}")
    found["orphaned files"] += len(left_over)
    problems = desk.problems()
    for problem in problems:
        say(f"  {problem}")
    found["unsound databases or archives"] += bool(problems)
    return found


def digests_of(desk: Desk) -> set[str]:
    """The digests of all stored snapshots."""
    with contextlib.closing(sqlite3.connect(desk.database)) as connection:
        return {digest for (digest,) in connection.execute("SELECT sha256 FROM snapshots")}


def orphaned_rows(desk: Desk) -> dict[str, int]:
    """How many rows there are of each kind that a cut-off run may not leave behind."""
    with contextlib.closing(sqlite3.connect(desk.database)) as connection:
        return {name: len(connection.execute(query).fetchall()) for name, query in ORPHANS.items()}


def processes_of(desk: Desk) -> Iterator[int]:
    """The processes that are alive and name this desk's folder in their arguments or their environment."""
    wanted = str(desk.folder).encode() + b"/"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if state != "Z" and wanted in told and int(folder.name) != os.getpid():
            yield int(folder.name)


def put_back_times(desk: Desk) -> None:
    """Let a day go by for everything that a killed night may have left lying about."""
    then = time.time() - 2 * DAY
    for place in (desk.scratch, desk.archive / "tmp"):
        for path in [*place.rglob("*")]:
            os.utime(path, (then, then))


if __name__ == "__main__":
    sys.exit(main())
