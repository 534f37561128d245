"""A night in numbers for Prometheus: a text file that the node exporter's textfile collector reads.

Everything is a gauge, as everything is about the last run. The file is written under another name
and renamed, so that no half of it is ever read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from crawler.report.verdict import Level
from crawler.settings import version
from db.models import RunStatus
from pipelines.errors import StorageError
from pipelines.model import JsonValue
from pipelines.report.sections import STATUSES

LAST_SUCCESS = "openness_last_success_timestamp_seconds"

Report = Mapping[str, JsonValue]


class _Gauges:
    """Gauges of one registry, made as they are set; None sets nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, Gauge] = {}

    def set(self, name: str, meaning: str, value: float | None, **labels: str) -> None:
        if value is None:
            return
        if name not in self._made:
            self._made[name] = Gauge(f"openness_{name}", meaning, list(labels), registry=self.registry)
        gauge = self._made[name]
        (gauge.labels(**labels) if labels else gauge).set(value)


def write_metrics(path: Path, report: Report, exit_code: int) -> None:
    """Write the metrics of a run. Raises StorageError when the file cannot be written."""
    gauges = _Gauges()
    _run(gauges, report, exit_code)
    _visits(gauges, report)
    _budget(gauges, report)
    _changes(gauges, report)
    _stock(gauges, report)
    last = report.get("last_success")
    _last_success(gauges, datetime.fromisoformat(last).timestamp() if last else _kept(path))
    _write(path, gauges)


def write_failure(path: Path, began: datetime, ended: datetime, exit_code: int) -> None:
    """Write that a night could not begin; when one last ended well is kept. Raises StorageError."""
    gauges = _Gauges()
    _ends(gauges, began.timestamp(), ended.timestamp(), exit_code, Level.RED.value)
    _last_success(gauges, _kept(path))
    _write(path, gauges)


def _write(path: Path, gauges: _Gauges) -> None:
    try:
        write_to_textfile(str(path), gauges.registry)
    except OSError as error:
        raise StorageError(
            f"OPENNESS_METRICS_FILE {path} cannot be written: {error.strerror or error}"
        ) from error


def _kept(path: Path) -> float | None:
    """When a night last ended well, as the file that is there says; None where it says nothing."""
    try:
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
            for sample in family.samples:
                if sample.name == LAST_SUCCESS:
                    return float(sample.value)
    except (OSError, ValueError):
        return None
    return None


def _last_success(gauges: _Gauges, moment: float | None) -> None:
    if moment is not None:
        name = LAST_SUCCESS.removeprefix("openness_")
        gauges.set(name, "When a night last came to its end and had read something.", moment)


def _ends(gauges: _Gauges, started: float, ended: float, exit_code: int, level: str) -> None:
    gauges.set("build_info", "The version that wrote this file.", 1, version=version())
    gauges.set("last_run_start_timestamp_seconds", "When the last run began.", started)
    gauges.set("last_run_end_timestamp_seconds", "When the last run ended.", ended)
    gauges.set("last_run_duration_seconds", "How long the last run took.", ended - started)
    gauges.set("last_run_exit_code", "The exit code of the last run.", exit_code)
    success = level in (Level.GREEN, Level.ATTENTION)
    gauges.set("last_run_success", "Whether the last run read something and came to its end.", success)
    for each in Level:
        gauges.set(
            "last_run_verdict", "The verdict on the last run, 1 for the one given.", each == level, level=each
        )


def _run(gauges: _Gauges, report: Report, exit_code: int) -> None:
    started, ended = (datetime.fromisoformat(report[name]).timestamp() for name in ("started", "ended"))
    verdict = report.get("verdict") or {}
    _ends(gauges, started, ended, exit_code, verdict.get("level", ""))
    is_whole = report.get("status") == RunStatus.DONE
    gauges.set("last_run_complete", "Whether the last run came to its end, and was not cut off.", is_whole)
    gauges.set("last_run_artifacts", "Artifacts visited in the last run.", report["artifacts"])
    gauges.set("last_run_new_snapshots", "New snapshots of the last run.", report["new_snapshots"])
    gauges.set("last_run_new_proposals", "New proposals of the last run.", report["new_proposals"])
    gauges.set("last_run_new_candidates", "New candidates of the last run.", report["new_candidates"])
    errors, problems = len(report["internal_errors"]), len(report["document_problems"])
    gauges.set("last_run_internal_errors", "Internal errors of the last run.", errors)
    gauges.set("last_run_document_problems", "New documents with a problem in the last run.", problems)
    for entry in report.get("notified") or ():
        gauges.set(
            "last_run_notification_success",
            "Whether the report of the last run could be sent.",
            entry["ok"],
            channel=entry["channel"],
        )


