"""`openness db copy` and `openness db backup`; the group is in `crawler/commands/admin.py`."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.commands.run import settings_of
from crawler.context import open_engine
from crawler.lock import run_lock
from crawler.terminal import json_text, safe
from db.session import parse_url, sqlite_file
from pipelines.errors import UsageError


@click.command("copy")
@click.argument("target_url", metavar="TARGET_URL")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def copy_command(ctx: click.Context, target_url: str, as_json: bool) -> None:
    """Copy everything of the database into an empty one, of either kind.

    Nothing is lost: ids, decisions, visits and runs are the same afterwards; every table is read back
    and compared. The target is made where it is a SQLite file; a PostgreSQL database has to be there,
    without rows. The archive is no part of it: both databases can use the same one.

    A password need not stand in the URL: PostgreSQL's own PGPASSWORD and ~/.pgpass do as well.

    Example: openness db copy postgresql://openness@database.example/openness
    """
    from db.copy import copy_database

    settings = settings_of(ctx)
    target_settings = settings.with_changes(database_url=target_url)
    source_url, goal_url = parse_url(settings.database_url), parse_url(target_url)
    source_file, goal_file = sqlite_file(source_url), sqlite_file(goal_url)
    if goal_file is None and goal_url.get_backend_name() == "sqlite":
        raise UsageError("a database in memory is gone with the command: name a file")
    if source_url == goal_url or (source_file and goal_file and source_file.resolve() == goal_file.resolve()):
        raise UsageError("the target is the database itself")
    if source_file is not None and not source_file.exists():
        raise UsageError(f"there is no database {source_file}")
    with (
        open_engine(settings) as source,
        run_lock(source),
        open_engine(target_settings) as target,
        run_lock(target),
    ):
        copied = copy_database(source, target)
    shown = safe(target_settings.shown_database_url)
    if as_json:
        tables = {table.name: {"rows": table.rows, "sha256": table.sha256} for table in copied}
        click.echo(json_text({"target": shown, "tables": tables}))
        return
    width = max(len(table.name) for table in copied)
    for table in copied:
        click.echo(f"{table.name:<{width}}  {table.rows:>9} rows  sha256 {table.sha256[:16]}…")
    click.echo(f"{sum(table.rows for table in copied)} rows copied and compared.")
    click.echo(f"From now on: OPENNESS_DATABASE_URL={shown}")


@click.command("backup")
@click.argument("dest", type=click.Path(path_type=Path))
@click.pass_context
def backup_command(ctx: click.Context, dest: Path) -> None:
    """Copy a SQLite database into the file DEST, also while a night runs; an earlier backup there is replaced.

    The archive is copied afterwards, by any program that copies folders: its files never change, and
    are there before the rows that refer to them. For PostgreSQL there is pg_dump.

    Example: openness db backup backup/openness.db
    """
    from db.backup import backup_sqlite

    settings = settings_of(ctx)
    file = sqlite_file(parse_url(settings.database_url))
    if file is None:
        raise UsageError(
            "only a SQLite file can be backed up so; for PostgreSQL: pg_dump --format=custom --file=FILE DATABASE"
        )
    size = backup_sqlite(file, dest)
    click.echo(
        f"{dest} has {size:,} bytes. Its archive is the folder {settings.archive}: copy that after it."
    )
