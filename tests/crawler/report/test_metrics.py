"""Metrics in the text form of Prometheus."""

from __future__ import annotations

import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crawler.metrics import write_failure, write_metrics
from pipelines.errors import StorageError

BASE_UNITS = ("seconds", "bytes")


def parsed(path):
    """Samples by name and labels, as a scrape would see them."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8"))
        for sample in family.samples
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "openness.prom"


def test_a_night_in_numbers(path, eventful):
    write_metrics(path, eventful, 1)
    found = parsed(path)
    expected = {
        ("openness_last_run_start_timestamp_seconds",): 1930097820.0,
        ("openness_last_run_end_timestamp_seconds",): 1930097903.0,
        ("openness_last_run_duration_seconds",): 83.0,
        ("openness_last_run_exit_code",): 1.0,
        ("openness_last_run_success",): 0.0,
        ("openness_last_run_complete",): 1.0,
        ("openness_last_run_verdict", "red"): 1.0,
        ("openness_last_run_verdict", "green"): 0.0,
        ("openness_last_success_timestamp_seconds",): 1930011420.0,
        ("openness_last_run_visits", "github", "unchanged"): 7.0,
        ("openness_last_run_visits", "failed", "web"): 2.0,
        ("openness_last_run_visits", "ok", "web"): 0.0,
        ("openness_last_run_requests", "github"): 12.0,
        ("openness_last_run_charged_requests", "github"): 12.0,
        ("openness_last_run_received_bytes", "github"): 4096.0,
        ("openness_budget_limit_requests", "github"): 60.0,
        ("openness_budget_left_requests", "github"): 48.0,
        ("openness_waiting_artifacts", "github"): 6.0,
        ("openness_last_run_new_snapshots",): 0.0,
        ("openness_last_run_new_proposals",): 3.0,
        ("openness_last_run_new_questions",): 2.0,
        ("openness_open_questions",): 4.0,
        ("openness_waiting_candidates",): 2.0,
        ("openness_projects",): 2.0,
        ("openness_confirmed_ratings",): 5.0,
        ("openness_service_failing_nights", "web"): 3.0,
        ("openness_service_failing_nights", "github"): 0.0,
        ("openness_unread_artifacts", "failed", "web"): 1.0,
        ("openness_long_failing_artifacts",): 1.0,
        ("openness_stale_ratings",): 1.0,
        ("openness_vanished_ratings",): 1.0,
        ("openness_snapshot_bytes",): 12345.0,
        ("openness_last_run_internal_errors",): 1.0,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_names_and_units_are_as_prometheus_wants_them(path, eventful):
    eventful["notified"] = [{"channel": "mail", "ok": False, "reason": "no"}]
    write_metrics(path, eventful, 1)
    families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert len(families) >= 35
    for family in families:
        assert re.fullmatch(r"openness_[a-z]+(?:_[a-z]+)*", family.name)
        assert (family.type, bool(family.documentation)) == ("gauge", True)
        # Counters alone end so, and what is counted in seconds or bytes says it at its end.
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        for unit in BASE_UNITS:
            assert unit not in family.name or family.name.endswith(unit)
        assert not re.search(r"milli|kilo|minutes|hours|percent", family.name)
        assert len({tuple(sample.labels) for sample in family.samples}) == 1
    assert len({family.name for family in families}) == len(families)


def test_a_night_that_was_cut_off_is_told_and_keeps_the_last_success(path, make_report, cut_off_report):
    write_metrics(path, make_report(), 0)
    before = parsed(path)
    write_metrics(path, cut_off_report, 143)
    found = parsed(path)
    success = ("openness_last_success_timestamp_seconds",)
    assert found[success] == before[success]
    assert (found["openness_last_run_exit_code",], found["openness_last_run_complete",]) == (143.0, 0.0)
    assert found["openness_last_run_success",] == 0.0
    # What is not known is left out, and not told as nothing.
    assert ("openness_stale_ratings",) not in found


def test_a_night_that_could_not_begin_is_told(path, make_report):
    write_metrics(path, make_report(), 0)
    began = datetime(2031, 3, 2, 2, 17, tzinfo=UTC)
    write_failure(path, began, began + timedelta(seconds=1), 2)
    found = parsed(path)
    assert found["openness_last_run_exit_code",] == 2.0
    assert found["openness_last_run_start_timestamp_seconds",] == began.timestamp()
    assert found["openness_last_success_timestamp_seconds",] == 1930097903.0


@pytest.mark.parametrize(
    "content", [b"", b"nonsense {{{", b"\xff\xfe", b"openness_last_success_timestamp_seconds x\n"]
)
def test_a_file_that_is_damaged_is_replaced(path, make_report, content):
    path.write_bytes(content)
    began = datetime(2031, 3, 2, tzinfo=UTC)
    write_failure(path, began, began, 1)
    assert ("openness_last_success_timestamp_seconds",) not in parsed(path)
    write_metrics(path, make_report(), 0)
    assert parsed(path)["openness_last_run_success",] == 1.0


def test_others_can_read_the_file_and_nothing_else_is_left(path, make_report):
    write_metrics(path, make_report(), 0)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert [entry.name for entry in path.parent.iterdir()] == ["openness.prom"]


def test_a_reader_never_sees_half_of_it(path, make_report):
    report = make_report()
    write_metrics(path, report, 0)
    whole = len(path.read_bytes())
    sizes = set()
    done = threading.Event()

    def read():
        while not done.is_set():
            sizes.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        write_metrics(path, report, 0)
    done.set()
    reader.join()
    assert sizes == {whole}


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path, make_report):
    path = tmp_path / "nowhere" / "openness.prom"
    with pytest.raises(
        StorageError, match=r"OPENNESS_METRICS_FILE .*nowhere.* cannot be written: No such file"
    ):
        write_metrics(path, make_report(), 0)
