"""The licence that a Python project's own metadata states: pyproject.toml, setup.cfg, setup.py.

Reads `file:` snapshots at the root of a repository. Yields `licence.tag`, quoting the line. Nothing is run: of
setup.py the arguments are read as text.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator

from pipelines.extract.base import Source, as_list, as_text
from pipelines.extract.licence_tags import binding_licences
from pipelines.model import Evidence, JsonValue

ARGUMENT = re.compile(
    r"""
    ^ [ \t]{0,40} licen[cs]e [ \t]{0,4} = [ \t]{0,4} (?P<sign>["']) (?P<value>[^"'\r\n]{1,200}) (?P=sign)
    """,
    re.VERBOSE | re.MULTILINE,
)
CLASSIFIER = re.compile(r"License\s?::\s?[^\"'\r\n]{1,120}")
LONGEST = 200_000
"""Characters of a manifest; a longer one is none."""


def extract(source: Source) -> Iterator[Evidence]:
    """`licence.tag` for the licence field, or else for the classifiers."""
    text = source.text
    if len(text) > LONGEST:
        return
    name = source.snapshot.part.rpartition(":")[2]
    stated = _READERS[name](text) if name in _READERS else []
    for value in stated or [found.group().strip() for found in CLASSIFIER.finditer(text)]:
        licences = binding_licences(value)
        start = text.find(value)
        if licences and start >= 0:
            begin = text.rfind("\n", 0, start) + 1
            end = text.find("\n", start)
            yield source.quote(
                "licence.tag",
                begin,
                end if end >= 0 else len(text),
                licence=licences[0],
                raw=value[:80],
                list=list(licences[1:]),
            )
            if stated:
                return


def _of_pyproject(text: str) -> list[str]:
    """The field of [project], an expression or a table with the name as text, or that of [tool.poetry]."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return []
    tool = tables.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    found: list[str] = []
    for table in (tables.get("project"), poetry):
        value: JsonValue = table.get("license") if isinstance(table, dict) else None
        if isinstance(value, dict):
            value = as_text(value.get("text")).strip().partition("\n")[0]
        found += [one for one in as_list(value) if one]
    return found[:1]


def _of_setup_cfg(text: str) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    value = parser.get("metadata", "license", fallback="").strip().partition("\n")[0]
    return [value] if value else []


def _of_setup_py(text: str) -> list[str]:
    argument = ARGUMENT.search(text)
    return [argument["value"]] if argument else []


_READERS = {"pyproject.toml": _of_pyproject, "setup.cfg": _of_setup_cfg, "setup.py": _of_setup_py}
