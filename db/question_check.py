"""Holding the index of questions against what proposals, decisions, disputes and opinions say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.keys import chunks
from db.models import ProjectRow, QuestionCountRow, QuestionOrgRow
from db.question_index import AT_ONCE, COUNT_KEY, CellCount, add_to_counts, load_rows
from db.question_rows import IndexRow, derive_rows
from db.queue import Derived, derive_questions
from db.review_values import IndexProblem, QuestionKind

_AFTER_ALL = datetime(9999, 12, 31, tzinfo=UTC)
"""When every deferral is over."""


def load_index_problems(session: Session) -> list[IndexProblem]:
    """Where the index or its sums do not say what proposals and decisions say. Nothing is changed.

    A visit may have found since the last rating that evidence is gone: the next rating tells that, so it
    is no difference here.
    """
    problems: list[IndexProblem] = []
    counts: Counter[CellCount] = Counter()
    orgs: Counter[str] = Counter()
    defined = derive_questions(session, _AFTER_ALL)
    names = dict(session.execute(select(ProjectRow.id, ProjectRow.slug)).all())
    for some in chunks(sorted(names), AT_ONCE):
        wanted, stored = derive_rows(session, some), load_rows(session, some)
        add_to_counts(counts, orgs, stored.values(), 1)
        for cell in sorted({*wanted, *stored}):
            place = names[cell[0]], cell[1]
            what = _difference(wanted.get(cell), stored.get(cell), defined.pop(place, None))
            if what:
                problems.append(IndexProblem(slug=place[0], dimension=place[1], what=what))
    problems += [
        IndexProblem(slug=slug, dimension=dimension, what="it is asked, but not in the index")
        for slug, dimension in defined
    ]
    keys = [getattr(QuestionCountRow, name) for name in COUNT_KEY]
    rows = session.execute(select(*keys, QuestionCountRow.number).where(QuestionCountRow.number != 0))
    if {tuple(row[:-1]): row[-1] for row in rows} != dict(counts):
        problems.append(_sums("the sums of questions are not what they add up to"))
    by_org = session.execute(
        select(QuestionOrgRow.org, QuestionOrgRow.number).where(QuestionOrgRow.number != 0)
    )
    if dict(by_org.all()) != dict(orgs):
        problems.append(_sums("the sums by organisation are not what questions add up to"))
    return problems


def _sums(what: str) -> IndexProblem:
    return IndexProblem(slug="all", dimension="dimensions", what=what)


def _difference(wanted: IndexRow | None, stored: IndexRow | None, defined: Derived | None) -> str:
    if wanted is None:
        return "it is in the index, but nobody asks it"
    if stored is None:
        return "it is asked, but not in the index"
    if QuestionKind.EVIDENCE_GONE in (wanted.kind, stored.kind):
        stored = stored._replace(kind=wanted.kind)
    differing = [name for name in IndexRow._fields if getattr(wanted, name) != getattr(stored, name)]
    if not differing and stored.proposes and _defined(stored) != defined:
        differing = ["what is asked"]
    if not differing and not stored.proposes and defined is not None:
        differing = ["whether the proposal asks"]
    return f"the index is wrong in {', '.join(differing)}" if differing else ""


def _defined(row: IndexRow) -> Derived | None:
    if row.proposal_id is None or row.rating is None:
        return None
    return Derived(
        proposal_id=row.proposal_id,
        rating=row.rating,
        current=row.current_rating,
        change=row.change,
        confidence=row.confidence,
    )
