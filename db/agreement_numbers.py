"""How often people agree: curators with the rules, and curators with each other, by dimension and month.

With the rules: every decision in force that a curator made by looking at a proposal with a class. Imported
ratings are left out, since nobody saw the proposal, and bulk confirmations, since nobody looked at each.
With each other: every second opinion beside the class that was decided, of which it was told nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import DecisionRow
from db.ratings import RATES, in_force
from db.review_rows import OpinionRow
from pipelines.agreement import Agreement, agreement_of, no_counts, position
from pipelines.model import DecisionKind, Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What was agreed on in a month. `name` is its year and number, such as 2031-03; `share` None without a pair."""

    name: str
    n: int
    agreed: int

    @property
    def share(self) -> float | None:
        """The share agreed on, 0 to 1."""
        return self.agreed / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementNumbers:
    """Agreement in one dimension, or in all. `n` counts pairs, `agreed` those that say the same.

    `rejected`, counted in `n`: proposals that were turned down without another class in their place. The
    measures (`classes`) are over the other pairs; `months` are in their order, without those that have no pair.
    """

    n: int
    agreed: int
    rejected: int
    classes: Agreement
    months: tuple[Month, ...]

    @property
    def share(self) -> float | None:
        """The share agreed on, 0 to 1; None without a pair."""
        return self.agreed / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTable:
    """Agreement by dimension (those with a pair only), and over all of them."""

    total: AgreementNumbers
    by_dimension: Mapping[str, AgreementNumbers]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two classes for one cell; `second` None: not the first, and no other was given."""

    dimension: str
    at: datetime
    first: Rating
    second: Rating | None


def load_rule_agreement(session: Session) -> AgreementTable:
    """Rules and curators: the class proposed beside the one decided."""
    query = select(
        DecisionRow.dimension, DecisionRow.at, DecisionRow.rating, DecisionRow.proposed_rating
    ).where(
        DecisionRow.kind.in_((*RATES, DecisionKind.REJECT)),
        DecisionRow.imported.is_(False),
        DecisionRow.batch_id.is_(None),
        DecisionRow.proposed_rating.is_not(None),
        in_force(DecisionRow),
    )
    return _table(
        _Pair(dimension, at, proposed, decided)
        for dimension, at, decided, proposed in session.execute(query)
        if proposed is not None
    )


def load_curator_agreement(session: Session) -> AgreementTable:
    """Curators with each other: the class decided beside the second opinion."""
    query = select(OpinionRow.dimension, OpinionRow.at, DecisionRow.rating, OpinionRow.rating).join(
        DecisionRow, DecisionRow.id == OpinionRow.about_decision_id
    )
    return _table(
        _Pair(dimension, at, decided, opinion)
        for dimension, at, decided, opinion in session.execute(query)
        if decided is not None
    )


def _table(pairs: Iterable[_Pair]) -> AgreementTable:
    whole = list(pairs)
    by_dimension: dict[str, list[_Pair]] = {}
    for pair in whole:
        by_dimension.setdefault(pair.dimension, []).append(pair)
    return AgreementTable(
        total=_numbers(whole),
        by_dimension={dimension: _numbers(by_dimension[dimension]) for dimension in sorted(by_dimension)},
    )


def _numbers(pairs: Iterable[_Pair]) -> AgreementNumbers:
    counts = no_counts()
    months: dict[str, list[int]] = {}
    rejected = 0
    for pair in pairs:
        month = months.setdefault(f"{pair.at.astimezone(UTC):%Y-%m}", [0, 0])
        month[0] += 1
        month[1] += pair.first is pair.second
        if pair.second is None:
            rejected += 1
        else:
            counts[position(pair.first, pair.second)] += 1
    found = tuple(Month(name=name, n=n, agreed=agreed) for name, (n, agreed) in sorted(months.items()))
    return AgreementNumbers(
        n=sum(month.n for month in found),
        agreed=sum(month.agreed for month in found),
        rejected=rejected,
        classes=agreement_of(counts),
        months=found,
    )
