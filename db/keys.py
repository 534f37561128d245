"""From names to row ids: looking up artifacts, parts and projects, and adding what is not there yet."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Executable, Select, Table, bindparam, select
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


def insert_all_missing(
    session: Session,
    row: type[Base],
    values: Sequence[Mapping[str, Any]],  # Any: columns have many types
    unique: Sequence[str],
) -> dict[tuple[Any, ...], int]:
    """Insert the rows of which none with the same unique columns is there; the ids of those, by these columns."""
    if not values:
        return {}
    statement = _insert_missing(row, tuple(unique), session.get_bind().dialect.name)
    return {tuple(found[1:]): found[0] for found in session.execute(statement, [dict(v) for v in values])}


@cache
def _insert_missing(row: type[Base], unique: tuple[str, ...], dialect: str) -> Executable:
    """The statement of `insert_all_missing`: there are as many as tables with unique columns."""
    table = row.__table__
    assert isinstance(table, Table)
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    keys = [table.c[name] for name in unique]
    return insert(table).on_conflict_do_nothing(index_elements=list(unique)).returning(table.c.id, *keys)


def ensure_artifacts(session: Session, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, int]:
    """The row ids of artifacts, added where they are new."""
    wanted = {artifact_key(ref): ref for ref in refs}
    ids = _find_by_key(session, ArtifactRow, wanted)
    # In one order everywhere, so that two processes cannot wait for each other.
    new = [
        {"key": key, "kind": ref.kind, "identifier": ref.id}
        for key, ref in sorted(wanted.items())
        if key not in ids
    ]
    ids |= _add_by_key(session, ArtifactRow, new)
    return {ref: ids[key] for key, ref in wanted.items()}


def ensure_parts(
    session: Session, parts: Iterable[tuple[ArtifactRef, str]]
) -> dict[tuple[ArtifactRef, str], int]:
    """The row ids of parts of artifacts, added where they are new."""
    wanted = {part_key(ref, part): (ref, part) for ref, part in parts}
    ids = _find_by_key(session, PartRow, wanted)
    missing = {key: place for key, place in sorted(wanted.items()) if key not in ids}
    if missing:
        artifacts = ensure_artifacts(session, {ref for ref, _ in missing.values()})
        new = [
            {"key": key, "artifact_id": artifacts[ref], "name": part} for key, (ref, part) in missing.items()
        ]
        ids |= _add_by_key(session, PartRow, new)
    return {place: ids[key] for key, place in wanted.items()}


def _find_by_key(session: Session, row: type[ArtifactRow | PartRow], keys: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in chunks(keys):
        found.update(session.execute(_BY_KEY[row], {"keys": some}).all())
    return found


_BY_KEY: Mapping[type[ArtifactRow | PartRow], Select[str, int]] = {
    row: select(row.key, row.id).where(row.key.in_(bindparam("keys", expanding=True)))
    for row in (ArtifactRow, PartRow)
}


def _add_by_key(
    session: Session,
    row: type[ArtifactRow | PartRow],
    values: Sequence[Mapping[str, Any]],  # Any: columns have many types
) -> dict[str, int]:
    added = {key: row_id for (key,), row_id in insert_all_missing(session, row, values, ["key"]).items()}
    # Another process was faster with these; its rows are committed by now.
    added |= _find_by_key(session, row, [value["key"] for value in values if value["key"] not in added])
    return added


# Made once, as are all statements that a page of the review desk waits for: making one costs as much as its answer.
_BY_SLUG = select(ProjectRow.slug, ProjectRow.id).where(
    ProjectRow.slug.in_(bindparam("slugs", expanding=True))
)


def project_ids(session: Session, slugs: Iterable[str]) -> dict[str, int]:
    """The row ids of projects. Raises UsageError that names the unknown ones and what is close to them."""
    wanted = list(dict.fromkeys(slugs))
    found: dict[str, int] = {}
    for chunk in chunks(wanted):
        found.update((slug, row_id) for slug, row_id in session.execute(_BY_SLUG, {"slugs": chunk}))
    unknown = [slug for slug in wanted if slug not in found]
    if unknown:
        raise UsageError("; ".join(_unknown_message(session, slug) for slug in unknown[:5]))
    return found


def _unknown_message(session: Session, slug: str) -> str:
    known = session.scalars(select(ProjectRow.slug).where(ProjectRow.active)).all()
    close = difflib.get_close_matches(slug, known, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    return f"there is no project {slug!r}{hint}"
