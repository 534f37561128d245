"""The budget of a night: which artifacts are visited with the requests that there are, and which wait.

Pure: what is wished for, what the services allow and the time are arguments.

Who goes first. Projects of which nothing was ever visited may go first with half of what there is;
with the rest, and with what of that half is left, whoever has waited longest. What a project was
last visited for on one night is visited together where it fits, and split only where the budget
ends. Nobody starves: while a project waits, every request goes to those who have waited as long, or
to new ones, and those get at most half.

What it costs. Where every question has a price of its own, a night's price is their sum; where one
question tells of many artifacts, an artifact costs a fraction of a request. The usual costs are
below; `learn_rates` replaces them by what the last nights came to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from crawler.sources.base import Allowance
from pipelines.model import ArtifactRef, JsonValue

DEFAULT_RESERVE = 5
"""Per cent of a limit that is left to whoever else uses the same token."""

SLUGS_NAMED = 5
"""Waiting projects that a plan names by service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests against a service's limit for an artifact never read (`cold`) and for one that was (`warm`)."""

    cold: Fraction
    warm: Fraction


USUAL_RATES: Mapping[str, Rates] = {
    # One GraphQL query tells of 50 repositories; a new one costs its tree and a share of queries for files.
    "github": Rates(cold=Fraction(2), warm=Fraction(1, 50)),
    "huggingface": Rates(cold=Fraction(3), warm=Fraction(1)),
    "pypi": Rates(cold=Fraction(1), warm=Fraction(1)),
    "arxiv": Rates(cold=Fraction(1, 100), warm=Fraction(1, 100)),
    "web": Rates(cold=Fraction(2), warm=Fraction(2)),
}
WITHOUT_TOKEN: Mapping[str, Rates] = {
    # Facts, head, tree, two lists and what there is of files, twelve at the most: ten on the recorded average.
    # GitHub charges strangers for a 304, too.
    "github": Rates(cold=Fraction(10), warm=Fraction(1)),
}
_UNKNOWN = Rates(cold=Fraction(1), warm=Fraction(1))

_TELLING_SAMPLE = 20
"""Artifacts below which a night's average says little: one query costs as much for one as for fifty."""

