"""Folders for what processes hand to each other, in the system's folder for temporary files.

Whoever makes one removes it. One whose maker was killed is removed by the next run on the machine: its
name says who made it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR

from crawler.archive import is_alive

GRACE_SECONDS = 60
"""Containers may share a host name but no process ids, so what is young is left alone."""

ABANDONED_SECONDS = 24 * 60 * 60
"""Age at which a folder of another machine, or of a process id that is in use again, counts as left behind."""

_NAME = re.compile(r"openness-[a-z]+-(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,10})-.+")

_LONGEST = 48
"""Characters of a place in which a folder can hold a socket: its whole address may have 107."""

_SHORT = "/tmp"


def scratch_folder(what: str, *, for_socket: bool = False) -> tempfile.TemporaryDirectory[str]:
    """A new folder; `what` is a word for people who look at it. Raises OSError."""
    is_long = for_socket and len(tempfile.gettempdir()) > _LONGEST and os.access(_SHORT, os.W_OK)
    return tempfile.TemporaryDirectory(
        prefix=f"openness-{what}-{_here()}-{os.getpid()}-",
        dir=_SHORT if is_long else None,
        ignore_cleanup_errors=True,
    )


def remove_left_behind() -> int:
    """Remove the folders of this user whose makers are gone; how many."""
    removed = 0
    for place in {tempfile.gettempdir(), _SHORT}:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if (found := _NAME.fullmatch(entry.name)) and _is_left_behind(entry, found):
                    shutil.rmtree(entry.path, ignore_errors=True)
                    removed += not Path(entry.path).exists()
    return removed


def _is_left_behind(entry: os.DirEntry[str], name: re.Match[str]) -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if not S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return False
    age = time.time() - status.st_mtime
    is_gone = name["host"] == _here() and not is_alive(int(name["pid"]))
    return age > (GRACE_SECONDS if is_gone else ABANDONED_SECONDS)


def _here() -> str:
    """What tells this machine from others."""
    return sha256(socket.gethostname().encode()).hexdigest()[:8]
