"""Parts that could not be read or are gone: since when, and for how many nights in a row.

A night is a run that asked for the part. What a failure follows is the last visit that told
anything; what an absence follows is the last one that read the part. A visit that asked for
nothing, as the limit was used up, is no trouble: the artifact waits for its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from db.keys import artifact_key, chunks
from db.models import ArtifactRow, PartRow, ProjectArtifactRow, ProjectRow, VisitRow
from db.waiting import NOT_ASKED
from pipelines.model import ArtifactRef, VisitStatus

UNREAD = (VisitStatus.DENIED, VisitStatus.FAILED)
TELLING = (VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING)

# Made once: an alias of a table costs more than the query that it is used in.
_LATEST = aliased(VisitRow)
_TELLING = aliased(VisitRow)
_EARLIER = aliased(VisitRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTrouble:
    """A part whose latest visit did not read it.

    `status` is how that visit ended. `is_gone`: the part was read once and is known to be missing
    since. `since` is when the trouble began (the absence, where it is gone), `nights` in how many
    runs it was met since then.
    """

    artifact_id: int
    part_id: int
    visit_id: int
    ref: ArtifactRef
    part: str
    url: str
    status: VisitStatus
    reason: str
    is_gone: bool
    since: datetime
    nights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingArtifact:
    """An artifact of which something could not be read at its latest visit.

    `part`, `status`, `reason`, `url`, `since` and `nights` are those of the part that has failed
    longest; `parts` counts all of them. `slugs` are the projects that it belongs to.
    """

    ref: ArtifactRef
    part: str
    parts: int
    url: str
    status: VisitStatus
    reason: str
    since: datetime
    nights: int
    slugs: tuple[str, ...] = ()


def load_troubles(session: Session, run_id: int) -> list[PartTrouble]:
    """The troubled parts of all artifacts of projects that are not retired, as they were after a run."""
    query = (
        select(
            PartRow.artifact_id,
            PartRow.id,
            PartRow.name,
            ArtifactRow.kind,
            ArtifactRow.identifier,
            _LATEST.id,
            _LATEST.status,
            _LATEST.reason,
            _LATEST.url,
            _LATEST.at,
            _TELLING.status,
        )
        .join(ArtifactRow, ArtifactRow.id == PartRow.artifact_id)
        .join(_LATEST, _LATEST.id == last_visit(run_id))
        .outerjoin(_TELLING, _TELLING.id == last_visit(run_id, VisitRow.status.in_(TELLING)))
        .where(
            or_(
                _LATEST.status.in_(UNREAD),
                (_LATEST.status == VisitStatus.MISSING)
                & exists().where(_EARLIER.part_id == PartRow.id, _read()),
            ),
            belongs_to_a_project(),
        )
        .order_by(PartRow.id)
    )
    found = []
    for (
        artifact_id,
        part_id,
        part,
        kind,
        identifier,
        visit_id,
        status,
        reason,
        url,
        at,
        known,
    ) in session.execute(query):
        trouble = PartTrouble(
            artifact_id=artifact_id,
            part_id=part_id,
            visit_id=visit_id,
            ref=ArtifactRef(kind=kind, id=identifier),
            part=part,
            url=url,
            status=status,
            reason=reason,
            is_gone=known is VisitStatus.MISSING,
            since=at,
            nights=1,
        )
        found.append(trouble)
    return _with_streaks(session, found, run_id)


def last_visit(run_id: int, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The latest visit of the part in the outer query, up to a run. Ordered, so that an index answers it."""
    query = select(VisitRow.id).where(
        VisitRow.part_id == PartRow.id, VisitRow.run_id <= run_id, _asked(), *conditions
    )
    return query.order_by(VisitRow.id.desc()).limit(1).correlate(PartRow).scalar_subquery()


def _asked() -> ColumnElement[bool]:
    return not_(and_(VisitRow.status == VisitStatus.FAILED, VisitRow.reason.like(f"{NOT_ASKED}%")))


def _read() -> ColumnElement[bool]:
    return _EARLIER.snapshot_id.is_not(None)


