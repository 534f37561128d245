"""Queue, questions and decisions for programs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field
from starlette.exceptions import HTTPException

from db import decide
from db.bulk import confirm_bulk, preview_bulk, undo_batch
from db.question_pages import load_cell, load_project_id
from db.questions import load_facets, load_page
from db.review_values import QuestionKind, QueueFilter, Sort, UserRole
from db.wanted import WantedDecision, carry_out
from pipelines.errors import UsageError
from pipelines.model import DecisionKind, Rating
from pipelines.visible import web_address
from review.api.asking import asking, errors
from review.api.shapes import (
    MAX_ID,
    MAX_LINK,
    MAX_TEXT,
    BatchUndoneOut,
    BulkDoneOut,
    BulkPreviewOut,
    CellNameOut,
    CellOut,
    DimensionName,
    Dimensions,
    DoneOut,
    FacetsOut,
    Given,
    Id,
    Limit,
    QueueOut,
    Slug,
    Slugs,
)
from review.api.telling import cell_out, facets_out, question_out
from review.calls import Call

router = APIRouter(tags=["questions"])

MAX_REASON = 2_000
MAX_ORG = 300

_Change = Annotated[
    str | None,
    Query(
        pattern="^(open|partial|closed|not_applicable|unrated)>(open|partial|closed|not_applicable|unrated)$",
        description="From which class to which, such as closed>open or unrated>open.",
    ),
]
_Confidence = Annotated[
    float, Query(ge=0, le=1, allow_inf_nan=False, description="At least this confidence.")
]


def _filter(
    dimension: Dimensions = None,
    kind: Annotated[list[QuestionKind] | None, Query(max_length=20)] = None,
    rating: Annotated[list[Rating] | None, Query(alias="class", max_length=10)] = None,
    org: Annotated[
        list[Annotated[str, Field(max_length=MAX_ORG)]] | None, Query(max_length=50, description="Makers.")
    ] = None,
    project: Slugs = None,
    min_confidence: _Confidence = 0.0,
    change: _Change = None,
) -> QueueFilter:
    """Which questions are meant; what is not given does not restrict."""
    return QueueFilter(
        dimensions=tuple(dimension or ()),
        kinds=tuple(kind or ()),
        ratings=tuple(rating or ()),
        orgs=tuple(org or ()),
        slugs=tuple(project or ()),
        min_confidence=min_confidence,
        change=change,
    )


_Filter = Annotated[QueueFilter, Depends(_filter)]


class Action(StrEnum):
    """What is decided."""

    CONFIRM = "confirm"
    RATE = "rate"
    REJECT = "reject"
    DEFER = "defer"


KINDS = {
    Action.CONFIRM: DecisionKind.CONFIRM,
    Action.RATE: DecisionKind.OVERRIDE,
    Action.REJECT: DecisionKind.REJECT,
    Action.DEFER: DecisionKind.DEFER,
}


class DecisionIn(Given):
    """A decision. `expected` is that of the cell as it was read: it is refused when somebody was quicker.

    `proposal` is the current one; without it a cell can only be rated by hand. `rating` goes with `rate`,
    `until` with `defer`; everything but `confirm` needs a `reason`. `note` and `link` are published.
    """

    action: Action
    expected: int = Field(ge=0, le=MAX_ID)
    proposal: int | None = Field(default=None, ge=1, le=MAX_ID)
    rating: Rating | None = None
    reason: str = Field(default="", max_length=MAX_REASON)
    note: str | None = Field(default=None, max_length=MAX_TEXT)
    link: str | None = Field(default=None, max_length=MAX_LINK)
    until: date | None = None


class UndoIn(Given):
    """Take back a decision of the cell: the given one, or the latest in force."""

    expected: int = Field(ge=0, le=MAX_ID)
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    decision: int | None = Field(default=None, ge=1, le=MAX_ID)


class BulkFilterIn(Given):
    """Which proposals are meant, as in the queue, with the least confidence of each."""

    floor: float = Field(ge=0, le=1, allow_inf_nan=False)
    dimensions: list[str] = Field(default=[], max_length=50)
    kinds: list[QuestionKind] = Field(default=[], max_length=20)
    classes: list[Rating] = Field(default=[], max_length=10)
    orgs: list[Annotated[str, Field(max_length=MAX_ORG)]] = Field(default=[], max_length=50)
    projects: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=100)
    change: str | None = Field(default=None, max_length=40)

    def queue_filter(self) -> QueueFilter:
        """The filter as the queue knows it."""
        return QueueFilter(
            dimensions=tuple(self.dimensions),
            kinds=tuple(self.kinds),
            ratings=tuple(self.classes),
            orgs=tuple(self.orgs),
            slugs=tuple(self.projects),
            change=self.change,
        )


class BulkConfirmIn(BulkFilterIn):
    """Confirm exactly what a preview showed."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")


class BatchUndoIn(Given):
    """Why a batch is taken back."""

    reason: str = Field(min_length=1, max_length=MAX_REASON)


@router.get("/queue", responses=errors())
def read_queue(
    request: Request,
    filters: _Filter,
    sort: Sort = Sort.GAIN,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=1_000)] = None,
) -> QueueOut:
    """A page of the questions that wait."""
    with asking(request) as call:
        page = load_page(call.session, filters, call.now, sort=sort, limit=limit, after=after)
    return QueueOut(total=page.total, items=[question_out(item) for item in page.items], next=page.next)


