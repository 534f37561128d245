"""The front page: what it shows at a glance agrees with the pages behind it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from db.candidates import count_candidates
from db.matrix import load_matrix
from db.models import RunRow
from db.overview import load_aftermath, load_nights
from db.save import end_run, save_projects
from pipelines.model import Project, Rating


def test_the_picture_has_a_row_for_every_project_and_a_symbol_besides_every_colour(
    reading: Any, shared_desk: Any
) -> None:
    page = reading.get("/")
    assert page.status_code == 200
    matrix = shared_desk.read(load_matrix, shared_desk.context.rubric, shared_desk.clock())
    cells = re.findall(r'<td class="cell ([a-z-]+)">.*?<span aria-hidden="true">(.)', page.text)
    assert len(cells) == len(matrix.rows) * len(shared_desk.context.rubric.dimensions)
    assert set(cells) <= {
        ("open", "●"),
        ("partial", "◐"),
        ("closed", "○"),
        ("not-applicable", "–"),
        ("none", "·"),
    }
    shown = sum(kind == "open" for kind, _ in cells)
    assert shown == sum(list(row.classes.values()).count(Rating.OPEN) for row in matrix.rows) > 0


def test_what_waits_is_counted_as_the_queue_counts_it(reading: Any, shared_desk: Any) -> None:
    page = reading.get("/").text
    questions = shared_desk.questions()
    assert f'<span class="number">{len(questions)}</span> questions' in page
    kinds = {item.kind for item in questions}
    for kind in kinds:
        number = sum(item.kind is kind for item in questions)
        assert f'href="/queue?kind={kind.value}"><span class="number">{number}</span>' in page
    assert f'<span class="number">{shared_desk.read(count_candidates)}</span> candidate' in page


def test_every_chart_says_in_words_what_it_shows(reading: Any) -> None:
    page = reading.get("/").text
    charts = re.findall(r"<svg [^>]*>", page)
    assert charts
    for chart in charts:
        name = re.search(r'role="img" aria-labelledby="(\S+) (\S+)"', chart)
        assert name is not None, chart
        for reference in name.groups():
            assert re.search(rf'<(?:title|desc) id="{re.escape(reference)}">[^<]+<', page), reference
    assert "style=" not in page
    assert "<script" not in page.split("<main")[1]


def test_gone_evidence_and_failing_sources_are_those_of_the_last_night(
    reading: Any, shared_desk: Any
) -> None:
    after = shared_desk.read(load_aftermath, shared_desk.clock())
    page = reading.get("/").text
    assert after.gone_total
    assert after.failing_total
    assert f'href="/projects/{after.gone[0].slug}#cell-{after.gone[0].dimension}"' in page
    assert f"{after.failing_total} artifacts could not be read" in page


def test_a_night_that_left_no_report_is_told_from_the_tables(desk: Any) -> None:
    told = desk.read(load_aftermath, desk.clock())
    run = desk.read(load_nights)[-1].run_id

    def forget(session: Any) -> None:
        row = session.get(RunRow, run)
        end_run(session, run, row.ended_at, row.status, row.exit_code, {})

    desk.write(forget)
    found = desk.read(load_aftermath, desk.clock())
    assert (found.gone_total, found.stale_total) == (told.gone_total, told.stale_total)
    assert found.failing_total == told.failing_total
    assert desk.browser("Ada Curator").get("/").status_code == 200


@pytest.mark.parametrize(
    "report",
    [
        {"changes": [], "verdict": 7, "visits": "none", "sources": None},
        {
            "changes": {
                "stale_ratings": {"total": "x", "shown": [1, {"artifact": 5}, {"artifact": "github:a/b"}]}
            }
        },
        {
            "changes": {"failing": {"shown": "none", "by_service": [1]}},
            "services_failing": [None, {"service": 3}],
        },
        {"visits": {"ok": 1e400, "failed": True}, "verdict": {"level": "purple", "line": "<b>bold</b>"}},
    ],
)
def test_a_report_that_is_not_as_it_should_be_breaks_nothing(desk: Any, report: dict[str, Any]) -> None:
    run = desk.read(load_nights)[-1].run_id

    def replace(session: Any) -> None:
        row = session.get(RunRow, run)
        end_run(session, run, row.ended_at, row.status, row.exit_code, report)

    desk.write(replace)
    ada = desk.browser("Ada Curator")
    for path in ("/", "/runs", f"/runs/{run}"):
        page = ada.get(path)
        assert page.status_code == 200, path
        assert "<b>bold" not in page.text


def test_many_projects_come_on_pages_and_are_found_by_words(desk: Any) -> None:
    projects = [Project(slug=f"fen-{n:04}", name=f"Fen {n:04}", org="Fenland") for n in range(350)]
    desk.write(save_projects, projects, desk.clock())
    ada = desk.browser("Ada Curator")
    first = ada.get("/")
    assert first.text.count('class="cell') == 100 * len(desk.context.rubric.dimensions)
    assert "page 1 of 4" in first.text
    last = ada.get("/?page=4")
    assert "Fen 0349" in last.text
    assert ada.get("/?page=999999999999999999999").status_code == 200
    found = ada.get("/?search=fen+0123")
    assert "1</span> projects" in found.text
    assert "No project has" in ada.get("/?search=%3Cscript%3E").text


def test_there_is_a_front_page_before_anything_was_done(desk: Any) -> None:
    desk.write(save_projects, [], desk.clock())
    page = desk.browser("Ada Curator").get("/")
    assert page.status_code == 200
    assert "There is no project yet" in page.text
