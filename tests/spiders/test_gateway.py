"""Addresses to a gateway and back."""

from __future__ import annotations

import pytest

from crawler.sources.web import WebSource
from pipelines.errors import UsageError
from spiders.gateway import Gateway
from spiders.protocol import Job, Limits
from spiders.settings import crawl_settings

TEMPLATE = "http://127.0.0.1:8000/web/{scheme}/{host}{path}"
PUBLIC = "https://quillfeather.example/a/b?c=d"


@pytest.mark.parametrize(
    "public",
    [
        PUBLIC,
        "http://quillfeather.example/",
        "https://quillfeather.example:8443/%7Bhost%7D?x={path}",
        "https://[2606:4700::1111]/x",
    ],
)
@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "https://mirror.example/id/{scheme}://{host}{path}",
        "http://m.example/?u={scheme}:{host}{path}",
    ],
)
def test_an_address_comes_back_from_the_gateway_as_it_went(template: str, public: str) -> None:
    gateway = Gateway(template)
    assert gateway.public(gateway.outward(public), "https") == public


def test_a_path_cannot_fill_in_another_field() -> None:
    assert Gateway(TEMPLATE).outward("https://a.example/{scheme}{host}?{path}") == (
        "http://127.0.0.1:8000/web/https/a.example/{scheme}{host}?{path}"
    )


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("http://127.0.0.1:8000/web/http/other.example/x?y", "http://other.example/x?y"),
        ("/web/https/quillfeather.example/c", "https://quillfeather.example/c"),
        ("/web/https/quillfeather.example", "https://quillfeather.example/"),
        ("c", "https://quillfeather.example/a/c"),
        ("/c", "https://quillfeather.example/c"),
        ("https://other.example/c", "https://other.example/c"),
        ("//other.example/c", "https://other.example/c"),
        ("../../../../../c", "https://quillfeather.example/c"),
        ("http://127.0.0.1:8000/control", "http://127.0.0.1:8000/control"),
        ("http://127.0.0.1:8000/web/https/u@10.0.0.1/c", "http://127.0.0.1:8000/web/https/u@10.0.0.1/c"),
    ],
)
def test_a_redirect_is_mapped_to_its_public_address(location: str, target: str) -> None:
    assert Gateway(TEMPLATE).public_location(location, PUBLIC) == target


@pytest.mark.parametrize(
    "template",
    [
        "http://mirror.example/",
        "http://mirror.example/{host}",
        "http://mirror.example/{host}{path}{path}",
        "http://mirror.example/{host}{path}{query}",
        "http://{host}{path}",
        "http://{host}.mirror.example/{path}",
        "ftp://mirror.example/{host}{path}",
        "http://me:pw@mirror.example/{host}{path}",
        "http://[::1/{host}{path}",
        "mirror{host}{path}",
    ],
)
def test_a_template_that_is_no_gateway_is_a_usage_error(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        WebSource(user_agent="x", clock=lambda: pytest.fail("no clock"), gateway=template)
    assert "pw" not in str(caught.value)


def settings(**changes: object) -> dict[str, object]:
    return crawl_settings(Job(**{"pages": (), "user_agent": "openness-crawler/1", **changes}))


def test_settings_are_safe_and_polite() -> None:
    safe = settings()
    expected = {
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "ROBOTSTXT_OBEY": True,
        "DOWNLOAD_MAXSIZE": 4 << 20,
        "DOWNLOAD_TIMEOUT": 30,
        "REDIRECT_MAX_TIMES": 5,
        "REMOTE_CONTROL_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": False,
        "DOWNLOAD_DELAY": 1.0,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 2,
        "GUARD_ALLOWED_HOSTS": [],
        "TWISTED_DNS_RESOLVER": "spiders.resolver.GuardResolver",
    }
    assert {name: safe[name] for name in expected} == expected
    handlers = safe["DOWNLOAD_HANDLERS"]
    assert isinstance(handlers, dict)
    assert {scheme for scheme, handler in handlers.items() if handler} == {"http", "https"}


def test_a_gateway_is_asked_without_delay_and_is_no_page_itself() -> None:
    with_gateway = settings(
        gateway=TEMPLATE, allow_private_hosts=("127.0.0.1:8000", "wiki.lan:80"), limits=Limits(delay=9)
    )
    assert with_gateway["DOWNLOAD_DELAY"] == 0
    assert with_gateway["GUARD_ALLOWED_HOSTS"] == ["127.0.0.1:8000", "wiki.lan:80"]
    assert with_gateway["PAGE_ALLOWED_HOSTS"] == ["wiki.lan:80"]
