"""`openness audit`: what was done at the review desk, by whom, when and from where."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from crawler.commands.exchange import write_whole
from crawler.commands.run import settings_of
from crawler.context import open_context
from db.audit import AuditFilter, iter_audit, write_audit
from db.session import session_scope
from pipelines.errors import UsageError

SUFFIXES = (".csv", ".jsonl")
DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group("audit")
def audit_command() -> None:
    """The audit log of the review desk. It is only ever added to.

    Example: openness audit export audit.csv
    """


@audit_command.command("export")
@click.argument("dest", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--since", type=DAY, metavar="DAY", help="From this day on (UTC).")
@click.option("--until", type=DAY, metavar="DAY", help="Before this day (UTC).")
@click.option("--actor", "actors", multiple=True, metavar="NAME", help="What this account did only.")
@click.pass_context
def export_command(
    ctx: click.Context,
    dest: Path,
    since: datetime | None,
    until: datetime | None,
    actors: tuple[str, ...],
) -> None:
    """Write the audit log, oldest first: as CSV, as JSON lines (.jsonl), or as these to stdout (-).

    Example: openness audit export audit.jsonl --since 2030-01-01
    """
    suffix = ".jsonl" if str(dest) == "-" else dest.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{dest}: the audit log is written to a file that ends in {' or '.join(SUFFIXES)}")
    wanted = AuditFilter(
        actors=actors,
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
    )
    written = 0
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:

        def write(out: TextIO) -> None:
            nonlocal written
            written = write_audit(iter_audit(session, wanted), out, suffix)

        write_whole(dest, write)
    click.echo(f"{written} entries", err=True)
