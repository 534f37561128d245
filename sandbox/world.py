"""What the services of the sandbox know: invented things with their facts and files, night by night.

A thing is a repository, a model, a dataset, a package, a paper or a page, named by a key:
`github/OWNER/REPO`, `hub/models/OWNER/NAME`, `hub/datasets/OWNER/NAME`, `pypi/NAME`, `arxiv/ID`,
or the address of a page. Below `sandbox/world/` they lie as files under these names;
`nightN.yaml` lists what changes between night N-1 and night N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, TypedDict, Unpack

import yaml

from sandbox.documents import Document, PlainLoader
from sandbox.gitobjects import Commit, make_commit

WORLD = Path(__file__).resolve().parent / "world"
FIRST_NIGHT = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)

COUNTERS = frozenset({"stars", "forks", "watchers", "downloads", "likes"})

# Facts are parsed YAML and differ from service to service, hence `Any`.
Facts = dict[str, Any]

CHANGE_PATH = re.compile(
    r"""
    (?P<key> https?://\S+                    # a page
      | (?: github | hub/models | hub/datasets )
        / [^/]+ (?: / (?!files(?:/|$)|(?:repo|info)\.yaml$) [^/]+ )?   # a repository, model or dataset
      | (?: pypi | arxiv ) / [^/]+?          # a package or a paper
    )
    (?: / (?:repo|info)\.yaml | \.yaml | / (?P<files> files ) (?: / (?P<file> .+ ) )? )?
    """,
    re.VERBOSE,
)


class Order(TypedDict, total=False):
    """What a change does; see `World.change`."""

    text: str
    body: bytes
    size: int
    licence: str
    append: str
    replace: Iterable[Sequence[str]]
    merge: Mapping[str, Any]
    copy: str
    delete: bool


@dataclass(slots=True, kw_only=True)
class Thing:
    """A thing of the world, with its facts, its files by path, and its commits, oldest first."""

    key: str
    facts: Facts
    files: dict[str, Document] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)

    @property
    def has_history(self) -> bool:
        """Is it kept in git?"""
        return self.key.startswith(("github/", "hub/"))

    @property
    def moved_at(self) -> str:
        """When its content was last touched."""
        return str(self.facts.get("pushed_at") or self.facts.get("last_modified") or "2024-01-01T00:00:00Z")

    def record(self) -> None:
        """Add a commit if the files are not those of the last commit."""
        if not self.has_history or not self.files:
            return
        at_hub = self.key.startswith("hub/")
        blobs = {path: doc.pointer_sha() if at_hub else doc.git_sha() for path, doc in self.files.items()}
        last = self.commits[-1] if self.commits else None
        if last is not None and last.blobs == blobs:
            return
        self.commits.append(
            make_commit(
                blobs,
                when=self.moved_at,
                message="Update" if last else str(self.facts.get("commit_message", "Initial release")),
                author=self.key.split("/")[-2],
                parents=(last.sha,) if last else (),
            )
        )

    def copy(self) -> Thing:
        """The same thing, to be changed without changing this one."""
        return Thing(
            key=self.key, facts=deepcopy(self.facts), files=dict(self.files), commits=list(self.commits)
        )

    def forget_files(self) -> None:
        """Make it a repository that nobody has pushed to."""
        self.files.clear()
        self.commits.clear()


class World:
    """Everything there is on one night; changed in place by `change`."""

    def __init__(self, night: int = 1, folder: Path = WORLD) -> None:
        self.folder = folder
        self.lock = RLock()
        self.things: dict[str, Thing] = {}
        self.now = FIRST_NIGHT
        self.set_night(night)

    def set_night(self, night: int) -> None:
        """The world as of that night; what `change` did before is undone."""
        if night < 1:
            raise ValueError(f"nights are counted from 1, not {night}")
        with self.lock:
            self.now = FIRST_NIGHT
            self.things = {thing.key: thing.copy() for thing in first_night(self.folder)}
            for number in range(2, night + 1):
                self.now = FIRST_NIGHT + timedelta(days=number - 1)
                self._apply_night(number)

    def thing(self, key: str) -> Thing | None:
        """The thing of that name; owner and name are compared as the services do, without case."""
        found = self.things.get(key)
        if found is None and not key.startswith("http"):
            lower = key.lower()
            found = next((thing for name, thing in self.things.items() if name.lower() == lower), None)
        return found

    def below(self, prefix: str) -> list[Thing]:
        """All things whose key begins so, by name."""
        return [self.things[key] for key in sorted(self.things) if key.startswith(prefix)]

    def change(self, path: str, **order: Unpack[Order]) -> None:
        """Change one thing or one of its files, as its owner would.

        `path` is the key of a thing (`merge` its facts, `delete` it, `copy` it anew from a folder of the
        world), `KEY/files/PATH` (`text`, `body`, `size`, `licence`, `append`, `replace`, `delete`) or
        `KEY/files` (`delete`: an empty repository). A page takes what a file takes, and `merge` for
        `status`, `type`, `location`. Raises ValueError for a path that names nothing.
        """
        match = CHANGE_PATH.fullmatch(path)
        if match is None:
            raise ValueError(f"no such kind of path in the sandbox: {path}")
        key, is_page = match["key"], match["key"].startswith("http")
        file = "page" if is_page else match["file"]
        with self.lock:
            self.now += timedelta(minutes=1)
            if "copy" in order:
                self.things[key] = load_thing(self.folder, self.folder / order["copy"], key)
                return
            thing = self._thing_to_change(key, may_be_new=file is not None)
            thing.facts.update(order.get("merge", {}))
            if order.get("delete") and (is_page or not match["files"]):
                del self.things[thing.key]
                return
            if file is not None:
                self._change_file(thing, file, order)
            elif order.get("delete"):
                thing.forget_files()
            self._touch(thing, order.get("merge", {}))

    def _change_file(self, thing: Thing, file: str, order: Order) -> None:
        if order.get("delete"):
            if thing.files.pop(file, None) is None:
                raise ValueError(f"{thing.key} has no file {file}")
            return
        if "size" in order:
            thing.files[file] = Document(path=file, size=order["size"])
        elif "body" in order:
            thing.files[file] = Document.stored(file, order["body"])
        elif "text" in order:
            thing.files[file] = Document.stored(file, order["text"].encode())
        elif "licence" in order:
            text = licence_text(self.folder, order["licence"], thing.key)
            thing.files[file] = Document.stored(file, text.encode())
        if "replace" in order or "append" in order:
            _edit(thing, file, order.get("replace", ()), order.get("append", ""))

    def _thing_to_change(self, key: str, may_be_new: bool) -> Thing:
        thing = self.thing(key)
        if thing is None:
            if not may_be_new:
                raise ValueError(f"the sandbox has no {key}")
            thing = self.things[key] = Thing(key=key, facts={})
        return thing

    def _touch(self, thing: Thing, merged: Mapping[str, Any]) -> None:
        """Date the change, unless the change itself says when; counters alone are no change."""
        if merged and COUNTERS.issuperset(merged):
            return
        name = "pushed_at" if thing.key.startswith("github/") else "last_modified"
        if thing.has_history and name not in merged:
            thing.facts[name] = thing.facts["updated_at"] = self._moment()
        thing.record()

    def _moment(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _apply_night(self, number: int) -> None:
        path = self.folder / f"night{number}.yaml"
        if not path.is_file():
            return
        night = yaml.load(path.read_text(encoding="utf-8"), PlainLoader)
        for counter, factor in night.get("counters", {}).items():
            for thing in self.things.values():
                if counter in thing.facts:
                    thing.facts[counter] = int(thing.facts[counter] * factor) + 1
                    thing.facts["updated_at"] = self._moment()
        for order in night.get("changes", []):
            arguments = {key: value for key, value in order.items() if key != "reason"}
            self.change(arguments.pop("path"), **arguments)


@cache
def first_night(folder: Path) -> tuple[Thing, ...]:
    """The first night, read once; to be copied before it is changed."""
    return tuple(load_things(folder))


def load_things(folder: Path) -> Iterable[Thing]:
    """Read the first night from its files."""
    for path in sorted(folder.glob("github/*/*/repo.yaml")):
        yield load_thing(folder, path.parent, path.parent.relative_to(folder).as_posix())
    for path in sorted(folder.glob("hub/*/*/*/info.yaml")):
        yield load_thing(folder, path.parent, path.parent.relative_to(folder).as_posix())
    for path in sorted([*folder.glob("pypi/*.yaml"), *folder.glob("arxiv/*.yaml")]):
        facts = yaml.load(path.read_text(encoding="utf-8"), PlainLoader)
        yield Thing(key=path.relative_to(folder).with_suffix("").as_posix(), facts=facts)
    pages = folder / "web" / "pages.yaml"
    for facts in yaml.load(pages.read_text(encoding="utf-8"), PlainLoader) if pages.is_file() else []:
        file = facts.pop("file", None)
        body = (folder / "web" / file).read_bytes() if file else b""
        yield Thing(key=facts.pop("url"), facts=facts, files={"page": Document.stored("page", body)})


def load_thing(folder: Path, path: Path, key: str) -> Thing:
    """Read a repository, model or dataset from its folder.

    Beside plain facts, its YAML may hold `listing` (path: size of a file with made-up content) and
    `licence_files` (path: name of a text in `licences/`).
    """
    source = next(file for name in ("repo.yaml", "info.yaml") if (file := path / name).is_file())
    facts: Facts = yaml.load(source.read_text(encoding="utf-8"), PlainLoader)
    files = {
        name: Document(path=name, size=size) for name, size in (facts.pop("listing", None) or {}).items()
    }
    for name, licence in (facts.pop("licence_files", None) or {}).items():
        files[name] = Document.stored(name, licence_text(folder, licence, key).encode())
    stored = path / "files"
    for file in sorted(stored.rglob("*")):
        if file.is_file():
            name = file.relative_to(stored).as_posix()
            files[name] = Document.stored(name, file.read_bytes())
    thing = Thing(key=key, facts=facts, files=files)
    thing.record()
    return thing


def licence_text(folder: Path, name: str, key: str) -> str:
    """A text of `licences/`, with the owner of a thing as the holder of the copyright."""
    text = (folder / "licences" / f"{name}.txt").read_text(encoding="utf-8")
    return text.replace("{year}", "2024").replace("{holder}", f"the {key.split('/')[-2]} authors")


def _edit(thing: Thing, file: str, replace: Iterable[Sequence[str]], append: str) -> None:
    if file not in thing.files:
        raise ValueError(f"{thing.key} has no file {file}")
    text = thing.files[file].read().decode("utf-8")
    for before, after in replace:
        if before not in text:
            raise ValueError(f"{thing.key} {file} does not hold {before!r}")
        text = text.replace(before, after)
    thing.files[file] = Document.stored(file, (text + append).encode())
