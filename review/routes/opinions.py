"""Second opinions: a rated cell shown to another curator, without a word of what the first one made of it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.opinions import load_asked, load_asked_cell, load_opinions, save_opinion
from db.proposals import load_proposals
from db.question_pages import load_stored_bodies
from db.review_values import UserRole
from pipelines.errors import UsageError
from pipelines.model import Rating
from review.calls import Call, FormProblem, conflict_status, route, view
from review.paging import address, number_of
from review.passages import shown_evidence

SHOWN = 50
MAX_REASON = 4_000


@view(role=UserRole.CURATOR)
def opinion_list(call: Call) -> Response:
    """What this curator is asked about, and what was said so far."""
    share = call.context.options.second_opinions
    asked = load_asked(call.session, call.visitor.name, share)
    before = number_of(call.query, "before")
    given = load_opinions(call.session, limit=SHOWN + 1, before_id=before)
    shown = given[:SHOWN]
    return call.page(
        "opinions.html",
        share=share,
        asked=asked[:SHOWN],
        asked_total=len(asked),
        given=shown,
        next=address("/opinions", before=shown[-1].id) + "#given" if len(given) > SHOWN else "",
        first="/opinions#given" if before else "",
    )


def _blind(call: Call, *, problem: str = "", status: int = 200) -> Response:
    """The cell with its evidence. Of the proposal only what was found: its class would tell the first one's."""
    slug, dimension = call.path["slug"], call.path["dimension"]
    cell = load_asked_cell(
        call.session, call.visitor.name, call.context.options.second_opinions, slug, dimension
    )
    if cell is None or dimension not in call.context.rubric.dimension_ids:
        raise HTTPException(404, "You are not asked about this cell, or not any more.")
    stored = load_proposals(call.session, ids=[cell.proposal_id])[0]
    return call.page(
        "opinion.html",
        status=status,
        cell=cell,
        dimension=call.context.rubric.dimension(dimension),
        evidence=shown_evidence(
            stored.proposal.evidence,
            load_stored_bodies(call.session, [item.sha256 for item in stored.proposal.evidence]),
            call.context.archive,
            call.context.texts,
        ),
        findings=stored.proposal.findings,
        searched=stored.proposal.searched,
        problem=problem,
        reason=call.form.get("reason", ""),
        chosen=call.form.get("rating", ""),
        classes=tuple(Rating),
    )


@view(role=UserRole.CURATOR)
def ask(call: Call) -> Response:
    """The question, blind."""
    return _blind(call)


def _refused(call: Call, error: UsageError) -> Response:
    return _blind(call, problem=str(error), status=conflict_status(error))


@view(role=UserRole.CURATOR, write=True, conflict=_refused)
def answer(call: Call) -> Response:
    """Store an opinion."""
    slug, dimension = call.path["slug"], call.path["dimension"]
    rating, decision_id = call.form.get("rating", ""), number_of(call.form, "decision")
    if rating not in tuple(Rating):
        raise FormProblem("choose a class")
    if len(call.form.get("reason", "")) > MAX_REASON:
        raise FormProblem(f"a reason has at most {MAX_REASON} characters")
    given = save_opinion(
        call.session,
        slug=slug,
        dimension=dimension,
        decision_id=decision_id or 0,
        rating=Rating(rating),
        curator=call.visitor.name,
        reason=call.form.get("reason", ""),
        share=call.context.options.second_opinions,
        now=call.now,
    )
    call.record(
        "opinion",
        f"{slug} {dimension}",
        opinion=given.id,
        rating=given.rating.value,
        decision=given.decision_id,
    )
    left = load_asked(call.session, call.visitor.name, call.context.options.second_opinions)
    said = "Your opinion is noted."
    if left:
        return call.redirect(f"/opinions/{left[0].slug}/{left[0].dimension}", said=said)
    return call.redirect("/opinions", said=said)


routes = [
    route("/opinions", opinion_list),
    route("/opinions/{slug}/{dimension}", ask),
    route("/opinions/{slug}/{dimension}", answer),
]
