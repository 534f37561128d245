"""`openness schedule`: nights by a cron expression, for containers and for machines without cron."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.terminal import line
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from crawler.schedule import CronTimes
    from crawler.scheduler import Plan
    from crawler.settings import Settings

log = logging.getLogger(__name__)

GRACE_SECONDS = 4 * 60 * 60
TIME_LIMIT_SECONDS = 12 * 60 * 60
STOP_GRACE_SECONDS = 8.0
"""Less than the ten seconds after which container engines kill."""

_NIGHTS_LOOKED_AT = 20


@click.command("schedule")
@click.option("--cron", metavar="EXPRESSION", help="When, as five cron fields; instead of OPENNESS_SCHEDULE.")
@click.option(
    "--timezone", metavar="ZONE", help="Whose clock, such as Europe/Lisbon; instead of OPENNESS_TIMEZONE."
)
@click.option(
    "--jitter",
    type=click.IntRange(0, 21_600),
    metavar="SECONDS",
    help="Begin by chance up to so much later; instead of OPENNESS_SCHEDULE_JITTER.",
)
@click.option(
    "--misfire-grace",
    type=click.IntRange(1, 604_800),
    default=GRACE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A night that the machine slept through is begun up to so much late, later ones are left out.",
)
@click.option(
    "--catch-up",
    is_flag=True,
    help="At the start, begin at once if a night was due, or was cut off, since the last one that was done.",
)
@click.option(
    "--at-start", is_flag=True, help="Begin a night at once, and keep to the schedule from then on."
)
@click.option("--once", is_flag=True, help="One night, then end with its exit code.")
@click.option(
    "--time-limit",
    type=click.IntRange(1, 604_800),
    default=TIME_LIMIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A night that takes longer is ended; what it has is stored.",
)
@click.option(
    "--stop-grace",
    type=click.FloatRange(0.1, 3600),
    default=STOP_GRACE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long a night may take to end when it is told to; then it is killed.",
)
@click.option(
    "--health-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written every ten seconds, with how the last night ended; instead of OPENNESS_HEALTH_FILE.",
)
@click.option(
    "--healthy", is_flag=True, help="Only look at the health file: code 0 when all is well, else 1."
)
@click.option(
    "--next", "shown", type=click.IntRange(1, 1000), metavar="N", help="Only show the next N times."
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTION...]")
@click.pass_context
def schedule_command(
    ctx: click.Context,
    cron: str | None,
    timezone: str | None,
    jitter: int | None,
    misfire_grace: int,
    catch_up: bool,
    at_start: bool,
    once: bool,
    time_limit: int,
    stop_grace: float,
    health_file: Path | None,
    healthy: bool,
    shown: int | None,
    options: tuple[str, ...],
) -> None:
    """Run `openness nightly` whenever it is due, until stopped.

    Each night is a process of its own. What stands behind -- is handed to `openness nightly`. Times are
    those of the wall: a night at 02:30 comes exactly once also on days on which the clocks are changed.
    SIGTERM and Ctrl-C end a night orderly, and the schedule with it.

    Example: openness schedule --cron "17 2 * * *" --timezone Europe/Lisbon --catch-up -- --json
    """
    if healthy:
        _tell_health(ctx, health_file)
        return
    from crawler.schedule import EXAMPLE, CronTimes, parse_zone

    settings = _settings(ctx)
    expression = cron if cron is not None else settings.schedule
    if not expression.strip():
        raise UsageError(f'no schedule is set: --cron "{EXAMPLE}" or OPENNESS_SCHEDULE, every night at 02:17')
    times = CronTimes(
        expression,
        parse_zone(timezone if timezone is not None else settings.timezone),
        settings.schedule_jitter if jitter is None else jitter,
    )
    if shown is not None:
        _show_times(times, shown)
        return
    from crawler.scheduler import Plan, Scheduler, night_command

    plan = Plan(
        times=times,
        command=night_command(_options_for_all(ctx), options),
        environment=_environment(ctx),
        grace=misfire_grace,
        time_limit=time_limit,
        stop_grace=stop_grace,
        at_once=at_start or (catch_up and _is_behind(ctx, times)),
        once=once,
        health_file=health_file or settings.health_file,
    )
    _require_startable(ctx, plan)
    log.info("the schedule is %s", times)
    ctx.exit(Scheduler(plan, _now).run())


def _now() -> datetime:
    return datetime.now(UTC)


def _tell_health(ctx: click.Context, health_file: Path | None) -> None:
    from crawler.health import check_health

    if health_file is None:
        health_file = _settings(ctx).health_file
    if health_file is None:
        raise UsageError("no health file is set: --health-file FILE or OPENNESS_HEALTH_FILE")
    good, told = check_health(health_file, _now())
    click.echo(line(told, 300))
    ctx.exit(0 if good else 1)


def _show_times(times: CronTimes, count: int) -> None:
    moment = _now()
    for _ in range(count):
        following = times.next_after(moment)
        if following is None:
            return
        moment = following
        click.echo(moment.astimezone(times.zone).isoformat(sep=" ", timespec="seconds"))


def _settings(ctx: click.Context) -> Settings:
    """The settings, with the flags of the command line on top, without what a night needs besides."""
    from crawler.settings import load_settings

    settings = load_settings()
    return settings.with_changes(**ctx.obj) if ctx.obj else settings


def _require_startable(ctx: click.Context, plan: Plan) -> None:
    """Try once what begins a night, with --help: better that it fails now than every night.

    Ends the command with the night's own exit code and message, such as for an option that is none of its.
    """
    import subprocess

    tried = subprocess.run(
        [*plan.command, "--help"],
        env=plan.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if tried.returncode != 0:
        log.error("no schedule is kept: `openness %s` cannot be run", " ".join(plan.command[4:]))
        ctx.exit(max(1, tried.returncode))


def _options_for_all(ctx: click.Context) -> list[str]:
    """The options before the subcommand that are no settings, as they were given to us."""
    given = ctx.parent.params if ctx.parent else {}
    options = ["--log-format", str(given.get("log_format", "text"))]
    return [*options, "--verbose"] if given.get("verbose") else options


def _environment(ctx: click.Context) -> dict[str, str]:
    """Ours, with the settings of the command line in it: arguments can be seen by everybody, and a URL may hold
    a password."""
    names = {"database_url": "OPENNESS_DATABASE_URL", "archive": "OPENNESS_ARCHIVE"}
    return {**os.environ, **{names[name]: str(value) for name, value in (ctx.obj or {}).items()}}


def _is_behind(ctx: click.Context, times: CronTimes) -> bool:
    """Was a night due since the last one that was done?"""
    from crawler.context import open_context
    from crawler.schedule import missed_night
    from db.load import load_runs
    from db.session import session_scope

    with open_context(_settings(ctx)) as context:
        with session_scope(context.engine) as session:
            nights = load_runs(session, kinds=("nightly",), limit=_NIGHTS_LOOKED_AT)
        due = missed_night(nights, times, context.clock())
    if due is not None:
        log.info(
            "the night of %s was missed: it is made up for now",
            due.astimezone(times.zone).isoformat(sep=" ", timespec="seconds"),
        )
    return due is not None
