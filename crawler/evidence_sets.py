"""What the rules may know of projects, for commands that have a context: a few projects in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crawler.context import Context
from db.evidence_sets import load_inputs, load_sets
from db.keys import chunks
from db.session import session_scope
from pipelines.evidence import EvidenceSet
from pipelines.model import Project

TOGETHER = 25
"""Projects whose evidence is in memory at the same time: a query for many costs little more than for one, and
what they share is there once. The evidence of a project is some hundred kilobytes."""


def load_evidence_set(context: Context, project: Project) -> EvidenceSet:
    """All that the rules may know of a project, from the database."""
    return next(load_evidence_sets(context, [project]))


def load_evidence_sets(context: Context, projects: Sequence[Project]) -> Iterator[EvidenceSet]:
    """All that the rules may know of each of the projects; a few of them are in memory at a time."""
    for some in chunks(projects, TOGETHER):
        with session_scope(context.engine) as session:
            sets = load_sets(session, some, load_inputs(session, some))
        yield from sets