@router.get("/queue/facets", responses=errors())
def read_facets(request: Request, filters: _Filter) -> FacetsOut:
    """How many questions there are of each sort."""
    with asking(request) as call:
        return facets_out(load_facets(call.session, filters, call.now))


@router.get("/questions/{slug}/{dimension}", responses=errors(404))
def read_question(request: Request, slug: Slug, dimension: DimensionName) -> CellOut:
    """A cell with everything that is needed to decide about it."""
    with asking(request) as call:
        return _cell(call, slug, dimension)


def _cell(call: Call, slug: str, dimension: str) -> CellOut:
    _check_dimension(call, dimension)
    cell = load_cell(call.session, slug, dimension, call.now)
    if cell is None:
        raise HTTPException(404, "There is no such project.")
    return cell_out(cell)


def _check_cell(call: Call, slug: str, dimension: str) -> None:
    _check_dimension(call, dimension)
    if load_project_id(call.session, slug) is None:
        raise HTTPException(404, "There is no such project.")


def _check_dimension(call: Call, dimension: str) -> None:
    if dimension not in call.context.rubric.dimension_ids:
        raise HTTPException(404, "The rubric has no such dimension.")


@router.post("/questions/{slug}/{dimension}/decisions", status_code=201, responses=errors(404, 409))
def decide_question(request: Request, slug: Slug, dimension: DimensionName, given: DecisionIn) -> DoneOut:
    """Decide. What is published changes in the same transaction."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        _check_cell(call, slug, dimension)
        decision = carry_out(
            call.session, slug, dimension, _wanted(given), curator=call.visitor.name, now=call.now
        )
        call.record(
            "decision",
            f"{slug} {dimension}",
            decision=decision,
            decided=given.action.value,
            proposal=given.proposal,
        )
        return DoneOut(decision=decision)


def _wanted(given: DecisionIn) -> WantedDecision:
    """What was asked for. Raises UsageError where something that belongs to it is missing."""
    if given.link and not web_address(given.link):
        raise UsageError("link: it has to be an address that begins with https:// or http://")
    if given.action is Action.RATE and given.rating is None:
        raise UsageError("a class is needed to rate")
    if given.action is not Action.RATE and given.proposal is None:
        raise UsageError(f"to {given.action.value}, name the proposal")
    if given.action is Action.DEFER and given.until is None:
        raise UsageError("say until when it is deferred")
    return WantedDecision(
        kind=KINDS[given.action],
        proposal_id=given.proposal,
        expected=given.expected,
        rating=given.rating if given.action is Action.RATE else None,
        reason=given.reason,
        note=given.note,
        link=given.link,
        until=None if given.until is None else datetime.combine(given.until, time(), UTC),
    )


@router.post("/questions/{slug}/{dimension}/undo", status_code=201, responses=errors(404, 409))
def undo_decision(request: Request, slug: Slug, dimension: DimensionName, given: UndoIn) -> DoneOut:
    """Take a decision back."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        _check_cell(call, slug, dimension)
        done = decide.undo(
            call.session,
            slug,
            dimension,
            curator=call.visitor.name,
            now=call.now,
            reason=given.reason,
            decision_id=given.decision,
            expected=given.expected,
        )
        call.record("undo", f"{slug} {dimension}", decision=done, undoes=given.decision)
        return DoneOut(decision=done)


@router.post("/bulk/preview", responses=errors())
def preview(request: Request, given: BulkFilterIn) -> BulkPreviewOut:
    """What a bulk confirmation would do. It changes nothing."""
    with asking(request, UserRole.CURATOR) as call:
        found = preview_bulk(call.session, _checked(call, given), given.floor, call.now)
    return BulkPreviewOut(
        total=found.total,
        left_out=found.left_out,
        by_dimension=dict(found.by_dimension),
        by_change=dict(found.by_change),
        sample=[question_out(item) for item in found.sample],
        digest=found.digest,
    )


def _checked(call: Call, given: BulkFilterIn) -> QueueFilter:
    for dimension in given.dimensions:
        call.context.rubric.dimension(dimension)
    return given.queue_filter()


@router.post("/bulk/confirm", status_code=201, responses=errors(409))
def confirm(request: Request, given: BulkConfirmIn) -> BulkDoneOut:
    """Confirm exactly what the preview with this digest showed."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        filters = _checked(call, given)
        done = confirm_bulk(call.session, filters, given.floor, given.digest, call.visitor.name, call.now)
        call.record(
            "bulk",
            f"batch {done.batch_id}",
            confirmed=done.confirmed,
            filter=filters.as_json(),
            floor=given.floor,
        )
        return BulkDoneOut(batch=done.batch_id, confirmed=done.confirmed)


@router.post("/batches/{batch}/undo", responses=errors(409))
def undo_bulk(request: Request, batch: Annotated[Id, Path()], given: BatchUndoIn) -> BatchUndoneOut:
    """Take a whole batch back; cells that were decided again since are left alone."""
    with asking(request, UserRole.CURATOR, write=True) as call:
        done = undo_batch(call.session, batch, call.visitor.name, call.now, given.reason)
        call.record("bulk-undo", f"batch {batch}", undone=done.undone, reason=given.reason)
        left = [CellNameOut(slug=slug, dimension=dimension) for slug, dimension in done.left]
        return BatchUndoneOut(undone=done.undone, left=left)
