"""Who may import whom, who may use the network, the clock and chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

OURS = ("pipelines", "db", "spiders", "crawler", "sandbox", "review")
MAY_IMPORT = {
    "pipelines": set(),
    "db": {"pipelines"},
    "spiders": {"pipelines"},
    "crawler": {"pipelines", "db", "spiders", "review"},  # and the sandbox, from within the demo command
    "sandbox": set(),
    "review": {"pipelines", "db"},
}
NETWORK = (
    "aiohttp",
    "arxiv",
    "ftplib",
    "github",
    "http.client",
    "http.server",
    "httpx",
    "huggingface_hub",
    "requests",
    "scrapy",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "starlette",
    "twisted",
    "urllib.request",
    "urllib3",
    "uvicorn",
)
MAY_USE_NETWORK = {
    "crawler": set(NETWORK),
    "spiders": set(NETWORK),
    "sandbox": {"socket", "starlette", "uvicorn"},  # it serves on loopback and asks nobody
    "review": {"starlette", "uvicorn"},
}
CLOCK = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
CLOCK_OWNERS = {"datetime", "date", "time"}
MAY_ASK_CLOCK = {"crawler", "sandbox", "review"}
CHANCE = ("random", "secrets", "uuid", "numpy.random")
LINES = 400


def modules_in(root: Path) -> list[Path]:
    return sorted(
        path for package in OURS for path in (root / package).rglob("*.py") if "__pycache__" not in path.parts
    )


def imports_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported; relative imports stay within their package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def lazy_imports_in(tree: ast.AST) -> set[int]:
    """The lines of imports that stand within a function."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {line for function in functions for line, _ in imports_in(function)}


def clock_calls_in(tree: ast.AST) -> Iterator[int]:
    """The lines on which a clock is asked: datetime.now(), time.time(), or names taken from `time`."""
    taken = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in CLOCK
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in taken:
            yield node.lineno
        elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK:
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in CLOCK_OWNERS:
                yield node.lineno


def is_of(name: str, modules: tuple[str, ...] | set[str]) -> str | None:
    """The one of the modules that a full name is, or is in."""
    return next((module for module in modules if name == module or name.startswith(f"{module}.")), None)


def faults_of(package: str, stem: str, source: str) -> list[str]:
    """What a module of a package does that its layer must not do."""
    tree = ast.parse(source)
    lazy = lazy_imports_in(tree)
    found = set()
    for line, name in imports_in(tree):
        ours = is_of(name, OURS)
        if ours and ours != package and ours not in MAY_IMPORT[package]:
            allowed = package == "crawler" and ours == "sandbox" and "demo" in stem and line in lazy
            if not allowed:
                found.add(f"{line}: {package} must not import {ours}")
        network = is_of(name, NETWORK)
        if network and network not in MAY_USE_NETWORK.get(package, set()):
            found.add(f"{line}: {package} must not use the network ({network})")
        if package == "pipelines" and is_of(name, CHANCE):
            found.add(f"{line}: {package} must not depend on chance ({name})")
    if package not in MAY_ASK_CLOCK:
        found.update(f"{line}: {package} must not ask the clock" for line in clock_calls_in(tree))
    return sorted(found)


def test_every_module_keeps_to_its_layer(root: Path) -> None:
    faults = [
        f"{path.relative_to(root)}:{fault}"
        for path in modules_in(root)
        for fault in faults_of(path.relative_to(root).parts[0], path.stem, path.read_text(encoding="utf-8"))
    ]
    assert faults == []


def test_no_module_is_too_long_to_hold_in_mind(root: Path) -> None:
    lengths = {
        str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules_in(root)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LINES} == {}


def test_there_are_modules_to_look_at(root: Path) -> None:
    assert {path.relative_to(root).parts[0] for path in modules_in(root)} >= {"pipelines", "crawler"}


@pytest.mark.parametrize(
    ("package", "stem", "source", "expected"),
    [
        ("pipelines", "a", "import db.models", "must not import db"),
        ("pipelines", "a", "from crawler import settings", "must not import crawler"),
        ("db", "a", "from spiders.pages import x", "must not import spiders"),
        ("crawler", "demo", "import sandbox", "must not import sandbox"),
        ("crawler", "cli", "def f():\n    import sandbox.serve", "must not import sandbox"),
        ("sandbox", "a", "from pipelines.model import Project", "must not import pipelines"),
        ("pipelines", "a", "import urllib.request", "must not use the network (urllib.request)"),
        ("pipelines", "a", "from urllib import request", "must not use the network (urllib.request)"),
        ("db", "a", "def f():\n    import requests", "must not use the network (requests)"),
        ("sandbox", "a", "import requests", "must not use the network (requests)"),
        ("pipelines", "a", "from random import Random", "must not depend on chance"),
        ("pipelines", "a", "from datetime import datetime\ndatetime.now()", "must not ask the clock"),
        ("db", "a", "import datetime\ndatetime.datetime.now(datetime.UTC)", "must not ask the clock"),
        ("db", "a", "import datetime as d\nd.date.today()", "must not ask the clock"),
        ("spiders", "a", "import time\ntime.time()", "must not ask the clock"),
        ("spiders", "a", "from time import time as t\nt()", "must not ask the clock"),
    ],
)
def test_a_fault_is_seen(package: str, stem: str, source: str, expected: str) -> None:
    assert any(expected in fault for fault in faults_of(package, stem, source))


@pytest.mark.parametrize(
    ("package", "stem", "source"),
    [
        ("db", "a", "from pipelines.model import Project"),
        ("crawler", "a", "import db, spiders, pipelines, requests\nimport time\ntime.time()"),
        ("crawler", "demo", "def f():\n    from sandbox import serve"),
        ("sandbox", "a", "import socket\nimport uvicorn"),
        ("pipelines", "a", "from urllib.parse import urlsplit"),
        ("pipelines", "a", "from datetime import datetime\ndatetime.fromisoformat('2024-01-01')"),
        ("pipelines", "a", "from . import model"),
        ("pipelines", "a", "visit.time()"),
    ],
)
def test_what_is_allowed_is_no_fault(package: str, stem: str, source: str) -> None:
    assert faults_of(package, stem, source) == []
