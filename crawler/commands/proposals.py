"""`openness proposals` and `explain`: the review queue in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import click
from sqlalchemy.orm import Session

from crawler.commands.proposal_views import detail_json, proposal_json, show_finding, show_question
from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from crawler.nightly import require_projects
from crawler.terminal import block, json_text, line
from db import decide
from db.audit import record_decision
from db.load import load_projects
from db.proposals import load_proposals
from db.queue import count_queue, load_question, load_queue
from db.ratings import load_ratings
from db.session import session_scope
from pipelines.errors import UsageError
from pipelines.model import Rating

RATINGS = click.Choice([rating.value for rating in Rating])


@click.group("proposals")
def proposals_command() -> None:
    """The review queue in the terminal: what the evidence says otherwise than the current rating.

    Example: openness proposals list
    """


@proposals_command.command("list")
@click.option("--project", "slugs", multiple=True, metavar="SLUG", help="Only these projects.")
@click.option("--dimension", "dimensions", multiple=True, help="Only these dimensions.")
@click.option("--class", "classes", multiple=True, type=RATINGS, help="Only proposals of this class.")
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), default=0.0, help="Only proposals at least so sure."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--all", "show_all", is_flag=True, help="All proposals, also those that are no question.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_command(
    ctx: click.Context,
    slugs: tuple[str, ...],
    dimensions: tuple[str, ...],
    classes: tuple[str, ...],
    min_confidence: float,
    limit: int | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """The open questions: biggest change of class first.

    Example: openness proposals list --dimension license --min-confidence 0.7
    """
    with open_context(settings_of(ctx)) as context:
        require_projects(context)
        unknown = set(dimensions) - set(context.rubric.dimension_ids)
        if unknown:
            raise UsageError(
                f"no such dimension: {', '.join(sorted(unknown))} (there are {', '.join(context.rubric.dimension_ids)})"
            )
        if show_all:
            _list_all(context, slugs, dimensions, as_json)
            return
        filters = {
            "slugs": list(slugs) or None,
            "dimensions": list(dimensions) or None,
            "ratings": [Rating(value) for value in classes] or None,
            "min_confidence": min_confidence,
        }
        with session_scope(context.engine) as session:
            questions = load_queue(session, context.clock(), limit=limit, **filters)  # type: ignore[arg-type]
            total = count_queue(session, context.clock(), **filters)  # type: ignore[arg-type]
    if as_json:
        rows = [
            {
                "id": q.proposal_id,
                "slug": q.slug,
                "dimension": q.dimension,
                "class": q.rating.value,
                "current": q.current.value if q.current else None,
                "confidence": q.confidence,
                "rationale": q.rationale,
                "link": q.link,
                "since": q.since.isoformat(),
            }
            for q in questions
        ]
        click.echo(json_text(rows))
        return
    for q in questions:
        was = q.current.value if q.current else "unrated"
        click.echo(
            f"{q.proposal_id:>6}  {q.slug:<30} {q.dimension:<12} {was:>8} → {q.rating.value:<8} {q.confidence:.2f}  "
            f"{line(q.rationale, 90)}"
        )
    click.echo(f"{total} questions. Look at one: openness proposals show ID")


def _list_all(context: Context, slugs: tuple[str, ...], dimensions: tuple[str, ...], as_json: bool) -> None:
    with session_scope(context.engine) as session:
        stored = load_proposals(session, slugs=slugs or None, dimensions=dimensions or None)
        ratings = load_ratings(session)
    if as_json:
        rows = []
        for item in stored:
            current = ratings.get((item.proposal.slug, item.proposal.dimension))
            rows.append(proposal_json(item) | {"current": current.rating.value if current else None})
        click.echo(json_text(rows))
        return
    for item in stored:
        proposal = item.proposal
        rating = proposal.rating.value if proposal.rating else "cannot tell"
        click.echo(
            f"{item.id:>6}  {proposal.slug:<30} {proposal.dimension:<12} {rating:<12} {proposal.confidence:.2f}  {line(proposal.rationale, 90)}"
        )


@proposals_command.command("show")
@click.argument("proposal_id", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show_command(ctx: click.Context, proposal_id: int, as_json: bool) -> None:
    """One proposal with its evidence, what it rests on, and what was there before.

    Example: openness proposals show 42
    """
    with open_context(settings_of(ctx)) as context:
        with session_scope(context.engine) as session:
            detail = load_question(session, proposal_id, context.clock())
        if as_json:
            click.echo(json_text(detail_json(detail)))
            return
        show_question(context.rubric, detail)


@proposals_command.command("accept")
@click.argument("proposal_id", type=int, metavar="ID")
@click.option("--note", help="The published note; the rationale when not given.")
@click.option("--link", help="The published link; that of the evidence when not given.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def accept_command(
    ctx: click.Context, proposal_id: int, note: str | None, link: str | None, curator: str | None
) -> None:
    """Confirm a proposal: its class becomes the rating.

    Example: openness proposals accept 42
    """
    _decide(
        ctx,
        curator,
        lambda s, who, now: decide.accept(s, proposal_id, curator=who, now=now, note=note, link=link),
    )


@proposals_command.command("override")
@click.argument("proposal_id", type=int, metavar="ID")
@click.option("--class", "rating", type=RATINGS, required=True, help="The class that is right instead.")
@click.option("--reason", required=True, help="Why.")
@click.option("--note", help="The published note; the reason when not given.")
@click.option("--link", help="The published link; that of the evidence when not given.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def override_command(
    ctx: click.Context,
    proposal_id: int,
    rating: str,
    reason: str,
    note: str | None,
    link: str | None,
    curator: str | None,
) -> None:
    """Give the cell another class than the proposal says.

    Example: openness proposals override 42 --class partial --reason "the tuning data is only a sample"
    """
    _decide(
        ctx,
        curator,
        lambda s, who, now: decide.override(
            s, proposal_id, rating=Rating(rating), curator=who, now=now, reason=reason, note=note, link=link
        ),
    )


@proposals_command.command("reject")
@click.argument("proposal_id", type=int, metavar="ID")
@click.option("--reason", required=True, help="Why.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def reject_command(ctx: click.Context, proposal_id: int, reason: str, curator: str | None) -> None:
    """Turn a proposal down. The same class on the same evidence does not come back.

    Example: openness proposals reject 42 --reason "that repository is somebody else's"
    """
    _decide(
        ctx, curator, lambda s, who, now: decide.reject(s, proposal_id, curator=who, now=now, reason=reason)
    )


@proposals_command.command("defer")
@click.argument("proposal_id", type=int, metavar="ID")
@click.option(
    "--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day it comes back (UTC)."
)
@click.option("--reason", required=True, help="Why.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def defer_command(
    ctx: click.Context, proposal_id: int, until: datetime, reason: str, curator: str | None
) -> None:
    """Put a question off until a day in the future.

    Example: openness proposals defer 42 --until 2030-01-31 --reason "release announced for January"
    """
    day = until.replace(tzinfo=UTC)
    _decide(
        ctx,
        curator,
        lambda s, who, now: decide.defer(s, proposal_id, until=day, curator=who, now=now, reason=reason),
    )


@proposals_command.command("rate")
@click.argument("slug")
@click.argument("dimension")
@click.option("--class", "rating", type=RATINGS, required=True, help="The class.")
@click.option("--reason", required=True, help="Why.")
@click.option("--note", help="The published note; the reason when not given.")
@click.option("--link", default="", help="The published link.")
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def rate_by_hand_command(
    ctx: click.Context,
    slug: str,
    dimension: str,
    rating: str,
    reason: str,
    note: str | None,
    link: str,
    curator: str | None,
) -> None:
    """Rate a cell by hand, whatever the rules say of it or cannot tell.

    Example: openness proposals rate dolly api --class partial --reason "a demo that asks for an account"
    """
    with open_context(settings_of(ctx)) as context:
        if dimension not in context.rubric.dimension_ids:
            raise UsageError(
                f"no such dimension: {dimension} (there are {', '.join(context.rubric.dimension_ids)})"
            )
    _decide(
        ctx,
        curator,
        lambda s, who, now: decide.rate(
            s,
            slug,
            dimension,
            rating=Rating(rating),
            curator=who,
            now=now,
            reason=reason,
            note=note,
            link=link,
        ),
    )


@proposals_command.command("undo")
@click.argument("slug")
@click.argument("dimension")
@click.option("--reason", required=True, help="Why.")
@click.option(
    "--decision", "decision_id", type=int, help="Which decision; the latest in force when not given."
)
@click.option("--curator", help="Who decides; instead of OPENNESS_CURATOR.")
@click.pass_context
def undo_command(
    ctx: click.Context, slug: str, dimension: str, reason: str, decision_id: int | None, curator: str | None
) -> None:
    """Take a decision of a cell back. It stays on record, and so does the undoing.

    Example: openness proposals undo dolly license --reason "wrong repository"
    """
    _decide(
        ctx,
        curator,
        lambda s, who, now: decide.undo(
            s, slug, dimension, curator=who, now=now, reason=reason, decision_id=decision_id
        ),
    )


def _decide(ctx: click.Context, curator: str | None, act: Callable[[Session, str, datetime], int]) -> None:
    with open_context(settings_of(ctx)) as context:
        who = curator or context.settings.curator_name()
        with session_scope(context.engine, write=True) as session:
            now = context.clock()
            decision = act(session, who, now)
            record_decision(session, decision, now)
            waiting = count_queue(session, context.clock())
    click.echo(f"Decision {decision} by {line(who, 60)} is recorded. {waiting} questions are left.")


@click.command("explain")
@click.argument("slug")
@click.argument("dimension")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def explain_command(ctx: click.Context, slug: str, dimension: str, as_json: bool) -> None:
    """From a proposed class back to the checks, the passages and the bytes it rests on.

    Example: openness explain dolly llmdata
    """
    with open_context(settings_of(ctx)) as context:
        if dimension not in context.rubric.dimension_ids:
            raise UsageError(
                f"no such dimension: {dimension} (there are {', '.join(context.rubric.dimension_ids)})"
            )
        with session_scope(context.engine) as session:
            load_projects(session, [slug])
            stored = load_proposals(session, slugs=[slug], dimensions=[dimension])
    if not stored:
        raise UsageError(f"nothing was proposed for {slug} {dimension} yet: openness rate {slug}")
    if as_json:
        click.echo(json_text(proposal_json(stored[0])))
        return
    proposal = stored[0].proposal
    rating = proposal.rating.value if proposal.rating else "cannot tell"
    click.echo(
        f"{slug} · {dimension}: {rating}, confidence {proposal.confidence:.2f} (proposal {stored[0].id})"
    )
    click.echo(block(proposal.rationale, "  "))
    for finding in proposal.findings:
        show_finding(finding)
