"""`openness review`: the review desk in the browser."""

from __future__ import annotations

import contextlib
import gc
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from crawler.commands.run import settings_of
from crawler.context import Context, open_context
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from crawler.settings import Settings
    from crawler.visit_again import VisitAgain
    from review.context import ReviewContext

STOP_SECONDS = 5
"""How long requests under way may take once the desk is told to end."""
COLLECT_AFTER = 50_000
"""New objects after which Python looks for what nobody holds any more: a page makes some thousands."""


@click.command("review")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8700,
    show_default=True,
    help="Port to listen at; 0 for a free one.",
)
@click.pass_context
def review_command(ctx: click.Context, host: str, port: int) -> None:
    """The review queue in the browser, until stopped.

    Accounts are made with `openness user add`. Behind a proxy set OPENNESS_REVIEW_URL to the address
    that browsers use.

    Example: openness review --port 8700
    """
    settings = settings_of(ctx)
    with open_context(settings) as context:
        serve(context, host, port)


def serve(context: Context, host: str, port: int) -> None:
    """Serve the desk until SIGINT or SIGTERM. Raises UsageError where it cannot listen there."""
    import socket

    import uvicorn

    from crawler.visit_again import VisitAgain
    from db.session import session_scope
    from db.users import load_users
    from review.app import create_app

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"cannot listen at {host}:{port}: {error.strerror}") from None
    with listening:
        port = listening.getsockname()[1]
        url = review_url(context.settings, host, port)
        with session_scope(context.engine) as session:
            nobody = not any(user.active for user in load_users(session))
        visits = VisitAgain(context.settings)
        app = create_app(review_context(context, url, visits))
        # What is there for good need not be looked through again and again while somebody waits.
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        click.echo(f"The review desk is at {url}", err=True)
        if nobody:
            click.echo("Nobody can sign in yet: openness user add NAME --role admin", err=True)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            # Desks behind a proxy of this machine learn from it who asks.
            proxy_headers=True,
            limit_concurrency=200,
            h11_max_incomplete_event_size=64 * 1024,
        )
        try:
            # Told to end it ends in order, and then tells us so once more: there is nothing left to be cut off.
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            visits.close()


def review_url(settings: Settings, host: str, port: int) -> str:
    """The address that browsers use. Raises UsageError where it is not set and others than this machine are meant."""
    if settings.review_url:
        return settings.review_url
    if not _is_loopback(host):
        raise UsageError(
            f"OPENNESS_REVIEW_URL is not set: at {host} others can reach the desk, so it has to know its address"
        )
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def review_context(context: Context, url: str, visits: VisitAgain) -> ReviewContext:
    """What the desk works with, as the settings say."""
    from crawler.github_sign_in import github_sign_in
    from review.context import ReviewContext, ReviewOptions

    settings = context.settings
    return ReviewContext(
        engine=context.engine,
        archive=context.archive,
        rubric=context.rubric,
        clock=context.clock,
        options=ReviewOptions(
            base_url=url,
            public_read=settings.review_public,
            second_opinions=settings.second_opinions,
            disputes=settings.disputes,
            session_hours=settings.review_hours,
            seeds=settings.seeds,
            github=github_sign_in(settings),
        ),
        start_visit=visits.start,
    )
