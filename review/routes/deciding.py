"""Deciding about a cell, taking a decision back, and saying something without deciding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from starlette.responses import Response

from db import decide
from db.comments import MAX_COMMENT, save_comment
from db.questions import load_first, load_next
from db.review_values import Sort, UserRole
from db.wanted import WantedDecision, carry_out
from pipelines.errors import UsageError
from pipelines.model import DecisionKind, Rating
from pipelines.visible import web_address
from review.calls import Call, Form, FormProblem, conflict_status, route, view
from review.last_decision import LastDecision, forget, remember
from review.question_view import known_dimension, known_project, sent
from review.queue_query import QueueQuery, question_path, queue_query
from review.routes.question import question_page

MAX_REASON = 2000
MAX_NOTE = 4000
"""Characters."""

CONFIRM, REJECT, DEFER = "confirm", "reject", "defer"
RATINGS: Mapping[str, Rating] = {rating.value: rating for rating in Rating}
"""What the buttons send: one of these."""

_UNCHANGED = "\0"
"""What no form can send stands for what it has left as it was."""

DONE = {CONFIRM: "Confirmed", REJECT: "Rejected", DEFER: "Deferred"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a form asks for: the button that was pressed, and the decision that it stands for."""

    action: str
    decision: WantedDecision


def wanted(form: Form) -> Wanted:
    """What a form asks for. FormProblem says what is missing or wrong."""
    action = form.get("action", "")
    if action not in (CONFIRM, REJECT, DEFER, *RATINGS):
        raise FormProblem("Choose what to decide.")
    expected = _number(form.get("expected", ""))
    if expected is None:
        raise FormProblem("The page is not complete; load it again.")
    reason, note, link = sent(form, "reason"), sent(form, "note", _UNCHANGED), sent(form, "link", _UNCHANGED)
    if action != CONFIRM and not reason:
        raise FormProblem("Say why: only confirming needs no reason.")
    if len(reason) > MAX_REASON or len(note) > MAX_NOTE:
        raise FormProblem(f"A reason has at most {MAX_REASON} characters, a note {MAX_NOTE}.")
    if link not in ("", _UNCHANGED) and not web_address(link):
        raise FormProblem("The link has to be an address that begins with https:// or http://.")
    rating = RATINGS.get(action)
    decision = WantedDecision(
        kind=DecisionKind.OVERRIDE if rating is not None else DecisionKind(action),
        proposal_id=_number(form.get("proposal", "")),
        expected=expected,
        rating=rating,
        reason=reason,
        # What was only prefilled is nobody's word: the note of another class is its reason.
        note=None if note == _UNCHANGED else note,
        link=None if link == _UNCHANGED else link,
        until=_day(form.get("until", "")) if action == DEFER else None,
    )
    if decision.proposal_id is None:
        # Nothing was proposed, so nothing was prefilled.
        decision = replace(decision, link=form.get("link", "").strip())
    return Wanted(action=action, decision=decision)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise FormProblem("Say until which day: a date such as 2030-01-31.") from None


def _refused(call: Call, error: UsageError) -> Response:
    """The question as it is now, with what was written kept: nothing was decided."""
    said = str(error)
    return question_page(call, conflict_status(error), problem=f"{said[:1].upper()}{said[1:]}")


def _refused_elsewhere(call: Call, error: UsageError) -> Response:
    """The same for other forms of the page, whose fields are not those of the decision."""
    call.form = Form()
    return _refused(call, error)


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def decide_cell(call: Call) -> Response:
    """Decide, and go on with the next question of the selection."""
    asked = queue_query(call.query, call.context.rubric)
    slug, dimension = call.path["slug"], call.path["dimension"]
    known_dimension(call.context.rubric, dimension)
    what = wanted(call.form)
    known_project(call, slug)
    following = load_next(call.session, asked.filter, asked.sort, (slug, dimension), call.now)
    decision_id = carry_out(
        call.session, slug, dimension, what.decision, curator=call.visitor.name, now=call.now
    )
    words = _words(slug, dimension, what)
    call.record(
        "decision",
        f"{slug} {dimension}",
        decision=decision_id,
        decided=what.action,
        proposal=what.decision.proposal_id,
    )
    response = _go_on(call, asked, _next(call, asked, slug, following), words)
    remember(
        call,
        response,
        LastDecision(slug=slug, dimension=dimension, decision_id=decision_id, words=words),
    )
    return response


