"""Frozen values that are made without their constructors."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pytest

from pipelines.frozen import new, setters_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A value of two fields."""

    name: str
    acres: int = 1


def test_a_value_made_by_setters_is_the_one_its_constructor_makes() -> None:
    set_acres, set_name = setters_of(Plot, ("acres", "name"))
    made = new(Plot)
    set_name(made, "Long Acre")
    set_acres(made, 3)
    assert made == Plot(name="Long Acre", acres=3)
    assert hash(made) == hash(Plot(name="Long Acre", acres=3))
    with pytest.raises(FrozenInstanceError):
        made.acres = 4  # type: ignore[misc]


@pytest.mark.parametrize("names", [("name",), ("name", "acres", "owner"), ()])
def test_a_field_that_is_forgotten_or_invented_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="Plot has other fields"):
        setters_of(Plot, names)
