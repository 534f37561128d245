"""`openness report`, and what a night leaves behind for whoever watches over it."""

from __future__ import annotations

import json
import signal
import socket
import time
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from prometheus_client.parser import text_string_to_metric_families


def metrics(path):
    text = path.read_text(encoding="utf-8")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Postbox:
    """Keeps the mails that a server takes."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"


@pytest.fixture
def postbox():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.settings = {
        "OPENNESS_MAIL_TO": "ann@example.org",
        "OPENNESS_MAIL_FROM": "crawler@example.org",
        "OPENNESS_SMTP_URL": f"smtp://127.0.0.1:{port}",
    }
    yield box
    controller.stop()


def test_the_first_night_is_green_and_full_of_questions(first_night, first_report):
    assert first_report["verdict"]["level"] in ("green", "attention")
    assert first_report["changes"]["new_questions"]["total"] == first_report["questions"]
    assert first_report["changes"]["evidence_changed"]["total"] == 0
    assert first_report["stock"]["snapshots"] == first_night.count("snapshots")


def test_the_second_night_tells_what_changed(second_night, second_report):
    changes = second_report["changes"]
    assert second_report["verdict"]["level"] == "attention"
    moved = {(entry["slug"], entry["dimension"]): entry for entry in changes["evidence_changed"]["shown"]}
    assert moved["sorrel-chat", "license"]["class"] == "partial"
    assert moved["sorrel-chat", "license"]["is_question"] is True
    assert {entry["slug"] for entry in changes["vanished_ratings"]["shown"]} == {"gorse"}
    assert ("github:mirefen/bogbean-chat", "mirefen/bogbean") in {
        (entry["artifact"], entry["now"]) for entry in changes["renamed"]["shown"]
    }
    questions = second_night.questions()
    for entry in changes["new_questions"]["shown"]:
        assert questions[entry["slug"], entry["dimension"]]["id"] == entry["proposal"]


def test_the_report_can_be_asked_for_later(second_night, second_report, tmp_path):
    assert second_night.run("report", "--json").json == second_report
    assert second_night.run("report", str(second_report["run"]), "--format", "json").json == second_report
    text = second_night.run("report").out
    assert second_report["verdict"]["line"] in text
    assert "questions wait for a curator" in text
    page = tmp_path / "report.html"
    assert second_night.run("report", "--output", str(page)).out == ""
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert second_night.run("report", "1", "--json").json["run"] == 1


def test_a_run_that_is_not_there_is_wrong_usage(second_night, desk):
    assert "there is no run 99" in second_night.run("report", "99", code=2).err
    assert "there was no run yet: openness nightly" in desk.run("report", code=2).err
    assert "contradict" in second_night.run("report", "--json", "--format", "html", code=2).err
    assert "nothing says where to send" in second_night.run("report", "--send", code=2).err


def test_a_night_is_mailed_and_measured(small, postbox, tmp_path):
    path = tmp_path / "openness.prom"
    desk = small.with_env(**postbox.settings)
    report = desk.nightly("--metrics-file", str(path))
    [mail] = postbox.mails
    assert mail["Subject"] == f"openness {report['verdict']['line']}"
    assert report["notified"] == [{"channel": "mail", "ok": True, "reason": ""}]
    assert desk.last_run().report == report
    found = metrics(path)
    assert found["openness_last_run_success",] == 1.0
    assert found["openness_last_run_exit_code",] == 0.0
    assert found["openness_projects",] == 2.0
    assert found["openness_open_questions",] == report["questions"]
    assert found["openness_last_run_requests", "github"] == report["sources"]["github"]["requests"]


def test_a_report_that_could_not_be_sent_can_be_sent_again(small, postbox, monkeypatch):
    monkeypatch.setattr("crawler.notify_mail.PAUSE", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    away = {**postbox.settings, "OPENNESS_SMTP_URL": f"smtp://me:hidden-word@127.0.0.1:{port}"}
    desk = small.with_env(**away)
    done = desk.run("report", "--send", code=3)
    assert "could not be sent by mail: no connection to the mail server" in done.err
    assert "hidden-word" not in done.said
    again = desk.with_env(**postbox.settings).run("report", "--send")
    assert "sent by mail" in again.err
    assert len(postbox.mails) == 1


def test_a_service_that_fails_night_after_night_is_counted(small, sandbox):
    sandbox.fault("^/hf/", "status", status=503)
    for nights in (1, 2):
        report = small.nightly(code=3)
        [failing] = report["services_failing"]
        assert (failing["service"], failing["nights"]) == ("huggingface", nights)
    assert "nothing could be read from huggingface for 2 nights in a row" in report["verdict"]["line"]
    [entry] = [e for e in report["changes"]["failing"]["shown"] if e["artifact"].endswith("sorrel-chat-7b")]
    assert (entry["nights"], entry["slugs"]) == (2, ["sorrel-chat"])


def test_a_night_that_reads_nothing_is_red(pages, sandbox, tmp_path):
    sandbox.fault("^/web/", "status", status=503)
    path = tmp_path / "openness.prom"
    report = pages.nightly("--full", "--metrics-file", str(path), code=4)
    assert report["verdict"]["line"].startswith("RED: nothing could be read")
    found = metrics(path)
    assert (found["openness_last_run_success",], found["openness_last_run_exit_code",]) == (0.0, 4.0)


def test_a_night_that_was_killed_has_a_report_too(few, sandbox):
    sandbox.fault("^/hf/", "hang", seconds=30)
    process = few.start("nightly")
    try:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not (few.database.exists() and visits(few)):
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    report = few.run("report", "--json").json
    assert report["verdict"]["level"] != "green"
    sandbox.clear_faults()
    few.run("crawl", "trellis")
    report = few.run("report", "1", "--json").json
    assert report["verdict"]["line"].startswith("RED: the run was cut off: it left no report")
    assert report["visits"]["ok"] >= 1
    assert json.dumps(report["next"]).count("--resume") == 1


def visits(desk):
    try:
        return desk.count("visits")
    except Exception:
        return 0


def test_a_second_night_that_finds_the_database_held_is_told(few, sandbox, postbox):
    from crawler.lock import run_lock

    desk = few.with_env(**postbox.settings)
    with run_lock(f"sqlite:///{desk.database}"):
        desk.run("nightly", code=2)
    [mail] = postbox.mails
    assert "another run holds the database" in mail["Subject"]
