"""Candidates may be merged into a project that there is already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
STATUSES = ("open", "adopted", "dismissed", "merged")
KINDS = ("github", "hf_model", "hf_dataset", "pypi", "arxiv", "web", "lineage")
PROJECT = "the project that it became, or became an artifact of; null when it never did"
IN_SEEDS = "a seed file has named the project (the artifact, if merged) since: from then on the file rules"
WHEN_ADOPTED = "status NOT IN ('adopted', 'merged') OR project_id IS NOT NULL"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
        return
    op.drop_constraint(op.f("ck_candidates_status"), "candidates", type_="check")
    allowed = ", ".join(f"'{status}'" for status in STATUSES)
    op.create_check_constraint(op.f("ck_candidates_status"), "candidates", f"status IN ({allowed})")
    op.drop_constraint(op.f("ck_candidates_project_when_adopted"), "candidates", type_="check")
    op.create_check_constraint(op.f("ck_candidates_project_when_adopted"), "candidates", WHEN_ADOPTED)
    op.alter_column("candidates", "project_id", existing_type=ID, comment=PROJECT)
    op.alter_column("candidates", "in_seeds", existing_type=sa.Boolean(), comment=IN_SEEDS)


def _rebuild() -> None:
    """SQLite cannot change a constraint. No other table refers to this one."""
    op.rename_table("candidates", "candidates_before")
    for column in ("project_id", "run_id", "status"):
        op.drop_index(f"ix_candidates_{column}", "candidates_before")
    op.create_table(
        "candidates",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", _enum("kind", *KINDS), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("found_at", TIME, nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("seed", JSON, nullable=False),
        sa.Column("status", _enum("status", *STATUSES), nullable=False),
        sa.Column("curator", sa.Text(), nullable=False),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("project_id", ID, nullable=True),
        sa.Column("in_seeds", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(decided_at IS NULL) = (status = 'open')", name=op.f("ck_candidates_when_decided")
        ),
        sa.CheckConstraint("(curator <> '') = (status <> 'open')", name=op.f("ck_candidates_curator_named")),
        sa.CheckConstraint("status <> 'dismissed' OR reason <> ''", name=op.f("ck_candidates_reason_given")),
        sa.CheckConstraint(WHEN_ADOPTED, name=op.f("ck_candidates_project_when_adopted")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_candidates_project_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_candidates_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_candidates"),
        sa.UniqueConstraint("key", name="uq_candidates_key"),
    )
    columns = (
        "id, key, kind, identifier, run_id, found_at, maker, name, reasons, seed, status, curator, decided_at,"
        " reason, project_id, in_seeds"
    )
    op.execute(f"INSERT INTO candidates ({columns}) SELECT {columns} FROM candidates_before")
    op.drop_table("candidates_before")
    for column in ("project_id", "run_id", "status"):
        op.create_index(f"ix_candidates_{column}", "candidates", [column])


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=20)
