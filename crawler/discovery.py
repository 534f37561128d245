"""Discovery: what the known makers have at the Hub, and which of it may be a new project."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.context import Context, transport_rules
from crawler.interrupts import write_scope
from crawler.sources.base import Usage
from crawler.turns import HUB_AT_ONCE
from db.candidate_row import CandidateStatus
from db.candidates import load_all_projects, load_candidates, save_candidates
from db.listings import load_pages, save_pages
from db.load import load_projects
from db.session import session_scope
from db.values import StoredCandidate
from pipelines.artifact_ids import id_problem
from pipelines.candidates import makers_of, propose_candidates
from pipelines.errors import UsageError
from pipelines.model import ArtifactKind, JsonValue

if TYPE_CHECKING:
    from crawler.sources.huggingface_listing import Listing

log = logging.getLogger(__name__)

WORKERS = HUB_AT_ONCE
"""Makers asked for at the same time: as many as there are turns, where nobody else takes any."""


@dataclass(slots=True, kw_only=True)
class Discovered:
    """What a discovery came to so far.

    `kinds` counts what the listed models were taken for. `failed` holds maker, status and reason;
    `has_more` the makers of whom only the newest models were looked at.
    """

    makers: int = 0
    models: int = 0
    skipped: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    new: list[StoredCandidate] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    has_more: list[str] = field(default_factory=list)
    internal_error: str = ""
    usage: Usage = field(default_factory=Usage)

    @property
    def has_read_anything(self) -> bool:
        """Was any maker's list read?"""
        return self.makers > len(self.failed) or self.models > 0

    def as_json(self) -> JsonValue:
        """For the run report."""
        return {
            "makers": self.makers,
            "models": self.models,
            "models_not_understood": self.skipped,
            "models_by_kind": dict(sorted(self.kinds.items())),
            "candidates": [
                {"id": item.id, "artifact": str(item.candidate.ref), "maker": item.candidate.maker}
                for item in self.new
            ],
            "failed": [
                {"maker": maker, "status": status, "reason": reason} for maker, status, reason in self.failed
            ],
            "only_newest_read": list(self.has_more),
            "requests": self.usage.requests,
        }


def check_makers(names: Iterable[str]) -> tuple[str, ...]:
    """Names of Hub accounts that somebody typed. Raises UsageError for what cannot be one."""
    wrong = [name for name in names if id_problem(ArtifactKind.HF_MODEL, f"{name}/model") or "/" in name]
    if wrong:
        raise UsageError(f"not the name of an account at the Hub: {', '.join(map(repr, wrong))}")
    return tuple(dict.fromkeys(names))


class Asking:
    """The lists of makers on their way: they are asked for in threads of their own from now on.

    Asked for are `makers`, those of the seeds when none are named. With `full` the lists are read
    anew, whatever is kept of them.
    """

    def __init__(self, context: Context, makers: Sequence[str] = (), *, full: bool = False) -> None:
        # The library beneath is slow to import, and waits until it is needed.
        from crawler.sources.huggingface_listing import HuggingFaceListing

        with session_scope(context.engine) as session:
            self.makers = tuple(makers) or makers_of(load_projects(session))
            pages = {} if full else load_pages(session)
        settings = context.settings
        self._hub = HuggingFaceListing(
            endpoint=settings.hf_endpoint,
            token=settings.hf_token.get_secret_value() if settings.hf_token else None,
            user_agent=settings.user_agent,
            clock=context.clock,
            rules=transport_rules(settings),
            known=pages,
            turns=context.hub_turns,
        )
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="discovery")
        self._pending = {self._pool.submit(self._hub.fetch_models, maker): maker for maker in self.makers}

    @property
    def usage(self) -> Usage:
        """What has been spent so far."""
        return self._hub.usage

    def take(self, progress: Callable[[str, int, int], None] | None = None) -> list[Listing]:
        """The lists, in the order of the makers, once they are all there."""
        listings: dict[str, Listing] = {}
        try:
            for done in as_completed(self._pending):
                listings[self._pending[done]] = done.result()
                if progress:
                    progress("discovery", len(listings), len(self.makers))
        finally:
            self.leave()
        return [listings[maker] for maker in self.makers]

    def leave(self) -> None:
        """Ask for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def discover(
    context: Context,
    run_id: int | None,
    makers: Sequence[str] = (),
    *,
    full: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    asking: Asking | None = None,
) -> Discovered:
    """List the models of the makers (those of the seeds, when none are named) and store the new candidates.

    With `full` the lists are read anew, whatever is kept of them. `asking`: they are on their way already.
    """
    asking = asking or Asking(context, makers, full=full)
    found = Discovered(makers=len(asking.makers))
    try:
        listings = asking.take(progress)
    finally:
        found.usage = asking.usage
    for listing in listings:
        if listing.failure is not None:
            failure = listing.failure
            log.warning("the models of %s could not be listed: %s", listing.maker, failure.reason)
            found.failed.append((listing.maker, failure.status.value, failure.reason))
        if listing.has_more:
            found.has_more.append(listing.maker)
        found.skipped += listing.skipped
    models = [model for listing in listings for model in listing.models]
    with session_scope(context.engine) as session:
        known = load_candidates(session)
        projects = load_all_projects(session)
    waiting = [item.candidate.ref for item in known if item.status is CandidateStatus.OPEN]
    decided = [item.candidate.ref for item in known if item.status is not CandidateStatus.OPEN]
    discovery = propose_candidates(models, projects, decided=decided, waiting=waiting)
    with write_scope(context.engine) as session:
        new = set(save_candidates(session, discovery.candidates, run_id, context.clock()))
        save_pages(session, (page for listing in listings for page in listing.pages), context.clock())
        found.new = [item for item in load_candidates(session) if item.id in new]
    found.models = len(discovery.judged)
    found.kinds.update(item.kind.value for item in discovery.judged)
    return found


def discover_safely(
    context: Context,
    run_id: int,
    *,
    full: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    asking: Asking | None = None,
) -> Discovered:
    """`discover` as a step of a night: a defect of ours costs the discovery, not the night, and is told."""
    try:
        return discover(context, run_id, full=full, progress=progress, asking=asking)
    except Exception as error:
        log.exception("discovery broke off")
        return Discovered(internal_error=f"discovery: {type(error).__name__}: {error}")


def ask_safely(context: Context, *, full: bool = False) -> Asking | None:
    """Ask for the lists ahead of the discovery of a night; None when that fails, which `discover_safely` tells then."""
    try:
        return Asking(context, full=full)
    except Exception:
        log.debug("the lists of the makers could not be asked for", exc_info=True)
        return None
