"""Planning a night: what the services allow, what waits, what the last nights cost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from crawler.budget import Plan, Rates, SpentNight, Wish, learn_rates, plan_night, usual_rates
from crawler.context import Context
from crawler.sources.base import Allowance, Source
from crawler.sources.parts import INCOMPLETE
from db.load import load_runs
from db.models import RunStatus
from db.session import session_scope
from db.values import StoredRun
from db.waiting import WaitingArtifact, load_waiting
from pipelines.model import ArtifactKind, ArtifactRef, JsonValue

log = logging.getLogger(__name__)

NIGHTS_LOOKED_AT = 30
"""Runs whose reports tell what artifacts cost."""

_LEAST_TOLD = 10
"""A night tells nothing about costs when more than one visit in so many of a service failed."""


def fetch_allowances(sources: Iterable[Source]) -> dict[str, Allowance | None]:
    """What every service says is left, all asked at once; None for those that tell nothing."""
    return ask_for_allowances(sources)()


def ask_for_allowances(sources: Iterable[Source]) -> Callable[[], dict[str, Allowance | None]]:
    """`fetch_allowances` on its way: call what this gives to wait for it."""
    found: dict[str, Allowance | None] = {source.name: None for source in sources}

    def ask(source: Source) -> None:
        try:
            found[source.name] = source.fetch_allowance()
        except Exception:
            # A defect here costs foresight and not the night: the limit shows itself in time.
            log.exception("%s: what is left of its limit could not be told", source.name)

    # Threads of their own, and daemons: whoever interrupts us does not wait for their answers.
    asking = [threading.Thread(target=ask, args=(source,), daemon=True) for source in sources]
    for thread in asking:
        thread.start()

    def wait() -> dict[str, Allowance | None]:
        for thread in asking:
            thread.join()
        return found

    return wait


def allowances_left(
    sources: Iterable[Source], before: Mapping[str, Allowance | None]
) -> dict[str, Allowance | None]:
    """What is left in the midst of a night, without asking: as the answers so far have told it.

    A service that told nothing in advance is not planned for later either: its limits are for
    minutes and not for the night (the Hub's), and its source keeps them as it goes.
    """
    left: dict[str, Allowance | None] = dict(before)
    for source in sources:
        usage = source.usage
        if before.get(source.name) is None:
            continue
        if usage.remaining is not None and usage.resets_at is not None:
            left[source.name] = Allowance(
                remaining=usage.remaining, resets_at=usage.resets_at, limit=usage.limit
            )
    return left


def plan_visits(
    context: Context,
    sources: Sequence[Source],
    allowances: Mapping[str, Allowance | None],
    slugs: Sequence[str] | None = None,
    *,
    pending: Collection[ArtifactRef] | None = None,
    full: bool = False,
    waiting: Sequence[WaitingArtifact] | None = None,
) -> Plan:
    """Plan the visits of the projects' artifacts (all, when slugs is None); of the `pending` ones where given.

    With `full` nothing stored is told to the services, so everything costs as if it were new.
    `waiting` is planned for instead of what the database knows. Raises UsageError for an unknown project.
    """
    service_of: dict[ArtifactKind, str] = {
        kind: source.name for source in sources for kind in source.kinds if kind != ArtifactKind.LINEAGE
    }
    with session_scope(context.engine) as session:
        if waiting is None:
            waiting = load_waiting(session, slugs)
        runs = load_runs(
            session, kinds=("nightly", "crawl"), statuses=(RunStatus.DONE,), limit=NIGHTS_LOOKED_AT
        )
    wanted = None if pending is None else set(pending)
    waiting = [artifact for artifact in waiting if wanted is None or artifact.ref in wanted]
    rates = {
        source.name: _rates(context, source.name, source.kinds, allowances.get(source.name), runs)
        for source in sources
    }
    return plan_night(
        make_wishes(waiting, service_of, rates, full=full),
        allowances,
        now=context.clock(),
        # What GitHub allows an address is too little to share, and nobody's account.
        reserve=context.settings.budget_reserve if context.settings.github_token else 0,
    )


def make_wishes(
    waiting: Iterable[WaitingArtifact],
    service_of: Mapping[ArtifactKind, str],
    rates: Mapping[str, Rates],
    *,
    full: bool = False,
) -> list[Wish]:
    """The wishes of artifacts that a service has; what is not whole is fetched as if it were new."""
    wishes = []
    for artifact in waiting:
        service = service_of.get(artifact.ref.kind)
        if service is None:
            continue
        cold = full or not artifact.known or INCOMPLETE in artifact.token.split(" ")
        wishes.append(
            Wish(
                slug=artifact.slug,
                ref=artifact.ref,
                service=service,
                cost=rates[service].cold if cold else rates[service].warm,
                cold=cold,
                last_read=artifact.last_read,
                waiting_since=artifact.waiting_since,
            )
        )
    return wishes


def _rates(
    context: Context,
    service: str,
    kinds: Collection[ArtifactKind],
    allowance: Allowance | None,
    runs: Sequence[StoredRun],
) -> Rates:
    has_token = service != "github" or context.settings.github_token is not None
    limit = allowance.limit if allowance else None
    nights = [night for run in runs if (night := spent_night(run.report, service, kinds, limit)) is not None]
    return learn_rates(usual_rates(service, has_token=has_token), nights)


def spent_night(
    report: Mapping[str, JsonValue], service: str, kinds: Collection[ArtifactKind], limit: int | None
) -> SpentNight | None:
    """What a report tells of the costs at a service; None where it tells nothing that can be relied on.

    A night under another limit (with a token, without one) went another way and is passed over, as
    is one on which the service failed. What was visited beyond the plan was found that night, and new.
    """
    plans = report.get("budget") or []
    row = report.get("sources", {}).get(service, {})
    planned = next((plan for plan in plans if plan.get("service") == service), None)
    if planned is None or "charged" not in row or planned.get("limit") != limit:
        return None
    visits = sum(row.get(status, 0) for status in ("ok", "unchanged", "missing", "denied", "failed"))
    if row.get("failed", 0) * _LEAST_TOLD > visits:
        return None
    by_kind = report.get("artifacts_by_kind", {})
    visited = sum(by_kind.get(kind.value, 0) for kind in kinds)
    cold = max(planned["cold"], visited - planned["warm"])
    return SpentNight(cold=cold, warm=planned["warm"], charged=row["charged"])
