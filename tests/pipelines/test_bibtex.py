"""Where entries of BibTeX begin and end."""

from __future__ import annotations

import pytest

from pipelines.extract.bibtex import LONGEST, Entries

ENTRY = "@article{sorrel,\n  title = {Sorrel {and} Weeds},\n  eprint = {2401.00001}\n}"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (f"Read on.\n\n{ENTRY}\n\nMore.", ["title", "2401", "Weeds"]),
        (ENTRY + ENTRY, ["title"]),
        ("@misc {x, a = {b}}", ["a ="]),
        ("@misc{never, closed, title", ["closed"]),
    ],
)
def test_what_stands_in_an_entry_is_held(text: str, inside: list[str]) -> None:
    for word in inside:
        assert Entries(text).hold(text.index(word)), word


@pytest.mark.parametrize(
    ("text", "outside"),
    [
        (f"Read on.\n\n{ENTRY}\nMore.", ["Read", "@article", "More"]),
        ("@misc{never, closed\n\nMore", ["More"]),
        ("```\n@misc{never, closed\n```\nMore", ["More"]),
        ("@misc{never, closed\n# More", ["More"]),
        ("mail@sorrel.example {More}", ["More"]),
        ("No entry, {More}", ["More"]),
        ("@misc{" + "a" * LONGEST + " More", ["More"]),
        ("", []),
    ],
)
def test_what_stands_beside_an_entry_is_not(text: str, outside: list[str]) -> None:
    for word in outside:
        assert not Entries(text).hold(text.index(word)), word
