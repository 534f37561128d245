"""The seed file on the disk: read whole, replaced whole, and never where somebody else was quicker."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import DecisionError, UsageError
from pipelines.model import digest_bytes

MAX_BYTES = 32_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedFile:
    """What the file held when it was read. `digest` is the sha256 of its bytes; empty where there is no file."""

    path: Path
    text: str
    digest: str

    @property
    def name(self) -> str:
        """How messages call it: its folder is nobody's business."""
        return self.path.name


def read_seed_file(path: Path) -> SeedFile:
    """The seed file; an empty one where there is none. Raises UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return SeedFile(path=path, text="", digest="")
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(body) > MAX_BYTES:
        raise UsageError(f"{path.name} is larger than {MAX_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is no UTF-8: byte {error.start}") from None
    return SeedFile(path=path, text=text, digest=digest_bytes(body))


def replace_seed_file(before: SeedFile, text: str) -> None:
    """Put a text in place of what was read: whole or not at all, with the rights of the file that there was.

    Raises DecisionError when the file was changed meanwhile, UsageError when it cannot be written.
    """
    path = before.path.resolve()
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        os.chmod(temporary, mode)
        if read_seed_file(before.path).digest != before.digest:
            raise DecisionError(f"{before.name} was changed meanwhile: load the entry again")
        os.replace(temporary, path)
        temporary = ""
        _sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{before.name} cannot be written: {os.strerror(error.errno or 0)}") from None
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
