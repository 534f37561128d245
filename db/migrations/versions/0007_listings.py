"""Pages of the Hub's lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "listings",
        sa.Column("key", sa.String(length=64), nullable=False, comment="sha256 over the question"),
        sa.Column("etag", sa.Text(), nullable=False, comment="what the service calls this answer"),
        sa.Column("body", sa.Text(), nullable=False, comment="the entries as JSON"),
        sa.Column("following", sa.Text(), nullable=False, comment="the question for the next page, or empty"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="when it was read"),
        sa.PrimaryKeyConstraint("key", name="pk_listings"),
    )
