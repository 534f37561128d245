"""Confirming many at once: what it would do, doing exactly that, taking all of it back."""

from __future__ import annotations

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.bulk import confirm_bulk, load_batch, load_batch_cells, load_batches, preview_bulk, undo_batch
from db.review_values import StoredBatch, UserRole
from pipelines.errors import UsageError
from review.calls import Call, Form, FormProblem, conflict_status, route, view
from review.paging import number_of
from review.queue_query import QueueQuery, queue_query
from review.routes.deciding import MAX_REASON

USUAL_FLOOR = 0.9
"""The least confidence that a preview begins with."""

SHOWN_CELLS = 1000


def _asked(call: Call) -> QueueQuery:
    """The selection, always with a least confidence."""
    asked = queue_query(call.query, call.context.rubric)
    if "min_confidence" in call.query:
        return asked
    return replace(asked, filter=replace(asked.filter, min_confidence=USUAL_FLOOR))


def _preview_page(call: Call, status: int = 200, problem: str = "") -> Response:
    asked = _asked(call)
    try:
        preview = preview_bulk(call.session, asked.filter, asked.filter.min_confidence, call.now)
    except UsageError as error:
        if problem:
            raise
        raise HTTPException(400, str(error)) from None
    return call.page(
        "bulk.html",
        status,
        asked=asked,
        preview=preview,
        problem=problem,
        batches=load_batches(call.session, 10),
        # The floor goes into the address even where it restricts nothing.
        target=replace(asked, filter=replace(asked.filter, min_confidence=0.0)).address(
            "/bulk", min_confidence=f"{asked.filter.min_confidence:g}"
        ),
    )


def _refused(call: Call, error: UsageError) -> Response:
    said = str(error)
    return _preview_page(call, conflict_status(error), f"{said[:1].upper()}{said[1:]}")


@view(role=UserRole.CURATOR)
def bulk(call: Call) -> Response:
    """What confirming a selection above a confidence would do."""
    return _preview_page(call)


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def confirm(call: Call) -> Response:
    """Confirm what the preview showed, if it is still the same."""
    if "min_confidence" not in call.query:
        raise FormProblem("Say above which confidence.")
    filters = _asked(call).filter
    done = confirm_bulk(
        call.session,
        filters,
        filters.min_confidence,
        call.form.get("digest", ""),
        call.visitor.name,
        call.now,
    )
    call.record("bulk", f"batch {done.batch_id}", confirmed=done.confirmed, filter=filters.as_json())
    return call.redirect(
        f"/batches/{done.batch_id}", f"Confirmed: {done.confirmed}. All of it can be undone here."
    )


def _batch(call: Call) -> StoredBatch:
    number = number_of(call.path, "id")
    found = None if number is None else load_batch(call.session, number)
    if found is None:
        raise HTTPException(404, "There is no batch of this number.")
    return found


def _batch_page(call: Call, status: int = 200, problem: str = "") -> Response:
    found = _batch(call)
    cells = load_batch_cells(call.session, found.id)
    return call.page(
        "batch.html",
        status,
        batch=found,
        cells=cells[:SHOWN_CELLS],
        more=max(0, len(cells) - SHOWN_CELLS),
        in_force=sum(1 for _, _, stands in cells if stands),
        problem=problem,
        reason=call.form.get("reason", ""),
        may_decide=call.visitor.may(UserRole.CURATOR) and call.visitor.is_signed_in,
    )


def _batch_refused(call: Call, error: UsageError) -> Response:
    said = str(error)
    return _batch_page(call, conflict_status(error), f"{said[:1].upper()}{said[1:]}")


@view()
def batch(call: Call) -> Response:
    """What was confirmed together."""
    return _batch_page(call)


@view(role=UserRole.CURATOR, write=True, conflict=_batch_refused)
def undo(call: Call) -> Response:
    """Take a whole batch back, but for what was decided again since."""
    found, reason = _batch(call), call.form.get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        raise FormProblem(f"Say in 1 to {MAX_REASON} characters why it is taken back.")
    done = undo_batch(call.session, found.id, call.visitor.name, call.now, reason)
    call.record(
        "bulk-undo",
        f"batch {found.id}",
        undone=done.undone,
        left=[f"{slug} {dimension}" for slug, dimension in done.left[:100]],
    )
    call.form = Form()
    kept = f" {len(done.left)} were decided again since and stay as they are." if done.left else ""
    return call.redirect(f"/batches/{found.id}", f"Taken back: {done.undone}.{kept}")


routes = [
    route("/bulk", bulk),
    route("/bulk", confirm),
    route("/batches/{id}", batch),
    route("/batches/{id}", undo),
]
