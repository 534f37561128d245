"""`openness nightly`, `crawl`, `rate`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from crawler.context import Context, open_context
from crawler.gather import Progress
from crawler.nightly import RunKind, require_projects, run
from crawler.report import format_report
from crawler.settings import Settings, load_settings
from crawler.terminal import json_text, line
from pipelines.errors import UsageError

log = logging.getLogger(__name__)


def settings_of(ctx: click.Context) -> Settings:
    """The settings, with the flags of the command line on top."""
    settings = load_settings()
    return settings.with_changes(**ctx.obj) if ctx.obj else settings


@contextmanager
def progress_bars() -> Iterator[Progress | None]:
    """A live bar for each source, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, object] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)  # type: ignore[arg-type]

        yield show


def _run(
    ctx: click.Context,
    kind: RunKind,
    slugs: tuple[str, ...],
    as_json: bool,
    *,
    full: bool = False,
    resume: bool = False,
) -> None:
    with open_context(settings_of(ctx)) as context, progress_bars() as progress:
        _tell_about_tokens(context, kind)
        result = run(context, kind, list(slugs) or None, full=full, resume=resume, progress=progress)
    click.echo(json_text(result.report) if as_json else format_report(result.report))
    ctx.exit(result.exit_code)


def _tell_about_tokens(context: Context, kind: RunKind) -> None:
    if kind != "rate" and context.settings.github_token is None:
        log.warning(
            "No GITHUB_TOKEN: GitHub allows 60 requests an hour; repositories beyond that wait for the next night."
        )


@click.command("nightly")
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.option("--full", is_flag=True, help="Read everything anew, whatever is stored.")
@click.pass_context
def nightly_command(ctx: click.Context, as_json: bool, full: bool) -> None:
    """Crawl every project, rate, look for new candidates, and report: the main job.

    Exit codes: 0 done; 1 internal error; 2 wrong usage, or another run holds the database; 3 done, but
    some sources failed (the report names them); 4 nothing could be gathered.

    Example: openness nightly --json > report.json
    """
    _run(ctx, "nightly", (), as_json, full=full)


@click.command("crawl")
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.option("--full", is_flag=True, help="Read everything anew, whatever is stored.")
@click.option("--resume", is_flag=True, help="Go on with the run that was cut off.")
@click.pass_context
def crawl_command(
    ctx: click.Context, slugs: tuple[str, ...], as_json: bool, full: bool, resume: bool
) -> None:
    """Gather evidence for the named projects, or for all.

    Example: openness crawl dolly bloomz
    """
    if slugs and resume:
        raise UsageError("--resume goes on with the whole run that was cut off: name no projects")
    _run(ctx, "crawl", slugs, as_json, full=full, resume=resume)


@click.command("rate")
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.option("--diff", is_flag=True, help="Only show what would change; store no proposal.")
@click.pass_context
def rate_command(ctx: click.Context, slugs: tuple[str, ...], as_json: bool, diff: bool) -> None:
    """Propose ratings from the stored evidence, without touching the network.

    Example: openness rate dolly --diff
    """
    if diff:
        with open_context(settings_of(ctx)) as context:
            require_projects(context)
            _show_diff(context, slugs, as_json)
        return
    _run(ctx, "rate", slugs, as_json)


def _show_diff(context: Context, slugs: tuple[str, ...], as_json: bool) -> None:
    from crawler.gather import extract_new
    from crawler.rating import propose_stored
    from db.load import load_projects
    from db.proposals import load_proposals
    from db.session import session_scope

    with session_scope(context.engine) as session:
        projects = load_projects(session, list(slugs) or None)
    # Extractors may have changed as well as rules; what they find is stored, as ever.
    extract_new(context, list({artifact.ref for project in projects for artifact in project.artifacts}))
    now = propose_stored(context, list(slugs) or None)
    with session_scope(context.engine) as session:
        before = {(s.proposal.slug, s.proposal.dimension): s.proposal for s in load_proposals(session)}
    changes = []
    for slug, proposals in now.items():
        for proposal in proposals:
            stored = before.get((slug, proposal.dimension))
            was = stored.rating.value if stored and stored.rating else "cannot_tell" if stored else "none"
            becomes = proposal.rating.value if proposal.rating else "cannot_tell"
            if was != becomes:
                changes.append(
                    {
                        "slug": slug,
                        "dimension": proposal.dimension,
                        "from": was,
                        "to": becomes,
                        "why": proposal.rationale,
                    }
                )
    if as_json:
        click.echo(json_text(changes))
        return
    for change in changes:
        click.echo(
            f"{change['slug']:<32} {change['dimension']:<12} {change['from']:>11} → {change['to']:<11} "
            f"{line(change['why'], 160)}"
        )
    click.echo(f"{len(changes)} cells would change.")
