"""`openness demo`: two nights of the main job against the bundled sandbox, offline."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import click

from crawler.context import Context, open_context
from crawler.nightly import import_seeds, run
from crawler.settings import load_settings
from crawler.terminal import line, safe
from db.candidate_row import CandidateStatus
from db.candidates import load_candidates
from db.import_ratings import import_ratings
from db.proposals import load_proposals
from db.queue import load_queue
from db.session import session_scope
from db.values import Question
from pipelines.errors import UsageError
from pipelines.model import Rating
from pipelines.ratings import parse_ratings

MARKER = "made-by-openness-demo"
SHOWN = 12
_LETTERS = {Rating.OPEN: "●", Rating.PARTIAL: "◐", Rating.CLOSED: "○", Rating.NOT_APPLICABLE: "–", None: "?"}


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("openness-demo"),
    show_default=True,
    help="Where database, archive and exports are kept; an earlier demo there is replaced.",
)
@click.pass_context
def demo_command(ctx: click.Context, folder: Path) -> None:
    """The whole main job against a bundled sandbox of the public services, offline.

    Imports invented projects with their curators' ratings, runs a first night, lets the world change,
    runs a second night, and shows what a curator would be asked. Needs no token and no network.

    Example: openness demo
    """
    from sandbox import LINEAGE, RATINGS, SEEDS, Sandbox

    _make_room(folder)
    with Sandbox(night=1) as sandbox:
        _point_settings_at(sandbox.addresses, folder, LINEAGE)
        with open_context(load_settings(env_file=None)) as context:
            imported = import_seeds(context, SEEDS)
            rows = parse_ratings(RATINGS.read_text(encoding="utf-8"), RATINGS.name)
            with session_scope(context.engine, write=True) as session:
                import_ratings(session, rows, "sandbox curators", context.clock())
            click.echo(
                f"{len(imported.added)} invented projects, {len(rows)} cells rated by their curators.\n"
            )
            first = run(context, "nightly")
            _tell_night(context, 1, first.report)
            before = {question.proposal_id for question in _queue(context)}
            sandbox.set_night(2)
            second = run(context, "nightly")
            _tell_night(context, 2, second.report)
            _tell_changes(context, before)
            _tell_candidates(context)
            _tell_matrix(context)
    _tell_next(folder)
    ctx.exit(0 if not (first.report["internal_errors"] or second.report["internal_errors"]) else 1)


def _make_room(folder: Path) -> None:
    """Remove an earlier demo; refuse to touch a folder that is anything else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise UsageError(f"{folder} is not empty and was not made by a demo; name another with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _point_settings_at(addresses: dict[str, str], folder: Path, lineage: Path) -> None:
    """The sandbox instead of the public services; what the user's own settings say plays no part."""
    for name in [
        name for name in os.environ if name.startswith("OPENNESS_") or name in ("GITHUB_TOKEN", "HF_TOKEN")
    ]:
        del os.environ[name]
    os.environ.update(addresses)
    os.environ.update(
        {
            "OPENNESS_DATABASE_URL": f"sqlite:///{folder / 'openness.db'}",
            "OPENNESS_ARCHIVE": str(folder / "archive"),
            "OPENNESS_LINEAGE": str(lineage),
            "OPENNESS_ARXIV_DELAY": "0",
            "OPENNESS_PAGE_DELAY": "0",
            "GITHUB_TOKEN": "sandbox",
            "HF_HOME": str(folder / "hub"),
        }
    )


def _queue(context: Context) -> list[Question]:
    with session_scope(context.engine) as session:
        return load_queue(session, context.clock())


def _tell_night(context: Context, number: int, report: dict) -> None:  # type: ignore[type-arg]
    requests = ", ".join(
        f"{name} {row['requests']}" for name, row in report["sources"].items() if "requests" in row
    )
    click.echo(
        f"Night {number}: {report['artifacts']} artifacts visited in {report['seconds']} s ({requests} requests)"
    )
    click.echo(
        f"  {report['new_snapshots']} new snapshots, {report['missing']} missing, {report['denied']} denied, {report['failed']} failed"
    )
    click.echo(
        f"  {report['proposals']} proposals, {report['new_proposals']} of them new; {report['questions']} questions for a curator\n"
    )


def _tell_changes(context: Context, before: set[int]) -> None:
    new = [question for question in _queue(context) if question.proposal_id not in before]
    click.echo(f"What changed overnight, as {len(new)} new questions:")
    for question in new:
        was = question.current.value if question.current else "unrated"
        click.echo(
            f"  {question.proposal_id:>4}  {question.slug:<22} {question.dimension:<12} {was:>7} → {question.rating.value:<8}"
            f" {line(question.rationale, 90)}"
        )


def _tell_candidates(context: Context) -> None:
    with session_scope(context.engine) as session:
        waiting = load_candidates(session, [CandidateStatus.OPEN])
    click.echo(f"\nWhat the known makers have brought out, as {len(waiting)} candidates for new projects:")
    for item in waiting:
        told = ", ".join(f"{reason.field} {line(reason.value, 40)}" for reason in item.candidate.reasons[:3])
        click.echo(f"  {item.id:>4}  {safe(item.candidate.ref.id)}  ({told})")


def _tell_matrix(context: Context) -> None:
    with session_scope(context.engine) as session:
        stored = load_proposals(session)
    cells = {(s.proposal.slug, s.proposal.dimension): s.proposal.rating for s in stored}
    dimensions = context.rubric.dimension_ids
    click.echo("\nWhat the evidence says now (● open, ◐ partial, ○ closed, ? cannot tell):")
    click.echo(f"  {'':<22}" + " ".join(f"{name[:6]:<6}" for name in dimensions))
    for slug in sorted({slug for slug, _ in cells}):
        click.echo(
            f"  {slug:<22}" + " ".join(f"{_LETTERS[cells.get((slug, name))]:<6}" for name in dimensions)
        )
    counts = Counter(cells.values())
    click.echo(
        "  "
        + ", ".join(
            f"{counts[rating]} {rating.value if rating else 'cannot tell'}"
            for rating in (*Rating, None)
            if counts[rating]
        )
    )


def _tell_next(folder: Path) -> None:
    database = f"--database sqlite:///{folder / 'openness.db'} --archive {folder / 'archive'}"
    click.echo(
        f"""
Where to look next (the commands of the project's .venv/bin/openness):
  openness {database} proposals list
  openness {database} proposals show ID        evidence, then and now
  openness {database} proposals accept ID      the class becomes the rating
  openness {database} user add YOU --role admin      then the same in the browser:
  openness {database} review
  openness {database} candidates list          models that may be new projects
  openness {database} export csv -             the confirmed ratings
For real projects: set GITHUB_TOKEN and run `openness nightly` where seeds.yaml lies; the README says more."""
    )