def belongs_to_a_project() -> ColumnElement[bool]:
    """Whether the artifact in the outer query belongs to a project that is not retired."""
    return (
        exists()
        .where(
            ProjectArtifactRow.artifact_id == ArtifactRow.id,
            ProjectArtifactRow.active,
            ProjectRow.id == ProjectArtifactRow.project_id,
            ProjectRow.active,
        )
        .correlate(ArtifactRow)
    )


def _with_streaks(session: Session, troubles: Sequence[PartTrouble], run_id: int) -> list[PartTrouble]:
    unread = [trouble.part_id for trouble in troubles if not trouble.is_gone]
    gone = [trouble.part_id for trouble in troubles if trouble.is_gone]
    streaks = _load_streaks(session, unread, run_id, _EARLIER.status.in_(TELLING))
    streaks |= _load_streaks(session, gone, run_id, _read(), VisitRow.status == VisitStatus.MISSING)
    found = []
    for trouble in troubles:
        since, nights = streaks.get(trouble.part_id, (trouble.since, trouble.nights))
        found.append(replace(trouble, since=since, nights=nights))
    return found


def _load_streaks(
    session: Session,
    part_ids: Iterable[int],
    run_id: int,
    before: ColumnElement[bool],
    *counted: ColumnElement[bool],
) -> dict[int, tuple[datetime, int]]:
    """Of each part, the first of the counted visits after the last one that was otherwise (`before`), and their runs."""
    last = (
        select(_EARLIER.id)
        .where(_EARLIER.part_id == VisitRow.part_id, _EARLIER.run_id <= run_id, before)
        .order_by(_EARLIER.id.desc())
        .limit(1)
        .correlate(VisitRow)
        .scalar_subquery()
    )
    found: dict[int, tuple[datetime, int]] = {}
    for ids in chunks(part_ids):
        query = (
            select(VisitRow.part_id, func.min(VisitRow.at), func.count(VisitRow.run_id.distinct()))
            .where(
                VisitRow.part_id.in_(ids),
                VisitRow.run_id <= run_id,
                VisitRow.id > func.coalesce(last, 0),
                _asked(),
                *counted,
            )
            .group_by(VisitRow.part_id)
        )
        found |= {part_id: (since, nights) for part_id, since, nights in session.execute(query)}
    return found


def failing_artifacts(troubles: Iterable[PartTrouble]) -> list[FailingArtifact]:
    """The artifacts of which something could not be read, those that fail longest first."""
    by_artifact: dict[ArtifactRef, list[PartTrouble]] = {}
    for trouble in troubles:
        if trouble.status in UNREAD:
            by_artifact.setdefault(trouble.ref, []).append(trouble)
    found = []
    for ref, parts in by_artifact.items():
        worst = min(parts, key=lambda part: (-part.nights, part.since, part.part))
        found.append(
            FailingArtifact(
                ref=ref,
                part=worst.part,
                parts=len(parts),
                url=worst.url,
                status=worst.status,
                reason=worst.reason,
                since=worst.since,
                nights=worst.nights,
            )
        )
    return sorted(found, key=lambda item: (item.status is VisitStatus.DENIED, -item.nights, item.ref))


def load_projects_of(session: Session, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, tuple[str, ...]]:
    """The slugs of the projects that are not retired and that artifacts belong to, sorted."""
    found: dict[ArtifactRef, set[str]] = {}
    for keys in chunks(artifact_key(ref) for ref in refs):
        query = (
            select(ArtifactRow.kind, ArtifactRow.identifier, ProjectRow.slug)
            .join(ProjectArtifactRow, ProjectArtifactRow.artifact_id == ArtifactRow.id)
            .join(ProjectRow, ProjectRow.id == ProjectArtifactRow.project_id)
            .where(ArtifactRow.key.in_(keys), ProjectArtifactRow.active, ProjectRow.active)
        )
        for kind, identifier, slug in session.execute(query):
            found.setdefault(ArtifactRef(kind=kind, id=identifier), set()).add(slug)
    return {ref: tuple(sorted(slugs)) for ref, slugs in found.items()}
