"""The table of lists: what the Hub answered last to a question for a list, to be told that it still holds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from db.base import DIGEST, Base


class ListingRow(Base):
    """A page of a list, as it was last given. Nothing rests on it: without it the page is read again."""

    __tablename__ = "listings"

    key: Mapped[str] = mapped_column(DIGEST, primary_key=True, comment="sha256 over the question")
    etag: Mapped[str] = mapped_column(comment="what the service calls this answer")
    body: Mapped[str] = mapped_column(comment="the entries as JSON")
    following: Mapped[str] = mapped_column(comment="the question for the next page, or empty")
    at: Mapped[datetime] = mapped_column(comment="when it was read")
