"""Sending the report: to a real mail server and a real web server, both on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crawler import notify_mail, notify_webhook
from crawler.notify import Delivery, missing_settings, require_channel, send, wants
from crawler.notify_message import DeliveryError, chat_text, no_report_message, report_message
from crawler.setting_values import Notify, mail_server
from crawler.settings import Settings
from pipelines.errors import UsageError

NOW = datetime(2031, 3, 1, 6, 0, tzinfo=UTC)
PASSWORD = "s3cret-Passw0rd"
WEBHOOK_PATH = "/services/T0/verysecretpath"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder


def tls(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postbox:
    """Keeps what a mail server takes; `answers` are what it says to the next messages instead."""

    def __init__(self):
        self.mails = []
        self.encrypted = []
        self.answers = []

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.pop(0)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        self.encrypted.append(session.ssl is not None)
        return "250 taken"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 fine"


@pytest.fixture
def mail(certificate, monkeypatch):
    """Starts mail servers; TLS as they are told."""
    running = []

    def start(*, trusted=True, **options):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        box = Postbox()
        controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        running.append(controller)
        return box, controller.port

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notify_mail, "PAUSE", 0.01)
    monkeypatch.setattr(notify_webhook, "PAUSE", 0.01)


def settings_with(**values):
    return Settings(_env_file=None, **{f"OPENNESS_{name}": value for name, value in values.items()})


def mail_settings(url, to="ann@example.org,bea@example.org", **more):
    return settings_with(MAIL_TO=to, MAIL_FROM="crawler@example.org", SMTP_URL=url, **more)


@pytest.fixture
def message(eventful):
    return report_message(eventful, "larch")


def by_mail(settings, message):
    [delivery] = send(settings, message, NOW, seconds=20)
    return delivery


# Mail


def test_a_mail_goes_out_over_starttls_as_text_and_html(mail, certificate, message, eventful):
    box, port = mail(tls_context=tls(certificate), require_starttls=True)
    assert by_mail(mail_settings(f"smtp://127.0.0.1:{port}"), message) == Delivery(channel="mail", ok=True)
    [(sender, recipients, content)] = box.mails
    assert box.encrypted == [True]
    assert (sender, recipients) == ("crawler@example.org", ["ann@example.org", "bea@example.org"])
    parsed = message_from_bytes(content, policy=default)
    assert parsed["Subject"].startswith("openness RED: 1 internal error; ")
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Date"].datetime == NOW
    assert parsed["Message-ID"].endswith("@example.org>")
    assert parsed.get_content_type() == "multipart/alternative"
    plain, page = parsed.iter_parts()
    assert plain.get_content_type() == "text/plain"
    assert "whose evidence has vanished" in plain.get_content()
    assert page.get_content_type() == "text/html"
    assert page.get_content().replace("\r\n", "\n").startswith("<!DOCTYPE html>")
    assert "<img" not in page.get_content()
    assert max(map(len, content.splitlines())) <= 998
    assert content.isascii()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_mail_goes_out_over_smtps_with_a_login(mail, certificate, message):
    seen = []

    def authenticate(server, session, envelope, mechanism, data):
        seen.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    context = tls(certificate)
    box, port = mail(
        ssl_context=context, authenticator=authenticate, auth_required=True, auth_require_tls=False
    )
    url = f"smtps://ann%40example.org:{PASSWORD}@127.0.0.1:{port}"
    assert by_mail(mail_settings(url), message).ok
    assert seen == [("ann@example.org", PASSWORD)]
    assert len(box.mails) == 1
    wrong = by_mail(mail_settings(url.replace(PASSWORD, "wrong-one")), message)
    assert (wrong.ok, wrong.reason) == (False, "the mail server refused user or password (535)")


def test_a_certificate_that_nobody_signed_is_refused(mail, certificate, message):
    for options, scheme in (
        ({"tls_context": tls(certificate)}, "smtp"),
        ({"ssl_context": tls(certificate)}, "smtps"),
    ):
        # The controller of aiosmtpd looks at its own server with our trust, so that is taken away after.
        box, port = mail(**options)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("SSL_CERT_FILE")
            refused = by_mail(mail_settings(f"{scheme}://127.0.0.1:{port}"), message)
        assert "certificate of the mail server is not valid" in refused.reason
        assert box.mails == []


def test_nothing_is_sent_unencrypted_to_another_machine(mail, message, monkeypatch):
    box, port = mail()
    monkeypatch.setattr("crawler.setting_values.MailServer.is_local", property(lambda self: False))
    refused = by_mail(mail_settings(f"smtp://127.0.0.1:{port}"), message)
    assert refused.reason == "the mail server offers no encryption (STARTTLS), so nothing was sent"
    assert box.mails == []


def test_a_server_on_this_machine_may_do_without_encryption(mail, message):
    box, port = mail()
    assert by_mail(mail_settings(f"smtp://127.0.0.1:{port}"), message).ok
    assert box.encrypted == [False]


def test_a_server_that_is_busy_is_asked_again(mail, message):
    box, port = mail()
    box.answers = ["451 come back later", "421 too busy"]
    assert by_mail(mail_settings(f"smtp://127.0.0.1:{port}"), message).ok
    assert len(box.mails) == 1


def test_a_server_that_does_not_want_it_is_not_asked_again(mail, message):
    box, port = mail()
    box.answers = ["554 it looks like spam", "250 taken"]
    refused = by_mail(mail_settings(f"smtp://127.0.0.1:{port}"), message)
    assert refused.reason == "the mail server answered 554 it looks like spam"
    assert box.answers == ["250 taken"]


def test_an_address_that_is_refused_is_told_and_the_others_get_it(mail, message):
    box, port = mail()
    url = f"smtp://127.0.0.1:{port}"
    some = by_mail(mail_settings(url, to="ann@example.org,nobody@example.org"), message)
    assert some.reason == "1 of 2 addresses were refused, the others have it"
    assert box.mails[0][1] == ["ann@example.org"]
    none = by_mail(mail_settings(url, to="nobody@example.org"), message)
    assert none.reason == "the mail server refused every address (550)"


def test_a_mail_server_that_is_not_there_is_told(message):
    reason = by_mail(mail_settings(f"smtp://127.0.0.1:{free_port()}"), message).reason
    assert reason == "no connection to the mail server: Connection refused"


def test_a_mail_server_that_never_answers_is_given_up(message):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"smtp://127.0.0.1:{deaf.getsockname()[1]}"
        [delivery] = send(mail_settings(url), message, NOW, seconds=0.3)
    assert delivery == Delivery(channel="mail", ok=False, reason="given up after 0.3 s")


def test_settings_that_are_not_whole_are_told(message):
    settings = settings_with(MAIL_TO="ann@example.org")
    assert missing_settings(settings) == ["OPENNESS_MAIL_FROM", "OPENNESS_SMTP_URL"]
    assert by_mail(settings, message).reason == "OPENNESS_MAIL_FROM, OPENNESS_SMTP_URL is not set"
    with pytest.raises(UsageError, match="OPENNESS_SMTP_URL is not set"):
        require_channel(settings)


# Webhook


def test_a_webhook_gets_a_text_for_chats_and_values_for_programs(hook, message, eventful):
    assert send(settings_with(WEBHOOK_URL=hook.url), message, NOW) == [Delivery(channel="webhook", ok=True)]
    [(path, headers, body)] = hook.posts
    values = json.loads(body)
    assert path == WEBHOOK_PATH
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert "webhook-signature" not in headers
    assert values.keys() == {"text", "openness"}
    assert values["text"].startswith(
        "*RED* Run 12 (nightly) of 2031-03-01 02:17 UTC on larch\n• 1 internal error\n"
    )
    told = values["openness"]
    assert (told["event"], told["level"], told["run"], told["exit_code"]) == ("report", "red", 12, 1)
    assert (told["new_questions"], told["questions"], told["failed"]) == (2, 4, 2)


def test_nothing_that_was_fetched_goes_into_a_chat(message, helpers):
    sent = message.chat + json.dumps(dict(message.values))
    for word in ("onerror", "alert", "hazelmoor", "brindle"):
        assert word not in sent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> & <https://a.example|here>", "&lt;!channel&gt; &amp; &lt;https://a.example|here&gt;"),
        ("@all look", " at all look"),
        ("[x](javascript:y) `z`", "(x)(javascript:y) 'z'"),
        ("a\nb\x1b[31m", "a b�(31m"),
    ],
)
def test_a_chat_obeys_nothing_in_a_text(text, shown):
    assert chat_text(text) == shown


@pytest.mark.parametrize(
    ("secret", "key"),
    [("plain words", b"plain words"), ("whsec_" + base64.b64encode(b"\x01\x02key").decode(), b"\x01\x02key")],
)
def test_what_is_posted_can_be_signed(hook, message, secret, key):
    send(settings_with(WEBHOOK_URL=hook.url, WEBHOOK_SECRET=secret), message, NOW)
    [(_, headers, body)] = hook.posts
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert secret.encode() not in body


def test_a_signing_secret_that_is_none_is_told(hook, message):
    settings = settings_with(WEBHOOK_URL=hook.url, WEBHOOK_SECRET="whsec_no base64!")
    [delivery] = send(settings, message, NOW)
    assert delivery.reason == "OPENNESS_WEBHOOK_SECRET begins with whsec_, but no base64 follows"
    assert hook.posts == []


def test_a_redirect_is_not_followed(hook, message):
    hook.answers = [(307, {"location": hook.url + "/elsewhere"})]
    [delivery] = send(settings_with(WEBHOOK_URL=hook.url), message, NOW)
    assert delivery.reason == "the webhook answered 307: redirects are not followed"
    assert len(hook.posts) == 1


def test_a_webhook_that_is_busy_is_asked_again_with_the_same_id(hook, message):
    hook.answers = [(503, {}), (429, {"retry-after": "0"})]
    assert send(settings_with(WEBHOOK_URL=hook.url), message, NOW)[0].ok
    assert len({headers["webhook-id"] for _, headers, _ in hook.posts}) == 1
    assert len(hook.posts) == 3


def test_a_webhook_is_asked_three_times_at_most_and_not_for_what_cannot_get_better(hook, message):
    hook.answers = [(500, {})] * 9
    [delivery] = send(settings_with(WEBHOOK_URL=hook.url), message, NOW)
    assert (delivery.reason, len(hook.posts)) == ("the webhook answered 500", 3)
    hook.answers = [(404, {})]
    [delivery] = send(settings_with(WEBHOOK_URL=hook.url), message, NOW)
    assert (delivery.reason, len(hook.posts)) == ("the webhook answered 404", 4)


def test_a_webhook_may_ask_us_to_wait_but_not_for_long(hook, message):
    waits = []
    hook.answers = [(429, {"retry-after": "4"}), (429, {"retry-after": "86400"})]
    settings = settings_with(WEBHOOK_URL=hook.url)
    notify_webhook.post_message(settings, message, NOW, sleep=waits.append)
    assert waits == [4.0, notify_webhook.LONGEST_WAIT]


def test_a_password_of_a_netrc_is_not_sent_along(hook, message, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    send(settings_with(WEBHOOK_URL=hook.url), message, NOW)
    assert "Authorization" not in hook.posts[0][1]


# Both


def test_one_channel_that_fails_does_not_stop_the_other(hook, message):
    url = f"smtp://ann:{PASSWORD}@127.0.0.1:{free_port()}"
    mailed, posted = send(mail_settings(url, WEBHOOK_URL=hook.url), message, NOW)
    assert (mailed.channel, mailed.ok, posted.channel, posted.ok) == ("mail", False, "webhook", True)


def test_no_secret_is_ever_said(mail, message, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    box, port = mail()
    box.answers = [f"554 {PASSWORD} is what you said"]
    secrets = (PASSWORD, "verysecretpath", "signing-secret")
    settings = mail_settings(
        f"smtp://ann:{PASSWORD}@127.0.0.1:{port}",
        WEBHOOK_URL=f"http://127.0.0.1:{free_port()}{WEBHOOK_PATH}",
        WEBHOOK_SECRET="signing-secret",
    )
    deliveries = send(settings, message, NOW)
    assert [delivery.ok for delivery in deliveries] == [False, False]
    out, err = capfd.readouterr()
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("crawler"))
    said = f"{deliveries} {ours} {out} {err} {settings!r} {settings}"
    assert [secret for secret in secrets if secret in said] == []


def test_without_a_channel_nothing_is_sent(message):
    assert send(settings_with(), message, NOW) == []
    with pytest.raises(UsageError, match="set OPENNESS_WEBHOOK_URL"):
        require_channel(settings_with())


def test_a_defect_of_ours_is_told_without_its_text(message, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr("crawler.notify.post_message", broken)
    [delivery] = send(settings_with(WEBHOOK_URL="https://hooks.example/x"), message, NOW)
    assert delivery.reason == "internal error: RuntimeError"


@pytest.mark.parametrize(
    ("name", "always", "changes", "problems"),
    [("green", True, False, False), ("news", True, True, False), ("eventful", True, True, True)],
)
def test_who_wants_which_nights(make_report, helpers, eventful, name, always, changes, problems):
    from db.changes import Changes

    news = helpers.aftermath_of(Changes(counts=helpers.counted(questions=1)))
    report = {"green": make_report(), "news": make_report(aftermath=news), "eventful": eventful}[name]
    assert [wants(choice, report) for choice in (Notify.ALWAYS, Notify.CHANGES, Notify.PROBLEMS)] == [
        always,
        changes,
        problems,
    ]


def test_a_night_that_left_no_report_is_told():
    message = no_report_message("another run holds the database: <process 7>", 2, NOW, "larch")
    assert message.subject.startswith(
        "openness RED: no report of the night of 2031-03-01 06:00 UTC on larch: another run"
    )
    assert "&lt;process 7&gt;" in message.html
    assert "&lt;process 7&gt;" in message.chat
    assert message.values["event"] == "no_report"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAIL_TO", "ann"),
        ("MAIL_TO", "ann@example.org\nBcc: all@example.org"),
        ("MAIL_TO", "Ann <ann@example.org>"),
        ("MAIL_FROM", "a b@example.org"),
        ("SMTP_URL", f"http://u:{PASSWORD}@mail.example"),
        ("SMTP_URL", f"smtp://u:{PASSWORD}@"),
        ("SMTP_URL", f"smtp://u:{PASSWORD}@mail.example/inbox"),
        ("SMTP_URL", f"smtp://:{PASSWORD}@mail.example"),
        ("SMTP_URL", f"smtp://u:{PASSWORD}@mail.example:port"),
        ("WEBHOOK_URL", f"ftp://{PASSWORD}.example"),
        ("WEBHOOK_URL", f"https://u:{PASSWORD}@hooks.example/"),
        ("NOTIFY", "sometimes"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(monkeypatch, variable, value):
    from crawler.settings import load_settings

    monkeypatch.setenv(f"OPENNESS_{variable}", value)
    with pytest.raises(UsageError, match=f"^OPENNESS_{variable}: ") as refused:
        load_settings()
    assert PASSWORD not in str(refused.value)
    assert "Bcc" not in str(refused.value)


def test_a_mail_server_has_the_usual_port_and_an_unquoted_password():
    server = mail_server(settings_with(SMTP_URL="smtps://ann%40x:p%3Aw%2F@mail.example").smtp_url)
    assert (server.host, server.port, server.user, server.password, server.tls_at_once) == (
        "mail.example",
        465,
        "ann@x",
        "p:w/",
        True,
    )
    assert mail_server(settings_with(SMTP_URL="smtp://mail.example").smtp_url).port == 587


def test_an_error_of_delivery_is_one_that_can_be_told():
    assert DeliveryError("no").exit_code == 1