def _visits(gauges: _Gauges, report: Report) -> None:
    for service, row in report["sources"].items():
        for status in STATUSES:
            gauges.set(
                "last_run_visits",
                "Visits of the last run, by how they ended.",
                row.get(status, 0),
                service=service,
                status=status,
            )
        gauges.set(
            "last_run_requests", "Requests sent in the last run.", row.get("requests"), service=service
        )
        gauges.set(
            "last_run_charged_requests",
            "Requests of the last run that count against a limit.",
            row.get("charged"),
            service=service,
        )
        gauges.set(
            "last_run_received_bytes",
            "Bytes of bodies received in the last run.",
            row.get("bytes"),
            service=service,
        )
        gauges.set("budget_left_requests", "Requests left at the end.", row.get("remaining"), service=service)
        resets = row.get("resets_at")
        gauges.set(
            "budget_reset_timestamp_seconds",
            "When the service begins to count anew.",
            datetime.fromisoformat(resets).timestamp() if resets else None,
            service=service,
        )


def _budget(gauges: _Gauges, report: Report) -> None:
    limits = {service: row.get("limit") for service, row in report["sources"].items()}
    for part in report.get("budget") or ():
        service = part["service"]
        limits[service] = part.get("limit") if limits.get(service) is None else limits[service]
        gauges.set(
            "waiting_artifacts",
            "Artifacts that wait for another night.",
            part.get("waits", 0),
            service=service,
        )
    for service, limit in limits.items():
        gauges.set("budget_limit_requests", "Requests that the service allows.", limit, service=service)


def _changes(gauges: _Gauges, report: Report) -> None:
    gauges.set("open_questions", "Questions that wait for a curator.", report["questions"])
    gauges.set("waiting_candidates", "Candidates that wait for a curator.", report["candidates_waiting"])
    silent = {item["service"]: item["nights"] for item in report.get("services_failing") or ()}
    for service in report["sources"]:
        gauges.set(
            "service_failing_nights",
            "Nights in a row on which a service told nothing.",
            silent.get(service, 0),
            service=service,
        )
    changes = report.get("changes")
    if changes is None:
        return
    counted: Sequence[tuple[str, str, float]] = (
        ("last_run_new_questions", "New questions of the last run.", changes["new_questions"]["total"]),
        (
            "last_run_changed_ratings",
            "Confirmed ratings whose evidence changed in the last run.",
            changes["evidence_changed"]["total"],
        ),
        ("stale_ratings", "Confirmed ratings whose evidence is stale.", changes["stale_ratings"]["total"]),
        (
            "vanished_ratings",
            "Confirmed ratings whose evidence is gone.",
            changes["vanished_ratings"]["total"],
        ),
        (
            "long_failing_artifacts",
            "Artifacts that have failed for three nights or more.",
            changes["failing"]["long"],
        ),
        ("renamed_artifacts", "Artifacts that are found under another name.", changes["renamed"]["total"]),
    )
    for name, meaning, value in counted:
        gauges.set(name, meaning, value)
    for service in report["sources"]:
        row = changes["failing"]["by_service"].get(service, {})
        for status in ("denied", "failed"):
            gauges.set(
                "unread_artifacts",
                "Artifacts of which something could not be read at the latest visit.",
                row.get(status, 0),
                service=service,
                status=status,
            )


def _stock(gauges: _Gauges, report: Report) -> None:
    stock = report.get("stock")
    if stock is None:
        return
    gauges.set("projects", "Projects that are not retired.", stock["projects"])
    gauges.set("confirmed_ratings", "Cells with a confirmed rating.", stock["ratings"])
    gauges.set("snapshots", "Snapshots in the database.", stock["snapshots"])
    gauges.set(
        "snapshot_bytes",
        "Bytes of all snapshots before compression.",
        stock["snapshot_bytes"],
    )
