"""From names to row ids: looking up artifacts, parts and projects, and adding what is not there yet."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.models import ArtifactRow, Base, PartRow, ProjectRow
from pipelines.errors import UsageError
from pipelines.model import ArtifactRef, digest_of

T = TypeVar("T")

CHUNK = 500
"""Values in one IN list. Databases limit the parameters of a statement."""


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The values in lists of at most `size`."""
    chunk: list[T] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def artifact_key(ref: ArtifactRef) -> str:
    """The digest under which an artifact is stored."""
    return digest_of([ref.kind.value, ref.id])


def part_key(ref: ArtifactRef, part: str) -> str:
    """The digest under which a part of an artifact is stored."""
    return digest_of([ref.kind.value, ref.id, part])


def insert_missing(
    session: Session,
    row: type[Base],
    values: Mapping[str, Any],  # Any: columns have many types
    unique: Sequence[str],
) -> int | None:
    """Insert a row unless one with the same unique columns is there. Its id, or None when one was."""
    table = row.__table__
    assert isinstance(table, Table)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).on_conflict_do_nothing(index_elements=list(unique)).returning(table.c.id)
    return session.execute(statement, dict(values)).scalar_one_or_none()


def find_or_add(
    session: Session,
    row: type[Base],
    values: Mapping[str, Any],  # Any: columns have many types
    unique: Sequence[str],
) -> tuple[int, bool]:
    """The id of the row with these unique columns, and whether it was added just now."""
    table = row.__table__
    assert isinstance(table, Table)
    wanted: list[ColumnElement[bool]] = [table.c[name] == values[name] for name in unique]
    query = select(table.c.id).where(*wanted)
    found = session.execute(query).scalar_one_or_none()
    if found is not None:
        return int(found), False
    added = insert_missing(session, row, values, unique)
    if added is not None:
        return added, True
    # Another process was faster; its row is committed by now.
    return int(session.execute(query).scalar_one()), False


def ensure_artifacts(session: Session, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, int]:
    """The row ids of artifacts, added where they are new."""
    wanted = {artifact_key(ref): ref for ref in refs}
    found: dict[ArtifactRef, int] = {}
    for keys in chunks(wanted):
        rows = session.execute(select(ArtifactRow.key, ArtifactRow.id).where(ArtifactRow.key.in_(keys)))
        found.update({wanted[key]: artifact_id for key, artifact_id in rows})
    # In one order everywhere, so that two processes cannot wait for each other.
    for key, ref in sorted(wanted.items()):
        if ref not in found:
            values = {"key": key, "kind": ref.kind, "identifier": ref.id}
            found[ref], _ = find_or_add(session, ArtifactRow, values, ["key"])
    return found


def ensure_part(session: Session, ref: ArtifactRef, part: str) -> int:
    """The row id of a part of an artifact, added where it is new."""
    key = part_key(ref, part)
    found = session.scalar(select(PartRow.id).where(PartRow.key == key))
    if found is not None:
        return found
    artifact_id = ensure_artifacts(session, [ref])[ref]
    part_id, _ = find_or_add(
        session, PartRow, {"key": key, "artifact_id": artifact_id, "name": part}, ["key"]
    )
    return part_id


def project_ids(session: Session, slugs: Iterable[str]) -> dict[str, int]:
    """The row ids of projects. Raises UsageError that names the unknown ones and what is close to them."""
    wanted = list(dict.fromkeys(slugs))
    found: dict[str, int] = {}
    for chunk in chunks(wanted):
        query = select(ProjectRow.slug, ProjectRow.id).where(ProjectRow.slug.in_(chunk))
        found |= {row.slug: row.id for row in session.execute(query)}
    unknown = [slug for slug in wanted if slug not in found]
    if unknown:
        raise UsageError("; ".join(_unknown_message(session, slug) for slug in unknown[:5]))
    return found


def _unknown_message(session: Session, slug: str) -> str:
    known = session.scalars(select(ProjectRow.slug).where(ProjectRow.active)).all()
    close = difflib.get_close_matches(slug, known, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    return f"there is no project {slug!r}{hint}"
