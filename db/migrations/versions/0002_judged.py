"""What was judged: proposals, findings, decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from db.guards import create_guard

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "proposals",
        sa.Column("id", ID, nullable=False),
        sa.Column(
            "identity",
            sa.String(length=64),
            nullable=False,
            comment="project, dimension, rubric, rule, evidence",
        ),
        sa.Column("run_id", ID, nullable=True, comment="run that made it"),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what is rated"),
        sa.Column(
            "rating",
            sa.Enum(
                "closed",
                "partial",
                "open",
                "not_applicable",
                name="rating",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
            comment="null: cannot tell",
        ),
        sa.Column("confidence", sa.Double(), nullable=False, comment="0 to 1, calibrated"),
        sa.Column("rationale", sa.Text(), nullable=False, comment="why, in one or two sentences"),
        sa.Column("rule", sa.Text(), nullable=False, comment="name of the rule"),
        sa.Column("rule_version", sa.Integer(), nullable=False, comment="version of the rule"),
        sa.Column("rubric_digest", sa.Text(), nullable=False, comment="digest of the rubric"),
        sa.Column(
            "evidence_digest",
            sa.Text(),
            nullable=False,
            comment="digest of the evidence; new evidence, new question",
        ),
        sa.Column("searched", JSON, nullable=False, comment="list of places searched in vain"),
        sa.Column("link", sa.Text(), nullable=False, comment="address that shows it best, or empty"),
        sa.Column("created_at", TIME, nullable=False, comment="when it was first made"),
        sa.Column("is_current", sa.Boolean(), nullable=False, comment="what the rules say now; one a cell"),
        sa.Column("current_since", TIME, nullable=False, comment="when it last became what the rules say"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_proposals_project_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_proposals_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_proposals"),
        sa.UniqueConstraint("identity", name="uq_proposals_identity"),
    )
    op.create_index("ix_proposals_cell", "proposals", ["project_id", "dimension", "id"])
    op.create_index("ix_proposals_run_id", "proposals", ["run_id"])
    op.create_index(
        "uq_proposals_current",
        "proposals",
        ["project_id", "dimension"],
        unique=True,
        sqlite_where=sa.text("is_current = 1"),
        postgresql_where=sa.text("is_current"),
    )

    op.create_table(
        "decisions",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what was decided about"),
        sa.Column(
            "ordinal", sa.Integer(), nullable=False, comment="number of the decision within its cell, from 1"
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "confirm",
                "override",
                "reject",
                "defer",
                "undo",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="what the curator did",
        ),
        sa.Column(
            "rating",
            sa.Enum(
                "closed",
                "partial",
                "open",
                "not_applicable",
                name="rating",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
            comment="the class given",
        ),
        sa.Column(
            "proposal_id", ID, nullable=True, comment="the proposal decided upon; null for imports and undo"
        ),
        sa.Column(
            "proposed_rating",
            sa.Enum(
                "closed",
                "partial",
                "open",
                "not_applicable",
                name="proposed_rating",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
            comment="what that proposal said",
        ),
        sa.Column("evidence_digest", sa.Text(), nullable=True, comment="what that proposal rested on"),
        sa.Column("link", sa.Text(), nullable=False, comment="address that shows it best, or empty"),
        sa.Column("note", sa.Text(), nullable=False, comment="published with the rating"),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="why the curator did it; empty only when confirming"
        ),
        sa.Column("curator", sa.Text(), nullable=False, comment="who did it"),
        sa.Column(
            "imported",
            sa.Boolean(),
            nullable=False,
            comment="taken over from a ratings file, not decided here",
        ),
        sa.Column("at", TIME, nullable=False),
        sa.Column("defer_until", TIME, nullable=True, comment="when a deferred question comes back"),
        sa.Column("undoes_decision_id", ID, nullable=True, comment="the decision taken back"),
        sa.CheckConstraint(
            "(defer_until IS NOT NULL) = (kind = 'defer')", name=op.f("ck_decisions_until_when_deferred")
        ),
        sa.CheckConstraint(
            "(rating IS NOT NULL) = (kind IN ('confirm', 'override'))",
            name=op.f("ck_decisions_rating_when_rated"),
        ),
        sa.CheckConstraint(
            "(undoes_decision_id IS NOT NULL) = (kind = 'undo')", name=op.f("ck_decisions_undoes_when_undo")
        ),
        sa.CheckConstraint("curator <> ''", name=op.f("ck_decisions_curator_named")),
        sa.CheckConstraint("kind = 'confirm' OR reason <> ''", name=op.f("ck_decisions_reason_given")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_decisions_project_id"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name="fk_decisions_proposal_id"),
        sa.ForeignKeyConstraint(
            ["undoes_decision_id"], ["decisions.id"], name="fk_decisions_undoes_decision_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.UniqueConstraint(
            "project_id", "dimension", "ordinal", name="uq_decisions_project_id_dimension_ordinal"
        ),
        sa.UniqueConstraint("undoes_decision_id", name="uq_decisions_undoes_decision_id"),
    )
    op.create_index("ix_decisions_at", "decisions", ["at"])
    op.create_index("ix_decisions_cell", "decisions", ["project_id", "dimension", "kind", "id"])
    op.create_index("ix_decisions_proposal_id", "decisions", ["proposal_id"])

    op.create_table(
        "findings",
        sa.Column("id", ID, nullable=False),
        sa.Column("proposal_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False, comment="order of the checks"),
        sa.Column("check_name", sa.Text(), nullable=False, comment="the check, named as a statement"),
        sa.Column(
            "outcome",
            sa.Enum(
                "yes",
                "no",
                "cannot_tell",
                "not_applicable",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="its answer",
        ),
        sa.Column("note", sa.Text(), nullable=False, comment="what a curator should know about it, or empty"),
        sa.Column("searched", JSON, nullable=False, comment="list of places searched in vain"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name="fk_findings_proposal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
        sa.UniqueConstraint("proposal_id", "ordinal", name="uq_findings_proposal_id_ordinal"),
    )
    op.create_table(
        "finding_evidence",
        sa.Column("finding_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("evidence_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name="fk_finding_evidence_evidence_id"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name="fk_finding_evidence_finding_id"),
        sa.PrimaryKeyConstraint("finding_id", "ordinal", name="pk_finding_evidence"),
    )
    op.create_index("ix_finding_evidence_evidence_id", "finding_evidence", ["evidence_id"])

    op.create_table(
        "proposal_evidence",
        sa.Column("proposal_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("evidence_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name="fk_proposal_evidence_evidence_id"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name="fk_proposal_evidence_proposal_id"),
        sa.PrimaryKeyConstraint("proposal_id", "ordinal", name="pk_proposal_evidence"),
    )
    op.create_index("ix_proposal_evidence_evidence_id", "proposal_evidence", ["evidence_id"])

    create_guard(op.get_bind(), "decisions", "UPDATE")
    create_guard(op.get_bind(), "decisions", "DELETE")
