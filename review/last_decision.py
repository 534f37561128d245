"""The decision that this browser made last, so that one key can take it back."""

from __future__ import annotations

from dataclasses import dataclass

from itsdangerous import BadSignature
from starlette.responses import Response

from review.calls import Call
from review.queue_query import question_path
from review.visitors import cookie_name, drop_cookie, set_cookie, signer

LAST_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDecision:
    """Which decision it was, and what it said."""

    slug: str
    dimension: str
    decision_id: int
    words: str

    @property
    def undo_path(self) -> str:
        """Where it is taken back."""
        return f"{question_path(self.slug, self.dimension)}/undo"


def last_decision(call: Call) -> LastDecision | None:
    """What the browser remembers, if whoever asks now is who decided it."""
    value = call.request.cookies.get(cookie_name(call.context.options, "last"), "")
    if not value or not call.visitor.is_signed_in:
        return None
    try:
        kept = signer(call.context, "last").loads(value, max_age=LAST_SECONDS)
        who, slug, dimension, decision_id, words = kept
    except (BadSignature, ValueError, TypeError):
        return None
    if who != call.visitor.name:
        return None
    return LastDecision(slug=slug, dimension=dimension, decision_id=decision_id, words=words)


def remember(call: Call, response: Response, last: LastDecision) -> None:
    """Let the browser remember a decision for an hour."""
    kept = [call.visitor.name, last.slug, last.dimension, last.decision_id, last.words]
    set_cookie(response, call.context.options, "last", signer(call.context, "last").dumps(kept), LAST_SECONDS)


def forget(call: Call, response: Response) -> None:
    """It was taken back."""
    drop_cookie(response, call.context.options, "last")
