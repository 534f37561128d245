"""The address guard, by the address alone and by what a name resolves to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from scrapy.settings import Settings
from twisted.internet.address import IPv4Address, IPv6Address

from spiders import resolver
from spiders.addresses import is_public_ip, refusal, shown, without_secrets
from spiders.resolver import GuardResolver


@pytest.mark.parametrize("ip", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_ip_is_public(ip: str) -> None:
    assert is_public_ip(ip)


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1"),
        *("::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1"),
        *("", "name.example", "1"),
    ],
)
def test_an_ip_of_a_machine_or_its_network_is_not_public(ip: str) -> None:
    assert not is_public_ip(ip)


@pytest.mark.parametrize(
    "url",
    [
        "https://quillfeather.example/a?b=c#d",
        "http://quillfeather.example:80",
        "https://QUILLFEATHER.example:443/",
        "https://quillfeather.example./",
        "http://under_score.quillfeather.example/",
        "http://büro.example/ä",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
        "https://4chan.example/",
        "http://quillfeather.example/@name/http://127.0.0.1/",
    ],
)
def test_public_addresses_pass(url: str) -> None:
    assert refusal(url) is None


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://127.0.0.1/", "not a public address"),
        ("http://127.0.0.1./", "not a public address"),
        ("http://localhost/", "not a public address"),
        ("http://sub.localhost/", "not a public address"),
        ("http://metadata.google.internal/", "not a public address"),
        ("http://intranet/", "not a public address"),
        ("http://[::1]/", "not a public address"),
        ("http://[::ffff:127.0.0.1]/", "not a public address"),
        ("http://[fe80::1%25eth0]/", "not a public address"),
        ("http://2130706433/", "odd spelling"),
        ("http://0x7f.1/", "odd spelling"),
        ("http://0x7f000001/", "odd spelling"),
        ("http://0177.0.0.1/", "odd spelling"),
        ("http://127.1/", "odd spelling"),
        ("http://１２７.０.０.１/", "not a public address"),
        ("http://127。0。0。1/", "not a public address"),
        ("http://%31%32%37.0.0.1/", "malformed"),
        ("http://quillfeather.example:8080/", "port 8080"),
        ("http://quillfeather.example:99999/", "malformed"),
        ("http://quillfeather.example:22/", "port 22"),
        ("http://user:hunter2@quillfeather.example/", "user name or password"),
        ("http://quillfeather.example@127.0.0.1/", "user name or password"),
        ("http://quillfeather.example\\@127.0.0.1/", "malformed"),
        ("http://quillfeather.example/\r\nHost: x", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://a..example/", "malformed"),
        ("http:///path", "without a host"),
        ("file:///etc/passwd", "only http and https"),
        ("ftp://quillfeather.example/", "only http and https"),
        ("data:text/html,x", "only http and https"),
        ("quillfeather.example", "only http and https"),
        ("", "only http and https"),
        ("http://quillfeather.example/" + "x" * 5000, "5028 characters"),
    ],
)
def test_other_addresses_are_refused_with_a_reason(url: str, word: str) -> None:
    reason = refusal(url)
    assert reason is not None
    assert reason.startswith("refused: ")
    assert word in reason
    assert "hunter2" not in reason
    assert "\n" not in reason


def test_an_allowed_host_is_allowed_on_its_port_only() -> None:
    allowed = {"127.0.0.1:8000", "[::1]:8000", "mirror.example:8443"}
    assert refusal("http://127.0.0.1:8000/x", allowed) is None
    assert refusal("http://[::1]:8000/x", allowed) is None
    assert refusal("https://mirror.example:8443/x", allowed) is None
    assert refusal("http://127.0.0.1:8001/x", allowed)
    assert refusal("http://127.0.0.1/x", allowed)
    assert refusal("http://user@127.0.0.1:8000/x", allowed)


def test_messages_hold_no_secret_and_no_control_characters() -> None:
    assert without_secrets("https://me:pw@a.example/x?y=1#z") == "https://a.example/x?y=1"
    assert without_secrets("http://[::1") == ""
    assert shown("a\x1b[31mb\nc") == "a?[31mb?c"
    assert len(shown("x" * 500)) == 100


class Receiver:
    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.complete = False

    def resolutionBegan(self, resolution: object) -> None:
        pass

    def addressResolved(self, address: IPv4Address | IPv6Address) -> None:
        self.hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self.complete = True


class Names:
    """Stands for the reactor's own resolver: gives one answer after the other."""

    def __init__(self, *answers: list[IPv4Address | IPv6Address]) -> None:
        self.answers = list(answers)

    def resolveHostName(self, receiver: Receiver, *rest: object) -> None:
        receiver.resolutionBegan(None)
        for address in self.answers.pop(0):
            receiver.addressResolved(address)
        receiver.resolutionComplete()


def guard(names: Names, *allowed: str) -> GuardResolver:
    crawler = SimpleNamespace(
        settings=Settings({"GUARD_ALLOWED_HOSTS": list(allowed), "DNSCACHE_ENABLED": False})
    )
    return GuardResolver.from_crawler(crawler, SimpleNamespace(nameResolver=names))


def test_the_resolver_answers_public_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "refused_hosts", {})
    names = Names(
        [
            IPv4Address("TCP", "10.0.0.5", 443),
            IPv6Address("TCP", "fd00::5", 443),
            IPv4Address("TCP", "93.184.216.34", 443),
        ]
    )
    receiver = Receiver()
    guard(names).resolveHostName(receiver, "rebound.example", 443)
    assert receiver.hosts == ["93.184.216.34"]
    assert receiver.complete


def test_a_name_that_turns_private_is_refused_the_second_time() -> None:
    names = Names([IPv4Address("TCP", "93.184.216.34", 80)], [IPv4Address("TCP", "127.0.0.1", 80)])
    guarded = guard(names)
    for expected in (["93.184.216.34"], []):
        receiver = Receiver()
        guarded.resolveHostName(receiver, "turning.example", 80)
        assert receiver.hosts == expected
    assert resolver.refused_hosts["turning.example"] == "127.0.0.1"


def test_the_resolver_lets_an_allowed_host_be_private_on_its_port() -> None:
    names = Names([IPv4Address("TCP", "127.0.0.1", 8000)], [IPv4Address("TCP", "127.0.0.1", 8001)])
    guarded = guard(names, "mirror.example:8000")
    for port, expected in ((8000, ["127.0.0.1"]), (8001, [])):
        receiver = Receiver()
        guarded.resolveHostName(receiver, "mirror.example", port)
        assert receiver.hosts == expected
