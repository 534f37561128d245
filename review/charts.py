"""Small charts as inline SVG, made here: no script, no style of their own, each with its text alternative.

Colours are classes of `pages.css`, so that they follow light and dark. Whoever shows a chart shows its
numbers as a table too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

HEIGHT = 64
STEP = 12
GAP = 2
_LINE_WIDTH = 240
_PAD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: what it stands for, and its pieces from the bottom, each with a class of the style sheet."""

    label: str
    pieces: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        """Its height."""
        return sum(value for _, value in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a line: a share from 0 to 1 of `n` cases; None where there was no case."""

    label: str
    share: float | None
    n: int = 0


def bar_chart(name: str, title: str, bars: Sequence[Bar], says: str) -> Markup:
    """Bars side by side, the highest as high as the chart. `name` is unique on the page, `says` tells what is seen."""
    top = max((bar.total for bar in bars), default=0.0) or 1.0
    width = max(1, len(bars)) * STEP
    drawn = Markup("").join(_bar(bar, place * STEP, top) for place, bar in enumerate(bars))
    return _svg(name, title, says, width, HEIGHT, drawn + _baseline(width))


def _bar(bar: Bar, x: int, top: float) -> Markup:
    pieces = []
    bottom = float(HEIGHT - 1)
    for kind, value in bar.pieces:
        if value <= 0:
            continue
        # What is there is seen, however little it is beside the highest.
        height = max(1.0, value / top * (HEIGHT - 2))
        bottom -= height
        pieces.append(
            Markup('<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
                kind, x, max(0.0, bottom), STEP - GAP, height
            )
        )
    return Markup("<g><title>{}</title>{}</g>").format(bar.label, Markup("").join(pieces))


def _baseline(width: int) -> Markup:
    return Markup('<line class="axis" x1="0" y1="{y}" x2="{w}" y2="{y}"/>').format(y=HEIGHT - 0.5, w=width)


def share_chart(name: str, title: str, points: Sequence[Point], says: str, *, height: int = HEIGHT) -> Markup:
    """A line of shares between 0 (bottom) and 1 (top), with a line at a half; broken where there is no case."""
    span = _LINE_WIDTH - 2 * _PAD
    step = span / max(1, len(points) - 1)
    places = [
        None
        if point.share is None
        else (_PAD + place * step, height - _PAD - point.share * (height - 2 * _PAD))
        for place, point in enumerate(points)
    ]
    lines = Markup("").join(
        Markup('<line class="share" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(*a, *b)
        for a, b in pairwise(places)
        if a is not None and b is not None
    )
    dots = Markup("").join(
        Markup('<circle class="share" cx="{:.1f}" cy="{:.1f}" r="2.5"><title>{}</title></circle>').format(
            *place, point.label
        )
        for place, point in zip(places, points, strict=True)
        if place is not None
    )
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" y1="{y:.1f}" x2="{w}" y2="{y:.1f}"/>').format(
            y=height - _PAD - share * (height - 2 * _PAD), w=_LINE_WIDTH
        )
        for share in (0.0, 0.5, 1.0)
    )
    return _svg(name, title, says, _LINE_WIDTH, height, grid + lines + dots, keeps_shape=True)


def share_bar(name: str, title: str, pieces: Sequence[tuple[str, float]], says: str) -> Markup:
    """One bar from left to right, as wide as the whole, in pieces."""
    total = sum(value for _, value in pieces) or 1.0
    width, x, drawn = 140, 0.0, []
    for kind, value in pieces:
        if value <= 0:
            continue
        wide = value / total * width
        drawn.append(
            Markup('<rect class="{}" x="{:.1f}" y="0" width="{:.1f}" height="12"/>').format(kind, x, wide)
        )
        x += wide
    return _svg(name, title, says, width, 12, Markup("").join(drawn))


def _svg(
    name: str,
    title: str,
    says: str,
    width: float,
    height: float,
    content: Markup,
    *,
    keeps_shape: bool = False,
) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{n}-t {n}-d" viewBox="0 0 {w} {h}"'
        ' preserveAspectRatio="{a}" focusable="false">'
        '<title id="{n}-t">{t}</title><desc id="{n}-d">{d}</desc>{c}</svg>'
    ).format(
        n=name, w=width, h=height, t=title, d=says, c=content, a="xMinYMid meet" if keeps_shape else "none"
    )
