"""Frozen values made in a hurry: where a run makes tens of thousands of them, their own constructors are what costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Setter = Callable[[object, object], None]

new = object.__new__
"""An instance whose fields are still to be set."""


def setters_of(made: type, names: Sequence[str]) -> list[Setter]:
    """What sets the fields of a frozen dataclass with slots, a third of the time its constructor takes.

    For the module that makes the value and before anybody else sees it. Raises TypeError unless these are
    all fields that it has: what was forgotten would not be there.
    """
    if sorted(names) != sorted(getattr(made, "__slots__", ())):
        raise TypeError(f"{made.__name__} has other fields than {', '.join(names)}")
    return [made.__dict__[name].__set__ for name in names]
