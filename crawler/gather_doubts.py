"""Repositories that were asked for as mere mentions, and that turn out to be somebody's code.

Nobody confirms the absence of what documents merely mention (see `crawler.sources.github`). Whether one is no
more than that may show only after it was asked for; then it is asked for once more, so that it makes no
difference which answer came first.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from db.links import load_only_mentioned
from db.states import load_states
from pipelines.model import MAIN_PART, ArtifactKind, ArtifactRef, Visit, VisitStatus


class Doubts:
    """The absences of this run that are no more than a cheap word."""

    def __init__(self) -> None:
        self._doubtful: set[ArtifactRef] = set()
        self._asked_again: set[ArtifactRef] = set()

    def note(self, visits: Iterable[Visit]) -> None:
        """Take in what came."""
        for visit in visits:
            is_main = visit.ref.kind is ArtifactKind.GITHUB and visit.part == MAIN_PART[visit.ref.kind]
            if is_main and visit.status is VisitStatus.MISSING and visit.http_status is None:
                self._doubtful.add(visit.ref)

    def note_stored(self, session: Session, refs: Iterable[ArtifactRef]) -> None:
        """Take in what had come of these before the run was cut off."""
        repositories = [ref for ref in refs if ref.kind is ArtifactKind.GITHUB]
        self._doubtful |= {
            state.visit.ref for state in load_states(session, repositories) if state.visit.doubtful
        }

    def take_counting(self, session: Session, among: Iterable[ArtifactRef]) -> set[ArtifactRef]:
        """Those of some artifacts on whose absence a rule may rest by now, each once."""
        open_ones = self._doubtful.intersection(among) - self._asked_again
        if not open_ones:
            return set()
        counting = open_ones - load_only_mentioned(session, open_ones)
        self._asked_again |= counting
        return counting
