"""What an answer means: a page, or the reason why there is none.

A page that is *missing* is a fact about a project. A bot wall, a login form or a page that shows
nothing without JavaScript says nothing about it, although it may well answer 200: stored as a page it
would be read as "the homepage names no licence". When in doubt this module takes an answer for a page
only if a person would see something to read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from pipelines.model import VisitStatus
from spiders.addresses import shown

# A bot wall is a short page: an article about captchas is a page.
WALL_TEXT_LIMIT = 1200
# Fewer visible characters than this beside a script: the page draws itself with JavaScript.
SCRIPTED_TEXT_LIMIT = 60
# An empty frame to be filled by JavaScript, or a request for it, counts on a page with less text than this.
FRAME_TEXT_LIMIT = 400
FRAME_SEARCHED = 200_000
TEXT_LIMIT = 2 * WALL_TEXT_LIMIT
# More markup than this before the text begins is not walked through.
TAG_LIMIT = 200_000

READABLE = re.compile(
    r"""text/ (?! (?:x-)? (?: css | javascript | ecmascript | vcard | calendar ) \b ) [\w.+-]+
      | application/ (?: (?: xhtml | rss | atom ) \+xml | xml | (?: ld\+ )? json
                       | (?:x-)? yaml | markdown )""",
    re.VERBOSE,
)
BINARY_MAGIC = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x1f\x8b": "a gzip file",
}
WIDE_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

LOGIN_WORD = re.compile(
    r"""(?<![a-z]) (?: log[-_]?in | sign[-_]?in | sso | saml2? | auth | oauth2?
                     | authenticate | authentication | authorize | authorise ) (?![a-z])""",
    re.VERBOSE,
)
# What a page is called that is nothing but a login form.
LOGIN_TITLE = re.compile(
    r"""\b (?: log | sign ) [ -]? (?: in | on ) \b | \b authenticat (?: ion | e ) \b | \b sso \b
      | \b anmeld(?:en|ung) \b | \b connexion \b | \b iniciar \s sesi[oó]n \b | 登录 | 登入 | ログイン""",
    re.VERBOSE | re.IGNORECASE,
)
WALL_PHRASE = re.compile(
    r"""verif(?:y|ying) \s (?:that \s)? you(?:'re | \s are)? \s (?:an? \s)? (?:not \s an? \s (?:ro)?bot | human)
      | (?:are | if | sure) \s you(?:'re|\s are)? \s (?:not \s)? (?:an? \s)? (?: (?:ro)?bot | human)
      | (?:checking | validating) \s (?:your \s browser | if \s the \s site \s connection \s is \s secure)
      | (?:human | browser | security) \s (?:verification | check) \s (?:required | in \s progress | to \s continue)
      | enable \s javascript (?:\s and \s cookies)? \s to \s continue
      | attention \s required! \s \| \s cloudflare
      | complete \s (?:the | this | a) \s (?:security \s check | captcha)
      | unusual \s (?:traffic | activity) \s from \s your
      | (?:you | your \s ip (?:\s address)?) \s (?:have | has) \s been \s blocked
      | access \s to \s this \s page \s has \s been \s denied
      | incapsula \s incident | ddos-?guard
      | press \s (?:&amp; | & | and) \s hold \s to
      | ddos \s protection \s by
      | ^ \s* (?:just \s a \s moment | one \s moment,? \s please) \s? (?:\.\.\.|…)
      | pardon \s our \s interruption
      | (?:请|請) (?:完成|进行|進行) .{0,6} (?:验证|驗證) | 人机验证""",
    re.VERBOSE | re.IGNORECASE,
)
NEEDS_JAVASCRIPT = re.compile(
    r"""(?: enable | activate | turn \s on | switch \s on | requires? | needs? | without ) \s (?:to \s (?:enable|run) \s)? java-?script
      | java-?script \s (?: (?:is|must \s be) \s (?:required|needed|disabled|enabled) | to \s be \s enabled )""",
    re.VERBOSE | re.IGNORECASE,
)
# The elements that the usual frameworks fill.
EMPTY_FRAME = re.compile(
    r"""<(?:div|main|app-root) \s? [^<>]{0,200}? \b id \s?=\s? ["']? (?:root|app|__next|__nuxt|___gatsby|svelte|q-app|application|react-root)
        ["']? [^<>]{0,200}> \s* </ | <app-root [^<>]{0,200}> \s* </app-root""",
    re.VERBOSE | re.IGNORECASE,
)
PAGE_BEGINS = re.compile(r"<html[\s>]", re.IGNORECASE)
PAGE_ENDS = re.compile(r"</(?:html|body)\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of a host. Header names are lower case; `asked` and `final` are public addresses.

    `cut`: it ended with the connection, and nothing says whether that was its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: str
    final: str
    conditional: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a visit is recorded as, and why it is no page."""

    status: VisitStatus
    reason: str = ""


def is_readable(content_type: str) -> bool:
    """Is this the media type of a page or another text? An answer without one is looked into."""
    kind = media_type(content_type).split(";", 1)[0]
    return not kind or READABLE.fullmatch(kind) is not None


def media_type(content_type: str) -> str:
    """The Content-Type header as it is stored: `type/subtype` and the charset, nothing else.

    The header is a stranger's: what is not a plain token is dropped.
    """
    kind, *parameters = content_type.lower().split(";")
    kind = kind.strip()
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,80}", kind):
        return ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip("\"'")
        if name.strip() == "charset" and re.fullmatch(r"[a-z0-9._:-]{1,40}", charset):
            return f"{kind}; charset={charset}"
    return kind


def validator(value: str) -> str:
    """An ETag or Last-Modified header as it is stored and sent back; empty when it is not sound."""
    return value if len(value) <= 300 and value.isascii() and value.isprintable() else ""


def judge(answer: Answer) -> Judgement:
    """What an answer means."""
    if answer.headers.get("cf-mitigated", "") == "challenge":
        return Judgement(status=VisitStatus.DENIED, reason="a bot wall answers instead of the page")
    if is_login_redirect(answer.asked, answer.final) and answer.status < 500:
        return Judgement(status=VisitStatus.DENIED, reason="redirected to a login page")
    if answer.status in (200, 203):
        return _judge_page(answer)
    return judge_status(answer.status, conditional=answer.conditional)


def judge_status(status: int, *, conditional: bool = False) -> Judgement:
    """What a status other than success means."""
    if status == 304 and conditional:
        return Judgement(status=VisitStatus.UNCHANGED)
    if status in (404, 410):
        return Judgement(status=VisitStatus.MISSING, reason=status_line(status))
    if status in (401, 403, 451):
        return Judgement(status=VisitStatus.DENIED, reason=status_line(status))
    if 300 <= status < 400:
        reason = f"{status_line(status)}, without an address that can be followed"
        return Judgement(status=VisitStatus.FAILED, reason=reason)
    return Judgement(status=VisitStatus.FAILED, reason=status_line(status))


def status_line(status: int) -> str:
    """The status with its registered name; the host's own words are not repeated."""
    try:
        return f"answered {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"answered {status}"


def is_login_redirect(asked: str, final: str) -> bool:
    """Does the address that answered say that it is a login, where the one asked for did not?"""
    if asked == final:
        return False
    return bool(_login_words(final)) and not _login_words(asked)


def _login_words(url: str) -> bool:
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(LOGIN_WORD.search(host) or LOGIN_WORD.search(parts.path) or host.startswith("accounts."))


def _judge_page(answer: Answer) -> Judgement:
    content_type = answer.headers.get("content-type", "")
    if not is_readable(content_type):
        kind = media_type(content_type).split(";", 1)[0]
        return Judgement(status=VisitStatus.FAILED, reason=f"not a page: {shown(kind)}")
    if not answer.body.strip():
        return Judgement(status=VisitStatus.FAILED, reason="an empty page")
    if binary := binary_content(answer.body):
        return Judgement(status=VisitStatus.FAILED, reason=f"not a page: {binary}")
    kind = media_type(content_type)
    if "json" in kind or kind.startswith("text/plain"):
        return Judgement(status=VisitStatus.OK)
    html = decode_roughly(answer.body, kind)
    if answer.cut and PAGE_BEGINS.search(html[:TEXT_LIMIT]) and not PAGE_ENDS.search(html[-TEXT_LIMIT:]):
        reason = "truncated: the connection ended before the page did"
        return Judgement(status=VisitStatus.FAILED, reason=reason)
    return _judge_sight(look_at(html), html)


def _judge_sight(seen: Seen, html: str) -> Judgement:
    """What is to be thought of a page by what a person sees of it."""
    is_short = len(seen.text) <= WALL_TEXT_LIMIT
    if is_short and WALL_PHRASE.search(seen.title + "\n" + seen.text):
        return Judgement(status=VisitStatus.DENIED, reason="a bot wall answers instead of the page")
    named_so = LOGIN_TITLE.search(seen.title) if seen.title else len(seen.text) < FRAME_TEXT_LIMIT
    if is_short and seen.asks_password and named_so:
        return Judgement(status=VisitStatus.DENIED, reason="a login form answers instead of the page")
    length = len(seen.without_noscript)
    if seen.scripts and (
        length < SCRIPTED_TEXT_LIMIT or (length < FRAME_TEXT_LIMIT and _wants_javascript(seen, html))
    ):
        return Judgement(status=VisitStatus.FAILED, reason="shows nothing without JavaScript")
    return Judgement(status=VisitStatus.OK)


def _wants_javascript(seen: Seen, html: str) -> bool:
    return bool(EMPTY_FRAME.search(html, 0, FRAME_SEARCHED) or NEEDS_JAVASCRIPT.search(seen.text))


def binary_content(body: bytes) -> str:
    """What the first bytes say that no text begins with; empty for a text."""
    for magic, name in BINARY_MAGIC.items():
        if body.startswith(magic):
            return name
    if body[:2] in WIDE_BOMS:
        return ""
    head = body[:4096]
    controls = sum(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head)
    return "binary data" if controls * 50 > len(head) else ""


def decode_roughly(body: bytes, kind: str) -> str:
    """The text, well enough to look for phrases; what is stored are the bytes."""
    encoding = WIDE_BOMS.get(body[:2], "utf-8")
    if encoding == "utf-8" and "charset=" in kind:
        encoding = kind.rsplit("charset=", 1)[1]
    try:
        return body.decode(encoding, "replace")
    except (LookupError, UnicodeError, ValueError):
        # A charset nobody knows, or one of Python's codecs that is no text encoding.
        return body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a person sees of a page: at most TEXT_LIMIT characters, white space folded."""

    title: str
    text: str
    without_noscript: str
    scripts: int
    asks_password: bool = False


TAG_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9-]*")
# Elements whose content is not shown and holds no tags of its own.
RAW_ELEMENTS = frozenset({"script", "style", "template", "textarea", "iframe", "noframes", "svg", "title"})


def look_at(html: str) -> Seen:
    """Read off title and visible text.

    One pass that never looks back: strangers' markup must not cost more than its length.
    """
    lower = html.lower() if html.isascii() else _ascii_lower(html)
    title, scripts, shown_length, position = "", 0, 0, 0
    pieces: list[tuple[bool, str]] = []
    noscript = asks_password = False
    for _ in range(TAG_LIMIT):
        if position >= len(html) or shown_length >= TEXT_LIMIT:
            break
        tag = html.find("<", position)
        piece = html[position : tag if tag >= 0 else len(html)][:TEXT_LIMIT]
        if folded := " ".join(piece.split()):
            pieces.append((noscript, folded))
            shown_length += 0 if noscript else len(folded)
        if tag < 0:
            break
        if lower.startswith("<!--", tag):
            position = _after(lower, "-->", tag + 4)
            continue
        match = TAG_NAME.match(lower, tag + 1)
        if match is None:
            position = tag + 1 if lower[tag + 1 : tag + 2] not in ("!", "?", "/") else _after(lower, ">", tag)
            continue
        name = match[0]
        position = _after(lower, ">", match.end())
        scripts += name == "script"
        asks_password |= name == "input" and "password" in lower[match.end() : position]
        if name in ("noscript", "/noscript"):
            noscript = name == "noscript"
        elif name in RAW_ELEMENTS:
            end = lower.find("</" + name, position)
            end = len(html) if end < 0 else end
            if name == "title" and not title:
                title = " ".join(html[position : min(end, position + 500)].split())
            position = end
    return Seen(
        title=title,
        text=" ".join(text for _, text in pieces)[:TEXT_LIMIT],
        without_noscript=" ".join(text for inside, text in pieces if not inside)[:TEXT_LIMIT],
        scripts=scripts,
        asks_password=asks_password,
    )


def _after(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _ascii_lower(text: str) -> str:
    """Lower case of the same length: str.lower() makes two characters of some letters."""
    return text.translate({code: code + 32 for code in range(65, 91)})
