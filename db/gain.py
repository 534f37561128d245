"""What a curator gains by answering a question, as one number.

    gain = 5 x impact + 4 x doubt + waiting

`impact`: classes between the rating and the class proposed, 1 where there is no rating yet or one of the two is
not applicable. `doubt`: 1 - confidence; what the rules are unsure of teaches most. `waiting`: one point for every
30 days that it waits. Somebody who disputes a rating, or disagrees with it, waits for an answer: 10 points.

Which of two questions is worth more stays so while both wait, since both grow alike. So what is stored is
counted from one day for all (EPOCH): the order is the same every night, and no row has to be written for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from db.review_values import QuestionKind
from pipelines.model import Rating

IMPACT = 5.0
DOUBT = 4.0
ASKED = 10.0
A_POINT = timedelta(days=30)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

_PLACE = {Rating.CLOSED: 0, Rating.PARTIAL: 1, Rating.OPEN: 2}
_ASKED_BY_PEOPLE = frozenset({QuestionKind.DISPUTE, QuestionKind.DISAGREEMENT})


def change_of(rating: Rating | None, current: Rating | None) -> int:
    """Classes between two: 0 without a rating, 1 where either is not applicable."""
    if rating is None or current is None or rating is current:
        return 0
    if rating not in _PLACE or current not in _PLACE:
        return 1
    return abs(_PLACE[rating] - _PLACE[current])


def gain_of(kind: QuestionKind, *, change: int, rated: bool, confidence: float, since: datetime) -> float:
    """The gain as it is stored, counted from EPOCH."""
    impact = change if rated else 1
    points = IMPACT * impact + DOUBT * (1 - confidence)
    if kind in _ASKED_BY_PEOPLE:
        points += ASKED
    return points - (since - EPOCH) / A_POINT


def gain_at(stored: float, now: datetime) -> float:
    """The gain on a day, as it is shown."""
    return stored + (now - EPOCH) / A_POINT
