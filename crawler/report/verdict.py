"""The verdict on a run: green, attention or red, and why.

Green: artifacts were visited, the services were asked, and nothing wants a person. A run that
fetched nothing, was cut off, or whose budget let nothing through is never green. A run that asks
no service by design (`rate`) gets no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from crawler.report.services import LINEAGE, TELLING
from db.models import RunStatus
from pipelines.model import JsonValue
from pipelines.report.words import count_of

Report = Mapping[str, JsonValue]

INTERNAL_ERROR, NOTHING_GATHERED = 1, 4


class Level(StrEnum):
    """How a run went."""

    GREEN = "green"
    ATTENTION = "attention"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a run is not green. `is_news`: the world has changed, and nothing went wrong."""

    level: Level
    text: str
    is_news: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The level, the reasons (red ones first), and all of it in a line."""

    level: Level
    reasons: tuple[Reason, ...]
    line: str

    def as_json(self) -> dict[str, JsonValue]:
        """For the report."""
        return {
            "level": self.level.value,
            "line": self.line,
            "reasons": [
                {
                    "level": reason.level.value,
                    "kind": "news" if reason.is_news else "problem",
                    "text": reason.text,
                }
                for reason in self.reasons
            ],
        }


def judge(report: Report) -> Verdict | None:
    """The verdict on a run, from its report; None for a run that visits nothing by design."""
    if report["kind"] == "rate" and report["status"] == RunStatus.DONE and not report["internal_errors"]:
        return None
    reasons = sorted(_reasons(report), key=lambda reason: (reason.level is not Level.RED, reason.is_news))
    if any(reason.level is Level.RED for reason in reasons):
        level = Level.RED
    else:
        level = Level.ATTENTION if reasons else Level.GREEN
    told = "; ".join(reason.text for reason in reasons) or _all_well(report)
    return Verdict(level=level, reasons=tuple(reasons), line=f"{level.value.upper()}: {told}")


def _all_well(report: Report) -> str:
    if report["kind"] == "discover":
        return f"{count_of(_found(report).get('makers', 0), 'maker')} looked at"
    new = (report.get("changes") or {}).get("new_questions", {}).get("total", 0)
    return f"{count_of(report['artifacts'], 'artifact')} visited, nothing failed, {count_of(new, 'new question')}"


def _reasons(report: Report) -> Iterator[Reason]:
    yield from _ends(report)
    if report["kind"] in ("nightly", "crawl"):
        yield from _gathering(report)
        yield from _budget(report)
    yield from _discovery(report)
    if report["kind"] in ("nightly", "crawl"):
        yield from _troubles(report)
        yield from _news(report)


def _ends(report: Report) -> Iterator[Reason]:
    status = report["status"]
    if status == RunStatus.RUNNING:
        yield Reason(level=Level.ATTENTION, text="the run has not ended")
    elif status != RunStatus.DONE:
        why = f": {report['broke_off']}" if report.get("broke_off") else ""
        yield Reason(level=Level.RED, text=f"the run was cut off{why}")
    errors = len(report["internal_errors"])
    if errors:
        yield Reason(level=Level.RED, text=count_of(errors, "internal error"))
    elif status == RunStatus.DONE and report.get("exit_code") == INTERNAL_ERROR:
        yield Reason(level=Level.RED, text="an internal error")


def _read(report: Report) -> int:
    """Visits that told something, those of the lineage file left out: it is no service."""
    return sum(
        row.get(status, 0) for name, row in report["sources"].items() if name != LINEAGE for status in TELLING
    )


def _asked(report: Report) -> int:
    return sum(row.get("requests", 0) for row in report["sources"].values())


def _waiting(report: Report) -> int:
    return sum(part.get("waits", 0) for part in report.get("budget") or ())


def _gathering(report: Report) -> Iterator[Reason]:
    if _read(report):
        if not _asked(report) and report["status"] == RunStatus.DONE:
            yield Reason(level=Level.ATTENTION, text="no service was asked")
        return
    if report["status"] == RunStatus.RUNNING:
        return
    waiting = _waiting(report)
    visits = report["failed"] + report["denied"]
    if waiting and not visits:
        text = f"the budget let nothing through, {count_of(waiting, 'artifact waits', 'artifacts wait')}"
        yield Reason(level=Level.RED, text=text)
    elif visits:
        yield Reason(level=Level.RED, text="nothing could be read")
    elif report["status"] == RunStatus.DONE:
        yield Reason(level=Level.RED, text="nothing was fetched: there was nothing to visit")


def _budget(report: Report) -> Iterator[Reason]:
    if not _read(report):
        return
    for part in report.get("budget") or ():
        if part.get("waits") and not part.get("fits"):
            waits = count_of(part["waits"], "artifact waits", "artifacts wait")
            yield Reason(level=Level.ATTENTION, text=f"no budget at {part['service']}: {waits}")


def _found(report: Report) -> Mapping[str, JsonValue]:
    return report.get("discovery") or {}


def _discovery(report: Report) -> Iterator[Reason]:
    found = _found(report)
    failed, makers = len(found.get("failed", ())), found.get("makers", 0)
    if report["kind"] == "discover" and report["status"] == RunStatus.DONE:
        if report.get("exit_code") == NOTHING_GATHERED or (makers and failed >= makers):
            yield Reason(level=Level.RED, text="no list of models could be read")
            return
        if not makers or not found.get("requests", 0):
            yield Reason(level=Level.ATTENTION, text="nothing was fetched: there was no maker to look at")
            return
    if failed:
        text = f"the models of {count_of(failed, 'maker')} could not be listed"
        yield Reason(level=Level.ATTENTION, text=text)


def _troubles(report: Report) -> Iterator[Reason]:
    failing = report.get("services_failing") or ()
    for item in failing if _read(report) else ():
        nights = f" for {count_of(item['nights'], 'night')} in a row" if item["nights"] > 1 else ""
        yield Reason(level=Level.ATTENTION, text=f"nothing could be read from {item['service']}{nights}")
    if report["failed"] and _read(report):
        yield Reason(level=Level.ATTENTION, text=f"{count_of(report['failed'], 'visit')} failed")
    changes = report.get("changes")
    if changes is None:
        if report["status"] == RunStatus.DONE:
            yield Reason(level=Level.ATTENTION, text="what has changed could not be told")
        return
    if long := changes["failing"]["long"]:
        text = f"{count_of(long, 'artifact fails', 'artifacts fail')} for three nights or more"
        yield Reason(level=Level.ATTENTION, text=text)
    if stale := changes["stale_ratings"]["new"]:
        yield Reason(level=Level.ATTENTION, text=f"{count_of(stale, 'confirmed rating')} went stale")
    if renamed := changes["renamed"]["seeds"]:
        text = f"{count_of(renamed, 'seed names', 'seeds name')} something by an old name"
        yield Reason(level=Level.ATTENTION, text=text)
    for item in changes["cut_off"]:
        yield Reason(level=Level.ATTENTION, text=f"run {item['run']}, before this one, was cut off")


def _news(report: Report) -> Iterator[Reason]:
    changes = report.get("changes")
    if changes is None:
        return
    if vanished := changes["vanished_ratings"]["new"]:
        text = f"evidence of {count_of(vanished, 'confirmed rating')} has vanished"
        yield Reason(level=Level.ATTENTION, text=text, is_news=True)
    if asked := changes["evidence_changed"]["questions"]:
        text = f"{count_of(asked, 'confirmed rating is', 'confirmed ratings are')} in question, as evidence changed"
        yield Reason(level=Level.ATTENTION, text=text, is_news=True)
    if archived := changes["archived"]["total"]:
        text = f"{count_of(archived, 'repository was', 'repositories were')} archived"
        yield Reason(level=Level.ATTENTION, text=text, is_news=True)


def is_success(report: Report) -> bool:
    """Did a night do what it is for? With some failures it did; where nothing was read it did not."""
    verdict = report.get("verdict") or {}
    return report["kind"] == "nightly" and verdict.get("level") in (Level.GREEN, Level.ATTENTION)


def has_problem(report: Report) -> bool:
    """Did something go wrong that a person should know of?"""
    verdict = report.get("verdict") or {}
    return any(reason["kind"] == "problem" for reason in verdict.get("reasons", ()))


def has_news(report: Report) -> bool:
    """Is there anything to decide or to look at?"""
    verdict, changes = report.get("verdict") or {}, report.get("changes") or {}
    return bool(
        verdict.get("reasons")
        or changes.get("new_questions", {}).get("total")
        or report.get("new_candidates")
    )
