"""The manual page of a rubric, made from the rubric itself and from the rules.

    python -m pipelines.rubric_page > docs/rubric.md

Questions and class meanings come from the rubric's YAML, everything else from the rules: the four
sections of a rule's docstring, its checks, and its table from findings to a class.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pipelines.calibration import confidence_of, load_calibration
from pipelines.errors import RuleError
from pipelines.model import Rating
from pipelines.propose import STALE_DISCOUNT
from pipelines.rubric import Dimension, Rubric, load_rubric
from pipelines.rules import all_rules
from pipelines.rules.engine import Check, Row, Rule, name_of

SECTIONS = ("What it asks", "Why it matters", "What counts", "Known misreadings")
"""What the docstring of every rule tells, in this order."""

_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):\s+(.*)$", re.DOTALL)

_INTRODUCTION = """\
# The rubric: {title}

<!-- Made by `make docs` from pipelines/rubrics/{name}.yaml and pipelines/rules/. Change those, not this file. -->

Dimensions and classes follow [{title}]({source}). Each of the {count} dimensions is rated **open**, **partial** or
**closed**, or does not apply to a project.

How to read the tables:

- A **check** is a statement about a project. Its answer is *yes* with the evidence, *no* with the places that were
  searched, *cannot tell* where a place that had to be read could not be, or *not applicable*.
- The **table** is read from the top: the first row that holds gives the class. A row that needs a *no* does not hold
  where the answer is *cannot tell*: what could not be read is not absent. Where no row holds, no class is proposed;
  nor where a row above might hold and give another class, were it known what could not be read.
- **Confidence** is how often a proposal by this row is expected to agree with the curators, from 0 to 1. It is
  calibrated on projects with published ratings (`pipelines/calibration.py`); **right** says of how many of them. It is
  multiplied by {discount:g} where evidence is stale, that is, where it could not be read again at the last visit.
- A raised **version** marks a change of what the rule says.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """The docstring of a rule, taken apart: what it is called, and the text of each section."""

    title: str
    sections: dict[str, str]


def manual_of(rule: Rule) -> Manual:
    """The manual of a rule. Raises RuleError where a section is missing, doubled or out of order."""
    module = importlib.import_module(f"pipelines.rules.{rule.dimension}")
    paragraphs = [" ".join(text.split()) for text in (inspect.getdoc(module) or "").split("\n\n")]
    sections: dict[str, str] = {}
    for paragraph in paragraphs[1:]:
        found = _SECTION.match(paragraph)
        if found is None or found[1] in sections:
            raise RuleError(
                f"rule {rule.dimension}: a paragraph of its docstring is no section: {paragraph[:60]}"
            )
        sections[found[1]] = found[2][:1].upper() + found[2][1:]
    if tuple(sections) != SECTIONS:
        raise RuleError(f"rule {rule.dimension}: its docstring has to tell, in order: {', '.join(SECTIONS)}")
    return Manual(title=paragraphs[0].rstrip("."), sections=sections)


def rubric_page(rubric: Rubric) -> str:
    """The page as Markdown. Raises RuleError for a dimension without a rule, or a rule without a manual."""
    rules = all_rules()
    missing = [dimension for dimension in rubric.dimension_ids if dimension not in rules]
    if missing:
        raise RuleError(f"rubric {rubric.name}: there is no rule for {', '.join(missing)}")
    lines = [
        _INTRODUCTION.format(
            title=rubric.title,
            name=rubric.name,
            source=rubric.source,
            count=len(rubric.dimensions),
            discount=STALE_DISCOUNT,
        ),
        *_contents(rubric, rules),
    ]
    for group, dimensions in groupby(rubric.dimensions, key=lambda dimension: dimension.group):
        lines += ["", f"## {group.capitalize()}"]
        for dimension in dimensions:
            lines += _dimension(dimension, rules[dimension.id])
    return "\n".join(lines) + "\n"


def _contents(rubric: Rubric, rules: dict[str, Rule]) -> Iterator[str]:
    yield "| dimension | question | checks | version |"
    yield "|---|---|---|---|"
    for dimension in rubric.dimensions:
        rule = rules[dimension.id]
        yield (
            f"| [`{dimension.id}`](#{dimension.id}) | {_cell(dimension.question)}"
            f" | {len(rule.checks)} | {rule.version} |"
        )


def _dimension(dimension: Dimension, rule: Rule) -> Iterator[str]:
    manual = manual_of(rule)
    yield from ("", f"### {dimension.id}", "")
    yield f"**{dimension.question}**"
    yield f"({manual.title}; [rule](../pipelines/rules/{rule.dimension}.py), version {rule.version})"
    yield from ("", "| class | means |", "|---|---|")
    for rating in (Rating.OPEN, Rating.PARTIAL, Rating.CLOSED):
        yield f"| {rating.value} | {_cell(dimension.meanings[rating])} |"
    for name, text in manual.sections.items():
        yield from ("", f"**{name}.** {text}")
    yield from ("", "| check | asks |", "|---|---|")
    for check in rule.checks:
        yield f"| {_statement(check)} | {_cell(_first_line(rule, check))} |"
    yield from ("", f"**Measured agreement.** {_agreement(rule)}")
    yield from ("", "| | class | confidence | right | if | because |", "|---|---|---|---|---|---|")
    for number, row in enumerate(rule.table, 1):
        right, n = load_calibration().rows.get((rule.dimension, row.because), (0, 0))
        yield (
            f"| {number} | {row.rating.value} | {confidence_of(rule, row):.2f} | {f'{right} of {n}' if n else 'no case'}"
            f" | {_condition(row)} | {_cell(row.because)} |"
        )


def _agreement(rule: Rule) -> str:
    """How the rule's proposals compare with the published ratings that confidence was calibrated on."""
    rows = [load_calibration().rows.get((rule.dimension, row.because), (0, 0)) for row in rule.table]
    right, n = sum(row[0] for row in rows), sum(row[1] for row in rows)
    if not n:
        return "Nothing rated yet."
    return f"{right} of {n} proposals for rated projects have the published class ({right / n:.0%})."


def _condition(row: Row) -> str:
    """When a row holds, in words."""
    parts = [_statement(check) for check in row.yes]
    parts += [f"*not* {_statement(check)}" for check in row.no]
    if row.any_yes:
        parts.append("one of: " + ", ".join(_statement(check) for check in row.any_yes))
    parts += [f"*unless* {_statement(check)}" for check in row.unless]
    return "; ".join(parts) or "otherwise"


def _statement(check: Check) -> str:
    return name_of(check).replace("_", " ")


def _first_line(rule: Rule, check: Check) -> str:
    text = inspect.getdoc(check)
    if not text:
        raise RuleError(f"rule {rule.dimension}: the check {name_of(check)} has no docstring")
    return " ".join(text.split("\n\n")[0].split())


def _cell(text: str) -> str:
    """A text that can stand in a cell of a table."""
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page of the default rubric, in UTF-8 whatever the terminal speaks."""
    sys.stdout.buffer.write(rubric_page(load_rubric()).encode("utf-8"))


if __name__ == "__main__":
    main()
