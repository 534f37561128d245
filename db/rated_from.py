"""What each project was last rated from: a digest over everything that its proposals are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from db.keys import chunks, project_ids
from db.models import ProjectRow


def load_rated_from(session: Session, slugs: Iterable[str]) -> dict[str, str]:
    """The digest that each project was last rated from; without those that were never rated."""
    found: dict[str, str] = {}
    for some in chunks(slugs):
        rows = session.execute(_RATED_FROM, {"slugs": some})
        found.update([(slug, digest) for slug, digest in rows if digest is not None])
    return found


# Made once: making a statement costs as much as one project's answer to it.
_RATED_FROM = select(ProjectRow.slug, ProjectRow.rated_from).where(
    ProjectRow.slug.in_(bindparam("slugs", expanding=True))
)


def save_rated_from(session: Session, digests: Mapping[str, str]) -> None:
    """Note what projects were rated from, in the transaction that stores their proposals."""
    before = load_rated_from(session, digests)
    new = {slug: digest for slug, digest in digests.items() if before.get(slug) != digest}
    ids = project_ids(session, new)
    rows = [{"id": ids[slug], "rated_from": digest} for slug, digest in new.items()]
    if rows:
        session.execute(update(ProjectRow), rows)
