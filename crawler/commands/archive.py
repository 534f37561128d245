"""`openness archive`: is it whole, what may go, and how to hand it on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from crawler.archive import ArchiveProblem, ProblemKind
from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from crawler.lock import run_lock
from crawler.prune import Pruned, Tally, prune_archive
from crawler.terminal import json_text, safe
from crawler.verify import Verified, verify_archive
from db.pins import KeepRule, Need
from pipelines.errors import UsageError
from pipelines.model import JsonValue

PROBLEMS_LISTED = 10_000
"""Problems that `verify --json` lists; it counts them all."""

_MEGABYTE = 1_000_000


@click.group("archive")
def archive_command() -> None:
    """Is the evidence archive whole, what of it may go, and how to hand it on.

    Example: openness archive verify
    """


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A live bar, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@archive_command.command("verify")
@click.option("--quick", is_flag=True, help="Only whether every body is there with its size.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def verify_command(ctx: click.Context, quick: bool, as_json: bool) -> None:
    """Compare every snapshot's bytes with its digest; name what is missing, damaged or foreign.

    Bytes that no snapshot names (left by a run that was cut off, or another database's) are told and
    do no harm. Exit code 1 when something is wrong.

    Example: openness archive verify --quick
    """
    listed: list[ArchiveProblem] = []

    def tell(problem: ArchiveProblem) -> None:
        if as_json:
            if len(listed) < PROBLEMS_LISTED:
                listed.append(problem)
        else:
            click.echo(f"{problem.kind.value:<10} {safe(str(problem))}")

    with open_context(settings_of(ctx)) as context, _bar("verifying") as progress:
        verified = verify_archive(context.engine, context.archive, tell, quick=quick, progress=progress)
    if as_json:
        click.echo(json_text(_verified_json(verified, listed, quick)))
    else:
        for line in _verified_lines(verified, quick):
            click.echo(line)
    if not verified.is_sound:
        ctx.exit(1)


def _verified_json(verified: Verified, listed: list[ArchiveProblem], quick: bool) -> dict[str, JsonValue]:
    return {
        "sound": verified.is_sound,
        "quick": quick,
        "bodies": verified.bodies,
        "bytes": verified.bytes,
        "pruned": verified.pruned,
        "counts": {kind.value: verified.problems[kind] for kind in ProblemKind},
        "problems": [
            {
                "kind": problem.kind.value,
                "sha256": problem.sha256,
                "path": str(problem.path),
                "problem": problem.problem,
                "harmless": problem.is_harmless,
            }
            for problem in listed
        ],
        "problems_left_out": sum(verified.problems.values()) - len(listed),
    }


def _verified_lines(verified: Verified, quick: bool) -> Iterator[str]:
    what = "are there with their sizes" if quick else "have their digests"
    pruned = f"; {verified.pruned} were pruned" if verified.pruned else ""
    yield f"{verified.bodies} bodies ({_size(verified.bytes)} uncompressed) {what}{pruned}"
    counts = verified.problems
    if counts[ProblemKind.ORPHAN]:
        yield (
            f"{counts[ProblemKind.ORPHAN]} that no snapshot names: left by a run that was cut off, or another"
            " database's. They do no harm; `openness archive prune --orphans` removes them"
        )
    if counts[ProblemKind.LEFT_OVER]:
        yield f"{counts[ProblemKind.LEFT_OVER]} that were pruned are still there; the next pruning removes them"
    if any(counts[kind] for kind in (ProblemKind.MISSING, ProblemKind.DAMAGED, ProblemKind.UNREADABLE)):
        yield (
            "What is missing or damaged comes from the backup. Of standing snapshots `openness nightly --full`"
            " stores the bytes anew where the service still hands over the same"
        )


@archive_command.command("prune")
@click.option(
    "--keep", "days", type=click.IntRange(min=0), metavar="DAYS", help="Keep what was read in these days."
)
@click.option(
    "--keep-last",
    "last",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the N latest snapshots of a part.",
)
@click.option(
    "--orphans", is_flag=True, help="Also bytes older than a day that no snapshot of this database names."
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout; does nothing without --yes.")
@click.pass_context
def prune_command(
    ctx: click.Context,
    days: int | None,
    last: int | None,
    orphans: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove bytes that nothing needs any more. Shows what would go, and asks.

    Always kept: the latest snapshot of every part, and what a decision or an open proposal rests on.
    With both options, a snapshot stays that either keeps. Everything that is known of a snapshot
    stays in any case, quoted passages included.

    Where several databases use one archive, do not prune: it is not known what the others need.

    Example: openness archive prune --keep 365
    """
    if days is None and last is None:
        raise UsageError("say what to keep besides what is needed: --keep DAYS, --keep-last N, or both")
    if dry_run and yes:
        raise UsageError("--dry-run removes nothing: leave out --yes")
    with open_context(settings_of(ctx)) as context:
        now = context.clock()
        rule = KeepRule(since=None if days is None else _before(now, days), last=last or 1)
        done = False
        if not yes:
            found = _prune(context, rule, now, orphans=orphans, act=False)
            if as_json:
                click.echo(json_text(_pruned_json(found, orphans, done)))
                return
            _show(found, rule, orphans)
            if dry_run or not _is_something(found, orphans):
                return
            if not sys.stdin.isatty():
                click.echo("Nothing was removed: --yes does it.")
                return
            done = click.confirm("Remove it?", err=True)
            if not done:
                return
        with run_lock(context.engine):
            found = _prune(context, rule, now, orphans=orphans, act=True)
    if as_json:
        click.echo(json_text(_pruned_json(found, orphans, True)))
        return
    if yes:
        _show(found, rule, orphans)
    gone = found.removed.bodies + found.left_over.bodies + (found.orphans.bodies if orphans else 0)
    click.echo(f"Removed {gone} bodies.")


def _before(now: datetime, days: int) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _prune(context: Context, rule: KeepRule, now: datetime, *, orphans: bool, act: bool) -> Pruned:
    # Who decides is asked first: nothing is to be half-done when there is no name.
    curator = context.settings.curator_name() if act else ""
    with _bar("pruning" if act else "looking") as progress:
        return prune_archive(
            context.engine,
            context.archive,
            rule,
            now=now,
            curator=curator,
            orphans=orphans,
            act=act,
            progress=progress,
        )


def _is_something(found: Pruned, orphans: bool) -> bool:
    return bool(found.removed.bodies or found.left_over.bodies or (orphans and found.orphans.bodies))


def _show(found: Pruned, rule: KeepRule, orphans: bool) -> None:
    reasons = []
    if rule.since is not None:
        reasons.append(f"read since {rule.since:%Y-%m-%d}")
    if rule.last > 1:
        reasons.append(f"among the {rule.last} latest of their part")
    told = {
        Need.STANDING: "the latest of their part",
        Need.RECENT: " or ".join(reasons) or "in the history",
        Need.PINNED: "older, but a decision or an open proposal rests on them",
    }
    for need, words in told.items():
        if found.kept[need]:
            click.echo(f"keep   {found.kept[need]:>9}  {words}")
    click.echo(f"remove {found.removed.bodies:>9}  older ({_size(found.removed.bytes)} on the disk)")
    if found.left_over.bodies:
        click.echo(f"remove {found.left_over.bodies:>9}  left over from a pruning that was cut off")
    if found.orphans.bodies:
        verb, hint = ("remove", "") if orphans else ("leave ", "; --orphans removes them")
        click.echo(
            f"{verb} {found.orphans.bodies:>9}  that no snapshot names ({_size(found.orphans.bytes)}{hint})"
        )


def _pruned_json(found: Pruned, orphans: bool, done: bool) -> dict[str, JsonValue]:
    def of(tally: Tally) -> dict[str, JsonValue]:
        return {"bodies": tally.bodies, "bytes": tally.bytes}

    return {
        "done": done,
        "kept": {need.value: found.kept[need] for need in Need if need is not Need.NONE},
        "removed": of(found.removed),
        "left_over": of(found.left_over),
        "orphans": {**of(found.orphans), "removed": done and orphans},
        "pruned_earlier": found.earlier,
    }


@archive_command.group("export")
def export_group() -> None:
    """Hand the archive on in a form that others read.

    Example: openness archive export warc warc
    """


@export_group.command("warc")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Only what was read on that day (UTC) or later.",
)
@click.option(
    "--split",
    "megabytes",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="MB",
    help="Size at which a new file is begun.",
)
@click.option("--no-revisits", is_flag=True, help="Leave out the visits that found nothing new.")
@click.option("--json", "as_json", is_flag=True, help="What was written, as JSON on stdout.")
@click.pass_context
def export_warc_command(
    ctx: click.Context,
    folder: Path,
    slugs: tuple[str, ...],
    since: datetime | None,
    megabytes: int,
    no_revisits: bool,
    as_json: bool,
) -> None:
    """Write snapshots as WARC/1.1 files into FOLDER, for the named projects or for all.

    All files appear when the last one is whole, or none. The same archive gives the same bytes. Exit
    code 1 when bodies that are missing or damaged had to be left out.

    Example: openness archive export warc warc dolly --since 2026-01-01
    """
    from crawler.warc_export import export_warc

    with open_context(settings_of(ctx)) as context, _bar("writing") as progress:
        exported = export_warc(
            context,
            folder,
            slugs=list(slugs) or None,
            since=since.replace(tzinfo=UTC) if since else None,
            split_bytes=megabytes * _MEGABYTE,
            revisits=not no_revisits,
            progress=progress,
        )
    if as_json:
        found: dict[str, JsonValue] = {
            "files": [str(path) for path in exported.files],
            "snapshots": exported.snapshots,
            "revisits": exported.revisits,
            "pruned": exported.pruned,
            "bytes": exported.bytes,
            "left_out": exported.unreadable,
        }
        click.echo(json_text(found))
    else:
        for path in exported.files:
            click.echo(safe(str(path)))
        click.echo(
            f"{exported.snapshots} snapshots and {exported.revisits} later visits that found the same,"
            f" {_size(exported.bytes)}"
        )
    if exported.unreadable:
        click.echo(f"left out: {len(exported.unreadable)} bodies, see `openness archive verify`", err=True)
        ctx.exit(1)


def _size(number: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} bytes"
