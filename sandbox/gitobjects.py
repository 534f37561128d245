"""Git objects named as git names them: the sha1 of blobs, trees and commits.

Sizes are bytes. Every file has the mode 100644; links and submodules do not occur.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a tree: a file or a folder below it."""

    name: str
    sha: str
    is_tree: bool

    @property
    def mode(self) -> str:
        """The mode as the API writes it, six digits."""
        return "040000" if self.is_tree else "100644"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A folder at one commit."""

    sha: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit: its trees by folder path (the root is the empty path), its blob shas by file path."""

    sha: str
    trees: Mapping[str, Tree]
    blobs: Mapping[str, str]
    when: str
    message: str
    parents: tuple[str, ...]


def blob_sha(chunks: Iterable[bytes], size: int) -> str:
    """The name git gives to a file of that size, which is handed over in pieces."""
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def build_trees(blobs: Mapping[str, str]) -> dict[str, Tree]:
    """Every folder of a file list as a tree, by its path; the root has the empty path.

    `blobs` maps file paths to blob shas.
    """
    folders: dict[str, dict[str, str]] = {"": {}}
    for path, sha in blobs.items():
        parent, _, name = path.rpartition("/")
        _ensure_folder(folders, parent)
        folders[parent][name] = sha
    trees: dict[str, Tree] = {}
    for folder in sorted(folders, key=lambda path: (-path.count("/") if path else 1, path)):
        files = [Entry(name=name, sha=sha, is_tree=False) for name, sha in folders[folder].items()]
        below = [
            Entry(name=path.rpartition("/")[2], sha=trees[path].sha, is_tree=True)
            for path in folders
            if path and path.rpartition("/")[0] == folder
        ]
        # Git compares the names of folders as if they ended with a slash.
        entries = tuple(sorted([*files, *below], key=lambda e: (e.name + "/" * e.is_tree).encode()))
        trees[folder] = Tree(sha=_tree_sha(entries), entries=entries)
    return trees


def make_commit(
    blobs: Mapping[str, str], *, when: str, message: str, author: str, parents: tuple[str, ...] = ()
) -> Commit:
    """The commit of a file list; `when` is an ISO time such as 2025-03-01T10:00:00Z."""
    trees = build_trees(blobs)
    seconds = int(datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp())
    person = f"{author} <{author}@users.invalid> {seconds} +0000"
    lines = [f"tree {trees[''].sha}", *(f"parent {sha}" for sha in parents)]
    lines += [f"author {person}", f"committer {person}", "", message, ""]
    sha = _object_sha("commit", "\n".join(lines).encode())
    return Commit(sha=sha, trees=trees, blobs=dict(blobs), when=when, message=message, parents=parents)


def _ensure_folder(folders: dict[str, dict[str, str]], path: str) -> None:
    while path not in folders:
        folders[path] = {}
        path = path.rpartition("/")[0]


def _tree_sha(entries: tuple[Entry, ...]) -> str:
    body = b""
    for entry in entries:
        body += f"{entry.mode.lstrip('0')} {entry.name}\0".encode() + bytes.fromhex(entry.sha)
    return _object_sha("tree", body)


def _object_sha(kind: str, body: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()
