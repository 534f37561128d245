"""GitHub's REST interface under /github/api/v3, read only."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.documents import Document
from sandbox.limits import Bucket
from sandbox.repos import (
    LICENCE_NAMES,
    RAW_LIMIT,
    README_NAMES,
    Repository,
    commit_json,
    content_json,
    folder_json,
    full_json,
    release_json,
    tree_json,
)
from sandbox.wire import (
    JSON,
    Endpoint,
    Headers,
    State,
    answer,
    base_url,
    is_refused,
    json_answer,
    json_bytes,
    paged,
    token_of,
)
from sandbox.world import Thing

PREFIX = "/github/api/v3"
DOCS = "https://docs.github.com/rest"

Handler = Callable[[Request, Repository], Response]


class Problem(Exception):
    """An answer that is not the thing asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def routes(state: State) -> list[Route]:
    """All REST routes."""
    return [Route(PREFIX + path, endpoint) for path, endpoint in GitHub(state).endpoints().items()]


def problem(status: int, message: str, headers: Headers | None = None) -> Response:
    """An error as GitHub words it."""
    value = {"message": message, "documentation_url": DOCS, "status": str(status)}
    return json_answer(value, status, headers)


def limit_headers(bucket: Bucket, resource: str) -> dict[str, str]:
    """What GitHub says about the limit on every answer."""
    return {
        "X-RateLimit-Limit": str(bucket.limit.amount),
        "X-RateLimit-Remaining": str(bucket.remaining),
        "X-RateLimit-Used": str(min(bucket.spent, bucket.limit.amount)),
        "X-RateLimit-Reset": str(bucket.resets_at),
        "X-RateLimit-Resource": resource,
    }


def find_repository(state: State, full_name: str) -> Repository | None:
    """The repository of that name, or the one that it was renamed to."""
    thing: Thing | None = state.world.thing(f"github/{full_name}")
    return Repository(thing) if thing is not None else None


