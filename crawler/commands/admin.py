"""`openness status` and `openness db`."""

from __future__ import annotations

import click

from crawler.archive import Archive
from crawler.commands.run import settings_of
from crawler.context import open_context, open_engine
from crawler.terminal import json_text, line, safe
from db.candidates import count_candidates
from db.load import load_digests, load_latest_visits, load_projects, load_runs
from db.queue import count_queue
from db.ratings import load_ratings
from db.session import check, current_revision, make_engine, session_scope
from pipelines.model import JsonValue, VisitStatus


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Projects, last run, queue length, budget left, and what could not be read last.

    Example: openness status
    """
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:
        projects = load_projects(session)
        runs = load_runs(session, limit=1)
        refs = list({artifact.ref for project in projects for artifact in project.artifacts})
        visits = load_latest_visits(session, refs)
        waiting = count_queue(session, context.clock())
        candidates = count_candidates(session)
        ratings = load_ratings(session)
        cells = len(projects) * len(context.rubric.dimension_ids)
    failing = [v for v in visits if v.status in (VisitStatus.FAILED, VisitStatus.DENIED)]
    last = runs[0] if runs else None
    sources: dict[str, dict[str, JsonValue]] = dict(last.report.get("sources", {})) if last else {}
    found: dict[str, JsonValue] = {
        "projects": len(projects),
        "artifacts": len(refs),
        "cells": cells,
        "rated_cells": len(ratings),
        "questions": waiting,
        "candidates": candidates,
        "last_run": {
            "id": last.id,
            "kind": last.kind,
            "started": last.started_at.isoformat(),
            "ended": last.ended_at.isoformat() if last.ended_at else None,
            "status": last.status.value,
            "exit_code": last.exit_code,
        }
        if last
        else None,
        "budget_left": {name: row.get("remaining") for name, row in sources.items()},
        "unread": [
            {
                "artifact": str(v.ref),
                "part": v.part,
                "status": v.status.value,
                "reason": v.reason,
                "since": v.at.isoformat(),
                "stale": v.stale,
            }
            for v in failing
        ],
    }
    if as_json:
        click.echo(json_text(found))
        return
    click.echo(
        f"{len(projects)} projects with {len(refs)} artifacts; {len(ratings)} of {cells} cells rated; {waiting} questions wait"
    )
    if candidates:
        click.echo(f"{candidates} candidates wait: openness candidates list")
    if last:
        ended = (
            f"ended {last.ended_at:%Y-%m-%d %H:%M} UTC with code {last.exit_code}"
            if last.ended_at
            else "has not ended"
        )
        click.echo(
            f"last run: {last.kind} {last.id} of {last.started_at:%Y-%m-%d %H:%M} UTC, {last.status.value}, {ended}"
        )
    else:
        click.echo("no run yet: openness nightly")
    for name, row in sources.items():
        if row.get("remaining") is not None:
            click.echo(f"budget left at {name}: {row['remaining']} requests")
    if failing:
        click.echo(f"{len(failing)} parts could not be read at their last visit:")
    for v in failing[:20]:
        click.echo(
            f"  {v.status.value:<7}{' (earlier reading stands)' if v.stale else ''} {safe(f'{v.ref} {v.part}')}: "
            f"{line(v.reason, 100)}"
        )
    if len(failing) > 20:
        click.echo(f"  … and {len(failing) - 20} more (`--json` names them)")


@click.group("db")
def db_command() -> None:
    """Schema migrations; integrity of database and archive.

    Example: openness db check
    """


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

    Exit code 1 when something is wrong; every problem is a line.

    Example: openness db check
    """
    settings = settings_of(ctx)
    engine = make_engine(settings.database_url)
    try:
        problems = check(engine)
        digests: list[str] = []
        if not problems:
            with session_scope(engine) as session:
                digests = load_digests(session)
            problems = [str(problem) for problem in Archive(settings.archive).verify(digests)]
    finally:
        engine.dispose()
    for problem in problems:
        click.echo(safe(problem))
    if problems:
        ctx.exit(1)
    click.echo(f"the database is sound, {len(digests)} bodies in the archive have their digests")
