"""GitHub's GraphQL interface under /github/api/graphql: repositories and the rate limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, build_schema, graphql_sync
from graphql.language import FieldNode, parse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.documents import Document
from sandbox.github import find_repository, limit_headers, problem
from sandbox.gitobjects import Commit
from sandbox.repos import Repository
from sandbox.wire import State, is_refused, json_answer, token_of

PATH = "/github/api/graphql"

# GitHub cuts the text of larger files, in bytes.
TEXT_LIMIT = 512_000

SCHEMA = build_schema(
    """
    scalar DateTime
    scalar GitObjectID
    scalar URI
    enum OrderDirection { ASC DESC }
    enum ReleaseOrderField { CREATED_AT NAME }
    enum RefOrderField { TAG_COMMIT_DATE ALPHABETICAL }
    input ReleaseOrder { field: ReleaseOrderField! direction: OrderDirection! }
    input RefOrder { field: RefOrderField! direction: OrderDirection! }
    type RateLimit { limit: Int! cost: Int! remaining: Int! used: Int! resetAt: DateTime! nodeCount: Int! }
    type License { key: String! name: String! spdxId: String }
    type Topic { name: String! }
    type RepositoryTopic { topic: Topic! }
    type RepositoryTopicConnection { nodes: [RepositoryTopic] totalCount: Int! }
    type Release { tagName: String! name: String publishedAt: DateTime createdAt: DateTime
                   isPrerelease: Boolean! isDraft: Boolean! description: String }
    type ReleaseConnection { nodes: [Release] totalCount: Int! }
    interface GitObject { oid: GitObjectID! abbreviatedOid: String! }
    type Blob implements GitObject { oid: GitObjectID! abbreviatedOid: String! text: String byteSize: Int!
                                     isBinary: Boolean isTruncated: Boolean! }
    type TreeEntry { name: String! path: String type: String! oid: GitObjectID! mode: Int! size: Int!
                     object: GitObject }
    type Tree implements GitObject { oid: GitObjectID! abbreviatedOid: String! entries: [TreeEntry!] }
    type Commit implements GitObject { oid: GitObjectID! abbreviatedOid: String! message: String!
                                       committedDate: DateTime! tree: Tree! }
    type Ref { name: String! prefix: String! target: GitObject }
    type RefConnection { nodes: [Ref] totalCount: Int! }
    type RepositoryOwner { login: String! }
    type Language { name: String! }
    type Repository {
      id: ID! databaseId: Int name: String! nameWithOwner: String! owner: RepositoryOwner! url: URI!
      description: String homepageUrl: URI isArchived: Boolean! isDisabled: Boolean! isFork: Boolean!
      isEmpty: Boolean! isPrivate: Boolean! parent: Repository licenseInfo: License defaultBranchRef: Ref
      primaryLanguage: Language createdAt: DateTime! pushedAt: DateTime updatedAt: DateTime!
      stargazerCount: Int! forkCount: Int! diskUsage: Int
      repositoryTopics(first: Int): RepositoryTopicConnection!
      releases(first: Int, orderBy: ReleaseOrder): ReleaseConnection!
      refs(refPrefix: String!, first: Int, orderBy: RefOrder): RefConnection
      object(expression: String, oid: GitObjectID): GitObject
    }
    type Query {
      repository(owner: String!, name: String!, followRenames: Boolean = true): Repository
      rateLimit(dryRun: Boolean = false): RateLimit
    }
    """
)

# Resolved values are dicts or functions that graphql-core calls; their fields have many types.
Value = dict[str, Any]


class NotFoundError(GraphQLError):
    """Leaves the repository null and says so in `errors`."""


def routes(state: State) -> list[Route]:
    """The one route."""

    async def endpoint(request: Request) -> Response:
        token = token_of(request)
        if token is None:
            return problem(401, "This endpoint requires you to be authenticated.")
        if is_refused(token):
            return problem(401, "Bad credentials")
        try:
            order = json.loads(await request.body())
            query, variables = order["query"], order.get("variables") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return problem(400, "Problems parsing JSON")
        bucket = state.limits.bucket("github.graphql", token)
        headers = limit_headers(bucket, "graphql")
        if bucket.remaining == 0:
            error = {"type": "RATE_LIMIT", "message": "API rate limit exceeded for this caller."}
            return json_answer({"errors": [error]}, 200, headers)
        cost = query_cost(query)
        bucket.spent += cost
        with state.world.lock:
            answer = run(state, query, variables, token, cost)
        return json_answer(answer, 200, limit_headers(bucket, "graphql"))

    return [Route(PATH, endpoint, methods=["POST"])]


def run(state: State, query: str, variables: dict[str, Any], token: str, cost: int) -> Value:
    """Answer a query that `cost` points were taken for."""

    def repository(info: GraphQLResolveInfo, owner: str, name: str, followRenames: bool = True) -> Value:
        repo = find_repository(state, f"{owner}/{name}")
        if repo is not None and repo.facts.get("moved_to"):
            repo = find_repository(state, repo.facts["moved_to"]) if followRenames else None
        if repo is None or repo.facts.get("blocked"):
            raise NotFoundError(f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return repository_value(state, repo)

    def rate_limit(info: GraphQLResolveInfo, dryRun: bool = False) -> Value:
        bucket = state.limits.bucket("github.graphql", token)
        return {
            "limit": bucket.limit.amount,
            "cost": cost,
            "remaining": bucket.remaining,
            "used": bucket.spent,
            "resetAt": _iso(bucket.resets_at),
            "nodeCount": cost,
        }

    root = {"repository": repository, "rateLimit": rate_limit}
    result = graphql_sync(SCHEMA, query, root, variable_values=variables)
    answer: Value = {"data": result.data}
    if result.errors:
        answer["errors"] = [_error(error) for error in result.errors]
        if result.data is None:
            del answer["data"]
    return answer


def query_cost(query: str) -> int:
    """Points as GitHub counts them: one for every hundred connections that the query opens."""
    try:
        definitions = parse(query).definitions
    except GraphQLError:
        return 1
    connections = sum(_connections(getattr(definition, "selection_set", None)) for definition in definitions)
    return max(1, round((1 + connections) / 100))


def repository_value(state: State, repo: Repository) -> Value:
    """A repository for the resolvers; connections and objects are worked out when asked for."""
    facts, counters = repo.facts, repo.counters
    licence = repo.licence
    parent = find_repository(state, facts["parent"]) if facts.get("parent") else None
    return {
        "id": f"R_{repo.id}",
        "databaseId": repo.id % 2**31,
        "name": repo.name,
        "nameWithOwner": repo.full_name,
        "owner": {"login": repo.owner},
        "url": f"https://github.com/{repo.full_name}",
        "description": facts.get("description"),
        "homepageUrl": facts.get("homepage"),
        "isArchived": bool(facts.get("archived")),
        "isDisabled": bool(facts.get("disabled")),
        "isFork": bool(facts.get("parent")),
        "isEmpty": repo.head is None,
        "isPrivate": False,
        "parent": repository_value(state, parent) if parent else None,
        "licenseInfo": {"key": licence["key"], "name": licence["name"], "spdxId": licence["spdx_id"]}
        if licence
        else None,
        "defaultBranchRef": _ref(repo, repo.branch, "refs/heads/", repo.head) if repo.head else None,
        "primaryLanguage": {"name": facts["language"]} if facts.get("language") else None,
        "createdAt": facts.get("created_at"),
        "pushedAt": facts.get("pushed_at"),
        "updatedAt": facts.get("updated_at", facts.get("pushed_at")),
        "stargazerCount": counters["stars"],
        "forkCount": counters["forks"],
        "diskUsage": sum(document.size for document in repo.thing.files.values()) // 1024,
        "repositoryTopics": _connection([{"topic": {"name": name}} for name in facts.get("topics", [])]),
        "releases": _connection([_release(release) for release in repo.releases]),
        "refs": _refs(repo),
        "object": lambda info, expression="", oid="": _object(repo, expression or oid),
    }


def _connection(nodes: list[Value]) -> Callable[..., Value]:
    """A list of which the first so many are given; an orderBy is met by the world being newest first."""

    def resolve(info: GraphQLResolveInfo, first: int | None = None, **order: Any) -> Value:
        if first is None or not 1 <= first <= 100:
            raise GraphQLError("You must provide a `first` value between 1 and 100 to paginate.")
        some = nodes[::-1] if (order.get("orderBy") or {}).get("direction") == "ASC" else nodes
        return {"nodes": some[:first], "totalCount": len(nodes)}

    return resolve


def _release(release: Value) -> Value:
    return {
        "tagName": release["tag"],
        "name": release.get("name"),
        "publishedAt": release.get("published_at"),
        "createdAt": release.get("published_at"),
        "isPrerelease": bool(release.get("prerelease")),
        "isDraft": False,
        "description": release.get("body", ""),
    }


def _refs(repo: Repository) -> Callable[..., Value]:
    def resolve(info: GraphQLResolveInfo, refPrefix: str, **order: Any) -> Value:
        nodes: list[Value] = []
        if refPrefix == "refs/tags/" and repo.thing.commits:
            nodes = [_ref(repo, tag, refPrefix, repo.thing.commits[0]) for tag in repo.tag_names]
        elif refPrefix == "refs/heads/" and repo.head is not None:
            nodes = [_ref(repo, repo.branch, refPrefix, repo.head)]
        return _connection(nodes)(info, **order)

    return resolve


def _ref(repo: Repository, name: str, prefix: str, commit: Commit) -> Value:
    return {"name": name, "prefix": prefix, "target": _commit(repo, commit)}


def _commit(repo: Repository, commit: Commit) -> Value:
    return {
        **_named("Commit", commit.sha),
        "message": commit.message,
        "committedDate": commit.when,
        "tree": _tree(repo, commit, ""),
    }


def _tree(repo: Repository, commit: Commit, folder: str) -> Value:
    def entries(info: GraphQLResolveInfo) -> list[Value]:
        lines = []
        for entry in commit.trees[folder].entries:
            path = f"{folder}/{entry.name}".strip("/")
            document = repo.thing.files.get(path)
            lines.append(
                {
                    "name": entry.name,
                    "path": path,
                    "type": "tree" if entry.is_tree else "blob",
                    "oid": entry.sha,
                    "mode": int(entry.mode, 8),
                    "size": document.size if document else 0,
                    "object": lambda info, path=path: _at(repo, commit, path),
                }
            )
        return lines

    return {**_named("Tree", commit.trees[folder].sha), "entries": entries}


def _blob(document: Document) -> Value:
    body = document.read() if document.size <= 50 * TEXT_LIMIT else b"\x00"
    is_binary = b"\x00" in body[:8000]
    return {
        **_named("Blob", document.git_sha()),
        # Bytes that are no UTF-8 come out as replacement characters: the text is then not the file.
        "text": None if is_binary else body[:TEXT_LIMIT].decode("utf-8", "replace"),
        "byteSize": document.size,
        "isBinary": is_binary,
        "isTruncated": len(body) > TEXT_LIMIT,
    }


def _object(repo: Repository, expression: str) -> Value | None:
    """What a Git revision such as `HEAD:docs` or a sha means."""
    ref, colon, path = expression.partition(":")
    commit = repo.commit(ref)
    if colon:
        return _at(repo, commit, path.strip("/")) if commit is not None else None
    if commit is not None:
        return _commit(repo, commit)
    found = repo.tree(ref)
    if found is not None:
        return _tree(repo, *found)
    document = repo.blob(ref)
    return _blob(document) if document is not None else None


def _at(repo: Repository, commit: Commit, path: str) -> Value | None:
    if path in commit.trees:
        return _tree(repo, commit, path)
    document = repo.thing.files.get(path)
    return _blob(document) if document is not None and path in commit.blobs else None


def _named(kind: str, sha: str) -> Value:
    return {"__typename": kind, "oid": sha, "abbreviatedOid": sha[:7]}


def _connections(selection: Any) -> int:  # graphql-core's selection sets are not typed further
    if selection is None:
        return 0
    own = 0
    for node in selection.selections:
        if isinstance(node, FieldNode):
            own += node.name.value in ("repository", "releases", "refs", "repositoryTopics")
        own += _connections(getattr(node, "selection_set", None))
    return own


def _error(error: GraphQLError) -> Value:
    value: Value = dict(error.formatted)
    if isinstance(error.original_error or error, NotFoundError):
        value["type"] = "NOT_FOUND"
    return value


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
