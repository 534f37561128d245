"""What the rules may know of projects, from the database, and a digest that tells whether any of it is new."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy.orm import Session

from db.evidence import load_makers
from db.states import PartState, load_as_understood, load_extractions, load_states
from db.values import StoredSnapshot
from pipelines.evidence import EvidenceSet, Reading
from pipelines.extract import EXTRACTOR_VERSION
from pipelines.frozen import new, setters_of
from pipelines.known import Known
from pipelines.model import ArtifactRef, Passage, Project, VisitStatus
from pipelines.propose import rules_version
from pipelines.rubric import Rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """How reading the artifacts of some projects went, and which extraction speaks for each snapshot.

    `latest` are the extractions by the extractors of today, `waiting` the standing snapshots that these
    have not read.
    """

    states: Mapping[ArtifactRef, Sequence[PartState]]
    extractions: Mapping[int, int]
    latest: frozenset[int]
    waiting: tuple[StoredSnapshot, ...]
    rules: str = field(default_factory=rules_version, init=False)
    _readings: dict[ArtifactRef, tuple[Reading, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _told: dict[ArtifactRef, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def readings_of(self, ref: ArtifactRef) -> tuple[Reading, ...]:
        """How reading an artifact's parts went. Many projects share an artifact, so they are made once."""
        found = self._readings.get(ref)
        if found is None:
            states = self.states.get(ref, ())
            found = self._readings[ref] = tuple([_reading(state) for state in states])
        return found

    def digest(self, project: Project, rubric: Rubric) -> str:
        """Names all that proposals are made of: project, readings, evidence, rules and rubric.

        When something was read is left out, and so is whether its bytes came again or were said to
        be unchanged: rules are told, and do not ask.
        """
        artifacts = [
            (
                artifact.role.value,
                artifact.origin.value,
                _named_by(artifact.named_by),
                self._tell(artifact.ref),
            )
            for artifact in project.artifacts
        ]
        names = (project.slug, project.name, project.org, project.homepage, project.llmbase, project.rlbase)
        told = _written((self.rules, rubric.digest, EXTRACTOR_VERSION, names, artifacts))
        return hashlib.sha256(told).hexdigest()

    def _tell(self, ref: ArtifactRef) -> bytes:
        """The name of an artifact, and its part in what proposals are made of."""
        found = self._told.get(ref)
        if found is None:
            parts: list[tuple[object, ...]] = []
            for state, reading in zip(self.states.get(ref, ()), self.readings_of(ref), strict=True):
                standing = state.standing
                extraction = None if standing is None else self.extractions.get(standing.id)
                if reading.is_readable and not reading.stale:
                    parts.append((reading.part, reading.url, extraction))
                else:
                    how = (str(reading.status), reading.stale, reading.reason)
                    parts.append((reading.part, reading.url, extraction, how))
            found = self._told[ref] = _written((str(ref), parts))
        return found


def _written(value: tuple[Any, ...]) -> bytes:  # Any: as the docstring says
    """Texts, numbers, bytes and None in tuples and lists, as bytes that tell apart all that differs.

    JSON takes four times as long. They are only compared with what this version of the rules has made.
    """
    # Later versions of the format tell whether two texts are one object, too.
    return marshal.dumps(value, 2)


def _sorted_refs(projects: Iterable[Project]) -> list[ArtifactRef]:
    """The artifacts of some projects in order, as artifacts are compared; by a key, which is quicker."""
    refs = {artifact.ref for project in projects for artifact in project.artifacts}
    return sorted(refs, key=_BY_NAME)


_BY_NAME = attrgetter("kind", "id")


def _named_by(passage: Passage | None) -> tuple[str, str, str] | None:
    return None if passage is None else (str(passage.artifact), passage.part, passage.text)


def load_inputs(session: Session, projects: Sequence[Project]) -> Inputs:
    """What was read of the artifacts of some projects."""
    refs = {artifact.ref for project in projects for artifact in project.artifacts}
    states = load_states(session, refs)
    standing = [stored for state in states if (stored := state.standing) is not None]
    found = load_extractions(session, [stored.id for stored in standing], EXTRACTOR_VERSION)
    understood, extractions = load_as_understood(
        session, states, {each: found[each].latest for each in found}
    )
    today = {each: extraction.of_version for each, extraction in found.items() if extraction.of_version}
    by_ref = {ref: list(of_ref) for ref, of_ref in groupby(understood, key=attrgetter("visit.ref"))}
    return Inputs(
        states=by_ref,
        extractions=extractions,
        latest=frozenset(today.values()),
        waiting=tuple([stored for stored in standing if stored.id not in today]),
    )


def load_sets(session: Session, projects: Sequence[Project], inputs: Inputs) -> list[EvidenceSet]:
    """All that the rules may know of some projects. Evidence that several of them have is loaded once."""
    refs = _sorted_refs(projects)
    states = [state for ref in refs for state in inputs.states.get(ref, ())]
    makers = load_makers(session, states, inputs.extractions, keyed=inputs.latest)
    known = {ref: Known(ref, inputs.readings_of(ref), makers.get(ref)) for ref in refs}
    return [
        EvidenceSet.of_known(project, {artifact.ref: known[artifact.ref] for artifact in project.artifacts})
        for project in projects
    ]


def _reading(state: PartState) -> Reading:
    visit, standing = state.visit, state.standing
    # An earlier "not there" stands like an earlier reading does while nothing newer is known.
    status = VisitStatus.MISSING if visit.stale and visit.known is VisitStatus.MISSING else visit.status
    if visit.doubtful and status is VisitStatus.MISSING:
        # What was only mentioned when it was asked for may have become somebody's code meanwhile.
        status = VisitStatus.DENIED
    # What is said to be unchanged stands where it was read: its service may not say where that was.
    url = standing.url if visit.status is VisitStatus.UNCHANGED and standing is not None else visit.url
    reading = new(Reading)
    _set_ref(reading, visit.ref)
    _set_part(reading, visit.part)
    _set_url(reading, url)
    _set_status(reading, status)
    _set_at(reading, visit.at)
    _set_reason(reading, visit.reason)
    _set_stale(reading, visit.stale)
    return reading


_set_ref, _set_part, _set_url, _set_status, _set_at, _set_reason, _set_stale = setters_of(
    Reading, ("ref", "part", "url", "status", "at", "reason", "stale")
)
