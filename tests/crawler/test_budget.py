"""Who is visited with the requests that there are, and that nobody waits for ever."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.budget import (
    Plan,
    Rates,
    ServicePlan,
    SpentNight,
    Wish,
    learn_rates,
    plan_night,
    usual_rates,
)
from crawler.sources.base import Allowance
from pipelines.model import ArtifactKind, ArtifactRef

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
LAST_NIGHT = NOW - timedelta(days=1)


def repository(name: str) -> ArtifactRef:
    return ArtifactRef(kind=ArtifactKind.GITHUB, id=name)


def wish(
    name: str,
    *,
    slug: str = "",
    cost: float = 1,
    read: datetime | None = None,
    since: datetime | None = None,
    service: str = "github",
) -> Wish:
    """A wish for the repository `name`, of the project before its slash unless another is named."""
    return Wish(
        slug=slug or name.partition("/")[0],
        ref=repository(name),
        service=service,
        cost=Fraction(cost).limit_denominator(1000),
        cold=read is None,
        last_read=read,
        waiting_since=since or read or LAST_NIGHT,
    )


def hour(left: int, limit: int = 60, resets: datetime = NOW + timedelta(minutes=30)) -> Allowance:
    return Allowance(remaining=left, resets_at=resets, limit=limit)


def plan(
    wishes: Iterable[Wish], left: int = 60, *, limit: int = 60, reserve: int = 0, **more: datetime
) -> Plan:
    return plan_night(list(wishes), {"github": hour(left, limit, **more)}, now=NOW, reserve=reserve)


def visited(made: Plan, wishes: Iterable[Wish]) -> set[str]:
    return {wish.ref.id for wish in wishes if wish.ref not in made.postponed}


def github(made: Plan) -> ServicePlan:
    return next(part for part in made.services if part.service == "github")


class TestWhoGoesFirst:
    def test_all_are_visited_when_there_is_enough(self) -> None:
        wishes = [wish(f"p{n}/code", read=LAST_NIGHT) for n in range(10)]
        made = plan(wishes)
        assert not made.postponed
        assert (github(made).fits, github(made).waits, github(made).need) == (10, 0, 10)
        assert made.order == tuple(f"p{n}" for n in range(10))

    def test_who_was_never_read_goes_before_who_was_read_last_night(self) -> None:
        wishes = [wish("old/code", read=LAST_NIGHT), wish("new/code", since=NOW - timedelta(hours=1))]
        assert visited(plan(wishes, 2), wishes) == {"old/code", "new/code"}
        assert plan(wishes, 2).order == ("new", "old")

    def test_who_was_read_longest_ago_goes_first(self) -> None:
        wishes = [wish(f"p{n}/code", read=NOW - timedelta(days=n)) for n in range(1, 6)]
        made = plan(wishes, 2)
        assert visited(made, wishes) == {"p5/code", "p4/code"}
        assert made.order == ("p5", "p4", "p3", "p2", "p1")
        assert github(made).first_waiting == ("p3", "p2", "p1")

    def test_of_two_never_read_the_one_that_has_waited_longer_goes_first(self) -> None:
        wishes = [wish("b/code", since=NOW - timedelta(days=3)), wish("a/code", since=LAST_NIGHT)]
        assert visited(plan(wishes, 1), wishes) == {"b/code"}

    def test_new_projects_get_half_of_the_budget_and_no_more(self) -> None:
        old = [wish(f"old{n}/code", read=NOW - timedelta(days=9)) for n in range(10)]
        new = [wish(f"new{n}/code", since=LAST_NIGHT) for n in range(10)]
        seen = visited(plan([*old, *new], 10), [*old, *new])
        assert len(seen & {w.ref.id for w in new}) == 5
        assert len(seen & {w.ref.id for w in old}) == 5

    def test_what_new_projects_do_not_need_is_for_the_others(self) -> None:
        old = [wish(f"old{n}/code", read=NOW - timedelta(days=9)) for n in range(10)]
        wishes = [*old, wish("new/code")]
        assert len(visited(plan(wishes, 10), wishes)) == 10

    def test_a_first_night_gives_all_of_its_budget_to_new_projects(self) -> None:
        wishes = [wish(f"p{n}/code", cost=5) for n in range(30)]
        assert len(visited(plan(wishes), wishes)) == 12


class TestWholeProjects:
    def test_a_project_is_visited_whole_where_it_fits(self) -> None:
        wishes = [
            wish(f"{slug}/{part}", cost=2, read=LAST_NIGHT) for slug in "abc" for part in ("x", "y", "z")
        ]
        seen = visited(plan(wishes, 12), wishes)
        assert seen == {w.ref.id for w in wishes if w.slug in "ab"}

    def test_a_smaller_one_of_those_that_wait_as_long_fills_the_rest(self) -> None:
        wishes = [wish(f"{slug}/{n}", read=LAST_NIGHT) for slug in ("a", "b") for n in range(4)]
        wishes.append(wish("c/only", read=LAST_NIGHT))
        assert visited(plan(wishes, 5), wishes) == {"a/0", "a/1", "a/2", "a/3", "c/only"}

    def test_what_is_left_in_the_end_is_not_wasted(self) -> None:
        wishes = [wish(f"{slug}/{n}", read=LAST_NIGHT) for slug in ("a", "b") for n in range(4)]
        assert visited(plan(wishes, 6), wishes) == {"a/0", "a/1", "a/2", "a/3", "b/0", "b/1"}

    def test_a_project_that_was_split_goes_on_with_its_other_part(self) -> None:
        wishes = [
            wish("a/read", read=LAST_NIGHT),
            wish("a/waits", read=NOW - timedelta(days=2)),
            wish("b/read", read=LAST_NIGHT),
        ]
        assert visited(plan(wishes, 1), wishes) == {"a/waits"}

    def test_a_project_larger_than_the_budget_is_read_in_parts(self) -> None:
        wishes = [wish(f"a/{n}", read=LAST_NIGHT) for n in range(100)]
        assert len(visited(plan(wishes), wishes)) == 60

    def test_an_artifact_dearer_than_the_whole_budget_may_have_all_of_it(self) -> None:
        wishes = [wish("a/huge", cost=100)]
        assert visited(plan(wishes), wishes) == {"a/huge"}
        assert visited(plan(wishes, left=50), wishes) == set()

    def test_an_artifact_of_two_projects_is_paid_for_once(self) -> None:
        shared = [wish("base/code", slug=slug, cost=6, read=LAST_NIGHT) for slug in ("a", "b")]
        made = plan([*shared, wish("b/code", cost=4, read=LAST_NIGHT)], 10)
        assert not made.postponed
        assert (github(made).need, github(made).fits) == (10, 2)


class TestServices:
    def test_a_service_that_tells_nothing_has_no_limit(self) -> None:
        wishes = [wish(f"p{n}/page", service="web", cost=2) for n in range(500)]
        made = plan_night(wishes, {"web": None}, now=NOW)
        assert not made.postponed
        assert made.services == (
            ServicePlan(
                service="web",
                limit=None,
                left=None,
                resets_at=None,
                reserve=0,
                need=1000,
                planned=1000,
                fits=500,
                waits=0,
                cold=500,
                warm=0,
            ),
        )

    def test_what_waits_at_one_service_is_read_at_the_others(self) -> None:
        wishes = [wish("a/code", cost=9), wish("a/page", service="web"), wish("b/page", service="web")]
        made = plan(wishes, 3)
        assert made.postponed == {repository("a/code")}
        assert set(made.order) == {"a", "b"}

    def test_nothing_is_asked_of_a_service_of_which_nothing_is_left(self) -> None:
        wishes = [wish(f"p{n}/code") for n in range(3)]
        assert len(plan(wishes, 0).postponed) == 3

    def test_a_limit_whose_hour_is_over_is_whole_again(self) -> None:
        wishes = [wish(f"p{n}/code") for n in range(3)]
        made = plan(wishes, 0, resets=NOW)
        assert not made.postponed
        assert github(made).left == 60

    def test_a_share_is_left_to_others_who_use_the_same_token(self) -> None:
        wishes = [wish(f"p{n}/code") for n in range(60)]
        made = plan(wishes, 60, reserve=10)
        assert github(made).reserve == 6
        assert github(made).fits == 54
        # Somebody else has used some already: what is kept is a share of the limit all the same.
        assert github(plan(wishes, 20, reserve=10)).fits == 14
        assert github(plan(wishes, 5, reserve=10)).fits == 0

    def test_fifty_known_repositories_cost_one_request_with_a_token(self) -> None:
        rates = usual_rates("github", has_token=True)
        known = [wish(f"p{n}/code", cost=rates.warm, read=LAST_NIGHT) for n in range(3000)]
        made = plan(known, 60)
        assert (github(made).need, github(made).waits) == (60, 0)
        assert github(plan(known, 59)).waits == 50

    def test_without_a_token_a_known_repository_costs_a_request(self) -> None:
        rates = usual_rates("github", has_token=False)
        assert rates.warm == 1
        assert rates.cold > 3


class TestPlan:
    def test_a_later_plan_of_the_same_night_adds_to_the_first(self) -> None:
        first = plan([wish("a/code", cost=50)], 60)
        later = plan([wish("a/base", cost=20), wish("b/base", cost=4)], 10)
        made = first.with_more(later)
        assert (github(made).left, github(made).need, github(made).fits, github(made).waits) == (60, 74, 2, 1)
        assert made.postponed == {repository("a/base")}
        assert made.order == ("a", "b")
        assert Plan().with_more(first) == first

    def test_a_plan_as_json_names_every_figure(self) -> None:
        row = github(plan([wish("a/code", cost=50), wish("b/code", cost=50)], 60)).as_json()
        assert row == {
            "service": "github",
            "limit": 60,
            "left": 60,
            "resets_at": "2031-03-01T02:30:00+00:00",
            "reserve": 0,
            "need": 100,
            "planned": 50,
            "fits": 1,
            "waits": 1,
            "cold": 1,
            "warm": 0,
            "first_waiting": ["b"],
        }

    @given(st.permutations(range(8)))
    def test_the_plan_does_not_depend_on_the_order_of_the_wishes(self, order: list[int]) -> None:
        wishes = [
            wish(f"p{n % 3}/{n}", cost=1 + n % 3, read=None if n % 2 else NOW - timedelta(days=n))
            for n in range(8)
        ]
        assert plan([wishes[n] for n in order], 9) == plan(wishes, 9)


@dataclass
class World:
    """Projects and their artifacts over many nights, each visited when the plan says so."""

    budget: int
    costs: dict[str, dict[str, int]] = field(default_factory=dict)
    turns: dict[str, datetime] = field(default_factory=dict)
    added: dict[str, datetime] = field(default_factory=dict)
    waited: dict[str, int] = field(default_factory=dict)
    night: datetime = NOW

    def add(self, slug: str, costs: list[int]) -> None:
        self.costs[slug] = {f"{slug}/{n}": cost for n, cost in enumerate(costs)}
        for name in self.costs[slug]:
            self.added[name] = self.night - timedelta(hours=6)
            self.waited[name] = 0

    @property
    def need(self) -> int:
        return sum(sum(costs.values()) for costs in self.costs.values())

    @property
    def dearest(self) -> int:
        return max(max(costs.values()) for costs in self.costs.values())

    def go_through_a_night(self) -> None:
        """The nights that each artifact has waited, 1 for one that is visited every night."""
        wishes = [
            wish(name, cost=cost, read=self.turns.get(name), since=self.turns.get(name, self.added[name]))
            for costs in self.costs.values()
            for name, cost in costs.items()
        ]
        made = plan_night(wishes, {"github": hour(self.budget, self.budget)}, now=self.night, reserve=0)
        seen = visited(made, wishes)
        spent = sum(int(w.cost) for w in wishes if w.ref.id in seen)
        assert spent <= self.budget
        self.waited = {w.ref.id: 1 if w.ref.id in seen else self.waited[w.ref.id] + 1 for w in wishes}
        self.turns |= dict.fromkeys(seen, self.night)
        self.night += timedelta(days=1)


PROJECTS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=1, max_size=12)


class TestNobodyStarves:
    @given(projects=PROJECTS, budget=st.integers(8, 40))
    def test_every_artifact_has_its_turn_before_all_have_had_one_more(
        self, projects: list[list[int]], budget: int
    ) -> None:
        world = World(budget=budget)
        for number, costs in enumerate(projects):
            world.add(f"p{number}", costs)
        # What is left at the end of a night is less than the dearest artifact that waits.
        bound = math.ceil(world.need / (budget - world.dearest + 1)) + 1
        for _ in range(3 * bound):
            world.go_through_a_night()
            assert max(world.waited.values()) <= bound

    @given(projects=PROJECTS, budget=st.integers(8, 40), newcomers=st.lists(PROJECTS, max_size=8))
    def test_newcomers_keep_nobody_from_their_turn(
        self, projects: list[list[int]], budget: int, newcomers: list[list[list[int]]]
    ) -> None:
        world = World(budget=budget)
        for number, costs in enumerate(projects):
            world.add(f"p{number}", costs)
        for night, coming in enumerate([*newcomers, *[[] for _ in range(10)]]):
            for number, costs in enumerate(coming):
                world.add(f"n{night}-{number}", costs)
            world.go_through_a_night()
            bound = math.ceil(world.need / (budget - world.dearest + 1)) + 1
            assert max(world.waited.values()) <= bound

    def test_even_when_more_come_every_night_than_can_be_read(self) -> None:
        world = World(budget=10)
        for number in range(20):
            world.add(f"old{number}", [1])
        needs: list[int] = []
        for night in range(40):
            for number in range(15):
                world.add(f"new{night}-{number}", [1])
            needs.append(world.need)
            world.go_through_a_night()
            for number in range(20):
                # Half of the budget goes to who has waited longest, whoever came since.
                waited = world.waited[f"old{number}/0"]
                assert waited <= math.ceil(needs[max(0, night - waited)] / 5)

    def test_a_first_round_without_a_token_takes_no_longer_than_it_must(self) -> None:
        world = World(budget=60)
        for number in range(60):
            world.add(f"p{number:02}", [5])
        for night in range(1, 6):
            world.go_through_a_night()
            assert len(world.turns) == 12 * night


class TestRates:
    USUAL = Rates(cold=Fraction(2), warm=Fraction(1, 50))

    def test_without_a_night_the_usual_rates_hold(self) -> None:
        assert learn_rates(self.USUAL, []) == self.USUAL

    def test_a_night_of_known_artifacts_tells_what_they_cost(self) -> None:
        nights = [SpentNight(cold=0, warm=200, charged=50), SpentNight(cold=0, warm=200, charged=150)]
        assert learn_rates(self.USUAL, nights) == Rates(cold=Fraction(2), warm=Fraction(1, 4))

    def test_a_first_night_tells_what_new_ones_cost(self) -> None:
        assert learn_rates(self.USUAL, [SpentNight(cold=100, warm=0, charged=280)]).cold == Fraction(14, 5)

    @pytest.mark.parametrize(
        "night",
        [
            SpentNight(cold=0, warm=1, charged=1),
            SpentNight(cold=1, warm=0, charged=9),
            SpentNight(cold=0, warm=0, charged=0),
        ],
    )
    def test_a_night_of_few_artifacts_tells_nothing(self, night: SpentNight) -> None:
        assert learn_rates(self.USUAL, [night]) == self.USUAL

    def test_a_night_that_cost_nothing_does_not_make_the_next_one_free(self) -> None:
        assert learn_rates(self.USUAL, [SpentNight(cold=0, warm=500, charged=0)]) == self.USUAL

    @given(
        st.lists(
            st.builds(
                SpentNight,
                cold=st.integers(0, 10**6),
                warm=st.integers(0, 10**6),
                charged=st.integers(0, 10**9),
            ),
            max_size=4,
        )
    )
    def test_whatever_nights_tell_costs_stay_sane(self, nights: list[SpentNight]) -> None:
        rates = learn_rates(self.USUAL, nights)
        assert self.USUAL.warm <= rates.warm <= rates.cold <= 50
