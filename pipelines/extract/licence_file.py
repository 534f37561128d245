"""Licence files: which licence's text a file holds, and what it is for.

Reads `file:` snapshots of licence files. A text that is no known licence is evidence as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.extract.base import Source
from pipelines.extract.licences import match_licence_text, normalise_licence
from pipelines.extract.parts import UNRECOGNISED
from pipelines.model import Evidence

# What others wrote and is only passed on.
OF_OTHERS = re.compile(r"third[-_ ]?part(?:y|ies)|3rd[-_ ]?party|bundled", re.IGNORECASE)
FOR_WEIGHTS = re.compile(r"weight|model|checkpoint", re.IGNORECASE)
FOR_DATA = re.compile(r"data", re.IGNORECASE)
FOR_CODE = re.compile(r"code", re.IGNORECASE)
# Folders that hold one sort of thing. Not "models" or "code": in a repository of code these are programs.
WEIGHTS_FOLDER = re.compile(r"(?:^|/)(?:weights?|checkpoints?|ckpts?)/", re.IGNORECASE)
DATA_FOLDER = re.compile(r"(?:^|/)(?:data|datasets?)/", re.IGNORECASE)
# A page about licensing is no licence, however much it says of permissions.
DOCS_FOLDER = re.compile(r"(?:^|/)(?:docs?|website|site)/", re.IGNORECASE)
LICENCES_FOLDER = re.compile(r"(?:^|/)licen[cs]es/[^/]+$", re.IGNORECASE)
POLICY = re.compile(r"use[_-]?policy", re.IGNORECASE)
TERMS = re.compile(
    r"\byou\s+(?:may|must|shall|agree|can)|\b(?:licensee|permitted|permission|grant(?:s|ed)?|prohibited|warrant(?:y|ies))\b|许可|授权|不得",
    re.IGNORECASE,
)
NAMED = 0.5
"""The score of a text that only its file's name identifies."""
SHORTEST_LICENCE = 200
"""Characters below which an unknown text is a pointer to a licence rather than one."""


def extract(source: Source) -> Iterator[Evidence]:
    """`licence.text` for every licence recognised in the file."""
    path = source.snapshot.part.removeprefix("file:")
    if OF_OTHERS.search(path):
        return
    name = path.rsplit("/", 1)[-1]
    scope = scope_of(path)
    matches = match_licence_text(source.text)
    if not matches and source.text.strip() and LICENCES_FOLDER.search(path):
        known = normalise_licence(name.removesuffix(".txt").removesuffix(".md"))
        if known is not None:
            yield source.quote("licence.text", 0, 400, licence=known, score=NAMED, scope=scope)
            return
    for match in matches:
        yield source.quote(
            "licence.text", match.start, match.end, licence=match.id, score=round(match.score, 2), scope=scope
        )
    is_terms = len(source.text.strip()) >= SHORTEST_LICENCE and bool(TERMS.search(source.text))
    if not matches and is_terms and not POLICY.search(name) and not DOCS_FOLDER.search(path):
        yield source.quote("licence.text", 0, 400, licence=UNRECOGNISED, score=0.0, scope=scope)


def scope_of(path: str) -> str | None:
    """What a licence file is for by its name, or by a folder that holds one sort of thing; None: all."""
    folder, _, name = path.rpartition("/")
    for scope, in_name, in_folder in (
        ("weights", FOR_WEIGHTS, WEIGHTS_FOLDER),
        ("data", FOR_DATA, DATA_FOLDER),
        ("code", FOR_CODE, None),
    ):
        if in_name.search(name) or (in_folder is not None and in_folder.search(f"{folder}/")):
            return scope
    return None
