"""The YAML block at the head of a card, read safely and as JSON values."""

from __future__ import annotations

import re
from collections.abc import Hashable
from math import isfinite
from typing import Any

import yaml

from pipelines.model import JsonValue

# As the Hub reads it: a line of three hyphens, the YAML, a line of three hyphens. What was read stays read
# ("+" and "?>"): "\r\n" is one line end or two, and trying both for every line doubles the time with each.
FRONT_MATTER = re.compile(
    r"""
    \A \ufeff? (?: [ \t]*+ (?>\r\n|\r|\n) ){0,20}+
    ---[ \t]*+ (?>\r\n|\r|\n)
    (?P<yaml> (?: (?!---[ \t]*+(?:\r|\n|\Z)) [^\r\n]*+ (?>\r\n|\r|\n) )*+ )
    ---[ \t]*+ (?>\r\n|\r|\n|\Z)
    """,
    re.VERBOSE,
)

BRACKETS = re.compile(r"[\[\]{}]")

MAX_CHARACTERS = 100_000
MAX_VALUES = 20_000
MAX_DEPTH = 60
MAX_BITS = 4_096
"""Of a number; the text of one with thousands of digits cannot be read again."""


MERGE = "tag:yaml.org,2002:merge"


class _TooLargeError(Exception):
    pass


class _CardConstructor(yaml.constructor.SafeConstructor):
    """Makes values of nodes; safe, and within bounds."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Take over what `<<` names; mappings that merge one another multiply, so what is taken over is counted."""
        # Any: PyYAML's own signature.
        named: list[Any] = []
        for key, value in node.value:
            if key.tag == MERGE:
                named += value.value if isinstance(value, yaml.SequenceNode) else [value]
        for other in named:
            if isinstance(other, yaml.MappingNode):
                self.flatten_mapping(other)
                self.merged += len(other.value) + 1
            if self.merged > MAX_VALUES:
                raise _TooLargeError
        super().flatten_mapping(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping with its keys as strings; a key that is a list or mapping is an error of the document."""
        # Any: PyYAML's own signature.
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no scalar", key.start_mark)
        return super().construct_mapping(node, deep)


class CardLoader(_CardConstructor, yaml.SafeLoader):
    """A safe loader that keeps dates, and words like `no` (the language), as they are written."""


class _QuickCardLoader(_CardConstructor, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, where it is installed: in a tenth of the time."""


_KEPT_RESOLVERS = {
    "tag:yaml.org,2002:null": re.compile(r"~|null|Null|NULL|"),
    "tag:yaml.org,2002:bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?[0-9]{1,40}"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:[0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?"
    ),
    MERGE: re.compile(r"<<"),
}
CardLoader.yaml_implicit_resolvers = {}
for _tag, _pattern in _KEPT_RESOLVERS.items():
    CardLoader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})\Z"), None)
_QuickCardLoader.yaml_implicit_resolvers = CardLoader.yaml_implicit_resolvers

# What libyaml may read in another way: tabs, tags, anchors, a comment right behind the mark of a block, odd characters.
# And what nests so deep on one line that it, which has no bounds, might run out of stack.
_READ_DIFFERENTLY = re.compile(
    r"""
    [^\r\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]
    | (?<!\w)[!&] | [|>][-+0-9]*+\# | (?:[-?:][ ]++){20}
    """,
    re.VERBOSE,
)
# And question marks within brackets, which begin a value where a line or a value begins.
_BRACKETS_BEGIN = re.compile(r"(?:^|[-:?])[ ]*+[\[{]", re.MULTILINE)


def parse_front_matter(text: str) -> tuple[dict[str, JsonValue] | None, str | None, tuple[int, int] | None]:
    """(mapping, error, span) of the head of a text.

    The mapping is None where there is none or where it cannot be read; then the error says why in
    one line. The span covers the block with both lines of hyphens; None without a block.
    """
    if "---" not in text[:200]:
        return None, None, None
    match = FRONT_MATTER.match(text)
    if match is None:
        return None, None, None
    span = match.span()
    if match.end("yaml") - match.start("yaml") > MAX_CHARACTERS:
        return None, "the front matter is too long", span
    if _is_nested_too_deep(match["yaml"]):
        return None, "the front matter is too large or too deep", span
    try:
        loaded = _loaded(match["yaml"])
        if loaded is None:
            return {}, None, span
        if not isinstance(loaded, dict):
            return None, "the front matter is not a mapping", span
        budget = [MAX_VALUES]
        return {str(key): _json_value(value, budget, 0) for key, value in loaded.items()}, None, span
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        return None, f"line {mark.line + 2}: {problem}" if mark else str(problem), span
    except _TooLargeError:
        return None, "the front matter is too large or too deep", span
    except (RecursionError, ValueError, TypeError, OverflowError) as error:
        return None, f"not readable: {type(error).__name__}", span


def _loaded(text: str) -> object:
    brackets = _BRACKETS_BEGIN.search(text)
    if not _READ_DIFFERENTLY.search(text) and (brackets is None or "?" not in text[brackets.end() :]):
        try:
            return yaml.load(text, Loader=_QuickCardLoader)
        except yaml.YAMLError:
            pass  # Is it one, and which? The other one's word counts.
    return yaml.load(text, Loader=CardLoader)


def _is_nested_too_deep(text: str) -> bool:
    """Would the recursive YAML reader run out of stack? Counted without regard to quotes."""
    depth = 0
    for match in BRACKETS.finditer(text):
        depth += 1 if match.group() in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return any(line.count("- ") > MAX_DEPTH and not line.strip("- \t") for line in text.splitlines())


def _json_value(value: object, budget: list[int], depth: int) -> JsonValue:
    """The value in JSON's types; aliases that multiply are stopped by the budget."""
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise _TooLargeError
    if isinstance(value, dict):
        return {str(key): _json_value(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_json_value(item, budget, depth + 1) for item in items]
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _TooLargeError
    if isinstance(value, float) and not isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)
