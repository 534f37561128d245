"""`openness nightly --plan`: what the next night would do, without doing it."""

from __future__ import annotations

from datetime import UTC

import click

from crawler.budget import Plan, ServicePlan
from crawler.context import Context, load_bases, make_sources, read_text
from crawler.planning import fetch_allowances, plan_visits
from crawler.terminal import json_text, safe
from db.load import load_projects
from db.session import session_scope
from db.waiting import WaitingArtifact
from pipelines.model import JsonValue
from pipelines.seeds import parse_seeds

FIRST_SHOWN = 10
"""Projects named as those that go first; `--json` names all."""


def show_plan(context: Context, as_json: bool, *, full: bool) -> None:
    """Print the plan of the next night. Services are asked what is left, which costs nothing of it."""
    plan = make_plan(context, full=full)
    if as_json:
        click.echo(json_text(plan_as_json(plan)))
        return
    click.echo(format_plan(plan))


def make_plan(context: Context, *, full: bool = False) -> Plan:
    """The plan of a night that would begin now; of the seed file's projects where none is known yet."""
    waiting = _first_night(context)
    sources = make_sources(context, load_bases(context.settings))
    try:
        return plan_visits(context, sources, fetch_allowances(sources), full=full, waiting=waiting)
    finally:
        for source in sources:
            source.close()


def _first_night(context: Context) -> list[WaitingArtifact] | None:
    """What the seed file names, before the first night; None where the database knows projects."""
    with session_scope(context.engine) as session:
        if load_projects(session):
            return None
    path, now = context.settings.seeds, context.clock()
    projects = parse_seeds(read_text(path, "the seed file"), str(path))
    return [
        WaitingArtifact(
            slug=project.slug, ref=artifact.ref, last_read=None, waiting_since=now, known=False, token=""
        )
        for project in projects
        for artifact in project.artifacts
    ]


def plan_as_json(plan: Plan) -> dict[str, JsonValue]:
    """The whole plan: services, who goes first, what waits."""
    return {
        "services": [part.as_json() for part in plan.services],
        "order": list(plan.order),
        "postponed": sorted(str(ref) for ref in plan.postponed),
    }


def format_plan(plan: Plan) -> str:
    """The plan for people: a row a service, who goes first, who waits."""
    if not plan.services:
        return "Nothing is to be visited: no project has an artifact."
    fits = sum(part.fits for part in plan.services)
    waits = f", {plan.waits} wait for another night" if plan.waits else ""
    lines = [
        f"Plan of the next night: {len(plan.order)} projects, {fits} artifacts to visit{waits}",
        "",
        _row("service", "limit", "left", "kept", "need", "planned", "fits", "waits", "begins anew"),
        *(_service_row(part) for part in plan.services),
        "",
        f"First: {_named(plan.order)}",
    ]
    for part in plan.services:
        if part.waits:
            more = ", …" if part.waits > len(part.first_waiting) else ""
            lines.append(f"Waiting at {part.service}: {safe(', '.join(part.first_waiting))}{more}")
    return "\n".join(lines)


def _service_row(part: ServicePlan) -> str:
    """One service; – where it tells nothing of its limit."""
    told = part.left is not None
    return _row(
        part.service,
        "–" if part.limit is None else part.limit,
        part.left if told else "–",
        part.reserve if told else "–",
        part.need,
        part.planned,
        part.fits,
        part.waits,
        f"{part.resets_at.astimezone(UTC):%H:%M} UTC" if part.resets_at else "–",
    )


def _row(name: str, *cells: object) -> str:
    return f"{name:<12}" + "".join(f"{cell!s:>8}" for cell in cells[:-1]) + f"  {cells[-1]}"


def _named(slugs: tuple[str, ...]) -> str:
    more = f" and {len(slugs) - FIRST_SHOWN} more" if len(slugs) > FIRST_SHOWN else ""
    return safe(", ".join(slugs[:FIRST_SHOWN])) + more
