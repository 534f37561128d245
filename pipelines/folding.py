"""Small letters: what patterns that ignore case are tried by, before they are."""

from __future__ import annotations

_SAME_LETTERS = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"})
_OTHER_LETTERS = "\u0130\u0131\u017f\u212a"


def folded(text: str) -> str:
    """A text of the same length in small letters, of which a pattern that ignores case matches the same.

    Four letters match another one of ASCII when case is ignored; `lower` alone leaves them apart.
    """
    if text.isascii() or not any(map(text.__contains__, _OTHER_LETTERS)):
        return text.lower()
    return text.translate(_SAME_LETTERS).lower()
