"""Everything of one database into an empty one of either kind, row for row.

Values travel as they are stored, ids included, so that every reference and every digest stays what it
was. The copy is one transaction of the target: it is there whole and compared, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Enum,
    Select,
    Table,
    TableClause,
    Text,
    cast,
    column,
    func,
    insert,
    inspect,
    select,
    table,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from db.columns import AnyText, ExactJson, PlainJson
from db.models import Base
from db.session import current_revision, head_revision, refresh_statistics, session_scope
from pipelines.errors import StorageError, UsageError
from pipelines.model import JsonValue

BATCH = 1000
"""Rows that are held at a time."""

_NOT_OURS = {"alembic_version"}

_Row = tuple[Any, ...]  # whatever columns hold


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable:
    """A table that was copied: its name, how many rows, and a sha256 over all of them."""

    name: str
    rows: int
    sha256: str


def copy_database(source: Engine, target: Engine) -> list[CopiedTable]:
    """Copy every table; both databases have to be at the newest revision of the schema.

    Whoever writes to the source meanwhile waits until the copy is made. Raises UsageError when the
    target is not empty, StorageError when a database fails or a copied row is not what it was; the
    target is then as empty as before.
    """
    for engine, which in ((source, "source"), (target, "target")):
        if current_revision(engine) != head_revision():
            raise UsageError(f"the {which} is not at the newest revision of the schema: openness db upgrade")
    try:
        tables = _tables(source)
        with _unchanging(source, tables) as reader, _writing(target) as writer:
            _require_empty(writer, tables)
            copied = [_copy_table(each, reader, writer) for each in tables]
            for each, wanted in zip(tables, copied, strict=True):
                if _fingerprint(each, _rows(writer, each)) != wanted:
                    raise StorageError(f"the copied table {each.name} is not what it was; nothing was kept")
                _set_sequence(writer, each)
        with session_scope(target, write=True) as session:
            refresh_statistics(session)
    except DBAPIError as error:
        told = " ".join(str(error.orig).split()) or type(error).__name__
        raise StorageError(f"the copy failed, nothing was kept: {told}") from error
    return copied


def _tables(source: Engine) -> list[Table]:
    """Every table, those that others refer to first. Raises StorageError for one that we do not know."""
    ours = list(Base.metadata.sorted_tables)
    foreign = set(inspect(source).get_table_names()) - {each.name for each in ours} - _NOT_OURS
    if foreign:
        raise StorageError(f"the source has tables that would be left behind: {', '.join(sorted(foreign))}")
    return ours


@contextmanager
def _unchanging(source: Engine, tables: Sequence[Table]) -> Iterator[Connection]:
    """One moment of the source, and nobody who writes until it is left."""
    if source.dialect.name == "sqlite":
        with _writing(source) as connection:
            yield connection
        return
    with source.execution_options(isolation_level="REPEATABLE READ").begin() as connection:
        names = ", ".join(each.name for each in tables)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
        yield connection


def _writing(engine: Engine) -> AbstractContextManager[Connection]:
    return engine.execution_options(write=True).begin()


def _require_empty(writer: Connection, tables: Sequence[Table]) -> None:
    for each in tables:
        if writer.execute(select(func.count()).select_from(each)).scalar_one():
            raise UsageError(f"the target is not empty: it has rows in {each.name}; nothing was copied")


def _copy_table(source: Table, reader: Connection, writer: Connection) -> CopiedTable:
    """Insert all rows in the order of their keys: a row that refers to an earlier one of its table comes later."""
    statement = insert(_stored(source))
    names = source.columns.keys()
    batch: list[dict[str, Any]] = []

    def passing() -> Iterator[_Row]:
        for row in _rows(reader, source):
            yield row
            batch.append(dict(zip(names, (_insertable(value) for value in row), strict=True)))
            if len(batch) == BATCH:
                writer.execute(statement, batch)
                batch.clear()

    copied = _fingerprint(source, passing())
    if batch:
        writer.execute(statement, batch)
    return copied


@dataclass(frozen=True, slots=True)
class _Json:
    """A JSON document as text, which tells null from no value at all."""

    text: str


def _rows(connection: Connection, source: Table) -> Iterator[_Row]:
    """The rows in the order of their keys, each value as it is stored."""
    json_columns = [isinstance(each.type, PlainJson) for each in source.columns]
    selection: Select[Any] = select(
        *(
            (cast(each, Text) if is_json else type_coerce(each, _plain(each))).label(each.name)
            for each, is_json in zip(source.columns, json_columns, strict=True)
        )
    ).order_by(*(_comparable(each, connection) for each in source.primary_key.columns))
    with connection.execute(selection, execution_options={"yield_per": BATCH}) as found:
        for row in found:
            yield tuple(
                _Json(str(value)) if is_json and value is not None else value
                for value, is_json in zip(row, json_columns, strict=True)
            )


def _comparable(key: Column[Any], connection: Connection) -> Any:  # an expression to order by
    # PostgreSQL sorts text by the server's language, SQLite by code point.
    in_words = isinstance(key.type, AnyText) or key.type.python_type is str
    return key.collate("C") if in_words and connection.dialect.name == "postgresql" else key


def _stored(source: Table) -> TableClause:
    """The table with types that store a value as it is given."""
    return table(source.name, *(column(each.name, _plain(each)) for each in source.columns))


def _plain(source: Column[Any]) -> TypeEngine[Any]:
    """A column's type, without what ours do to texts: what was escaped stays so, and no JSON is read."""
    if isinstance(source.type, AnyText | ExactJson | Enum):
        return Text()
    if isinstance(source.type, PlainJson):
        return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return source.type


def _insertable(value: Any) -> Any:  # whatever a column holds
    if not isinstance(value, _Json):
        return value
    parsed = json.loads(value.text)
    return JSON.NULL if parsed is None else parsed


def _fingerprint(source: Table, rows: Iterable[_Row]) -> CopiedTable:
    """How many rows there are, and a digest over them that is the same on both kinds of database."""
    digest, count = hashlib.sha256(), 0
    for row in rows:
        values = [_canonical(value) for value in row]
        digest.update(json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        count += 1
    return CopiedTable(name=source.name, rows=count, sha256=digest.hexdigest())


def _canonical(value: Any) -> JsonValue:  # whatever a column holds
    if isinstance(value, _Json):
        return {"json": _numbers_alike(json.loads(value.text))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value.isoformat())


def _numbers_alike(value: JsonValue) -> JsonValue:
    """JSONB writes 1e22 as an integer and drops the sign of -0.0; both are the same number."""
    if isinstance(value, dict):
        return {key: _numbers_alike(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers_alike(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _set_sequence(writer: Connection, target: Table) -> None:
    """Let PostgreSQL number new rows after those that were copied. SQLite does so by itself."""
    if writer.dialect.name != "postgresql" or "id" not in target.columns:
        return
    query = "SELECT setval(pg_get_serial_sequence(:table, 'id'), max(id)) FROM " + target.name
    writer.execute(text(query + " HAVING max(id) IS NOT NULL"), {"table": target.name})
