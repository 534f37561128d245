"""`openness claims`: what projects say of their openness beside what the evidence shows."""

from __future__ import annotations

import click

from crawler.commands.run import settings_of
from crawler.context import open_context
from crawler.nightly import require_projects
from crawler.rating import load_evidence_set
from crawler.terminal import json_text, line, safe
from db.load import load_projects
from db.session import session_scope
from pipelines.claims import Contradiction, contradictions

QUOTED = 220
"""Characters of a quote that are shown."""


@click.command("claims")
@click.argument("slugs", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="The claims as JSON on stdout.")
@click.pass_context
def claims_command(ctx: click.Context, slugs: tuple[str, ...], as_json: bool) -> None:
    """Claims of openness that the evidence speaks against, with both quotes.

    Claims decide nothing by themselves: they are for a curator to weigh.

    Example: openness claims some-project
    """
    with open_context(settings_of(ctx)) as context:
        require_projects(context)
        with session_scope(context.engine) as session:
            projects = load_projects(session, slugs or None)
        found = [
            (project.slug, contradiction)
            for project in projects
            for contradiction in contradictions(load_evidence_set(context, project))
        ]
    if as_json:
        click.echo(json_text([{"slug": slug, **item.as_json()} for slug, item in found]))
        return
    click.echo("\n\n".join(_shown(slug, item) for slug, item in found) or "no claim is contradicted")


def _shown(slug: str, item: Contradiction) -> str:
    lines = [f"{safe(slug)} {item.dimension}"]
    lines += [f"  says     “{line(item.claim.passage, QUOTED)}”", f"           {safe(item.claim.url)}"]
    for fact in item.facts:
        lines += [f"  but      “{line(fact.passage, QUOTED)}”", f"           {safe(fact.url)}"]
    return "\n".join(lines)
