"""What the benchmarks share: the server of recorded services, a desk to run the command at, and tables.

A benchmark is a script with bounds. It prints a table, writes it as JSON where `--json` says, and ends
with 1 when a bound is broken, with 2 when there is no recorded corpus. Processes and folders that it
made are gone when it ends. Times are seconds, sizes bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OPENNESS = [sys.executable, "-m", "crawler"]
TOKEN = "recorded-corpus-token"
WHOLE = (0, 3)
"""Exit codes of a night that got to its end: done, and done but some sources failed."""
LOOK_EVERY = 0.2

Bounds = Mapping[str, tuple[str, float]]


class Broken(Exception):
    """Something ended otherwise than a benchmark can go on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """A running server of recorded services."""

    process: subprocess.Popen[str]
    addresses: Mapping[str, str]
    shared: Path

    def control(self, what: str, body: object = None) -> Any:
        """GET of the control plane, POST where there is a body; its JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.addresses['control']}/{what}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def take_log(self) -> list[dict[str, Any]]:
        """The requests since the last call, oldest first. What was used of the limits is forgotten as well."""
        entries: list[dict[str, Any]] = self.control("requests?limit=1000000")["requests"]
        self.forget("log", "limits")
        return [entry for entry in entries if entry["client"] != "benchmark"]

    def forget(self, *what: str) -> None:
        """Put back some of: log, limits, faults, changes, clock."""
        self.control("reset", {"only": list(what)})

    def charged(self, token: str | None) -> int:
        """What GitHub has counted against its limits since the log was taken, GraphQL by its cost."""
        headers = {"User-Agent": "benchmark", "X-Client-Id": "benchmark"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.addresses["github_api"] + "/rate_limit", headers=headers)
        with urllib.request.urlopen(request) as answer:
            resources = json.load(answer)["resources"]
        return sum(int(resources[name]["used"]) for name in ("core", "search", "graphql"))


@contextmanager
def serve(shared: Path, *options: str, corpus: Path | None = None) -> Iterator[Services]:
    """The server over the recorded corpus, or over another one, for as long as the block lasts."""
    folder = corpus or shared / "corpus"
    command = [sys.executable, "-m", "upstreams", "--corpus", str(folder), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(shared)}
    # What it says of answers that it was told to break off is no news.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True, cwd=shared
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                said.seek(0)
                raise Broken("the server did not start\n" + said.read().decode("utf-8", "replace"))
            yield Services(process=process, addresses=json.loads(line), shared=shared)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended. `cpu` counts the processes that it started and waited for, too."""

    code: int
    out: str
    err: str
    seconds: float
    cpu: float

    @property
    def report(self) -> dict[str, Any]:
        """The run report on standard output."""
        report: dict[str, Any] = json.loads(self.out)
        return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A folder with a database and an archive at which the command is run against the server."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)

    @property
    def database(self) -> Path:
        return self.folder / "openness.db"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def scratch(self) -> Path:
        """Where the command's temporary files go."""
        return self.folder / "scratch"

    def copy(self, folder: Path) -> Desk:
        """A desk of its own with the same database, archive and settings."""
        shutil.copytree(self.folder, folder)
        env = {name: value.replace(str(self.folder), str(folder)) for name, value in self.env.items()}
        return Desk(folder=folder, env=env)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command in a session of its own; what it says goes to last.out and last.err."""
        with open(self.folder / "last.out", "wb") as out, open(self.folder / "last.err", "wb") as err:
            return subprocess.Popen(
                [*OPENNESS, *arguments],
                env=dict(self.env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def run(
        self, *arguments: str, codes: Sequence[int] = (0,), watch: Callable[[int], None] | None = None
    ) -> Done:
        """Run the command to its end. Raises Broken when it ends with another code than expected.

        `watch` is called with the process id several times a second.
        """
        began = time.monotonic()
        process = self.start(*arguments)
        try:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG if watch else 0)
            while watch and not ended:
                watch(process.pid)
                time.sleep(LOOK_EVERY)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out, err = ((self.folder / f"last.{end}").read_text("utf-8") for end in ("out", "err"))
        if process.returncode not in codes:
            raise Broken(
                f"openness {' '.join(arguments)} ended with {process.returncode}, expected one of {codes}\n"
                f"{out[-3000:]}{err[-6000:]}"
            )
        cpu = usage.ru_utime + usage.ru_stime
        return Done(code=process.returncode, out=out, err=err, seconds=seconds, cpu=cpu)

    def night(self, *, codes: Sequence[int] = WHOLE, watch: Callable[[int], None] | None = None) -> Done:
        """A night with its report."""
        return self.run("nightly", "--json", codes=codes, watch=watch)

    def problems(self) -> list[str]:
        """What is unsound in database and archive, by the project's own commands."""
        found = []
        for command in (("db", "check"), ("archive", "verify")):
            done = self.run(*command, codes=range(256))
            if done.code:
                found.append(
                    f"openness {' '.join(command)}: {done.code}: {(done.out + done.err).strip()[-500:]}"
                )
        return found


