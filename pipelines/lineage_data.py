"""Base models without a card of their own: what is publicly known of them, with a source each.

Many tuned models rest on a base that no repository describes: it is served behind an API, or its
weights went round by request. `lineage.yaml` says of each, in a sentence and with an address, how
open its data, weights, licence, architecture and data documentation are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pipelines.artifact_ids import address_problem
from pipelines.checked_yaml import Entry, Problems, mapping_of, quoted, root_list
from pipelines.model import Rating

_CLASSES = {"open": Rating.OPEN, "partial": Rating.PARTIAL, "closed": Rating.CLOSED}

LICENSE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,79}")
# 13B, 6.9b, 8x7B, 13 B, 540 billion, 32k: sizes, which tell no two bases apart.
SIZE = re.compile(
    r"""
    (?<![\d.]) (?: \d+ x )? \d+ (?:\.\d+)?
    (?: \s?b | [mkt] | \s*billion | \s*million )
    (?![^\W_])
    """,
    re.VERBOSE,
)
# "v2", "ver. 2" and "version 2" say no more than "2".
VERSION_WORD = re.compile(r"(?<![^\W\d_]) (?: v | ver\.? | version ) \s* (?=\d)", re.VERBOSE)
WORD = re.compile(r"[^\W\d_]+ | \d+ (?: \.\d+ )*", re.VERBOSE)
_FILLER = frozenset({"model", "models", "hf"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing publicly known of a base model.

    `statement` is one sentence in our own words, `source` the address that says so; `license_id` is
    the licence's short name where it has one. `path` is the JSON path of the fact in lineage.yaml.
    """

    rating: Rating
    statement: str
    source: str
    license_id: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A base model as curators name it, with the facts that a tuned model inherits."""

    name: str
    maker: str
    data: Fact
    weights: Fact
    license: Fact
    architecture: Fact
    datasheet: Fact | None = None
    aliases: tuple[str, ...] = ()


def parse_lineage(text: str, file_name: str) -> list[BaseModel]:
    """The base models of a lineage file, in its order.

    Raises SeedError with every mistake of the file, each with line and field.
    """
    problems = Problems(file_name)
    bases: list[BaseModel] = []
    taken: dict[tuple[str, ...], tuple[str, int]] = {}
    for index, node in enumerate(root_list(text, problems, of="base models")):
        entry = mapping_of(
            node, f"[{index}]", problems, required=("name", "maker", "facts"), optional=("aliases",)
        )
        base = None if entry is None else _base_model(entry, f"$[{index}]", taken)
        if base is not None:
            bases.append(base)
    problems.raise_if_any()
    return bases


def find_base(bases: Iterable[BaseModel], name: str) -> BaseModel | None:
    """The base model that a curator means by a name, or None.

    Case, spaces, punctuation, sizes ("13B") and the maker's name in front do not matter; versions
    do: "GPT 3.5" is GPT-3.5 and not GPT-3, "LLaMA2" is not LLaMA.
    """
    key = name_key(name)
    return next((base for base in bases if key and key in _keys(base)), None)


def _keys(base: BaseModel) -> frozenset[tuple[str, ...]]:
    """The keys of all names of a base, bare and with its maker (or the maker's first word) in front."""
    makers = ("", base.maker, base.maker.split(maxsplit=1)[0])
    return frozenset(name_key(f"{maker} {known}") for known in (base.name, *base.aliases) for maker in makers)


@lru_cache(maxsize=4096)  # every base is looked for in all names of the file
def name_key(name: str) -> tuple[str, ...]:
    """What stays of a model's name when case, punctuation and size are taken away.

    Runs of letters and of digits alternate: "Instruct-GPT" and "InstructGPT" give one key, "GPT-3.5"
    and "GPT 3.5" too, "GPT-3" and "GPT-4o" others.
    """
    folded = unicodedata.normalize("NFKC", name[:200]).casefold().replace("_", " ")
    folded = VERSION_WORD.sub(" ", SIZE.sub(" ", folded.replace("-", " ")))
    key: list[str] = []
    for word in WORD.findall(folded):
        if word in _FILLER:
            continue
        if word[0].isdigit():
            key.append(_plain_version(word))
        elif key and not key[-1][0].isdigit():
            key[-1] += word
        else:
            key.append(word)
    return tuple(key)


def _plain_version(digits: str) -> str:
    """3.0 is 3, but 3.10 is not 3.1 and 003 stays as it is."""
    while digits.endswith(".0"):
        digits = digits[:-2]
    return digits


def _base_model(entry: Entry, path: str, taken: dict[tuple[str, ...], tuple[str, int]]) -> BaseModel | None:
    """One entry; None when a fact that every base needs is wrong (and noted)."""
    name, maker, aliases = entry.text("name"), entry.text("maker"), entry.located_texts("aliases")
    _refuse_taken_name(entry, "name", name, entry.line_at("name"), taken)
    for position, (alias, line) in enumerate(aliases):
        _refuse_taken_name(entry, f"aliases[{position}]", alias, line, taken)
    if "facts" not in entry.values:
        return None
    needed = ("data", "weights", "license", "architecture")
    facts = mapping_of(
        entry.values["facts"],
        entry.field_path("facts"),
        entry.problems,
        required=needed,
        optional=("datasheet",),
    )
    if facts is None:
        return None
    found = {key: _fact(facts, key, f"{path}.facts.{key}") for key in (*needed, "datasheet")}
    data, weights, license_, architecture = (found[key] for key in needed)
    if data is None or weights is None or license_ is None or architecture is None:
        return None
    return BaseModel(
        name=name,
        maker=maker,
        aliases=tuple(alias for alias, _ in aliases),
        data=data,
        weights=weights,
        license=license_,
        architecture=architecture,
        datasheet=found["datasheet"],
    )


def _fact(facts: Entry, key: str, path: str) -> Fact | None:
    node = facts.values.get(key)
    if node is None:
        return None
    fact = mapping_of(
        node,
        facts.field_path(key),
        facts.problems,
        required=("class", "statement", "source"),
        optional=("id",) if key == "license" else (),
    )
    if fact is None:
        return None
    class_text, source, license_id = fact.text("class"), fact.text("source"), fact.text("id")
    rating = _CLASSES.get(class_text)
    if class_text and rating is None:
        fact.wrong("class", f"unknown class {quoted(class_text)} (known: {', '.join(_CLASSES)})")
    if source and (problem := address_problem(source)):
        fact.wrong("source", f"{quoted(source)}: {problem}")
    if license_id and not LICENSE_ID.fullmatch(license_id):
        fact.wrong("id", f"{quoted(license_id)} is no licence id: letters, digits, dots, dashes, plus signs")
    if rating is None:
        return None
    return Fact(
        rating=rating, statement=fact.text("statement"), source=source, license_id=license_id, path=path
    )


def _refuse_taken_name(
    entry: Entry, where: str, known: str, line: int, taken: dict[tuple[str, ...], tuple[str, int]]
) -> None:
    """Two base models must not answer to one name, and one need not list a name twice."""
    key = name_key(known)
    if key in taken:
        other, first = taken[key]
        message = f"{quoted(known)} is the same name as {quoted(other)} on line {first}"
        entry.problems.add(line, entry.field_path(where), message)
    elif key:
        taken[key] = (known, line)
    elif known:
        entry.problems.add(line, entry.field_path(where), f"{quoted(known)} has no name in it")
