"""What the starting process and a worker say to each other.

The job is a JSON file in the spool folder. Further pages come as files of their own, each announced by
a line with its number on the worker's standard input; the end of that input says that no more come.
The worker answers on its standard output, one JSON object a line, and puts page bodies into the spool
folder under names both sides derive from the page's index. Nothing of it can be executed, and a line
that does not parse is a broken worker.

This module is imported by the starting process and must stay free of Scrapy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipelines.model import JsonValue, VisitStatus

JOB_FILE = "job.json"
MANNERS_FILE = "manners.json"
MAX_LINE = 64 << 10

EXIT_OK = 0
EXIT_CRAWL_FAILED = 1
EXIT_ERRORS = 3


class ProtocolError(Exception):
    """A line is not one that a sound worker writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker may take, and how politely. Times are seconds, sizes bytes.

    `timeout` is for one answer from the first byte sent to the last received; `deadline` is how long
    pages that were asked for together are waited for. `retry_after` is the longest wait a host may ask for; `retry_wait` is the wait before
    a host is asked again that has named none. `crawl_delay` caps what robots.txt asks for.
    """

    timeout: float = 30.0
    deadline: float = 1800.0
    delay: float = 1.0
    per_host: int = 2
    concurrency: int = 32
    max_size: int = 4 << 20
    redirects: int = 5
    retry_after: float = 60.0
    retry_wait: float = 5.0
    crawl_delay: float = 30.0
    heartbeat: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageJob:
    """One page to be read, with the validators of the stored snapshot (empty when there is none).

    `place` is `place_of` the address that gave the validators; empty: the page's own.
    """

    index: int
    url: str
    etag: str = ""
    last_modified: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What hosts have asked for, handed from one worker to the next.

    `robots` holds the rules that concern the crawler by site (empty text: the site has none), `rest` how many
    seconds a host is still to be left alone.
    """

    robots: Mapping[str, str] = field(default_factory=dict)
    rest: Mapping[str, float] = field(default_factory=dict)

    def write(self, spool: Path) -> None:
        """Leave them where `read` looks for them."""
        data = {"robots": dict(self.robots), "rest": dict(self.rest)}
        (spool / MANNERS_FILE).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def read(cls, spool: Path) -> Manners:
        """What a worker has left. One that was cut off has left nothing, or something broken: nothing is known."""
        try:
            data = json.loads((spool / MANNERS_FILE).read_text(encoding="utf-8"))
            robots = {_text(site): _text(rules) for site, rules in data["robots"].items()}
            rest = {_text(host): float(seconds) for host, seconds in data["rest"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()
        return cls(robots=robots, rest=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker is told at its start; more `pages` may come while it works."""

    user_agent: str
    pages: tuple[PageJob, ...] = ()
    gateway: str | None = None
    allow_private_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()
    manners: Manners = field(default_factory=Manners)

    def write(self, spool: Path) -> None:
        """Write the job where the worker looks for it."""
        (spool / JOB_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, spool: Path) -> Job:
        """Read the job. A malformed one raises: only our own other half writes it."""
        data = json.loads((spool / JOB_FILE).read_text(encoding="utf-8"))
        return cls(
            pages=tuple(PageJob(**page) for page in data["pages"]),
            user_agent=data["user_agent"],
            gateway=data["gateway"],
            allow_private_hosts=tuple(data["allow_private_hosts"]),
            limits=Limits(**data["limits"]),
            manners=Manners(**data["manners"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """How reading one page ended. `body` is there exactly when the status is OK.

    `url` is the public address that answered in the end. `fresh_for` is how many seconds the answer is
    good for by the host's own word. It travels as a Scrapy item.
    """

    index: int
    status: VisitStatus
    url: str
    http_status: int | None = None
    reason: str = ""
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""
    fresh_for: int = 0
    body: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Counters:
    """What a worker has spent so far: requests sent (robots.txt included), body bytes received,
    and errors of its own (an exception in a callback or a pipeline)."""

    requests: int = 0
    bytes: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of a worker. `page` is None for a heartbeat and for the end."""

    counters: Counters
    page: PageResult | None = None
    end: bool = False


def pages_file(spool: Path, number: int) -> Path:
    """Where further pages are told."""
    return spool / f"pages-{number:d}.json"


def write_pages(spool: Path, number: int, pages: Sequence[PageJob]) -> None:
    """Tell further pages; announce them with the number afterwards."""
    data = [asdict(page) for page in pages]
    pages_file(spool, number).write_text(json.dumps(data), encoding="utf-8")


def read_pages(spool: Path, number: int) -> tuple[PageJob, ...]:
    """Further pages. A malformed file raises: only our own other half writes it."""
    path = pages_file(spool, number)
    pages = tuple(PageJob(**page) for page in json.loads(path.read_text(encoding="utf-8")))
    path.unlink()
    return pages


def body_file(spool: Path, index: int) -> Path:
    """Where the body of a page is handed over."""
    return spool / f"{index:d}.body"


def message_line(message: Message) -> str:
    """A message as a line; a page's body is left out: it goes through the spool folder."""
    page = message.page
    data: dict[str, JsonValue] = {**asdict(message.counters), "end": message.end}
    if page is not None:
        data["page"] = {**asdict(page), "status": page.status.value, "body": None}
    return json.dumps(data) + "\n"


def parse_message(line: bytes) -> Message:
    """Read a worker's line.

    Raises ProtocolError when it is anything else than what message_line writes.
    """
    try:
        data = json.loads(line)
        counters = Counters(
            requests=_whole(data["requests"]), bytes=_whole(data["bytes"]), errors=_whole(data["errors"])
        )
        page = data.get("page")
        return Message(
            counters=counters,
            page=None if page is None else _page(page),
            end=data["end"] is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"{type(error).__name__} in a line of {len(line)} bytes") from error


def _page(data: Mapping[str, JsonValue]) -> PageResult:
    code = data["http_status"]
    return PageResult(
        index=_whole(data["index"]),
        status=VisitStatus(data["status"]),
        url=_text(data["url"]),
        http_status=None if code is None else _whole(code),
        reason=_text(data["reason"]),
        media_type=_text(data["media_type"]),
        etag=_text(data["etag"]),
        last_modified=_text(data["last_modified"]),
        fresh_for=_whole(data["fresh_for"]),
    )


def _whole(value: JsonValue) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
