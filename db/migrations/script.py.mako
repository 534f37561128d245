"""${message}.

A table that is rebuilt on SQLite loses its triggers: call `create_guard` of `db.guards` again after
`batch_alter_table` on decisions or snapshots.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
