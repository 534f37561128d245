"""What every command that works on the database holds: settings, engine, archive, clock.

The clock stands here and nowhere below: everything that needs the time is told it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from crawler.archive import Archive
from crawler.settings import Settings
from crawler.turns import HUB_AT_ONCE, Turns
from db.session import make_engine, upgrade
from pipelines.errors import StorageError, UsageError
from pipelines.lineage_data import BaseModel, parse_lineage
from pipelines.model import ArtifactKind
from pipelines.rubric import Rubric, load_rubric

if TYPE_CHECKING:
    from crawler.http import TransportRules
    from crawler.sources.base import Source


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A database that is up to date, its archive, and how to tell the time."""

    settings: Settings
    engine: Engine
    archive: Archive
    clock: Callable[[], datetime] = utc_now
    rubric: Rubric = field(default_factory=load_rubric)
    hub_turns: Turns = field(default_factory=lambda: Turns(HUB_AT_ONCE))
    """Who asks the Hub holds one of these: visits and discovery go on side by side."""


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """The database of the settings, its schema up to date. Raises UsageError where it cannot be worked with."""
    try:
        engine = make_engine(settings.database_url)
    except StorageError as error:
        raise _unusable(settings, error) from error
    try:
        try:
            upgrade(engine)
        except StorageError as error:
            raise _unusable(settings, error) from error
        yield engine
    finally:
        engine.dispose()


def _unusable(settings: Settings, error: StorageError) -> UsageError:
    return UsageError(f"OPENNESS_DATABASE_URL {settings.shown_database_url}: {error}")


@contextmanager
def open_context(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Iterator[Context]:
    """Open the database and the archive of the settings. Raises UsageError where that cannot be done."""
    with open_engine(settings) as engine:
        yield Context(settings=settings, engine=engine, archive=Archive(settings.archive), clock=clock)


def require_writable(archive: Archive) -> None:
    """Raises UsageError when nothing can be put into the archive: better before a crawl than in the midst of it."""
    try:
        archive.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=archive.path):
            pass
    except OSError as error:
        raise UsageError(
            f"OPENNESS_ARCHIVE {archive.path} cannot be written: {os.strerror(error.errno or 0)}"
        ) from None


def read_text(path: Path, what: str) -> str:
    """A text file that a setting names. Raises UsageError that names file and reason."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{what} {path} does not exist") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} {path} is not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read: {os.strerror(error.errno or 0)}") from None


def load_bases(settings: Settings) -> list[BaseModel] | None:
    """The lineage file's base models; None where there is no such file and none was asked for."""
    if not settings.lineage.exists() and "lineage" not in settings.model_fields_set:
        return None
    return parse_lineage(read_text(settings.lineage, "the lineage file"), str(settings.lineage))


def transport_rules(settings: Settings) -> TransportRules:
    """The limits within which every API is asked, with the patience of the settings."""
    from crawler.http import TransportRules

    usual, patience = TransportRules(user_agent=settings.user_agent), settings.http_timeout
    return replace(
        usual,
        connect_timeout=min(usual.connect_timeout, patience),
        read_timeout=patience,
        # An answer that has begun may take as long again.
        total_timeout=2 * patience,
        max_wait=settings.max_wait,
    )


def make_sources(
    context: Context, bases: list[BaseModel] | None, *, soon: Collection[ArtifactKind] = ()
) -> list[Source]:
    """Every source, as the settings say. The imports are slow and wait until a crawl needs them.

    `soon`: what will be visited for sure, so that sources get ready for it that take their time.
    """
    from crawler.sources.lineage import LineageSource
    from crawler.sources.web import WebSource
    from spiders.protocol import Limits

    settings, clock = context.settings, context.clock
    agent = settings.user_agent
    web = WebSource(
        user_agent=agent,
        clock=clock,
        gateway=settings.web_gateway or None,
        allow_private_hosts=frozenset(settings.allow_private_hosts),
        limits=Limits(timeout=settings.http_timeout, delay=settings.page_delay),
    )
    if ArtifactKind.WEB in soon:
        # Its worker imports while this process does.
        web.prepare()
    try:
        return [*_api_sources(context), web, LineageSource(bases=bases, clock=clock)]
    except BaseException:
        web.close()
        raise


def _api_sources(context: Context) -> list[Source]:
    """The sources that have an API."""
    from crawler.sources.arxiv import ArxivSource
    from crawler.sources.github import GitHubSource
    from crawler.sources.huggingface import HuggingFaceSource
    from crawler.sources.pypi import PyPISource

    settings, clock = context.settings, context.clock
    agent, rules = settings.user_agent, transport_rules(settings)
    return [
        GitHubSource(
            api_url=settings.github_api_url,
            graphql_url=settings.github_graphql_url,
            token=settings.github_token.get_secret_value() if settings.github_token else None,
            user_agent=agent,
            clock=clock,
            rules=rules,
        ),
        HuggingFaceSource(
            endpoint=settings.hf_endpoint,
            token=settings.hf_token.get_secret_value() if settings.hf_token else None,
            user_agent=agent,
            clock=clock,
            rules=rules,
            turns=context.hub_turns,
        ),
        PyPISource(base_url=settings.pypi_url, user_agent=agent, clock=clock, rules=rules),
        ArxivSource(
            query_url=settings.arxiv_url,
            user_agent=agent,
            clock=clock,
            delay_seconds=settings.arxiv_delay,
            rules=rules,
        ),
    ]
