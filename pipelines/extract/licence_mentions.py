"""Sentences that say what is licensed how, in READMEs and cards. English and Chinese.

A mention is a licence's name where a licence is spoken of, terms without a name ("for research use
only"), or a licence badge. A name alone is no mention: MIT is a university, Apache a web server, LLaMA a
model. Comparisons ("similar to the MIT License") are no mentions either.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.extract.base import folded
from pipelines.extract.licence_badges import licences_of_badge
from pipelines.extract.licence_links import licence_of_link
from pipelines.extract.licence_scope import scopes_of
from pipelines.extract.licence_table import (
    LICENCE_WORD,
    LicenceId,
    licence_facts,
    name_parts,
    prose_names,
)
from pipelines.extract.triggers import (
    COMMERCIAL_TRIGGERS,
    CUSTOM_TRIGGER,
    LICENCE,
    LICENCE_NAME,
    LICENCE_TRIGGERS,
    ONLY_TRIGGERS,
    RESEARCH_TRIGGERS,
    TERMS,
    what_is_told,
)
from pipelines.markdown import Document, Link, Sentence, parse_markdown

MAX_MENTIONS = 200
MAX_ADDRESSES = 100
LONGEST_SENTENCE = 1_500


class LicenceMention(NamedTuple):
    """A licence, what it is said to cover (code, weights, data; None: not said), and the passage."""

    licence: LicenceId
    scope: str | None
    start: int
    end: int


class _Found(NamedTuple):
    licence: LicenceId
    start: int
    end: int


# What may stand between the words of one name; blanked addresses are longer than that.
NAME_GAP = re.compile(
    r"""
    (?: [\s\-–_.,/()"“”'’*:+|`] | \b(?:the|a|an|licen[cs]es?|licensed|agreement|version|v|ver|terms)\b
      | (?<=\d|[a-z])v(?=\d) | v(?=\d)
    ){0,12}
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Marks that stand between a name and its cue without meaning anything.
DECORATION = str.maketrans(dict.fromkeys('*_`"“”‘[](){}|<>', " "))

CUE_AFTER = re.compile(
    r"""
    \s*+ (?:['’]s)? [\s\-–]*+ (?:的|之)? \s*+
    (?: (?:open[-\s]?source|model|community|usage|use|original|style|research|software|public) \s++ ){0,2}
    (?: licen[cs](?:e|es|ed|ing)\b | 许可 | 协议 | 授权 | 开源协议 | 开源许可 )
    """,
    re.VERBOSE | re.IGNORECASE,
)
CUE_BEFORE = re.compile(
    r"""
    (?: \b(?: licen[cs]ed | released | distributed | available | provided | published | shared | offered | open[-\s]?sourced
          | relicensed | is | are | falls? | comes? )
        (?:\s+\w+){0,3}? \s+ under
      | \b(?: governed | covered ) \s+ by
      | \b(?: subject | according | pursuant ) \s+ to
      | \b(?<!un) licen[cs](?:e|es|ing) (?:\s+(?:terms|agreement))?
        (?: \s*[:=\-–—：]+ | \s+(?:of|for|from|is|are|:) )?
      | (?: 许可证? | 协议 | 许可协议 | 授权 ) \s* (?:[:：]|为|是)
    )
    (?: \s+ (?:the|an?|its|their|\w+['’]s|terms|conditions|of|both|original) ){0,5} \s* $
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What is compared, denied or required of others is not what this work is licensed under.
NO_STATEMENT_BEFORE = re.compile(
    r"""
    (?: \b(?: similar | unlike | akin | equivalent | identical | close ) (?:\s+to)? | \bsuch\s+as | \be\.g\.,? | \bfor\s+example,?
      | \bcompatible\s+with | \bcompar(?:ed|able|ison) (?:\s+(?:to|with))? | \binstead\s+of | \brather\s+than | \bother\s+than
      | \binspired\s+by | \b(?:more|less)\s+\w+\s+than | \bdiffer(?:s|ent)\s+from
      | \b(?:not|never|n['’]t|no\s+longer)\s+(?:\w+\s+){0,2}(?:under|by)
      | 类似于? | 不同于 | 例如
    )
    (?: \s+ (?:the|an?|both|standard|a\s+standard) ){0,2} \s* $
    """,
    re.VERBOSE | re.IGNORECASE,
)

OPENING_BRACKET = re.compile(r"(?:\s|licen[cs]e)*[(（]\s*", re.IGNORECASE)

# Terms without a name. Not "commercial and research use", not "free for academic purposes".
NON_COMMERCIAL = re.compile(
    r"""
      \b(?<!not\s)(?:only|solely|exclusively|strictly|limited|restricted|licensed|intended|released|available|provided|allowed|permitted)\b
        (?:\s+\w+){0,5}? \s+ (?:for|to) (?:\s+\w+){0,2}? \s+ non-?\s?commercial (?:ly)?
    | \bnon-?\s?commercial(?:ly)? (?:\s+\w+){0,3}? \s+ only\b
    | \bonly\s+non-?\s?commercial\b
    | \bfor\s+non-?\s?commercial\s+(?:\w+\s+){0,2}?(?:use|usage|purposes?|research)\b
    | \bnon-?\s?commercial (?:\s+\w+){0,2}? \s+ licen[cs]e
    | \b(?:can|may|must|should|shall|do|is|are)\s*(?:not|n['’]t)\s+(?:\w+\s+){0,3}?(?:for|in)\s+(?:any\s+)?commercial
    | \b(?:can|may|must|should|shall)\s*(?:not|n['’]t)\s+be\s+(?:\w+\s+){0,2}?commercially
    | \b(?:can|may|must|should|shall|do)\s*(?:not|n['’]t)\s+(?:\w+\s+){1,4}?commercially\b
    | \b(?:not|n['’]t)\s+(?:permit|allow)(?:s|ted|ed)?\s+(?:any\s+)?commercial
    | \bcommercial\s+(?:use|usage|purposes?|applications?)(?:\s+\w+){0,7}?,?\s+(?:is|are)\s+(?:\w+\s+)?(?:prohibited|forbidden|not\s+(?:allowed|permitted)|disallowed)
    | \b(?:no|prohibits?|forbids?|prohibiting|forbidding)\s+(?:any\s+)?commercial\s+(?:use|usage|applications?)
    | (?:不得|不可|禁止|不能|不允许)(?:将[^。；\n]{0,20})?(?:用于)?(?:任何)?(?:形式的)?商(?:业|用)
    | 商业(?:用途|使用|目的)[^。；\n]{0,24}?(?:不允许|禁止|不得)
    | 非商(?:业|用)(?:性)?(?:用途|使用|目的|许可|研究)
    """,
    re.VERBOSE | re.IGNORECASE,
)
RESEARCH_ONLY = re.compile(
    r"""
      \b(?:academic|research|educational|learning|scientific) (?:\s*(?:,|/|and|or|&)?\s*\w+){0,3}? \s+ only\b
    | \b(?<!not\s)(?:only|solely|exclusively|strictly)\s+(?:be\s+)?(?:\w+\s+){0,3}?(?:for|in)\s+(?:\w+\s+){0,2}?(?:academic|research|educational)\b
    | \b(?:limited|restricted)\s+to\s+(?:\w+\s+){0,2}?(?:academic|research)\b
    | \bnot\s+be\s+used\s+(?:outside\s+(?:of\s+)?|other\s+than\s+for\s+)(?:\w+\s+)?research
    | (?:仅|只)(?:可|能|限|供|应|作|做|做为|作为|用){1,3}(?:应用于|用于|于|用作|作为)?[^。；;，,\n]{0,12}?(?:研究|学习|学术)
    """,
    re.VERBOSE | re.IGNORECASE,
)
CUSTOM = re.compile(
    r"""
    \b(?: custom | bespoke | own ) (?:\s+(?:commercial|model|research)){0,2} \s+ licen[cs]e \b (?!\s+(?:plate|key))
    """,
    re.VERBOSE | re.IGNORECASE,
)
# "governed by the Robin Model License": a licence with a name that nobody lists.
NAMED_CUSTOM = re.compile(
    r"""
    (?i: \b(?: governed\s+by | licen[cs]ed\s+under | released\s+under | (?:made\s+)?available\s+under | under\s+the\s+terms\s+of ) )
    \s+ (?: (?:the|its|our|an?)\s+ )?
    (?! (?i: open | permissive | same | following | free | standard | public | creative | gnu | above ) \b )
    (?: [A-Z][\w.-]{1,30} \s+ ){1,5} [Ll]icen[cs]e \b
    """,
    re.VERBOSE,
)
# A name before another noun is no licence: "Apache 2.0 Competitor". These words may follow one.
NEXT_WORD = re.compile(r"\s+(?P<word>[A-Za-z]{3,})")
MAY_FOLLOW = frozenset(
    "and for with which while but except only both data dataset datasets code model models weights under from "
    "allowing that this the see unless where when per via all also not terms style open free".split()
)
OF_TERMS = re.compile(r"licen[cs]e|\bterms\b|许可|协议", re.IGNORECASE)

_OF_LICENCES = LICENCE | LICENCE_NAME | TERMS


def find_licence_mentions(text: str) -> list[LicenceMention]:
    """The licences that a document says to apply, in order; front matter and code are not read."""
    document = parse_markdown(text)
    found: list[LicenceMention] = []
    passages = list(_passages(document))
    titles = [_titles(document, section) for section in range(len(document.sections))]
    below_licence = {section for section, title in enumerate(titles) if LICENCE_WORD.search(title)}
    for sentence in passages:
        if sentence.end - sentence.start <= LONGEST_SENTENCE:
            prose = document.prose[sentence.start : sentence.end]
            told = what_is_told(prose) & _OF_LICENCES
            if told or sentence.section in below_licence:
                title = "" if sentence.section is None else titles[sentence.section]
                found += _mentions_of(prose, told, sentence.start, title)
    addresses = 0
    for link in document.links:
        if link.is_image:
            found += _of_badge(link)
        elif addresses < MAX_ADDRESSES and (licence := licence_of_link(link.url)) is not None:
            addresses += 1
            found += _of_address(document, link, licence, passages, found)
    unique = {(mention.licence, mention.scope, mention.start): mention for mention in reversed(found)}
    return sorted(
        unique.values(),
        key=lambda mention: (mention.start, mention.end, mention.licence, mention.scope or ""),
    )[:MAX_MENTIONS]


def mentions_in_plain_text(text: str, start: int, end: int) -> list[LicenceMention]:
    """Mentions in a stretch of a file that is no Markdown (a licence file, a notice)."""
    found: list[LicenceMention] = []
    for match in PLAIN_PARAGRAPH.finditer(text, start, end):
        if match.end() - match.start() <= LONGEST_SENTENCE:
            prose = match.group()
            found += _mentions_of(prose, what_is_told(prose), match.start(), "")
    return found


PLAIN_PARAGRAPH = re.compile(r"[^\r\n]+(?:(?:\r\n|\r|\n)(?![ \t]*(?:\r|\n))[^\r\n]+)*")


def _passages(document: Document) -> Iterator[Sentence]:
    for index, section in enumerate(document.sections):
        yield Sentence(
            start=section.start,
            end=section.body_start,
            text=document.text[section.start : section.body_start],
            section=index,
        )
    yield from document.sentences()


def _titles(document: Document, section: int | None) -> str:
    if section is None:
        return ""
    found = document.sections[section]
    return " / ".join((*found.path[-1:], found.title))


def _mentions_of(prose: str, told: int, offset: int, title: str) -> Iterator[LicenceMention]:
    """Mentions in one passage, of whose words `told` is known; `offset` is where it begins, `title` the heading above it."""
    may_name = told & (LICENCE | LICENCE_NAME) or LICENCE_WORD.search(title)
    seen = list(_names(prose, title)) if may_name else []
    named = _without_repetition(prose, [one for one in seen if one.licence])
    unnamed = list(_unnamed(prose, named, seen)) if told & TERMS else []
    found = sorted(named + unnamed, key=lambda one: one.start)
    reached = 0
    for one in found:
        for scope in scopes_of(prose, one.start, one.end, reached, title):
            yield LicenceMention(one.licence, scope, *_passage(prose, one, offset))
        reached = one.end


def _without_repetition(prose: str, found: list[_Found]) -> list[_Found]:
    """Of a name and its short form in brackets the short form: "Creative Commons NonCommercial (CC BY-NC 4.0)"."""
    kept = []
    for number, one in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        if following is not None and OPENING_BRACKET.fullmatch(prose, one.end, following.start):
            here, there = licence_facts(one.licence), licence_facts(following.licence)
            if here is not None and there is not None and here.family == there.family:
                continue
        kept.append(one)
    return kept


def _passage(prose: str, found: _Found, offset: int) -> tuple[int, int]:
    """The whole sentence where it is of a length to quote, else the words themselves."""
    if len(prose) <= 500:
        begin = len(prose) - len(prose.lstrip())
        return offset + begin, offset + len(prose.rstrip())
    return offset + found.start, offset + found.end


def _names(prose: str, title: str) -> Iterator[_Found]:
    """Names of licences; without an identifier where the sentence only compares or denies."""
    names = prose_names()
    parts = [(start, end, part) for start, end, key in name_parts(prose) for part in key]
    words = tuple(part for _, _, part in parts)
    index = 0
    while index < len(parts):
        candidates = [
            name for name in names.get(words[index], ()) if words[index : index + len(name[0])] == name[0]
        ]
        match = _name_at(prose, parts, index, title, candidates) if candidates else None
        if match is None:
            index += 1
            continue
        identifier, length = match
        start, end = parts[index][0], parts[index + length - 1][1]
        is_stated = not NO_STATEMENT_BEFORE.search(_clean(prose[max(0, start - 60) : start]))
        yield _Found(identifier if is_stated else "", start, end)
        index += length


def _name_at(
    prose: str,
    parts: list[tuple[int, int, str]],
    index: int,
    title: str,
    candidates: list[tuple[tuple[str, ...], LicenceId, bool]],
) -> tuple[LicenceId, int] | None:
    """(licence, number of parts) of the longest name that stands at a part of the sentence, of those with its words."""
    for key, identifier, is_strong in candidates:
        piece = parts[index : index + len(key)]
        start, end = piece[0][0], piece[-1][1]
        if not all(
            one[1] >= other[0] or NAME_GAP.fullmatch(prose, one[1], other[0])
            for one, other in itertools.pairwise(piece)
        ):
            continue
        if (start and prose[start - 1].isalnum() and prose[start].isascii()) or _goes_on(prose, end):
            continue
        if (is_strong and _may_stand_alone(prose, end)) or _is_spoken_of(prose, start, end, title):
            return identifier, len(key)
    return None


def _goes_on(prose: str, end: int) -> bool:
    """Is the last part the beginning of a longer word or number ("Llama 2.5", "MITx")?"""
    rest = prose[end : end + 2]
    return bool(re.match(r"[a-zA-Z0-9]|\.\d", rest)) and not re.match(r"[vV]\d", rest)


def _may_stand_alone(prose: str, end: int) -> bool:
    if LICENCE_WORD.search(prose):
        return True
    following = NEXT_WORD.match(prose, end)
    return following is None or following["word"].lower() in MAY_FOLLOW


def _is_spoken_of(prose: str, start: int, end: int, title: str) -> bool:
    if LICENCE_WORD.search(prose, start, end):
        return True
    if CUE_AFTER.match(_clean(prose[end : end + 80])):
        return True
    before = _clean(prose[max(0, start - 90) : start])
    if any(map(folded(before).__contains__, LICENCE_TRIGGERS)) and CUE_BEFORE.search(before):
        return True
    # Below a heading "License" the name may stand alone.
    if not LICENCE_WORD.search(title):
        return False
    return 2 * (end - start) > sum(map(str.isalnum, prose))


def _clean(text: str) -> str:
    return text.translate(DECORATION)


def _unnamed(prose: str, named: list[_Found], seen: list[_Found]) -> Iterator[_Found]:
    """Terms without a name, where the sentence's named licence does not say the same already."""
    prose = _clean(prose)
    words = folded(prose)
    restricted = {
        restriction
        for one in named
        if (facts := licence_facts(one.licence)) is not None
        for restriction in facts.restrictions
    }
    for identifier, pattern, restriction, needed in (
        ("LicenseRef-research-only", RESEARCH_ONLY, "research-only", (RESEARCH_TRIGGERS, ONLY_TRIGGERS)),
        ("LicenseRef-non-commercial", NON_COMMERCIAL, "non-commercial", (COMMERCIAL_TRIGGERS,)),
    ):
        if restriction in restricted or not all(any(map(words.__contains__, group)) for group in needed):
            continue
        if match := pattern.search(prose):
            yield _Found(identifier, match.start(), match.end())
    if seen or CUSTOM_TRIGGER not in words:
        return
    match = CUSTOM.search(prose) or NAMED_CUSTOM.search(prose)
    if match and not NON_COMMERCIAL.search(prose):
        yield _Found("LicenseRef-custom", match.start(), match.end())


def _of_address(
    document: Document,
    link: Link,
    licence: LicenceId,
    passages: list[Sentence],
    found: list[LicenceMention],
) -> Iterator[LicenceMention]:
    """ "Its use is bound by [these terms](address of a licence)": where the sentence names no licence itself."""
    if any(mention.start <= link.start < mention.end for mention in found):
        return
    sentence = next((one for one in passages if one.start <= link.start < one.end), None)
    if sentence is None or sentence.end - sentence.start > LONGEST_SENTENCE:
        return
    before = _clean(document.prose[max(sentence.start, link.start - 90) : link.start])
    is_stated = OF_TERMS.search(link.text) or CUE_BEFORE.search(before)
    if not is_stated or NO_STATEMENT_BEFORE.search(before):
        return
    prose = document.prose[sentence.start : sentence.end]
    start, end = link.start - sentence.start, min(link.end, sentence.end) - sentence.start
    for scope in scopes_of(prose, start, end, 0, _titles(document, sentence.section)):
        yield LicenceMention(licence, scope, *_passage(prose, _Found(licence, start, end), sentence.start))


def _of_badge(link: Link) -> Iterator[LicenceMention]:
    label, licences = licences_of_badge(link.url, link.text)
    for licence in licences:
        for scope in scopes_of(f"{label} ", len(label), len(label), 0, ""):
            yield LicenceMention(licence, scope, link.start, link.end)
