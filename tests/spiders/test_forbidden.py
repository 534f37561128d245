"""Addresses that must never be asked: each is refused with a reason, and nothing is connected to.

The real worker reads them. Within it, every attempt to open a connection is noted, and names are
answered by a resolver of our own: what is public here is nowhere reached.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pipelines.model import Visit, VisitStatus
from spiders.addresses import refusal

GROUPS = yaml.safe_load((Path(__file__).parent / "forbidden.yaml").read_text(encoding="utf-8"))
FORBIDDEN = [(address, group["says"]) for group in GROUPS for address in group["addresses"]]
ADDRESSES = [address for address, _ in FORBIDDEN]

# What a resolver that is not ours might say. Several answers one after the other: a name that turns.
NAMES: dict[str, list[list[str]]] = {
    "127.0.0.1.wildcard.example": [["127.0.0.1"]],
    "7f000001.wildcard.example": [["127.0.0.1"]],
    "10-0-0-7.wildcard.example": [["10.0.0.7"]],
    "169-254-169-254.wildcard.example": [["169.254.169.254"]],
    "local.wildcard.example": [["::1"]],
    "mapped.wildcard.example": [["::ffff:127.0.0.1"]],
    "unique-local.wildcard.example": [["fd00:ec2::254"]],
    "translated.wildcard.example": [["64:ff9b::7f00:1"]],
    "carrier.wildcard.example": [["100.100.100.200"]],
    "nowhere.wildcard.example": [["0.0.0.0"]],
    "azure.wildcard.example": [["168.63.129.16"]],
    "all-private.wildcard.example": [["10.0.0.1", "192.168.1.1", "fe80::1", "::1"]],
}
WORKER = """
import errno, json, os, signal, socket, sys, time
import spiders.worker as worker
NOTES, NAMES, OPEN = {notes!r}, {names!r}, {open!r}

def note(what, *values):
    with open(NOTES, "a") as file:
        file.write(json.dumps([what, *values]) + "\\n")

def watched(method, refused):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            note("connect", address[0], address[1])
            if address[1] not in OPEN:
                return refused()
        return method(self, address)
    return connect

def refuse():
    raise ConnectionRefusedError(errno.ECONNREFUSED, "refused by the test")

socket.socket.connect_ex = watched(socket.socket.connect_ex, lambda: errno.ECONNREFUSED)
socket.socket.connect = watched(socket.socket.connect, refuse)

