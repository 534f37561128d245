"""Repositories at GitHub.

Parts: `repository` (facts), `tree` (all files with size and sha), `tags`, `releases`, and `file:PATH`
for every file worth reading (`pipelines.select`).

With a token, one GraphQL query tells for up to 50 repositories whether anything has changed; a
changed one costs one REST request for its tree and a share of the queries for its files. Several
such batches are gone through at a time, so that none waits for another's answers. Without a token
there is no GraphQL: see `github_anonymous`.

`repository` is yielded last: its token says where reading stood, so what a killed run left undone
is done the next night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from crawler.http import TransportRules, Unread, address
from crawler.sources.base import Allowance, Usage
from crawler.sources.github_anonymous import visit_without_token
from crawler.sources.github_client import GitHubClient
from crawler.sources.github_documents import (
    PUBLIC_HOST,
    Mark,
    RepositoryFacts,
    Tree,
    parse_repository,
)
from crawler.sources.github_graphql import (
    LONGEST_TEXT,
    REPOSITORIES_A_QUERY,
    Overview,
    Text,
    WantedFile,
    blobs_query,
    facts_query,
    in_queries,
    parse_overview,
    parse_texts,
)
from crawler.sources.github_parts import (
    MAIN_PART,
    NAME,
    Sorted,
    document,
    fetch_tree,
    file_capture,
    repository_visit,
    sort_out,
    unchanged_parts,
)
from crawler.sources.parts import Item, Reporter, Result, as_done, is_complete
from pipelines.model import ArtifactKind, Visit, VisitRequest, VisitStatus

_BATCHES = 4
"""Batches under way: what is held in memory, some 200 repositories with their texts."""


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What is left to do for one repository after its facts and its tree are known."""

    reporter: Reporter
    visits: list[Visit] = field(default_factory=list)
    facts: RepositoryFacts | None = None
    sorted: Sorted = field(default_factory=Sorted)


