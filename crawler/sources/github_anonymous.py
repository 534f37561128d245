"""The road without a token: REST only, sixty requests an hour, every one of them counted.

Unchanged repositories cost one request each (GitHub charges a 304 when nobody is logged in) and are
gone through first, then those never read, then those read in part. Each gets a fair share of what is
left, five to twelve requests: facts, head, tree, then files and lists in the order of what they
tell. What does not fit is said and left for the next night, which goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from crawler.http import Unread
from crawler.sources.github_client import GitHubClient, RestAnswer
from crawler.sources.github_documents import (
    LIST_LENGTH,
    PUBLIC_HOST,
    Mark,
    RepositoryFacts,
    Tree,
    TreeFile,
    parse_releases,
    parse_repository,
    parse_tags,
    text_or_none,
)
from crawler.sources.github_parts import (
    MAIN_PART,
    Sorted,
    document,
    fetch_tree,
    file_capture,
    repository_visit,
    sort_out,
    unchanged_parts,
)
from crawler.sources.parts import Reporter, is_complete
from db.waiting import NOT_YET
from pipelines.model import JsonValue, Visit, VisitStatus, digest_bytes

MOST_REQUESTS = 12
"""Requests that one repository may cost in one night."""

FEWEST_REQUESTS = 5
"""Its share however many others wait: facts, head, tree and the two most telling files."""

_AN_HOUR = 60

_FILES_BEFORE_LISTS = 5


@dataclass(slots=True)
class _Purse:
    """Fetches for one repository until its share is spent."""

    client: GitHubClient
    share: int
    spent: int = 0

    def fetch(self, path: str, etag: str = "") -> RestAnswer:
        self._pay()
        return self.client.fetch_json(path, etag)

    def fetch_blob(self, repository: str, file: TreeFile) -> bytes:
        self._pay()
        return self.client.fetch_blob(repository, file)

    def _pay(self) -> None:
        if self.spent >= self.share:
            reason = f"{NOT_YET}: without a token this repository's share is {self.share} requests a night"
            raise Unread(VisitStatus.FAILED, reason)
        self.spent += 1


def visit_without_token(client: GitHubClient, reporters: Sequence[Reporter]) -> Iterator[Visit]:
    """All repositories, those first that are likely to cost one request only."""
    for number, reporter in enumerate(sorted(reporters, key=_turn)):
        left = client.usage.remaining
        fair = (_AN_HOUR if left is None else left) // (len(reporters) - number)
        try:
            yield from _visit_one(_Purse(client, min(max(fair, FEWEST_REQUESTS), MOST_REQUESTS)), reporter)
        except Unread as error:
            yield reporter.unread(MAIN_PART, f"{PUBLIC_HOST}/{reporter.request.ref.id}", error)


def _turn(reporter: Reporter) -> int:
    mark = _mark(reporter)
    if mark is None:
        return 1
    return 0 if mark.complete else 2


def _mark(reporter: Reporter) -> Mark | None:
    known = reporter.known(MAIN_PART)
    return Mark.parse(known.token) if known else None


def _visit_one(purse: _Purse, reporter: Reporter) -> Iterator[Visit]:
    """One repository. Raises Unread before the first visit when not even its facts can be told."""
    name, mark, known = reporter.request.ref.id, _mark(reporter), reporter.known(MAIN_PART)
    etag = known.etag if known and mark and mark.complete else ""
    answer = purse.fetch(f"/repos/{name}", etag)
    if answer.status == 304:
        yield from _all_unchanged(reporter)
        return
    facts = parse_repository(answer.value, answer.where)
    if known and mark and digest_bytes(facts.at(mark.head, mark.tree).body()) == known.sha256:
        facts = facts.at(mark.head, mark.tree)
        if unchanged := unchanged_parts(reporter, facts, mark):
            yield from unchanged
            for part in ("tags", "releases"):
                if reporter.known(part):
                    yield reporter.unchanged(part, f"{facts.url}/{part}")
            # A star gives the same facts another ETag.
            yield repository_visit(
                reporter, facts, complete=True, etag=answer.etag, last_modified=answer.last_modified
            )
            return
        head = mark.head
    else:
        head = _fetch_head(purse, facts)
    try:
        tree = _fetch_tree(purse, facts.full_name, head)
        facts = facts.at(head, tree.sha or None)
        sorted_out = sort_out(reporter, facts, tree)
    except Unread as error:
        facts = facts.at(head, None)
        sorted_out = Sorted(tree=reporter.unread("tree", facts.tree_url(), error))
    visits = [*_documents(purse, reporter, facts, sorted_out)]
    yield from visits
    yield from sorted_out.too_large
    yield repository_visit(
        reporter, facts, complete=is_complete(visits), etag=answer.etag, last_modified=answer.last_modified
    )


def _all_unchanged(reporter: Reporter) -> Iterator[Visit]:
    """GitHub says that nothing has changed: every stored part stands, the facts last."""
    public = f"{PUBLIC_HOST}/{reporter.request.ref.id}"
    for part in sorted(reporter.request.known, key=lambda part: part == MAIN_PART):
        path = part.removeprefix("file:")
        url = f"{public}/blob/HEAD/{quote(path)}" if part != path else public
        yield reporter.unchanged(part, url, 304)


def _fetch_head(purse: _Purse, facts: RepositoryFacts) -> str | None:
    """The commit of the default branch; None for a repository without commits."""
    if facts.default_branch is None:
        return None
    path = f"/repos/{facts.full_name}/git/ref/heads/{quote(facts.default_branch)}"
    try:
        answer = purse.fetch(path)
    except Unread as error:
        if error.http_status == 409:
            return None
        if error.status is VisitStatus.MISSING:
            raise Unread(VisitStatus.FAILED, f"the default branch is not there: {error.reason}") from error
        raise
    target = answer.value.get("object") if isinstance(answer.value, dict) else None
    sha = text_or_none(target.get("sha")) if isinstance(target, dict) else None
    if sha is None:
        raise Unread(VisitStatus.FAILED, "GitHub's answer about the default branch names no commit")
    return sha


def _fetch_tree(purse: _Purse, name: str, head: str | None) -> Tree:
    if head is None:
        return Tree(sha="")
    return fetch_tree(purse.fetch, name, head)


def _documents(
    purse: _Purse, reporter: Reporter, facts: RepositoryFacts, sorted_out: Sorted
) -> Iterator[Visit]:
    """The tree, then files and lists, most telling first, as far as the requests reach."""
    if sorted_out.tree is not None:
        yield sorted_out.tree
    yield from sorted_out.settled
    wanted = list(sorted_out.wanted)
    yield from _files(purse, reporter, facts, wanted[:_FILES_BEFORE_LISTS])
    yield _list(purse, reporter, facts, "releases", parse_releases)
    yield _list(purse, reporter, facts, "tags", parse_tags)
    yield from _files(purse, reporter, facts, wanted[_FILES_BEFORE_LISTS:])


def _files(
    purse: _Purse, reporter: Reporter, facts: RepositoryFacts, files: Sequence[TreeFile]
) -> Iterator[Visit]:
    for file in files:
        url, part = facts.file_url(file.path), f"file:{file.path}"
        try:
            yield reporter.read(part, url, file_capture(file, purse.fetch_blob(facts.full_name, file)))
        except Unread as error:
            yield reporter.unread(part, url, error)


def _list(
    purse: _Purse,
    reporter: Reporter,
    facts: RepositoryFacts,
    part: str,
    parse: Callable[[JsonValue, str], bytes],
) -> Visit:
    """Tags or releases; conditional, since without a change the answer is short."""
    url, known = f"{facts.url}/{part}", reporter.known(part)
    try:
        answer = purse.fetch(
            f"/repos/{facts.full_name}/{part}?per_page={LIST_LENGTH}", known.etag if known else ""
        )
        if answer.status == 304:
            return reporter.unchanged(part, url, 304)
        visit = document(reporter, part, url, parse(answer.value, answer.where))
        if visit.capture is None:
            return visit
        return replace(visit, capture=replace(visit.capture, etag=answer.etag))
    except Unread as error:
        return reporter.unread(part, url, error)
