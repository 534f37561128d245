"""Databases to test with, and invented projects to put into them."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import make_url

from crawler.archive import Archive
from db.models import APPEND_ONLY, Base
from db.save import begin_run, save_extraction, save_projects, save_proposal, save_visit
from db.session import make_engine, session_scope, upgrade
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Capture,
    Evidence,
    FieldValue,
    Finding,
    Outcome,
    Project,
    Proposal,
    Quote,
    Rating,
    Role,
    Visit,
    VisitStatus,
    digest_bytes,
    digest_of,
)

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
# Read here, since tests see none of the variables of the person who runs them.
GIVEN_SERVER = os.environ.get("OPENNESS_TEST_POSTGRESQL_URL")
REPOSITORY = ArtifactRef(kind=ArtifactKind.GITHUB, id="hazelmoor/brindle")
CARD = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="hazelmoor/brindle-3b")


def _unavailable(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"PostgreSQL must be tested in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def _binaries() -> Path | None:
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda name: int(name.split("/")[4]))
    if (found := shutil.which("initdb")) is not None:
        folders.insert(0, str(Path(found).resolve().parent))
    usable = [
        Path(name) for name in folders if all((Path(name) / tool).exists() for tool in ("initdb", "pg_ctl"))
    ]
    return usable[-1] if usable else None


def _unprivileged() -> dict[str, object]:
    """How to start a program that refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a database that may create others: the given server, else a private one."""
    if GIVEN_SERVER:
        yield GIVEN_SERVER
        return
    binaries = _binaries()
    if binaries is None:
        _unavailable("neither OPENNESS_TEST_POSTGRESQL_URL is set nor are initdb and pg_ctl installed")
    # Not under pytest's own folder: another user must get in, and socket paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="openness-pg-"))
    user = _unprivileged()
    if user:
        os.chown(folder, int(str(user["user"])), int(str(user["group"])))
    data = folder / "data"
    start = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"

    def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(binaries / tool), "-D", str(data), *arguments]
        log = folder / f"{tool}.out"
        # A file, since a pipe would stay open in the server.
        with log.open("a+", encoding="utf-8") as out:
            done = subprocess.run(
                command, stdout=out, stderr=out, cwd=folder, timeout=60, check=False, **user
            )
            out.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, stdout=out.read()[-500:])

    try:
        done = run(
            "initdb", "--auth=trust", "--username=openness", "--no-sync", "--locale=C", "--encoding=UTF8"
        )
        if done.returncode == 0:
            done = run("pg_ctl", "-o", start, "-l", str(folder / "log"), "-w", "-t", "30", "start")
        if done.returncode != 0:
            _unavailable(f"no private PostgreSQL server could be started: {done.stdout}")
        yield f"postgresql://openness@/postgres?host={folder}"
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """Creates and drops databases."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.admin = make_engine(self.url).execution_options(isolation_level="AUTOCOMMIT")
        self.made: list[str] = []

    def create(self) -> str:
        name = f"openness_test_{secrets.token_hex(6)}"
        with self.admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        self.made.append(name)
        return name

    def drop(self, name: str) -> None:
        with self.admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def url_of(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def _server(postgresql_server: str) -> Iterator[_Server]:
    server = _Server(postgresql_server)
    yield server
    for name in server.made:
        server.drop(name)
    server.admin.dispose()


@dataclass
class _Shared:
    """A PostgreSQL database that all tests use in turn."""

    url: str
    engine: Engine

    def empty(self) -> None:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        with self.engine.connect() as connection:
            for toggle in ("DISABLE", "ENABLE"):
                for table in APPEND_ONLY:
                    connection.execute(text(f"ALTER TABLE {table} {toggle} TRIGGER USER"))
                if toggle == "DISABLE":
                    connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
            connection.commit()


@pytest.fixture(scope="session")
def _shared(_server: _Server) -> Iterator[_Shared]:
    url = _server.url_of(_server.create())
    engine = make_engine(url)
    upgrade(engine)
    yield _Shared(url=url, engine=engine)
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and nothing in it."""
    file = tmp_path_factory.mktemp("template") / "empty.db"
    engine = make_engine(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def memory_engine(sqlite_template: Path) -> Callable[[], Engine]:
    """Makes databases in memory with the newest schema, quickly enough for every example of a property."""
    connection = sqlite3.connect(sqlite_template)
    schema = "\n".join(connection.iterdump())
    connection.close()

    def make() -> Engine:
        engine = make_engine("sqlite://")
        raw = engine.raw_connection()
        raw.driver_connection.executescript(schema)
        raw.close()
        return engine

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'openness.db'}"
        return
    server = request.getfixturevalue("_server")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


@dataclass
class _SharedFile:
    """A SQLite file that all tests use in turn: a new engine would compile every statement anew."""

    file: Path
    engine: Engine
    template: Path

    def empty(self) -> None:
        self.engine.dispose()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        shutil.copy(self.template, self.file)


@pytest.fixture(scope="session")
def _shared_file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[_SharedFile]:
    file = tmp_path_factory.mktemp("shared") / "openness.db"
    engine = make_engine(f"sqlite:///{file}")
    # Nobody pulls the plug of a test, and waiting for the disk is most of its time.
    event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA synchronous = off"))
    shared = _SharedFile(file=file, engine=engine, template=sqlite_template)
    shared.empty()
    yield shared
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def _database(request: pytest.FixtureRequest) -> Iterator[tuple[str, Engine]]:
    if request.param == "sqlite":
        shared = request.getfixturevalue("_shared_file")
        yield f"sqlite:///{shared.file}", shared.engine
    else:
        shared = request.getfixturevalue("_shared")
        yield shared.url, shared.engine
    shared.empty()


@pytest.fixture
def url(_database: tuple[str, Engine]) -> str:
    """A database with the newest schema and nothing in it."""
    return _database[0]


@pytest.fixture
def engine(_database: tuple[str, Engine]) -> Engine:
    return _database[1]


def project(slug: str, *artifacts: Artifact, name: str = "") -> Project:
    return Project(
        slug=slug, name=name or slug.title(), org="Hazelmoor", llmbase=("Brindle base",), artifacts=artifacts
    )


@dataclass
class Desk:
    """A database with the invented project brindle, and short ways to fill it."""

    engine: Engine
    archive: Archive
    now: datetime = NOW
    run_id: int = 0
    counter: int = 0
    project: Callable[..., Project] = field(default=project)
    repository: ArtifactRef = REPOSITORY
    card: ArtifactRef = CARD

    def seed(self, *slugs: str) -> None:
        artifacts = (Artifact(ref=CARD, role=Role.RL_WEIGHTS), Artifact(ref=REPOSITORY, role=Role.CODE))
        with session_scope(self.engine, write=True) as session:
            save_projects(session, [project(slug, *artifacts) for slug in slugs or ("brindle",)], self.now)
            self.run_id = begin_run(session, "nightly", self.now, 4711, "larch")

    def later(self, **delta: float) -> datetime:
        self.now += timedelta(**(delta or {"days": 1}))
        return self.now

    def visit(
        self,
        body: bytes | None,
        *,
        ref: ArtifactRef = CARD,
        part: str = "card",
        status: VisitStatus = VisitStatus.OK,
        **more: str,
    ) -> Visit:
        capture = None if body is None else Capture(body=body, media_type="text/markdown", **more)
        reason = "" if status in {VisitStatus.OK, VisitStatus.UNCHANGED} else f"it was {status}"
        return Visit(
            ref=ref,
            part=part,
            url=f"https://models.example/{ref.id}#{part}",
            at=self.now,
            status=status,
            capture=capture,
            reason=reason,
        )

    def save(self, visit: Visit):
        with session_scope(self.engine, write=True) as session:
            return save_visit(session, self.archive, self.run_id, visit)

    def evidence(self, body: bytes, quote: str, *, ref: ArtifactRef = CARD, part: str = "card") -> Evidence:
        start = body.decode().index(quote)
        return Evidence(
            kind="claim",
            ref=ref,
            part=part,
            url=f"https://models.example/{ref.id}#{part}",
            fetched_at=self.now,
            sha256=digest_bytes(body),
            where=Quote(start=start, end=start + len(quote), text=quote),
            value={"says": quote.lower()},
        )

    def read(self, body: bytes, *quotes: str, version: str = "1") -> list[Evidence]:
        """Visit the card, find these quotes in it and store them."""
        saved = self.save(self.visit(body))
        found = [self.evidence(body, quote) for quote in quotes]
        with session_scope(self.engine, write=True) as session:
            save_extraction(session, saved.snapshot_id, version, found)
        return found

    def field_evidence(self, body: bytes, path: str, value: object) -> Evidence:
        return Evidence(
            kind="field",
            ref=CARD,
            part="card",
            url=f"https://models.example/{CARD.id}#card",
            fetched_at=self.now,
            sha256=digest_bytes(body),
            where=FieldValue(path=path, value=value),
            value={"is": value},
        )

    def proposal(
        self,
        rating: Rating | None,
        *evidence: Evidence,
        slug: str = "brindle",
        dimension: str = "license",
        digest: str = "",
        confidence: float = 0.8,
        version: int = 1,
    ) -> Proposal:
        return Proposal(
            slug=slug,
            dimension=dimension,
            rating=rating,
            confidence=confidence,
            rationale=f"the card makes it {rating}",
            rule=dimension,
            rule_version=version,
            rubric_digest="rubric-1",
            evidence_digest=digest or digest_of(sorted(item.key for item in evidence)),
            findings=(
                Finding(check="names_terms", outcome=Outcome.YES, evidence=evidence, note="in the card"),
                Finding(check="names_data", outcome=Outcome.CANNOT_TELL, searched=("card", "paper")),
            ),
            evidence=evidence,
            searched=("paper",),
            link="https://models.example/terms",
        )

    def propose(self, rating: Rating | None, *evidence: Evidence, **more) -> int:
        """Store a proposal; the id of the current one of its cell."""
        from db.load import load_proposals

        made = self.proposal(rating, *evidence, **more)
        with session_scope(self.engine, write=True) as session:
            save_proposal(session, made, self.run_id or None, self.now)
            stored = load_proposals(session, slugs=[made.slug], dimensions=[made.dimension])
        return stored[0].id


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    made = Desk(engine=engine, archive=Archive(tmp_path / "archive"))
    made.seed()
    return made


@pytest.fixture
def make_desk() -> Callable[[Engine, Archive], Desk]:
    def make(engine: Engine, archive: Archive) -> Desk:
        made = Desk(engine=engine, archive=archive)
        made.seed()
        return made

    return make
