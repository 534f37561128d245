"""The worker: one operating-system process that reads pages.

    python -m spiders.worker SPOOL

It reads the pages of its job, then those that are announced on its standard input, until that ends.

A process of its own because a Twisted reactor starts once, and because what strangers send can at
worst take this process down. It ends by itself when the process that started it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.model import VisitStatus
from spiders.addresses import without_secrets
from spiders.protocol import (
    EXIT_CRAWL_FAILED,
    EXIT_ERRORS,
    EXIT_OK,
    Counters,
    Job,
    Manners,
    Message,
    PageJob,
    PageResult,
    body_file,
    message_line,
    read_pages,
)

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class Wire:
    """The line to the process that started this one. A broken line ends the worker at once."""

    def __init__(self, spool: Path, descriptor: int) -> None:
        self.counters = Counters()
        self._spool = spool
        self._descriptor = descriptor

    def send_page(self, result: PageResult) -> None:
        """Hand a result over; its body first, so that it is there when the line arrives."""
        if result.body is not None:
            body_file(self._spool, result.index).write_bytes(result.body)
        self._write(Message(counters=self.counters, page=result))

    def send_internal_error(self, index: int, url: str, name: str) -> None:
        """Report a page lost to an exception of our own."""
        page = PageResult(
            index=index,
            status=VisitStatus.FAILED,
            url=without_secrets(url),
            reason=f"internal error ({name})",
        )
        self._write(Message(counters=self.counters, page=page))

    def send_heartbeat(self) -> None:
        """Say that the event loop turns."""
        self._write(Message(counters=self.counters))

    def keep_manners(self, manners: Manners) -> None:
        """Leave in the spool what hosts have asked for."""
        manners.write(self._spool)

    def send_end(self) -> None:
        """Say that nothing more comes."""
        self._write(Message(counters=self.counters, end=True))

    def _write(self, message: Message) -> None:
        data = message_line(message).encode("ascii")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # Nobody listens any more. No cleaning up: reading on for nobody would be rude to the hosts.
            os._exit(EXIT_CRAWL_FAILED)


class Orders:
    """Further pages, as they are announced on standard input."""

    def __init__(self, spool: Path, descriptor: int) -> None:
        self._spool = spool
        self._descriptor = descriptor
        self._come: asyncio.Queue[tuple[PageJob, ...] | None] = asyncio.Queue()

    def listen(self) -> None:
        """Begin to listen. Call it where the event loop runs."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), name="orders", daemon=True).start()

    def at_hand(self) -> tuple[PageJob, ...]:
        """What was announced meanwhile."""
        pages: tuple[PageJob, ...] = ()
        while not self._come.empty():
            some = self._come.get_nowait()
            if some is None:
                self._come.put_nowait(None)
                break
            pages += some
        return pages

    async def next(self) -> tuple[PageJob, ...] | None:
        """What is announced next; None when no more will be."""
        return await self._come.get()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        pages: tuple[PageJob, ...] | None = ()
        while pages is not None:
            pages = self._hear()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._come.put_nowait, pages)

    def _hear(self) -> tuple[PageJob, ...] | None:
        """Wait for an announcement. Straight from the descriptor: a buffer has a lock, which a thread
        that is left waiting would hold at the end of the process."""
        line = b""
        while not line.endswith(b"\n"):
            try:
                piece = os.read(self._descriptor, 1)
            except OSError:
                return None
            if not piece:
                return None
            line += piece
        return read_pages(self._spool, int(line))


class Handover:
    """Item pipeline: hands results over as they come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Handover:
        from spiders.page_spider import spider_of

        return cls(spider_of(crawler).wire)

    def process_item(self, item: PageResult) -> PageResult:
        self._wire.send_page(item)
        return item


async def _beat(wire: Wire, seconds: float) -> None:
    while True:
        wire.send_heartbeat()
        await asyncio.sleep(seconds)


def run(job: Job, wire: Wire, orders: Orders) -> int:
    """Read the pages of a job, and those that are ordered later. Returns the exit status: EXIT_ERRORS when an error of our own cost a page."""
    from scrapy.crawler import AsyncCrawlerProcess

    from spiders.page_spider import PageSpider
    from spiders.settings import crawl_settings

    process = AsyncCrawlerProcess(crawl_settings(job))
    crawl = process.crawl(PageSpider, job=job, wire=wire, orders=orders)
    loop = asyncio.get_event_loop()
    # Nothing of what was imported will ever be garbage.
    gc.freeze()
    gc.enable()
    beat = loop.create_task(_beat(wire, job.limits.heartbeat))
    crawl.add_done_callback(lambda _: beat.cancel())
    process.start()
    wire.send_end()
    if crawl.cancelled() or crawl.exception() is not None:
        return EXIT_CRAWL_FAILED
    return EXIT_ERRORS if wire.counters.errors else EXIT_OK


def main(arguments: list[str]) -> int:
    """Read the job in the spool folder and run it."""
    spool = Path(arguments[0])
    # What anything else prints goes to standard error: standard output speaks our protocol only.
    descriptor = os.dup(1)
    os.dup2(2, 1)
    gc.disable()
    with contextlib.suppress(KeyboardInterrupt):
        return run(Job.read(spool), Wire(spool, descriptor), Orders(spool, 0))
    return EXIT_CRAWL_FAILED


if __name__ == "__main__":
    # The module under its own name: Scrapy loads `spiders.worker.Handover`, which must be this one.
    from spiders.worker import main as module_main

    sys.exit(module_main(sys.argv[1:]))
