"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Integer,
    Text,
    TypeDecorator,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from db.stored_text import UNSTORABLE, escape_text, exact_json
from db.stored_text import unescape_text as unescape_text
from pipelines.model import JsonValue

BIG_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""An id or a size in bytes. SQLite numbers rows by itself only when the type is INTEGER."""


class AnyText(TypeDecorator[str]):
    """Text of any length and any content, given back as it was."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unescape_text(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware datetimes in, aware datetimes in UTC out. Naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without time zone cannot be stored: {value.isoformat()}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else utc_of(value)


def utc_of(stored: datetime) -> datetime:
    """The moment, in UTC, that a column holds: SQLite has no time zones, PostgreSQL gives that of the session."""
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


class ExactJson(TypeDecorator[JsonValue]):
    """A JSON value given back exactly, order of keys included, as ASCII text. None is the JSON null.

    JSONB would turn 1e22 into an integer, drop the sign of -0.0 and refuse NUL; the identity of
    evidence is a digest over such values, so they are not handed to it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str:
        return exact_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        return None if value is None else json.loads(value)


def _storable(value: JsonValue) -> JsonValue:
    """The value with what no database takes replaced by U+FFFD."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


class PlainJson(TypeDecorator[JsonValue]):
    """A JSON value that SQL can look into: JSONB on PostgreSQL. For reports and lists, not for evidence."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[JsonValue]:
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> JsonValue:
        return _storable(value)


def as_stored(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A column whose texts, enums and moments come as they are stored, for whoever restores those that count.

    Types that convert cost more than all the rest of reading a row. See `unescape_text` and `utc_of`.
    """
    if isinstance(column.type, AnyText | Enum):
        return type_coerce(column, Text())
    if isinstance(column.type, UtcDateTime):
        return type_coerce(column, column.type.impl_instance)
    return column.expression


def enum_type(enum: type[StrEnum], name: str) -> Enum:
    """An enum stored by value, with a check that no other value gets in."""

    def values(members: type[StrEnum]) -> Sequence[str]:
        return [member.value for member in members]

    return Enum(enum, name=name, values_callable=values, native_enum=False, create_constraint=True, length=20)
