"""What is handed out as a file: stored bytes, the published data; and whether the desk is well."""

from __future__ import annotations

import io

from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from db.published import load_project_ratings
from db.question_pages import load_stored_bodies
from pipelines.errors import StorageError
from pipelines.exports import csv_, json_
from pipelines.exports.rows import rating_rows
from review.calls import Call, route, view

_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


@view(role=None)
def healthz(call: Call) -> Response:
    """Does the desk answer, and its database with it?"""
    call.session.execute(text("SELECT 1"))
    return PlainTextResponse("ok\n")


@view()
def snapshot(call: Call) -> Response:
    """The stored bytes of a snapshot as they were read: to be saved, never to be shown as what they are."""
    digest = call.path["sha256"]
    bodies = list(load_stored_bodies(call.session, [digest]).values())
    if not bodies:
        raise HTTPException(404, "No snapshot has this digest.")
    if bodies[0].pruned_at is not None:
        raise HTTPException(
            410, f"These bytes were removed on {bodies[0].pruned_at:%Y-%m-%d} by {bodies[0].pruned_by}."
        )
    try:
        body = call.context.archive.get(digest)
    except StorageError as error:
        said = "are damaged" if "damaged" in str(error) else "are not in the archive"
        raise HTTPException(410, f"The stored bytes {said}.") from None
    return Response(
        body,
        media_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{digest}.txt"',
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
            # The bytes of a digest are always the same; who may see them is not for others to keep.
            "Cache-Control": "private, max-age=86400, immutable",
        },
    )


@view()
def export(call: Call) -> Response:
    """The published data: confirmed ratings as of this moment."""
    form, rubric = call.path["format"], call.context.rubric
    if form not in _MEDIA_TYPES:
        raise HTTPException(404, "Ratings are exported as csv and as json.")
    out = io.StringIO(newline="")
    rows = load_project_ratings(call.session, rubric.dimension_ids)
    if form == "csv":
        csv_.write(rating_rows(rows, rubric.dimension_ids), out)
    else:
        json_.write(rows, out, rubric=rubric, generated_at=call.now)
    return Response(
        out.getvalue().encode("utf-8", "replace"),
        media_type=f"{_MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="ratings.{form}"'},
    )


routes = [
    route("/healthz", healthz),
    route("/snapshots/{sha256}", snapshot),
    route("/export/{format}", export),
]
