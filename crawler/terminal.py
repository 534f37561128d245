"""Text for a terminal: fetched words are shown, never obeyed."""

from __future__ import annotations

import json
import textwrap

from pipelines.model import JsonValue
from pipelines.visible import SUSPECT, is_harmless


def safe(text: str) -> str:
    """A text with nothing in it that a terminal acts on: control characters, escapes, bidi overrides."""
    return SUSPECT.sub(lambda found: found[0] if is_harmless(found[0]) else "�", text)


def json_text(value: JsonValue, indent: int | None = 1) -> str:
    """JSON that can be encoded and looked at in a terminal: what a terminal acts on is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return SUSPECT.sub(lambda found: found[0] if is_harmless(found[0]) else json.dumps(found[0])[1:-1], text)


def line(text: str, width: int = 100) -> str:
    """A text on one line, cut to a width."""
    flat = " ".join(safe(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def block(text: str, indent: str = "    ", width: int = 100) -> str:
    """A text as an indented block, wrapped at a width."""
    lines = [
        piece
        for row in safe(text).splitlines()
        for piece in (textwrap.wrap(row, width - len(indent)) or [""])
    ]
    return "\n".join(indent + piece for piece in lines)