class GitHubSource:
    """Reads repositories. `max_wait` is the longest wait in seconds that GitHub may ask for."""

    name = "github"
    kinds = frozenset({ArtifactKind.GITHUB})

    def __init__(
        self,
        *,
        api_url: str,
        graphql_url: str,
        token: str | None,
        user_agent: str,
        clock: Callable[[], datetime],
        max_workers: int = 8,
        max_wait: float | None = None,
        rules: TransportRules | None = None,
    ) -> None:
        token = token or None
        rules = rules or TransportRules(user_agent=user_agent)
        max_wait = rules.max_wait if max_wait is None else max_wait
        self._client = GitHubClient(
            api_url=api_url,
            graphql_url=graphql_url,
            token=token,
            rules=replace(rules, user_agent=user_agent, max_wait=max_wait, secrets=(token,) if token else ()),
            clock=clock,
        )
        self._clock = clock
        self._closed = False
        # Whoever leads a batch waits for the pool that asks, and would wait for ever in it.
        self._pool = ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="github")
        self._leaders = ThreadPoolExecutor(max_workers=_BATCHES, thread_name_prefix="github-batch")

    def fetch_allowance(self) -> Allowance | None:
        """What GitHub says is left, of REST requests or of GraphQL points: whichever is less."""
        return self._client.fetch_allowance()

    @property
    def usage(self) -> Usage:
        return self._client.usage

    def close(self) -> None:
        self._closed = True
        self._client.leave()
        for pool in (self._leaders, self._pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        reporters = []
        for request in requests:
            reporter = Reporter(request=request, clock=self._clock)
            if NAME.match(request.ref.id):
                reporters.append(reporter)
            else:
                error = Unread(VisitStatus.FAILED, "not the name of a repository (owner/repo)")
                yield reporter.unread(MAIN_PART, PUBLIC_HOST, error)
        if self._client.token is None:
            yield from visit_without_token(self._client, reporters)
            return
        starts = range(0, len(reporters), REPOSITORIES_A_QUERY)
        batches = [reporters[start : start + REPOSITORIES_A_QUERY] for start in starts]
        for visits in as_done(
            self._leaders, self._visit_batch, batches, ahead=_BATCHES, is_closed=lambda: self._closed
        ):
            yield from visits

    def _visit_batch(self, reporters: Sequence[Reporter]) -> list[Visit]:
        overviews = self._pool.submit(self._fetch_overviews, reporters).result()
        plans = list(self._pool.map(self._plan, reporters, overviews))
        texts = self._fetch_files(plans)
        return [visit for plan in plans for visit in self._finish(plan, texts)]

    def _fetch_overviews(self, reporters: Sequence[Reporter]) -> list[Overview | Unread]:
        """The facts of all repositories, in one query where GitHub can answer that."""
        return _in_halves(self._ask_for_facts, [reporter.request.ref.id for reporter in reporters])

    def _ask_for_facts(self, names: Sequence[str]) -> list[Overview | Unread]:
        reply = self._client.fetch_graphql(facts_query(names))
        found: list[Overview | Unread] = []
        for number in range(len(names)):
            try:
                found.append(parse_overview(reply.share(f"r{number}"), address(self._client.graphql_url)))
            except Unread as error:
                found.append(error)
        return found

    def _plan(self, reporter: Reporter, overview: Overview | Unread) -> _Plan:
        """Fetch what the facts alone do not tell: the tree of a repository that has changed."""
        plan = _Plan(reporter=reporter)
        public = f"{PUBLIC_HOST}/{reporter.request.ref.id}"
        try:
            if isinstance(overview, Unread):
                raise self._reason_for_absence(reporter, overview)
            mark = Mark.parse(known.token) if (known := reporter.known(MAIN_PART)) else None
            plan.facts = facts = self._with_parent(overview.facts, mark)
        except Unread as error:
            plan.visits = [reporter.unread(MAIN_PART, public, error)]
            return plan
        plan.visits = [
            document(reporter, "tags", f"{facts.url}/tags", overview.tags),
            document(reporter, "releases", f"{facts.url}/releases", overview.releases),
        ]
        if unchanged := unchanged_parts(reporter, facts, mark):
            plan.visits += unchanged
            return plan
        try:
            tree = self._fetch_tree(facts)
            plan.sorted = sort_out(reporter, facts, tree)
        except Unread as error:
            plan.sorted = Sorted(tree=reporter.unread("tree", facts.tree_url(), error))
        return plan

    def _reason_for_absence(self, reporter: Reporter, error: Unread) -> Unread:
        """GraphQL says NOT_FOUND of blocked repositories, too; REST tells them apart, once.

        It is asked where the difference can matter: a rule may rest on the absence of this one, or it
        was read before. Of the others, which documents merely mention, nothing follows either way, and
        a night may meet hundreds of them: their visits carry no HTTP status, by which the database
        knows the absence for doubtful and rules take it for denied.
        """
        request = reporter.request
        if error.status is not VisitStatus.MISSING or request.was_missing:
            return error
        if not request.absence_counts and not request.known:
            return Unread(
                VisitStatus.MISSING, "GitHub's GraphQL knows no such repository: gone, private or blocked"
            )
        try:
            self._client.fetch_json(f"/repos/{request.ref.id}")
        except Unread as confirmed:
            # In the words of every later night, on which it is not asked for again.
            return error if confirmed.http_status == error.http_status else confirmed
        return Unread(VisitStatus.FAILED, "GitHub's GraphQL knows no such repository, its REST does")

    def _with_parent(self, facts: RepositoryFacts, mark: Mark | None) -> RepositoryFacts:
        if not facts.fork:
            return facts
        if mark is not None and mark.parent is not None:
            return replace(facts, parent=mark.parent or None)
        answer = self._client.fetch_json(f"/repos/{facts.full_name}")
        return replace(facts, parent=parse_repository(answer.value, answer.where).parent)

    def _fetch_tree(self, facts: RepositoryFacts) -> Tree:
        if facts.tree is None:
            return Tree(sha="")
        return replace(fetch_tree(self._client.fetch_json, facts.full_name, facts.tree), sha=facts.tree)

    def _fetch_files(self, plans: Sequence[_Plan]) -> dict[WantedFile, bytes | Unread]:
        """The wanted files of many repositories: texts by GraphQL, what is no text one by one by REST."""
        wanted = [
            WantedFile(repository=plan.facts.full_name, file=file)
            for plan in plans
            if plan.facts is not None
            for file in plan.sorted.wanted
        ]
        short = [item for item in wanted if item.file.size <= LONGEST_TEXT]
        found: dict[WantedFile, bytes | Unread] = {}
        rest: dict[str, list[tuple[WantedFile, Text]]] = {}
        for item in wanted:
            if item.file.size > LONGEST_TEXT:
                rest.setdefault(item.repository, []).append((item, Text(data=None)))
        parcels = in_queries(short)
        for parcel, texts in zip(parcels, self._pool.map(self._fetch_texts, parcels), strict=True):
            for item, text in zip(parcel, texts, strict=True):
                if isinstance(text, Unread):
                    found[item] = text
                elif text.data is not None:
                    found[item] = text.data
                else:
                    rest.setdefault(item.repository, []).append((item, text))
        for some in self._pool.map(self._fetch_one_by_one, rest.values()):
            found.update(some)
        return found

    def _fetch_texts(self, parcel: Sequence[WantedFile]) -> list[Text | Unread]:
        return _in_halves(self._ask_for_texts, parcel)

    def _ask_for_texts(self, parcel: Sequence[WantedFile]) -> list[Text | Unread]:
        return [*parse_texts(self._client.fetch_graphql(blobs_query(parcel)), parcel)]

    def _fetch_one_by_one(self, items: Sequence[tuple[WantedFile, Text]]) -> dict[WantedFile, bytes | Unread]:
        """Files of one repository by REST.

        Where GraphQL has nothing at all to say of a file and REST answers 404, the content is not
        there to be had, and the other files of that repository in the same state are not asked for.
        """
        found: dict[WantedFile, bytes | Unread] = {}
        without: Unread | None = None
        for item, text in items:
            if text.without and without is not None:
                found[item] = without
                continue
            try:
                found[item] = self._client.fetch_blob(item.repository, item.file)
            except Unread as error:
                found[item] = error
                if text.without and error.status is VisitStatus.MISSING:
                    reason = "in the tree, but GitHub has no content for it"
                    without = found[item] = Unread(VisitStatus.MISSING, reason, http_status=404)
        return found

    def _finish(self, plan: _Plan, texts: dict[WantedFile, bytes | Unread]) -> Iterator[Visit]:
        """All visits of one repository, its facts last."""
        facts, reporter = plan.facts, plan.reporter
        visits = list(plan.visits)
        if plan.sorted.tree is not None:
            visits.append(plan.sorted.tree)
        if facts is None:
            yield from visits
            return
        visits += plan.sorted.settled
        for file in plan.sorted.wanted:
            got = texts[WantedFile(repository=facts.full_name, file=file)]
            url, part = facts.file_url(file.path), f"file:{file.path}"
            if isinstance(got, Unread):
                visits.append(reporter.unread(part, url, got))
            else:
                visits.append(reporter.read(part, url, file_capture(file, got)))
        yield from visits
        yield from plan.sorted.too_large
        yield repository_visit(reporter, facts, complete=is_complete(visits))


def _in_halves(
    ask: Callable[[Sequence[Item]], list[Result | Unread]], items: Sequence[Item]
) -> list[Result | Unread]:
    """The answers to one query; to two of half the size, when GitHub could not answer the one."""
    try:
        return ask(items)
    except Unread as error:
        if len(items) == 1 or not (error.again or error.too_much):
            return [error] * len(items)
    middle = len(items) // 2
    answers: list[Result | Unread] = []
    for half in (items[:middle], items[middle:]):
        try:
            answers += ask(half)
        except Unread as error:
            answers += [error] * len(half)
    return answers
