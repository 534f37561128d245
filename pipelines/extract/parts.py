"""Which parts of an artifact hold what, by their names, and the words for what no table knows.

Rules ask by these as extractors do, and need nothing else of these: few imports.
"""

from __future__ import annotations

import re

LICENCE_PART = re.compile(
    r"""
    file: (?:.*/)? (?:
        [^/]* (?: licen[cs]e | copying | unlicense | use[_-]?policy | terms[-_ ]of[-_ ]use ) [^/]*
      | eula [^/]*
      | licen[cs]es/ [^/]+                  # one file for each licence, named for it (REUSE)
    ) $
    """,
    re.VERBOSE | re.IGNORECASE,
)
MANIFEST_PART = re.compile(r"file:(?:pyproject\.toml|setup\.cfg|setup\.py)$")
PROSE_PART = re.compile(
    r"file:.*\.(?:md|mdx|rst|txt|markdown|adoc)$|file:(?:.*/)?readme[^/]*$", re.IGNORECASE
)
NOT_PROSE = re.compile(r"file:(?:.*/)?(?:requirements|constraints|license_header)[^/]*\.txt$", re.IGNORECASE)

UNRECOGNISED = "LicenseRef-unrecognised"
"""The licence of a text that is one, and none that is known."""
OTHER = "other"
NAMELESS = frozenset({OTHER, "unknown"})
"""Tags that say that there are terms, or not even that, and not which."""
