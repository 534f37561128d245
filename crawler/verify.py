"""Does the archive hold what the database says, and nothing else?

Portion by portion: what the snapshots name is loaded first and what lies there is listed then, so
that a run under way (which puts bytes before rows) is not taken for a fault. What still looks wrong
is asked about a second time, because a body may have been pruned in between. Memory is that of one
portion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Engine

from crawler.archive import Archive, ArchiveProblem, ProblemKind, prefixes
from db.archived import NamedBody, Owner, count_bodies, load_bodies, load_owners
from db.pins import load_pinned_but_pruned
from db.session import session_scope
from pipelines.errors import StorageError

Tell = Callable[[ArchiveProblem], None]
"""Called with every problem as it is found, harmless ones included."""

Progress = Callable[[int, int], None]
"""Called with the bodies done and all bodies, about."""

PARTS_NAMED = 3
"""Of how many parts a problem says that the body is a snapshot."""


@dataclass(slots=True, kw_only=True)
class Verified:
    """What verifying came to. `bodies` and `bytes` (uncompressed) are of those that are as they should be."""

    bodies: int = 0
    bytes: int = 0
    pruned: int = 0
    problems: Counter[ProblemKind] = field(default_factory=Counter)
    harmless_bytes: int = 0

    @property
    def is_sound(self) -> bool:
        return not any(number for kind, number in self.problems.items() if kind not in _HARMLESS)


_HARMLESS = (ProblemKind.ORPHAN, ProblemKind.LEFT_OVER)


def verify_archive(
    engine: Engine, archive: Archive, tell: Tell, *, quick: bool = False, progress: Progress | None = None
) -> Verified:
    """Compare every body with the snapshots that name it, and its bytes with its digest.

    With `quick` only whether each is there with its size. Raises StorageError when the database
    fails; what is wrong with the archive is told and counted.
    """
    verified = Verified()
    with session_scope(engine) as session:
        total = count_bodies(session)
    for prefix in prefixes(total):
        for problem in _problems_in(engine, archive, prefix, quick, verified, total, progress):
            _count(verified, problem, tell)
    for problem in [*_foreign(archive), *_pinned_but_pruned(engine, archive)]:
        _count(verified, problem, tell)
    if progress is not None:
        progress(total, total)
    return verified


def _count(verified: Verified, problem: ArchiveProblem, tell: Tell) -> None:
    verified.problems[problem.kind] += 1
    verified.harmless_bytes += problem.size if problem.is_harmless else 0
    tell(problem)


def _problems_in(
    engine: Engine,
    archive: Archive,
    prefix: str,
    quick: bool,
    verified: Verified,
    total: int,
    progress: Progress | None,
) -> Iterator[ArchiveProblem]:
    with session_scope(engine) as session:
        named = load_bodies(session, prefix)
    found: list[ArchiveProblem] = []
    for body in named.values():
        if progress is not None:
            progress(verified.bodies + len(found), total)
        if body.is_pruned:
            verified.pruned += 1
        elif problem := archive.examine(body.sha256, body.size, quick=quick):
            found.append(problem)
        else:
            verified.bodies += 1
            verified.bytes += body.size
    found += _surplus_in(archive, prefix, named)
    if found:
        with session_scope(engine) as session:
            now = load_bodies(session, prefix)
            owners = load_owners(session, [problem.sha256 for problem in found if problem.sha256])
        for problem in found:
            if _still_holds(problem, now):
                yield replace(problem, problem=problem.problem + _whose(owners.get(problem.sha256, ())))


def _surplus_in(archive: Archive, prefix: str, named: Mapping[str, NamedBody]) -> Iterator[ArchiveProblem]:
    try:
        for file in archive.files(prefix):
            if not file.sha256:
                yield _foreign_file(file.path)
                continue
            body = named.get(file.sha256)
            if body is not None and not body.is_pruned:
                continue
            kind = ProblemKind.ORPHAN if body is None else ProblemKind.LEFT_OVER
            yield ArchiveProblem(
                kind=kind,
                path=file.path,
                problem="no snapshot names this body" if body is None else "this body was pruned",
                sha256=file.sha256,
                size=file.size(),
            )
    except StorageError as error:
        yield ArchiveProblem(kind=ProblemKind.UNREADABLE, path=archive.path, problem=str(error))


def _foreign_file(path: Path) -> ArchiveProblem:
    return ArchiveProblem(kind=ProblemKind.FOREIGN, path=path, problem="not a file of the archive")


def _still_holds(problem: ArchiveProblem, now: Mapping[str, NamedBody]) -> bool:
    """Whether the database, asked again, leaves the problem one."""
    body = now.get(problem.sha256)
    if not problem.sha256:
        return True
    if problem.kind is ProblemKind.ORPHAN:
        return body is None
    if problem.kind is ProblemKind.LEFT_OVER:
        return body is not None and body.is_pruned and problem.path.exists()
    return body is not None and not body.is_pruned


def _whose(owners: Sequence[Owner]) -> str:
    """Of which parts a body is a snapshot, in brackets."""
    told = [
        f"{owner.ref} {owner.part}{', standing' if owner.is_standing else ''}"
        for owner in owners[:PARTS_NAMED]
    ]
    if len(owners) > PARTS_NAMED:
        told.append(f"{len(owners) - PARTS_NAMED} more")
    return f" ({'; '.join(told)})" if told else ""


def _foreign(archive: Archive) -> Iterator[ArchiveProblem]:
    try:
        yield from map(_foreign_file, archive.strays())
    except StorageError as error:
        yield ArchiveProblem(kind=ProblemKind.UNREADABLE, path=archive.path, problem=str(error))


def _pinned_but_pruned(engine: Engine, archive: Archive) -> Iterator[ArchiveProblem]:
    with session_scope(engine) as session:
        digests = load_pinned_but_pruned(session)
        owners = load_owners(session, digests)
    for sha256 in digests:
        whose = _whose(owners.get(sha256, ()))
        yield ArchiveProblem(
            kind=ProblemKind.PINNED,
            path=archive.path,
            problem=f"the body {sha256} was pruned, but something rests on it{whose}",
            sha256=sha256,
        )
