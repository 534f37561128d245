"""What a database says in the end, so that two of them can be compared: artifacts, evidence, proposals.

Times, ids and digests of bytes are left out: what is compared is what documents say and what is
proposed of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from world import Desk

from db.load import load_evidence, load_projects
from db.proposals import load_proposals
from db.session import make_engine, session_scope
from pipelines.model import Rating

Cell = tuple[str, str]
"""Slug and dimension."""

ORDER = {Rating.CLOSED: 0, Rating.PARTIAL: 1, Rating.OPEN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Artifacts of projects, evidence of standing snapshots by its identity, the proposals of the cells.

    A piece of evidence is shown as kind, artifact, part and passage; a proposal by its class (None:
    cannot tell) and by the digest of what it rests on.
    """

    artifacts: frozenset[str]
    evidence: Mapping[str, tuple[str, str, str, str]]
    classes: Mapping[Cell, Rating | None]
    grounds: Mapping[Cell, str]


def load_state(desk: Desk) -> State:
    """What the database of a desk says now."""
    engine = make_engine(desk.env["OPENNESS_DATABASE_URL"])
    try:
        with session_scope(engine) as session:
            projects = load_projects(session)
            refs = {artifact.ref for project in projects for artifact in project.artifacts}
            evidence = {
                item.key: (item.kind, str(item.ref), item.part, item.passage)
                for item in load_evidence(session, refs)
            }
            proposals = [stored.proposal for stored in load_proposals(session)]
    finally:
        engine.dispose()
    return State(
        artifacts=frozenset(
            f"{project.slug} {artifact.role.value} {artifact.ref}"
            for project in projects
            for artifact in project.artifacts
        ),
        evidence=evidence,
        classes={(p.slug, p.dimension): p.rating for p in proposals},
        grounds={(p.slug, p.dimension): f"{p.rule} {p.rule_version} {p.evidence_digest}" for p in proposals},
    )


def load_classes(desk: Desk) -> Mapping[Cell, Rating | None]:
    """What is proposed for every cell, without the evidence for it, which takes long to load."""
    engine = make_engine(desk.env["OPENNESS_DATABASE_URL"])
    try:
        with session_scope(engine) as session:
            stored = load_proposals(session)
            return {(each.proposal.slug, each.proposal.dimension): each.proposal.rating for each in stored}
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a state differs from the one that it should be: lines for people, one a thing."""

    artifacts: list[str]
    evidence: list[str]
    proposals: list[str]

    def __len__(self) -> int:
        return len(self.artifacts) + len(self.evidence) + len(self.proposals)

    def lines(self, most: int = 40) -> list[str]:
        """All of it, shortened; evidence is counted by the part that it is of."""
        found = [*self.artifacts, *self.evidence, *self.proposals]
        rest = len(found) - most
        return found[:most] + ([f"… and {rest} more"] if rest > 0 else [])


def difference(is_now: State, should_be: State) -> Difference:
    """What is too much (+) and what is missing (-)."""
    artifacts = [f"- artifact {name}" for name in sorted(should_be.artifacts - is_now.artifacts)]
    artifacts += [f"+ artifact {name}" for name in sorted(is_now.artifacts - should_be.artifacts)]
    evidence = _parts("-", should_be, is_now) + _parts("+", is_now, should_be)
    proposals = []
    for cell in sorted(should_be.grounds.keys() | is_now.grounds.keys()):
        if is_now.grounds.get(cell) != should_be.grounds.get(cell):
            was, became = (shown(state.classes.get(cell)) for state in (should_be, is_now))
            proposals.append(f"~ proposal {' '.join(cell)}: {became} instead of {was}, or on other grounds")
    return Difference(artifacts=artifacts, evidence=evidence, proposals=proposals)


def _parts(sign: str, has: State, lacks: State) -> list[str]:
    """Evidence that one state has and the other lacks, counted by artifact, part and kind."""
    extra = [has.evidence[key] for key in has.evidence.keys() - lacks.evidence.keys()]
    counted = Counter((artifact, part, kind) for kind, artifact, part, _ in extra)
    return [
        f"{sign} evidence {artifact} {part}: {number} {kind}"
        for (artifact, part, kind), number in sorted(counted.items())
    ]


def lowered(now: State, against: State) -> list[Cell]:
    """The cells whose class is nearer to closed than in another state. Without a class nothing has moved."""
    found = []
    for cell, rating in now.classes.items():
        other = against.classes.get(cell)
        if rating in ORDER and other in ORDER and ORDER[rating] < ORDER[other]:
            found.append(cell)
    return sorted(found)


def shown(rating: Rating | None) -> str:
    """A class as people read it."""
    return rating.value if rating else "cannot tell"
