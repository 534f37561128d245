"""Scrapy's settings for the page spider.

Scrapy's defaults accept any certificate, ignore robots.txt, take a gigabyte, honour proxy variables,
read file: addresses and listen on a port for commands. None of that here.
"""

from __future__ import annotations

from typing import Any

from spiders.gateway import Gateway
from spiders.protocol import Job

HANDLER = "spiders.handler.PageHandler"
STOCK = "scrapy.downloadermiddlewares"
# The whole lists, in the place of Scrapy's own: nothing runs that is not named here. Entries that are
# merely switched off would be imported all the same, with aiohttp and tldextract: a third of the start.
MIDDLEWARES = {
    "spiders.middlewares.AddressGuard": 50,
    "spiders.robots.RobotsMiddleware": 100,
    "spiders.middlewares.Conditions": 200,
    f"{STOCK}.downloadtimeout.DownloadTimeoutMiddleware": 350,
    f"{STOCK}.defaultheaders.DefaultHeadersMiddleware": 400,
    f"{STOCK}.useragent.UserAgentMiddleware": 500,
    "spiders.middlewares.TryAgain": 550,
    f"{STOCK}.redirect.MetaRefreshMiddleware": 580,
    "spiders.middlewares.Unpacking": 590,
    f"{STOCK}.redirect.RedirectMiddleware": 600,
    f"{STOCK}.stats.DownloaderStats": 850,
}
EXTENSIONS = {
    "scrapy.extensions.corestats.CoreStats": 0,
    "scrapy.extensions.memusage.MemoryUsage": 0,
}


# Any: Scrapy's settings are of every type.
def crawl_settings(job: Job) -> dict[str, Any]:
    """The settings of one job. Raises GatewayError for a template that is none."""
    limits = job.limits
    gateway = Gateway(job.gateway) if job.gateway else None
    connectable = set(job.allow_private_hosts)
    readable = set(job.allow_private_hosts)
    if gateway is not None:
        # The gateway itself may be private, but it is no page: a redirect into it is refused.
        own = f"[{gateway.host}]:{gateway.port}" if ":" in gateway.host else f"{gateway.host}:{gateway.port}"
        connectable.add(own)
        readable.discard(own)
    return {
        "USER_AGENT": job.user_agent,
        "ROBOTSTXT_OBEY": True,
        "ROBOTSTXT_USER_AGENT": job.user_agent,
        # safety
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DOWNLOAD_MAXSIZE": limits.max_size,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_TIMEOUT": limits.timeout,
        "DOWNLOAD_FAIL_ON_DATALOSS": True,
        "REDIRECT_MAX_TIMES": limits.redirects,
        # A page that reloads itself every minute is a page; one that leads on at once is a redirect.
        "METAREFRESH_MAXDELAY": 5,
        "METAREFRESH_IGNORE_TAGS": ["script", "noscript", "template"],
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "REFERRER_POLICY": "no-referrer",
        "MEMUSAGE_LIMIT_MB": 1024,
        "DOWNLOAD_HANDLERS": {
            "http": HANDLER,
            "https": HANDLER,
            "file": None,
            "ftp": None,
            "s3": None,
            "data": None,
        },
        "TWISTED_DNS_RESOLVER": "spiders.resolver.GuardResolver",
        "GUARD_ALLOWED_HOSTS": sorted(connectable),
        "PAGE_ALLOWED_HOSTS": sorted(readable),
        "WEB_GATEWAY": job.gateway or "",
        # politeness: none towards a gateway, which is the user's own; Retry-After is honoured all the same
        "CONCURRENT_REQUESTS": limits.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": limits.concurrency if gateway else limits.per_host,
        "DOWNLOAD_DELAY": 0 if gateway else limits.delay,
        "DOWNLOAD_DELAY_JITTER": 0.5,
        "CRAWL_DELAY_LIMIT": 0 if gateway else limits.crawl_delay,
        "RETRY_ENABLED": False,
        "RETRY_AFTER_LIMIT": limits.retry_after,
        "RETRY_WAIT": 0 if gateway else limits.retry_wait,
        # our own parts in the place of stock ones
        "COMPRESSION_ENABLED": False,
        "DOWNLOADER_MIDDLEWARES_BASE": MIDDLEWARES,
        "EXTENSIONS_BASE": EXTENSIONS,
        # Every status and every length of address ends in a result: nothing is filtered on the way.
        "HTTPERROR_ALLOW_ALL": True,
        "URLLENGTH_LIMIT": 0,
        "ITEM_PIPELINES": {"spiders.worker.Handover": 100},
        # A page is one item, and for every page Scrapy would start tasks for so many of them: a hundred.
        "CONCURRENT_ITEMS": 1,
        # For every page it would parse the source of the callback.
        "WARN_ON_GENERATOR_RETURN_VALUE": False,
        "DEFAULT_REQUEST_HEADERS": {
            "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/xml;q=0.9,*/*;q=0.1",
            "Accept-Language": "en",
        },
        "LOG_LEVEL": "WARNING",
        "LOG_VERSIONS": [],
        "STATS_DUMP": False,
    }
