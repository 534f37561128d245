"""The tables.

    projects ─ project_artifacts ─ artifacts ─ parts ─┬─ visits ─ runs
                                                      └─ snapshots ─┬─ extractions
                                                                    ├─ evidence
                                                                    └─ pruned_bodies (by digest)
    run_projects ─ runs, projects
    candidates ─ projects
    projects ─┬─ proposals ─┬─ findings ─ finding_evidence ─ evidence
              │             └─ proposal_evidence ─ evidence
              ├─ decisions ─ batches
              └─ questions, comments, disputes, opinions
    users ─ user_sessions, api_tokens
    audit

A snapshot is never changed; a decision, an opinion, a comment and an entry of the audit log are neither
changed nor deleted: the events below stop a session, triggers made by the migrations stop everything else. The schema itself is made by the
migrations alone; a test holds that they agree with this module.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from db.base import DIGEST
from db.base import Base as Base
from db.candidate_row import CandidateRow as CandidateRow
from db.columns import ExactJson, PlainJson, enum_type
from db.judged_rows import DecisionRow as DecisionRow
from db.judged_rows import FindingEvidenceRow as FindingEvidenceRow
from db.judged_rows import FindingRow as FindingRow
from db.judged_rows import ProposalEvidenceRow as ProposalEvidenceRow
from db.judged_rows import ProposalRow as ProposalRow
from db.listing_row import ListingRow as ListingRow
from db.review_rows import ApiTokenRow as ApiTokenRow
from db.review_rows import AuditRow as AuditRow
from db.review_rows import BatchRow as BatchRow
from db.review_rows import CommentRow as CommentRow
from db.review_rows import DisputeRow as DisputeRow
from db.review_rows import OpinionRow as OpinionRow
from db.review_rows import QuestionCountRow as QuestionCountRow
from db.review_rows import QuestionOrgRow as QuestionOrgRow
from db.review_rows import QuestionRow as QuestionRow
from db.review_rows import UserRow as UserRow
from db.review_rows import UserSessionRow as UserSessionRow
from db.review_values import DisputeStatus as DisputeStatus
from db.review_values import QuestionKind as QuestionKind
from db.review_values import TokenScope as TokenScope
from db.review_values import UserRole as UserRole
from pipelines.errors import StorageError
from pipelines.model import ArtifactKind, JsonValue, Origin, Role, VisitStatus


class RunStatus(StrEnum):
    """How far a run got."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


