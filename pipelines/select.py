"""Which files of a repository are worth reading.

A repository holds thousands of files; the words about licences, data, training and use stand in a
few dozen of them, and their names give them away. The order is the order of evidence: what
describes the whole project first, then licence texts, cards, data sheets, package metadata, and at
last the READMEs and guides of sub-folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

FileEntry = tuple[str, int, str]
"""Path, size in bytes, git blob sha."""

LIMIT = 40
"""Files of one repository that are read at most."""

_PROSE = r"(?:\.(?:md|markdown|mdx|rst|txt|adoc|org|html?|tex))?"

README = re.compile(
    rf"""
    ^readme
    (?P<mark>[-_.][\w.\-]*?)?   # a language or a topic: README_zh, README-en, readme.dev
    {_PROSE}$
    """,
    re.VERBOSE | re.IGNORECASE,
)
LICENCE = re.compile(
    r"""
    ^(?:
        (?:licen[cs]e|copying|copyright|unlicense|notice|terms|eula)s?   # COPYING.LESSER, NOTICE
        (?:[-_.][\w.\-]*)?
      | [\w.\-]*[-_.]licen[cs]e(?:[-_.][\w.\-]*)?                         # WEIGHT_DIFF_LICENSE.txt
      | (?:model|data|weights?)licen[cs]e
    )$
    """,
    re.VERBOSE | re.IGNORECASE,
)
# One file for each licence, named for it: LICENSES/CC-BY-4.0.txt (REUSE).
LICENCE_FOLDER = re.compile(r"(?:^|/)licen[cs]es/[^/]+$", re.IGNORECASE)
LICENCE_SUFFIX_OF_CODE = re.compile(
    r"\.(?:py|[jt]sx?|vue|sh|json|ya?ml|c|h|cc|cpp|go|rs|java|png|jpe?g|svg|pdf|ipynb|toml|cfg|css|lock)$",
    re.IGNORECASE,
)
MODEL_CARD = re.compile(rf"^model[-_ ]?cards?(?:[-_.][\w.\-]*?)?{_PROSE}$", re.IGNORECASE)
DATA_SHEET = re.compile(
    rf"""
    ^(?:
        [\w.\-]*data[-_ ]?sheets?[\w.\-]*?
      | [\w.\-]*data(?:set)?[-_ ]?(?:cards?|statements?)[\w.\-]*?
      | data(?:sets?)?(?:[-_][\w\-]*)?(?=\.)          # DATA.md, dataset.rst, but no folder and no data.csv
    ){_PROSE}$
    """,
    re.VERBOSE | re.IGNORECASE,
)
POLICY = re.compile(rf"^(?:acceptable[-_ ]?)?use[-_ ]?polic(?:y|ies){_PROSE}$", re.IGNORECASE)
CITATION = re.compile(r"^citation(?:s)?\.(?:cff|bib|md|txt)$", re.IGNORECASE)
PACKAGE = re.compile(r"^(?:pyproject\.toml|setup\.cfg|setup\.py)$")
REQUIREMENTS = re.compile(r"^requirements[\w.\-]*\.(?:txt|in)$", re.IGNORECASE)
DOCS_START = re.compile(
    r"^(?:mkdocs\.ya?ml|docs?/(?:source/|src/|en/)?(?:index|readme|intro(?:duction)?|overview)\.(?:md|rst))$",
    re.IGNORECASE,
)
DOCS_PAGE = re.compile(r"^docs?/.+\.(?:md|rst|mdx)$", re.IGNORECASE)
DOCS_TEXT = re.compile(r"^docs?/[^/]*licen[cs]e[^/]*$", re.IGNORECASE)
CONTRIBUTING = re.compile(rf"^contributing(?:[-_.][\w.\-]*?)?{_PROSE}$", re.IGNORECASE)

FOREIGN = re.compile(
    r"""
    [-_.](?:zh|cn|jp|ja|ko|kr|fr|de|es|pt|ru|it|vi|tr|id|ar|hi|nl|pl|uk|th|fa|he|cs|ro)   # README_zh
    (?:[-_](?:[a-z]{2}|hans|hant))?                                                        # zh-CN, zh-Hans
    (?=\.[a-z]+$|$)
    """,
    re.VERBOSE | re.IGNORECASE,
)
FOREIGN_FOLDER = re.compile(
    r"(?:^|/)(?:i18n|translations?|locales?|(?:zh|cn|jp|ja|ko|fr|de|es|pt|ru|it|vi|tr)(?:[-_](?:[a-z]{2}|hans|hant))?)/",
    re.IGNORECASE,
)
TRANSLATED = re.compile(r"(?:^|/)(?:i18n|translations?|locales?)/", re.IGNORECASE)
VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|third[-_]?party|3rd[-_]?party|vendor(?:ed)?|site-packages|bower_components|\.git)/",
    re.IGNORECASE,
)
UNREADABLE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|pdf|ipynb|zip|gz|tar|bin|pt|pth|safetensors|parquet|csv|tsv|jsonl?|mp4|ico)$",
    re.IGNORECASE,
)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _depth(path: str) -> int:
    return path.count("/")


def _is_licence(path: str) -> bool:
    name = _name(path)
    is_named = LICENCE.match(name) or LICENCE_FOLDER.search(path)
    return bool(is_named) and not LICENCE_SUFFIX_OF_CODE.search(name)


# Each line is one sort of file; a path belongs to the first that takes it, and is read in that order.
_SORTS: tuple[Callable[[str], bool], ...] = (
    lambda path: _depth(path) == 0 and bool(README.match(path)),
    lambda path: _depth(path) == 0 and _is_licence(path),
    lambda path: _depth(path) <= 3 and bool(MODEL_CARD.match(_name(path))),
    lambda path: _depth(path) <= 3 and bool(DATA_SHEET.match(_name(path))),
    lambda path: _depth(path) <= 3 and (bool(POLICY.match(_name(path))) or _is_licence(path)),
    lambda path: _depth(path) == 0 and bool(CITATION.match(path)),
    lambda path: _depth(path) == 0 and bool(PACKAGE.match(path)),
    lambda path: _depth(path) == 0 and bool(REQUIREMENTS.match(path)),
    lambda path: bool(DOCS_START.match(path)),
    lambda path: _depth(path) <= 1 and bool(CONTRIBUTING.match(_name(path))),
    lambda path: _depth(path) == 1 and _name(path) == "pyproject.toml",
    lambda path: _depth(path) >= 1 and bool(README.match(_name(path))),
    lambda path: _depth(path) >= 1 and bool(PACKAGE.match(_name(path))),
    lambda path: bool(DOCS_PAGE.match(path)) or bool(DOCS_TEXT.match(path)),
)


def _is_foreign(path: str) -> bool:
    return bool(FOREIGN.search(_name(path)) or FOREIGN_FOLDER.search(path))


def _order(path: str) -> tuple[int, int, bool, int, str] | None:
    """The place of a file in the order of reading; None when it is not worth reading.

    Translations that a folder of translations holds come after everything else: they repeat.
    """
    if VENDORED.search(path) or UNREADABLE.search(path):
        return None
    for rank, belongs in enumerate(_SORTS):
        if belongs(path):
            return int(bool(TRANSLATED.search(path))), rank, _is_foreign(path), _depth(path), path
    return None


def files_worth_reading(files: Sequence[FileEntry], limit: int = LIMIT) -> list[FileEntry]:
    """The files that are worth reading, most telling first, at most `limit` of them.

    Empty files are left out; sizes are otherwise the caller's concern.
    """
    ranked = sorted(
        (order, entry) for entry in files if entry[1] > 0 and (order := _order(entry[0])) is not None
    )
    return [entry for _, entry in ranked[:limit]]
