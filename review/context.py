"""What the desk works with: database, archive, rubric, clock and options. Made by `openness review`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import Engine

from db.values import BodyArchive
from pipelines.errors import OpennessError
from pipelines.rubric import Rubric
from review.passages import Texts


class SignInError(OpennessError):
    """An outside service did not tell who somebody is. The message may be shown."""


class GitHubSignIn(Protocol):
    """Sign-in with an account at GitHub: its network part, which `crawler.github_sign_in` has."""

    def authorize_url(self, *, state: str, verifier: str, redirect_uri: str) -> str:
        """Where the browser is sent to."""
        ...

    def fetch_login(self, *, code: str, verifier: str, redirect_uri: str) -> str:
        """The login name that a code stands for. Raises SignInError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOptions:
    """What the settings say of the desk.

    `base_url`: the public address without a slash at its end; with https cookies are secure ones.
    `public_read`: pages may be read without signing in. `second_opinions`: the share of cells that are
    asked of a second curator, 0 to 1. `disputes`: producers may file one. `session_hours`: how long a
    sign-in lasts. `seeds`: the seed file, which the desk may edit.
    """

    base_url: str = "http://127.0.0.1:8700"
    public_read: bool = False
    second_opinions: float = 0.0
    disputes: bool = False
    session_hours: int = 12
    seeds: Path = Path("seeds.yaml")
    github: GitHubSignIn | None = None

    @property
    def is_https(self) -> bool:
        """Is the desk reached by https, so that cookies may be marked as secure?"""
        return self.base_url.startswith("https:")

    @property
    def hosts(self) -> frozenset[str]:
        """What the Host header of a request may say: the host of the address, on loopback each of its names."""
        parts = urlsplit(self.base_url)
        port = f":{parts.port}" if parts.port else ""
        names = {parts.hostname or ""}
        if names & _LOOPBACK:
            names = set(_LOOPBACK)
        return frozenset(f"{f'[{name}]' if ':' in name else name}{port}" for name in names)


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewContext:
    """What every page may use.

    `start_visit(slug, curator)` has a project visited again in the background and says in a sentence what it
    has begun, or why it has not; None where visits cannot be started from here. `secret` signs what browsers
    keep for a few minutes; a new one with every start is enough.
    """

    engine: Engine
    archive: BodyArchive
    rubric: Rubric
    clock: Callable[[], datetime]
    options: ReviewOptions = field(default_factory=ReviewOptions)
    start_visit: Callable[[str, str], str] | None = None
    texts: Texts = field(default_factory=Texts, repr=False)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
