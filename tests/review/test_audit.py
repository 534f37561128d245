"""The audit log and the reports of runs at the desk."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from db.audit import load_audit, record
from db.load import load_runs


@pytest.fixture
def olga(desk: Any) -> Any:
    for number in range(150):
        desk.write(
            record,
            at=desk.clock(),
            actor="Ada Curator" if number % 2 else "-",
            action="decision" if number % 2 else "sign-in-failed",
            subject=f"gorse d{number}",
            detail={"note": "=cmd()|<b>", "number": number},
            address="203.0.113.7",
        )
    return desk.browser("Olga Admin")


def test_the_log_is_paged_and_filtered(olga: Any) -> None:
    first = olga.get("/audit").text
    assert first.count("<tr><td>") == 100
    older = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert olga.get(older).text.count("<tr><td>") == 51
    some = olga.get(
        "/audit?action=decision&actor=Ada+Curator&subject=d1&since=2030-03-04&until=2030-03-04"
    ).text
    assert "sign-in-failed</td>" not in some
    assert "<b>" not in some
    assert olga.get("/audit?since=2030-03-05").text.count("<tr><td>") == 0
    assert olga.get("/audit?since=yesterday").status_code == 400
    assert olga.get("/audit?before=abc").status_code == 200


def test_the_whole_log_is_exported_and_no_spreadsheet_runs_it(desk: Any, olga: Any) -> None:
    answer = olga.get("/audit.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == len(desk.read(load_audit, limit=1000))
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())
    lines = [json.loads(line) for line in olga.get("/audit.jsonl?action=decision").text.splitlines()]
    assert len(lines) == 75
    assert {line["action"] for line in lines} == {"decision"}


def test_the_log_is_for_admins(desk: Any) -> None:
    for name in ("Ada Curator", "Rita Reader"):
        browser = desk.browser(name)
        for path in ("/audit", "/audit.csv", "/audit.jsonl"):
            assert browser.get(path).status_code == 403
    assert desk.browser().get("/audit.csv", follow_redirects=False).status_code == 303


def test_every_run_has_a_page_with_its_report(reading: Any, shared_desk: Any) -> None:
    page = reading.get("/runs").text
    for run in shared_desk.read(load_runs):
        assert f'href="/runs/{run.id}"' in page
        told = reading.get(f"/runs/{run.id}").text
        assert run.report["verdict"]["line"].split(";")[0] in told
    assert "New questions" in told


def test_a_run_that_is_not_there_is_not_found(reading: Any) -> None:
    assert reading.get("/runs/99").status_code == 404
    assert reading.get("/runs/x").status_code == 404
    assert reading.get(f"/runs/{10**40}").status_code in (400, 404)
    assert reading.get("/runs?before=1").status_code == 200
