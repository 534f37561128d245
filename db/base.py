"""What all tables share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase

from db.columns import BIG_INTEGER, AnyText, UtcDateTime

DIGEST = String(64)
"""A sha256 in hex."""


class Base(DeclarativeBase):
    """What all tables share: names of constraints that migrations can refer to, and column types."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own attribute
        int: BIG_INTEGER,
        str: AnyText(),
        datetime: UtcDateTime(),
    }
