"""What changes in a text although nothing is said anew: counters, clocks, dates of rendering, keys of a session.

A page that counts its visitors or names the time of day has other bytes every night. `steady` puts one
mark in the place of such words, so that two texts can be compared by what they say. Patterns are narrow
on purpose: a number that states something ("10 billion tokens", "files with at least 5 stars", a version,
a checksum, the date of a release) is kept.
"""

from __future__ import annotations

import re

from pipelines.folding import folded

MARK = "◦"
"""What stands for a volatile word in a steady text."""

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = rf"""(?: \d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}} | \d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}
               | \d{{1,2}}(?:st|nd|rd|th)? \s+ {_MONTH} (?:,? \s+ \d{{4}})?
               | {_MONTH} \s+ \d{{1,2}}(?:st|nd|rd|th)? (?:,? \s+ \d{{4}})?
               | \d{{4}}年\d{{1,2}}月\d{{1,2}}日 | today | yesterday )"""
_TIME = r"(?: (?:[01]?\d|2[0-3]) : [0-5]\d (?: : [0-5]\d (?: [.,]\d{1,9} )? )? )"
_ZONE = r"(?: \s? (?: [ap]\.?m\b\.? | Z\b | UTC | GMT | C?ES?T\b | [ECMP][SD]T\b | [+-]\d\d:?\d\d\b ) )"

