"""The report as one HTML file: no script, nothing from elsewhere, everything fetched escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from crawler.terminal import safe
from pipelines.model import JsonValue
from pipelines.report.sections import headline, sections, summary
from pipelines.report.words import duration, size
from pipelines.visible import web_address

SHOWN = 50
"""Entries of each list."""


def html_report(report: Mapping[str, JsonValue], *, shown: int = SHOWN) -> str:
    """The report as a whole HTML document; `shown` limits the entries of each list."""
    verdict = report.get("verdict")
    changes = report.get("changes") or {}
    figures = [
        ("artifacts visited", f"{report['artifacts']:,}"),
        ("new snapshots", f"{report['new_snapshots']:,}"),
        ("failed", f"{report['failed']:,}"),
        ("new questions", f"{changes['new_questions']['total']:,}" if changes else "–"),
        ("requests", f"{report.get('requests', 0):,}"),
        ("received", size(report.get("bytes", 0))),
    ]
    return (
        _environment()
        .get_template("report.html")
        .render(
            headline=headline(report),
            duration=duration(report["seconds"]),
            level=verdict["level"] if verdict else "",
            reasons=verdict["reasons"] if verdict else [],
            line=verdict["line"] if verdict else "",
            figures=figures,
            sections=sections(report, shown),
            summary=summary(report),
            steps=report.get("next") or [],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("crawler.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Before it is escaped: what is fetched may turn the direction of writing, or hide itself.
        finalize=lambda value: safe(value) if type(value) is str else value,
    )
    environment.filters["web_address"] = web_address
    return environment
