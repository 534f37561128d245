"""What is known about licences: identifiers, kinds, restrictions and spellings.

An identifier is the SPDX one; the Hub's tag for licences that SPDX does not list; `LicenseRef-…`
for terms without a name. Facts written by hand stand in `pipelines/data/licences.yaml`; every other
licence of the SPDX list takes its facts from the list and from ScanCode's category.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import TypeAlias

import yaml

from pipelines.model import JsonValue

LicenceId: TypeAlias = str
Key: TypeAlias = tuple[str, ...]

KINDS = (
    "permissive",
    "copyleft",
    "public-domain",
    "data-open",
    "non-commercial",
    "no-derivatives",
    "rail",
    "bespoke",
    "bespoke-open",
    "unknown",
)
# As free as an OSI-approved licence, whether or not one may be approved for what it is used for.
OPEN_KINDS = frozenset({"permissive", "copyleft", "public-domain", "data-open", "bespoke-open"})
RESTRICTIONS = (
    "non-commercial",
    "acceptable-use",
    "user-threshold",
    "no-derivatives",
    "research-only",
    "share-alike",
    "acceptance-required",
    "royalty",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFacts:
    """What is known about one licence. `kind` is one of KINDS, `restrictions` are of RESTRICTIONS.

    `weak_names` mean the licence only next to a word like "licence"; `titles` begin its own text;
    `links` are addresses of its text.
    """

    id: LicenceId
    name: str
    family: str
    osi_approved: bool
    kind: str
    source: str
    restrictions: tuple[str, ...] = ()
    names: tuple[str, ...] = field(default=(), repr=False)
    weak_names: tuple[str, ...] = field(default=(), repr=False)
    titles: tuple[str, ...] = field(default=(), repr=False)
    links: tuple[str, ...] = field(default=(), repr=False)


_SCANCODE_KINDS = {
    "Permissive": "permissive",
    "Public Domain": "public-domain",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
    "Proprietary Free": "bespoke",
    "Free Restricted": "bespoke",
    "Source-available": "bespoke",
    "Commercial": "bespoke",
}


@lru_cache(maxsize=1)
def packaged_data() -> Mapping[str, JsonValue]:
    """The names of `pipelines/data/licences.json.gz`, and where they come from."""
    body = files("pipelines").joinpath("data/licences.json.gz").read_bytes()
    data: dict[str, JsonValue] = json.loads(gzip.decompress(body))
    return MappingProxyType(data)


@lru_cache(maxsize=1)
def written_facts() -> tuple[LicenceFacts, ...]:
    """The entries of `licences.yaml` in the order of the file."""
    text = files("pipelines").joinpath("data/licences.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(text, Loader=loader)
    lists = ("restrictions", "names", "weak_names", "titles", "links")
    return tuple(
        LicenceFacts(**{**entry, **{key: tuple(entry.get(key, ())) for key in lists}}) for entry in entries
    )


@lru_cache(maxsize=1)
def licences() -> Mapping[LicenceId, LicenceFacts]:
    """Every known licence by its identifier: those written by hand first, then the SPDX list."""
    known = {facts.id: facts for facts in written_facts()}
    for entry in packaged_data()["names"]:
        if entry["id"] not in known:
            known[entry["id"]] = _facts_of_spdx(entry)
    return MappingProxyType(known)


def _facts_of_spdx(entry: Mapping[str, JsonValue]) -> LicenceFacts:
    identifier, parts = entry["id"], entry["id"].split("-")
    kind = _SCANCODE_KINDS.get(entry["category"], "unknown")
    if parts[0] == "CC":
        kind = "non-commercial" if "NC" in parts else "no-derivatives" if "ND" in parts else "data-open"
    elif entry["osi"] and kind not in ("copyleft", "public-domain"):
        kind = "permissive"
    restrictions = [
        restriction
        for restriction, is_there in (
            ("non-commercial", "NC" in parts),
            ("no-derivatives", "ND" in parts),
            ("share-alike", "SA" in parts or kind == "copyleft"),
        )
        if is_there
    ]
    return LicenceFacts(
        id=identifier,
        name=entry["name"],
        family=parts[0].lower(),
        osi_approved=entry["osi"],
        kind=kind,
        restrictions=tuple(restrictions),
        source=f"https://spdx.org/licenses/{identifier}.html",
    )


def licence_facts(identifier: LicenceId) -> LicenceFacts | None:
    """The facts of a licence by identifier (in any case) or spelling; None for one nobody knows."""
    found = licences().get(identifier)
    if found is None and (known := normalise_licence(identifier)) is not None:
        found = licences()[known]
    return found


def is_open(identifier: LicenceId) -> bool:
    """Is a licence OSI-approved or as free? Not where nobody knows it."""
    facts = licence_facts(identifier)
    return facts is not None and (facts.osi_approved or facts.kind in OPEN_KINDS)


# --- spellings ---------------------------------------------------------------------------------

# Chinese characters are words of their own; `++` belongs to a name (openrail++), `+` to GPLv3+.
NAME_PART = re.compile(
    r"""
    [a-z]+ | \d+(?:\.\d+)* | \+{1,2} | (?-i:[\u4e00-\u9fff])
    """,
    re.VERBOSE | re.IGNORECASE,
)

# Words that stand or do not stand in a licence's name without making it another one.
FILLERS = frozenset(
    "the a an license licence licenses licences licensed agreement version v ver terms international unported "
    "generic s".split()
)
_SAME = {
    "noncommercial": ("non", "commercial"),
    "sharealike": ("share", "alike"),
    "noderivatives": ("no", "derivatives"),
    "noderivs": ("no", "derivatives"),
    "derivs": ("derivatives",),
    "creativecommons": ("creative", "commons"),
    "openrailm": ("openrail", "m"),
    "stabilityai": ("stability", "ai"),
}


def name_key(name: str) -> Key:
    """What two spellings of one licence's name have in common: its words without fillers, case, signs."""
    return tuple(part for written in NAME_PART.findall(name[:300]) for part in _parts_of(written))


