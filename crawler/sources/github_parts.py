"""What both roads to GitHub share: which parts a repository has, and which of them need fetching."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crawler.http import Unread
from crawler.sources.github_client import RestAnswer
from crawler.sources.github_documents import MAX_FILE, Mark, RepositoryFacts, Tree, TreeFile, parse_tree
from crawler.sources.parts import Reporter
from pipelines.model import Capture, Visit, VisitStatus
from pipelines.select import files_worth_reading

MAIN_PART = "repository"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$")
"""`owner/repo` as GitHub allows it; nothing else is put into an address or a query."""

_JSON = "application/json"
_TABLE = "text/tab-separated-values"


@dataclass(slots=True, kw_only=True)
class Sorted:
    """The files of a tree by what is to be done: nothing any more, fetching, or never."""

    tree: Visit | None = None
    settled: list[Visit] = field(default_factory=list)
    too_large: list[Visit] = field(default_factory=list)
    wanted: Sequence[TreeFile] = ()


def document(reporter: Reporter, part: str, url: str, body: bytes) -> Visit:
    """One of the JSON documents."""
    return reporter.read(part, url, Capture(body=body, media_type=_JSON))


def file_capture(file: TreeFile, data: bytes) -> Capture:
    markdown = file.path.lower().endswith((".md", ".markdown", ".mdx"))
    return Capture(body=data, media_type="text/markdown" if markdown else "text/plain", token=file.sha)


def repository_visit(
    reporter: Reporter,
    facts: RepositoryFacts,
    *,
    complete: bool,
    etag: str = "",
    last_modified: str = "",
) -> Visit:
    """The facts, with the mark that tells the next night where this one stood."""
    parent = (facts.parent or "") if facts.fork else None
    mark = Mark(head=facts.head, tree=facts.tree, parent=parent, complete=complete)
    capture = Capture(
        body=facts.body(), media_type=_JSON, etag=etag, last_modified=last_modified, token=str(mark)
    )
    return reporter.read_main(MAIN_PART, facts.url, capture)


def unchanged_parts(reporter: Reporter, facts: RepositoryFacts, mark: Mark | None) -> list[Visit]:
    """The stored tree and files of a repository whose files are what they were; empty if they are not."""
    if mark is None or not mark.complete or mark.tree != facts.tree:
        return []
    if reporter.known("tree") is None:
        return []
    visits = [reporter.unchanged("tree", facts.tree_url())]
    for part in reporter.request.known:
        if part.startswith("file:"):
            visits.append(reporter.unchanged(part, facts.file_url(part.removeprefix("file:"))))
    return visits


def fetch_tree(fetch: Callable[[str], RestAnswer], name: str, sha: str) -> Tree:
    """The recursive tree of a commit or tree that GitHub has just named; its absence is no fact."""
    try:
        answer = fetch(f"/repos/{name}/git/trees/{sha}?recursive=1")
        return parse_tree(answer.value, answer.where)
    except Unread as error:
        if error.status is VisitStatus.MISSING:
            raise Unread(VisitStatus.FAILED, error.reason, http_status=error.http_status) from error
        raise


def sort_out(reporter: Reporter, facts: RepositoryFacts, tree: Tree) -> Sorted:
    """Which files to fetch: those worth reading and those read before, where their sha is new.

    A file that was read before and is no longer in the tree is missing: that is a fact.
    """
    capture = Capture(body=tree.body(), media_type=_TABLE, token=tree.sha)
    out = Sorted(tree=reporter.read("tree", facts.tree_url(), capture))
    files = {file.path: file for file in tree.files if not file.link}
    chosen = [path for path, _, _ in files_worth_reading([(f.path, f.size, f.sha) for f in files.values()])]
    stored = [part.removeprefix("file:") for part in reporter.request.known if part.startswith("file:")]
    wanted = []
    for path in dict.fromkeys([*chosen, *stored]):
        part, url, file = f"file:{path}", facts.file_url(path), files.get(path)
        known = reporter.known(part)
        if file is None:
            if not tree.truncated:
                out.settled.append(reporter.missing(part, url, "no longer in the tree"))
        elif known is not None and known.token == file.sha:
            out.settled.append(reporter.unchanged(part, url))
        elif file.size > MAX_FILE:
            reason = f"{file.size} bytes are more than the {MAX_FILE} that are fetched"
            out.too_large.append(reporter.unread(part, url, Unread(VisitStatus.FAILED, reason)))
        else:
            wanted.append(file)
    out.wanted = wanted
    return out
