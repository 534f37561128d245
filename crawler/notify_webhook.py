"""The morning report as a POST of JSON: `text` for chat tools, everything else under `openness`.

With a secret it is signed by the Standard Webhooks convention: the header `webhook-signature` is
`v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`, with the headers `webhook-id` and
`webhook-timestamp`. A try that is repeated carries the same id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import requests

from crawler.notify_message import DeliveryError, Message
from crawler.settings import Settings

PATIENCE = (5.0, 10.0)
"""Seconds for the connection, and for the answer."""

PAUSE = 1.0
"""Seconds before a second try; twice as long before a third."""

LONGEST_WAIT = 10.0
"""Seconds that the other side may ask us to wait."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_PREFIX = "whsec_"


class _Passing(DeliveryError):
    """What a second try may better. `wait` in seconds, where the other side has said it."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


def post_message(
    settings: Settings,
    message: Message,
    now: datetime,
    *,
    tries: int = 3,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Post a message to OPENNESS_WEBHOOK_URL. Redirects are not followed. Raises DeliveryError."""
    assert settings.webhook_url is not None
    url = settings.webhook_url.get_secret_value()
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    body = json.dumps({"text": message.chat, "openness": dict(message.values)}).encode("ascii")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": settings.user_agent,
        "webhook-id": f"msg_{secrets.token_hex(12)}",
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if secret:
        headers["webhook-signature"] = signature(
            secret, headers["webhook-id"], headers["webhook-timestamp"], body
        )
    for turn in range(1, tries + 1):
        try:
            _post(url, body, headers)
            return
        except _Passing as error:
            if turn == tries:
                raise
            sleep(min(LONGEST_WAIT, PAUSE * turn if error.wait is None else error.wait))


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a body. A secret that begins with `whsec_` is base64, any other is taken as it is."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise DeliveryError("OPENNESS_WEBHOOK_SECRET begins with whsec_, but no base64 follows") from None
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """One try. No error repeats the address: it is a secret."""
    with requests.Session() as session:
        # Without this a netrc of the user would add a password.
        session.auth = lambda request: request
        try:
            with session.post(
                url, data=body, headers=dict(headers), timeout=PATIENCE, allow_redirects=False, stream=True
            ) as answer:
                status, wait = answer.status_code, answer.headers.get("retry-after", "")
        except requests.exceptions.SSLError:
            raise DeliveryError("the certificate of the webhook is not valid, or TLS failed") from None
        except requests.exceptions.Timeout:
            raise _Passing("the webhook gave no answer in time") from None
        except requests.exceptions.ConnectionError:
            raise _Passing("no connection to the webhook") from None
        except requests.exceptions.RequestException as error:
            raise DeliveryError(f"the webhook could not be asked: {type(error).__name__}") from None
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryError(f"the webhook answered {status}: redirects are not followed")
    if status in _AGAIN:
        raise _Passing(f"the webhook answered {status}", float(wait) if wait.isdecimal() else None)
    raise DeliveryError(f"the webhook answered {status}")
