"""`openness calibrate`: how far confidence can be trusted, and the data file that it comes from."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.commands.exchange import FILE, write_whole
from crawler.commands.run import settings_of
from crawler.context import open_context, read_text
from crawler.nightly import require_projects
from crawler.rating import load_evidence_set
from crawler.terminal import json_text
from db.load import load_projects
from db.session import session_scope
from pipelines.calibration import Judged, families, fit, judge, leave_families_out, write_calibration
from pipelines.model import JsonValue
from pipelines.ratings import parse_ratings
from pipelines.rules import all_rules
from pipelines.rules.engine import apply

SURE = 0.9
"""Confidence from which a proposal may be confirmed without much thought."""
BINS = 10


@click.command("calibrate")
@click.argument("ratings", type=FILE)
@click.option("--output", type=click.Path(path_type=Path), help="Write the calibration to this file.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON on stdout.")
@click.pass_context
def calibrate_command(ctx: click.Context, ratings: Path, output: Path | None, as_json: bool) -> None:
    """Set confidence by published ratings, and check it on families of models that were left out.

    Runs the rules over the stored evidence; stores nothing in the database. The file that the rules
    use is pipelines/data/confidence.yaml.

    Example: openness calibrate ratings.csv --output pipelines/data/confidence.yaml
    """
    rows = parse_ratings(read_text(ratings, "the ratings file"), str(ratings))
    published = {(row.slug, row.dimension): row.rating for row in rows}
    rules = all_rules()
    with open_context(settings_of(ctx)) as context:
        require_projects(context)
        with session_scope(context.engine) as session:
            projects = load_projects(session)
        rated = {slug for slug, _ in published}
        sets = [load_evidence_set(context, project) for project in projects if project.slug in rated]
    verdicts = [
        (evidence.project.slug, apply(rule, evidence)) for evidence in sets for rule in rules.values()
    ]
    cells = judge(verdicts, published)
    family = families(sets)
    calibration = fit(cells)
    inside = [(cell, calibration.confidence(cell.dimension, cell.because, cell.expected)) for cell in cells]
    left_out = leave_families_out(cells, family)
    if output:
        text = write_calibration(calibration, rules)
        write_whole(output, lambda out: print(text, end="", file=out))
    figures: dict[str, JsonValue] = {
        "cells": len(published),
        "rated": len(cells),
        "families": sorted(
            [slug for slug, name in family.items() if name == found] for found in set(family.values())
        ),
        "fitted_on_all": _figures(inside, len(published)),
        "family_left_out": _figures(left_out, len(published)),
    }
    click.echo(json_text(figures) if as_json else _table(figures), nl=as_json)


def _figures(found: list[tuple[Judged, float]], cells: int) -> dict[str, JsonValue]:
    sure = [cell.right for cell, confidence in found if confidence >= SURE]
    bins = []
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [(cell.right, confidence) for cell, confidence in found if low <= confidence < high]
        if inside:
            said = sum(confidence for _, confidence in inside) / len(inside)
            right = sum(hit for hit, _ in inside) / len(inside)
            bins.append({"confidence": [low, high], "n": len(inside), "said": said, "right": right})
    return {
        "threshold": SURE,
        "coverage": len(sure) / cells if cells else None,
        "accuracy": sum(sure) / len(sure) if sure else None,
        "calibration": bins,
    }


def _table(figures: dict[str, JsonValue]) -> str:
    shared = [names for names in figures["families"] if len(names) > 1]
    lines = [
        f"{figures['rated']} of {figures['cells']} published cells have a proposed class; "
        f"{len(figures['families'])} families",
        *(f"  one family: {', '.join(names)}" for names in shared),
    ]
    for title, key in (("fitted on all", "fitted_on_all"), ("family left out", "family_left_out")):
        found = figures[key]
        lines += ["", f"{title:<16}{'n':>5}{'said':>8}{'right':>8}"]
        lines += [
            f"{entry['confidence'][0]:.1f} to {entry['confidence'][1]:.1f}      "
            f"{entry['n']:>5}{entry['said']:>8.3f}{entry['right']:>8.3f}"
            for entry in found["calibration"]
        ]
        if found["accuracy"] is not None:
            lines.append(
                f"confidence {found['threshold']:g} or more: {found['coverage']:.3f} of the cells, "
                f"{found['accuracy']:.3f} of them right"
            )
    return "\n".join(lines) + "\n"
