"""GitHub's GraphQL: the questions as text, the answers as values. Nothing here talks to anybody.

`parent` is not asked for: servers that only speak GitHub's language do not all know the field, and
one unknown field costs the answer to the whole query. REST tells it for the few forks there are.
A tag's sha is the one the tag points to; for annotated tags that is the tag object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from crawler.http import Unread
from crawler.sources.github_documents import (
    LIST_LENGTH,
    PUBLIC_HOST,
    RepositoryFacts,
    TreeFile,
    blob_sha,
    malformed,
    releases_body,
    tags_body,
    text_or_none,
)
from pipelines.model import JsonValue, VisitStatus

REPOSITORIES_A_QUERY = 50
BLOBS_A_QUERY = 60
BYTES_A_QUERY = 2_000_000
LONGEST_TEXT = 400_000
"""Bytes above which a file is not asked for as a GraphQL text: GitHub cuts such texts."""

_FACTS = f"""
fragment facts on Repository {{
  nameWithOwner description homepageUrl isArchived isDisabled isFork createdAt pushedAt
  licenseInfo {{ spdxId }}
  repositoryTopics(first: 20) {{ nodes {{ topic {{ name }} }} }}
  defaultBranchRef {{ name target {{ oid ... on Commit {{ tree {{ oid }} }} }} }}
  refs(refPrefix: "refs/tags/", first: {LIST_LENGTH}, orderBy: {{field: TAG_COMMIT_DATE, direction: DESC}}) {{
    nodes {{ name target {{ oid }} }}
  }}
  releases(first: {LIST_LENGTH}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{
    nodes {{ tagName name publishedAt isPrerelease isDraft }}
  }}
}}
"""
_LIMIT = "rateLimit { cost remaining }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What one share of a facts query tells: the facts and two finished documents."""

    facts: RepositoryFacts
    tags: bytes
    releases: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file to be fetched: whose it is (owner/repo) and what the tree says of it."""

    repository: str
    file: TreeFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A file's bytes as GraphQL gave them; None where they are not, to the byte, what the tree names.

    `without` says that GraphQL has neither a text nor a word on whether there could be one.
    """

    data: bytes | None
    without: bool = False


def facts_query(names: Sequence[str]) -> str:
    """The question about up to 50 repositories, each under the alias r0, r1, …"""
    shares = [f"r{i}: {_repository(name)} {{ ...facts }}" for i, name in enumerate(names)]
    return _FACTS + "query {\n" + "\n".join([_LIMIT, *shares]) + "\n}"


def blobs_query(wanted: Sequence[WantedFile]) -> str:
    """The question for the texts of files, of many repositories at once: alias f0, f1, … in r0, r1, …"""
    lines = [_LIMIT]
    for number, name in enumerate(_repositories(wanted)):
        blobs = " ".join(
            f"f{i}: object(oid: {json.dumps(item.file.sha)}) {{ ... on Blob {{ isBinary text }} }}"
            for i, item in enumerate(wanted)
            if item.repository == name
        )
        lines.append(f"r{number}: {_repository(name)} {{ {blobs} }}")
    return "query {\n" + "\n".join(lines) + "\n}"


def _repository(name: str) -> str:
    owner, _, repo = name.partition("/")
    return f"repository(owner: {json.dumps(owner)}, name: {json.dumps(repo)})"


def _repositories(wanted: Sequence[WantedFile]) -> list[str]:
    return list(dict.fromkeys(item.repository for item in wanted))


