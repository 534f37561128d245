"""The evidence archive: the bytes of all snapshots, each in a file named by its sha256.

    ARCHIVE/ab/cd/abcd….gz    a body, readable with zcat
    ARCHIVE/tmp/              files being written

A file appears under its name whole or not at all: it is written under tmp/, synced, and renamed.
So any number of processes may share an archive, and a crash leaves nothing but a file under tmp/,
which the next writer removes.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import StorageError
from pipelines.model import digest_bytes

LOG = logging.getLogger(__name__)

ABANDONED_SECONDS = 24 * 60 * 60
"""Age at which a temporary file of another machine counts as left behind."""

_GRACE_SECONDS = 60
"""Containers may share a host name but no process ids, so a young file is left alone."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEVEL = 6
_SUFFIX = ".gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveProblem:
    """Something in the archive that should not be so. `sha256` is empty for a foreign file."""

    sha256: str
    path: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class Archive:
    """A folder of bodies, content-addressed. Made on the first `put`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._tmp = self.path / "tmp"
        self._cleaned = False

    def put(self, body: bytes) -> str:
        """Keep the bytes; their sha256 (hex). They are on the disk when this returns.

        Bytes that are there already cost a read; a damaged file is replaced. Raises StorageError
        when they cannot be written (disk full, no permission); nothing half-written stays.
        """
        sha256 = digest_bytes(body)
        target = self._file(sha256)
        if target.exists():
            with contextlib.suppress(StorageError):
                self.get(sha256)
                return sha256
            LOG.warning("replacing the damaged file %s", target)
        try:
            self._tmp.mkdir(parents=True, exist_ok=True)
            if not self._cleaned:
                self._cleaned = True
                self.clean()
            self._write(target, gzip.compress(body, _LEVEL, mtime=0))
        except OSError as error:
            raise StorageError(
                f"the archive {self.path} cannot be written: {error.strerror or error}"
            ) from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes of that digest. Raises StorageError that names it when they are gone or damaged."""
        path = self._file(sha256)
        try:
            body = gzip.decompress(path.read_bytes())
        except FileNotFoundError:
            raise StorageError(f"the archive {self.path} has no body {sha256}") from None
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise StorageError(f"the body {sha256} in {path} is damaged: {error}") from error
        except OSError as error:
            raise StorageError(f"the body {sha256} in {path} cannot be read: {error.strerror}") from error
        found = digest_bytes(body)
        if found != sha256:
            raise StorageError(f"the body {sha256} in {path} is damaged: its digest is {found}")
        return body

    def __contains__(self, sha256: str) -> bool:
        return self._file(sha256).exists()

    def verify(self, expected: Iterable[str] = ()) -> Iterator[ArchiveProblem]:
        """Read everything and yield what is damaged, foreign or, of the expected digests, missing."""
        missing = set(expected)
        for path in self._files():
            sha256 = path.name.removesuffix(_SUFFIX)
            if not _DIGEST.fullmatch(sha256) or path != self._file(sha256):
                yield ArchiveProblem(sha256="", path=path, problem="not a file of the archive")
                continue
            missing.discard(sha256)
            try:
                self.get(sha256)
            except StorageError as error:
                yield ArchiveProblem(sha256=sha256, path=path, problem=str(error))
        for sha256 in sorted(missing):
            yield ArchiveProblem(
                sha256=sha256, path=self._file(sha256), problem=f"the body {sha256} of a snapshot is missing"
            )

    def clean(self) -> int:
        """Remove temporary files whose writer is gone; how many."""
        removed = 0
        if not self._tmp.is_dir():
            return removed
        for path in self._tmp.iterdir():
            if _is_abandoned(path):
                # Another process may be cleaning too.
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
        return removed

    def _file(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise StorageError(f"{sha256[:80]!r} is not a sha256 digest")
        return self.path / sha256[:2] / sha256[2:4] / f"{sha256}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            if Path(folder) == self.path and "tmp" in folders:
                folders.remove("tmp")
            yield from (Path(folder) / name for name in sorted(names))

    def _write(self, target: Path, content: bytes) -> None:
        name = f"{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(8)}"
        temporary = self._tmp / name
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new = [folder for folder in (target.parent, target.parent.parent) if not folder.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        # A rename is on the disk once the folder is, a new folder once its parent is.
        for folder in [target.parent, *(folder.parent for folder in new)]:
            _sync_folder(folder)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_abandoned(path: Path) -> bool:
    host, _, rest = path.name.partition("~")
    pid = rest.partition("~")[0]
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if host == socket.gethostname() and pid.isdecimal():
        return age > (ABANDONED_SECONDS if is_alive(int(pid)) else _GRACE_SECONDS)
    return age > ABANDONED_SECONDS


def is_alive(pid: int) -> bool:
    """Whether there is a process with this id on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:
        return False
    return True
