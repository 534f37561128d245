"""What goes in and out of the API, as its description tells it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse

from db.candidate_row import CandidateStatus
from db.models import RunStatus
from db.review_values import QuestionKind
from pipelines.model import DecisionKind, JsonValue, Outcome, Rating, Role, VisitStatus
from pipelines.seeds import SLUG

MAX_LIMIT = 200
MAX_ID = 2**62
MAX_TEXT = 4_000
MAX_LINK = 2_000

_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(value: JsonValue) -> JsonValue:
    """The value with half characters, which JSON cannot carry safely, replaced by U+FFFD."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {encodable(str(key)): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


class AsciiJson(JSONResponse):
    """JSON in ASCII: no byte of a stranger's text is ever taken for anything else."""

    def render(self, content: Any) -> bytes:  # whatever JSON can say; the signature is Starlette's
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


Text = Annotated[str, BeforeValidator(encodable)]
Json = Annotated[Any, BeforeValidator(encodable)]  # what a service said has no type of ours

Slug = Annotated[str, Path(pattern=f"^{SLUG.pattern}$", description="A project's name in addresses.")]
DimensionName = Annotated[
    str, Path(pattern="^[a-z][a-z0-9_]{0,39}$", description="A dimension of the rubric.")
]
Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many to pass over.")]
Slugs = Annotated[
    list[Annotated[str, Field(max_length=100)]] | None,
    Query(max_length=100, description="Only these projects."),
]
Dimensions = Annotated[
    list[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]] | None,
    Query(max_length=50, description="Only these dimensions."),
]


class Given(BaseModel):
    """What a program sends: no field that is not known."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: Text
    problem: Text


class ErrorBody(BaseModel):
    """What went wrong."""

    status: int
    detail: Text
    fields: list[FieldProblem] = []


class ErrorOut(BaseModel):
    """Every error has this form."""

    error: ErrorBody


class QuestionOut(BaseModel):
    """A question as the queue lists it. `gain` orders the queue; `change` counts classes."""

    slug: str
    project: Text
    org: Text
    dimension: str
    kind: QuestionKind
    proposal: int | None
    rating: Rating | None = Field(description="The class proposed; null: none.")
    current: Rating | None = Field(description="The class of the rating; null: none yet.")
    change: int
    confidence: float
    gain: float
    rationale: Text
    link: Text
    since: datetime


class QueueOut(BaseModel):
    """A page of the queue. Pass `next` on as `after`; null at the end."""

    total: int
    items: list[QuestionOut]
    next: str | None


class FacetsOut(BaseModel):
    """How many questions there are of each sort."""

    total: int
    dimensions: dict[str, int]
    kinds: dict[str, int]
    ratings: dict[str, int]
    changes: dict[str, int]
    bands: dict[str, int]
    orgs: dict[Text, int]


class EvidenceOut(BaseModel):
    """A passage with all that is needed to find it again. `quote` equals the text from `start` to `end`."""

    kind: str
    artifact: Text
    part: Text
    url: Text
    fetched_at: datetime
    sha256: str
    quote: Text
    start: int | None = None
    end: int | None = None
    path: Text | None = Field(default=None, description="JSON path, where the evidence is a field.")
    value: Json = None


class FindingOut(BaseModel):
    """The answer of one check."""

    check: str
    outcome: Outcome
    note: Text
    searched: list[Text]


class ProposalOut(BaseModel):
    """What the rules say of a cell. `rating` null: it cannot be told."""

    id: int
    slug: str
    dimension: str
    rating: Rating | None
    confidence: float
    rationale: Text
    rule: str
    rule_version: int
    evidence_digest: str
    link: Text
    created_at: datetime
    current_since: datetime
    is_current: bool
    evidence: list[EvidenceOut]
    findings: list[FindingOut]
    searched: list[Text]


class RatingOut(BaseModel):
    """A published rating with the person behind it."""

    slug: str
    dimension: str
    rating: Rating
    link: Text
    note: Text
    curator: Text
    at: datetime
    imported: bool
    decision: int
    proposal: int | None


class DecisionOut(BaseModel):
    """What a curator did. `in_force` is false once it was taken back."""

    id: int
    kind: DecisionKind
    rating: Rating | None
    proposal: int | None
    proposed_rating: Rating | None
    link: Text
    note: Text
    reason: Text
    curator: Text
    imported: bool
    at: datetime
    defer_until: datetime | None
    in_force: bool


class CellOut(BaseModel):
    """A cell with its proposal, rating and history. `expected` is what to pass on when deciding."""

    slug: str
    project: Text
    dimension: str
    kind: QuestionKind | None
    since: datetime | None
    is_open: bool
    deferred_until: datetime | None
    rating: RatingOut | None
    proposal: ProposalOut | None
    history: list[DecisionOut]
    expected: int


class RatingsOut(BaseModel):
    """Ratings, those of a project together. Pass `next` on as `after`; null at the end."""

    items: list[RatingOut]
    next: str | None


class ProposalsOut(BaseModel):
    """Current proposals, those of a project together. Pass `next` on as `after`; null at the end."""

    items: list[ProposalOut]
    next: str | None


class EvidenceListOut(BaseModel):
    """The evidence in what stands of a project's artifacts."""

    total: int
    items: list[EvidenceOut]


