"""How long artifacts have waited for a visit: the facts that a night is planned from.

An artifact that a night passed over gets no visit, so its waiting time follows from the visits that
there are. The main part speaks for the artifact: every turn of it ends with a visit of that part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, case, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from db.keys import chunks, project_ids
from db.models import ArtifactRow, PartRow, ProjectArtifactRow, ProjectRow, RunRow, VisitRow
from pipelines.model import MAIN_PART, ArtifactKind, ArtifactRef, VisitStatus

NOT_ASKED = "not asked"
"""How the reason of a visit begins that nothing was asked for: it was no turn, the artifact still waits."""

NOT_YET = f"{NOT_ASKED} yet"
"""How it begins where no more was left to be spent: nothing has failed, another night goes on with it."""

_KNOWN = [VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingArtifact:
    """An artifact of a project: when its turn last came, and what a visit would find stored.

    `last_read` is the time of the latest attempt to read it, however that ended; None where there
    was none. `waiting_since` is when the run of that attempt began; without one, when the artifact
    came to belong to the project. `known` says that an attempt has told something, and `token` is
    the change signal that the latest reading left, empty where nothing was ever read.
    """

    slug: str
    ref: ArtifactRef
    last_read: datetime | None
    waiting_since: datetime
    known: bool
    token: str


def load_waiting(session: Session, slugs: Iterable[str] | None = None) -> list[WaitingArtifact]:
    """Every artifact of the projects (of all that are not retired), those that waited longest first.

    An artifact that several projects share comes once for each. Raises UsageError for an unknown project.
    """
    query = _waiting_query()
    if slugs is None:
        rows = list(session.execute(query.where(ProjectRow.active)))
    else:
        wanted = sorted(project_ids(session, slugs).values())
        rows = [
            row for chunk in chunks(wanted) for row in session.execute(query.where(ProjectRow.id.in_(chunk)))
        ]
    found = [
        WaitingArtifact(
            slug=slug,
            ref=ArtifactRef(kind=kind, id=identifier),
            last_read=at,
            waiting_since=began if began is not None else added,
            known=status is not None,
            token=token or "",
        )
        for slug, kind, identifier, added, at, began, status, token in rows
    ]
    return sorted(found, key=lambda artifact: (artifact.waiting_since, artifact.slug, artifact.ref))


def _main_part() -> ColumnElement[bool]:
    """That a part is the main one of its artifact."""
    kinds: dict[str, list[ArtifactKind]] = {}
    for kind, name in MAIN_PART.items():
        kinds.setdefault(name, []).append(kind)
    return or_(*(and_(PartRow.name == name, ArtifactRow.kind.in_(of)) for name, of in sorted(kinds.items())))


def _latest(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    """The latest visit of the part in the outer query. Ordered, so that an index answers it at once."""
    query = select(VisitRow.id).where(VisitRow.part_id == PartRow.id, condition).correlate(PartRow)
    return query.order_by(VisitRow.id.desc()).limit(1).scalar_subquery()


def _waiting_query() -> Select[
    str, ArtifactKind, str, datetime, datetime | None, datetime | None, VisitStatus | None, str | None
]:
    asked, telling, reading = aliased(VisitRow), aliased(VisitRow), aliased(VisitRow)
    turn = not_(and_(VisitRow.status == VisitStatus.FAILED, VisitRow.reason.like(f"{NOT_ASKED}%")))
    # An artifact may have several roles in one project.
    links = (
        select(
            ProjectArtifactRow.project_id,
            ProjectArtifactRow.artifact_id,
            func.min(ProjectArtifactRow.added_at).label("added_at"),
        )
        .where(ProjectArtifactRow.active)
        .group_by(ProjectArtifactRow.project_id, ProjectArtifactRow.artifact_id)
        .subquery()
    )
    added = case((links.c.added_at.is_(None), ProjectRow.added_at), else_=links.c.added_at)
    return (
        select(
            ProjectRow.slug,
            ArtifactRow.kind,
            ArtifactRow.identifier,
            added,
            asked.at,
            RunRow.started_at,
            telling.status,
            reading.token,
        )
        .join(links, links.c.project_id == ProjectRow.id)
        .join(ArtifactRow, ArtifactRow.id == links.c.artifact_id)
        .outerjoin(PartRow, and_(PartRow.artifact_id == ArtifactRow.id, _main_part()))
        .outerjoin(asked, asked.id == _latest(turn))
        .outerjoin(RunRow, RunRow.id == asked.run_id)
        .outerjoin(telling, telling.id == _latest(VisitRow.status.in_(_KNOWN)))
        .outerjoin(reading, reading.id == _latest(VisitRow.snapshot_id.is_not(None)))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """An artifact that the latest night did not visit, and how many nights in a row have not.

    `slugs` are the projects that wait for it; the times are those of `WaitingArtifact`.
    """

    ref: ArtifactRef
    slugs: tuple[str, ...]
    last_read: datetime | None
    waiting_since: datetime
    nights: int


def load_passed_over(session: Session) -> list[PassedOver]:
    """The artifacts that the latest night left for another one, those that waited longest first.

    A night that was cut off counts as well as one that had not budget enough. What came to a
    project since does not count, and lineage entries cost nothing and never wait.
    """
    query = select(RunRow.started_at, RunRow.ended_at).where(
        RunRow.kind == "nightly", RunRow.ended_at.is_not(None)
    )
    nights = [(began, ended) for began, ended in session.execute(query) if ended is not None]
    began_at, ended_at = sorted(began for began, _ in nights), sorted(ended for _, ended in nights)
    found: dict[ArtifactRef, PassedOver] = {}
    for artifact in load_waiting(session):
        # A link was found in the midst of the first night that passed it over.
        times = ended_at if artifact.last_read is None else began_at
        passed = len(times) - bisect_right(times, artifact.waiting_since)
        if not passed or artifact.ref.kind is ArtifactKind.LINEAGE:
            continue
        if (earlier := found.get(artifact.ref)) is not None:
            found[artifact.ref] = replace(earlier, slugs=(*earlier.slugs, artifact.slug))
            continue
        found[artifact.ref] = PassedOver(
            ref=artifact.ref,
            slugs=(artifact.slug,),
            last_read=artifact.last_read,
            waiting_since=artifact.waiting_since,
            nights=passed,
        )
    return sorted(found.values(), key=lambda item: (-item.nights, item.waiting_since, item.ref))