class GitHub:
    """The handlers, and what every one of them needs done before and after."""

    def __init__(self, state: State) -> None:
        self.state = state

    def endpoints(self) -> dict[str, Endpoint]:
        """Handlers by path; `{owner}/{repo}` is looked up for them."""
        repo = "/repos/{owner}/{repo}"
        return {
            "/rate_limit": self.guarded(self.rate_limit, free=True),
            "/repositories/{number:int}": self.guarded(self.by_number),
            "/repositories/{number:int}/{rest:path}": self.guarded(self.by_number),
            "/users/{owner}/repos": self.guarded(self.of_owner),
            "/orgs/{owner}/repos": self.guarded(self.of_owner),
            repo: self.of_repository(self.facts),
            repo + "/license": self.of_repository(self.licence),
            repo + "/readme": self.of_repository(self.readme),
            repo + "/topics": self.of_repository(self.topics),
            repo + "/contents": self.of_repository(self.contents),
            repo + "/contents/{path:path}": self.of_repository(self.contents),
            repo + "/git/trees/{ref:path}": self.of_repository(self.tree),
            repo + "/git/blobs/{sha}": self.of_repository(self.blob),
            repo + "/git/ref/{ref:path}": self.of_repository(self.reference),
            repo + "/tags": self.of_repository(self.tags),
            repo + "/releases": self.of_repository(self.releases),
            repo + "/releases/latest": self.of_repository(self.latest_release),
            repo + "/commits": self.of_repository(self.commits),
            repo + "/commits/{ref:path}": self.of_repository(self.commit),
            repo + "/branches/{branch:path}": self.of_repository(self.branch),
        }

    def guarded(self, handler: Callable[[Request], Response], *, free: bool = False) -> Endpoint:
        """Token, User-Agent and rate limit before a handler; limit headers after it."""

        async def endpoint(request: Request) -> Response:
            token = token_of(request)
            if is_refused(token):
                return problem(401, "Bad credentials")
            if "user-agent" not in request.headers:
                return problem(403, "Request forbidden: a User-Agent header is needed")
            bucket = self.state.limits.bucket("github.core", token)
            if not free and bucket.remaining == 0:
                return problem(403, "API rate limit exceeded for this caller.", limit_headers(bucket, "core"))
            try:
                with self.state.world.lock:
                    response = handler(request)
            except Problem as error:
                response = problem(error.status, error.message)
            except ValueError:
                response = problem(422, "Validation Failed")
            # Only to callers with a token is a 304 free.
            if not free and not (response.status_code == 304 and token):
                bucket.spent += 1
            response.headers.update(limit_headers(bucket, "core"))
            response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
            return response

        return endpoint

    def of_repository(self, handler: Handler) -> Endpoint:
        """A handler that gets the repository; a renamed one is redirected to its number."""

        def find(request: Request) -> Response:
            full_name = "{owner}/{repo}".format(**request.path_params)
            repo = find_repository(self.state, full_name)
            if repo is None:
                raise Problem(404, "Not Found")
            target = repo.facts.get("moved_to")
            if target:
                repo = find_repository(self.state, target)
                if repo is None:
                    raise Problem(404, "Not Found")
                rest = request.url.path.split(full_name, 1)[1]
                where = f"{_api(request)}/repositories/{repo.id}{rest}"
                where += f"?{request.url.query}" if request.url.query else ""
                return json_answer({"message": "Moved Permanently", "url": where}, 301, {"Location": where})
            if repo.facts.get("blocked"):
                raise Problem(451, "Repository access blocked")
            return handler(request, repo)

        return self.guarded(find)

    def rate_limit(self, request: Request) -> Response:
        """The limits of the caller; asking is free."""
        token = token_of(request)
        resources = {}
        for name in ("core", "graphql"):
            # Without a token there is no GraphQL; GitHub shows a limit of 0 for it.
            bucket = self.state.limits.bucket(f"github.{name}", token) if token or name == "core" else None
            resources[name] = {
                "limit": bucket.limit.amount if bucket else 0,
                "used": bucket.spent if bucket else 0,
                "remaining": bucket.remaining if bucket else 0,
                "reset": bucket.resets_at if bucket else 0,
            }
        resources["search"] = {"limit": 10, "used": 0, "remaining": 10, "reset": resources["core"]["reset"]}
        return json_answer({"resources": resources, "rate": resources["core"]})

    def by_number(self, request: Request) -> Response:
        """A repository by its number: where renamed ones lead."""
        for thing in self.state.world.below("github/"):
            repo = Repository(thing)
            if repo.id == request.path_params["number"] and not repo.facts.get("moved_to"):
                rest = request.path_params.get("rest")
                if rest:
                    where = f"{_api(request)}/repos/{repo.full_name}/{rest}"
                    return RedirectResponse(f"{where}?{request.url.query}".rstrip("?"), 302)
                return self.facts(request, repo)
        raise Problem(404, "Not Found")

    def of_owner(self, request: Request) -> Response:
        """The repositories of an owner, newest push first."""
        things = self.state.world.below(f"github/{request.path_params['owner']}/")
        repos = [Repository(thing) for thing in things if not thing.facts.get("moved_to")]
        if not repos:
            raise Problem(404, "Not Found")
        repos.sort(key=lambda repo: str(repo.facts.get("pushed_at")), reverse=True)
        some, links = paged(request, repos)
        value = [full_json(repo, _api(request), self.state.world) for repo in some]
        return _json(request, value, headers=links)

    def facts(self, request: Request, repo: Repository) -> Response:
        """/repos/O/R"""
        value = full_json(repo, _api(request), self.state.world)
        return _json(request, value, modified=value["updated_at"])

    def licence(self, request: Request, repo: Repository) -> Response:
        """/license: the file that GitHub takes for the licence."""
        document = repo.file(LICENCE_NAMES, starts=True)
        if document is None:
            raise Problem(404, "Not Found")
        return self.file(request, repo, document, {"license": repo.licence})

    def readme(self, request: Request, repo: Repository) -> Response:
        """/readme"""
        document = repo.file(README_NAMES)
        if document is None:
            raise Problem(404, "Not Found")
        return self.file(request, repo, document, {})

    def topics(self, request: Request, repo: Repository) -> Response:
        """/topics"""
        return _json(request, {"names": list(repo.facts.get("topics", []))})

    def contents(self, request: Request, repo: Repository) -> Response:
        """/contents/PATH: a file or a folder."""
        path = request.path_params.get("path", "").strip("/")
        if repo.head is None:
            raise Problem(404, "This repository is empty.")
        if repo.commit(request.query_params.get("ref", "HEAD")) is None:
            raise Problem(404, "No commit found for the ref")
        document = repo.thing.files.get(path)
        if document is not None:
            return self.file(request, repo, document, {})
        if path not in repo.head.trees:
            raise Problem(404, "Not Found")
        return _json(request, folder_json(repo, repo.head.trees[path], path, _api(request)))

    def file(self, request: Request, repo: Repository, document: Document, extra: dict[str, Any]) -> Response:
        """A file as JSON, or as it is where the request wants it raw."""
        if document.size > RAW_LIMIT:
            raise Problem(403, "This API returns blobs up to 100 MB in size.")
        if _wants_raw(request):
            return answer(request, document.read(), "application/vnd.github.raw+json; charset=utf-8")
        return _json(request, {**content_json(repo, document, _api(request)), **extra})

    def tree(self, request: Request, repo: Repository) -> Response:
        """/git/trees/SHA"""
        if repo.head is None:
            raise Problem(409, "Git Repository is empty.")
        found = repo.tree(request.path_params["ref"])
        if found is None:
            raise Problem(404, "Not Found")
        commit, folder = found
        value = tree_json(
            repo,
            commit,
            folder,
            _api(request),
            recursive="recursive" in request.query_params,
            limit=self.state.tree_limit,
        )
        return _json(request, value)

    def blob(self, request: Request, repo: Repository) -> Response:
        """/git/blobs/SHA"""
        sha = request.path_params["sha"]
        document = repo.blob(sha)
        if document is None:
            raise Problem(404, "Not Found")
        if document.size > RAW_LIMIT:
            raise Problem(403, "This API returns blobs up to 100 MB in size.")
        if _wants_raw(request):
            return answer(request, document.read(), "application/vnd.github.raw+json; charset=utf-8")
        content = base64.encodebytes(document.read()).decode()
        url = f"{_api(request)}/repos/{repo.full_name}/git/blobs/{sha}"
        value = {"sha": sha, "size": document.size, "encoding": "base64", "content": content, "url": url}
        return _json(request, value)

    def reference(self, request: Request, repo: Repository) -> Response:
        """/git/ref/heads/B: there is only the default branch."""
        if repo.head is None:
            raise Problem(409, "Git Repository is empty.")
        if request.path_params["ref"] != f"heads/{repo.branch}":
            raise Problem(404, "Not Found")
        sha, url = repo.head.sha, f"{_api(request)}/repos/{repo.full_name}"
        target = {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"}
        ref = f"refs/heads/{repo.branch}"
        return _json(request, {"ref": ref, "url": f"{url}/git/{ref}", "object": target})

    def tags(self, request: Request, repo: Repository) -> Response:
        """/tags, newest first."""
        commit = repo.thing.commits[0].sha if repo.thing.commits else None
        some, links = paged(request, repo.tag_names)
        return _json(request, [{"name": tag, "commit": {"sha": commit}} for tag in some], headers=links)

    def releases(self, request: Request, repo: Repository) -> Response:
        """/releases, newest first."""
        some, links = paged(request, repo.releases)
        return _json(request, [release_json(repo, release, _api(request)) for release in some], headers=links)

    def latest_release(self, request: Request, repo: Repository) -> Response:
        """/releases/latest: the newest that is no prerelease."""
        for release in repo.releases:
            if not release.get("prerelease"):
                return _json(request, release_json(repo, release, _api(request)))
        raise Problem(404, "Not Found")

    def commits(self, request: Request, repo: Repository) -> Response:
        """/commits, newest first."""
        if repo.head is None:
            raise Problem(409, "Git Repository is empty.")
        some, links = paged(request, repo.thing.commits[::-1])
        return _json(request, [commit_json(repo, commit, _api(request)) for commit in some], headers=links)

    def commit(self, request: Request, repo: Repository) -> Response:
        """/commits/REF"""
        commit = repo.commit(request.path_params["ref"])
        if commit is None:
            raise Problem(422, "No commit found for the ref")
        return _json(request, commit_json(repo, commit, _api(request)))

    def branch(self, request: Request, repo: Repository) -> Response:
        """/branches/B: there is only the default branch."""
        if repo.head is None or request.path_params["branch"] != repo.branch:
            raise Problem(404, "Branch not found")
        commit = commit_json(repo, repo.head, _api(request))
        return _json(request, {"name": repo.branch, "commit": commit, "protected": False})


def _api(request: Request) -> str:
    return base_url(request) + PREFIX


def _json(
    request: Request, value: Any, *, modified: str | None = None, headers: Headers | None = None
) -> Response:
    return answer(request, json_bytes(value), JSON, headers=headers, modified=modified, weak=True)


def _wants_raw(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/vnd.github" in accept and "raw" in accept
