"""The morning report as a mail, handed to a server over TLS."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from crawler.notify_message import DeliveryError, Message
from crawler.setting_values import MailServer, mail_server
from crawler.settings import Settings
from crawler.terminal import line

PATIENCE = 20.0
"""Seconds that the server may be silent."""

PAUSE = 2.0
"""Seconds before a second try; twice as long before a third."""


class _Passing(DeliveryError):
    """What a second try may better."""


def send_mail(
    settings: Settings,
    message: Message,
    now: datetime,
    *,
    tries: int = 3,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send a message to everybody in OPENNESS_MAIL_TO. Raises DeliveryError.

    Nothing is sent unencrypted, except to a server on this machine that offers no encryption.
    """
    assert settings.smtp_url is not None
    server = mail_server(settings.smtp_url)
    mail = make_mail(settings, message, now)
    for turn in range(1, tries + 1):
        try:
            _hand_over(server, mail, settings.mail_from, settings.mail_to)
            return
        except _Passing:
            if turn == tries:
                raise
            sleep(PAUSE * turn)


def make_mail(settings: Settings, message: Message, now: datetime) -> EmailMessage:
    """The message with its headers: plain text, and the same as HTML."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.mail_from
    mail["To"] = ", ".join(settings.mail_to)
    mail["Subject"] = line(message.subject, 150)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2])
    # So that no machine answers, as RFC 3834 wants it.
    mail["Auto-Submitted"] = "auto-generated"
    # Seven bits a byte, and short lines: what every server passes on.
    mail.set_content(message.text, cte="quoted-printable")
    mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    return mail


def _hand_over(server: MailServer, mail: EmailMessage, sender: str, recipients: tuple[str, ...]) -> None:
    with _explained(server), _connection(server) as connection:
        if server.user:
            connection.login(server.user, server.password)
        refused = connection.send_message(mail, sender, list(recipients))
    if refused:
        raise DeliveryError(f"{len(refused)} of {len(recipients)} addresses were refused, the others have it")


@contextmanager
def _connection(server: MailServer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    if server.tls_at_once:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=PATIENCE, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=PATIENCE)
    try:
        connection.ehlo_or_helo_if_needed()
        if not server.tls_at_once:
            if connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
            elif not server.is_local:
                raise DeliveryError("the mail server offers no encryption (STARTTLS), so nothing was sent")
        yield connection
    finally:
        # It has the mail, or has refused it: how it says goodbye changes nothing.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.quit()
        connection.close()


@contextmanager
def _explained(server: MailServer) -> Iterator[None]:
    """Errors in words; what the server says may repeat what we told it."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(f"the mail server refused user or password ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        what = f"the mail server refused every address ({', '.join(map(str, codes))})"
        raise (_Passing if all(400 <= code < 500 for code in codes) else DeliveryError)(what) from None
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
        what = _without_secrets(server, f"the mail server answered {error.smtp_code} {line(words, 120)}")
        raise (_Passing if 400 <= error.smtp_code < 500 else DeliveryError)(what.strip()) from None
    except smtplib.SMTPServerDisconnected:
        raise _Passing("the mail server broke off") from None
    except smtplib.SMTPException as error:
        raise DeliveryError(_without_secrets(server, f"the mail server: {line(str(error), 120)}")) from None
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(
            f"the certificate of the mail server is not valid: {error.verify_message}"
        ) from None
    except TimeoutError:
        raise _Passing("the mail server gave no answer in time") from None
    except OSError as error:
        raise _Passing(
            f"no connection to the mail server: {error.strerror or type(error).__name__}"
        ) from None


def _without_secrets(server: MailServer, text: str) -> str:
    for secret in (server.password, server.user):
        if secret:
            text = text.replace(secret, "***")
    return text
