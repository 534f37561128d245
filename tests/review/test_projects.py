"""Projects: the list, the page of one, having it visited again, and its entry in the seed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.audit import load_audit
from db.load import load_projects
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Role
from pipelines.seed_edits import find_entry

SLUG = "gorse"


def actions(desk: Any) -> list[str]:
    return [entry.action for entry in desk.read(load_audit)]


def seeds(desk: Any) -> Path:
    path: Path = desk.context.options.seeds
    return path


def entry_of(desk: Any, slug: str = SLUG) -> str:
    entry = find_entry(seeds(desk).read_text(encoding="utf-8"), slug)
    assert entry is not None
    return entry.text


def form_of(page: Any) -> dict[str, str]:
    digest = page.text.split('name="digest" value="')[1].split('"')[0]
    return {"digest": digest}


def test_the_list_leads_to_every_project(reading: Any, shared_desk: Any) -> None:
    page = reading.get("/projects").text
    for project in shared_desk.read(load_projects):
        assert f'href="/projects/{project.slug}"' in page
    assert reading.get("/projects?state=retired&sort=newest&org=nobody&page=7").status_code == 200


def test_a_project_shows_artifacts_ratings_and_what_happened(reading: Any, shared_desk: Any) -> None:
    page = reading.get(f"/projects/{SLUG}")
    assert page.status_code == 200
    (project,) = shared_desk.read(load_projects, [SLUG])
    for artifact in project.artifacts:
        assert str(artifact.ref) in page.text
    assert 'id="timeline"' in page.text
    assert "∅ missing" in page.text
    assert 'id="cell-code"' in page.text


def test_every_project_has_a_page(reading: Any, shared_desk: Any) -> None:
    for project in shared_desk.read(load_projects):
        assert reading.get(f"/projects/{project.slug}").status_code == 200, project.slug


def test_a_claim_stands_beside_the_facts_that_speak_against_it(reading: Any, shared_desk: Any) -> None:
    pages = [reading.get(f"/projects/{project.slug}").text for project in shared_desk.read(load_projects)]
    assert any("Claims beside facts" in page for page in pages)


def test_the_visits_of_an_artifact_are_listed_and_those_of_others_are_not(reading: Any) -> None:
    page = reading.get(f"/projects/{SLUG}?artifact=github:heathland/gorse")
    assert 'id="visits"' in page.text
    assert page.text.count('<td data-label="ended">') >= 2
    other = reading.get(f"/projects/{SLUG}?artifact=github:nobody/nothing")
    assert "is no artifact of this project" in other.text
    for broken in ("artifact=x", "artifact=github:", "after=yesterday", "visits_before=-1&artifact=web:x"):
        assert reading.get(f"/projects/{SLUG}?{broken}").status_code == 200


def test_older_events_are_behind_a_link(reading: Any) -> None:
    path, seen = f"/projects/{SLUG}", 0
    while path and seen < 30:
        page = reading.get(path).text
        timeline = page.split('id="timeline"')[1]
        seen += 1
        path = (
            timeline.split('rel="next" href="')[1].split("#")[0].replace("&amp;", "&")
            if "Older" in timeline
            else ""
        )
    assert 1 < seen < 30


def test_a_project_that_is_not_there_is_not_found(reading: Any) -> None:
    for path in ("/projects/nobody", "/projects/nobody/seed", "/projects/%00", "/projects/" + "x" * 3000):
        assert reading.get(path).status_code in (400, 404)


def test_visiting_again_is_begun_and_recorded(desk: Any) -> None:
    begun: list[tuple[str, str]] = []

    def start(slug: str, who: str) -> str:
        begun.append((slug, who))
        return f"{slug} is visited now."

    ada = desk.with_context(start_visit=start).browser("Ada Curator")
    ada.get(f"/projects/{SLUG}")
    answer = ada.post(f"/projects/{SLUG}/visit")
    assert answer.status_code == 303
    assert begun == [(SLUG, "Ada Curator")]
    assert actions(desk)[0] == "visit-requested"
    assert "is visited now" in ada.get(f"/projects/{SLUG}").text


def test_where_visits_cannot_be_started_it_is_said(desk: Any, ada: Any) -> None:
    ada.get(f"/projects/{SLUG}")
    assert ada.post(f"/projects/{SLUG}/visit").status_code == 503
    assert "visit-requested" not in actions(desk)


def test_an_entry_is_edited_in_the_file_and_taken_over(desk: Any, ada: Any) -> None:
    before = seeds(desk).read_text(encoding="utf-8")
    page = ada.get(f"/projects/{SLUG}/seed")
    assert "Entry in seeds.yaml" in page.text
    edited = entry_of(desk).replace("org: ", "org: New ", 1)
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": edited.replace("\n", "\r\n")})
    assert answer.status_code == 303, answer.text
    after = seeds(desk).read_text(encoding="utf-8")
    assert after == before.replace(
        entry_in(before, desk, SLUG, "org: "), entry_in(after, desk, SLUG, "org: ")
    )
    assert entry_of(desk) == edited
    (project,) = desk.read(load_projects, [SLUG])
    assert project.org.startswith("New ")
    assert actions(desk)[0] == "seed-edited"


def entry_in(text: str, desk: Any, slug: str, begins: str) -> str:
    """The line of an entry that begins so."""
    entry = find_entry(text, slug)
    assert entry is not None
    return next(line for line in text[entry.start : entry.end].splitlines() if begins in line)


def test_a_mistake_is_told_with_its_line_and_what_was_typed_stays(desk: Any, ada: Any) -> None:
    before = seeds(desk).read_bytes()
    page = ada.get(f"/projects/{SLUG}/seed")
    edited = f"slug: {SLUG}\nname: <i>Gorse</i>\nlicence: mit\n"
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": edited})
    assert answer.status_code == 422
    assert "entry:3: [0].licence: unknown key" in answer.text
    assert "&lt;i&gt;Gorse&lt;/i&gt;" in answer.text
    assert "<i>Gorse" not in answer.text
    assert seeds(desk).read_bytes() == before
    assert actions(desk)[0] != "seed-edited"


def test_a_file_that_was_changed_meanwhile_is_left_alone(desk: Any, ada: Any) -> None:
    page = ada.get(f"/projects/{SLUG}/seed")
    with seeds(desk).open("a", encoding="utf-8") as file:
        file.write("# somebody was here\n")
    before = seeds(desk).read_bytes()
    edited = entry_of(desk).replace("org: ", "org: New ", 1)
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": edited})
    assert answer.status_code == 409
    assert "org: New" in answer.text
    assert seeds(desk).read_bytes() == before
    (project,) = desk.read(load_projects, [SLUG])
    assert not project.org.startswith("New ")


def test_nothing_is_taken_over_where_the_file_cannot_be_written(
    desk: Any, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seeds(desk).read_bytes()
    page = ada.get(f"/projects/{SLUG}/seed")

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("review.seed_file.os.replace", full)
    edited = entry_of(desk).replace("org: ", "org: New ", 1)
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": edited})
    assert answer.status_code == 400
    assert "cannot be written: No space left" in answer.text
    assert seeds(desk).read_bytes() == before
    (project,) = desk.read(load_projects, [SLUG])
    assert not project.org.startswith("New ")
    assert list(seeds(desk).parent.glob(".seeds.yaml.*")) == []


def test_a_project_that_the_file_does_not_have_gets_an_entry_at_its_end(desk: Any, ada: Any) -> None:
    seeds(desk).write_text("# empty so far\n- {slug: other, name: Other}\n", encoding="utf-8")
    page = ada.get(f"/projects/{SLUG}/seed")
    assert "has no entry for this project yet" in page.text
    body = page.text.split("<textarea")[1].split(">\n", 1)[1].split("</textarea>")[0].replace("&#34;", '"')
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": body})
    assert answer.status_code == 303, answer.text
    text = seeds(desk).read_text(encoding="utf-8")
    assert text.startswith("# empty so far\n- {slug: other, name: Other}\n- slug: gorse\n")
    (project,) = desk.read(load_projects, [SLUG])
    ref = ArtifactRef(kind=ArtifactKind.GITHUB, id="heathland/gorse")
    assert Artifact(ref=ref, role=Role.CODE) in project.artifacts


def test_a_file_that_was_broken_meanwhile_loses_nothing_that_was_typed(desk: Any, ada: Any) -> None:
    page = ada.get(f"/projects/{SLUG}/seed")
    seeds(desk).write_bytes(b"- slug: [")
    answer = ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": "slug: gorse\nname: Typed"})
    assert answer.status_code == 409
    assert "name: Typed" in answer.text
    assert seeds(desk).read_bytes() == b"- slug: ["


@pytest.mark.parametrize("body", [b"\xff\xfe", b"- slug: [", b"- *a"])
def test_a_file_that_cannot_be_read_is_said_and_left_alone(desk: Any, ada: Any, body: bytes) -> None:
    seeds(desk).write_bytes(body)
    page = ada.get(f"/projects/{SLUG}/seed")
    assert page.status_code in (400, 409)
    assert str(seeds(desk).parent) not in page.text
    assert seeds(desk).read_bytes() == body


def test_a_link_to_the_seed_file_stays_a_link(desk: Any, ada: Any) -> None:
    real = seeds(desk).with_name("real.yaml")
    seeds(desk).rename(real)
    seeds(desk).symlink_to(real)
    real.chmod(0o640)
    page = ada.get(f"/projects/{SLUG}/seed")
    edited = entry_of(desk).replace("org: ", "org: New ", 1)
    assert ada.post(f"/projects/{SLUG}/seed", {**form_of(page), "entry": edited}).status_code == 303
    assert seeds(desk).is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "New " in entry_of(desk)


def test_a_reader_sees_no_form_and_may_send_none(desk: Any) -> None:
    rita = desk.browser("Rita Reader")
    page = rita.get(f"/projects/{SLUG}")
    assert "Visit again now" not in page.text
    assert rita.post(f"/projects/{SLUG}/visit").status_code == 403
    assert rita.get(f"/projects/{SLUG}/seed").status_code == 403
    assert rita.post(f"/projects/{SLUG}/seed", {"entry": "x", "digest": ""}).status_code == 403
