"""What a run was asked to do, what it has spent so far, and which projects it is done with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column("asked", JSON, nullable=True, comment="projects and options of the command"),
    )
    op.add_column(
        "runs",
        sa.Column("spent", JSON, nullable=True, comment="requests by service, as of the last commit"),
    )
    op.create_table(
        "run_projects",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False, comment="when it was done with it"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_projects_run_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_run_projects_project_id"),
        sa.PrimaryKeyConstraint("run_id", "project_id", name="pk_run_projects"),
    )