real = socket.getaddrinfo
def getaddrinfo(host, port, *arguments, **options):
    note("resolve", str(host))
    answers = NAMES.get(str(host))
    if answers:
        texts = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for text in texts for found in real(text, port, type=socket.SOCK_STREAM)]
    try:
        # Every spelling of a number is read as the system reads it; no other name leads anywhere.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.inet_ntoa(socket.inet_aton(str(host))), port))]
    except OSError:
        options = dict(type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return real("127.0.0.1" if str(host).endswith("localhost") else host, port, **options)

import twisted.internet._resolver as twisted_resolver
twisted_resolver.GAIResolver.__init__.__defaults__ = (None, getaddrinfo)
{more}
sys.exit(worker.main(sys.argv[1:]))
"""
WITHOUT_GUARD = """
import spiders.middlewares as middlewares, spiders.page_spider as page_spider
middlewares.refusal = page_spider.refusal = lambda url, allowed=(): None
"""


class Listener:
    """Counts who connects to a port of this machine, and answers like a page."""

    def __init__(self, family: int, host: str, port: int = 0) -> None:
        self.connections = 0
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.bind((host, port))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    first = Listener(socket.AF_INET, "127.0.0.1")
    found = [first]
    with contextlib.suppress(OSError):  # a machine without IPv6
        found.append(Listener(socket.AF_INET6, "::1", first.port))
    yield found
    for listener in found:
        listener.close()


class Watched:
    """Runs the worker and tells what it did."""

    def __init__(self, folder: Path, helpers: Any) -> None:
        self.notes = folder / "notes"
        self.helpers = helpers

    def read(
        self, *urls: str, names: Any = None, open: tuple[int, ...] = (), more: str = "", **changes: Any
    ) -> dict[str, Visit]:
        self.notes.write_text("")
        code = WORKER.format(notes=str(self.notes), names=names or {}, open=open, more=more)
        # Time enough for a machine that is busy: nothing here is about being late.
        changes.setdefault("limits", replace(self.helpers.FAST, timeout=20, deadline=60))
        source = self.helpers.source(command=(sys.executable, "-P", "-c", code), **changes)
        return self.helpers.visit_all(source, *urls)

    def noted(self, what: str) -> list[Any]:
        lines = (json.loads(line) for line in self.notes.read_text().splitlines())
        return [tuple(values) for kind, *values in lines if kind == what]


@pytest.fixture
def watched(tmp_path: Path, helpers: Any) -> Watched:
    return Watched(tmp_path, helpers)


def test_the_list_is_long_and_each_address_stands_in_it_once() -> None:
    assert len(ADDRESSES) == len(set(ADDRESSES)) >= 150


@pytest.mark.parametrize(("address", "says"), FORBIDDEN)
def test_each_is_refused_by_what_it_says(address: str, says: str) -> None:
    reason = refusal(address)
    assert reason is not None
    assert reason.startswith("refused: ")
    assert says in reason
    assert reason.isprintable()
    assert "hunter2" not in reason


def test_none_is_connected_to_whatever_way_leads_there(watched: Watched, new_site: Callable[[], Any]) -> None:
    """As a page, as the target of a redirect, as the target of a meta refresh."""
    site = new_site()
    port = int(site.place.rsplit(":", 1)[1])
    ways: dict[str, str] = {}
    for index, address in enumerate(ADDRESSES):
        if address.isprintable():
            location, refresh = f"/location/{index}", f"/refresh/{index}"
            ways[site.base + location] = ways[site.base + refresh] = address
            site.redirect(location, address.encode().decode("latin-1"))
            site.page(refresh, f'<meta http-equiv="refresh" content="0; url={address}"><p>Read on there.</p>')
    visits = watched.read(*ADDRESSES, *ways, open=(port,), allow_private_hosts=frozenset([site.place]))
    for address in ADDRESSES:
        assert visits[address].status is VisitStatus.FAILED, address
        assert visits[address].reason.startswith("refused: "), address
        assert "hunter2" not in visits[address].url
    refused = 0
    for way, address in ways.items():
        visit = visits[way]
        if visit.reason.startswith("refused: "):
            refused += 1
        elif visit.reason != "redirected to a malformed address":
            # Not followed at all, or read as browsers do: as a path of the site itself.
            assert urlsplit(visit.url).netloc == site.place, (address, visit)
            assert visit.status in (VisitStatus.FAILED, VisitStatus.MISSING, VisitStatus.OK)
    assert refused > 200
    assert set(watched.noted("connect")) == {("127.0.0.1", port)}


def test_without_the_guard_the_resolver_alone_lets_none_be_connected_to(
    watched: Watched, listeners: list[Listener]
) -> None:
    port = listeners[0].port
    hosts = dict.fromkeys(
        host for address in ADDRESSES if (host := _host(address)) and not host.endswith(".example")
    )
    assert len(hosts) > 100
    urls = [f"http://{host}:{port}/" for host in hosts]
    visits = watched.read(*urls, open=(port,), more=WITHOUT_GUARD)
    assert {visit.status for visit in visits.values()} == {VisitStatus.FAILED}
    assert watched.noted("connect") == []
    assert [listener.connections for listener in listeners] == [0] * len(listeners)


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        return f"[{host}]" if ":" in host else host
    except ValueError:
        return ""


def test_a_name_is_judged_by_every_address_that_it_resolves_to(
    watched: Watched, listeners: list[Listener]
) -> None:
    port = listeners[0].port
    visits = watched.read(*(f"http://{name}/" for name in NAMES), names=NAMES)
    for visit in visits.values():
        assert visit.status is VisitStatus.FAILED
        assert "is not a public address (it resolves to " in visit.reason
    assert watched.noted("connect") == []
    # The same at the port of a listener, were another port let through.
    visits = watched.read(
        *(f"http://{name}:{port}/" for name in NAMES), names=NAMES, open=(port,), more=WITHOUT_GUARD
    )
    assert {visit.status for visit in visits.values()} == {VisitStatus.FAILED}
    assert watched.noted("connect") == []
    assert [listener.connections for listener in listeners] == [0] * len(listeners)


def test_the_connection_is_made_to_the_address_that_was_checked(watched: Watched) -> None:
    """Of mixed answers the public one is taken; a name that turns private after it was checked gains nothing."""
    names = {
        "mixed.example": [["10.0.0.1", "93.184.216.34", "127.0.0.1"]],
        "turning.example": [["93.184.216.35"], ["127.0.0.1"]],
        "turned.example": [["127.0.0.1"], ["93.184.216.36"]],
    }
    visits = watched.read(*(f"http://{name}/" for name in names), names=names)
    assert {visit.status for visit in visits.values()} == {VisitStatus.FAILED}
    assert {place for place, _ in watched.noted("connect")} <= {"93.184.216.34", "93.184.216.35"}
    assert ("93.184.216.34", 80) in watched.noted("connect")
    assert ("93.184.216.35", 80) in watched.noted("connect")
    # One question a name and connection: nothing is asked again between the check and the connection.
    assert watched.noted("resolve").count(("turning.example",)) == 1


def test_through_a_gateway_none_is_asked_for(watched: Watched, new_site: Callable[[], Any]) -> None:
    gateway = new_site()
    port = int(gateway.place.rsplit(":", 1)[1])
    visits = watched.read(
        *ADDRESSES,
        gateway=gateway.base + "/web/{scheme}/{host}{path}",
        allow_private_hosts=frozenset([gateway.place]),
        open=(port,),
    )
    assert all(visit.reason.startswith("refused: ") for visit in visits.values())
    assert gateway.seen == []
    assert watched.noted("connect") == []
