"""Pruning: bytes that nothing needs any more go, everything that is known of them stays.

Portion by portion, in this order: that the bodies go is committed to the database, then the files are
removed. So a pruning that is cut off leaves files that are known to be superfluous, and the next one
removes them. What has to stay is said in `db.pins`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from crawler.archive import ABANDONED_SECONDS, Archive, ArchiveFile, prefixes
from crawler.left_behind import clear_away
from db.archived import count_bodies, load_bodies
from db.keys import chunks
from db.pins import BodyNeed, KeepRule, Need, load_body_needs, load_pinned_bodies, save_pruned, save_returned
from db.session import session_scope
from pipelines.errors import UsageError

Progress = Callable[[int, int], None]
"""Called with the portions done and all portions."""


AT_ONCE = 200
"""Bodies given up in one transaction. Curators may decide meanwhile, and wait no longer than for that."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """So many bodies with so many bytes on the disk."""

    bodies: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.bodies += 1
        self.bytes += size


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What pruning came to, or would come to. `kept` counts the bodies that stay, by why they have to.

    `left_over` was given up by an earlier pruning that was cut off. `orphans` are named by no
    snapshot of this database and older than a day.
    """

    kept: Counter[Need] = field(default_factory=Counter)
    removed: Tally = field(default_factory=Tally)
    left_over: Tally = field(default_factory=Tally)
    orphans: Tally = field(default_factory=Tally)
    earlier: int = 0


def prune_archive(
    engine: Engine,
    archive: Archive,
    rule: KeepRule,
    *,
    now: datetime,
    curator: str,
    orphans: bool = False,
    act: bool = False,
    progress: Progress | None = None,
) -> Pruned:
    """Remove the bodies that the rule does not keep and nothing rests on; without `act` only count them.

    With `orphans` also those that no snapshot of this database names: only right where no other
    database uses the archive. To act, hold the run lock. Raises StorageError when database or
    archive fail, UsageError when the database is a strange one; what was done until then stays done, and the next pruning goes on with the rest.
    """
    with session_scope(engine) as session:
        bodies = count_bodies(session)
    if act and orphans and not bodies:
        # Every body would be an orphan.
        raise UsageError("the database names no snapshot: it cannot be the one that this archive belongs to")
    if act:
        clear_away(engine, archive)
    pruned, portions = Pruned(), prefixes(bodies)
    for done, prefix in enumerate(portions):
        if progress is not None:
            progress(done, len(portions))
        there = {file.sha256: file for file in archive.files(prefix) if file.sha256}
        _prune_portion(engine, archive, prefix, there, rule, pruned, now=now, curator=curator, act=act)
        for file in _orphans_of(engine, prefix, there, now):
            pruned.orphans.add(file.size())
            if act and orphans:
                archive.remove(file.sha256)
    if act:
        archive.clean()
    if act and orphans:
        # No other database uses the archive: these are of databases that are gone.
        oldest = now.timestamp() - ABANDONED_SECONDS
        for mark in [mark for mark in archive.marks() if mark.written < oldest * 1e9]:
            mark.lift()
    return pruned


def _prune_portion(
    engine: Engine,
    archive: Archive,
    prefix: str,
    there: Mapping[str, ArchiveFile],
    rule: KeepRule,
    pruned: Pruned,
    *,
    now: datetime,
    curator: str,
    act: bool,
) -> None:
    with session_scope(engine) as session:
        needs = load_body_needs(session, prefix, rule)
    if act and (back := [body.sha256 for body in needs if _is_back(body, there)]):
        # A pruning that kept less was cut off before this one: what is still there may stay.
        with session_scope(engine, write=True) as session:
            save_returned(session, back)
    for body in needs:
        if body.need is not Need.NONE:
            pruned.kept[body.need] += 1
    pruned.earlier += sum(body.is_pruned and body.sha256 not in there for body in needs)
    go = [body for body in needs if body.need is Need.NONE]
    _remove(
        archive,
        [body for body in go if body.is_pruned and body.sha256 in there],
        there,
        pruned.left_over,
        act,
    )
    for bodies in chunks((body for body in go if not body.is_pruned), AT_ONCE):
        given_up = _give_up(engine, bodies, now, curator) if act else bodies
        pruned.kept[Need.PINNED] += len(bodies) - len(given_up)
        _remove(archive, given_up, there, pruned.removed, act)


def _give_up(engine: Engine, bodies: Sequence[BodyNeed], now: datetime, curator: str) -> list[BodyNeed]:
    """Commit that the bodies go, but for those that a curator has come to need meanwhile; which they are."""
    with session_scope(engine, write=True) as session:
        pinned = load_pinned_bodies(session, [body.sha256 for body in bodies])
        given_up = [body for body in bodies if body.sha256 not in pinned]
        save_pruned(session, [body.sha256 for body in given_up], now, curator)
    return given_up


def _remove(
    archive: Archive, bodies: Iterable[BodyNeed], there: Mapping[str, ArchiveFile], tally: Tally, act: bool
) -> None:
    for body in bodies:
        file = there.get(body.sha256)
        tally.add(file.size() if file else 0)
        if act:
            archive.remove(body.sha256)


def _is_back(body: BodyNeed, there: Mapping[str, ArchiveFile]) -> bool:
    return body.is_pruned and body.need is not Need.NONE and body.sha256 in there


def _orphans_of(
    engine: Engine, prefix: str, there: Mapping[str, ArchiveFile], now: datetime
) -> Iterator[ArchiveFile]:
    """The bodies that no snapshot names, and that no visit of today can have brought."""
    with session_scope(engine) as session:
        named = load_bodies(session, prefix)
    oldest = now.timestamp() - ABANDONED_SECONDS
    yield from (file for sha256, file in there.items() if sha256 not in named and file.modified() < oldest)