class ProjectRow(Base):
    """A project as the seeds name it."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True, comment="its name in seeds.yaml and in every export")
    name: Mapped[str] = mapped_column(comment="as people write it")
    org: Mapped[str] = mapped_column(comment="who makes it; empty when unknown")
    llmbase: Mapped[JsonValue] = mapped_column(
        PlainJson(), comment="list of base models as curators name them"
    )
    rlbase: Mapped[JsonValue] = mapped_column(
        PlainJson(), comment="list of tuning data as curators name them"
    )
    homepage: Mapped[str] = mapped_column(comment="address, or empty")
    active: Mapped[bool] = mapped_column(Boolean, comment="false once the seeds have dropped it")
    added_at: Mapped[datetime] = mapped_column(comment="when the seeds first named it")
    changed_at: Mapped[datetime] = mapped_column(comment="when an import last changed it")
    rated_from: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of all that its proposals were last made of; null: not rated yet"
    )


class ArtifactRow(Base):
    """An artifact, whichever projects it belongs to."""

    __tablename__ = "artifacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    # An index over addresses of any length would break PostgreSQL's limit of 2.7 kB an entry.
    key: Mapped[str] = mapped_column(DIGEST, unique=True, comment="sha256 over kind and identifier")
    kind: Mapped[ArtifactKind] = mapped_column(
        enum_type(ArtifactKind, "kind"), comment="which service has it"
    )
    identifier: Mapped[str] = mapped_column(comment="its name at the service")


class ProjectArtifactRow(Base):
    """That an artifact belongs to a project, in which role and who says so."""

    __tablename__ = "project_artifacts"
    __table_args__ = (UniqueConstraint("project_id", "artifact_id", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifacts.id"), index=True)
    role: Mapped[Role] = mapped_column(enum_type(Role, "role"), comment="what it is to the project")
    origin: Mapped[Origin] = mapped_column(enum_type(Origin, "origin"), comment="how it came to belong to it")
    position: Mapped[int] = mapped_column(Integer, comment="order in the seed entry; links come after")
    active: Mapped[bool] = mapped_column(Boolean, comment="false once the seed entry has dropped it")
    named_by_artifact_id: Mapped[int | None] = mapped_column(
        ForeignKey("artifacts.id"), comment="the artifact that names it; null for seeds"
    )
    named_by_part: Mapped[str | None] = mapped_column(comment="the part that names it")
    named_by_text: Mapped[str | None] = mapped_column(comment="the words that name it")
    added_at: Mapped[datetime | None] = mapped_column(
        comment="when it came to belong to it; null where that was not noted"
    )


class PartRow(Base):
    """A document of an artifact: its card, its metadata, one of its files."""

    __tablename__ = "parts"

    id: Mapped[int] = mapped_column(primary_key=True)
    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifacts.id"), index=True)
    key: Mapped[str] = mapped_column(DIGEST, unique=True, comment="sha256 over artifact and name")
    name: Mapped[str] = mapped_column(comment="such as card, or file:README.md")


class RunRow(Base):
    """One run of a command that works on the whole database."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(comment="the command: nightly, crawl, rate, discover")
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None] = mapped_column(comment="null while it runs")
    status: Mapped[RunStatus] = mapped_column(enum_type(RunStatus, "status"))
    exit_code: Mapped[int | None] = mapped_column(Integer, comment="of the process; null while it runs")
    pid: Mapped[int] = mapped_column(comment="process that runs it")
    host: Mapped[str] = mapped_column(comment="machine that runs it")
    report: Mapped[JsonValue] = mapped_column(
        PlainJson(), comment="the run report; empty object until it ends"
    )
    asked: Mapped[JsonValue | None] = mapped_column(
        PlainJson(), comment="projects and options of the command"
    )
    spent: Mapped[JsonValue | None] = mapped_column(
        PlainJson(), comment="requests by service, as of the last commit"
    )


class RunProjectRow(Base):
    """That a run is done with a project: gathered and, in a night, rated."""

    __tablename__ = "run_projects"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    done_at: Mapped[datetime] = mapped_column(comment="when it was done with it")


