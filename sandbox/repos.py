"""Repositories in the shapes of GitHub's REST answers. Pure: facts in, JSON values out."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from sandbox.documents import Document
from sandbox.gitobjects import Commit, Tree
from sandbox.world import Thing, World

# GitHub sends no content beyond these sizes, in bytes.
CONTENTS_LIMIT = 1_000_000
RAW_LIMIT = 100_000_000

LICENCES = {
    "apache-2.0": ("Apache-2.0", "Apache License 2.0"),
    "mit": ("MIT", "MIT License"),
    "gpl-3.0": ("GPL-3.0", "GNU General Public License v3.0"),
    "cc0-1.0": ("CC0-1.0", "Creative Commons Zero v1.0 Universal"),
    "other": ("NOASSERTION", "Other"),
}
LICENCE_NAMES = ("license", "licence", "copying")
README_NAMES = ("readme.md", "readme.rst", "readme.txt", "readme")

# JSON values of strangers' services have no static type.
Json = dict[str, Any]


class Repository:
    """A repository with its default branch at the newest commit."""

    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self.facts = thing.facts
        self.full_name = thing.key.removeprefix("github/")
        self.owner, self.name = self.full_name.split("/")
        self.branch = str(self.facts.get("default_branch", "main"))

    @property
    def id(self) -> int:
        """A number that stays, as long as the name does."""
        return zlib.crc32(self.full_name.encode())

    @property
    def head(self) -> Commit | None:
        """The newest commit; None in an empty repository."""
        return self.thing.commits[-1] if self.thing.commits else None

    @property
    def counters(self) -> dict[str, int]:
        """Stars, forks and watchers."""
        return {name: int(self.facts.get(name, 0)) for name in ("stars", "forks", "watchers")}

    def commit(self, ref: str) -> Commit | None:
        """The commit that a branch, tag or sha means."""
        if ref in ("HEAD", self.branch, f"refs/heads/{self.branch}", f"heads/{self.branch}"):
            return self.head
        tags = {f"{prefix}{tag}" for tag in self.tag_names for prefix in ("", "tags/", "refs/tags/")}
        if ref in tags:
            return self.thing.commits[0] if self.thing.commits else None
        return next((commit for commit in self.thing.commits if commit.sha == ref), None)

    def tree(self, ref: str) -> tuple[Commit, str] | None:
        """The commit and the folder that a ref or the sha of a tree means."""
        commit = self.commit(ref)
        if commit is not None:
            return commit, ""
        for old in reversed(self.thing.commits):
            for folder, tree in old.trees.items():
                if tree.sha == ref:
                    return old, folder
        return None

    def blob(self, sha: str) -> Document | None:
        """The file with that blob sha, as far as the present files go."""
        head = self.head
        for path, blob in head.blobs.items() if head else ():
            if blob == sha:
                return self.thing.files[path]
        return None

    def file(self, names: tuple[str, ...], *, starts: bool = False) -> Document | None:
        """The first file of the root with one of these names, without case."""
        for name in names:
            for path, document in sorted(self.thing.files.items()):
                lower = path.lower()
                if lower == name or (starts and "/" not in path and lower.startswith(name)):
                    return document
        return None

    @property
    def licence(self) -> Json | None:
        """What GitHub makes of the licence file: a known licence, `other`, or nothing."""
        key = self.facts.get("license")
        if not key:
            return None
        spdx, name = LICENCES[key]
        return {"key": key, "name": name, "spdx_id": spdx, "url": None}

    @property
    def tag_names(self) -> list[str]:
        """Newest first."""
        return [str(tag) for tag in self.facts.get("tags", [])]

    @property
    def releases(self) -> list[Json]:
        """Newest first, with `tag`, `name`, `published_at`, `prerelease`, `body`."""
        return list(self.facts.get("releases", []))


def full_json(repo: Repository, base: str, world: World) -> Json:
    """The answer to /repos/O/R; `base` is the address of the API."""
    facts, counters = repo.facts, repo.counters
    answer = {
        "id": repo.id,
        "name": repo.name,
        "full_name": repo.full_name,
        "private": False,
        "owner": {"login": repo.owner, "type": "Organization", "url": f"{base}/users/{repo.owner}"},
        "html_url": f"https://github.com/{repo.full_name}",
        "url": f"{base}/repos/{repo.full_name}",
        "description": facts.get("description"),
        "homepage": facts.get("homepage"),
        "fork": bool(facts.get("parent")),
        "archived": bool(facts.get("archived")),
        "disabled": bool(facts.get("disabled")),
        "visibility": "public",
        "default_branch": repo.branch,
        "license": repo.licence,
        "topics": list(facts.get("topics", [])),
        "language": facts.get("language"),
        "size": sum(document.size for document in repo.thing.files.values()) // 1024,
        "created_at": facts.get("created_at"),
        "updated_at": facts.get("updated_at", facts.get("pushed_at")),
        "pushed_at": facts.get("pushed_at"),
        "stargazers_count": counters["stars"],
        "watchers_count": counters["stars"],
        "subscribers_count": counters["watchers"],
        "forks_count": counters["forks"],
        "open_issues_count": 3,
        "has_issues": True,
    }
    parent = world.thing(f"github/{facts['parent']}") if facts.get("parent") else None
    if parent is not None:
        answer["parent"] = full_json(Repository(parent), base, world)
    return answer


def content_json(repo: Repository, document: Document, base: str) -> Json:
    """The answer to /contents/PATH for a file; beyond 1 MB it holds no content."""
    sha = document.git_sha()
    small = document.size <= CONTENTS_LIMIT
    return {
        "type": "file",
        "name": document.path.rpartition("/")[2],
        "path": document.path,
        "sha": sha,
        "size": document.size,
        "encoding": "base64" if small else "none",
        "content": base64.encodebytes(document.read()).decode() if small else "",
        "url": f"{base}/repos/{repo.full_name}/contents/{document.path}?ref={repo.branch}",
        "git_url": f"{base}/repos/{repo.full_name}/git/blobs/{sha}",
        "html_url": f"https://github.com/{repo.full_name}/blob/{repo.branch}/{document.path}",
        "download_url": f"https://raw.githubusercontent.com/{repo.full_name}/{repo.branch}/{document.path}",
    }


def folder_json(repo: Repository, tree: Tree, folder: str, base: str) -> list[Json]:
    """The answer to /contents/PATH for a folder."""
    answer = []
    for entry in tree.entries:
        path = f"{folder}/{entry.name}".strip("/")
        document = repo.thing.files.get(path)
        answer.append(
            {
                "type": "dir" if entry.is_tree else "file",
                "name": entry.name,
                "path": path,
                "sha": entry.sha,
                "size": document.size if document else 0,
                "url": f"{base}/repos/{repo.full_name}/contents/{path}?ref={repo.branch}",
            }
        )
    return answer


def tree_json(
    repo: Repository, commit: Commit, folder: str, base: str, *, recursive: bool, limit: int
) -> Json:
    """The answer to /git/trees/SHA; more entries than the limit are left out and `truncated` says so."""
    prefix = f"{folder}/" if folder else ""
    lines: list[Json] = []
    for path, tree in commit.trees.items():
        if path != folder and not (recursive and path.startswith(prefix)):
            continue
        for entry in tree.entries:
            full = f"{path}/{entry.name}".strip("/")
            line: Json = {"path": full.removeprefix(prefix), "mode": entry.mode, "sha": entry.sha}
            line["type"] = "tree" if entry.is_tree else "blob"
            kind = "trees" if entry.is_tree else "blobs"
            line["url"] = f"{base}/repos/{repo.full_name}/git/{kind}/{entry.sha}"
            if not entry.is_tree:
                document = repo.thing.files.get(full)
                line["size"] = document.size if document else 0
            lines.append(line)
    lines.sort(key=lambda line: line["path"])
    sha = commit.trees[folder].sha
    return {
        "sha": sha,
        "url": f"{base}/repos/{repo.full_name}/git/trees/{sha}",
        "tree": lines[:limit],
        "truncated": len(lines) > limit,
    }


def commit_json(repo: Repository, commit: Commit, base: str) -> Json:
    """One commit as /commits lists it."""
    person = {"name": repo.owner, "email": f"{repo.owner}@users.invalid", "date": commit.when}
    return {
        "sha": commit.sha,
        "url": f"{base}/repos/{repo.full_name}/commits/{commit.sha}",
        "commit": {
            "message": commit.message,
            "author": person,
            "committer": person,
            "tree": {"sha": commit.trees[""].sha},
        },
        "parents": [{"sha": sha} for sha in commit.parents],
    }


def release_json(repo: Repository, release: Json, base: str) -> Json:
    """One release as /releases lists it."""
    number = zlib.crc32(f"{repo.full_name} {release['tag']}".encode())
    return {
        "id": number,
        "url": f"{base}/repos/{repo.full_name}/releases/{number}",
        "html_url": f"https://github.com/{repo.full_name}/releases/tag/{release['tag']}",
        "tag_name": release["tag"],
        "target_commitish": repo.branch,
        "name": release.get("name"),
        "body": release.get("body", ""),
        "draft": False,
        "prerelease": bool(release.get("prerelease")),
        "created_at": release.get("published_at"),
        "published_at": release.get("published_at"),
        "assets": [],
    }
