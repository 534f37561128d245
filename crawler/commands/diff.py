"""`openness rate --diff`: what a change of rules changes, and whether for better or worse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from crawler.context import Context, read_text
from crawler.rating import extract_new, propose_stored
from crawler.terminal import json_text, line
from db.load import load_projects
from db.proposals import load_proposals
from db.ratings import load_ratings
from db.session import session_scope
from pipelines.agreement import Agreement
from pipelines.model import JsonValue, Rating
from pipelines.rating_diff import Diff, Worth, diff, shown
from pipelines.ratings import parse_ratings

_SIGNS = {Worth.BETTER: "+", Worth.WORSE: "-", Worth.NEITHER: " "}


def show_diff(context: Context, slugs: tuple[str, ...], as_json: bool, against: Path | None) -> None:
    """Print every cell that the rules would rate otherwise than is stored, and what that is worth.

    Measured by a ratings file, else by the confirmed ratings of the database. Raises RatingsError,
    UsageError for an unknown project.
    """
    published = _published(context, against)
    with session_scope(context.engine) as session:
        projects = load_projects(session, list(slugs) or None)
    # Extractors may have changed as well as rules; what they find is stored, as ever.
    extract_new(context, list({artifact.ref for project in projects for artifact in project.artifacts}))
    now = propose_stored(context, list(slugs) or None)
    with session_scope(context.engine) as session:
        stored = load_proposals(session, slugs=list(slugs) or None)
    found = diff(
        {(s.proposal.slug, s.proposal.dimension): s.proposal for s in stored},
        (proposal for proposals in now.values() for proposal in proposals),
        published,
    )
    name = str(against) if against else "the confirmed ratings"
    click.echo(json_text(_json(found, name)) if as_json else _text(found, name))


def _published(context: Context, against: Path | None) -> Mapping[tuple[str, str], Rating]:
    if against is not None:
        rows = parse_ratings(read_text(against, "the ratings file"), str(against))
        return {(row.slug, row.dimension): row.rating for row in rows}
    with session_scope(context.engine) as session:
        return {cell: confirmed.rating for cell, confirmed in load_ratings(session).items()}


def _json(found: Diff, name: str) -> dict[str, JsonValue]:
    return {
        "changes": [change.as_json() for change in found.changes],
        "against": name,
        "cells": found.after.n,
        **{worth.value: found.count(worth) for worth in Worth},
        "before": _measures(found.before),
        "after": _measures(found.after),
    }


def _measures(found: Agreement) -> dict[str, JsonValue]:
    return {
        name: None if value is None else round(value, 6)
        for name, value in (
            ("accuracy", found.accuracy),
            ("kappa_weighted", found.kappa_weighted),
            ("flips", found.flips),
            ("coverage", found.coverage),
        )
    }


def _text(found: Diff, name: str) -> str:
    lines = []
    for change in found.changes:
        published = f"(published: {shown(change.published)})" if change.published else "(unrated)"
        before = "none" if change.is_new else shown(change.before)
        lines.append(
            f"{_SIGNS[change.worth]} {line(change.slug, 32):<32} {change.dimension:<12} {before:>14} →"
            f" {shown(change.after):<14} {published:<27} {line(change.why, 130)}"
        )
    lines.append(f"{len(found.changes)} cells would change.")
    if found.after.n:
        counts = ", ".join(f"{found.count(worth)} {worth.value}" for worth in Worth)
        measures = "; ".join(
            f"{what} {_percent(before)} → {_percent(after)}"
            for what, before, after in (
                ("accuracy", found.before.accuracy, found.after.accuracy),
                ("open–closed flips", found.before.flips, found.after.flips),
                ("coverage", found.before.coverage, found.after.coverage),
            )
        )
        lines.append(f"Against {line(name, 120)}: {counts}. Of {found.after.n} rated cells: {measures}.")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
