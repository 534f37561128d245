"""The tables of what is judged: what the rules propose and what curators decide."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Double, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import DIGEST, Base
from db.columns import PlainJson, enum_type
from pipelines.model import DecisionKind, JsonValue, Outcome, Rating


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
    claim_evidence_id: Mapped[int | None] = mapped_column(
        ForeignKey("evidence.id", name="fk_proposals_claim_evidence_id"),
        comment="a claim of openness that stands against it; null: none, or not looked for yet",
    )


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
    batch_id: Mapped[int | None] = mapped_column(
        ForeignKey("batches.id", name="fk_decisions_batch_id"),
        index=True,
        comment="the confirmation of many that it was made with; null: decided by itself",
    )
