"""What the files of the sandbox hold: stored bytes, or bytes made up from a path and a size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import yaml

from sandbox.gitobjects import blob_sha

# The Hub and git-lfs keep files of these kinds, and everything large, outside git.
LFS_SUFFIXES = (".bin", ".safetensors", ".pt", ".pth", ".gguf", ".parquet", ".zst", ".model", ".tar.gz")
CODE_SUFFIXES = (".py", ".sh", ".toml", ".yaml", ".yml", ".cfg")
TEXT_SUFFIXES = (".md", ".rst", ".txt", ".html", ".ts", ".js", ".json", ".jsonl", ".css", ".ipynb", ".tsv")
LFS_SIZE = 10_000_000
_CHUNK = 1 << 16

FRONT_MATTER = re.compile(
    r"""
    \A\ufeff?---[ \t]*\r?\n   # the fence that opens the front matter, at the very start
    (?P<yaml>.*?)             # the YAML
    ^---[ \t]*\r?$            # the fence that closes it
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


class PlainLoader(yaml.SafeLoader):
    """YAML as the services' JSON shows it: a date stays the text that was written."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file. Without a body its content is made up from its path, `size` bytes long."""

    path: str
    size: int
    body: bytes | None = None

    @classmethod
    def stored(cls, path: str, body: bytes) -> Document:
        """A file with these bytes."""
        return cls(path=path, size=len(body), body=body)

    @property
    def is_lfs(self) -> bool:
        """Would the Hub keep it outside git?"""
        return self.size > LFS_SIZE or self.path.endswith(LFS_SUFFIXES)

    @property
    def lfs_oid(self) -> str:
        """The sha256 of a stored file; a stable stand-in for one that is made up."""
        return hashlib.sha256(self.body or f"{self.path} {self.size}".encode()).hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces, so that a file of gigabytes needs no memory."""
        if self.body is not None:
            yield self.body
            return
        unit = _unit(self.path)
        block = unit * (_CHUNK // len(unit) + 1)
        block = block[: len(block) - len(block) % len(unit)]
        left = self.size
        while left > 0:
            yield block[:left]
            left -= len(block)

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self.chunks())

    def git_sha(self) -> str:
        """The blob sha of the content."""
        return _git_sha(self)

    def pointer_sha(self) -> str:
        """The blob sha of what git holds at the Hub: a pointer for a large file, else the content."""
        if not self.is_lfs:
            return self.git_sha()
        version = "version https://git-lfs.github.com/spec/v1"
        pointer = f"{version}\noid sha256:{self.lfs_oid}\nsize {self.size}\n".encode()
        return blob_sha([pointer], len(pointer))


def parse_front_matter(text: str) -> dict[str, object] | None:
    """The YAML at the head of a card as a mapping; None where there is none or it is broken."""
    match = FRONT_MATTER.match(text)
    if match is None:
        return None
    try:
        value = yaml.load(match["yaml"], PlainLoader)
    except yaml.YAMLError:
        return None
    return value if isinstance(value, dict) else None


@lru_cache(maxsize=4096)
def _git_sha(document: Document) -> str:
    return blob_sha(document.chunks(), document.size)


def _unit(path: str) -> bytes:
    """The line that a made-up file repeats."""
    if path.endswith(CODE_SUFFIXES):
        return f"# {path}: a made-up line of the sandbox\n".encode()
    if path.endswith(TEXT_SUFFIXES):
        return f"{path}: a made-up line of the sandbox\n".encode()
    return b"\x00" + hashlib.sha256(path.encode()).digest()
