"""YAML from people: read with line numbers, every mistake collected, nothing constructed.

Files that people edit are composed to nodes and never turned into objects by the YAML library, so a
tag cannot make anything run and every value keeps the line it stands on. Aliases are refused: they
are what a small file grows to gigabytes with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from pipelines.errors import SeedError

MAX_CHARACTERS = 8_000_000
MAX_DEPTH = 12
MAX_SHOWN = 50
MAX_TEXT = 2_000

_STR_TAG = "tag:yaml.org,2002:str"
_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"
# The C loader reads a file of a thousand projects ten times faster; it is not in every build of PyYAML.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Problems:
    """What is wrong in one file, in the order in which it is found."""

    file_name: str
    _found: list[tuple[int, str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int, path: str, message: str) -> None:
        """Note a mistake: its line (from 1), the field it is in and what is wrong with it."""
        self._found.append((line, path, message))

    def raise_if_any(self) -> None:
        """Raise one SeedError that names file, line and field of every mistake."""
        if not self._found:
            return
        lines = [
            f"{self.file_name}:{line}: {path}: {message}" if path else f"{self.file_name}:{line}: {message}"
            for line, path, message in sorted(self._found, key=lambda entry: entry[0])
        ]
        count = len(lines)
        if count > MAX_SHOWN:
            lines = [*lines[:MAX_SHOWN], f"... and {count - MAX_SHOWN} more"]
        noun = "error" if count == 1 else "errors"
        raise SeedError("\n".join([*lines, f"{count} {noun} in {self.file_name}; nothing was taken over"]))


def line_of(place: yaml.Node | yaml.Event) -> int:
    """The line on which a node or an event begins, counted from 1."""
    return place.start_mark.line + 1 if place.start_mark else 1


def compose(text: str, problems: Problems) -> yaml.Node | None:
    """The root node of a single YAML document; None when the text is empty or cannot be read."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        problems.add(1, "", f"the file is longer than {MAX_CHARACTERS} characters")
        return None
    try:
        _refuse_aliases_and_depth(text, problems)
        if problems:
            return None
        node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        problems.add(mark.line + 1 if mark else 1, "", f"not valid YAML: {what}")
        return None
    except yaml.reader.ReaderError as error:
        position = error.position if isinstance(error.position, int) else 0
        problems.add(text.count("\n", 0, position) + 1, "", f"not valid YAML: {error.reason}")
        return None
    except (yaml.YAMLError, UnicodeError) as error:
        problems.add(1, "", f"not valid YAML: {type(error).__name__}")
        return None
    return node


