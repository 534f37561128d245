"""Tables of a report: what text and HTML show alike. Texts are as they were fetched: whoever shows them escapes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.model import JsonValue

Report = Mapping[str, JsonValue]
Entry = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A text of a table. `href` is an address that it leads to, `slug` the project that it names; `is_number`: set to the right."""

    text: str
    href: str = ""
    slug: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report. `more` counts the rows that are not shown."""

    id: str
    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    note: str = ""
    more: int = 0


def number(value: object) -> Cell:
    return Cell(
        text="" if value is None else f"{value:,}" if isinstance(value, int) else str(value), is_number=True
    )


def table(
    section_id: str,
    title: str,
    columns: Sequence[str],
    entries: Sequence[Entry],
    row: Callable[[Entry], tuple[Cell, ...]],
    *,
    shown: int,
    total: int | None = None,
    note: str = "",
) -> Iterator[Section]:
    """A section out of a list of entries; none where the list is empty."""
    total = len(entries) if total is None else total
    if total:
        rows = tuple(row(entry) for entry in entries[:shown])
        yield Section(
            id=section_id, title=title, columns=tuple(columns), rows=rows, note=note, more=total - len(rows)
        )
