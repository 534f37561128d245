"""Misbehaviour on demand: answers that are late, cut, false, endless or none at all.

| kind            | what the client sees                                                         |
|-----------------|------------------------------------------------------------------------------|
| `status`        | that status (500), with Retry-After where `retry_after` is given             |
| `reset`         | a TCP reset, no answer                                                       |
| `hang`          | nothing for `seconds` (3600), then a reset                                   |
| `slow`          | the right answer, dripped over `seconds` (5)                                 |
| `truncate`      | the right Content-Length, half of the body, then a closed connection         |
| `garbage`       | 200 and random bytes under the right content type                            |
| `huge`          | 200 and `size` bytes (256 MB) without a Content-Length                       |
| `redirect_loop` | 302 to itself                                                                |
| `login_page`    | 302 to a page that asks for a password; with `status` 200 that page at once  |
| `bot_wall`      | 200 and a page that wants to know whether a human asks                       |
| `script_page`   | 200 and a page that would be drawn by JavaScript                             |
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Kind = Literal[
    "status",
    "reset",
    "hang",
    "slow",
    "truncate",
    "garbage",
    "huge",
    "redirect_loop",
    "login_page",
    "bot_wall",
    "script_page",
]
KINDS: tuple[str, ...] = get_args(Kind)
HTML = "text/html; charset=utf-8"

# The key under which server.py leaves the transport of a connection in the scope of its requests.
TRANSPORT = "sandbox.transport"

LOGIN = b"""<!DOCTYPE html>
<html lang="en"><head><title>Sign in to continue</title></head>
<body><h1>Sign in</h1><p>You need an account to see this page.</p>
<form method="post" action="/login"><label>User name <input name="user"></label>
<label>Password <input type="password" name="password"></label><button>Sign in</button></form></body></html>
"""

WALL = b"""<!DOCTYPE html>
<html lang="en"><head><title>Just a moment...</title></head>
<body><h1>One more step</h1><p>Verify that you are human. This takes a second.</p>
<script src="/challenge.js"></script></body></html>
"""
SCRIPTED = b"""<!DOCTYPE html>
<html lang="en"><head><title>Welcome</title></head>
<body><noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div>
<script src="/static/app.js"></script></body></html>
"""
PAGES = {"bot_wall": WALL, "script_page": SCRIPTED}


@dataclass(slots=True, kw_only=True)
class Fault:
    """A rule: requests whose path and query the pattern is found in are answered wrongly.

    `times` is how many are left, None for all.
    """

    pattern: re.Pattern[str]
    kind: Kind
    times: int | None = None
    status: int | None = None
    retry_after: int | None = None
    seconds: float | None = None
    size: int = 256_000_000


class Faults:
    """ASGI middleware that applies the first rule that fits."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a rule; earlier ones win."""
        if fault.kind not in KINDS:
            raise ValueError(f"no such kind of fault: {fault.kind}; there are {', '.join(KINDS)}")
        self.rules.append(fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        fault = self._take(target)
        if fault is None:
            if _is_login(scope["path"]) and self.rules:
                await _login(200)(scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        scope["sandbox.fault"] = fault.kind
        await self._misbehave(fault, target, scope, receive, send)

    def _take(self, target: str) -> Fault | None:
        if _is_login(target.partition("?")[0]):
            return None
        for fault in self.rules:
            if fault.times != 0 and fault.pattern.search(target):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def _misbehave(self, fault: Fault, target: str, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "status":
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
            body = Response("the sandbox was told to fail here\n", fault.status or 500, headers)
            await body(scope, receive, send)
        elif fault.kind == "redirect_loop":
            await RedirectResponse(quote(target, safe="/?=&%:+,"), 302)(scope, receive, send)
        elif fault.kind == "login_page":
            await _login(fault.status or 302, scope["path"])(scope, receive, send)
        elif fault.kind in PAGES:
            await Response(PAGES[fault.kind], media_type=HTML)(scope, receive, send)
        elif fault.kind == "reset":
            reset(scope)
        elif fault.kind == "hang":
            await _hang(3600.0 if fault.seconds is None else fault.seconds, receive)
            reset(scope)
        elif fault.kind == "huge":
            await _send_huge(fault.size, send)
        else:
            await self._spoil(fault, scope, receive, send)

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Get the right answer and hand on a spoiled one."""
        start: Message = {}
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, keep)
        body = b"".join(parts)
        if fault.kind == "garbage":
            body = random.Random(len(body)).randbytes(max(64, len(body)))
            headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            start.update(status=200, headers=[*headers, (b"content-length", str(len(body)).encode())])
        await send(start)
        if fault.kind == "truncate":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            scope[TRANSPORT].close()
        elif fault.kind == "slow":
            pieces = 20
            step = -(-len(body) // pieces) or 1
            for begin in range(0, len(body), step):
                await asyncio.sleep((5.0 if fault.seconds is None else fault.seconds) / pieces)
                piece = body[begin : begin + step]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": body})


def reset(scope: Scope) -> None:
    """Break the connection so that the client's system reports a reset."""
    transport = scope[TRANSPORT]
    if transport.is_closing():
        return
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


async def _hang(seconds: float, receive: Receive) -> None:
    """Wait until the client goes away or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass


async def _send_huge(size: int, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    line = b"A line of a file that has no end in sight.\n" * 2000
    left = size
    while left > 0:
        await send({"type": "http.response.body", "body": line[:left], "more_body": True})
        left -= len(line)
        # Without a pause a client that has gone away would not be noticed.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def _is_login(path: str) -> bool:
    return path.endswith("/login")


def _login(status: int, path: str = "") -> Response:
    if status == 200:
        return Response(LOGIN, media_type=HTML)
    parts = path.split("/")
    place = "/".join(parts[:4]) if path.startswith("/web/") else ""
    return RedirectResponse(f"{place}/login?return_to={quote(path, safe='')}", status)
