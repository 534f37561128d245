"""How texts and JSON values are stored, on both databases. Few imports: the processes that extract use it, too.

Texts come from strangers: a page may hold NUL characters, a JSON document lone surrogates.
PostgreSQL refuses both and sqlite3 the latter, so texts are escaped on the way in and restored on
the way out; a stored quote stays equal to its slice of the document.
"""

from __future__ import annotations

import json
import re

_ESCAPE = "\ufdd0"
UNSTORABLE = re.compile(f"[\x00\ud800-\udfff{_ESCAPE}]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")


def escape_text(text: str) -> str:
    """The text with NUL and lone surrogates written as U+FDD0 (a noncharacter) and four hex digits."""
    # Most texts are ASCII, of which everybody knows it at once.
    if text.isascii() and "\x00" not in text:
        return text
    return UNSTORABLE.sub(lambda match: f"{_ESCAPE}{ord(match.group()):04x}", text)


def unescape_text(text: str) -> str:
    """The text that `escape_text` was given."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)


# Made once: making an encoder takes longer than writing a short value with it.
exact_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
"""A JSON value as ASCII text from which it is read exactly, order of keys included."""
