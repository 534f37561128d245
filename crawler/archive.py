"""The evidence archive: the bytes of all snapshots, each in a file named by its sha256.

    ARCHIVE/ab/cd/abcd….gz    a body, readable with zcat
    ARCHIVE/tmp/              files being written
    ARCHIVE/tmp/put/          which bodies still wait for their rows, see `crawler.marks`

A file appears under its name whole or not at all: it is written under tmp/, synced, and renamed.
So any number of processes may share an archive. A crash leaves a file under tmp/ at most, for the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import logging
import math
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256 as new_sha256
from pathlib import Path
from stat import S_ISREG

from crawler.marks import Mark, Marks, Owner, load_marks
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

FOLDERS = tuple(f"{number:02x}" for number in range(256))
"""The folders of bodies: the first two hex digits of their digests."""

PORTION = 20_000
"""About so many bodies are gone through at a time where all of them are."""

_CHUNK = 256 * 1024


def prefixes(bodies: int) -> tuple[str, ...]:
    """Beginnings of digests that share so many bodies out into portions, in order."""
    if bodies <= PORTION:
        return ("",)
    return tuple("0123456789abcdef") if bodies <= 16 * PORTION else FOLDERS


class ProblemKind(StrEnum):
    """What is not as it should be. Orphans and left-overs are harmless, everything else is not."""

    MISSING = "missing"  # a snapshot names it, and it is not there
    DAMAGED = "damaged"  # its bytes have not its digest
    UNREADABLE = "unreadable"  # the file cannot be read
    FOREIGN = "foreign"  # a file that is no body
    PINNED = "pinned"  # it was pruned, but something rests on it
    ORPHAN = "orphan"  # no snapshot names it: a write that was cut off, or another database's
    LEFT_OVER = "left over"  # it was pruned, but is still there


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveProblem:
    """Something in the archive that should not be so. `sha256` is empty for a foreign file.

    `size` is that of the file in bytes, 0 where there is none.
    """

    kind: ProblemKind
    path: Path
    problem: str
    sha256: str = ""
    size: int = 0

    @property
    def is_harmless(self) -> bool:
        return self.kind in (ProblemKind.ORPHAN, ProblemKind.LEFT_OVER)

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file of the archive. `sha256` is empty where it is no body, whatever its name says."""

    path: Path
    sha256: str

    def size(self) -> int:
        """Bytes on the disk; 0 when it has gone meanwhile."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def modified(self) -> float:
        """When it was last written, in seconds of the epoch; infinity when it has gone meanwhile."""
        try:
            return self.path.lstat().st_mtime
        except OSError:
            return math.inf


class Archive:
    """A folder of bodies, content-addressed. Made on the first `put`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._tmp = self.path / "tmp"
        self._put = self._tmp / "put"
        self._cleaned = False
        self._marks: Marks | None = None

    def __reduce__(self) -> tuple[type[Archive], tuple[Path]]:
        # To a process that reads for a run: it puts nothing.
        return Archive, (self.path,)

    def mark_for(self, owner: Owner) -> None:
        """From now on mark what `put` adds, until `settle` says that its rows are committed."""
        self._marks = Marks(self._put, owner)

    def settle(self, digests: Iterable[str]) -> None:
        """The rows of these bodies are committed."""
        if self._marks is not None:
            self._marks.lift(digests)

    def put(self, body: bytes) -> str:
        """Keep the bytes; their sha256 (hex). They are on the disk when this returns.

        Bytes that are there already cost a read; a damaged file is replaced. Raises StorageError
        when they cannot be written (disk full, no permission); nothing half-written stays.
        """
        sha256 = digest_bytes(body)
        target = self._file(sha256)
        if self._is_there_to_stay(target, sha256):
            with contextlib.suppress(StorageError):
                self.get(sha256)
                return sha256
            LOG.warning("replacing the damaged file %s", target)
        try:
            self._tmp.mkdir(parents=True, exist_ok=True)
            if not self._cleaned:
                self._cleaned = True
                self.clean()
            self._write(target, sha256, gzip.compress(body, _LEVEL, mtime=0))
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

    def files(self, prefix: str = "") -> Iterator[ArchiveFile]:
        """Every file in those of FOLDERS that begin so, sorted. Raises StorageError when one cannot be listed."""
        for folder in (folder for folder in FOLDERS if folder.startswith(prefix)):
            for path in _walk(self.path / folder):
                sha256 = path.name.removesuffix(_SUFFIX)
                is_body = _DIGEST.fullmatch(sha256) is not None and path == self._file(sha256)
                yield ArchiveFile(path=path, sha256=sha256 if is_body else "")

    def strays(self) -> Iterator[Path]:
        """Every file outside FOLDERS and the folder of files being written, sorted. Raises StorageError."""
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"the archive {self.path} cannot be listed: {error.strerror}") from error
        for name in names:
            path = self.path / name
            if not path.is_dir() or path.is_symlink():
                yield path
            elif name not in FOLDERS and path != self._tmp:
                yield from _walk(path)

    def examine(self, sha256: str, size: int, *, quick: bool = False) -> ArchiveProblem | None:
        """What is wrong with a body of so many bytes (uncompressed); None when nothing is.

        Reads it whole, in constant memory. With `quick` its end alone, which tells the size: that
        finds what is missing or cut off, not what was altered.
        """
        path = self._file(sha256)
        kind, problem, length = ProblemKind.DAMAGED, "", 0
        try:
            status = path.stat()
            length = status.st_size
            if not S_ISREG(status.st_mode):
                problem = "it is no file"
            elif quick:
                problem = "" if _told_size(path, length) == size % _SIZES else "it has another size"
            else:
                problem = _fault_of(path, sha256, size)
        except FileNotFoundError:
            kind, problem = ProblemKind.MISSING, f"the body {sha256} of a snapshot is missing"
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            problem = str(error)
        except OSError as error:
            kind = ProblemKind.UNREADABLE
            problem = f"the body {sha256} cannot be read: {error.strerror}"
        if not problem:
            return None
        if kind is ProblemKind.DAMAGED:
            problem = f"the body {sha256} is damaged: {problem}"
        return ArchiveProblem(kind=kind, path=path, problem=problem, sha256=sha256, size=length)

    def remove(self, sha256: str) -> int:
        """Take a body away; the bytes that it had on the disk, 0 when it was not there. Raises StorageError."""
        path = self._file(sha256)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StorageError(f"the body {sha256} in {path} cannot be removed: {error.strerror}") from error
        return size

    def marks(self) -> Iterator[Mark]:
        """The bodies that wait for their rows, of whatever run. Raises StorageError."""
        return load_marks(self._put)

    def take_back(self, mark: Mark) -> bool:
        """Take a body away that a run has put in vain; False where somebody has put it since. Raises StorageError."""
        target = self._file(mark.sha256)
        try:
            with target.open("rb") as file:
                # Whoever puts the same bytes holds this, too: it sees either the body or that it is gone.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_mtime_ns != mark.written:
                    return False
                target.unlink()
        except (FileNotFoundError, BlockingIOError):
            return False
        except OSError as error:
            raise StorageError(f"the body in {target} cannot be removed: {error.strerror}") from error
        return True

    def clean(self) -> int:
        """Remove temporary files whose writer is gone; how many. Raises StorageError."""
        removed = 0
        try:
            for path in self._tmp.iterdir() if self._tmp.is_dir() else ():
                if path != self._put and _is_abandoned(path):
                    # Another process may be cleaning too.
                    with contextlib.suppress(FileNotFoundError):
                        path.unlink()
                        removed += 1
        except OSError as error:
            raise StorageError(f"the folder {self._tmp} cannot be cleaned: {error.strerror}") from error
        return removed

    def _file(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise StorageError(f"{sha256[:80]!r} is not a sha256 digest")
        return self.path / sha256[:2] / sha256[2:4] / f"{sha256}{_SUFFIX}"

    def _is_there_to_stay(self, target: Path, sha256: str) -> bool:
        """Whether a body is there, and nobody takes it back any more who has put it before."""
        if self._marks is not None and sha256 in self._marks:
            return target.exists()
        try:
            with target.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                # A new time: it is not only the body of that other run now.
                now = time.time_ns()
                os.utime(file.fileno(), ns=(now, now))
                return os.fstat(file.fileno()).st_nlink > 0
        except FileNotFoundError:
            return False
        except OSError:
            # Files of another user or a system without locks: then it is only looked at.
            return target.exists()

    def _write(self, target: Path, sha256: str, content: bytes) -> None:
        name = f"{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(8)}"
        temporary = self._tmp / name
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                written = os.fstat(file.fileno()).st_mtime_ns
            if self._marks is not None:
                self._marks.set(sha256, written)
            new = [folder for folder in (target.parent, target.parent.parent) if not folder.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        # A rename is on the disk once the folder is, a new folder once its parent is.
        for folder in [target.parent, *(folder.parent for folder in new)]:
            sync_folder(folder)


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted; nothing where there is no such folder."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise StorageError(f"the folder {error.filename} cannot be listed: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


_SIZES = 1 << 32  # gzip tells the size modulo this, in the last four bytes


def _told_size(path: Path, length: int) -> int:
    """The size of the body as the end of its file tells it; -1 when it has no end."""
    with path.open("rb") as file:
        if length < _SHORTEST:
            return -1
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


_SHORTEST = 20  # bytes of a gzip file around nothing


def _fault_of(path: Path, sha256: str, size: int) -> str:
    """What is wrong with the bytes in a file, in words; empty when nothing is."""
    digest, length = new_sha256(), 0
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
            if length > size:
                return f"it is longer than its {size} bytes"
    found = digest.hexdigest()
    return "" if found == sha256 else f"its digest is {found}"


def sync_folder(path: Path) -> None:
    """Have what was renamed in a folder on the disk."""
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
