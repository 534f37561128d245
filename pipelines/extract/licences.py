"""Licences: recognising their texts, names and mentions, and what is known about each.

The parts: `licence_table` (facts and spellings), `licence_texts` (whole texts), `licence_mentions` (prose).
"""

from __future__ import annotations

from pipelines.extract.licence_mentions import LicenceMention, find_licence_mentions
from pipelines.extract.licence_notices import LicenceMatch
from pipelines.extract.licence_table import (
    KINDS,
    RESTRICTIONS,
    LicenceFacts,
    LicenceId,
    is_open,
    licence_facts,
    licences,
    licences_in_expression,
    normalise_licence,
)
from pipelines.extract.licence_texts import match_licence_text

__all__ = [
    "KINDS",
    "RESTRICTIONS",
    "LicenceFacts",
    "LicenceId",
    "LicenceMatch",
    "LicenceMention",
    "find_licence_mentions",
    "is_open",
    "licence_facts",
    "licences",
    "licences_in_expression",
    "match_licence_text",
    "normalise_licence",
]
