"""`openness report`: the morning report of a run, whenever it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import click

from crawler.commands.exchange import write_whole
from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from crawler.report.stored import load_chosen_run, load_report
from crawler.report.text import format_report
from crawler.terminal import json_text
from db.session import session_scope
from pipelines.errors import UsageError
from pipelines.model import JsonValue

SOME_FAILED = 3

FORMATS = ("text", "json", "html")
_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html"}


@click.command("report")
@click.argument("run_id", type=click.IntRange(1), metavar="[RUN]", required=False)
@click.option("--format", "chosen", type=click.Choice(FORMATS), help="Text when not given, or as FILE ends.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a file."
)
@click.option("--send", is_flag=True, help="Send it by mail and to the webhook, as a night does.")
@click.pass_context
def report_command(
    ctx: click.Context,
    run_id: int | None,
    chosen: str | None,
    as_json: bool,
    output: Path | None,
    send: bool,
) -> None:
    """What a run has read and changed, and what wants a person: of the latest night, or of any run.

    With --send it goes to whoever gets the morning report, whatever OPENNESS_NOTIFY says: so the
    settings can be tried. Exit code 3 when it could not be sent.

    Example: openness report --format html --output report.html
    """
    if as_json and chosen not in (None, "json"):
        raise UsageError(f"--json and --format {chosen} contradict each other")
    suffix = output.suffix.lower() if output else ""
    form = "json" if as_json else chosen or _SUFFIXES.get(suffix, "text")
    with open_context(settings_of(ctx)) as context:
        if send:
            from crawler.notify import require_channel

            require_channel(context.settings)
        with session_scope(context.engine) as session:
            report = load_report(context, session, load_chosen_run(session, run_id))
        if output is not None:
            write_whole(output, _writer(_shown(report, form) + "\n"))
        elif not send or chosen or as_json:
            click.echo(_shown(report, form))
        failed = send and not _send(context, report)
    if failed:
        ctx.exit(SOME_FAILED)


def _writer(text: str) -> Callable[[TextIO], None]:
    def write(file: TextIO) -> None:
        file.write(text)

    return write


def _shown(report: Mapping[str, JsonValue], form: str) -> str:
    if form == "json":
        return json_text(report)
    if form == "html":
        from crawler.report.html import html_report

        return html_report(report)
    return format_report(report)


def _send(context: Context, report: Mapping[str, JsonValue]) -> bool:
    """Send the report; the log says how it went. Whether it went well."""
    from crawler.notify import host_name
    from crawler.notify import send as send_message
    from crawler.notify_message import report_message

    sent = send_message(context.settings, report_message(report, host_name()), context.clock())
    return all(delivery.ok for delivery in sent)
