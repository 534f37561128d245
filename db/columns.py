"""Column types that mean the same on SQLite and PostgreSQL.

Texts come from strangers: a page may hold NUL characters, a JSON document lone surrogates.
PostgreSQL refuses both and sqlite3 the latter, so texts are escaped on the way in and restored on
the way out; a stored quote stays equal to its slice of the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from pipelines.model import JsonValue

BIG_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""An id or a size in bytes. SQLite numbers rows by itself only when the type is INTEGER."""

_ESCAPE = "\ufdd0"
_UNSTORABLE = re.compile(f"[\x00\ud800-\udfff{_ESCAPE}]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")


def escape_text(text: str) -> str:
    """The text with NUL and lone surrogates written as U+FDD0 (a noncharacter) and four hex digits."""
    return _UNSTORABLE.sub(lambda match: f"{_ESCAPE}{ord(match.group()):04x}", text)


def unescape_text(text: str) -> str:
    """The text that `escape_text` was given."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)


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
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactJson(TypeDecorator[JsonValue]):
    """A JSON value given back exactly, order of keys included, as ASCII text. None is the JSON null.

    JSONB would turn 1e22 into an integer, drop the sign of -0.0 and refuse NUL; the identity of
    evidence is a digest over such values, so they are not handed to it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        return None if value is None else json.loads(value)


def _storable(value: JsonValue) -> JsonValue:
    """The value with what no database takes replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
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


def enum_type(enum: type[StrEnum], name: str) -> Enum:
    """An enum stored by value, with a check that no other value gets in."""

    def values(members: type[StrEnum]) -> Sequence[str]:
        return [member.value for member in members]

    return Enum(enum, name=name, values_callable=values, native_enum=False, create_constraint=True, length=20)
