"""The report as text for a terminal and for the plain part of a mail."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.terminal import line
from pipelines.model import JsonValue
from pipelines.report.sections import headline, sections, summary
from pipelines.report.tables import Cell, Section
from pipelines.report.words import duration

WIDEST = 46
"""Characters of a column that is not the last one."""
LAST_WIDEST = 110


def format_report(report: Mapping[str, JsonValue], *, unread_shown: int = 15) -> str:
    """The report as text; `unread_shown` limits the entries of each list."""
    lines = [f"{headline(report)}, {duration(report['seconds'])}"]
    if report.get("verdict"):
        lines.append(line(report["verdict"]["line"], 500))
    for section in sections(report, unread_shown):
        lines += ["", *_section_lines(section)]
    told = summary(report)
    if told:
        lines += ["", *(line(sentence, 500) for sentence in told)]
    steps = report.get("next") or []
    if steps:
        lines += ["", "What to do next"]
        width = max(len(step["command"]) for step in steps)
        lines += [
            f"  {line(step['command'], 200):<{width}}  {line(step['why'], 200)}".rstrip() for step in steps
        ]
    return "\n".join(lines)


def _section_lines(section: Section) -> list[str]:
    lines = [f"{section.title}: {line(section.note, 300)}" if section.note else section.title]
    shown = [section.columns, *(tuple(cell.text for cell in row) for row in section.rows)]
    texts = [
        [line(text, LAST_WIDEST if place == len(row) - 1 else WIDEST) for place, text in enumerate(row)]
        for row in shown
    ]
    widths = [max(len(row[place]) for row in texts) for place in range(len(section.columns))]
    cells: list[tuple[Cell, ...]] = list(section.rows)
    to_the_right = [bool(cells) and cells[0][place].is_number for place in range(len(widths))]
    for row in texts if len(section.columns) > 1 else texts[1:]:
        columns = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, to_the_right, strict=True)
        ]
        lines.append(("  " + "  ".join(columns)).rstrip())
    if section.more > 0:
        lines.append(f"  … and {section.more:,} more (`openness report --json` names them)")
    return lines
