"""What every process that reads documents needs, made once: they are forked from one that has imported this.

Imported for its effect, and by nobody else.
"""

from __future__ import annotations

import gc

import crawler.cli  # what a script that is called `openness` imports in each of them
import crawler.extraction_worker  # noqa: F401
from pipelines.extract.licence_index import licence_index

# The texts of all licences, ready for comparison: a second of work.
licence_index()
# Nothing of this is ever garbage, and what is not looked at stays shared.
gc.collect()
gc.freeze()
