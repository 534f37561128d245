"""Making visits: the few ways in which reading one part of an artifact can end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from crawler.http import Unread
from pipelines.model import Capture, Validators, Visit, VisitRequest, VisitStatus, digest_bytes

Item = TypeVar("Item")
Result = TypeVar("Result")

INCOMPLETE = "incomplete"
"""Last word of the main part's token while some part could not be read: then an unchanged artifact
is gone through again next night, instead of being passed over with a hole in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Makes the visits of one request; asks the clock once for each."""

    request: VisitRequest
    clock: Callable[[], datetime]

    def known(self, part: str) -> Validators | None:
        return self.request.known.get(part)

    def read(self, part: str, url: str, capture: Capture, http_status: int = 200) -> Visit:
        """The bytes of a part: unchanged where they are the ones stored.

        With the names that the service has for them now: a counter that is no part of a document
        changes its ETag, and with the old one every night would ask in vain.
        """
        stored = self.known(part)
        if stored is None or stored.sha256 != digest_bytes(capture.body):
            return self._handed_over(part, url, capture, http_status)
        visit = self.unchanged(part, url, http_status)
        newer = _newer(stored, capture)
        return visit if newer == stored else replace(visit, validators=newer)

    def read_main(self, part: str, url: str, capture: Capture, http_status: int = 200) -> Visit:
        """The bytes of the main part. A new token is handed over with the old bytes: it says where
        reading stood."""
        stored = self.known(part)
        if stored and stored.token != capture.token:
            return self._handed_over(part, url, capture, http_status)
        return self.read(part, url, capture, http_status)

    def _handed_over(self, part: str, url: str, capture: Capture, http_status: int) -> Visit:
        return Visit(
            ref=self.request.ref,
            part=part,
            url=url,
            at=self.clock(),
            status=VisitStatus.OK,
            capture=capture,
            http_status=http_status,
        )

    def unchanged(self, part: str, url: str, http_status: int | None = None) -> Visit:
        return self._without(part, url, VisitStatus.UNCHANGED, "", http_status)

    def missing(self, part: str, url: str, reason: str) -> Visit:
        return self._without(part, url, VisitStatus.MISSING, reason, None)

    def unread(self, part: str, url: str, error: Unread) -> Visit:
        return self._without(part, url, error.status, error.reason, error.http_status)

    def _without(
        self, part: str, url: str, status: VisitStatus, reason: str, http_status: int | None
    ) -> Visit:
        return Visit(
            ref=self.request.ref,
            part=part,
            url=url,
            at=self.clock(),
            status=status,
            http_status=http_status,
            reason=reason,
        )


def _newer(stored: Validators, capture: Capture) -> Validators:
    """What is stored of a part, with what the service calls it now where it says so."""
    return replace(
        stored,
        etag=capture.etag or stored.etag,
        last_modified=capture.last_modified or stored.last_modified,
        token=capture.token or stored.token,
    )


def is_complete(visits: Iterable[Visit]) -> bool:
    """Whether nothing is left to ask again: no part was denied or failed."""
    return not any(visit.status in (VisitStatus.DENIED, VisitStatus.FAILED) for visit in visits)


def as_done(
    pool: Executor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    ahead: int,
    is_closed: Callable[[], bool],
) -> Iterator[Result]:
    """The results in the order in which they come, at most `ahead` of them waiting or under way.

    However many items there are, no more results than that are held. What has not begun when the
    caller leaves is not begun; where the source is closed meanwhile, they end.
    """
    waiting = iter(items)
    pending: set[Future[Result]] = set()
    try:
        while True:
            for item in waiting:
                pending.add(pool.submit(work, item))
                if len(pending) >= ahead:
                    break
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except (CancelledError, RuntimeError):
        # A pool that was shut down cancels what waits and takes nothing more.
        if not is_closed():
            raise
    finally:
        for future in pending:
            future.cancel()
