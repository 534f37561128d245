"""The instrument: a rubric's dimensions, what their classes mean, and what they are called upstream.

A rubric is one YAML file in `pipelines/rubrics/`, named for itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import yaml

from pipelines.checked_yaml import Entry, Problems, compose, line_of, mapping_of, quoted
from pipelines.errors import RuleError, SeedError, UsageError
from pipelines.model import Rating, digest_of

GROUPS = ("availability", "documentation", "access")
DEFAULT_RUBRIC = "opening-up-chatgpt"

_CLASSES = (Rating.OPEN, Rating.PARTIAL, Rating.CLOSED)
_DIMENSION_KEYS = ("id", "group", "column", "heading", "question", "classes")
_DIMENSION_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One question of a rubric. `column` is its key in the index's files, `heading` its table heading."""

    id: str
    group: str
    column: str
    heading: str
    question: str
    meanings: Mapping[Rating, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A rubric; `digest` changes with everything but the comments of its file.

    `weights` say what a class adds to a project's overall openness, from 0 to 1.
    """

    name: str
    title: str
    source: str
    weights: Mapping[Rating, float]
    dimensions: tuple[Dimension, ...]
    digest: str

    @property
    def dimension_ids(self) -> tuple[str, ...]:
        """The ids of the dimensions in their order."""
        return tuple(dimension.id for dimension in self.dimensions)

    def dimension(self, dimension_id: str) -> Dimension:
        """The dimension of that id; UsageError when the rubric has none."""
        for dimension in self.dimensions:
            if dimension.id == dimension_id:
                return dimension
        known = ", ".join(self.dimension_ids)
        raise UsageError(f"rubric {self.name} has no dimension {quoted(dimension_id)} (known: {known})")


@cache
def load_rubric(name: str = DEFAULT_RUBRIC) -> Rubric:
    """The rubric of that name.

    UsageError for an unknown name, RuleError for a file that contradicts itself.
    """
    known = rubric_names()
    if name not in known:
        raise UsageError(f"there is no rubric {quoted(name)} (known: {', '.join(known)})")
    file_name = f"{name}.yaml"
    text = (resources.files("pipelines") / "rubrics" / file_name).read_text(encoding="utf-8")
    rubric = parse_rubric(text, file_name)
    if rubric.name != name:
        raise RuleError(f"{file_name}: the rubric in it is named {quoted(rubric.name)}")
    return rubric


def rubric_names() -> tuple[str, ...]:
    """The names of the rubrics that there are."""
    files = (resources.files("pipelines") / "rubrics").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def parse_rubric(text: str, file_name: str) -> Rubric:
    """A rubric from its YAML text; RuleError names file, line and field of every mistake."""
    problems = Problems(file_name)
    rubric = None
    node = compose(text, problems)
    if node is not None:
        entry = mapping_of(
            node, "rubric", problems, required=("name", "title", "source", "weights", "dimensions")
        )
        rubric = None if entry is None else _rubric(entry)
    elif not problems:
        problems.add(1, "", "the file is empty")
    try:
        problems.raise_if_any()
    except SeedError as error:
        raise RuleError(str(error)) from None
    if rubric is None:
        raise RuleError(f"{file_name}: no rubric in it")
    return rubric


def _rubric(entry: Entry) -> Rubric:
    name = entry.text("name")
    if name and not _NAME.fullmatch(name):
        entry.wrong("name", "lower-case words joined by dashes are expected")
    weights = _weights(entry)
    dimensions: list[Dimension] = []
    for index, node in enumerate(entry.nodes("dimensions")):
        item = mapping_of(
            node, f"{entry.field_path('dimensions')}[{index}]", entry.problems, required=_DIMENSION_KEYS
        )
        if item is not None:
            dimensions.append(_dimension(item, dimensions))
    content = {
        "name": name,
        "title": entry.text("title"),
        "source": entry.text("source"),
        "weights": {rating.value: weight for rating, weight in weights.items()},
        "dimensions": [_content(dimension) for dimension in dimensions],
    }
    return Rubric(
        name=name,
        title=entry.text("title"),
        source=entry.text("source"),
        weights=MappingProxyType(weights),
        dimensions=tuple(dimensions),
        digest=digest_of(content),
    )


def _dimension(item: Entry, before: list[Dimension]) -> Dimension:
    dimension_id, group, column = item.text("id"), item.text("group"), item.text("column")
    if dimension_id and not _DIMENSION_ID.fullmatch(dimension_id):
        item.wrong("id", "a lower-case word is expected")
    if any(dimension_id == other.id for other in before):
        item.wrong("id", f"{quoted(dimension_id)} is given twice")
    if any(column == other.column for other in before):
        item.wrong("column", f"{quoted(column)} is given twice")
    if group and group not in GROUPS:
        item.wrong("group", f"unknown group {quoted(group)} (known: {', '.join(GROUPS)})")
    meanings: dict[Rating, str] = {}
    if "classes" in item.values:
        classes = mapping_of(
            item.values["classes"], item.field_path("classes"), item.problems, required=tuple(_CLASSES)
        )
        meanings = {rating: classes.text(rating) for rating in _CLASSES} if classes else {}
    return Dimension(
        id=dimension_id,
        group=group,
        column=column,
        heading=item.text("heading"),
        question=item.text("question"),
        meanings=MappingProxyType(meanings),
    )


def _content(dimension: Dimension) -> dict[str, object]:
    return {
        "id": dimension.id,
        "group": dimension.group,
        "column": dimension.column,
        "heading": dimension.heading,
        "question": dimension.question,
        "classes": {rating.value: meaning for rating, meaning in dimension.meanings.items()},
    }


def _weights(entry: Entry) -> dict[Rating, float]:
    if "weights" not in entry.values:
        return {}
    fields = mapping_of(
        entry.values["weights"], entry.field_path("weights"), entry.problems, required=tuple(_CLASSES)
    )
    weights: dict[Rating, float] = {}
    for key, node in (fields.values if fields else {}).items():
        weight = _number(node)
        if weight is None or not 0.0 <= weight <= 1.0:
            entry.problems.add(line_of(node), f"rubric.weights.{key}", "a number from 0 to 1 is expected")
        else:
            weights[Rating(key)] = weight
    return weights


def _number(node: yaml.Node) -> float | None:
    if not isinstance(node, yaml.ScalarNode):
        return None
    try:
        return float(node.value)
    except ValueError:
        return None
