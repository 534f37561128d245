"""Since when an artifact belongs to a project: how long it has waited for its first visit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "project_artifacts",
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it came to belong to it; null where that was not noted",
        ),
    )
