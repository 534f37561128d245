"""What each project was last rated from: a digest over everything that its proposals are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.keys import chunks, project_ids
from db.models import ProjectRow


def load_rated_from(session: Session, slugs: Iterable[str]) -> dict[str, str]:
    """The digest that each project was last rated from; without those that were never rated."""
    found: dict[str, str] = {}
    for some in chunks(slugs):
        query = select(ProjectRow.slug, ProjectRow.rated_from).where(ProjectRow.slug.in_(some))
        found.update((slug, digest) for slug, digest in session.execute(query) if digest is not None)
    return found


def save_rated_from(session: Session, digests: Mapping[str, str]) -> None:
    """Note what projects were rated from, in the transaction that stores their proposals."""
    before = load_rated_from(session, digests)
    new = {slug: digest for slug, digest in digests.items() if before.get(slug) != digest}
    ids = project_ids(session, new)
    rows = [{"id": ids[slug], "rated_from": digest} for slug, digest in new.items()]
    if rows:
        session.execute(update(ProjectRow), rows)