# A day with its time, as logs and feeds write it, and a time that says what clock it is by.
CLOCK = re.compile(
    rf"""(?<![\d:.]) (?: (?: (?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? \s+ )? {_DATE} (?: [T\s,] | \s+at )\s* {_TIME} {_ZONE}*
                   | {_TIME} {_ZONE}
                   | (?:[01]?\d|2[0-3]) : [0-5]\d : [0-5]\d ) (?![\d:])""",
    re.VERBOSE | re.IGNORECASE,
)
AGO = re.compile(
    r"""(?<![\w.,]) (?: \d{1,4} | an? | one | a \s few ) \s+ (?:second|minute|min|sec|hour|day|week|month|year)s? \s+ ago\b
      | \bjust \s now\b | \d{1,4}\s?(?:秒|分钟|小时|天|个?月|年)前""",
    re.VERBOSE | re.IGNORECASE,
)
# The date of a rendering, where it stands as a label or is said of the page; that of a release is none.
STAMP = re.compile(
    rf"""(?P<lead> (?: ^ | [|·•*_(>.–—-] ) \s* (?: this \s+ )? (?: (?:page|site|document(?:ation)?|article|post|list|guide) \s+ (?:(?:was|is|has \s been) \s+)? )?
           (?: (?:last \s+)? (?:updated|modified|edited|generated|rendered|refreshed) | last \s+ (?:built|checked)
             | today(?:'s \s date)? (?:\s+is)? | (?:current|local|server) \s+ (?:date|time) )
           \s* [:：]? \s* (?:(?:on|at|is) \s+)? (?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? \s+ )? ) {_DATE}""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_COUNTED = r"(?:stars|forks|downloads|likes|views|visitors|visits|watchers|followers|subscribers|installs)"
# A threshold ("more than 10 stars") states a fact; so does any other thing that is counted. Begins with its
# digit, so that a text without one is passed over quickly.
COUNTER = re.compile(
    rf"""\d (?<![\w.,]\d) (?<!than\s\d) (?<!least\s\d) (?<![≥>=<≤]\s\d) (?<![≥>=<≤]\d) (?:[\d,.]*\d)? (?:\s?[kKmM]\b)? \+?
         (?: \s+ (?: (?:total|unique|monthly|weekly|daily|page|profile|people|users?) \s+ ){{0,2}} (?: {_COUNTED} | online ) \b
           | \s?[万亿]?\s?(?:次|人)\s?(?:浏览|阅读|访问|下载|在线|点赞) )""",
    re.VERBOSE | re.IGNORECASE,
)
LABELLED_COUNTER = re.compile(
    rf"""(?: \b {_COUNTED} (?: \s+ (?:last \s month|this \s week|today|so \s far) )?
           | \b (?: visitors? | hits? | page \s views? ) \s+ (?:no\.?|number|counter|count)
           | 浏览量? | 阅读量? | 访问量? | 下载量 | 点赞数? ) \s* [:：#]? \s* \d[\d,.]* (?:\s?[kKmM]\b)?""",
    re.VERBOSE | re.IGNORECASE,
)
# What a page says of its own making; that a training took thirty seconds is a fact.
TIMING = re.compile(
    r"""\b (?: (?: generated | rendered | loaded | served | built ) \s+ in | page \s+ took | quer(?:y|ies) (?: \s+ (?:in|took) )? ) \s+
         \d+(?:\.\d+)? \s? (?: ms | milliseconds? | s | secs? | seconds? ) \b""",
    re.VERBOSE | re.IGNORECASE,
)
# A key of this one answer; a checksum or a commit, which name something, have other words before them.
KEY = re.compile(
    r"""\b (?: (?:request|ray|trace|session|incident|event|correlation) [\s_-]* (?:id|no\.?|number|key)
             | (?:csrf|xsrf|session) [\s_-]* token | nonce | build [\s_-]* (?:id|hash|number) )
         \s* [:：#=]? \s* [0-9a-z][0-9a-z+/=_-]{5,}""",
    re.VERBOSE | re.IGNORECASE,
)
# What servers hang on addresses so that caches miss, or to follow a reader about. `v` names a film as well.
CACHE_KEY = re.compile(
    r"""(?P<lead> [?&] (?: _ | cb | rnd | nonce | sid | session\w* | (?:csrf|xsrf)\w* | utm_\w+ | fbclid | gclid
                        | phpsessid | request_?id | timestamp | cache_?bust\w* ) = ) [^&\s)"'>\#]*""",
    re.VERBOSE | re.IGNORECASE,
)
ASSET_KEY = re.compile(
    r"(?<=[-._/])[0-9a-f]{8,64}(?=\.(?:js|css|png|svg|jpe?g|webp|avif|gif|ico|woff2?)\b)", re.IGNORECASE
)
COPYRIGHT_YEAR = re.compile(
    r"(?P<lead>(?:©|\(c\)|\bcopyright\b)[^\S\n]{0,3}(?:©|\(c\))?[^\S\n]{0,3}(?:\d{4}\s?[-–—]\s?)?)\d{4}\b(?!\s?[-–—])",
    re.IGNORECASE,
)

# Where a match of these two may begin, in small letters: to such places the search leaps.
_BEGINS_AGO = re.compile(r"\d{1,4}\s|an?\s|one\s|just\snow|\d{1,4}(?:秒|分|小|天|个|月|年)")
_BEGINS_KEY = re.compile(
    r"(?:request|ray|trace|session|incident|event|correlation|build)[\s_-]*+(?:id|no|num|key|hash|token)|[cx]srf|nonce"
)

# Where none of these words stands, the pattern is not tried: most passages have none of them. Where one stands,
# something of what a pattern matches is looked for in small letters first: that is quicker than the pattern.
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*+,?\s+)?"
_BEGINS_DATE = r"(?:\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|today|yesterday)"
_BY_WORD = (
    (
        STAMP,
        rf"\g<lead>{MARK}",
        (
            "updated",
            "modified",
            "edited",
            "generated",
            "rendered",
            "refreshed",
            "last ",
            "today",
            " date",
            " time",
        ),
        re.compile(
            rf"(?:ed|built|today|is|date|time)\s*+[:：]?\s*+(?:(?:on|at|is)\s+)?{_WEEKDAY}{_BEGINS_DATE}"
        ),
    ),
    (
        TIMING,
        MARK,
        ("ated in ", "ered in ", "aded in ", "rved in ", "uilt in ", "page took ", "quer"),
        re.compile(r"\d\s?[ms]"),
    ),
    (
        KEY,
        MARK,
        (" id", "-id", "_id", "session", "csrf", "xsrf", "nonce", "build ", "build-", "build_"),
        _BEGINS_KEY,
    ),
    (CACHE_KEY, rf"\g<lead>{MARK}", ("=",), re.compile(r"[?&][^=&\s]++=")),
    (
        ASSET_KEY,
        MARK,
        (".js", ".css", ".png", ".svg", ".jp", ".webp", ".avif", ".gif", ".ico", ".woff"),
        re.compile(r"[0-9a-f]{8}\.[jcpswagi]"),
    ),
    (
        COPYRIGHT_YEAR,
        rf"\g<lead>{MARK}",
        ("©", "(c)", "copyright"),
        re.compile(r"(?:©|\(c\)|t)[^\S\n]{0,6}\d"),
    ),
)
# What these find has a digit in it.
_WITHOUT_DIGIT = tuple(entry for entry in _BY_WORD if entry[0] not in (TIMING, COPYRIGHT_YEAR))
_COUNTED_WORDS = (
    "stars forks downloads likes views visit watchers followers subscribers installs online hit 次 人 量 数 阅读"
).split()
_DIGIT = re.compile(r"\d")
# Begins with its colon: to the next one the search leaps.
_CLOCK_HINT = re.compile(r":(?<=\d:)[0-5]\d")
_LABEL_HINT = re.compile(r"(?:[:：#]|count|counter|number|no\.)\s*\d")
_LABEL = re.compile(
    rf"(?:{_COUNTED}|month|week|today|far|no\.?|number|count(?:er)?|浏览量?|阅读量?|访问量?|下载量|点赞数?)\s*+[:：#]?\s*+\d"
)
_AGO_IN_CHINESE = re.compile(r"\d\s?(?:秒|分钟|小时|天|个?月|年)前")