def in_queries(wanted: Sequence[WantedFile]) -> list[list[WantedFile]]:
    """Parcels small enough for one query each."""
    parcels: list[list[WantedFile]] = []
    size = 0
    for item in wanted:
        if not parcels or len(parcels[-1]) >= BLOBS_A_QUERY or size + item.file.size > BYTES_A_QUERY:
            parcels.append([])
            size = 0
        parcels[-1].append(item)
        size += item.file.size
    return parcels


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A GraphQL answer taken apart: what each alias says, and what went wrong for it."""

    data: dict[str, JsonValue]
    errors: dict[str, tuple[str, str]]

    def share(self, alias: str) -> JsonValue:
        """What the answer says under an alias; Unread (missing, denied, failed) where it is null."""
        value = self.data.get(alias)
        if value is not None:
            return value
        kind, message = self.errors.get(alias, ("", "nothing"))
        if kind == "NOT_FOUND":
            raise Unread(VisitStatus.MISSING, "GitHub knows no such repository", http_status=404)
        if kind in ("FORBIDDEN", "INSUFFICIENT_SCOPES"):
            raise Unread(VisitStatus.DENIED, f"GitHub's GraphQL says {kind}")
        raise Unread(VisitStatus.FAILED, f"GitHub's GraphQL said: {' '.join(message.split())[:160]}")


def parse_reply(value: JsonValue, where: str) -> Reply:
    """The answer of an address as parsed JSON. Raises Unread where it answers nothing at all."""
    if not isinstance(value, dict):
        raise malformed(where)
    errors: dict[str, tuple[str, str]] = {}
    first = ""
    listed = value.get("errors")
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        message, path = str(entry.get("message") or ""), entry.get("path")
        first = first or message
        if isinstance(path, list) and path and isinstance(path[0], str):
            errors.setdefault(path[0], (str(entry.get("type") or ""), message))
    data = value.get("data")
    if not isinstance(data, dict):
        if first:
            said = " ".join(first.split())[:160]
            # GitHub gives up on long queries with 200, no data and "Something went wrong".
            reason = f"GitHub's GraphQL refused the query: {said}"
            raise Unread(VisitStatus.FAILED, reason, too_much=True)
        raise malformed(where)
    return Reply(data=data, errors=errors)


def parse_cost(value: JsonValue) -> int:
    """The points that a query cost; at least one."""
    cost = _at(value, "data", "rateLimit", "cost")
    return max(1, cost) if isinstance(cost, int) else 1


def parse_overview(value: JsonValue, where: str) -> Overview:
    """One repository of a facts query. The parent of a fork is left open."""
    name = _at(value, "nameWithOwner")
    if not text_or_none(name):
        raise malformed(where)
    head = text_or_none(_at(value, "defaultBranchRef", "target", "oid"))
    tree = text_or_none(_at(value, "defaultBranchRef", "target", "tree", "oid"))
    facts = RepositoryFacts(
        full_name=name,
        description=text_or_none(value.get("description")),
        homepage=text_or_none(value.get("homepageUrl")),
        default_branch=text_or_none(_at(value, "defaultBranchRef", "name")),
        archived=value.get("isArchived") is True,
        disabled=value.get("isDisabled") is True,
        fork=value.get("isFork") is True,
        parent=None,
        license=text_or_none(_at(value, "licenseInfo", "spdxId")),
        topics=tuple(
            topic
            for node in _nodes(value, "repositoryTopics")
            if (topic := text_or_none(_at(node, "topic", "name")))
        ),
        created_at=text_or_none(value.get("createdAt")),
        pushed_at=text_or_none(value.get("pushedAt")),
        head=None,
        tree=None,
        url=f"{PUBLIC_HOST}/{name}",
    )
    tags = [
        (tag, _at(node, "target", "oid"))
        for node in _nodes(value, "refs")[:LIST_LENGTH]
        if (tag := text_or_none(_at(node, "name")))
    ]
    releases = [
        (tag, node.get("name"), node.get("publishedAt"), node.get("isPrerelease"))
        for node in _nodes(value, "releases")[:LIST_LENGTH]
        if (tag := text_or_none(_at(node, "tagName"))) and not node.get("isDraft")
    ]
    return Overview(facts=facts.at(head, tree), tags=tags_body(tags), releases=releases_body(releases))


def parse_texts(reply: Reply, wanted: Sequence[WantedFile]) -> list[Text]:
    """What the answer says of each wanted file, in the order of the question."""
    alias = {name: f"r{number}" for number, name in enumerate(_repositories(wanted))}
    found = []
    for number, item in enumerate(wanted):
        blob = _at(reply.data.get(alias[item.repository]), f"f{number}")
        text = _at(blob, "text")
        data = text.encode("utf-8", "replace") if isinstance(text, str) else None
        if data is not None and blob_sha(data) != item.file.sha:
            data = None
        found.append(Text(data=data, without=text is None and _at(blob, "isBinary") is None))
    return found


def _at(value: JsonValue, *path: str) -> JsonValue:
    """The value down a path of keys; None where the path ends early."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _nodes(value: JsonValue, connection: str) -> list[dict[str, JsonValue]]:
    nodes = _at(value, connection, "nodes")
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
