"""The documents of a repository, made from what GitHub's two interfaces say.

Whichever road an answer came by, the bytes of a document are the same. Stars, forks, watchers and
`updated_at` are left out: they change nightly and say nothing about openness.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from crawler.http import Unread
from crawler.sources.parts import INCOMPLETE
from pipelines.model import JsonValue, VisitStatus, canonical_json

PUBLIC_HOST = "https://github.com"

LIST_LENGTH = 30
"""Tags and releases of one repository that are kept, newest first."""

MAX_FILE = 1_000_000
"""Bytes above which a file is not fetched: no text about openness is that long."""

SYMBOLIC_LINK = "120000"
_NONE = "-"


def text_or_none(value: JsonValue) -> str | None:
    """A text that says something: GitHub's two interfaces differ in giving "" or null for nothing."""
    return value if isinstance(value, str) and value else None


def malformed(where: str) -> Unread:
    """An answer that is JSON, but not what was asked for. `where` is the address as it may be said."""
    return Unread(VisitStatus.FAILED, f"the answer of {where} has not the form it should have", again=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """The stable facts of a repository. `tree` is the sha of the head's tree, `head` of its commit."""

    full_name: str
    description: str | None
    homepage: str | None
    default_branch: str | None
    archived: bool
    disabled: bool
    fork: bool
    parent: str | None
    license: str | None
    topics: tuple[str, ...]
    created_at: str | None
    pushed_at: str | None
    head: str | None
    tree: str | None
    url: str

    def at(self, head: str | None, tree: str | None) -> RepositoryFacts:
        """The same repository with this head. One without commits has no default branch either."""
        branch = self.default_branch if head else None
        return replace(self, head=head, tree=tree, default_branch=branch)

    def body(self) -> bytes:
        """The document `repository`."""
        return canonical_json(
            {
                "full_name": self.full_name,
                "description": self.description,
                "homepage": self.homepage,
                "default_branch": self.default_branch,
                "archived": self.archived,
                "disabled": self.disabled,
                "fork": self.fork,
                "parent": self.parent,
                "license": self.license,
                "topics": sorted(self.topics),
                "created_at": self.created_at,
                "pushed_at": self.pushed_at,
                "head": self.head,
            }
        )

    def file_url(self, path: str) -> str:
        return f"{self.url}/blob/{self.head}/{quote(path)}"

    def tree_url(self) -> str:
        return f"{self.url}/tree/{self.head}" if self.head else self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What the token of the document `repository` says: where reading stood, and whether it was whole.

    The parent of a fork is remembered here, since GraphQL is not asked for it (see `github_graphql`).
    `parent` is None where it was never asked for, "" where there is none.
    """

    head: str | None
    tree: str | None
    parent: str | None = None
    complete: bool = True

    def __str__(self) -> str:
        words = [self.head or _NONE, self.tree or _NONE]
        if self.parent is not None:
            words.append(f"parent:{self.parent}")
        if not self.complete:
            words.append(INCOMPLETE)
        return " ".join(words)

    @classmethod
    def parse(cls, token: str) -> Mark | None:
        """The mark in a stored token; None where there is none."""
        words = token.split(" ")
        if len(words) < 2:
            return None
        head, tree, *more = words
        parent = next((word.removeprefix("parent:") for word in more if word.startswith("parent:")), None)
        return cls(
            head=None if head == _NONE else head,
            tree=None if tree == _NONE else tree,
            parent=parent,
            complete=INCOMPLETE not in more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A file of a tree. A symbolic link is one too, but its content is only a path."""

    path: str
    size: int
    sha: str
    link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All files of a commit, sorted by path; cut off by GitHub where `truncated`."""

    sha: str
    files: tuple[TreeFile, ...] = ()
    truncated: bool = False

    def body(self) -> bytes:
        """The document `tree`."""
        lines = [f"{_in_a_line(file.path)}\t{file.size}\t{file.sha}\n" for file in self.files]
        if self.truncated:
            lines.append("# truncated\n")
        return "".join(lines).encode("utf-8", "surrogatepass")


def _in_a_line(path: str) -> str:
    """git allows tabs and line breaks in names; a table does not."""
    return path.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def parse_repository(value: JsonValue, where: str) -> RepositoryFacts:
    """REST's repository object; without the head, which is another question."""
    if not isinstance(value, dict) or not text_or_none(value.get("full_name")):
        raise malformed(where)
    parent = value.get("parent")
    licence = value.get("license")
    topics = value.get("topics")
    return RepositoryFacts(
        full_name=value["full_name"],
        description=text_or_none(value.get("description")),
        homepage=text_or_none(value.get("homepage")),
        default_branch=text_or_none(value.get("default_branch")),
        archived=value.get("archived") is True,
        disabled=value.get("disabled") is True,
        fork=value.get("fork") is True,
        parent=text_or_none(parent.get("full_name")) if isinstance(parent, dict) else None,
        license=text_or_none(licence.get("spdx_id")) if isinstance(licence, dict) else None,
        topics=tuple(topic for topic in topics if isinstance(topic, str)) if isinstance(topics, list) else (),
        created_at=text_or_none(value.get("created_at")),
        pushed_at=text_or_none(value.get("pushed_at")),
        head=None,
        tree=None,
        url=f"{PUBLIC_HOST}/{value['full_name']}",
    )


def parse_tree(value: JsonValue, where: str) -> Tree:
    """REST's recursive tree. Folders and submodules are not files."""
    if not isinstance(value, dict) or not isinstance(value.get("tree"), list):
        raise malformed(where)
    files = []
    for entry in value["tree"]:
        if not isinstance(entry, dict):
            raise malformed(where)
        if entry.get("type") != "blob":
            continue
        path, sha, size = entry.get("path"), entry.get("sha"), entry.get("size")
        if not isinstance(path, str) or not isinstance(sha, str):
            raise malformed(where)
        link = entry.get("mode") == SYMBOLIC_LINK
        files.append(TreeFile(path=path, size=size if isinstance(size, int) else 0, sha=sha, link=link))
    files.sort(key=lambda file: file.path)
    sha = value.get("sha")
    return Tree(
        sha=sha if isinstance(sha, str) else "",
        files=tuple(files),
        truncated=value.get("truncated") is True,
    )


def parse_tags(value: JsonValue, where: str) -> bytes:
    """The document `tags` from REST's list."""
    if not isinstance(value, list):
        raise malformed(where)
    tags = []
    for entry in value[:LIST_LENGTH]:
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            commit = entry.get("commit")
            tags.append((entry["name"], commit.get("sha") if isinstance(commit, dict) else None))
    return tags_body(tags)


def parse_releases(value: JsonValue, where: str) -> bytes:
    """The document `releases` from REST's list; drafts are for the maintainers' eyes only."""
    if not isinstance(value, list):
        raise malformed(where)
    return releases_body(
        [
            (entry["tag_name"], entry.get("name"), entry.get("published_at"), entry.get("prerelease"))
            for entry in value[:LIST_LENGTH]
            if isinstance(entry, dict) and isinstance(entry.get("tag_name"), str) and not entry.get("draft")
        ]
    )


def tags_body(tags: Sequence[tuple[str, JsonValue]]) -> bytes:
    return canonical_json([{"name": name, "sha": text_or_none(sha)} for name, sha in tags])


def releases_body(releases: Sequence[tuple[str, JsonValue, JsonValue, JsonValue]]) -> bytes:
    return canonical_json(
        [
            {
                "tag": tag,
                "name": text_or_none(name),
                "published_at": text_or_none(published),
                "prerelease": prerelease is True,
            }
            for tag, name, published, prerelease in releases
        ]
    )


def parse_blob(value: JsonValue, where: str, file: TreeFile) -> bytes:
    """The bytes of REST's blob object, checked against the sha that the tree gives."""
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise malformed(where)
    try:
        data = base64.b64decode(value["content"])
    except (binascii.Error, ValueError) as error:
        raise malformed(where) from error
    if blob_sha(data) != file.sha:
        raise Unread(VisitStatus.FAILED, f"the bytes of {file.path} are not those that the tree names")
    return data


def blob_sha(data: bytes) -> str:
    """git's name for a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