def steady(text: str) -> str:
    """The text with a mark for every volatile word: the same for two texts that differ in nothing else."""
    lower = text.lower()
    has = lower.__contains__
    small = lower if text.isascii() else ""
    if " ago" in lower or "just now" in lower or ("前" in lower and _tells_age(lower)):
        text = _marked(AGO, _BEGINS_AGO, text, small or folded(text))
        small = ""
    has_digit = _DIGIT.search(text) is not None
    for pattern, instead, words, hint in _BY_WORD if has_digit else _WITHOUT_DIGIT:
        if any(map(has, words)):
            small = small or folded(text)
            if hint.search(small):
                text = _marked(KEY, hint, text, small) if pattern is KEY else pattern.sub(instead, text)
                small = ""
    if not has_digit:
        return text
    if ":" in text and _CLOCK_HINT.search(text):
        text = CLOCK.sub(MARK, text)
    if any(map(has, _COUNTED_WORDS)):
        text = COUNTER.sub(MARK, text)
        if _LABEL_HINT.search(lower) and _LABEL.search(folded(text)):
            text = LABELLED_COUNTER.sub(MARK, text)
    return text


def _marked(pattern: re.Pattern[str], begins: re.Pattern[str], text: str, small: str) -> str:
    """The text with a mark for every match of a pattern, each of which begins where `begins` does in small letters."""
    parts: list[str] = []
    reached = 0
    begin = begins.search(small)
    while begin is not None:
        match = pattern.match(text, begin.start())
        if match is not None:
            parts += text[reached : match.start()], MARK
            reached = match.end()
        begin = begins.search(small, begin.start() + 1 if match is None else reached)
    return "".join([*parts, text[reached:]])


def _tells_age(lower: str) -> bool:
    """Has a text with the Chinese word for "ago" more of what AGO matches?"""
    return "ago" in lower or "now" in lower or _AGO_IN_CHINESE.search(lower) is not None
