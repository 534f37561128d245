"""How often rules and curators, and curators among themselves, say the same: by dimension, over time."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from db.agreement_numbers import (
    AgreementNumbers,
    AgreementTable,
    Month,
    load_curator_agreement,
    load_rule_agreement,
)
from pipelines.rubric import Rubric
from review.calls import Call, route, view
from review.charts import Point, share_chart

MONTHS = 24
"""So many of the latest months are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a table of agreement: all dimensions, or one."""

    heading: str
    numbers: AgreementNumbers
    chart: Markup


@view()
def agreement(call: Call) -> Response:
    """The numbers, and each as a chart."""
    rubric = call.context.rubric
    return call.page(
        "agreement.html",
        rules=_lines("rules", load_rule_agreement(call.session), rubric),
        curators=_lines("curators", load_curator_agreement(call.session), rubric),
    )


def _lines(name: str, table: AgreementTable, rubric: Rubric) -> list[Line]:
    if not table.total.n:
        return []
    headings = {dimension.id: dimension.heading for dimension in rubric.dimensions}
    # The same months in every line, so that the charts can be compared.
    months = _filled(table.total.months)
    found = [
        Line(heading="all", numbers=table.total, chart=_chart(f"{name}-all", "all", table.total, months))
    ]
    for dimension, numbers in table.by_dimension.items():
        heading = headings.get(dimension, dimension)
        found.append(
            Line(
                heading=heading,
                numbers=numbers,
                chart=_chart(f"{name}-{dimension}", heading, numbers, months),
            )
        )
    return found


def _filled(months: tuple[Month, ...]) -> list[str]:
    """Every month from the first to the last, the latest only of many."""
    first, last = (tuple(int(part) for part in month.name.split("-")) for month in (months[0], months[-1]))
    found = []
    year, month = first
    while (year, month) <= last:
        found.append(f"{year:04}-{month:02}")
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found[-MONTHS:]


def _chart(name: str, heading: str, numbers: AgreementNumbers, months: list[str]) -> Markup:
    by_name = {month.name: month for month in numbers.months}
    points = []
    for name_of_month in months:
        month = by_name.get(name_of_month)
        share = None if month is None else month.share
        n = 0 if month is None else month.n
        told = "nothing decided" if share is None else f"{share:.0%} of {n}"
        points.append(Point(label=f"{name_of_month}: {told}", share=share, n=n))
    told = "; ".join(point.label for point in points if point.share is not None)
    return share_chart(name, f"Agreement by month, {heading}", points, f"{told}.", height=48)


routes = [route("/agreement", agreement)]
