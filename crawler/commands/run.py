"""`openness nightly`, `crawl`, `rate`. What they need is imported when they run: `--help` is quick."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.heap import collecting_seldom
from crawler.terminal import json_text

if TYPE_CHECKING:
    from crawler.context import Context
    from crawler.nightly import RunKind
    from crawler.progress import Progress
    from crawler.settings import Settings

log = logging.getLogger(__name__)


def settings_of(ctx: click.Context) -> Settings:
    """The settings, with the flags of the command line on top."""
    from crawler.settings import load_settings

    settings = load_settings()
    return settings.with_changes(**ctx.obj) if ctx.obj else settings


@contextmanager
def progress_of(ctx: click.Context) -> Iterator[Progress]:
    """A live table on a terminal; elsewhere, with --verbose, a line a minute in the log; else nothing."""
    from crawler.progress import NullProgress, logged, shown_on

    options = ctx.find_root().params
    if sys.stderr.isatty() and options.get("log_format") != "json":
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            with shown_on(console) as shown:
                yield shown
            return
    if options.get("verbose"):
        with logged() as told:
            yield told
        return
    yield NullProgress()


def _run(
    ctx: click.Context,
    kind: RunKind,
    slugs: tuple[str, ...],
    as_json: bool,
    *,
    full: bool = False,
    resume: bool = False,
    metrics_file: Path | None = None,
) -> None:
    with collecting_seldom():
        code = _run_and_tell(ctx, kind, slugs, as_json, full=full, resume=resume, metrics_file=metrics_file)
    ctx.exit(code)


def _run_and_tell(
    ctx: click.Context,
    kind: RunKind,
    slugs: tuple[str, ...],
    as_json: bool,
    *,
    full: bool,
    resume: bool,
    metrics_file: Path | None,
) -> int:
    """Run and print the report; the exit code."""
    from crawler.context import open_context
    from crawler.morning import told_in_the_morning
    from crawler.nightly import run

    settings = settings_of(ctx)
    with (
        told_in_the_morning(settings, is_night=kind == "nightly", metrics_file=metrics_file) as night,
        open_context(settings) as context,
        progress_of(ctx) as progress,
    ):
        _tell_about_tokens(context, kind)
        result = run(
            context,
            kind,
            list(slugs) or None,
            full=full,
            resume=resume,
            progress=progress,
            at_end=night.keep,
        )
    from crawler.report import format_report

    click.echo(json_text(result.report) if as_json else format_report(result.report))
    return result.exit_code


def _tell_about_tokens(context: Context, kind: RunKind) -> None:
    if kind != "rate" and context.settings.github_token is None:
        log.warning(
            "No GITHUB_TOKEN: GitHub allows 60 requests an hour; repositories beyond that wait for the next night."
        )


@click.command("nightly")
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.option("--full", is_flag=True, help="Read everything anew, whatever is stored.")
@click.option("--plan", is_flag=True, help="Only show what a night would do now, and what would wait.")
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write metrics for Prometheus; instead of OPENNESS_METRICS_FILE.",
)
@click.pass_context
def nightly_command(
    ctx: click.Context, as_json: bool, full: bool, plan: bool, metrics_file: Path | None
) -> None:
    """Crawl every project, rate, look for new candidates, and report: the main job.

    Exit codes: 0 done; 1 internal error; 2 wrong usage, or another run holds the database; 3 done, but
    some sources failed (the report names them); 4 nothing could be gathered.

    Example: openness nightly --json > report.json
    """
    if plan:
        from crawler.commands.plan import show_plan
        from crawler.context import open_context

        with open_context(settings_of(ctx)) as context:
            show_plan(context, as_json, full=full)
        return
    _run(ctx, "nightly", (), as_json, full=full, metrics_file=metrics_file)


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

    With --resume the latest run that was cut off is gone on with. Where other projects are named than
    it was about, a new run reads these, but nothing that the other has read in the last 20 hours.

    Example: openness crawl dolly bloomz
    """
    _run(ctx, "crawl", slugs, as_json, full=full, resume=resume)


@click.command("rate")
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.option(
    "--full", is_flag=True, help="Rate every project, also where nothing is new since the last time."
)
@click.option("--diff", is_flag=True, help="Only show what would change; store no proposal.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="RATINGS",
    help="With --diff: the ratings file that tells better from worse; else the confirmed ratings do.",
)
@click.pass_context
def rate_command(
    ctx: click.Context, slugs: tuple[str, ...], as_json: bool, full: bool, diff: bool, against: Path | None
) -> None:
    """Propose ratings from the stored evidence, without touching the network.

    A project of which nothing is new since it was last rated, neither evidence nor rules, is passed
    over: its proposals would be the same. With --diff each cell that would change is marked + (better),
    - (worse) or not at all, by published ratings.

    Example: openness rate dolly --diff
    """
    if against is not None and not diff:
        raise click.UsageError("--against belongs to --diff")
    if diff:
        from crawler.commands.diff import show_diff
        from crawler.context import open_context
        from crawler.nightly import require_projects

        with open_context(settings_of(ctx)) as context:
            require_projects(context)
            show_diff(context, slugs, as_json, against)
        return
    _run(ctx, "rate", slugs, as_json, full=full)
