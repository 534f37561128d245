"""How a report says numbers, times and names."""

from __future__ import annotations

from datetime import datetime


def count_of(number: int, thing: str, things: str = "") -> str:
    """A number with its noun: `1 visit`, `2 visits`, `2,000 visits`."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def class_in_words(value: str | None, nothing: str = "unrated") -> str:
    """A class as a person reads it; `nothing` where there is none."""
    if value is None:
        return nothing
    return value.replace("_", " ")


def duration(seconds: float) -> str:
    """A length of time: `0.4 s`, `59 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(number: int) -> str:
    """A number of bytes: `512 B`, `38 KiB`, `1.2 GiB`."""
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def moment(iso: str | None) -> str:
    """A time of a report for people, in UTC; empty where there is none."""
    if not iso:
        return ""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def day(iso: str) -> str:
    """The day of a time of a report."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d}"


def since(entry_since: str, nights: int) -> str:
    """Since when something is so, and for how many nights."""
    return f"since {day(entry_since)}, {count_of(nights, 'night')}"
