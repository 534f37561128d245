"""`openness discover` and `openness candidates`: new model projects, and what a curator makes of them."""

from __future__ import annotations

import click

from crawler.commands.run import progress_of, settings_of
from crawler.context import open_context
from crawler.discovery import check_makers
from crawler.nightly import run
from crawler.report import format_report
from crawler.terminal import json_text, line, safe
from db.candidate_row import CandidateStatus
from db.candidates import (
    adopt_candidate,
    count_candidates,
    dismiss_candidate,
    load_candidates,
    merge_candidate,
)
from db.session import session_scope
from db.values import StoredCandidate
from pipelines.candidates import HUB, seed_json
from pipelines.model import JsonValue, Role
from pipelines.seeds import dump_seeds

BECAME = {CandidateStatus.ADOPTED: " as {}", CandidateStatus.MERGED: " into {}"}
STATUSES = click.Choice([*(status.value for status in CandidateStatus), "all"])


@click.command("discover")
@click.option(
    "--maker",
    "makers",
    multiple=True,
    metavar="ACCOUNT",
    help="Look at this account of the Hub only; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="The run report as JSON on stdout.")
@click.pass_context
def discover_command(ctx: click.Context, makers: tuple[str, ...], as_json: bool) -> None:
    """Look for new model projects: what the makers of the seeds' models have published since.

    Finds are candidates for a curator; no project comes of them by itself. `openness nightly` does
    this too. Exit codes: 0 done; 3 done, but the lists of some makers could not be read; 4 none could.

    Example: openness discover --json
    """
    chosen = check_makers(makers)
    with open_context(settings_of(ctx)) as context, progress_of(ctx) as progress:
        result = run(context, "discover", makers=chosen, progress=progress)
    report = result.report
    click.echo(json_text(report) if as_json else format_report(report))
    ctx.exit(result.exit_code)


@click.group("candidates")
def candidates_command() -> None:
    """The queue of discovered projects.

    Example: openness candidates list
    """


@candidates_command.command("list")
@click.option("--status", type=STATUSES, default=CandidateStatus.OPEN.value, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_command(ctx: click.Context, status: str, as_json: bool) -> None:
    """The candidates that wait for a curator, or those decided upon, with the fields that speak for them.

    Example: openness candidates list --status all
    """
    with open_context(settings_of(ctx)) as context, session_scope(context.engine) as session:
        stored = load_candidates(session, None if status == "all" else [CandidateStatus(status)])
        waiting = count_candidates(session)
    if as_json:
        click.echo(json_text([_json(item) for item in stored]))
        return
    for item in stored:
        _show(item)
    click.echo(
        f"{waiting} candidates wait. Decide: openness candidates adopt ID, openness candidates dismiss ID --reason …"
    )


def _json(item: StoredCandidate) -> dict[str, JsonValue]:
    candidate = item.candidate
    return {
        "id": item.id,
        "artifact": str(candidate.ref),
        "kind": candidate.ref.kind.value,
        "model": candidate.ref.id,
        "maker": candidate.maker,
        "name": candidate.name,
        "url": HUB + candidate.ref.id,
        "found": item.found_at.isoformat(),
        "status": item.status.value,
        "reasons": [{"field": r.field, "value": r.value, "says": r.says} for r in candidate.reasons],
        "seed": seed_json(candidate.seed),
        "slug": item.slug or None,
        "in_seeds": item.in_seeds,
        "curator": item.curator or None,
        "decided": item.decided_at.isoformat() if item.decided_at else None,
        "reason": item.reason or None,
    }


def _show(item: StoredCandidate) -> None:
    candidate = item.candidate
    click.echo(
        f"{item.id:>6}  {safe(candidate.ref.id)}  found {item.found_at:%Y-%m-%d}"
        f"{'' if item.status is CandidateStatus.OPEN else f', {item.status.value}'}"
    )
    if item.decided_at:
        became = BECAME.get(item.status, "").format(item.slug) if item.slug else ""
        why = f": {line(item.reason, 90)}" if item.reason else ""
        click.echo(f"          by {line(item.curator, 40)} on {item.decided_at:%Y-%m-%d}{became}{why}")
    for reason in candidate.reasons:
        click.echo(f"          {reason.field} = {line(reason.value, 60)}: {reason.says}")


@candidates_command.command("adopt")
@click.argument("candidate", metavar="ID|NAME")
@click.option("--slug", default="", help="Its slug; that of the proposed seed entry when not given.")
@click.option("--reason", default="", help="Why.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.option("--json", "as_json", is_flag=True, help="The adopted candidate as JSON on stdout.")
@click.pass_context
def adopt_command(
    ctx: click.Context, candidate: str, slug: str, reason: str, curator: str | None, as_json: bool
) -> None:
    """Make a candidate a project; its entry for the seed file goes to stdout.

    The project is visited from the next run on. Imports of seeds leave it alone until the seed file
    has named it; from then on the file rules. To take it back before: openness candidates dismiss.

    Example: openness candidates adopt 3 >> seeds.yaml
    """
    with open_context(settings_of(ctx)) as context:
        who = curator or context.settings.curator_name()
        with session_scope(context.engine, write=True) as session:
            adopted = adopt_candidate(
                session, candidate, curator=who, now=context.clock(), slug=slug, reason=reason
            )
    if as_json:
        click.echo(json_text(_json(adopted)))
    else:
        click.echo(dump_seeds([adopted.candidate.seed]), nl=False)
    click.echo(
        f"{adopted.slug} is a project now. Put the entry into the seed file, and check its base, data and repositories.",
        err=True,
    )


@candidates_command.command("merge")
@click.argument("candidate", metavar="ID|NAME")
@click.argument("slug")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="What it is to the project; as in its proposed seed entry when not given.",
)
@click.option("--reason", default="", help="Why.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.option("--json", "as_json", is_flag=True, help="The merged candidate as JSON on stdout.")
@click.pass_context
def merge_command(
    ctx: click.Context,
    candidate: str,
    slug: str,
    role: str | None,
    reason: str,
    curator: str | None,
    as_json: bool,
) -> None:
    """Make a candidate one more artifact of the project SLUG, that there is already.

    It is visited from the next run on. Imports of seeds leave it alone until the seed file has named it
    for the project; from then on the file rules. To take it back before: openness candidates dismiss.

    Example: openness candidates merge 3 some-project --role rl_weights
    """
    with open_context(settings_of(ctx)) as context:
        who = curator or context.settings.curator_name()
        with session_scope(context.engine, write=True) as session:
            merged = merge_candidate(
                session,
                candidate,
                slug=slug,
                curator=who,
                now=context.clock(),
                role=Role(role) if role else None,
                reason=reason,
            )
    if as_json:
        click.echo(json_text(_json(merged)))
        return
    click.echo(
        f"{safe(merged.candidate.ref.id)} is an artifact of {merged.slug} now. Put it into the seed file, too."
    )


@candidates_command.command("dismiss")
@click.argument("candidate", metavar="ID|NAME")
@click.option("--reason", required=True, help="Why.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.option("--json", "as_json", is_flag=True, help="The dismissed candidate as JSON on stdout.")
@click.pass_context
def dismiss_command(
    ctx: click.Context, candidate: str, reason: str, curator: str | None, as_json: bool
) -> None:
    """Turn a candidate down for good: neither it nor another size of it comes back.

    One that was adopted or merged is taken back, and its project retired (or rid of it), unless the seed
    file names it.

    Example: openness candidates dismiss 3 --reason "a demo, not a release"
    """
    with open_context(settings_of(ctx)) as context:
        who = curator or context.settings.curator_name()
        with session_scope(context.engine, write=True) as session:
            dismissed = dismiss_candidate(session, candidate, curator=who, reason=reason, now=context.clock())
            waiting = count_candidates(session)
    if as_json:
        click.echo(json_text(_json(dismissed)))
        return
    retired = f" Its project {dismissed.slug} is retired." if dismissed.slug else ""
    click.echo(f"{safe(dismissed.candidate.ref.id)} is dismissed.{retired} {waiting} candidates wait.")
