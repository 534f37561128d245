"""An evaluation for people, as plain text."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.agreement import SHARE
from pipelines.evaluate import Evaluation
from pipelines.rules.engine import clip

SHOWN = 200
"""Characters of a rationale or a quote in the table."""


def format_table(evaluation: Evaluation) -> str:
    """The evaluation for people, as plain text."""
    overall, high = evaluation.overall, evaluation.high_confidence
    names = {
        "coverage": "coverage",
        "accuracy": "accuracy",
        "within_one": "within one class",
        "kappa_weighted": "kappa, weighted",
        "kappa": "kappa",
        "flips": "open-closed flips",
    }
    lines = [f"{overall.n} published ratings of {evaluation.projects} projects", ""]
    for measure, name in names.items():
        interval = evaluation.intervals.get(measure)
        bounds = "" if interval is None else f"   {SHARE:.0%}: {interval[0]:.3f} to {interval[1]:.3f}"
        lines.append(f"{name:<18}{_shown(getattr(overall, measure))}{bounds}")
    lines.append(f"{'baseline accuracy':<18}{_shown(evaluation.baseline)}   most frequent class a dimension")
    lines += [
        "",
        f"{'dimension':<14}{'n':>5}{'rated':>8}{'accuracy':>10}{f'{SHARE:.0%}':>16}{'kappa w':>9}{'flips':>8}",
    ]
    lines += [
        f"{dimension:<14}{found.n:>5}{_shown(found.coverage):>8}{_shown(found.accuracy):>10}"
        f"{_range(evaluation.dimension_intervals.get(dimension)):>16}"
        f"{_shown(found.kappa_weighted):>9}{_shown(found.flips):>8}"
        for dimension, found in evaluation.per_dimension.items()
    ]
    lines += ["", "other than published (published → proposed)"]
    lines += [
        f"  {dimension:<14}{_misses(evaluation.confusion[dimension])}" for dimension in evaluation.confusion
    ]
    lines += ["", f"{'confidence':<14}{'n':>5}{'said':>8}{'right':>10}{f'{SHARE:.0%}':>16}"]
    for entry in evaluation.calibration:
        confidence = f"{entry.low:.1f} to {entry.high:.1f}"
        lines.append(
            f"{confidence:<14}{entry.n:>5}{entry.mean_confidence:>8.3f}{entry.accuracy:>10.3f}{_range(entry.interval):>16}"
        )
    lines += ["", f"confidence {high.threshold:g} or more: {_shown(high.coverage)} of the cells, "]
    lines[-1] += f"{_shown(high.accuracy)} of them right ({_range(high.interval)})"
    if evaluation.worst:
        lines += ["", "furthest off"]
    for miss in evaluation.worst:
        lines.append(
            f"  {miss.slug} {miss.dimension}: {miss.proposed.value} proposed with {miss.confidence:.2f}, "
            f"{miss.published.value} published"
        )
        lines += [f"      {clip(text, SHOWN)}" for text in (miss.rationale, *miss.quotes) if text]
    if evaluation.missing:
        lines += ["", f"nothing proposed of: {', '.join(evaluation.missing)}"]
    return "\n".join(lines) + "\n"


def _range(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _misses(confusion: Mapping[str, Mapping[str, int]]) -> str:
    """The cells of a table that are off its diagonal, the most frequent first."""
    found = [
        (count, f"{published} → {said.replace('_', ' ')}")
        for published, row in confusion.items()
        for said, count in row.items()
        if count and said != published
    ]
    return (
        ", ".join(f"{pair} {count}" for count, pair in sorted(found, key=lambda entry: (-entry[0], entry[1])))
        or "none"
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
