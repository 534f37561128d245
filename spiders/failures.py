"""Why there was no complete answer, in one line of our own words."""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    NotSupported,
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.web.client import ResponseFailed

from spiders.addresses import shown
from spiders.connection import OversizedHead
from spiders.protocol import Limits
from spiders.resolver import refused_hosts

REDIRECT_OVERFLOW = "max redirections reached"
_BROKEN = "the connection broke off or the answer is not HTTP"


class UnreadableBody(IgnoreRequest):
    """The body cannot be unpacked within the limits."""


class TooLargeUnpacked(UnreadableBody):
    """The body is larger than it may be, however small it was packed."""


class Refused(IgnoreRequest):
    """The address guard lets the request not out."""


class RobotsDisallow(IgnoreRequest):
    """A rule of the host's robots.txt disallows the page."""

    def __init__(self, host: str) -> None:
        super().__init__(f"robots.txt of {shown(host)} disallows it")


class RobotsUnreadable(IgnoreRequest):
    """What the host allows is not known: nothing is read from it tonight."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"robots.txt of {shown(host)} cannot be read: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReason:
    """`expected` is False for what no host can bring about: a defect of ours, to be counted."""

    text: str
    expected: bool = True


def is_redirect_overflow(error: BaseException) -> bool:
    """Did Scrapy's redirect middleware give up?"""
    return type(error) is IgnoreRequest and str(error) == REDIRECT_OVERFLOW


def is_timeout(error: BaseException) -> bool:
    """Did no complete answer come in time?"""
    return isinstance(error, DownloadTimeoutError)


def is_fleeting(error: BaseException) -> bool:
    """May a second try go better? Not where there is no such host, or nobody answers, or something is refused."""
    if isinstance(error, (DownloadTimeoutError, ResponseDataLossError, ConnectionClosed)):
        return True
    return type(error) is DownloadFailedError and _broken_answer(error) == _BROKEN


def failure_reason(error: BaseException, limits: Limits, host: str = "") -> FailureReason:
    """What an exception of the downloader means.

    The text of exceptions not our own may quote a stranger: it is not used.
    """
    if is_redirect_overflow(error):
        return FailureReason(text=f"more than {limits.redirects} redirects")
    if isinstance(error, IgnoreRequest):
        return FailureReason(text=str(error))
    if isinstance(error, CannotResolveHostError):
        return FailureReason(text=_unresolved(host))
    if isinstance(error, DownloadTimeoutError):
        return FailureReason(text=f"no complete answer within {limits.timeout:g} s")
    if isinstance(error, DownloadCancelledError):
        return FailureReason(text=f"too large: more than {limits.max_size} bytes")
    if isinstance(error, ResponseDataLossError):
        return FailureReason(text="truncated: the connection ended before the answer was complete")
    if isinstance(error, DownloadConnectionRefusedError):
        return FailureReason(text="connection refused")
    if isinstance(error, DownloadFailedError):
        return FailureReason(text=_broken_answer(error))
    if isinstance(error, SSL.Error):
        return FailureReason(text="the TLS handshake failed or the certificate is not valid")
    if isinstance(error, (ConnectError, ConnectionClosed, OSError)):
        return FailureReason(text=f"no connection ({type(error).__name__})")
    if isinstance(error, (NotSupported, UnsupportedURLSchemeError)):
        return FailureReason(text="refused: only http and https addresses are read")
    if isinstance(error, ValueError):
        # urljoin and Request refuse what a Location header held.
        return FailureReason(text="redirected to a malformed address")
    return FailureReason(text=f"internal error ({type(error).__name__})", expected=False)


def _unresolved(host: str) -> str:
    if host in refused_hosts:
        return f"refused: {shown(host)} is not a public address (it resolves to {shown(refused_hosts[host])})"
    return f"{shown(host) or 'the host'} cannot be resolved"


def _broken_answer(error: DownloadFailedError) -> str:
    cause = error.__cause__
    reasons = cause.reasons if isinstance(cause, ResponseFailed) else []
    if any(reason.check(OversizedHead) for reason in reasons):
        return "too large: the headers do not end"
    if any(reason.check(SSL.Error) for reason in reasons):
        return "the TLS handshake failed or the certificate is not valid"
    return _BROKEN
