"""Editing one entry of a seed file: everything else of it stays as it is, byte for byte.

An entry is the lines of one project, from its dash to the last line that says something of it. Comments
within it belong to it, those around it to the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from pipelines.checked_yaml import Problems, compose
from pipelines.errors import SeedError
from pipelines.model import Project
from pipelines.seeds import dump_seeds, parse_seeds

ENTRY = "entry"
"""What messages call the text of an entry that is being edited: its lines count from 1."""

MAX_ENTRY = 200_000
"""Characters of one entry."""

_LINE_END = re.compile(r"[\r\n]|\Z")
_DASH = re.compile(r"(?P<indent>[ ]*)-(?P<gap>[ ]+|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEntry:
    """An entry of a seed file: its place in the text, and its own text as a person edits it.

    `text` is without the dash and the indentation; `indent` is that of the dash, `gap` what follows it. Both are
    empty for an entry within brackets, which is one stretch of text.
    """

    slug: str
    start: int
    end: int
    text: str
    indent: str = ""
    gap: str = ""
    is_block: bool = True


def find_entry(text: str, slug: str) -> SeedEntry | None:
    """The entry of a project; None when the file has none. Raises SeedError when the file cannot be read."""
    return next((entry for entry in _entries(text) if entry.slug == slug), None)


def replace_entry(text: str, file_name: str, slug: str, edited: str) -> tuple[str, Project]:
    """The file with another text of one entry, and the project that it then says.

    Raises SeedError with every mistake, each with line and field: those of the entry with the lines of the entry.
    The slug stays as it is, since decisions are kept under it.
    """
    entry = find_entry(text, slug)
    if entry is None:
        raise SeedError(f"{file_name} has no entry {slug!r}")
    project = parse_entry(edited)
    if project.slug != slug:
        raise SeedError(
            f"{ENTRY}:1: slug: {project.slug!r} instead of {slug!r}: ratings are kept under the slug, it stays"
        )
    changed = text[: entry.start] + _as_in_file(entry, _lines(edited), _newline(text)) + text[entry.end :]
    _check(changed, file_name, project, [p for p in parse_seeds(text, file_name) if p.slug != slug])
    return changed, project


def append_entry(text: str, file_name: str, project: Project) -> str:
    """The file with an entry for one more project at its end. Raises SeedError when that cannot be."""
    others = parse_seeds(text, file_name) if text.strip() else []
    entries = list(_entries(text)) if others else []
    if entries and not entries[-1].is_block:
        raise SeedError(f"{file_name} is written in brackets: add the entry by hand")
    newline = _newline(text)
    indent = entries[-1].indent if entries else ""
    lines = [indent + line if line else line for line in dump_seeds([project]).splitlines()]
    head = text if not text or text.endswith(("\n", "\r")) else text + newline
    changed = head + newline.join(lines) + newline
    _check(changed, file_name, project, others)
    return changed


def parse_entry(edited: str) -> Project:
    """The project that the text of one entry says. Raises SeedError with the lines of that text."""
    if len(edited) > MAX_ENTRY:
        raise SeedError(f"{ENTRY}:1: longer than {MAX_ENTRY} characters")
    lines = _lines(edited)
    first = _first_words(lines)
    if first is None:
        raise SeedError(f"{ENTRY}:1: the entry is empty")
    # A list of this one entry, on the same lines. Comments may stand before the dash.
    as_list = [
        ("- " if place == first else "  ") + line if line.strip() else "" for place, line in enumerate(lines)
    ]
    projects = parse_seeds("\n".join(as_list) + "\n", ENTRY)
    if len(projects) != 1:
        raise SeedError(f"{ENTRY}:1: one entry is expected, these are {len(projects)}")
    return projects[0]


def _check(changed: str, file_name: str, project: Project, others: list[Project]) -> None:
    """Raises SeedError unless the changed file says what it said before of all others, and this of the project."""
    found = {item.slug: item for item in parse_seeds(changed, file_name)}
    expected = {item.slug: item for item in (*others, project)}
    if found != expected:
        raise SeedError(f"{ENTRY}:1: with this entry the file would say something else of other projects")


def _first_words(lines: list[str]) -> int | None:
    """The first line that says something; None when all are empty or comments."""
    said = (place for place, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
    return next(said, None)


def _lines(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _as_in_file(entry: SeedEntry, lines: list[str], newline: str) -> str:
    if not entry.is_block:
        return newline.join(lines)
    margin = entry.indent + " " * (1 + len(entry.gap))
    # Comments that stand before the first key go before the dash: after it they would end the line.
    first = _first_words(lines) or 0
    written = []
    for place, line in enumerate(lines):
        if not line.strip():
            written.append("")
        elif place < first:
            written.append(entry.indent + line)
        else:
            written.append((f"{entry.indent}-{entry.gap}" if place == first else margin) + line)
    return newline.join(written)


def _entries(text: str) -> Iterator[SeedEntry]:
    """The entries of a seed file with their places in the text."""
    problems = Problems(ENTRY)
    root = compose(text, problems)
    problems.raise_if_any()
    if not isinstance(root, yaml.SequenceNode):
        return
    # Places are counted without the mark that some editors put in front.
    shift = len(text) - len(text.removeprefix("\ufeff"))
    for node in root.value:
        slug = _slug(node)
        if slug is None or node.start_mark is None:
            continue
        start, end = node.start_mark.index + shift, _end(node) + shift
        if root.flow_style or not isinstance(node, yaml.MappingNode):
            yield SeedEntry(
                slug=slug, start=start, end=node.end_mark.index + shift, text=text[start:end], is_block=False
            )
            continue
        entry = _block(text, slug, start, end)
        if entry is not None:
            yield entry


def _block(text: str, slug: str, start: int, end: int) -> SeedEntry | None:
    """An entry that begins with a dash on a line of its own."""
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    dash = _DASH.fullmatch(text[line_start:start])
    if dash is None:
        return None
    # A text in lines of its own ends where the next line begins.
    line_end = _LINE_END.search(text, len(text[:end].rstrip()))
    stop = line_end.start() if line_end else len(text)
    margin = len(dash["indent"]) + 1 + len(dash["gap"])
    lines = re.split(r"\r\n|\r|\n", text[start:stop])
    shown = [lines[0], *(_without_margin(line, margin) for line in lines[1:])]
    return SeedEntry(
        slug=slug,
        start=line_start,
        end=stop,
        text="\n".join(shown).rstrip("\n") + "\n",
        indent=dash["indent"],
        gap=dash["gap"],
    )


def _without_margin(line: str, margin: int) -> str:
    """A line without the indentation of its entry; a comment that stands further left is moved."""
    return line[margin:] if not line[:margin].strip() else line.lstrip()


def _slug(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "slug" and isinstance(value, yaml.ScalarNode):
            return str(value.value).strip()
    return None


def _end(node: yaml.Node) -> int:
    """Where the last words of a node end. The end of a mapping in lines is where the next thing begins."""
    end = node.end_mark.index if node.end_mark else 0
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return end
    inner = (
        [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else node.value
    )
    return max((_end(child) for child in inner), default=end)