def name_parts(text: str) -> Iterator[tuple[int, int, Key]]:
    """(start, end, parts of a name) for each word that counts; fillers are left out."""
    for match in NAME_PART.finditer(text):
        if parts := _parts_of(match.group()):
            yield match.start(), match.end(), parts


# Texts repeat their words; most of them are looked at many times.
@lru_cache(maxsize=1 << 14)
def _parts_of(written: str) -> Key:
    """The parts of a name that a word stands for; none for a filler."""
    word = written.lower()
    if word in FILLERS:
        return ()
    if word[0].isdigit():
        word = re.sub(r"(?:\.0)+$", "", word)
    elif word.startswith("gplv") or (word.endswith("v") and word[:-1] in ("gpl", "lgpl", "agpl", "mpl")):
        word = word[:-1]
    return _SAME.get(word, (word,))


LICENCE_WORD = re.compile(r"licen[cs]e|许可|协议", re.IGNORECASE)


@lru_cache(maxsize=1)
def strong_names() -> Mapping[Key, LicenceId]:
    """Spellings that mean a licence wherever they stand.

    A name that needs the word "licence" ("MIT License") is none of them: without it it may be a
    university or a model.
    """
    found: dict[Key, LicenceId] = {}
    for facts in written_facts():
        if not facts.id.startswith("LicenseRef-"):
            for name in facts.names:
                if not LICENCE_WORD.search(name):
                    found.setdefault(name_key(name), facts.id)
    return MappingProxyType(found)


# Words that stand in many a sentence, and in names with others that are rarer.
_ORDINARY = frozenset("ai commercial community data later model modified new open training zero".split())


def telling_words() -> set[str]:
    """Of these at least one stands, as a word in small letters, where one of `strong_names` does: of each its rarest part."""
    parts = {
        max(key, key=lambda part: (part.isalpha() and part not in _ORDINARY, len(part)))
        for key in strong_names()
    }
    joined = {word for word, of in _SAME.items() if not parts.isdisjoint(of)}
    return parts | joined | {f"{part}v" for part in parts}


