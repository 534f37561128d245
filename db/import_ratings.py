"""Taking over published ratings as confirmed ones, without ever stepping over a person's decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from db.decide import append_decision
from db.decided import Cell, lock_project
from db.keys import project_ids
from db.question_index import refresh_questions
from db.ratings import RATES, load_decisions
from db.session import refresh_statistics
from db.values import RatingConflict, RatingsImport, StoredDecision
from pipelines.errors import RatingsError, UsageError
from pipelines.exports.rows import RatingRow
from pipelines.model import DecisionKind


def import_ratings(
    session: Session, rows: Sequence[RatingRow], curator: str, now: datetime, note: str = ""
) -> RatingsImport:
    """Confirm each line whose class is not the cell's rating; the same file twice adds nothing.

    A line that contradicts a decision that a person made here (gave another class, rejected this
    one, took this one back) is reported as a conflict and left alone. Raises RatingsError, with
    nothing written, for unknown projects and for two classes of one cell.
    """
    wanted = _one_a_cell(rows)
    try:
        ids = project_ids(session, (slug for slug, _ in wanted))
    except UsageError as error:
        raise RatingsError(str(error)) from None
    for project_id in sorted(ids.values()):
        lock_project(session, project_id)
    decisions: dict[tuple[str, str], list[StoredDecision]] = {}
    for decision in load_decisions(session, slugs=list(ids)) if ids else ():
        decisions.setdefault((decision.slug, decision.dimension), []).append(decision)
    confirmed = unchanged = 0
    conflicts: list[RatingConflict] = []
    for (slug, dimension), row in wanted.items():
        history = decisions.get((slug, dimension), [])
        current = _current(history)
        if current is not None and current.rating is row.rating:
            unchanged += 1
            continue
        against = _decision_against(history, current, row)
        if against is not None:
            conflict = RatingConflict(slug=slug, dimension=dimension, imported=row.rating, decision=against)
            conflicts.append(conflict)
            continue
        append_decision(
            session,
            Cell(project_id=ids[slug], slug=slug, dimension=dimension),
            DecisionKind.CONFIRM,
            curator=curator,
            now=now,
            rating=row.rating,
            link=row.link,
            note=note,
            imported=True,
        )
        confirmed += 1
    if confirmed:
        refresh_questions(session, ids.values())
        refresh_statistics(session)
    return RatingsImport(confirmed=confirmed, unchanged=unchanged, conflicts=tuple(conflicts))


def _one_a_cell(rows: Sequence[RatingRow]) -> dict[tuple[str, str], RatingRow]:
    wanted: dict[tuple[str, str], RatingRow] = {}
    for row in rows:
        before = wanted.setdefault((row.slug, row.dimension), row)
        if before.rating is not row.rating:
            raise RatingsError(f"{row.slug} {row.dimension} is rated twice: {before.rating} and {row.rating}")
    return wanted


def _current(history: Sequence[StoredDecision]) -> StoredDecision | None:
    rating = [decision for decision in history if decision.in_force and decision.kind in RATES]
    return rating[-1] if rating else None


def _decision_against(
    history: Sequence[StoredDecision], current: StoredDecision | None, row: RatingRow
) -> StoredDecision | None:
    """The decision of a person that the line contradicts."""
    if current is not None and not current.imported:
        return current
    by_id = {decision.id: decision for decision in history}
    for decision in reversed(history):
        if current is not None and decision.id < current.id:
            return None
        if decision.kind is DecisionKind.REJECT and decision.in_force:
            if decision.proposed_rating is row.rating:
                return decision
        elif decision.kind is DecisionKind.UNDO:
            undone = by_id.get(decision.undoes_decision_id or 0)
            if undone is not None and undone.imported and undone.rating is row.rating:
                return decision
    return None
