"""One question at a time: everything that is needed to answer it, and the keys to do so."""

from __future__ import annotations

from starlette.responses import Response

from db.review_values import UserRole
from review.calls import Call, route, view
from review.last_decision import last_decision
from review.question_view import classes, prefilled, question_view
from review.queue_query import queue_query


def question_page(call: Call, status: int = 200, problem: str = "") -> Response:
    """The page about a cell, with what went wrong, and with what was written kept."""
    asked = queue_query(call.query, call.context.rubric)
    shown = question_view(call, call.path["slug"], call.path["dimension"], asked)
    return call.page(
        "question.html",
        status,
        asked=asked,
        view=shown,
        cell=shown.cell,
        proposal=shown.cell.proposal.proposal if shown.cell.proposal else None,
        form=prefilled(call, shown),
        classes=classes(shown),
        problem=problem,
        may_decide=call.visitor.may(UserRole.CURATOR) and call.visitor.is_signed_in,
        last=last_decision(call),
    )


@view()
def question(call: Call) -> Response:
    """A question, or a cell that is none at present."""
    return question_page(call)


routes = [route("/questions/{slug}/{dimension}", question)]