class ProjectOut(BaseModel):
    """A project with its classes by dimension. `openness`: the rubric's mean weight, 0 to 1."""

    slug: str
    name: Text
    org: Text
    is_active: bool
    added_at: datetime
    classes: dict[str, Rating]
    asked: list[str]
    openness: float | None


class ProjectsOut(BaseModel):
    """Projects that were looked for."""

    total: int
    items: list[ProjectOut]


class PartOut(BaseModel):
    """A document of an artifact: how its latest visit ended, and which bytes stand."""

    part: Text
    url: Text
    status: VisitStatus
    at: datetime
    reason: Text
    stale: bool
    sha256: str | None


class ArtifactOut(BaseModel):
    """An artifact of a project."""

    kind: str
    id: Text
    role: Role
    origin: str
    parts: list[PartOut]


class ProjectPageOut(BaseModel):
    """All that is known of a project but its evidence."""

    slug: str
    name: Text
    org: Text
    llmbase: list[Text]
    rlbase: list[Text]
    homepage: Text
    is_active: bool
    added_at: datetime
    changed_at: datetime
    artifacts: list[ArtifactOut]
    ratings: list[RatingOut]


class CandidateOut(BaseModel):
    """A model that may be a new project, and what became of it."""

    id: int
    kind: str
    artifact: Text
    maker: Text
    name: Text
    found_at: datetime
    status: CandidateStatus
    seed: Json
    reasons: Json
    slug: str | None
    curator: Text | None
    decided_at: datetime | None
    reason: Text | None


class CandidatesOut(BaseModel):
    """Candidates, oldest first."""

    total: int
    items: list[CandidateOut]


class RunOut(BaseModel):
    """A run; its report, where it was asked for alone."""

    id: int
    kind: str
    started_at: datetime
    ended_at: datetime | None
    status: RunStatus
    exit_code: int | None
    report: Json = None


class RunsOut(BaseModel):
    """Runs, newest first. Pass `next` on as `before`; null at the end."""

    items: list[RunOut]
    next: int | None


class DoneOut(BaseModel):
    """A decision that was made: its number, and what to pass on as `expected` from now on."""

    decision: int


class BulkPreviewOut(BaseModel):
    """What a bulk confirmation would do. Pass `digest` on when confirming."""

    total: int
    left_out: int
    by_dimension: dict[str, int]
    by_change: dict[str, int]
    sample: list[QuestionOut]
    digest: str


class BulkDoneOut(BaseModel):
    """A bulk confirmation that was made."""

    batch: int
    confirmed: int


class CellNameOut(BaseModel):
    """A cell."""

    slug: str
    dimension: str


class BatchUndoneOut(BaseModel):
    """A batch that was taken back; `left` are cells that were decided again since."""

    undone: int
    left: list[CellNameOut]
