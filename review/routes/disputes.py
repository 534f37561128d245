"""Disputes: the form for producers, where the settings allow it, and the list for curators."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.disputes import (
    FILED,
    MAX_CONTACT,
    MAX_TEXT,
    dismiss_dispute,
    load_disputes,
    save_dispute,
    too_many_disputes,
)
from db.project_pages import load_rated_dimensions
from db.review_values import UserRole
from pipelines.errors import UsageError
from review.calls import Call, FormProblem, conflict_status, route, view
from review.paging import address, number_of

ROWS = 50


def _allowed(call: Call) -> tuple[str, str, Mapping[str, object]]:
    """The project that the form is about: slug, name, and its ratings. HTTPException 404 where there is no form."""
    if not call.context.options.disputes:
        raise HTTPException(404, "Disputes are not taken here.")
    found = load_rated_dimensions(call.session, call.path["slug"])
    if found is None:
        raise HTTPException(404, "There is no such project.")
    return found


def _form(call: Call, *, problem: str = "", status: int = 200) -> Response:
    slug, name, ratings = _allowed(call)
    return call.page(
        "dispute_new.html",
        status=status,
        slug=slug,
        name=name,
        ratings=ratings,
        problem=problem,
        max_text=MAX_TEXT,
        max_contact=MAX_CONTACT,
        given={key: call.form.get(key, "") for key in ("dimension", "link", "text", "contact")},
    )


@view(role=None)
def new_dispute(call: Call) -> Response:
    """The form, for everybody."""
    return _form(call)


@view(role=None, write=True)
def file_dispute(call: Call) -> Response:
    """File a dispute: it becomes a question to a curator."""
    slug, _, _ = _allowed(call)
    if too_many_disputes(call.session, call.address, call.now):
        raise HTTPException(
            429, "Many disputes were filed just now. Try again in an hour.", {"Retry-After": "3600"}
        )
    if call.form.get("website", ""):
        # A field that people do not see: whoever fills it in fills in everything.
        raise HTTPException(400, "This cannot be taken.")
    try:
        dispute_id = save_dispute(
            call.session,
            call.context.rubric,
            slug=slug,
            dimension=call.form.get("dimension", ""),
            link=call.form.get("link", ""),
            text=call.form.get("text", ""),
            contact=call.form.get("contact", ""),
            now=call.now,
        )
    except UsageError as error:
        return _form(call, problem=str(error), status=422)
    call.record(FILED, f"{slug} {call.form.get('dimension', '')}", dispute=dispute_id)
    return call.page("dispute_filed.html", status=201, slug=slug)


def _list(call: Call, *, problem: str = "", status: int = 200) -> Response:
    found = load_disputes(call.session, limit=ROWS + 1, before_id=number_of(call.query, "before"))
    shown = found[:ROWS]
    return call.page(
        "disputes.html",
        status=status,
        disputes=shown,
        problem=problem,
        next=address("/disputes", before=shown[-1].id) if len(found) > ROWS else "",
        first="/disputes" if number_of(call.query, "before") else "",
    )


@view(role=UserRole.CURATOR)
def dispute_list(call: Call) -> Response:
    """The disputes, newest first."""
    return _list(call)


def _refused(call: Call, error: UsageError) -> Response:
    return _list(call, problem=str(error), status=conflict_status(error))


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def dismiss(call: Call) -> Response:
    """Turn a dispute down, with a reason."""
    reason = call.form.get("reason", "")
    if len(reason) > MAX_TEXT:
        raise FormProblem(f"a reason has at most {MAX_TEXT} characters")
    done = dismiss_dispute(
        call.session,
        call.path["id"],
        curator=call.visitor.name,
        reason=reason,
        now=call.now,
    )
    call.record("dispute-dismissed", f"{done.slug} {done.dimension}", dispute=done.id, reason=done.reason)
    return call.redirect("/disputes", said=f"The dispute about {done.slug} {done.dimension} is dismissed.")


routes = [
    route("/disputes", dispute_list),
    route("/disputes/{id:int}/dismiss", dismiss),
    route("/disputes/new/{slug}", new_dispute),
    route("/disputes/new/{slug}", file_dispute),
]