class SnapshotRow(Base):
    """A stored capture. Its bytes are in the archive under its sha256, unless they were pruned."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("part_id", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))
    sha256: Mapped[str] = mapped_column(
        DIGEST, index=True, comment="digest of the bytes, their name in the archive"
    )
    url: Mapped[str] = mapped_column(comment="address at which a person sees the part")
    media_type: Mapped[str] = mapped_column(comment="as the service gave it")
    size: Mapped[int] = mapped_column(comment="bytes, uncompressed")
    fetched_at: Mapped[datetime] = mapped_column(comment="when these bytes were first read")
    etag: Mapped[str] = mapped_column(comment="HTTP validator at that time, or empty")
    last_modified: Mapped[str] = mapped_column(comment="HTTP validator at that time, or empty")
    token: Mapped[str] = mapped_column(comment="the source's own change signal at that time, or empty")


class PrunedBodyRow(Base):
    """That the bytes of snapshots were removed from the archive on purpose; gone once they are there again."""

    __tablename__ = "pruned_bodies"

    sha256: Mapped[str] = mapped_column(DIGEST, primary_key=True, comment="digest of the bytes")
    pruned_at: Mapped[datetime] = mapped_column(comment="when it was decided that they go")
    pruned_by: Mapped[str] = mapped_column(comment="who had them removed")


class VisitRow(Base):
    """One attempt to read one part of an artifact."""

    __tablename__ = "visits"
    __table_args__ = (
        CheckConstraint(
            "(snapshot_id IS NOT NULL) = (status IN ('ok', 'unchanged'))", name="snapshot_when_read"
        ),
        Index("ix_visits_part_id_id", "part_id", "id"),
        Index(
            "ix_visits_standing",
            "part_id",
            "id",
            sqlite_where=text("snapshot_id IS NOT NULL"),
            postgresql_where=text("snapshot_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))
    url: Mapped[str] = mapped_column(comment="address at which a person sees the part")
    at: Mapped[datetime] = mapped_column(comment="when it was asked for")
    status: Mapped[VisitStatus] = mapped_column(
        enum_type(VisitStatus, "status"), comment="only missing is a fact"
    )
    http_status: Mapped[int | None] = mapped_column(Integer, comment="null when nothing was requested")
    reason: Mapped[str] = mapped_column(comment="why the part was not read, in one line")
    snapshot_id: Mapped[int | None] = mapped_column(
        ForeignKey("snapshots.id"), index=True, comment="what was read; exactly with ok and unchanged"
    )
    etag: Mapped[str] = mapped_column(comment="HTTP validator for the next visit, or empty")
    last_modified: Mapped[str] = mapped_column(comment="HTTP validator for the next visit, or empty")
    token: Mapped[str] = mapped_column(comment="the source's change signal for the next visit, or empty")


class ExtractionRow(Base):
    """That a version of the extractors has read a snapshot, also where it found nothing."""

    __tablename__ = "extractions"
    __table_args__ = (UniqueConstraint("snapshot_id", "extractor_version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id"))
    extractor_version: Mapped[str] = mapped_column(comment="version of the extractors as a whole")


class EvidenceRow(Base):
    """An exact quote or field of a snapshot."""

    __tablename__ = "evidence"
    __table_args__ = (
        UniqueConstraint("extraction_id", "ordinal"),
        Index("ix_evidence_snapshot_id_key", "snapshot_id", "key"),
        CheckConstraint(
            "(quote_text IS NULL) <> (field_path IS NULL)"
            " AND (quote_text IS NULL) = (quote_start IS NULL)"
            " AND (quote_text IS NULL) = (quote_end IS NULL)",
            name="quote_or_field",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id"))
    extraction_id: Mapped[int | None] = mapped_column(
        ForeignKey("extractions.id"), comment="null when only a proposal names it"
    )
    ordinal: Mapped[int] = mapped_column(Integer, comment="order within the extraction")
    kind: Mapped[str] = mapped_column(comment="what was found")
    key: Mapped[str] = mapped_column(
        DIGEST, comment="identity: what was found, not when or where in the file"
    )
    quote_start: Mapped[int | None] = mapped_column(Integer, comment="first character in the decoded text")
    quote_end: Mapped[int | None] = mapped_column(Integer, comment="character after the last")
    quote_text: Mapped[str | None] = mapped_column(comment="the passage")
    field_path: Mapped[str | None] = mapped_column(comment="JSON path of a field")
    field_value: Mapped[JsonValue] = mapped_column(
        ExactJson(), nullable=True, comment="what the field holds, as JSON; null for quotes"
    )
    value: Mapped[JsonValue] = mapped_column(ExactJson(), comment="normalised value that rules read, as JSON")


APPEND_ONLY = {
    "decisions": ("UPDATE", "DELETE"),
    "snapshots": ("UPDATE",),
    "audit": ("UPDATE", "DELETE"),
    "comments": ("UPDATE", "DELETE"),
    "opinions": ("UPDATE", "DELETE"),
}
"""What no statement may do to which table: the migrations make a trigger for each."""


def _refuse(mapper: Mapper[Base], connection: object, target: Base) -> None:
    raise StorageError(f"a row of {mapper.local_table} is never changed")


event.listen(SnapshotRow, "before_update", _refuse)
for _row in (DecisionRow, AuditRow, CommentRow, OpinionRow):
    event.listen(_row, "before_update", _refuse)
    event.listen(_row, "before_delete", _refuse)
