"""`openness import`, `export`, `evaluate`: what goes in and out as files."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import click

from crawler.commands.run import settings_of
from crawler.context import Context, open_context, read_text
from crawler.nightly import import_seeds, require_projects
from crawler.terminal import json_text, line
from db.import_ratings import import_ratings
from db.proposals import load_proposals
from db.published import load_project_ratings
from db.ratings import load_ratings
from db.session import session_scope
from db.values import ConfirmedRating, StoredProposal
from pipelines.errors import UsageError
from pipelines.evaluate import evaluate, proposed_of
from pipelines.evaluation_table import format_table
from pipelines.exports import csv_, json_, proposals
from pipelines.exports.rows import ProjectRatings, proposal_row, rating_rows
from pipelines.model import Rating
from pipelines.ratings import parse_ratings

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("import")
def import_command() -> None:
    """Take over seeds or published ratings.

    Example: openness import seeds seeds.yaml
    """


@import_command.command("seeds")
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="What was done, as JSON on stdout.")
@click.pass_context
def import_seeds_command(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Make the projects of FILE the seeds. Projects that it no longer names are retired, not deleted.

    Projects adopted from candidates are kept until a seed file has named them once.

    A file with any mistake is refused whole; every mistake is named with line and field.

    Example: openness import seeds seeds.yaml
    """
    with open_context(settings_of(ctx)) as context:
        result = import_seeds(context, file)
    done = {
        "added": list(result.added),
        "changed": list(result.changed),
        "unchanged": list(result.unchanged),
        "retired": list(result.retired),
        "kept": list(result.kept),
    }
    click.echo(
        json_text(done) if as_json else ", ".join(f"{len(slugs)} {what}" for what, slugs in done.items())
    )


@import_command.command("ratings")
@click.argument("file", type=FILE)
@click.option("--curator", default="", help="Whose ratings they are; the file's name when not given.")
@click.option("--note", default="", help="A note for every one of them.")
@click.option("--json", "as_json", is_flag=True, help="What was done, as JSON on stdout.")
@click.pass_context
def import_ratings_command(ctx: click.Context, file: Path, curator: str, note: str, as_json: bool) -> None:
    """Take over published ratings (slug,dimension,class,link) as confirmed ones.

    A line that contradicts what a person decided here is reported and left alone.

    Example: openness import ratings ratings.csv --curator "Opening up ChatGPT"
    """
    rows = parse_ratings(read_text(file, "the ratings file"), str(file))
    with open_context(settings_of(ctx)) as context:
        require_projects(context)
        with session_scope(context.engine, write=True) as session:
            result = import_ratings(session, rows, curator or f"import of {file.name}", context.clock(), note)
    for conflict in result.conflicts:
        click.echo(
            f"left alone: {conflict.slug} {conflict.dimension}: the file says {conflict.imported.value}, "
            f"{line(conflict.decision.curator, 60)} decided otherwise",
            err=True,
        )
    done = {"confirmed": result.confirmed, "unchanged": result.unchanged, "conflicts": len(result.conflicts)}
    click.echo(json_text(done) if as_json else ", ".join(f"{number} {what}" for what, number in done.items()))


@click.group("export")
def export_command() -> None:
    """Write confirmed ratings, or the proposals. DEST is a file, or - for stdout.

    Example: openness export csv ratings.csv
    """


@export_command.command("csv")
@click.argument("dest", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_context
def export_csv_command(ctx: click.Context, dest: Path) -> None:
    """Confirmed ratings as slug,dimension,class,link.

    Example: openness export csv ratings.csv
    """
    with open_context(settings_of(ctx)) as context:
        rows = list(rating_rows(_project_ratings(context), context.rubric.dimension_ids))
    write_whole(dest, lambda out: csv_.write(rows, out))


@export_command.command("json")
@click.argument("dest", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_context
def export_json_command(ctx: click.Context, dest: Path) -> None:
    """Confirmed ratings with their provenance: who decided when, and on which evidence.

    Example: openness export json ratings.json
    """
    with open_context(settings_of(ctx)) as context:
        rows = _project_ratings(context)
        rubric, now = context.rubric, context.clock()
    write_whole(dest, lambda out: json_.write(rows, out, rubric=rubric, generated_at=now))


@export_command.command("proposals")
@click.argument("dest", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_context
def export_proposals_command(ctx: click.Context, dest: Path) -> None:
    """What the heuristics say of every cell, beside the current rating, with evidence.

    Example: openness export proposals proposals.csv
    """
    with open_context(settings_of(ctx)) as context:
        stored, ratings = _stored(context)
        order = {name: index for index, name in enumerate(context.rubric.dimension_ids)}
    stored.sort(key=lambda s: (s.proposal.slug, order.get(s.proposal.dimension, len(order))))
    rows = [proposal_row(s.proposal, _current(ratings, s)) for s in stored]
    write_whole(dest, lambda out: proposals.write(rows, out))


@click.command("evaluate")
@click.argument("ratings", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON on stdout.")
@click.pass_context
def evaluate_command(ctx: click.Context, ratings: Path, as_json: bool) -> None:
    """How far the proposals agree with published ratings (slug,dimension,class,link).

    Example: openness evaluate ratings.csv --json
    """
    published = parse_ratings(read_text(ratings, "the ratings file"), str(ratings))
    with open_context(settings_of(ctx)) as context:
        stored, _ = _stored(context)
    result = evaluate(proposed_of(s.proposal for s in stored), published)
    click.echo(
        json_text(result.as_json()) if as_json else format_table(result),
        nl=as_json,
    )


def _stored(context: Context) -> tuple[list[StoredProposal], Mapping[tuple[str, str], ConfirmedRating]]:
    with session_scope(context.engine) as session:
        return load_proposals(session), load_ratings(session)


def _current(ratings: Mapping[tuple[str, str], ConfirmedRating], stored: StoredProposal) -> Rating | None:
    found = ratings.get((stored.proposal.slug, stored.proposal.dimension))
    return found.rating if found else None


def _project_ratings(context: Context) -> list[ProjectRatings]:
    with session_scope(context.engine) as session:
        return load_project_ratings(session, context.rubric.dimension_ids)


def write_whole(dest: Path, write: Callable[[TextIO], None]) -> None:
    """Write a file so that readers see the old one or the new one, never half of it."""
    if str(dest) == "-":
        write(sys.stdout)
        return
    text = io.StringIO(newline="")
    write(text)
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=dest.parent, prefix=f".{dest.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(text.getvalue())
                file.flush()
                os.fsync(file.fileno())
                # A temporary file is its owner's only; an export is as readable as any new file.
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(dest)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {os.strerror(error.errno or 0)}") from None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
