"""The triggers that keep decisions and snapshots as they are, for use by migrations."""

from __future__ import annotations

from sqlalchemy import Connection, text

from db.session import guard_name


def create_guard(connection: Connection, table: str, action: str) -> None:
    """Make every UPDATE or DELETE of a row of the table fail, whoever sends it."""
    name = guard_name(table, action)
    message = f"a row of {table} is never changed: {action} refused"
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        connection.execute(
            text(
                f"CREATE TRIGGER {name} BEFORE {action} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{message.replace(':', ',')}'); END"
            )
        )
        return
    connection.execute(
        text(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'a row of % is never changed, % refused', TG_TABLE_NAME, TG_OP"
            " USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
    )
    connection.execute(text(f"DROP TRIGGER IF EXISTS {name} ON {table}"))
    events = f"{action} OR TRUNCATE" if action == "DELETE" else action
    # Per statement, because TRUNCATE has no rows.
    connection.execute(
        text(
            f"CREATE TRIGGER {name} BEFORE {events} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    )
