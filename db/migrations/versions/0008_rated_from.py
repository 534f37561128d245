"""What each project was last rated from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "projects",
        sa.Column(
            "rated_from",
            sa.String(length=64),
            nullable=True,
            comment="digest of all that its proposals were last made of; null: not rated yet",
        ),
    )
