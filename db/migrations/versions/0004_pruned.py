"""Which bodies were removed from the archive on purpose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pruned_bodies",
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="digest of the bytes"),
        sa.Column(
            "pruned_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was decided that they go",
        ),
        sa.Column("pruned_by", sa.Text(), nullable=False, comment="who had them removed"),
        sa.PrimaryKeyConstraint("sha256", name="pk_pruned_bodies"),
    )
