"""How a run begins: quickly, and without looking for garbage where there is none."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from crawler.heap import GARBAGE, collecting_seldom

BEFORE_THE_FIRST_REQUEST = """
import sys
import crawler.cli, crawler.commands.run, crawler.context, crawler.morning, crawler.nightly, crawler.gather
import crawler.sources.github, crawler.sources.huggingface, crawler.sources.pypi, crawler.sources.arxiv
import crawler.sources.lineage, crawler.sources.web
print(*sys.modules)
"""

LATER = ("pipelines.extract", "pipelines.propose", "crawler.rating", "crawler.report", "jinja2", "alembic")
"""What a night needs once answers are there, or for its report, or not at all."""


def test_what_is_needed_for_answers_is_not_imported_before_anything_was_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_THE_FIRST_REQUEST], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert "crawler.gather" in imported
    assert imported.isdisjoint(LATER)
    # The worker has them, and nobody else.
    assert imported.isdisjoint({"scrapy", "twisted"})


def test_garbage_is_looked_for_seldom_and_as_before_in_the_end() -> None:
    before = gc.get_threshold()

    def run_that_is_interrupted() -> None:
        with collecting_seldom():
            assert gc.get_threshold()[0] == max(GARBAGE, before[0])
            with collecting_seldom():
                assert gc.get_threshold()[0] == max(GARBAGE, before[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_that_is_interrupted()
    assert gc.get_threshold() == before
