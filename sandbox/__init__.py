"""The public services, played on loopback with invented laboratories and projects.

    from sandbox import Sandbox

    with Sandbox(night=1) as sandbox:
        ...                                # sandbox.addresses holds the settings that lead here
        sandbox.set_night(2)

`openness demo` runs the main job against it, and the tests use it in place of the open network.
`SEEDS`, `LINEAGE`, `RATINGS` are the files to start with; `EXPECTED` says what a careful reader of the
world finds on the first night, `EXPECTED_NIGHT2` what the second night changes.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.server import LogEntry, Sandbox
from sandbox.world import WORLD

SEEDS = Path(__file__).resolve().parent / "seeds.yaml"
LINEAGE = Path(__file__).resolve().parent / "lineage.yaml"
RATINGS = Path(__file__).resolve().parent / "ratings.csv"
EXPECTED = WORLD / "expected.csv"
EXPECTED_NIGHT2 = WORLD / "expected_night2.csv"

__all__ = ["EXPECTED", "EXPECTED_NIGHT2", "LINEAGE", "RATINGS", "SEEDS", "LogEntry", "Sandbox"]
