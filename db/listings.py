"""Pages of the Hub's lists, kept so that an unchanged one need not be sent again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.keys import chunks
from db.listing_row import ListingRow
from pipelines.hub_models import ListedPage, question_key

KEPT = timedelta(days=60)
"""Pages that were not given anew for that long are forgotten: whoever lists them again reads them again."""


def load_pages(session: Session) -> dict[str, ListedPage]:
    """The pages that are kept, by the question that they answer (its digest)."""
    return {
        row.key: ListedPage(etag=row.etag, body=row.body, following=row.following)
        for row in session.scalars(select(ListingRow))
    }


def save_pages(session: Session, pages: Iterable[tuple[str, ListedPage]], at: datetime) -> None:
    """Keep these pages, each with its question, in place of what was kept of them."""
    kept = {question_key(question): page for question, page in pages}
    for keys in chunks(kept):
        session.execute(delete(ListingRow).where(ListingRow.key.in_(keys)))
    session.execute(delete(ListingRow).where(ListingRow.at < at - KEPT))
    session.add_all(
        ListingRow(key=key, etag=page.etag, body=page.body, following=page.following, at=at)
        for key, page in sorted(kept.items())
    )
    session.flush()
