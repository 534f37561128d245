"""The table of candidates: what discovery has found and what a curator made of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from db.base import DIGEST, Base
from db.columns import PlainJson, enum_type
from pipelines.model import ArtifactKind, JsonValue


class CandidateStatus(StrEnum):
    """What became of a candidate."""

    OPEN = "open"
    ADOPTED = "adopted"
    DISMISSED = "dismissed"
    MERGED = "merged"
    """It became an artifact of a project that there was already."""


class CandidateRow(Base):
    """An artifact that may be a new project. Its row stays, so that it is asked about once."""

    __tablename__ = "candidates"
    __table_args__ = (
        CheckConstraint("(decided_at IS NULL) = (status = 'open')", name="when_decided"),
        CheckConstraint("(curator <> '') = (status <> 'open')", name="curator_named"),
        CheckConstraint("status <> 'dismissed' OR reason <> ''", name="reason_given"),
        CheckConstraint(
            "status NOT IN ('adopted', 'merged') OR project_id IS NOT NULL", name="project_when_adopted"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(DIGEST, unique=True, comment="sha256 over kind and folded identifier")
    kind: Mapped[ArtifactKind] = mapped_column(
        enum_type(ArtifactKind, "kind"), comment="which service has it"
    )
    identifier: Mapped[str] = mapped_column(comment="its name at the service")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True, comment="run that found it")
    found_at: Mapped[datetime] = mapped_column(comment="when it was first found")
    maker: Mapped[str] = mapped_column(comment="the account that it stands under")
    name: Mapped[str] = mapped_column(comment="as its makers write it")
    reasons: Mapped[JsonValue] = mapped_column(
        PlainJson(), comment="list of fields with their values and what they say"
    )
    seed: Mapped[JsonValue] = mapped_column(PlainJson(), comment="proposed seed entry, as in seeds.yaml")
    status: Mapped[CandidateStatus] = mapped_column(enum_type(CandidateStatus, "status"), index=True)
    curator: Mapped[str] = mapped_column(comment="who decided; empty while open")
    decided_at: Mapped[datetime | None] = mapped_column(comment="null while open")
    reason: Mapped[str] = mapped_column(comment="why it was decided so, or empty")
    project_id: Mapped[int | None] = mapped_column(
        ForeignKey("projects.id"),
        index=True,
        comment="the project that it became, or became an artifact of; null when it never did",
    )
    in_seeds: Mapped[bool] = mapped_column(
        Boolean,
        comment="a seed file has named the project (the artifact, if merged) since: from then on the file rules",
    )