def environment(services: Services, folder: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The settings of a command at a folder, pointed at the server; other settings are taken away."""
    addresses = services.addresses
    base = addresses["base"]
    ours = ("OPENNESS_", "GITHUB_", "HF_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "OPENNESS_DATABASE_URL": f"sqlite:///{folder}/openness.db",
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "GITHUB_API_URL": addresses["github_api"],
        "GITHUB_GRAPHQL_URL": addresses["github_graphql"],
        "HF_ENDPOINT": addresses["hf_endpoint"],
        "HF_HOME": str(folder / "hf"),
        "OPENNESS_PYPI_URL": base,
        "OPENNESS_ARXIV_URL": addresses["arxiv_query"],
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_WEB_GATEWAY": base + "/web/{scheme}/{host}{path}",
        "OPENNESS_ALLOW_PRIVATE_HOSTS": base.removeprefix("http://"),
        "OPENNESS_PAGE_DELAY": "0",
        "OPENNESS_LINEAGE": str(ROOT / "lineage.yaml"),
        "OPENNESS_CONTACT": "corpus-run@example.org",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "scratch"),
        **({"GITHUB_TOKEN": token} if token else {}),
    }


def set_up(
    services: Services, folder: Path, *, token: str | None = TOKEN, seeds: Path | None = None, **settings: str
) -> Desk:
    """A new desk at the server with the recorded projects (or those of a seed file) imported.

    `settings` are further variables of the environment.
    """
    desk = Desk(folder=folder, env={**environment(services, folder, token), **settings})
    for each in (folder, folder / "hf", desk.scratch):
        each.mkdir(parents=True, exist_ok=True)
    desk.run("import", "seeds", str(seeds or services.shared / "corpus" / "projects.yaml"))
    return desk


def load_seeds(shared: Path, replicate: int = 1) -> list[dict[str, Any]]:
    """The projects of the corpus, with those of its replicas."""
    command = [sys.executable, "-m", "upstreams.seeds", "--corpus", str(shared / "corpus")]
    made = subprocess.run(
        [*command, "--replicate", str(replicate)],
        env={**os.environ, "PYTHONPATH": str(shared)},
        capture_output=True,
        check=True,
    )
    projects: list[dict[str, Any]] = yaml.load(
        made.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    return projects


def write_seeds(target: Path, projects: Sequence[Mapping[str, Any]]) -> Path:
    """A seed file with these projects."""
    target.write_text(json.dumps(projects, ensure_ascii=False), encoding="utf-8")
    return target


def requests_by_service(log: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many requests of a log went to which service."""
    return dict(sorted(Counter(entry["service"] for entry in log).items()))


def bytes_by_service(log: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many body bytes the server sent, by service."""
    counted: Counter[str] = Counter()
    for entry in log:
        counted[entry["service"]] += entry["bytes"]
    return dict(sorted(counted.items()))


def parser(text: str | None, name: str) -> argparse.ArgumentParser:
    """The options that every benchmark has; `text` is its module's docstring."""
    made = argparse.ArgumentParser(prog=name, description=(text or "").splitlines()[0])
    made.add_argument(
        "--shared",
        type=Path,
        default=ROOT.parent / "shared",
        help="folder with the recorded corpus and its server",
    )
    made.add_argument("--json", type=Path, help="write the figures to this file")
    made.add_argument("--keep", type=Path, help="folder to keep databases, archives and exports in")
    return made


@contextmanager
def working_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where the desks go: the folder that is to be kept, or one that is removed in the end.

    Ends the script with 2 where there is no corpus, and cleans up when the script is told to end.
    """
    if not (options.shared / "corpus").is_dir():
        print(f"no recorded corpus at {options.shared}: nothing was run", file=sys.stderr)
        raise SystemExit(2)
    options.shared = options.shared.resolve()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="openness-corpus-", ignore_cleanup_errors=True) as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        except Broken as error:
            print(error, file=sys.stderr)
            raise SystemExit(1) from None


def report(figures: Mapping[str, object], bounds: Bounds, json_file: Path | None) -> int:
    """Print the table; 1 when a bound is not kept."""
    width = max(len(name) for name in figures)
    broken = []
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        verdict = ""
        if name in bounds:
            sign, bound = bounds[name]
            kept = value >= bound if sign == ">=" else value <= bound  # type: ignore[operator]
            verdict = f"   {'ok' if kept else 'BROKEN'} ({sign} {bound})"
            broken += [] if kept else [name]
        print(f"{name:<{width}}  {shown}{verdict}")
    broken += [f"{name} was not measured" for name in bounds if name not in figures]
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if broken:
        print(f"\nbroken: {'; '.join(broken)}")
    return 1 if broken else 0


def say(text: str) -> None:
    """A line of progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)