@lru_cache(maxsize=1)
def weak_names() -> Mapping[Key, LicenceId]:
    """Spellings that mean a licence only where a licence is spoken of: identifiers, SPDX names, short names."""
    found: dict[Key, LicenceId] = {}
    for facts in licences().values():
        for name in (facts.id, facts.name, *facts.names, *facts.weak_names, *facts.titles):
            found.setdefault(name_key(name), facts.id)
    found.pop((), None)
    return MappingProxyType({key: id_ for key, id_ in found.items() if key not in strong_names()})


@lru_cache(maxsize=1)
def prose_names() -> Mapping[str, tuple[tuple[Key, LicenceId, bool], ...]]:
    """(name, licence, is strong) by the name's first part, longest first: what may stand in a sentence.

    SPDX identifiers of one word (Ruby, Fair, Intel) are left out: they are words of the language.
    """
    written = {facts.id for facts in written_facts()}
    by_first: dict[str, list[tuple[Key, LicenceId, bool]]] = {}
    for is_strong, names in ((True, strong_names()), (False, weak_names())):
        for key, identifier in names.items():
            facts = licences()[identifier]
            if facts.family == "unnamed" or (identifier not in written and len(key) < 2):
                continue
            by_first.setdefault(key[0], []).append((key, identifier, is_strong))
    return MappingProxyType(
        {
            first: tuple(sorted(entries, key=lambda entry: -len(entry[0])))
            for first, entries in by_first.items()
        }
    )


CLASSIFIER_HEAD = re.compile(r"^\s*License\s*::\s*(?:OSI\s+Approved\s*::\s*)?", re.IGNORECASE)
REFERENCE_HEAD = re.compile(r"^licenseref-(?:scancode-)?", re.IGNORECASE)
IN_BRACKETS = re.compile(r"\([^()]{0,100}\)|（[^（）]{0,100}）")
EXPRESSION = re.compile(r"\s+(?:OR|AND)\s+|\s*[,;/]\s*|\s+(?:or|and)\s+|\s*和\s*|\s*、\s*")
EXCEPTION = re.compile(r"\s+WITH\s+[\w.+-]{1,80}")
MAX_NAME = 200


def normalise_licence(name: str | None) -> LicenceId | None:
    """The identifier that a tag, an SPDX identifier, a classifier or a name in prose means.

    None where nobody can say: an empty name, an unknown one, an expression with several licences
    that all apply. Of a choice ("MIT OR Apache-2.0") it is the first, since anyone may take it.
    """
    if not name or len(name) > MAX_NAME:
        return None
    text = REFERENCE_HEAD.sub("", CLASSIFIER_HEAD.sub("", name).strip())
    for spelling in (text, IN_BRACKETS.sub(" ", text), EXCEPTION.sub("", text)):
        if (found := _known(name_key(spelling))) is not None:
            return found
    if re.search(r"\sOR\s", text):
        return normalise_licence(text.split(" OR ")[0].strip(" ()"))
    return None


def licences_in_expression(text: str) -> tuple[LicenceId, ...]:
    """Every licence named in a list or an SPDX expression; unknown ones are left out."""
    if (single := normalise_licence(text)) is not None and not re.search(r"\s(?:OR|AND)\s", text):
        return (single,)
    parts = EXPRESSION.split(text[:1000])
    found = [normalise_licence(part.strip(" ()\"'")) for part in parts]
    return tuple(dict.fromkeys(identifier for identifier in found if identifier is not None))


def _known(key: Key) -> LicenceId | None:
    if not key:
        return None
    found = strong_names().get(key) or weak_names().get(key)
    if found is None and len(key) > 1:
        # "MIT License (MIT)" without its brackets: the name said twice.
        half = len(key) // 2
        if len(key) % 2 == 0 and key[:half] == key[half:]:
            return _known(key[:half])
    return found
