"""The exceptions of openness-crawler.

    OpennessError
    ├── UsageError            wrong input or configuration; nothing was done (exit code 2)
    │   ├── SeedError         a seed or lineage file that cannot be taken over
    │   ├── RatingsError      a ratings file that cannot be taken over
    │   └── DecisionError     a decision that cannot be made (unknown proposal, missing reason, stale)
    ├── LockHeldError         another run holds the database (exit code 2)
    ├── NothingGatheredError  no source yielded anything (exit code 4)
    ├── StorageError          the archive or the database does not hold what it should
    └── RuleError             a rule, rubric or case contradicts itself: a defect of ours

Everything else that escapes is a bug and ends with exit code 1.
"""

from __future__ import annotations


class OpennessError(Exception):
    """Base of all errors that a user can be told about in one line."""

    exit_code = 1


class UsageError(OpennessError):
    """The input or the configuration is wrong; nothing was done."""

    exit_code = 2


class SeedError(UsageError):
    """A seed or lineage file cannot be taken over; the message names file, line and field."""


class RatingsError(UsageError):
    """A ratings file cannot be taken over; the message names file, line and column."""


class DecisionError(UsageError):
    """A decision cannot be made as asked."""


class LockHeldError(OpennessError):
    """Another process is working on the same database."""

    exit_code = 2


class NothingGatheredError(OpennessError):
    """A run ended without one readable capture."""

    exit_code = 4


class StorageError(OpennessError):
    """Archive or database do not hold what they should."""


class RuleError(OpennessError):
    """A rule, a rubric or lineage data contradicts itself."""
