"""What a licence field says: SPDX expressions, and the Hub's `license`, `license_name` and `license_link`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.extract.base import as_list, as_text
from pipelines.extract.licence_links import licence_of_link
from pipelines.extract.licence_table import (
    LicenceId,
    is_open,
    licences_in_expression,
    name_key,
    normalise_licence,
)
from pipelines.extract.parts import NAMELESS, OTHER
from pipelines.model import JsonValue

OPERATOR = re.compile(r"[()]|(?<![^\s()])(?:AND|OR)(?![^\s()])")
LONGEST_EXPRESSION, DEEPEST = 500, 20


class LicenceTag(NamedTuple):
    """A field that states licences: its key and value, the licences that apply, and how they are written."""

    key: str
    value: JsonValue
    licences: tuple[LicenceId, ...]
    raw: str


def binding_licences(expression: str) -> tuple[LicenceId, ...]:
    """The licences that apply by an SPDX expression, a list or a name; unknown ones are left out.

    Of a choice ("MIT OR Apache-2.0") one applies: the first that is open, since anyone may take it. What
    is joined by AND applies together.
    """
    text = expression.strip()
    if len(text) > LONGEST_EXPRESSION:
        return ()
    if (single := normalise_licence(text)) is not None and not OPERATOR.search(text):
        return (single,)
    tokens = list(_tokens(text))
    if not {"AND", "OR"} & set(tokens) or tokens.count("(") > DEEPEST:
        return licences_in_expression(text)
    return tuple(dict.fromkeys(_any_of(tokens)))


def _tokens(text: str) -> Iterator[str]:
    """Brackets, operators, and the names between them."""
    reached = 0
    for operator in OPERATOR.finditer(text):
        if name := text[reached : operator.start()].strip():
            yield name
        yield operator.group()
        reached = operator.end()
    if name := text[reached:].strip():
        yield name


def _any_of(tokens: list[str]) -> tuple[LicenceId, ...]:
    """Alternatives joined by OR; takes what it reads from the front of the tokens."""
    alternatives = [_all_of(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        alternatives.append(_all_of(tokens))
    known = [one for one in alternatives if one]
    return next((one for one in known if all(map(is_open, one))), known[0] if known else ())


def _all_of(tokens: list[str]) -> tuple[LicenceId, ...]:
    found = _one(tokens)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        found += _one(tokens)
    return found


def _one(tokens: list[str]) -> tuple[LicenceId, ...]:
    if not tokens or tokens[0] in ("AND", "OR", ")"):
        return ()
    token = tokens.pop(0)
    if token == "(":
        found = _any_of(tokens)
        if tokens and tokens[0] == ")":
            tokens.pop(0)
        return found
    known = normalise_licence(token)
    return (known,) if known is not None else ()


def tags_of_front_matter(data: Mapping[str, JsonValue]) -> Iterator[LicenceTag]:
    """What a card's front matter states: the tag, made precise by name or link where it names no licence.

    A name or link that means another licence than the tag is a statement of its own.
    """
    stated = [value.strip() for value in as_list(data.get("license")) if value.strip()]
    licences = tuple(
        dict.fromkeys(known for value in stated for known in binding_licences(value) or (value.lower(),))
    )
    more = _named_more_precisely(data)
    is_nameless = not licences or licences[0] in NAMELESS
    if more is not None and is_nameless:
        yield more._replace(licences=tuple(dict.fromkeys((*more.licences, *licences[1:]))))
    elif stated or as_text(data.get("license_name")):
        name = as_text(data.get("license_name"))
        raw = name if name and is_nameless else stated[0]
        yield LicenceTag("license", data.get("license"), licences or (OTHER,), raw)
    if more is not None and not is_nameless and more.licences[0] not in licences:
        yield more


def _meant_by(name: str) -> LicenceId | None:
    """The licence of this name. Of one that is called a RAIL that much is known: it restricts what may be done."""
    known = normalise_licence(name)
    return "openrail" if known is None and _RAIL & set(name_key(name)) else known


_RAIL = frozenset({"rail", "openrail"})


def _named_more_precisely(data: Mapping[str, JsonValue]) -> LicenceTag | None:
    """The licence that `license_name` or else `license_link` means."""
    for key, meaning in (("license_name", _meant_by), ("license_link", licence_of_link)):
        value = as_text(data.get(key)).strip()
        known = meaning(value)
        if known is not None and known not in NAMELESS:
            return LicenceTag(key, data.get(key), (known,), value)
    return None
