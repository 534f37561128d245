"""The templates: compiled once, everything escaped, an unknown name an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from db.review_values import QuestionKind, UserRole
from pipelines.model import DecisionKind, Outcome, Rating
from pipelines.visible import web_address
from review.static_files import asset_path
from review.text import fetched, live_link, one_line, plain

SYMBOLS = {
    Rating.OPEN: "●",
    Rating.PARTIAL: "◐",
    Rating.CLOSED: "○",
    Rating.NOT_APPLICABLE: "–",
}
"""What tells the classes apart where colours do not."""

UNRATED = "·"

KIND_WORDS = {
    QuestionKind.DISPUTE: "disputed",
    QuestionKind.DISAGREEMENT: "curators disagree",
    QuestionKind.EVIDENCE_GONE: "evidence gone",
    QuestionKind.LICENCE_CONFLICT: "licence conflict",
    QuestionKind.CLAIM: "claim against fact",
    QuestionKind.NEW_EVIDENCE: "new evidence",
    QuestionKind.NEW_PROJECT: "not rated yet",
}
"""Why a question is asked."""


@cache
def environment() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=PackageLoader("review", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {
        "fetched": fetched,
        "plain": plain,
        "one_line": one_line,
        "live_link": live_link,
        "web_address": web_address,
        "when": when,
        "day": day,
        "rating": rating,
        "words": words,
        "percent": percent,
    }
    made.globals |= {
        "asset": asset_path,
        "change": change,
        "Rating": Rating,
        "Outcome": Outcome,
        "DecisionKind": DecisionKind,
        "QuestionKind": QuestionKind,
        "UserRole": UserRole,
    }
    return made


def page_template(name: str) -> Template:
    """A compiled template."""
    return environment().get_template(name)


@cache
def compile_templates() -> None:
    """Compile every template. A mistake in one shows here and not to a visitor."""
    for name in environment().list_templates():
        page_template(name)


def render(name: str, values: Mapping[str, object]) -> str:
    """A page as text."""
    return page_template(name).render(values)


def words(value: object) -> str:
    """A value of an enum as words."""
    if isinstance(value, QuestionKind):
        return KIND_WORDS[value]
    return str(getattr(value, "value", value)).replace("_", " ")


@cache
def rating(value: Rating | None) -> Markup:
    """A class with its symbol; nothing yet where there is none."""
    if value is None:
        return Markup(
            '<span class="rating unrated"><span aria-hidden="true">{}</span> unrated</span>'
        ).format(UNRATED)
    return Markup('<span class="rating {}"><span aria-hidden="true">{}</span> {}</span>').format(
        value.value.replace("_", "-"), SYMBOLS[value], words(value)
    )


@cache
def change(current: Rating | None, proposed: Rating | None) -> Markup:
    """From the class that stands to the one that is proposed."""
    return Markup(
        '<span class="change">{} <span aria-hidden="true">→</span><span class="visually-hidden"> to </span> {}</span>'
    ).format(rating(current), rating(proposed))


@lru_cache(maxsize=4096)
def when(moment: datetime | None) -> Markup:
    """A moment to the minute, in UTC."""
    if moment is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), f"{moment:%Y-%m-%d %H:%M} UTC")


@lru_cache(maxsize=4096)
def day(moment: datetime | None) -> Markup:
    """A moment's day; the minute when it is pointed at."""
    if moment is None:
        return Markup("–")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(), f"{moment:%Y-%m-%d %H:%M} UTC", f"{moment:%Y-%m-%d}"
    )


def percent(share: float) -> str:
    """A share from 0 to 1 as per cent."""
    return f"{100 * share:.0f} %"
