"""What follows a night, whichever way it ends."""

from __future__ import annotations

import json
import logging
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crawler import morning
from crawler.cli import Terminated
from crawler.morning import exit_code_of, told_in_the_morning
from crawler.settings import Settings
from db.load import load_run
from db.models import RunStatus
from db.save import begin_run, end_run
from db.session import make_engine, session_scope, upgrade
from pipelines.errors import LockHeldError, StorageError, UsageError


@pytest.fixture
def settings(tmp_path, hook, monkeypatch):
    """A database with run 1, metrics, and a webhook."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'openness.db'}"
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()

    def make(**values):
        usual = {
            "DATABASE_URL": url,
            "WEBHOOK_URL": hook.url,
            "METRICS_FILE": str(tmp_path / "openness.prom"),
        }
        return Settings(_env_file=None, **{f"OPENNESS_{name}": v for name, v in {**usual, **values}.items()})

    return make


def stored(settings, report, helpers):
    """The report as that of a run in the database."""
    engine = make_engine(settings.database_url)
    with session_scope(engine, write=True) as session:
        report["run"] = begin_run(session, "nightly", helpers.STARTED, 1, "larch")
        end_run(session, report["run"], helpers.STARTED, RunStatus.DONE, 0, report)
    engine.dispose()
    return report


def stored_report(settings, report):
    engine = make_engine(settings.database_url)
    with session_scope(engine) as session:
        run = load_run(session, report["run"])
    engine.dispose()
    return run.report


def metrics(settings):
    text = settings.metrics_file.read_text(encoding="utf-8")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: sample.value for sample in samples if not sample.labels}


def posted(hook):
    return [json.loads(body) for _, _, body in hook.posts]


def broken_off(settings, report, error):
    """A night that leaves a report and ends with an error."""
    with told_in_the_morning(settings) as night:
        night.keep(report)
        raise error


def test_a_night_is_told_once_it_is_over(settings, hook, make_report, helpers):
    chosen = settings()
    report = stored(chosen, make_report(), helpers)
    with told_in_the_morning(chosen) as night:
        night.keep(report)
        assert hook.posts == []
    [post] = posted(hook)
    assert post["openness"]["level"] == "green"
    assert report["notified"] == [{"channel": "webhook", "ok": True, "reason": ""}]
    assert stored_report(chosen, report)["notified"] == report["notified"]
    assert metrics(chosen)["openness_last_run_success"] == 1.0


def test_a_green_night_is_not_told_to_those_who_want_problems(settings, hook, make_report):
    with told_in_the_morning(settings(NOTIFY="problems")) as night:
        night.keep(make_report())
    assert hook.posts == []


def test_a_message_that_is_not_taken_changes_nothing_and_is_said(
    settings, hook, make_report, helpers, caplog, monkeypatch
):
    chosen = settings()
    report = stored(chosen, make_report(), helpers)
    hook.answers = [(404, {})]
    with told_in_the_morning(chosen) as night:
        night.keep(report)
    assert report["exit_code"] == 0
    assert stored_report(chosen, report)["notified"][0]["reason"] == "the webhook answered 404"
    assert "the report could not be sent by webhook: the webhook answered 404" in caplog.text
    assert 'success{channel="webhook"} 0.0' in chosen.metrics_file.read_text(encoding="utf-8")


def test_metrics_that_cannot_be_written_change_nothing_and_are_said(
    settings, hook, make_report, caplog, tmp_path
):
    with told_in_the_morning(settings(), metrics_file=tmp_path / "nowhere" / "x.prom") as night:
        night.keep(make_report())
    assert "cannot be written: No such file or directory" in caplog.text
    assert len(hook.posts) == 1


def test_a_night_that_broke_off_is_told_with_its_exit_code(settings, hook, make_report, helpers):
    chosen = settings(NOTIFY="problems")
    report = make_report(
        status=RunStatus.INTERRUPTED, exit_code=None, broke_off="the disk is full", aftermath=None
    )
    with pytest.raises(StorageError):
        broken_off(chosen, stored(chosen, report, helpers), StorageError("the disk is full"))
    [post] = posted(hook)
    assert post["openness"]["level"] == "red"
    assert metrics(chosen)["openness_last_run_exit_code"] == 1.0


def test_a_person_who_interrupts_gets_metrics_and_no_message(settings, hook, cut_off_report):
    chosen = settings()
    with pytest.raises(KeyboardInterrupt):
        broken_off(chosen, cut_off_report, KeyboardInterrupt())
    assert hook.posts == []
    assert metrics(chosen)["openness_last_run_exit_code"] == 130.0


def test_a_service_manager_who_ends_a_night_gets_a_message_in_time(
    settings, hook, cut_off_report, helpers, monkeypatch
):
    chosen = settings()
    with pytest.raises(Terminated):
        broken_off(chosen, stored(chosen, cut_off_report, helpers), Terminated())
    assert len(hook.posts) == 1
    assert metrics(chosen)["openness_last_run_exit_code"] == 143.0
    monkeypatch.setattr(morning, "HURRY_SECONDS", 0.2)
    monkeypatch.setattr("crawler.notify.post_message", lambda *a, **o: time.sleep(3))
    began = time.monotonic()
    with pytest.raises(Terminated):
        broken_off(chosen, cut_off_report, Terminated())
    assert time.monotonic() - began < 2


def test_a_night_that_could_not_begin_is_told(settings, hook):
    chosen = settings()
    with pytest.raises(UsageError), told_in_the_morning(chosen):
        raise UsageError("seeds.yaml:3: slug is missing")
    [post] = posted(hook)
    assert (post["openness"]["event"], post["openness"]["exit_code"]) == ("no_report", 2)
    assert post["openness"]["reasons"] == ["seeds.yaml:3: slug is missing"]
    assert metrics(chosen)["openness_last_run_exit_code"] == 2.0


def test_a_night_that_finds_the_database_held_leaves_the_metrics_to_the_other(settings, hook):
    chosen = settings()
    with pytest.raises(LockHeldError), told_in_the_morning(chosen):
        raise LockHeldError("another run holds the database: process 7")
    assert posted(hook)[0]["openness"]["event"] == "no_report"
    assert not chosen.metrics_file.exists()


def test_a_database_that_cannot_be_opened_is_told(settings, hook, tmp_path, caplog):
    (tmp_path / "broken.db").write_bytes(b"no database" * 200)
    with pytest.raises(StorageError), told_in_the_morning(settings()):
        raise StorageError("the database failed: file is not a database")
    assert "file is not a database" in posted(hook)[0]["text"]


@pytest.mark.parametrize("kind", ["crawl", "rate", "discover"])
def test_other_runs_are_not_told(settings, hook, make_report, kind):
    chosen = settings()
    with told_in_the_morning(chosen, is_night=False) as night:
        night.keep(make_report(kind=kind))
    with pytest.raises(UsageError), told_in_the_morning(chosen, is_night=False):
        raise UsageError("there is no project x")
    assert hook.posts == []
    assert not chosen.metrics_file.exists()


def test_where_nothing_is_set_nothing_happens(make_report, tmp_path, caplog):
    settings = Settings(_env_file=None, OPENNESS_DATABASE_URL=f"sqlite:///{tmp_path / 'x.db'}")
    with told_in_the_morning(settings) as night:
        night.keep(make_report())
    with pytest.raises(LockHeldError), told_in_the_morning(settings):
        raise LockHeldError("held")
    assert list(tmp_path.iterdir()) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_defect_in_telling_changes_nothing(settings, hook, make_report, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError("a defect")

    monkeypatch.setattr("crawler.notify_message.report_message", broken)
    monkeypatch.setattr("crawler.metrics.write_metrics", broken)
    with told_in_the_morning(settings()) as night:
        night.keep(make_report())
    assert "the report could not be sent" in caplog.text
    assert "the metrics could not be written" in caplog.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (UsageError("x"), 2),
        (StorageError("x"), 1),
        (RuntimeError("x"), 1),
    ],
)
def test_the_exit_code_of_an_error(error, code):
    assert exit_code_of(error) == code
