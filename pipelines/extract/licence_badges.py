"""Badges: small images that name a licence, in their address or in their alternative text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from pipelines.extract.licence_table import LicenceId, licences_in_expression, normalise_licence

LABEL = re.compile(r"licen[cs]e|许可|协议", re.IGNORECASE)
PATH = re.compile(r"/badge/(?P<badge>[^/?\#]{1,200})", re.VERBOSE)


def licences_of_badge(url: str, text: str) -> tuple[str, Iterable[LicenceId]]:
    """(label, licences) of an image by its address and its alternative text; no licence where it is no such badge."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return text, ()
    badge = PATH.search(path)
    label, message = text, ""
    if badge:
        pieces = [
            piece.replace("\0", "-") for piece in unquote(badge["badge"]).replace("--", "\0").split("-")
        ]
        # LABEL-MESSAGE-COLOUR, or MESSAGE-COLOUR; the message itself may hold single hyphens.
        label = f"{text} {pieces[0]}" if len(pieces) > 2 else text
        message = "-".join(pieces[1:-1] if len(pieces) > 2 else pieces[:1]).replace("_", " ")
    if not LABEL.search(f"{label} {message}"):
        return label, ()
    alt = re.sub(r"^\W*licen[cs]e\W+", "", text, flags=re.IGNORECASE)
    for name in (message, alt):
        licences = (known,) if (known := normalise_licence(name)) else licences_in_expression(name)
        if licences:
            return label, licences
    return label, ()