def _refuse_aliases_and_depth(text: str, problems: Problems) -> None:
    """Look at the stream of events, which costs no memory, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            problems.add(
                line_of(event), "", f"aliases (*{event.anchor}) are not allowed; write the value out"
            )
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                problems.add(line_of(event), "", f"nested more than {MAX_DEPTH} levels deep")
                return
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def root_list(text: str, problems: Problems, *, of: str) -> list[yaml.Node]:
    """The entries of a document that has to be a list that is not empty; `of` says of what."""
    node = compose(text, problems)
    if node is None or _is_null(node):
        if not problems:
            problems.add(1, "", f"the file is empty; a list of {of} is expected")
        return []
    if not isinstance(node, yaml.SequenceNode):
        problems.add(line_of(node), "", f"a list of {of} is expected, this is {_kind(node)}")
        return []
    if not node.value:
        problems.add(line_of(node), "", f"the list of {of} is empty")
    return list(node.value)


@dataclass(frozen=True, slots=True)
class Entry:
    """A mapping node whose keys were checked: known, given once, required ones present."""

    node: yaml.Node
    path: str
    values: dict[str, yaml.Node]
    problems: Problems

    @property
    def line(self) -> int:
        """The line on which the mapping begins."""
        return line_of(self.node)

    def field_path(self, key: str) -> str:
        """How a message names a field of this mapping."""
        return f"{self.path}.{key}"

    def line_at(self, key: str) -> int:
        """The line of a field, or of the mapping where the field is not given."""
        return line_of(self.values[key]) if key in self.values else self.line

    def wrong(self, key: str, message: str) -> None:
        """Note that a field is wrong."""
        self.problems.add(self.line_at(key), self.field_path(key), message)

    def text(self, key: str) -> str:
        """A field that is one line of text; empty where the key is absent, left empty or wrong."""
        node = self.values.get(key)
        return "" if node is None else text_of(node, self.field_path(key), self.problems)

    def texts(self, key: str) -> tuple[str, ...]:
        """A field that is a list of texts."""
        return tuple(text for text, _ in self.located_texts(key))

    def located_texts(self, key: str) -> list[tuple[str, int]]:
        """A field that is a list of texts, each with its line."""
        entries = [
            (text_of(node, f"{self.field_path(key)}[{index}]", self.problems, required=True), line_of(node))
            for index, node in enumerate(self.nodes(key))
        ]
        return [(text, line) for text, line in entries if text]

    def nodes(self, key: str) -> list[yaml.Node]:
        """The entries of a field that is a list; empty where the key is absent, left empty or wrong."""
        node = self.values.get(key)
        if node is None or _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(key, f"a list is expected, this is {_kind(node)}")
            return []
        return list(node.value)


def mapping_of(
    node: yaml.Node,
    path: str,
    problems: Problems,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
) -> Entry | None:
    """Check the keys of a mapping; None when the node is no mapping at all."""
    if not isinstance(node, yaml.MappingNode):
        problems.add(line_of(node), path, f"a mapping is expected, this is {_kind(node)}")
        return None
    known = (*required, *optional)
    values: dict[str, yaml.Node] = {}
    for key_node, value_node in _pairs(node):
        line = line_of(key_node)
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE_TAG:
            problems.add(line, path, "a key has to be a plain word")
            continue
        key = str(key_node.value)
        if key not in known:
            problems.add(line, f"{path}.{_shortened(key)}", f"unknown key (known: {', '.join(known)})")
        elif key in values:
            first = line_of(values[key])
            problems.add(line, f"{path}.{key}", f"given twice (first on line {first})")
        else:
            values[key] = value_node
    for key in required:
        if key not in values:
            problems.add(line_of(node), f"{path}.{key}", "is missing")
        elif _is_null(values[key]) or _is_blank(values[key]):
            problems.add(line_of(values[key]), f"{path}.{key}", "is empty")
    return Entry(node=node, path=path, values=values, problems=problems)


def text_of(node: yaml.Node, path: str, problems: Problems, *, required: bool = False) -> str:
    """One line of text without control characters; empty where it is not that (and noted)."""
    line = line_of(node)
    if _is_null(node) and not required:
        return ""
    if not isinstance(node, yaml.ScalarNode):
        problems.add(line, path, f"text is expected, this is {_kind(node)}")
        return ""
    if node.tag != _STR_TAG:
        problems.add(line, path, f"text is expected, this is {_kind(node)}; put it in quotes if it is meant")
        return ""
    text = str(node.value).strip()
    if required and not text:
        problems.add(line, path, "is empty")
    elif len(text) > MAX_TEXT:
        problems.add(line, path, f"longer than {MAX_TEXT} characters")
        return ""
    elif any(_is_unprintable(character) for character in text):
        problems.add(line, path, "has a line break or a control character in it")
        return ""
    return text


def quoted(text: str) -> str:
    """A value as a message shows it: quoted, escaped, and cut where it is long."""
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    yield from node.value


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL_TAG


def _is_blank(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _STR_TAG and not str(node.value).strip()


def _is_unprintable(character: str) -> bool:
    """Control characters, line and paragraph separators, lone surrogates: what no name has in it."""
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029) or 0xD800 <= code < 0xE000


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    name = str(node.tag).rpartition(":")[2]
    return {
        "null": "empty",
        "str": "text",
        "int": "a number",
        "float": "a number",
        "bool": "a truth value",
        "timestamp": "a date",
    }.get(name, f"of the kind {_shortened(str(node.tag))}")
