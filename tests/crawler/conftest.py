"""A shelf: a database and an archive of an invented project, with short ways to fill them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from crawler.archive import Archive
from db.save import begin_run, save_extraction, save_projects, save_visit
from db.session import make_engine, session_scope, upgrade
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Capture,
    Project,
    Role,
    Visit,
    VisitStatus,
    digest_bytes,
)


@dataclass
class Shelf:
    engine: Engine
    archive: Archive
    now: datetime = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
    run_id: int = 0
    card: ArtifactRef = field(default=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="hazelmoor/brindle-3b"))
    page: ArtifactRef = field(default=ArtifactRef(kind=ArtifactKind.WEB, id="https://brindle.example/"))

    def __post_init__(self) -> None:
        artifacts = (
            Artifact(ref=self.card, role=Role.RL_WEIGHTS),
            Artifact(ref=self.page, role=Role.HOMEPAGE),
        )
        with session_scope(self.engine, write=True) as session:
            save_projects(session, [Project(slug="brindle", name="Brindle", artifacts=artifacts)], self.now)
            self.run_id = begin_run(session, "nightly", self.now, 4711, "larch")

    def later(self, days: float = 1) -> datetime:
        self.now += timedelta(days=days)
        return self.now

    def read(
        self,
        body: bytes | None,
        *,
        ref: ArtifactRef | None = None,
        part: str = "card",
        url: str = "",
        http_status: int | None = 200,
        media_type: str = "text/markdown",
        **validators: str,
    ) -> str:
        """Visit a part and read these bytes, or None: it is unchanged. The digest of the bytes."""
        visit = Visit(
            ref=ref or self.card,
            part=part,
            url=url or f"https://models.example/{(ref or self.card).id}",
            at=self.now,
            status=VisitStatus.UNCHANGED if body is None else VisitStatus.OK,
            http_status=http_status,
            capture=None if body is None else Capture(body=body, media_type=media_type, **validators),
        )
        with session_scope(self.engine, write=True) as session:
            saved = save_visit(session, self.archive, self.run_id, visit)
            save_extraction(session, saved.snapshot_id, "1", [])
        return "" if body is None else digest_bytes(body)

    def file(self, sha256: str) -> Path:
        return self.archive.path / sha256[:2] / sha256[2:4] / f"{sha256}.gz"


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("empty") / "openness.db"
    engine = make_engine(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    return file


@pytest.fixture
def shelf(tmp_path: Path, _empty_database: Path) -> Iterator[Shelf]:
    file = tmp_path / "openness.db"
    shutil.copy(_empty_database, file)
    engine = make_engine(f"sqlite:///{file}")
    yield Shelf(engine=engine, archive=Archive(tmp_path / "archive"))
    engine.dispose()
