"""Confirmed ratings as JSON, with what each of them leads back to.

    {"format": "openness-ratings", "format_version": 1,
     "generated_at": "2024-05-01T02:03:04Z",
     "rubric": {"name", "title", "source", "digest", "weights": {"open": 1.0, "partial": 0.5, "closed": 0.0},
                "dimensions": [{"id", "group", "column", "heading", "question"}]},
     "projects": [{"slug", "name", "org", "llmbase": [], "rlbase": [], "homepage",
                   "ratings": {DIMENSION: null or RATING}}]}

    RATING: {"class", "link", "note", "curator", "decided_at",
             "evidence": [{"artifact", "url", "fetched_at", "sha256", "quote"}]}

Every project has every dimension of the rubric, in its order. A dimension is null while nobody has
decided it; `class` is `open`, `partial`, `closed` or `not_applicable`. Texts that are not known are
empty, `decided_at` is null where the time is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from pipelines.exports.cells import escaped_surrogates, utc_text
from pipelines.exports.proposals import evidence_object
from pipelines.exports.rows import ProjectRatings, RatingCell
from pipelines.rubric import Rubric

SUFFIX = ".json"
FORMAT = "openness-ratings"
FORMAT_VERSION = 1


def write(rows: Iterable[ProjectRatings], out: TextIO, *, rubric: Rubric, generated_at: datetime) -> None:
    """Write the projects in the order given."""
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "generated_at": utc_text(generated_at),
        "rubric": _rubric(rubric),
        "projects": [_project(row, rubric) for row in rows],
    }
    out.write(escaped_surrogates(json.dumps(document, ensure_ascii=False, indent=2)))
    out.write("\n")


def _rubric(rubric: Rubric) -> dict[str, object]:
    return {
        "name": rubric.name,
        "title": rubric.title,
        "source": rubric.source,
        "digest": rubric.digest,
        "weights": {rating.value: weight for rating, weight in rubric.weights.items()},
        "dimensions": [
            {
                "id": dimension.id,
                "group": dimension.group,
                "column": dimension.column,
                "heading": dimension.heading,
                "question": dimension.question,
            }
            for dimension in rubric.dimensions
        ],
    }


def _project(row: ProjectRatings, rubric: Rubric) -> dict[str, object]:
    return {
        "slug": row.slug,
        "name": row.name,
        "org": row.org,
        "llmbase": list(row.llmbase),
        "rlbase": list(row.rlbase),
        "homepage": row.homepage,
        "ratings": {dimension: _cell(row.cells.get(dimension)) for dimension in rubric.dimension_ids},
    }


def _cell(cell: RatingCell | None) -> dict[str, object] | None:
    if cell is None:
        return None
    return {
        "class": cell.rating.value,
        "link": cell.link,
        "note": cell.note,
        "curator": cell.curator,
        "decided_at": None if cell.decided_at is None else utc_text(cell.decided_at),
        "evidence": [evidence_object(item) for item in cell.evidence],
    }
