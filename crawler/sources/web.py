"""Web pages: artifacts that have no API.

Part: `page`, the raw bytes of the page.

A page is asked for with its stored validators (RFC 9111); one that the host has called good for longer is
not asked for again before, within the same night. A page with other bytes that says the same (see
`pipelines.meaning`) is unchanged: the snapshot that stands says what there is to be read.

The pages are read by a worker, an operating-system process of its own (`spiders.worker`), which stays for
the pages of further calls. This module takes over what it reads as it comes, and turns a worker that
crashed, was killed, hangs or takes too long into failed visits of the pages that are still missing.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from crawler.sources.base import Allowance, Usage
from crawler.sources.web_reader import PageLost, PageReader
from pipelines.errors import UsageError
from pipelines.model import (
    ArtifactKind,
    ArtifactRef,
    Capture,
    Validators,
    Visit,
    VisitRequest,
    VisitStatus,
    digest_bytes,
)
from spiders.addresses import without_secrets
from spiders.gateway import Gateway, GatewayError
from spiders.protocol import Job, Limits, PageJob, PageResult, body_file
from spiders.revalidation import Remembered, place_of

logger = logging.getLogger(__name__)

PART = "page"
WORKER = (sys.executable, "-P", "-m", "spiders.worker")


class WebSource:
    """Reads web pages through a worker process. Several calls at a time share it.

    `gateway` is an address template, see `spiders.gateway`; `allow_private_hosts` holds `host:port`.
    `limits` are the worker's; `stall` is the longest silence of a worker, in seconds: it says every
    few seconds that it lives. `clock` gives the time of a visit. `command` starts a worker; the
    spool folder is appended. Raises UsageError when the gateway's template is malformed.
    """

    name = "web"
    kinds = frozenset({ArtifactKind.WEB})

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Callable[[], datetime],
        gateway: str | None = None,
        allow_private_hosts: frozenset[str] = frozenset(),
        limits: Limits | None = None,
        stall: float = 60.0,
        command: Sequence[str] = WORKER,
    ) -> None:
        if gateway:
            try:
                Gateway(gateway)
            except GatewayError as error:
                raise UsageError(f"OPENNESS_WEB_GATEWAY: {error}") from error
        if not user_agent.isascii() or not user_agent.isprintable():
            raise UsageError("OPENNESS_USER_AGENT: a user agent is one line of ASCII characters")
        self._clock = clock
        job = Job(
            user_agent=user_agent,
            gateway=gateway or None,
            allow_private_hosts=tuple(sorted(host.strip().lower() for host in allow_private_hosts)),
            limits=limits or Limits(),
        )
        self._reader = PageReader(command, job, stall)
        self._indexes = itertools.count()

    def prepare(self) -> None:
        """Start the worker ahead of the first page."""
        self._reader.prepare()

    def fetch_allowance(self) -> Allowance | None:
        """Sites name no limit: their pace is kept page by page."""
        return None

    @property
    def usage(self) -> Usage:
        """Requests (robots.txt and redirects included) and body bytes; nothing is charged for."""
        spent = self._reader.spent()
        return Usage(requests=spent.requests, bytes=spent.bytes)

    def close(self) -> None:
        """End the worker if it is still running."""
        self._reader.close()

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        """Read the pages and yield a visit for each, in the order in which they answer."""
        pages: dict[int, VisitRequest] = {}
        for request in requests:
            if request.ref.kind is not ArtifactKind.WEB:
                yield self._failed(request.ref, "not a web page")
            elif (until := self._fresh_until(request)) is not None:
                yield self._unasked(request, until)
            else:
                pages[next(self._indexes)] = request
        if not pages:
            return
        try:
            coming = self._reader.read([_page_job(index, request) for index, request in pages.items()])
        except OSError as error:
            logger.error("the web worker cannot be started: %s", error)
            for request in pages.values():
                yield self._failed(request.ref, f"the web worker cannot be started ({type(error).__name__})")
            return
        for come in coming:
            if isinstance(come, PageLost):
                yield self._failed(pages[come.index].ref, come.reason)
            else:
                page, spool = come
                yield self._visit_of(pages[page.index], page, spool)

    def _fresh_until(self, request: VisitRequest) -> datetime | None:
        """Until when the page is good by its host's own word; None when it is to be asked for."""
        known = request.known.get(PART, Validators())
        until = Remembered.of(known.token).fresh_until
        if not known.sha256 or request.was_missing or until is None or until <= self._clock():
            return None
        return until

    def _unasked(self, request: VisitRequest, until: datetime) -> Visit:
        return Visit(
            ref=request.ref,
            part=PART,
            url=without_secrets(request.ref.id),
            at=self._clock(),
            status=VisitStatus.UNCHANGED,
            reason=f"not asked again: good until {until:%H:%M} UTC by its own Cache-Control",
        )

    def _visit_of(self, request: VisitRequest, page: PageResult, spool: Path) -> Visit:
        known, at = request.known.get(PART, Validators()), self._clock()
        visit = Visit(
            ref=request.ref,
            part=PART,
            url=page.url,
            at=at,
            status=VisitStatus.FAILED,
            http_status=page.http_status,
            reason=page.reason,
        )
        fresh_until = at + timedelta(seconds=page.fresh_for) if page.fresh_for else None
        before = Remembered.of(known.token)
        if page.status is VisitStatus.UNCHANGED:
            # RFC 9111, section 4.3.4: what the answer says anew replaces what was stored.
            remembered = replace(before, place=before.place or place_of(page.url), fresh_until=fresh_until)
            told = replace(
                known,
                etag=page.etag or known.etag,
                last_modified=page.last_modified or known.last_modified,
                token=remembered.token(),
            )
            return replace(visit, status=VisitStatus.UNCHANGED, validators=told)
        if page.status is not VisitStatus.OK:
            return replace(visit, status=page.status)
        body = _read_body(spool, page.index)
        if body is None:
            return replace(visit, reason="the web worker handed over no body")
        sha256 = digest_bytes(body)
        is_same = sha256 == known.sha256
        meaning = before.meaning if is_same and before.meaning else _meaning(body, page)
        remembered = Remembered(meaning=meaning, place=place_of(page.url), fresh_until=fresh_until)
        if is_same or (known.sha256 and meaning and meaning == before.meaning):
            told = Validators(
                sha256=known.sha256,
                etag=page.etag,
                last_modified=page.last_modified,
                token=remembered.token(),
            )
            reason = "" if is_same else "other bytes that say the same"
            return replace(visit, status=VisitStatus.UNCHANGED, validators=told, reason=reason)
        capture = Capture(
            body=body,
            media_type=page.media_type,
            etag=page.etag,
            last_modified=page.last_modified,
            token=remembered.token(),
        )
        return replace(visit, status=VisitStatus.OK, capture=capture)

    def _failed(self, ref: ArtifactRef, reason: str) -> Visit:
        return Visit(
            ref=ref,
            part=PART,
            url=without_secrets(ref.id),
            at=self._clock(),
            status=VisitStatus.FAILED,
            reason=reason,
        )


def _meaning(body: bytes, page: PageResult) -> str:
    # What reads HTML is slow to import, and not needed where nothing has changed.
    from pipelines.meaning import page_meaning

    try:
        return page_meaning(body, page.media_type, page.url)
    except Exception:
        # A page that the reader chokes on is compared by its bytes.
        logger.exception("what %s says could not be told", page.url)
        return ""


def _page_job(index: int, request: VisitRequest) -> PageJob:
    known = request.known.get(PART, Validators())
    place = Remembered.of(known.token).place
    return PageJob(
        index=index, url=request.ref.id, etag=known.etag, last_modified=known.last_modified, place=place
    )


def _read_body(spool: Path, index: int) -> bytes | None:
    path = body_file(spool, index)
    try:
        body = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        path.unlink()
    return body