def _next(
    call: Call, asked: QueueQuery, slug: str, following: tuple[str, str] | None
) -> tuple[str, str] | None:
    """The question behind the one that was decided; else the first that is left of the selection.

    In the order of gain a project sinks while its questions are answered, so that what stands behind its last
    one is not what comes next.
    """
    if following is not None and (asked.sort is not Sort.GAIN or following[0] == slug):
        return following
    return load_first(call.session, asked.filter, asked.sort, call.now)


def _go_on(call: Call, asked: QueueQuery, following: tuple[str, str] | None, words: str) -> Response:
    if following is None:
        return call.redirect(asked.address("/queue"), f"{words} That was the last of this selection.")
    return call.redirect(asked.question(following), words)


def _words(slug: str, dimension: str, what: Wanted) -> str:
    cell = f"{slug} {dimension}"
    if what.action == DEFER:
        return f"Deferred: {cell} until {what.decision.until:%Y-%m-%d}."
    if what.action in DONE:
        return f"{DONE[what.action]}: {cell}."
    return f"Rated {what.action.replace('_', ' ')}: {cell}."


@view(role=UserRole.CURATOR, write=True, conflict=_refused_elsewhere)
def undo(call: Call) -> Response:
    """Take a decision of the cell back, and show the question again."""
    slug, dimension = call.path["slug"], call.path["dimension"]
    known_dimension(call.context.rubric, dimension)
    known_project(call, slug)
    reason = call.form.get("reason", "").strip()
    decision_id, expected = _number(call.form.get("decision", "")), _number(call.form.get("expected", ""))
    if decision_id is None or expected is None:
        raise FormProblem("The page is not complete; load it again.")
    if not reason or len(reason) > MAX_REASON:
        raise FormProblem(f"Say in 1 to {MAX_REASON} characters why it is taken back.")
    done = decide.undo(
        call.session,
        slug,
        dimension,
        curator=call.visitor.name,
        now=call.now,
        reason=reason,
        decision_id=decision_id,
        expected=expected,
    )
    call.record("undo", f"{slug} {dimension}", decision=done, undoes=decision_id)
    asked = queue_query(call.query, call.context.rubric)
    response = call.redirect(
        asked.question((slug, dimension)), f"Taken back: {slug} {dimension} is as it was."
    )
    forget(call, response)
    return response


@view(role=UserRole.CURATOR, write=True, conflict=_refused_elsewhere)
def comment(call: Call) -> Response:
    """Say something to the other curators."""
    slug, dimension = call.path["slug"], call.path["dimension"]
    known_dimension(call.context.rubric, dimension)
    known_project(call, slug)
    text = call.form.get("text", "").strip()
    if not text or len(text) > MAX_COMMENT:
        raise FormProblem(f"A comment has 1 to {MAX_COMMENT} characters.")
    number = save_comment(call.session, slug, dimension, curator=call.visitor.name, text=text, now=call.now)
    call.record("comment", f"{slug} {dimension}", comment=number)
    asked = queue_query(call.query, call.context.rubric)
    return call.redirect(
        asked.address(question_path(slug, dimension)) + "#comments", "The comment is stored."
    )


routes = [
    route("/questions/{slug}/{dimension}/decide", decide_cell),
    route("/questions/{slug}/{dimension}/undo", undo),
    route("/questions/{slug}/{dimension}/comment", comment),
]
