"""A database that was dumped and restored gives the same ratings, byte for byte."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from crawler.context import open_context
from crawler.rating import propose_stored
from crawler.settings import load_settings
from pipelines.model import canonical_json


def dump(database: Path) -> str:
    """The whole database as SQL text, as `.dump` of the sqlite3 shell writes it."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


def restore(dumped: str, database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(dumped)


def rated(desk, monkeypatch) -> bytes:
    """What the rules say now of all that is stored, with evidence, findings and places searched."""
    with monkeypatch.context() as patch:
        for name, value in desk.env.items():
            patch.setenv(name, value)
        with open_context(load_settings(env_file=None)) as context:
            proposals = propose_stored(context, None)
    assert sum(map(len, proposals.values())) > 14
    return canonical_json({slug: [repr(proposal) for proposal in made] for slug, made in proposals.items()})


def test_a_dumped_and_restored_database_gives_the_same_ratings(night, monkeypatch) -> None:
    before, said = rated(night, monkeypatch), night.export("proposals")
    dumped = dump(night.database)
    night.database.unlink()
    for left in night.folder.glob("openness.db-*"):
        left.unlink()
    restore(dumped, night.database)
    assert rated(night, monkeypatch) == before
    assert night.run("rate", "--json").json["new_proposals"] == 0
    assert night.export("proposals") == said
    assert dump(night.database).count("INSERT INTO") >= dumped.count("INSERT INTO")
