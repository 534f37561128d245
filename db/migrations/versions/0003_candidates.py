"""What was discovered: candidates for new projects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "candidates",
        sa.Column("id", ID, nullable=False),
        sa.Column(
            "key", sa.String(length=64), nullable=False, comment="sha256 over kind and folded identifier"
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "github",
                "hf_model",
                "hf_dataset",
                "pypi",
                "arxiv",
                "web",
                "lineage",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="which service has it",
        ),
        sa.Column("identifier", sa.Text(), nullable=False, comment="its name at the service"),
        sa.Column("run_id", ID, nullable=True, comment="run that found it"),
        sa.Column("found_at", TIME, nullable=False, comment="when it was first found"),
        sa.Column("maker", sa.Text(), nullable=False, comment="the account that it stands under"),
        sa.Column("name", sa.Text(), nullable=False, comment="as its makers write it"),
        sa.Column(
            "reasons", JSON, nullable=False, comment="list of fields with their values and what they say"
        ),
        sa.Column("seed", JSON, nullable=False, comment="proposed seed entry, as in seeds.yaml"),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "adopted",
                "dismissed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("curator", sa.Text(), nullable=False, comment="who decided; empty while open"),
        sa.Column("decided_at", TIME, nullable=True, comment="null while open"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was decided so, or empty"),
        sa.Column(
            "project_id", ID, nullable=True, comment="the project that it became; null when it never did"
        ),
        sa.Column(
            "in_seeds",
            sa.Boolean(),
            nullable=False,
            comment="a seed file has named the project since: from then on the file rules",
        ),
        sa.CheckConstraint(
            "(decided_at IS NULL) = (status = 'open')", name=op.f("ck_candidates_when_decided")
        ),
        sa.CheckConstraint("(curator <> '') = (status <> 'open')", name=op.f("ck_candidates_curator_named")),
        sa.CheckConstraint("status <> 'dismissed' OR reason <> ''", name=op.f("ck_candidates_reason_given")),
        sa.CheckConstraint(
            "status <> 'adopted' OR project_id IS NOT NULL",
            name=op.f("ck_candidates_project_when_adopted"),
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_candidates_project_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_candidates_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_candidates"),
        sa.UniqueConstraint("key", name="uq_candidates_key"),
    )
    op.create_index("ix_candidates_project_id", "candidates", ["project_id"])
    op.create_index("ix_candidates_run_id", "candidates", ["run_id"])
    op.create_index("ix_candidates_status", "candidates", ["status"])
