"""The budget of a night in the midst of it: what links led to is planned for, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from crawler.budget import Plan, usual_rates
from crawler.context import Context
from crawler.planning import allowances_left, ask_for_allowances, plan_visits
from crawler.sources.base import Allowance, Source
from db.session import session_scope
from db.waiting import load_waiting
from pipelines.model import ArtifactKind, ArtifactRef

CAUTION = 2
"""How much dearer than usual something new is thought to be, as long as nobody plans for it."""


class Allotment:
    """What a night may spend: planned before the first request, and again for what links lead to.

    Where a service has plenty left, what was found is visited at once. Where it has not, it waits
    until all is found that can be, and is planned for together: then it does not matter which
    answer came first.
    """

    def __init__(
        self, context: Context, sources: Sequence[Source], slugs: Sequence[str], *, full: bool = False
    ) -> None:
        self._context = context
        self._sources = sources
        self._full = full
        self._service_of: Mapping[ArtifactKind, str] = {
            kind: source.name for source in sources for kind in source.kinds
        }
        told = ask_for_allowances(sources)
        with session_scope(context.engine) as session:
            waiting = load_waiting(session, slugs)
        self._allowances: Mapping[str, Allowance | None] = told()
        self.plan: Plan = plan_visits(context, sources, self._allowances, slugs, full=full, waiting=waiting)
        self._free = {
            part.service: Fraction(part.left - part.reserve - part.planned)
            for part in self.plan.services
            if part.left is not None
        }
        for name, allowance in self._allowances.items():
            if allowance is not None:
                self._free.setdefault(name, Fraction(allowance.remaining))

    def is_free(self, ref: ArtifactRef) -> bool:
        """May an artifact that was just found be visited without planning for it? Counts it, if so."""
        name = self._service_of[ref.kind]
        if name not in self._free:
            return True
        has_token = name != "github" or self._context.settings.github_token is not None
        cost = CAUTION * usual_rates(name, has_token=has_token).cold
        if self._free[name] < cost:
            return False
        self._free[name] -= cost
        return True

    def plan_more(self, slugs: Sequence[str], refs: Collection[ArtifactRef]) -> Collection[ArtifactRef]:
        """Plan for artifacts that were found meanwhile; which of them wait for another night."""
        left = allowances_left(self._sources, self._allowances)
        later = plan_visits(self._context, self._sources, left, slugs, pending=refs, full=self._full)
        self.plan = self.plan.with_more(later)
        return later.postponed
