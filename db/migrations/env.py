"""How Alembic runs the migrations.

`db.session.upgrade` hands over a connection that is inside a transaction, with foreign keys
switched off on SQLite. Migrations go forward only: the way back is a backup.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from db.models import Base


def run(connection: Connection) -> None:
    """Run what the command asks for on this connection, as a part of its transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite can alter little in place: tables are rebuilt there.
        render_as_batch=True,
        # Alembic takes SQLite's schema changes for not transactional; with our own BEGIN they are.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
