"""The tables.

    projects ─ project_artifacts ─ artifacts ─ parts ─┬─ visits ─ runs
                                                      └─ snapshots ─┬─ extractions
                                                                    ├─ evidence
                                                                    └─ pruned_bodies (by digest)
    run_projects ─ runs, projects
    candidates ─ projects
    projects ─┬─ proposals ─┬─ findings ─ finding_evidence ─ evidence
              │             └─ proposal_evidence ─ evidence
              └─ decisions

A snapshot is never changed and a decision neither changed nor deleted: the events below stop a
session, triggers made by the migrations stop everything else. The schema itself is made by the
migrations alone; a test holds that they agree with this module.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Double,
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
from db.listing_row import ListingRow as ListingRow
from pipelines.errors import StorageError
from pipelines.model import ArtifactKind, DecisionKind, JsonValue, Origin, Outcome, Rating, Role, VisitStatus


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


class ProposalRow(Base):
    """What the rules propose for one dimension of one project."""

    __tablename__ = "proposals"
    __table_args__ = (
        Index("ix_proposals_cell", "project_id", "dimension", "id"),
        Index(
            "uq_proposals_current",
            "project_id",
            "dimension",
            unique=True,
            sqlite_where=text("is_current = 1"),
            postgresql_where=text("is_current"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(
        DIGEST, unique=True, comment="project, dimension, rubric, rule, evidence"
    )
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True, comment="run that made it")
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    dimension: Mapped[str] = mapped_column(comment="what is rated")
    rating: Mapped[Rating | None] = mapped_column(enum_type(Rating, "rating"), comment="null: cannot tell")
    confidence: Mapped[float] = mapped_column(Double, comment="0 to 1, calibrated")
    rationale: Mapped[str] = mapped_column(comment="why, in one or two sentences")
    rule: Mapped[str] = mapped_column(comment="name of the rule")
    rule_version: Mapped[int] = mapped_column(Integer, comment="version of the rule")
    rubric_digest: Mapped[str] = mapped_column(comment="digest of the rubric")
    evidence_digest: Mapped[str] = mapped_column(comment="digest of the evidence; new evidence, new question")
    searched: Mapped[JsonValue] = mapped_column(PlainJson(), comment="list of places searched in vain")
    link: Mapped[str] = mapped_column(comment="address that shows it best, or empty")
    created_at: Mapped[datetime] = mapped_column(comment="when it was first made")
    is_current: Mapped[bool] = mapped_column(Boolean, comment="what the rules say now; one a cell")
    current_since: Mapped[datetime] = mapped_column(comment="when it last became what the rules say")


class FindingRow(Base):
    """The answer to one check of a proposal's rule."""

    __tablename__ = "findings"
    __table_args__ = (UniqueConstraint("proposal_id", "ordinal"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id"))
    ordinal: Mapped[int] = mapped_column(Integer, comment="order of the checks")
    check_name: Mapped[str] = mapped_column(comment="the check, named as a statement")
    outcome: Mapped[Outcome] = mapped_column(enum_type(Outcome, "outcome"), comment="its answer")
    note: Mapped[str] = mapped_column(comment="what a curator should know about it, or empty")
    searched: Mapped[JsonValue] = mapped_column(PlainJson(), comment="list of places searched in vain")


class FindingEvidenceRow(Base):
    """The evidence that a finding rests on."""

    __tablename__ = "finding_evidence"

    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), index=True)


class ProposalEvidenceRow(Base):
    """The evidence that a proposal rests on."""

    __tablename__ = "proposal_evidence"

    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), index=True)


class DecisionRow(Base):
    """What a curator did. Append-only: ratings are what the decisions that are not undone add up to."""

    __tablename__ = "decisions"
    __table_args__ = (
        # Two curators who both append the n-th decision of a cell cannot both succeed.
        UniqueConstraint("project_id", "dimension", "ordinal"),
        Index("ix_decisions_cell", "project_id", "dimension", "kind", "id"),
        CheckConstraint("(rating IS NOT NULL) = (kind IN ('confirm', 'override'))", name="rating_when_rated"),
        CheckConstraint("(undoes_decision_id IS NOT NULL) = (kind = 'undo')", name="undoes_when_undo"),
        CheckConstraint("(defer_until IS NOT NULL) = (kind = 'defer')", name="until_when_deferred"),
        CheckConstraint("kind = 'confirm' OR reason <> ''", name="reason_given"),
        CheckConstraint("curator <> ''", name="curator_named"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    dimension: Mapped[str] = mapped_column(comment="what was decided about")
    ordinal: Mapped[int] = mapped_column(Integer, comment="number of the decision within its cell, from 1")
    kind: Mapped[DecisionKind] = mapped_column(
        enum_type(DecisionKind, "kind"), comment="what the curator did"
    )
    rating: Mapped[Rating | None] = mapped_column(enum_type(Rating, "rating"), comment="the class given")
    proposal_id: Mapped[int | None] = mapped_column(
        ForeignKey("proposals.id"), index=True, comment="the proposal decided upon; null for imports and undo"
    )
    proposed_rating: Mapped[Rating | None] = mapped_column(
        enum_type(Rating, "proposed_rating"), comment="what that proposal said"
    )
    evidence_digest: Mapped[str | None] = mapped_column(comment="what that proposal rested on")
    link: Mapped[str] = mapped_column(comment="address that shows it best, or empty")
    note: Mapped[str] = mapped_column(comment="published with the rating")
    reason: Mapped[str] = mapped_column(comment="why the curator did it; empty only when confirming")
    curator: Mapped[str] = mapped_column(comment="who did it")
    imported: Mapped[bool] = mapped_column(
        Boolean, comment="taken over from a ratings file, not decided here"
    )
    at: Mapped[datetime] = mapped_column(index=True)
    defer_until: Mapped[datetime | None] = mapped_column(comment="when a deferred question comes back")
    undoes_decision_id: Mapped[int | None] = mapped_column(
        ForeignKey("decisions.id"), unique=True, comment="the decision taken back"
    )


APPEND_ONLY = {"decisions": ("UPDATE", "DELETE"), "snapshots": ("UPDATE",)}
"""What no statement may do to which table: the migrations make a trigger for each."""


def _refuse(mapper: Mapper[Base], connection: object, target: Base) -> None:
    raise StorageError(f"a row of {mapper.local_table} is never changed")


event.listen(DecisionRow, "before_update", _refuse)
event.listen(DecisionRow, "before_delete", _refuse)
event.listen(SnapshotRow, "before_update", _refuse)
