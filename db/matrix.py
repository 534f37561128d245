"""The picture of the index: projects by dimensions, each cell with its class and whether it is asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.keys import chunks
from db.models import DecisionRow, ProjectRow
from db.question_filter import is_due
from db.ratings import RATES, in_force, rating_decisions
from db.review_rows import QuestionRow
from pipelines.model import Rating
from pipelines.rubric import Rubric


class MatrixSort(StrEnum):
    """How projects are ordered; names break ties."""

    NAME = "name"
    OPEN = "open"
    CLOSED = "closed"
    WAITING = "waiting"
    NEWEST = "newest"


class ProjectState(StrEnum):
    """Which projects are listed: those that are rated, those that the seeds have dropped, or both."""

    ACTIVE = "active"
    RETIRED = "retired"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """A project with its ratings by dimension, and the dimensions about which a curator is asked.

    `openness` is the mean weight of the rubric over the rated dimensions that apply, from 0 to 1;
    None where there are none.
    """

    slug: str
    name: str
    org: str
    is_active: bool
    added_at: datetime
    classes: Mapping[str, Rating]
    asked: frozenset[str]
    openness: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixPage:
    """Some projects of those that were looked for; `total` counts all of these."""

    rows: tuple[MatrixRow, ...]
    total: int


class _Listed(NamedTuple):
    """A project as far as it is needed to find and to order it."""

    id: int
    slug: str
    name: str
    org: str


def load_matrix(
    session: Session,
    rubric: Rubric,
    now: datetime,
    *,
    search: str = "",
    org: str | None = None,
    state: ProjectState = ProjectState.ACTIVE,
    sort: MatrixSort = MatrixSort.NAME,
    limit: int = 100,
    offset: int = 0,
) -> MatrixPage:
    """The projects whose slug, name or maker has the words in it, in any case; of them one page.

    Chosen and ordered here and not by the database: what a language takes for the same letter is the same
    everywhere then, and 10,000 names are few.
    """
    found = _find(session, search, org, state)
    found.sort(key=lambda item: (item.name.casefold(), item.slug))
    if sort is MatrixSort.NEWEST:
        added = dict(session.execute(select(ProjectRow.id, ProjectRow.added_at)).all())
        found.sort(key=lambda item: added[item.id], reverse=True)
    elif sort is MatrixSort.WAITING:
        waiting = _count_asked(session, now)
        found.sort(key=lambda item: -waiting[item.id])
    elif sort in (MatrixSort.OPEN, MatrixSort.CLOSED):
        openness = {
            project_id: openness_of(classes, rubric)
            for project_id, classes in _load_classes(session, None).items()
        }
        sign = -1 if sort is MatrixSort.OPEN else 1
        found.sort(key=lambda item: _ranked(openness.get(item.id), sign))
    page = found[offset : offset + limit]
    ids = [item.id for item in page]
    classes, asked = _load_classes(session, ids), _load_asked(session, ids, now)
    states = _load_states(session, ids)
    return MatrixPage(
        rows=tuple(
            MatrixRow(
                slug=item.slug,
                name=item.name,
                org=item.org,
                is_active=states[item.id][0],
                added_at=states[item.id][1],
                classes=classes.get(item.id, {}),
                asked=frozenset(asked.get(item.id, ())),
                openness=openness_of(classes.get(item.id, {}), rubric),
            )
            for item in page
        ),
        total=len(found),
    )


def openness_of(classes: Mapping[str, Rating], rubric: Rubric) -> float | None:
    """The mean weight of the rated dimensions of a rubric that apply; None where there are none."""
    weights = [
        rubric.weights[rating]
        for dimension in rubric.dimension_ids
        if (rating := classes.get(dimension)) is not None and rating in rubric.weights
    ]
    return sum(weights) / len(weights) if weights else None


def load_totals(session: Session) -> dict[str, Counter[Rating]]:
    """How many cells of projects that are not retired have which class, by dimension."""
    latest = rating_decisions()
    query = (
        select(DecisionRow.dimension, DecisionRow.rating, func.count())
        .join(latest, latest.c.decision_id == DecisionRow.id)
        .join(ProjectRow, ProjectRow.id == DecisionRow.project_id)
        .where(ProjectRow.active)
        .group_by(DecisionRow.dimension, DecisionRow.rating)
    )
    totals: dict[str, Counter[Rating]] = {}
    for dimension, rating, number in session.execute(query):
        if rating is not None:
            totals.setdefault(dimension, Counter())[rating] = number
    return totals


def count_projects(session: Session) -> int:
    """How many projects are not retired."""
    return session.scalar(select(func.count()).select_from(ProjectRow).where(ProjectRow.active)) or 0


def load_orgs(session: Session) -> list[tuple[str, int]]:
    """The makers of projects that are not retired and how many projects each has, by name; unknown ones left out."""
    query = select(ProjectRow.org, func.count()).where(ProjectRow.active, ProjectRow.org != "")
    found = [(org, number) for org, number in session.execute(query.group_by(ProjectRow.org))]
    return sorted(found, key=lambda item: (item[0].casefold(), item[0]))


def _ranked(openness: float | None, sign: int) -> tuple[bool, float]:
    """Projects without a rating come last, whichever way the others are ordered."""
    return openness is None, sign * (openness or 0.0)


def _find(session: Session, search: str, org: str | None, state: ProjectState) -> list[_Listed]:
    query = select(ProjectRow.id, ProjectRow.slug, ProjectRow.name, ProjectRow.org)
    if state is not ProjectState.ALL:
        query = query.where(ProjectRow.active.is_(state is ProjectState.ACTIVE))
    if org is not None:
        query = query.where(ProjectRow.org == org)
    words = search.casefold().split()
    # By the connection: a session takes twice as long to hand on rows.
    found = map(_Listed._make, session.connection().execute(query))
    return [item for item in found if _has(words, item)] if words else list(found)


def _load_states(session: Session, ids: Sequence[int]) -> dict[int, tuple[bool, datetime]]:
    found: dict[int, tuple[bool, datetime]] = {}
    for some in chunks(ids):
        query = select(ProjectRow.id, ProjectRow.active, ProjectRow.added_at).where(ProjectRow.id.in_(some))
        found |= {project_id: (active, added_at) for project_id, active, added_at in session.execute(query)}
    return found


def _has(words: Sequence[str], item: _Listed) -> bool:
    whole = f"{item.slug}\n{item.name}\n{item.org}".casefold()
    return all(word in whole for word in words)


def _load_classes(session: Session, ids: Iterable[int] | None) -> dict[int, dict[str, Rating]]:
    """The ratings by project and dimension: of some projects, or of all."""
    found: dict[int, dict[str, Rating]] = {}
    for some in [None] if ids is None else chunks(ids):
        of_some = [] if some is None else [DecisionRow.project_id.in_(some)]
        # Within the projects asked about: the whole table need not be gone through for a page of them.
        latest = (
            select(func.max(DecisionRow.id).label("decision_id"))
            .where(DecisionRow.kind.in_(RATES), in_force(DecisionRow), *of_some)
            .group_by(DecisionRow.project_id, DecisionRow.dimension)
            .subquery()
        )
        query = select(DecisionRow.project_id, DecisionRow.dimension, DecisionRow.rating).join(
            latest, latest.c.decision_id == DecisionRow.id
        )
        for project_id, dimension, rating in session.execute(query):
            if rating is not None:
                found.setdefault(project_id, {})[dimension] = rating
    return found


def _load_asked(session: Session, ids: Sequence[int], now: datetime) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for some in chunks(ids):
        query = select(QuestionRow.project_id, QuestionRow.dimension).where(
            QuestionRow.project_id.in_(some), is_due(now)
        )
        for project_id, dimension in session.execute(query):
            found.setdefault(project_id, []).append(dimension)
    return found


def _count_asked(session: Session, now: datetime) -> Counter[int]:
    query = select(QuestionRow.project_id, func.count()).where(is_due(now)).group_by(QuestionRow.project_id)
    return Counter(dict(session.execute(query).all()))
