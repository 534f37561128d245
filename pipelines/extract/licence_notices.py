"""Licences that a file names without holding their text: by its title, a tag, a notice.

Model licences whose texts are not packaged are told from the first lines of their files; headers of files
and sentences such as "portions are under the … License" from the words that no text covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pipelines.extract.licence_mentions import mentions_in_plain_text
from pipelines.extract.licence_table import (
    Key,
    LicenceId,
    licence_facts,
    name_key,
    name_parts,
    normalise_licence,
    written_facts,
)
from pipelines.licence_words import Words

TITLE_LINES = 15
TITLE_REMAINDER = 3
TITLE_SCORE = 0.9
NOTICE_SCORE = 0.8
# A text so like a packaged one is that text, unless it calls itself another version of it.
CERTAIN_TEXT = 0.985
NOTICE_WORDS = 400
NAME_ONLY = 120

SPDX_TAG = re.compile(r"SPDX-License-Identifier:\s{0,5}(?P<expression>[^\r\n]{1,200})", re.IGNORECASE)
LINE = re.compile(r"\S[^\r\n]*")
TITLE_WORD = re.compile(r"licen[cs]e|agreement|terms|rail", re.IGNORECASE)
UNCOVERED = re.compile(rb"\x00+")
GNU_NOTICE = re.compile(
    r"""
    GNU \s+ (?P<which>(?:Affero|Lesser|Library)\s+)? General \s+ Public \s+ License
    .{0,160}? version \s+ (?P<version>[123](?:\.\d)?)
    (?P<later> .{0,80}? \b(?:any|or) \s+ later )?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceMatch:
    """A licence found in a file at text[start:end].

    `basis` is "text" (its words), "title" (its heading; words not packaged or changed) or "notice" (the
    file says that something is under it). `score` is the Dice value of a text in [0, 1], else a fixed
    number; `coverage` the share of the licence's text that is there. `rest` counts the words of the
    file that belong to none of its matches: terms may have been added there.
    """

    id: LicenceId
    name: str
    score: float
    coverage: float
    start: int
    end: int
    basis: str = "text"
    rest: int = 0


def make_match(
    identifier: LicenceId, start: int, end: int, basis: str, score: float, coverage: float = 0.0
) -> LicenceMatch:
    """A match with the licence's name, figures rounded."""
    facts = licence_facts(identifier)
    return LicenceMatch(
        id=identifier,
        name=facts.name if facts else identifier,
        score=round(score, 4),
        coverage=round(coverage, 4),
        start=start,
        end=end,
        basis=basis,
    )


# --- titles ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _titles() -> Mapping[str, tuple[tuple[Key, LicenceId], ...]]:
    """Keys of titles by their first part, longest first."""
    by_first: dict[str, set[tuple[Key, LicenceId]]] = {}
    for facts in written_facts():
        for title in (*facts.titles, facts.name) if facts.titles else ():
            key = name_key(title)
            by_first.setdefault(key[0], set()).add((key, facts.id))
    return MappingProxyType(
        {
            first: tuple(sorted(entries, key=lambda entry: (-len(entry[0]), entry[1])))
            for first, entries in by_first.items()
        }
    )


def by_title(text: str, found: list[LicenceMatch]) -> list[LicenceMatch]:
    """The matches, corrected by the title at the head of the file.

    A title overrules a text that is merely similar: successive versions of a model's licence differ in
    a few sentences and in the name.
    """
    title = _title_of(text)
    if title is None or any(match.id == title[0] for match in found):
        return found
    identifier, start = title
    under = [match for match in found if match.start <= start + 400 and match.end - match.start > 400]
    if under and under[0].score >= CERTAIN_TEXT and _family(under[0].id) != _family(identifier):
        return found
    end = under[0].end if under else len(text.rstrip())
    kept = [match for match in found if match not in under[:1]]
    return [*kept, make_match(identifier, start, max(end, start), "title", TITLE_SCORE)]


def _family(identifier: LicenceId) -> str:
    facts = licence_facts(identifier)
    return facts.family if facts else ""


def _title_of(text: str) -> tuple[LicenceId, int] | None:
    """(licence, offset) of the title among the first lines; sentences that name a licence are no titles."""
    for number, line in enumerate(LINE.finditer(text, 0, 8000)):
        if number >= TITLE_LINES:
            return None
        words = line.group().strip(" \t#*=-_")
        if len(words) > 160 or not TITLE_WORD.search(words):
            continue
        candidates = _titles().get(next((key[0] for _, _, key in name_parts(words)), ""), ())
        key = name_key(words) if candidates else ()
        for title, identifier in candidates:
            remainder = key[len(title) :]
            if (
                key[: len(title)] == title
                and len(remainder) <= TITLE_REMAINDER
                and not (remainder and remainder[0][0].isdigit())
            ):
                return identifier, line.start() + len(line.group()) - len(line.group().lstrip(" \t#*=-_"))
    return None


# --- notices -----------------------------------------------------------------------------------


def by_notice(text: str, words: Words, covered: bytearray, found: list[LicenceMatch]) -> list[LicenceMatch]:
    """Licences that the words outside all matches name: tags, headers of files, "portions under …"."""
    stripped = text.strip()
    if not found and len(stripped) <= NAME_ONLY and (known := normalise_licence(stripped)) is not None:
        begin = len(text) - len(text.lstrip())
        return [make_match(known, begin, begin + len(stripped), "notice", NOTICE_SCORE)]
    notices: dict[LicenceId, LicenceMatch] = {}
    for start, end, count in _gaps(text, words, covered):
        for tag in SPDX_TAG.finditer(text, start, end):
            known = normalise_licence(tag["expression"].strip(" */#\t"))
            if known is not None:
                notices.setdefault(known, make_match(known, *tag.span(), "notice", NOTICE_SCORE))
        if count > NOTICE_WORDS and (not found or count > 3 * NOTICE_WORDS):
            continue
        gnu = GNU_NOTICE.search(text, start, end)
        if gnu is not None:
            identifier = _gnu_identifier(gnu)
            notices.setdefault(identifier, make_match(identifier, *gnu.span(), "notice", NOTICE_SCORE))
        for mention in mentions_in_plain_text(text, start, end):
            facts = licence_facts(mention.licence)
            if gnu is None or facts is None or facts.family != "gnu":
                notices.setdefault(
                    mention.licence,
                    make_match(mention.licence, mention.start, mention.end, "notice", NOTICE_SCORE),
                )
    known_ids = {match.id for match in found}
    return [match for match in notices.values() if match.id not in known_ids]


def _gaps(text: str, words: Words, covered: bytearray) -> Iterator[tuple[int, int, int]]:
    """(start, end, words) of the stretches of the text that belong to no match."""
    for gap in UNCOVERED.finditer(covered):
        begin, last = gap.span()
        start = 0 if begin == 0 else words.starts[begin]
        end = len(text) if last == len(words.texts) else words.ends[last - 1]
        yield start, end, last - begin


def _gnu_identifier(match: re.Match[str]) -> LicenceId:
    letter = {"a": "A", "l": "L"}.get((match["which"] or " ")[0].lower(), "")
    version = match["version"] if "." in match["version"] else f"{match['version']}.0"
    identifier = f"{letter}GPL-{version}"
    return f"{identifier}-or-later" if match["later"] else identifier
