"""What a change of rules changes, cell by cell, and whether it is for better or worse. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipelines.agreement import Agreement, agreement_of, distance, no_counts, position
from pipelines.model import JsonValue, Proposal, Rating

Cell = tuple[str, str]
"""Slug and dimension."""


class Worth(StrEnum):
    """What a change is worth against a published rating."""

    BETTER = "better"
    WORSE = "worse"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A cell of which the rules say something else than they did.

    `before` and `after` None: cannot tell; `is_new`: nothing was proposed before. `published` None: nobody
    has rated it.
    """

    slug: str
    dimension: str
    before: Rating | None
    after: Rating | None
    is_new: bool
    why: str
    published: Rating | None
    worth: Worth

    def as_json(self) -> dict[str, JsonValue]:
        """As `openness rate --diff --json` prints it."""
        return {
            "slug": self.slug,
            "dimension": self.dimension,
            "from": "none" if self.is_new else shown(self.before),
            "to": shown(self.after),
            "published": self.published.value if self.published else None,
            "worth": self.worth.value,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """All changes in the order of the proposals, and the agreement over all published cells before and after."""

    changes: tuple[Change, ...]
    before: Agreement
    after: Agreement

    def count(self, worth: Worth) -> int:
        """How many changes are worth that."""
        return sum(change.worth is worth for change in self.changes)


def diff(stored: Mapping[Cell, Proposal], now: Iterable[Proposal], published: Mapping[Cell, Rating]) -> Diff:
    """What the rules say now against what is stored, measured by published ratings.

    Published cells of projects that `now` says nothing about are left out.
    """
    proposals = {(proposal.slug, proposal.dimension): proposal for proposal in now}
    slugs = {slug for slug, _ in proposals}
    changes = []
    for cell, proposal in proposals.items():
        was = stored.get(cell)
        before = was.rating if was else None
        if was is not None and before is proposal.rating:
            continue
        rating = published.get(cell)
        changes.append(
            Change(
                slug=proposal.slug,
                dimension=proposal.dimension,
                before=before,
                after=proposal.rating,
                is_new=was is None,
                why=proposal.rationale,
                published=rating,
                worth=Worth.NEITHER if rating is None else worth_of(before, proposal.rating, rating),
            )
        )
    counted = {cell: rating for cell, rating in published.items() if cell[0] in slugs}
    return Diff(
        changes=tuple(changes),
        before=_agreement({cell: p.rating for cell, p in stored.items()}, counted),
        after=_agreement({cell: p.rating for cell, p in proposals.items()}, counted),
    )


def worth_of(before: Rating | None, after: Rating | None, published: Rating) -> Worth:
    """Better: right where it was not, or wrong by less; worse: the reverse.

    To say nothing is neither better nor worse than to be wrong.
    """
    if (before is published) != (after is published):
        return Worth.BETTER if after is published else Worth.WORSE
    if before is None or after is None:
        return Worth.NEITHER
    gained = distance(published, before) - distance(published, after)
    return Worth.BETTER if gained > 0 else Worth.WORSE if gained < 0 else Worth.NEITHER


def shown(rating: Rating | None) -> str:
    """A class as people read it."""
    return rating.value if rating else "cannot_tell"


def _agreement(said: Mapping[Cell, Rating | None], published: Mapping[Cell, Rating]) -> Agreement:
    counts = no_counts()
    for cell, rating in published.items():
        counts[position(rating, said.get(cell))] += 1
    return agreement_of(counts)
