"""A desk: a folder with a database and an archive at which `openness` is run against the sandbox.

The seam is the command. It runs in this process where that is enough, and as a process of its own
where signals, exit statuses or the real standard streams matter.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import crawler.cli
import db.session
from crawler.archive import Archive
from crawler.http import TransportRules
from db.load import load_runs, load_stored_snapshots
from db.proposals import load_proposals
from db.session import make_engine, session_scope
from sandbox import LINEAGE, RATINGS, SEEDS, Sandbox

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "sandbox-token-of-nobody"
SETTINGS = ("OPENNESS_", "GITHUB_", "HF_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which has to be JSON and nothing else."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A working folder and the settings with which the command is run in it.

    A desk that is only looked at keeps what commands have said, and does not run them again.
    """

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    said_before: dict[tuple[str, ...], Done] | None = None

    @property
    def database(self) -> Path:
        return self.folder / "openness.db"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def with_env(self, **changes: str | None) -> Desk:
        """The same desk with other settings; None takes one away."""
        env = {name: value for name, value in {**self.env, **changes}.items() if value is not None}
        return replace(self, env=env, said_before=None)

    def copy(self, folder: Path) -> Desk:
        """A desk of its own with the same database, archive and settings."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        env = {name: value.replace(str(self.folder), str(folder)) for name, value in self.env.items()}
        return Desk(folder=folder, env=env)

    def environment(self) -> dict[str, str]:
        """The whole environment of a process at this desk."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        return {**kept, **self.env, "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, code: int | None = 0) -> Done:
        """Run the command in this process; `code` None takes any exit code."""
        if self.said_before is not None and arguments in self.said_before:
            return self.said_before[arguments]
        out, err = io.StringIO(newline=""), io.StringIO(newline="")
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        # Set aside, as the command takes the handlers for its own and closes what it finds.
        root.handlers[:] = []
        try:
            with (
                _environment(self.environment()),
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as left,
            ):
                crawler.cli.main(list(arguments))
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        ended = left.value.code
        done = Done(code=0 if ended is None else int(ended), out=out.getvalue(), err=err.getvalue())
        if code is not None:
            assert done.code == code, f"openness {' '.join(arguments)} ended with {done.code}:\n{done.said}"
        if self.said_before is not None:
            self.said_before[arguments] = done
        return done

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command as a process of its own."""
        usual: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "crawler", *arguments],
            env=self.environment(),
            cwd=self.folder,
            **{**usual, **options},
        )

    def run_apart(self, *arguments: str, timeout: float = 60) -> Done:
        """Run the command as a process of its own and wait for its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
            process.wait()
        return Done(code=process.returncode, out=out, err=err)

    def nightly(self, *arguments: str, code: int | None = 0) -> dict[str, Any]:
        """A night and its report."""
        report: dict[str, Any] = self.run("nightly", "--json", *arguments, code=code).json
        return report

    def cells(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What `proposals list --all --json` says, by slug and dimension."""
        rows = self.run("proposals", "list", "--all", "--json").json
        return {(row["slug"], row["dimension"]): row for row in rows}

    def classes(self) -> dict[tuple[str, str], str | None]:
        """The class that is proposed for every cell; None: cannot tell."""
        return {cell: row["class"] for cell, row in self.cells().items()}

    def questions(self, *options: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The open questions, by slug and dimension."""
        rows = self.run("proposals", "list", "--json", *options).json
        return {(row["slug"], row["dimension"]): row for row in rows}

    def export(self, what: str) -> str:
        """An export as text."""
        return self.run("export", what, "-").out

    def proposed(self) -> dict[tuple[str, str], dict[str, str]]:
        """What the rules propose, by project and dimension: everything but how sure they are."""
        rows = list(csv.DictReader(io.StringIO(self.export("proposals"))))
        return {(row["slug"], row["dimension"]): row | {"confidence": ""} for row in rows}

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the database, for what no command shows."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query, values).fetchall()

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        """A reading session, for what no command shows."""
        engine = make_engine(f"sqlite:///{self.database}")
        try:
            with session_scope(engine) as session:
                yield session
        finally:
            engine.dispose()

    def proposals(self) -> list[Any]:
        """The current proposals with evidence and findings, as they are stored."""
        with self.session() as session:
            return list(load_proposals(session))

    def last_run(self) -> Any:
        """The latest run, as it is stored."""
        with self.session() as session:
            return load_runs(session, limit=1)[0]

    def bodies(self, refs: list[Any]) -> dict[tuple[str, str], Any]:
        """The standing snapshots with their bytes, by artifact and part."""
        archive = Archive(self.archive)
        with self.session() as session:
            found = [stored.read(archive) for stored in load_stored_snapshots(session, refs)]
        return {(str(snapshot.ref), snapshot.part): snapshot for snapshot in found}

    def everything_stored(self) -> bytes:
        """Every byte of database and archive, bodies unpacked, names of files included."""
        import gzip

        parts = []
        for path in sorted(self.folder.rglob("*")):
            parts.append(str(path.relative_to(self.folder)).encode())
            if path.is_file():
                body = path.read_bytes()
                parts.append(body)
                if path.suffix == ".gz":
                    parts.append(gzip.decompress(body))
        return b"\n".join(parts)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _desk(folder: Path, sandbox: Sandbox) -> Desk:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hub").mkdir(exist_ok=True)
    return Desk(
        folder=folder,
        env={
            **sandbox.addresses,
            "GITHUB_TOKEN": TOKEN,
            "OPENNESS_DATABASE_URL": f"sqlite:///{folder / 'openness.db'}",
            "OPENNESS_ARCHIVE": str(folder / "archive"),
            "OPENNESS_SEEDS": str(SEEDS),
            "OPENNESS_LINEAGE": str(LINEAGE),
            "OPENNESS_ARXIV_DELAY": "0",
            "OPENNESS_PAGE_DELAY": "0",
            "OPENNESS_CURATOR": "Test Curator",
            "OPENNESS_CONTACT": "tests@example.org",
            "HF_HOME": str(folder / "hub"),
        },
    )


def _put_back(sandbox: Sandbox, night: int = 1) -> None:
    sandbox.clear_faults()
    sandbox.set_night(night)
    sandbox.limits.reset()
    sandbox.state.tree_limit = 100_000
    sandbox.state.hub_redirect = False
    sandbox.clear_log()


@pytest.fixture(scope="session", autouse=True)
def _in_a_hurry() -> Iterator[None]:
    """Between two tries lie hundredths of a second, not seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TransportRules.__init__.__kwdefaults__, "backoff", 0.01)
        # A command asks once; hundreds of them in one process need not read the migrations anew.
        patch.setattr("db.session.head_revision", functools.cache(db.session.head_revision))
        yield


@pytest.fixture(scope="session")
def _running() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(_running: Sandbox) -> Sandbox:
    """The public services on their first night, without faults, with an empty log."""
    _put_back(_running)
    return _running


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    """A desk with nothing on it yet."""
    return _desk(tmp_path / "desk", sandbox)


@pytest.fixture(scope="session")
def _first(_running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, dict[str, Any]]:
    _put_back(_running)
    desk = _desk(tmp_path_factory.mktemp("first") / "desk", _running)
    report = desk.nightly(code=None)
    return desk, report


@pytest.fixture(scope="session")
def _second(
    _first: tuple[Desk, dict[str, Any]], _running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Desk, dict[str, Any]]:
    _put_back(_running, night=2)
    desk = _first[0].copy(tmp_path_factory.mktemp("second") / "desk")
    desk.run("import", "ratings", str(RATINGS))
    report = desk.nightly(code=None)
    return desk, report


@pytest.fixture(scope="session")
def first_night(_first: tuple[Desk, dict[str, Any]]) -> Desk:
    """A desk after the first night. Shared: only to be looked at; `night` is a copy to work on."""
    return replace(_first[0], said_before={})


@pytest.fixture(scope="session")
def first_report(_first: tuple[Desk, dict[str, Any]]) -> dict[str, Any]:
    return _first[1]


@pytest.fixture(scope="session")
def second_night(_second: tuple[Desk, dict[str, Any]]) -> Desk:
    """A desk after the published ratings were taken over and the second night was run. Only to be looked at."""
    return replace(_second[0], said_before={})


@pytest.fixture(scope="session")
def second_report(_second: tuple[Desk, dict[str, Any]]) -> dict[str, Any]:
    return _second[1]


@pytest.fixture
def night(first_night: Desk, sandbox: Sandbox, tmp_path: Path) -> Desk:
    """A copy of the first night, to be worked on."""
    return first_night.copy(tmp_path / "night")


@pytest.fixture
def late_night(second_night: Desk, sandbox: Sandbox, tmp_path: Path) -> Desk:
    """A copy of the second night, to be worked on."""
    sandbox.set_night(2)
    return second_night.copy(tmp_path / "late")


def _with_few_seeds(desk: Desk) -> Desk:
    """Two seeds of the sandbox, trellis and sorrel-chat, and no web pages: a night of half a second."""
    entries = yaml.safe_load(SEEDS.read_text(encoding="utf-8"))
    path = desk.folder / "seeds.yaml"
    few = [entry for entry in entries if entry["slug"] in ("trellis", "sorrel-chat")]
    path.write_text(json.dumps(few), encoding="utf-8")
    return desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_PAGES_PER_PROJECT="0")


@pytest.fixture
def few(desk: Desk) -> Desk:
    """A desk with nothing on it yet but two seeds."""
    return _with_few_seeds(desk)


@pytest.fixture(scope="session")
def _small(_running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    _put_back(_running)
    desk = _with_few_seeds(_desk(tmp_path_factory.mktemp("small") / "desk", _running))
    desk.nightly()
    return desk


@pytest.fixture(scope="session")
def _pages(_running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    _put_back(_running)
    desk = _desk(tmp_path_factory.mktemp("pages") / "desk", _running)
    entry = {
        "slug": "pages",
        "name": "Pages",
        "artifacts": [
            {"kind": "web", "id": f"https://{page}", "role": "homepage"}
            for page in ("fennel-hollow.example/", "larkspur.example/monkshood", "oleander.example/")
        ],
    }
    path = desk.folder / "seeds.yaml"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    desk = desk.with_env(OPENNESS_SEEDS=str(path), OPENNESS_LINKS_PER_PROJECT="0")
    desk.nightly()
    return desk


@pytest.fixture
def pages(_pages: Desk, sandbox: Sandbox, tmp_path: Path) -> Desk:
    """A copy of a first night with one project of three web pages, to be worked on."""
    return _pages.copy(tmp_path / "pages")


@pytest.fixture(scope="session")
def _absence(_running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    _put_back(_running)
    desk = _desk(tmp_path_factory.mktemp("absence") / "desk", _running)
    things = [
        ("github", "hawthorn-tools/trellis", "code"),
        ("hf_model", "quillwort/sorrel-chat-7b", "rl_weights"),
        ("pypi", "trellis-rl", "package"),
        ("arxiv", "2404.91001", "preprint"),
        ("web", "https://fennel-hollow.example/", "homepage"),
    ]
    artifacts = [{"kind": kind, "id": name, "role": role} for kind, name, role in things]
    path = desk.folder / "seeds.yaml"
    path.write_text(
        json.dumps([{"slug": "many-things", "name": "Many Things", "artifacts": artifacts}]), encoding="utf-8"
    )
    desk = desk.with_env(
        OPENNESS_SEEDS=str(path),
        OPENNESS_LINKS_PER_PROJECT="0",
        OPENNESS_LINEAGE=None,
        OPENNESS_HTTP_TIMEOUT="2",
    )
    desk.nightly()
    return desk


@pytest.fixture
def absence(_absence: Desk, sandbox: Sandbox, tmp_path: Path) -> Desk:
    """A copy of a first night over one thing of every service, to be worked on."""
    return _absence.copy(tmp_path / "absence")


@pytest.fixture
def small(_small: Desk, sandbox: Sandbox, tmp_path: Path) -> Desk:
    """A copy of a first night with two seeds, to be worked on."""
    return _small.copy(tmp_path / "small")


@pytest.fixture
def seeds(desk: Desk) -> Callable[..., Path]:
    """Writes a seed file out of entries for the desk's own projects."""

    def write(**projects: list[dict[str, str]]) -> Path:
        entries = [
            {
                "slug": slug.replace("_", "-"),
                "name": slug.replace("_", " ").title(),
                "org": "Nobody",
                "llmbase": [],
                "rlbase": [],
                "homepage": "",
                "artifacts": artifacts,
            }
            for slug, artifacts in projects.items()
        ]
        path = desk.folder / "seeds.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        return path

    return write


@pytest.fixture
def table() -> Callable[[str], list[dict[str, str]]]:
    """Reads CSV text as rows."""

    def read(text: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(text, newline="")))

    return read


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Waits until something holds, for so many seconds at most."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts commands that are ended with the test whatever happens."""
    processes: list[subprocess.Popen[str]] = []

    def start(desk: Desk, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        process = desk.start(*arguments, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
