"""Statements with very many parameters, where what each costs counts: rows stored and places looked up together.

SQLAlchemy works out the parameters of every row by itself, which takes longer than SQLite takes to store it.
Here a statement is put into the words of its driver once, and values are converted column by column, each that
occurs several times once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CursorResult, Delete, Dialect, Insert, Table, TextClause, Update, bindparam, insert
from sqlalchemy.orm import Session

from db.base import Base

Values = tuple[Any, ...]  # columns have many types
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A statement as a driver takes it."""

    text: str
    places: tuple[int, ...]
    """Which value of a row each of its parameters is."""
    converting: tuple[_Convert | None, ...]
    """What makes of a value of each parameter what is stored; None where it is stored as it is."""
    names: tuple[str, ...] | None
    """The names of the parameters; None where the driver tells them by their places."""


def table_of(row: type[Base]) -> Table:
    """The table itself: statements on mapped classes cost twice as much."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


def insertion(row: type[Base], names: Sequence[str]) -> Insert:
    """The statement that inserts these columns, for `execute_rows`."""
    # Inline: on PostgreSQL it would else ask for the id of each row.
    return insert(table_of(row)).values({name: bindparam(name) for name in names}).inline()


def execute_rows(
    session: Session, statement: Insert | Update | Delete, names: Sequence[str], rows: Sequence[Values]
) -> None:
    """Run a statement for each of the rows, which are the values of its parameters of these names.

    Values can be looked up in a dict (a list as a tuple), and those of a column that are equal are stored alike.
    """
    if not rows:
        return
    connection = session.connection()
    prepared = _prepare(statement, tuple(names), connection.dialect)
    connection.exec_driver_sql(prepared.text, _parameters(prepared, rows))


def query_rows(
    session: Session, query: TextClause, names: Sequence[str], values: Values
) -> CursorResult[*tuple[Any, ...]]:  # Any: columns have many types
    """The answer to a query, its columns as they are stored, for these values of its parameters of these names."""
    connection = session.connection()
    prepared = _prepare(query, tuple(names), connection.dialect)
    return connection.exec_driver_sql(prepared.text, _parameters(prepared, [values])[0])


# Those who have many rows to store have a few statements, made once, and one database.
@lru_cache(maxsize=32)
def _prepare(
    statement: Insert | Update | Delete | TextClause, names: tuple[str, ...], dialect: Dialect
) -> _Prepared:
    compiled = statement.compile(dialect=dialect)
    by_place = compiled.positiontup
    order = names if by_place is None else by_place
    types = [compiled.binds[name].type for name in order]
    return _Prepared(
        text=str(compiled),
        places=tuple([names.index(name) for name in order]),
        converting=tuple([each.dialect_impl(dialect).bind_processor(dialect) for each in types]),
        names=names if by_place is None else None,
    )


def _parameters(prepared: _Prepared, rows: Sequence[Values]) -> list[Any]:  # Any: as drivers take them
    columns = list(zip(*rows, strict=True))
    stored = [
        columns[place] if convert is None else _converted(columns[place], convert)
        for place, convert in zip(prepared.places, prepared.converting, strict=True)
    ]
    found = zip(*stored, strict=True)
    if prepared.names is None:
        return list(found)
    return [dict(zip(prepared.names, values, strict=True)) for values in found]


def _converted(column: Values, convert: _Convert) -> list[Any]:  # Any: as drivers take them
    known = {value: convert(value) for value in set(column)}
    return [known[value] for value in column]
