"""`openness db`."""

from __future__ import annotations

import click

from crawler.archive import Archive, ArchiveProblem
from crawler.commands.copy import backup_command, copy_command
from crawler.commands.run import settings_of
from crawler.context import open_engine
from crawler.terminal import safe
from crawler.verify import verify_archive
from db.question_index import rebuild_questions
from db.session import check, current_revision, make_engine, session_scope


@click.group("db")
def db_command() -> None:
    """Schema migrations; integrity of database and archive; copies of the database.

    Example: openness db check
    """


db_command.add_command(copy_command)
db_command.add_command(backup_command)


@db_command.command("upgrade")
@click.pass_context
def upgrade_command(ctx: click.Context) -> None:
    """Bring the schema to the newest revision. Every other command does so as well.

    Example: openness db upgrade
    """
    with open_engine(settings_of(ctx)) as engine:
        click.echo(f"the schema is at revision {current_revision(engine)}, the newest")


@db_command.command("check")
@click.pass_context
def check_command(ctx: click.Context) -> None:
    """Integrity of database and archive: every snapshot's bytes against its digest.

    Exit code 1 when something is wrong; every problem is a line. For the archive alone, and for bytes
    that no snapshot names, there is `openness archive verify`.

    Example: openness db check
    """
    settings = settings_of(ctx)
    engine = make_engine(settings.database_url)
    try:
        problems = check(engine)
        for problem in problems:
            click.echo(safe(problem))
        if problems:
            ctx.exit(1)
        verified = verify_archive(engine, Archive(settings.archive), _tell_what_is_wrong)
        if not verified.is_sound:
            ctx.exit(1)
    finally:
        engine.dispose()
    click.echo(f"the database is sound, {verified.bodies} bodies in the archive have their digests")


@db_command.command("reindex")
@click.pass_context
def reindex_command(ctx: click.Context) -> None:
    """Make the index of questions anew, where `openness db check` says that it is wrong.

    Nothing is lost by it: the index is derived from proposals and decisions.

    Example: openness db reindex
    """
    with open_engine(settings_of(ctx)) as engine, session_scope(engine, write=True) as session:
        questions = rebuild_questions(session)
    click.echo(f"the index has {questions} questions, deferred ones included")


def _tell_what_is_wrong(problem: ArchiveProblem) -> None:
    if not problem.is_harmless:
        click.echo(safe(str(problem)))