_DEAREST = Fraction(50)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentNight:
    """What a service charged on one night, and for how many artifacts never read and read before."""

    cold: int
    warm: int
    charged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An artifact that a project wants visited at a service, at a cost in requests.

    `last_read` is when its turn last came, None where it never did. `waiting_since` is when the run
    of that turn began, or when the artifact became one of the project. `cold`: nothing whole is
    stored of it, so that all of it has to be fetched.
    """

    slug: str
    ref: ArtifactRef
    service: str
    cost: Fraction
    cold: bool
    last_read: datetime | None
    waiting_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One service's part of a plan. Requests: limit, left, reserve, need, planned; artifacts: the others.

    `limit`, `left` and `resets_at` are None where the service tells nothing: then everything fits.
    `need` is what all wishes would cost, `planned` what those cost that fit. `cold` and `warm` are
    how many of those that fit were never read, and read before.
    """

    service: str
    limit: int | None
    left: int | None
    resets_at: datetime | None
    reserve: int
    need: int
    planned: int
    fits: int
    waits: int
    cold: int
    warm: int
    first_waiting: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """The plan as the run report has it."""
        return {
            "service": self.service,
            "limit": self.limit,
            "left": self.left,
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
            "reserve": self.reserve,
            "need": self.need,
            "planned": self.planned,
            "fits": self.fits,
            "waits": self.waits,
            "cold": self.cold,
            "warm": self.warm,
            "first_waiting": list(self.first_waiting),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A night's plan: a part by service, who goes first (every slug once), what waits for another night."""

    services: tuple[ServicePlan, ...] = ()
    order: tuple[str, ...] = ()
    postponed: frozenset[ArtifactRef] = frozenset()

    @property
    def waits(self) -> int:
        """How many artifacts wait."""
        return len(self.postponed)

    @property
    def cold(self) -> int:
        """How many artifacts are read for the first time."""
        return sum(part.cold for part in self.services)

    def with_more(self, later: Plan) -> Plan:
        """This plan and the one made later the same night for what was found by then."""
        known = {part.service: part for part in self.services}
        for part in later.services:
            known[part.service] = _joined(known[part.service], part) if part.service in known else part
        return Plan(
            services=tuple(known[name] for name in sorted(known)),
            order=tuple(dict.fromkeys([*self.order, *later.order])),
            postponed=self.postponed | later.postponed,
        )


def _joined(first: ServicePlan, later: ServicePlan) -> ServicePlan:
    """What was told before the first request stands; what is counted is added up."""
    return replace(
        first,
        need=first.need + later.need,
        planned=first.planned + later.planned,
        fits=first.fits + later.fits,
        waits=first.waits + later.waits,
        cold=first.cold + later.cold,
        warm=first.warm + later.warm,
        first_waiting=tuple(dict.fromkeys([*first.first_waiting, *later.first_waiting]))[:SLUGS_NAMED],
    )


def usual_rates(service: str, *, has_token: bool) -> Rates:
    """What an artifact of the service costs where no night has told."""
    if not has_token and service in WITHOUT_TOKEN:
        return WITHOUT_TOKEN[service]
    return USUAL_RATES.get(service, _UNKNOWN)


def learn_rates(usual: Rates, nights: Iterable[SpentNight]) -> Rates:
    """The rates as the last nights, newest first, came to; the usual ones where they tell nothing.

    A night mostly of artifacts read before tells what those cost, changed ones among them; one with
    enough new artifacts what the new ones cost. No artifact is thought to cost less than the
    cheapest question about it.
    """
    nights = list(nights)
    warm = usual.warm
    for night in nights:
        if night.warm >= _TELLING_SAMPLE and night.warm >= 10 * night.cold:
            warm = _between(usual.warm, (night.charged - usual.cold * night.cold) / night.warm)
            break
    cold = usual.cold
    for night in nights:
        if night.cold >= _TELLING_SAMPLE:
            cold = _between(usual.warm, (night.charged - warm * night.warm) / night.cold)
            break
    return Rates(cold=max(cold, warm), warm=warm)


def _between(least: Fraction, cost: Fraction) -> Fraction:
    return min(max(cost, least), _DEAREST)


class _Purse:
    """What may still be spent at one service tonight; `cap` is the dearest that one artifact may count as."""

    __slots__ = ("cap", "left")

    def __init__(self, left: int, cap: int) -> None:
        self.left = Fraction(left)
        self.cap = Fraction(cap)


class _Unit:
    """The wishes of one project that last had their turn on the same night."""

    __slots__ = ("is_new", "since", "slug", "wishes")

    def __init__(self, slug: str, since: datetime, is_new: bool) -> None:
        self.slug = slug
        self.since = since
        self.is_new = is_new
        self.wishes: list[Wish] = []


def plan_night(
    wishes: Sequence[Wish],
    allowances: Mapping[str, Allowance | None],
    *,
    now: datetime,
    reserve: int = DEFAULT_RESERVE,
) -> Plan:
    """Who is visited tonight, in which order, and what waits.

    A service without an allowance (None, or not named) is thought to have no limit. `reserve` is in
    per cent of its limit (of what is left where the limit is not told). An artifact that several
    projects wish for is paid for once.
    """
    told = {name: _as_of(now, allowance) for name, allowance in allowances.items()}
    purses = {name: _purse(allowance, reserve) for name, allowance in told.items() if allowance is not None}
    units = _units(wishes)
    taken = _Taken(purses)
    _let_new_ones_in(units, taken)
    _let_the_rest_in(units, taken)
    order = dict.fromkeys([*taken.slugs, *(unit.slug for unit in units)])
    postponed = frozenset(
        wish.ref for wish in wishes if wish.service in purses and wish.ref not in taken.refs
    )
    return Plan(
        services=tuple(
            _service_plan(name, told.get(name), reserve, units, postponed)
            for name in sorted({wish.service for wish in wishes})
        ),
        order=tuple(order),
        postponed=postponed,
    )


def reserved(allowance: Allowance, reserve: int) -> int:
    """Requests of the limit that are left to others, rounded down."""
    return (allowance.remaining if allowance.limit is None else allowance.limit) * reserve // 100


def _as_of(now: datetime, allowance: Allowance | None) -> Allowance | None:
    """The allowance, or the new one where its hour is over; None where that is not told."""
    if allowance is None or now < allowance.resets_at:
        return allowance
    return None if allowance.limit is None else replace(allowance, remaining=allowance.limit)


def _purse(allowance: Allowance, reserve: int) -> _Purse:
    kept = reserved(allowance, reserve)
    whole = allowance.remaining if allowance.limit is None else allowance.limit
    return _Purse(left=max(0, allowance.remaining - kept), cap=max(0, whole - kept))


def _units(wishes: Sequence[Wish]) -> list[_Unit]:
    """The units, who has waited longest first; within a unit the oldest first."""
    found: dict[tuple[str, datetime | None], _Unit] = {}
    visited = {wish.slug for wish in wishes if wish.last_read is not None}
    for wish in sorted(wishes, key=lambda wish: (wish.waiting_since, wish.ref)):
        key = (wish.slug, None if wish.last_read is None else wish.waiting_since)
        if key not in found:
            found[key] = _Unit(wish.slug, wish.waiting_since, wish.slug not in visited)
        found[key].wishes.append(wish)
    return sorted(found.values(), key=lambda unit: (unit.since, unit.slug))


class _Taken:
    """What has been let in so far, and what that leaves in the purses."""

    def __init__(self, purses: Mapping[str, _Purse]) -> None:
        self.purses = purses
        self.refs: set[ArtifactRef] = set()
        self.slugs: dict[str, None] = {}

    def open_wishes(self, unit: _Unit) -> list[Wish]:
        """The wishes of a unit at limited services that are not let in yet, each artifact once."""
        open_ones = {w.ref: w for w in unit.wishes if w.service in self.purses and w.ref not in self.refs}
        return list(open_ones.values())

    def costs(self, wishes: Iterable[Wish]) -> dict[str, Fraction]:
        costs: dict[str, Fraction] = {}
        for wish in wishes:
            cost = min(wish.cost, self.purses[wish.service].cap)
            costs[wish.service] = costs.get(wish.service, Fraction(0)) + cost
        return costs

    def let_in(self, slug: str, wishes: Sequence[Wish], purses: Mapping[str, _Purse]) -> bool:
        """Take all of the wishes, if what they cost is there."""
        costs = self.costs(wishes)
        if any(cost > purses[name].left or not purses[name].cap for name, cost in costs.items()):
            return False
        for name, cost in costs.items():
            self.purses[name].left -= cost
            if purses is not self.purses:
                purses[name].left -= cost
        self.refs.update(wish.ref for wish in wishes)
        self.slugs[slug] = None
        return True


def _let_new_ones_in(units: Sequence[_Unit], taken: _Taken) -> None:
    """Projects of which nothing was ever visited, as far as half of the budget goes."""
    halves = {name: _Purse(int(purse.left) // 2, int(purse.cap)) for name, purse in taken.purses.items()}
    for unit in units:
        if unit.is_new:
            taken.let_in(unit.slug, taken.open_wishes(unit), halves)


def _let_the_rest_in(units: Sequence[_Unit], taken: _Taken) -> None:
    """Those that have waited longest first: of equals the ones that fit whole, then parts of the others."""
    start = 0
    while start < len(units):
        end = start
        while end < len(units) and units[end].since == units[start].since:
            end += 1
        equals, start = units[start:end], end
        split = [
            unit for unit in equals if not taken.let_in(unit.slug, taken.open_wishes(unit), taken.purses)
        ]
        for unit in split:
            for wish in taken.open_wishes(unit):
                taken.let_in(unit.slug, [wish], taken.purses)


def _service_plan(
    name: str,
    allowance: Allowance | None,
    reserve: int,
    units: Sequence[_Unit],
    postponed: frozenset[ArtifactRef],
) -> ServicePlan:
    wanted = [(unit.slug, wish) for unit in units for wish in unit.wishes if wish.service == name]
    once = {wish.ref: wish for _, wish in wanted}
    fits = [wish for wish in once.values() if wish.ref not in postponed]
    waiting = dict.fromkeys(slug for slug, wish in wanted if wish.ref in postponed)
    cold = sum(wish.cold for wish in fits)
    return ServicePlan(
        service=name,
        limit=allowance.limit if allowance else None,
        left=allowance.remaining if allowance else None,
        resets_at=allowance.resets_at if allowance else None,
        reserve=reserved(allowance, reserve) if allowance else 0,
        need=math.ceil(sum(wish.cost for wish in once.values())),
        planned=math.ceil(sum(wish.cost for wish in fits)),
        fits=len(fits),
        waits=len(once) - len(fits),
        cold=cold,
        warm=len(fits) - cold,
        first_waiting=tuple(waiting)[:SLUGS_NAMED],
    )
