"""What values of settings have to look like. Messages tell the rule and never the value: it may be a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
"""A plain mail address, without a name and without angle brackets."""


Channel = Literal["mail", "webhook"]
"""By what a report is sent."""


class Notify(StrEnum):
    """After which nights the report is sent."""

    ALWAYS = "always"
    CHANGES = "changes"
    PROBLEMS = "problems"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in. `tls_at_once`: encrypted from the first byte (smtps), else by STARTTLS."""

    host: str
    port: int
    user: str
    password: str
    tls_at_once: bool

    @property
    def is_local(self) -> bool:
        """Is it on this machine, so that nothing leaves it unencrypted?"""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def service_address(value: str) -> str:
    """An absolute http(s) address without credentials, and without the slash at its end."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a web address") from None
    if parts.scheme not in ("http", "https") or not host or any(character.isspace() for character in value):
        raise ValueError("has to be an absolute http or https address")
    if "@" in parts.netloc:
        raise ValueError("must not have credentials in it")
    return value.rstrip("/")


def header_text(value: str) -> str:
    """Text that can stand in a request header."""
    if not value.isascii() or not value.isprintable():
        raise ValueError("has to be printable ASCII, as it is sent in a header")
    return value


def split_at_commas(value: object) -> object:
    """The parts of a text between commas; what is no text stays as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def host_and_port(entry: str) -> str:
    """One `host:port`, in lower case; an IPv6 address stands in brackets."""
    try:
        parts = urlsplit(f"//{entry}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or parts.query or parts.fragment or "@" in entry:
        raise ValueError(f"has to list host:port, which {entry!r} is not")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def mail_address(value: str) -> str:
    """A plain mail address; empty stays empty."""
    value = value.strip()
    if value and not _ADDRESS.fullmatch(value):
        raise ValueError("has to be a plain mail address, such as someone@example.org")
    return value


def mail_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    """Plain mail addresses, each once."""
    return tuple(dict.fromkeys(mail_address(value) for value in values))


def mail_server(url: SecretStr) -> MailServer:
    """The mail server of an address smtps://user:password@host or smtp://host:587."""
    try:
        parts = urlsplit(url.get_secret_value().strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not the address of a mail server") from None
    if parts.scheme not in ("smtp", "smtps") or not host:
        raise ValueError("has to look like smtps://user:password@host or smtp://host:587")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "must have nothing behind the host; special characters of a password are written as %XX"
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("has to name both a user and a password, or neither")
    tls_at_once = parts.scheme == "smtps"
    return MailServer(
        host=host,
        port=port or (465 if tls_at_once else 587),
        user=user,
        password=password,
        tls_at_once=tls_at_once,
    )


def checked_smtp_url(value: SecretStr | None) -> SecretStr | None:
    """The address of a mail server."""
    if value is None:
        return None
    mail_server(value)
    return SecretStr(value.get_secret_value().strip())


def checked_webhook_url(value: SecretStr | None) -> SecretStr | None:
    """An absolute http(s) address; it is a secret, as whoever knows it can post there."""
    if value is None:
        return None
    text = value.get_secret_value().strip()
    service_address(text)
    return SecretStr(text)
