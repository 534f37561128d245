"""robots.txt, as RFC 9309 asks.

Scrapy's own middleware lets requests through while robots.txt is being fetched (every waiter awaits
the same Deferred, and all but the first see it emptied), reads rules out of error pages and takes
a failure for a permission. This one asks once an origin, and everybody waits for that answer.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import CannotResolveHostError
from scrapy.http.request import NO_CALLBACK

from spiders.addresses import host_of, origin
from spiders.failures import Refused, RobotsDisallow, RobotsUnreadable, failure_reason, is_redirect_overflow
from spiders.judge import status_line
from spiders.page_spider import spider_of
from spiders.resolver import refused_hosts

# RFC 9309 asks for at least 500 KiB; what stands behind is not read.
PARSE_LIMIT = 512 << 10
REMEMBERED_LIMIT = 64 << 10
"""Characters of rules that are handed on to the next worker; longer ones are asked for again."""
AGENT_LINE = re.compile(r"\s*user[- ]?agent\s*:?\s*(?P<name>[^#]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What robots.txt says. Neither rules nor a failure: everything is allowed.

    `refused` marks the failure of a site whose own name resolves to no public address.
    """

    rules: Protego | None = None
    failure: str = ""
    refused: bool = False


class RobotsMiddleware:
    """Downloader middleware: asks robots.txt before a page, and after every redirect."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._token = product_token(crawler.settings["USER_AGENT"])
        self._crawl_delay = crawler.settings.getfloat("CRAWL_DELAY_LIMIT")
        self._asked: dict[str, asyncio.Task[Permission]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> RobotsMiddleware:
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        if request.meta.get("is_robots"):
            return
        host = host_of(request.url)
        permission = await self._permission(request)
        if permission.refused:
            raise Refused(permission.failure)
        if permission.failure:
            raise RobotsUnreadable(host, permission.failure)
        if permission.rules is not None and not permission.rules.can_fetch(request.url, self._token):
            raise RobotsDisallow(host)

    async def _permission(self, request: Request) -> Permission:
        key = origin(request.url)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._fetch_permission(key))
        # Shielded: one cancelled request must not take the answer from the others.
        return await asyncio.shield(self._asked[key])

    async def _fetch_permission(self, site: str) -> Permission:
        spider = spider_of(self._crawler)
        if (rules := spider.job.manners.robots.get(site)) is not None:
            return self._permission_by(site, rules)
        request = Request(
            f"{site}/robots.txt",
            priority=1000,
            dont_filter=True,
            callback=NO_CALLBACK,
            meta={"is_robots": True},
        )
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception as error:  # every failure there is means the same: not known
            if is_redirect_overflow(error):
                return Permission()
            host = host_of(site)
            reason = failure_reason(error, spider.limits, host)
            refused = isinstance(error, CannotResolveHostError) and host in refused_hosts
            return Permission(failure=reason.text, refused=refused)
        if response.status == 429 or response.status >= 500:
            return Permission(failure=status_line(response.status))
        return self._permission_by(
            site, relevant_rules(response.body, self._token) if response.status == 200 else ""
        )

    def _permission_by(self, site: str, rules: str) -> Permission:
        """What a site's rules permit; they are remembered for the next worker of the night."""
        spider = spider_of(self._crawler)
        if len(rules) <= REMEMBERED_LIMIT:
            spider.robots[site] = rules
        if not rules:
            return Permission()
        parsed = Protego.parse(rules)
        delay = parsed.crawl_delay(self._token)
        if delay and self._crawl_delay:
            spider.pace.keep_distance(host_of(site), min(float(delay), self._crawl_delay))
        return Permission(rules=parsed)


def product_token(user_agent: str) -> str:
    """The name by which robots.txt files address the crawler."""
    match = re.match(r"[A-Za-z_-]+", user_agent)
    return match[0].lower() if match else "*"


def relevant_rules(body: bytes, token: str) -> str:
    """The rules of a robots.txt with those groups renamed that do not concern the crawler.

    Protego keeps every rule once for each agent of its group, which a hostile file of half a megabyte
    can turn into gigabytes.
    """
    if len(body) > PARSE_LIMIT:
        # Half a line must not become a rule: the beginning of "Disallow: /a" disallows everything.
        body = body[: body.rfind(b"\n", 0, PARSE_LIMIT) + 1]
    text = body.decode("utf-8-sig", "ignore")
    return "\n".join(_narrowed(line, token) for line in text.splitlines())


def parse_robots(body: bytes, token: str) -> Protego:
    """Read the rules that concern one crawler."""
    return Protego.parse(relevant_rules(body, token))


def _narrowed(line: str, token: str) -> str:
    match = AGENT_LINE.match(line)
    if match is None:
        return line
    name = match["name"].strip().lower()
    if name == "*" or (name and name.replace("*", "") in token):
        return line
    return "User-agent: another-crawler"
