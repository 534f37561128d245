"""The worker as a process: how it may die, what it may know, whom it may ask."""

from __future__ import annotations

import itertools
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.model import ArtifactKind, ArtifactRef, VisitRequest, VisitStatus
from spiders.page_spider import Turns
from spiders.protocol import Job, Limits, PageJob

OK, FAILED, DENIED = VisitStatus.OK, VisitStatus.FAILED, VisitStatus.DENIED
MISSING_PAGE = {
    "index": 0,
    "status": "missing",
    "url": "http://quillfeather.example/",
    "http_status": 404,
    "reason": "answered 404 Not Found",
    "media_type": "",
    "etag": "",
    "last_modified": "",
    "fresh_for": 0,
}
HEARTBEAT = '{"requests": 3, "bytes": 5, "errors": 0, "end": false}'
LATE = Limits(deadline=2)


def message(**page: Any) -> str:
    return json.dumps({"requests": 1, "bytes": 1, "errors": 0, "end": False, **page})


def command(code: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", code)


def patched(code: str) -> tuple[str, ...]:
    """The real worker with something of it replaced first."""
    return command(
        f"import os, sys, time, signal\nimport spiders.worker as worker\n{code}\n"
        "sys.exit(worker.main(sys.argv[1:]))"
    )


def no_child_is_left() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


@pytest.fixture
def pages(helpers: Any, new_site: Callable[[], Any]) -> Any:
    site = new_site()
    for i in range(3):
        site.page(f"/{i}", helpers.article(f"Page {i}"))
    return site


def visits_of(helpers: Any, site: Any, **changes: Any) -> list[Any]:
    source = helpers.source(allow_private_hosts=frozenset([site.place]), **changes)
    visits = list(source.visit([helpers.web(f"{site.base}/{i}") for i in range(3)]))
    source.close()
    assert len(visits) == 3
    return visits


ONE_PAGE_THEN = """
send = worker.Wire.send_page
def send_one(self, result):
    send(self, result)
    {then}
worker.Wire.send_page = send_one
"""


def test_a_worker_that_is_killed_midway_leaves_failed_visits_and_no_process(helpers: Any, pages: Any) -> None:
    then = "os.kill(os.getpid(), signal.SIGKILL)"
    first, *rest = visits_of(helpers, pages, command=patched(ONE_PAGE_THEN.format(then=then)))
    assert first.status is OK
    assert {(visit.status, visit.reason) for visit in rest} == {
        (FAILED, "the web worker was killed by signal 9")
    }
    assert no_child_is_left()


def test_a_worker_that_hangs_midway_is_ended(helpers: Any, pages: Any) -> None:
    line = message(page=MISSING_PAGE)
    code = f"import time; print({line!r}, flush=True); time.sleep(60)"
    started = time.monotonic()
    first, *rest = visits_of(helpers, pages, command=command(code), stall=4)
    assert first.status is VisitStatus.MISSING
    assert {visit.reason for visit in rest} == {"the web worker hung: no sign of life for 4 s"}
    assert time.monotonic() - started < 30
    assert no_child_is_left()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.exit(7)", "the web worker ended with exit status 7"),
        (f"print({HEARTBEAT!r}, 'x')", "the web worker spoke nonsense"),
        ("print('{\"page\": ' * 5000)", "the web worker spoke nonsense"),
        ("print('x' * 1000000)", "the web worker spoke nonsense"),
        (f"print({HEARTBEAT.replace('false', 'true')!r})", "the web worker left the page out"),
        (
            f"import time\nwhile True: print({HEARTBEAT!r}, flush=True), time.sleep(0.05)",
            "the web worker did not finish within 1 s",
        ),
        ("import os, time; os.close(1); time.sleep(0)", "the web worker ended with exit status"),
    ],
)
def test_a_broken_worker_fails_every_page(
    helpers: Any, pages: Any, code: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    visits = visits_of(
        helpers,
        pages,
        command=command(code),
        limits=Limits(deadline=1 if "finish" in reason else 20),
        stall=30,
    )
    assert {visit.status for visit in visits} == {FAILED}
    assert all(visit.reason.startswith(reason) for visit in visits)
    assert no_child_is_left()


def test_a_worker_that_cannot_be_started_fails_every_page(helpers: Any, pages: Any) -> None:
    visits = visits_of(helpers, pages, command=("./there-is-no-such-program",))
    assert {visit.reason for visit in visits} == {"the web worker cannot be started (FileNotFoundError)"}


def test_a_killed_worker_has_told_what_it_spent(helpers: Any, pages: Any) -> None:
    source = helpers.source(command=command(f"print({HEARTBEAT!r})"))
    list(source.visit([helpers.web(pages.base)]))
    assert (source.usage.requests, source.usage.bytes) == (3, 5)


def test_an_exception_in_a_callback_is_a_failed_visit_and_an_error_in_the_log(
    helpers: Any, pages: Any, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
import spiders.page_spider as page_spider
judge = page_spider.judge
def broken(answer):
    if answer.asked.endswith("/1"):
        raise RuntimeError("a bug")
    return judge(answer)
page_spider.judge = broken
save = worker.body_file
worker.body_file = lambda spool, index: spool / "nowhere" / "x" if index == 2 else save(spool, index)
"""
    visits = {visit.ref.id[-1]: visit for visit in visits_of(helpers, pages, command=patched(code))}
    assert visits["0"].status is OK
    assert (visits["1"].status, visits["1"].reason) == (FAILED, "internal error (RuntimeError)")
    assert (visits["2"].status, visits["2"].reason) == (FAILED, "internal error (FileNotFoundError)")
    assert "the web worker met 2 errors of its own (exit status 3)" in caplog.text
    assert "a bug" in caplog.text


def test_an_abandoned_visit_ends_the_worker(helpers: Any, pages: Any, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))"
    pages.routes["/1"] = pages.routes["/2"] = lambda handler: handler.server.stopped.wait(20)
    source = helpers.source(command=patched(code), allow_private_hosts=frozenset([pages.place]))
    visits = source.visit([helpers.web(f"{pages.base}/{i}") for i in range(3)])
    assert next(visits).status is OK
    visits.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert no_child_is_left()


def test_a_worker_ends_when_nobody_listens(helpers: Any, pages: Any, tmp_path: Path) -> None:
    import subprocess

    pages.routes["/0"] = lambda handler: handler.server.stopped.wait(20)
    Job(
        pages=(PageJob(index=0, url=f"{pages.base}/0"),),
        user_agent="x",
        allow_private_hosts=(pages.place,),
        limits=Limits(heartbeat=0.2),
    ).write(tmp_path)
    worker = subprocess.Popen(
        [sys.executable, "-m", "spiders.worker", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.stdout.close()
    assert worker.wait(timeout=10) != 0


def test_calls_share_one_worker_that_is_gone_at_the_end(helpers: Any, pages: Any, tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    code = f"open({str(pid_file)!r}, 'a').write(str(os.getpid()) + ' ')"
    source = helpers.source(command=patched(code), allow_private_hosts=frozenset([pages.place]))
    source.prepare()
    pages.seen.clear()
    first, second = (source.visit([helpers.web(f"{pages.base}/{i}")]) for i in range(2))
    assert (next(second).status, next(first).status) == (OK, OK)
    assert [visit.status for visit in source.visit([helpers.web(f"{pages.base}/2")])] == [OK]
    assert [seen.path for seen in pages.seen].count("/robots.txt") == 1
    assert source.usage.requests == 4
    (pid,) = pid_file.read_text().split()
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_slow_page_of_one_call_does_not_hold_up_another_one(helpers: Any, pages: Any) -> None:
    go_on = threading.Event()
    pages.routes["/slow"] = lambda handler: (go_on.wait(10), handler.answer(404))
    source = helpers.source(
        allow_private_hosts=frozenset([pages.place]), limits=replace(helpers.FAST, timeout=15)
    )
    slow: list[Any] = []
    waiting = threading.Thread(target=lambda: slow.extend(source.visit([helpers.web(f"{pages.base}/slow")])))
    waiting.start()
    assert [visit.status for visit in source.visit([helpers.web(f"{pages.base}/0")])] == [OK]
    assert not slow
    go_on.set()
    waiting.join(10)
    assert [visit.status for visit in slow] == [VisitStatus.MISSING]


def test_another_worker_takes_the_place_of_a_lost_one(helpers: Any, pages: Any, tmp_path: Path) -> None:
    marker = tmp_path / "was-killed"
    then = f"os.path.exists({str(marker)!r}) or (open({str(marker)!r}, 'w'), os.kill(os.getpid(), signal.SIGKILL))"
    source = helpers.source(
        command=patched(ONE_PAGE_THEN.format(then=then)), allow_private_hosts=frozenset([pages.place])
    )
    requests = [helpers.web(f"{pages.base}/{i}") for i in range(3)]
    assert [visit.status for visit in source.visit(requests)].count(FAILED) == 2
    assert [visit.status for visit in source.visit(requests)] == [OK] * 3


def test_a_worker_that_has_read_enough_is_replaced_and_its_manners_are_kept(
    helpers: Any, pages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.sources.web_reader.WORKER_PAGES", 2)
    source = helpers.source(allow_private_hosts=frozenset([pages.place]))
    pages.seen.clear()
    for _ in range(2):
        visits = source.visit([helpers.web(f"{pages.base}/{i}") for i in range(3)])
        assert [visit.status for visit in visits] == [OK] * 3
    assert [seen.path for seen in pages.seen].count("/robots.txt") == 1
    assert source.usage.requests == 7


def test_a_worker_is_told_no_tokens(helpers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-one")
    monkeypatch.setenv("OPENNESS_DATABASE_URL", "secret-two")
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    seen = tmp_path / "environment"
    code = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    list(helpers.source(command=command(code)).visit([helpers.web("http://quillfeather.example")]))
    assert "PATH" in seen.read_text()
    assert "secret" not in seen.read_text()
    assert "proxy" not in seen.read_text()


def test_what_was_read_in_time_counts_also_when_it_is_taken_late(helpers: Any, pages: Any) -> None:
    lines = [message(page={**MISSING_PAGE, "index": i}) for i in range(3)]
    source = helpers.source(command=command(f"print(*{lines!r}, sep=chr(10))"), limits=LATE)
    visits = source.visit([helpers.web(f"{pages.base}/{i}") for i in range(3)])
    statuses = {next(visits).status}
    time.sleep(LATE.deadline)
    assert statuses | {visit.status for visit in visits} == {VisitStatus.MISSING}


def test_a_worker_imports_no_heavy_thing_that_it_does_not_use(helpers: Any, tmp_path: Path) -> None:
    seen = tmp_path / "modules"
    code = f"import atexit; atexit.register(lambda: open({str(seen)!r}, 'w').write(' '.join(sys.modules)))"
    source = helpers.source(command=patched(code))
    list(source.visit([helpers.web("http://10.0.0.1/")]))
    source.close()
    modules = set(seen.read_text().split())
    assert "spiders.page_spider" in modules
    assert not modules & {"aiohttp", "tldextract", "sqlalchemy", "github", "huggingface_hub"}


def test_hosts_take_turns() -> None:
    urls = (
        "http://a.example/1",
        "http://a.example/2",
        "http://a.example/3",
        "http://b.example/1",
        "http://[::1/",
    )
    pages = tuple(PageJob(index=i, url=url) for i, url in enumerate(urls))
    assert [page.index for page in Turns(pages)] == [0, 3, 4, 1, 2]


def test_what_is_not_a_web_page_fails_without_a_worker(helpers: Any) -> None:
    source = helpers.source(command=("./there-is-no-such-program",))
    request = VisitRequest(ref=ArtifactRef(kind=ArtifactKind.PYPI, id="quillfeather"))
    assert [visit.reason for visit in source.visit([request])] == ["not a web page"]
    assert list(source.visit([])) == []


def test_the_resolver_alone_keeps_the_worker_from_private_addresses(helpers: Any, pages: Any) -> None:
    code = """
import spiders.middlewares as middlewares, spiders.page_spider as page_spider
middlewares.refusal = page_spider.refusal = lambda url, allowed=(): None
"""
    port = pages.place.rsplit(":", 1)[1]
    hosts = (
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::1]",
    )
    source = helpers.source(command=patched(code))
    visits = list(source.visit([helpers.web(f"http://{host}:{port}/0") for host in hosts]))
    assert len(visits) == len(hosts)
    assert {visit.status for visit in visits} == {FAILED}
    assert pages.seen == []
    assert any("is not a public address (it resolves to 127.0.0.1)" in visit.reason for visit in visits)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    helpers: Any, new_site: Callable[[], Any], tmp_path: Path
) -> None:
    site = new_site()
    site.page("/0", helpers.article("Secure"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    site.socket = context.wrap_socket(site.socket, server_side=True)
    source = helpers.source(allow_private_hosts=frozenset([site.place]))
    (visit,) = source.visit([helpers.web(f"https://{site.place}/0")])
    assert visit.status is FAILED
    assert "certificate" in visit.reason
    assert site.seen == []


def self_signed(folder: Path) -> Path:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_a_crawl_delay_is_kept(helpers: Any, pages: Any) -> None:
    pages.page("/robots.txt", "User-agent: *\nCrawl-delay: 0.3\n")
    assert {visit.status for visit in visits_of(helpers, pages)} == {OK}
    times = [seen.at for seen in pages.seen if seen.path != "/robots.txt"]
    assert all(later - earlier > 0.28 for earlier, later in itertools.pairwise(times))


def test_pages_through_a_gateway(helpers: Any, new_site: Callable[[], Any]) -> None:
    gateway = new_site()
    web = "/web/https/"
    article = helpers.article("Through the gateway")
    times: list[float] = []

    def busy_once(handler: Any) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            handler.answer(503, Retry_After="1")
        else:
            handler.answer(200, article.encode(), Content_Type="text/html")

    gateway.page(f"{web}a.example/", article)
    gateway.page(f"{web}a.example/q?x=1&y=%2F", article)
    gateway.redirect(f"{web}a.example/1", f"{gateway.base}{web}a.example/")
    gateway.redirect(f"{web}a.example/2", f"{web}a.example/")
    gateway.redirect(f"{web}a.example/3", "https://a.example/")
    gateway.redirect(f"{web}a.example/4", "/")
    gateway.redirect(f"{web}a.example/5", "https://b.example/there")
    gateway.page(f"{web}b.example/there", article, ETag='"v1"')
    gateway.redirect(f"{web}a.example/private", f"{gateway.base}/web/http/192.168.0.1/")
    gateway.redirect(f"{web}a.example/inside", f"{gateway.base}/control")
    gateway.page("/control", article)
    gateway.page(f"{web}b.example/robots.txt", "User-agent: *\nDisallow: /no\nCrawl-delay: 9\n")
    gateway.page(f"{web}b.example/no", article)
    gateway.routes[f"{web}busy.example/"] = busy_once
    gateway.page(f"{web}full.example/", "", status=429)
    gateway.page(f"{web}closed.example/1", "", status=429, Retry_After="3600")
    gateway.page(f"{web}closed.example/2", "", status=429, Retry_After="3600")

    requests = [
        *(f"https://a.example{path}" for path in ("/", "/q?x=1&y=%2F", "/private", "/inside", "/absent")),
        *(f"https://a.example/{i}" for i in range(1, 5)),
        helpers.web("https://a.example/5", etag='"v1"', sha256="0" * 64),
        *("https://b.example/no", "https://busy.example/", "https://full.example/"),
        *("https://closed.example/1", "https://closed.example/2"),
        *("http://10.0.0.1/", f"{gateway.base}/control", f"{gateway.base}/web/https/a.example/"),
    ]
    source = helpers.source(
        gateway=gateway.base + "/web/{scheme}/{host}{path}", allow_private_hosts=frozenset([gateway.place])
    )
    visits = helpers.visit_all(source, *requests)

    for i in range(1, 5):
        assert (visits[f"https://a.example/{i}"].status, visits[f"https://a.example/{i}"].url) == (
            OK,
            "https://a.example/",
        )
    assert visits["https://a.example/q?x=1&y=%2F"].status is OK
    assert visits["https://a.example/5"].url == "https://b.example/there"
    (there,) = gateway.asked(f"{web}b.example/there")
    assert "if-none-match" not in there.headers, "another host's validators mean nothing there"
    assert visits["https://a.example/absent"].status is VisitStatus.MISSING
    assert visits["https://b.example/no"].reason == "robots.txt of b.example disallows it"

    for private in (
        "https://a.example/private",
        "https://a.example/inside",
        "http://10.0.0.1/",
        f"{gateway.base}/control",
    ):
        assert visits[private].status is FAILED
        assert visits[private].reason.startswith("refused: ")
    assert {seen.path.split("/")[1] for seen in gateway.seen} == {"web"}
    assert not [
        seen for seen in gateway.seen if "192.168" in seen.path or "10.0" in seen.path or "127.0" in seen.path
    ]

    assert visits["https://busy.example/"].status is OK
    assert times[1] - times[0] >= 0.99, "a host that says when is not asked earlier"
    assert visits["https://full.example/"].reason == "answered 429 Too Many Requests"
    assert len(gateway.asked(f"{web}full.example/")) == 2, "asked once more and not again"
    closed = [visits[f"https://closed.example/{i}"] for i in (1, 2)]
    assert {visit.status for visit in closed} == {FAILED}
