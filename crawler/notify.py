"""Sending the morning report: by mail and to a webhook, where they are set.

That it cannot be sent changes nothing of a run, its exit code included: that tells how the night
went. It is said in the log, in the report, and in the metrics.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from crawler.notify_mail import send_mail
from crawler.notify_message import DeliveryError, Message
from crawler.notify_webhook import post_message
from crawler.report.verdict import has_news, has_problem
from crawler.setting_values import Channel, Notify
from crawler.settings import Settings
from pipelines.errors import UsageError
from pipelines.model import JsonValue

log = logging.getLogger(__name__)

SEND_SECONDS = 60.0
"""How long sending may take in all, before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How sending went by one channel; `reason` is empty where it went well."""

    channel: Channel
    ok: bool
    reason: str = ""

    def as_json(self) -> dict[str, JsonValue]:
        """For the report."""
        return {"channel": self.channel, "ok": self.ok, "reason": self.reason}


def wants(notify: Notify, report: Mapping[str, JsonValue]) -> bool:
    """Is a report to be sent?"""
    if notify is Notify.ALWAYS:
        return True
    return has_problem(report) or (notify is Notify.CHANGES and has_news(report))


def missing_settings(settings: Settings) -> list[str]:
    """The variables without which no mail can be sent although others of them are set."""
    if "mail" not in settings.channels:
        return []
    values = {
        "OPENNESS_MAIL_TO": settings.mail_to,
        "OPENNESS_MAIL_FROM": settings.mail_from,
        "OPENNESS_SMTP_URL": settings.smtp_url,
    }
    return [name for name, value in values.items() if not value]


def require_channel(settings: Settings) -> None:
    """Raises UsageError when nothing can be sent, with what is missing."""
    if not settings.channels:
        raise UsageError(
            "nothing says where to send the report: set OPENNESS_WEBHOOK_URL, or OPENNESS_MAIL_TO, "
            "OPENNESS_MAIL_FROM and OPENNESS_SMTP_URL"
        )
    if missing := missing_settings(settings):
        raise UsageError(f"no mail can be sent: {', '.join(missing)} is not set")


def send(
    settings: Settings,
    message: Message,
    now: datetime,
    *,
    seconds: float = SEND_SECONDS,
    tries: int = 3,
) -> list[Delivery]:
    """Send a message by every channel that is set, at the same time; how it went, in a fixed order.

    Never raises for what a server does, and takes no longer than `seconds`.
    """
    ways: dict[Channel, Callable[[], None]] = {
        "mail": lambda: _send_mail(settings, message, now, tries),
        "webhook": lambda: post_message(settings, message, now, tries=tries),
    }
    wanted = settings.channels
    results: dict[Channel, Delivery] = {}

    def run(channel: Channel) -> None:
        results[channel] = _tried(channel, ways[channel])

    # Daemons: a server that never lets go must not keep the process alive.
    threads = [
        threading.Thread(target=run, args=(name,), name=f"send-{name}", daemon=True) for name in wanted
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"given up after {seconds:g} s"
    done = [results.get(name) or Delivery(channel=name, ok=False, reason=late) for name in wanted]
    for delivery in done:
        if delivery.ok:
            log.info("the report was sent by %s", delivery.channel)
        else:
            log.warning("the report could not be sent by %s: %s", delivery.channel, delivery.reason)
    return done


def _tried(channel: Channel, way: Callable[[], None]) -> Delivery:
    try:
        way()
    except DeliveryError as error:
        return Delivery(channel=channel, ok=False, reason=str(error))
    except Exception as error:
        # Not its text: an address in it may be a secret.
        log.debug("sending by %s broke off", channel, exc_info=True)
        return Delivery(channel=channel, ok=False, reason=f"internal error: {type(error).__name__}")
    return Delivery(channel=channel, ok=True)


def _send_mail(settings: Settings, message: Message, now: datetime, tries: int) -> None:
    if missing := missing_settings(settings):
        raise DeliveryError(f"{', '.join(missing)} is not set")
    send_mail(settings, message, now, tries=tries)


def host_name() -> str:
    """The machine, as a message names it."""
    return socket.gethostname()
