"""Why a run ended before its time, in words that may be stored and sent."""

from __future__ import annotations

from crawler.http import SECRETS
from crawler.terminal import line
from pipelines.errors import OpennessError


def why_broken(error: BaseException | None) -> str:
    """The reason in one line, without secrets; empty where there was no error."""
    if error is None:
        return ""
    if isinstance(error, KeyboardInterrupt):
        # SIGTERM comes as a subclass of its own.
        return (
            "somebody interrupted it" if type(error) is KeyboardInterrupt else "it was told to end (SIGTERM)"
        )
    text = str(error) if isinstance(error, OpennessError) else f"{type(error).__name__}: {error}"
    return line(SECRETS.sub("***", text), 300)
