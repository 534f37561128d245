"""The package index, the paper archive and the open web."""

from __future__ import annotations

import arxiv
import pytest


@pytest.fixture
def papers(sandbox):
    client = arxiv.Client(delay_seconds=0, num_retries=0)
    client.query_url_format = sandbox.addresses["OPENNESS_ARXIV_URL"] + "?{}"
    client._session.trust_env = False
    yield lambda *ids: list(client.results(arxiv.Search(id_list=list(ids))))
    client._session.close()


def package(sandbox, http, name, **headers):
    url = f"{sandbox.addresses['OPENNESS_PYPI_URL']}/pypi/{name}/json"
    return http.get(url, headers=headers, timeout=5)


def test_a_package_with_its_releases(sandbox, http):
    answer = package(sandbox, http, "trellis-rl").json()
    assert answer["info"]["version"] == "0.8.2"
    assert answer["info"]["project_urls"]["Repository"] == "https://github.com/hawthorn-tools/trellis"
    assert answer["releases"]["0.8.0"][0]["yanked"] is True


def test_a_package_is_asked_for_conditionally_and_under_other_spellings(sandbox, http):
    first = package(sandbox, http, "fennel-lm")
    assert package(sandbox, http, "fennel-lm", **{"If-None-Match": first.headers["ETag"]}).status_code == 304
    other = package(sandbox, http, "Fennel_LM")
    assert [step.status_code for step in other.history] == [301]
    assert package(sandbox, http, "no-such-thing").status_code == 404


def test_a_paper_with_comment_journal_and_doi(papers):
    (paper,) = papers("2404.91001")
    assert paper.title == "Fennel: a language model that can be rebuilt"
    assert paper.comment.startswith("Accepted at the Botanical Conference")
    assert paper.journal_ref.startswith("Proceedings")
    assert paper.doi == "10.5555/bclt.2024.0112"
    assert paper.authors[0].name == "Marjoram Aldergrove"
    assert paper.entry_id.endswith("2404.91001v3")


def test_an_unknown_paper_is_absent_from_the_feed(papers):
    assert [paper.get_short_id() for paper in papers("2402.91004", "2402.99999", "2311.91005v1")] == [
        "2402.91004v1",
        "2311.91005v1",
    ]


def test_a_malformed_paper_number_is_an_error_entry(papers, sandbox, http):
    answer = http.get(sandbox.addresses["OPENNESS_ARXIV_URL"] + "?id_list=nonsense", timeout=5)
    assert answer.status_code == 400
    assert "<title>Error</title>" in answer.text


def test_papers_are_asked_for_by_post_too(sandbox, http):
    answer = http.post(sandbox.addresses["OPENNESS_ARXIV_URL"], data={"id_list": "2402.91004"}, timeout=5)
    assert "Marram: talking with the coast" in answer.text


def test_a_page_and_its_validators(page):
    first = page("https://fennel-hollow.example/")
    assert "anybody can rebuild" in first.text
    assert (
        page("https://fennel-hollow.example/", **{"If-None-Match": first.headers["ETag"]}).status_code == 304
    )
    assert page("http://fennel-hollow.example/").content == first.content


def test_a_page_in_another_encoding(page):
    answer = page("https://wugu-lab.example/")
    assert answer.headers["Content-Type"] == "text/html; charset=gb18030"
    assert "雾谷语言实验室" in answer.content.decode("gb18030")


def test_robots_are_per_host_and_404_where_there_are_none(page):
    assert "Disallow: /internal/" in page("https://larkspur.example/robots.txt").text
    assert page("https://oleander.example/robots.txt").status_code == 404


def test_redirects_walls_and_slashes(page):
    moved = page("https://saltmarsh.example/kelpie")
    assert (moved.status_code, moved.headers["Location"]) == (301, "https://saltmarsh.example/models/kelpie")
    login = page("https://oleander.example/account")
    assert (login.status_code, login.headers["Location"]) == (302, "https://oleander.example/login")
    assert page("https://glasswrack.example/request").status_code == 403
    slash = page("https://fennel-hollow.example/docs")
    assert slash.headers["Location"] == "/web/https/fennel-hollow.example/docs/"
    assert page("https://fennel-hollow.example/nothing").status_code == 404


def test_a_query_is_part_of_a_pages_address(sandbox, page):
    sandbox.change("https://fennel-hollow.example/find?q=a%20b", text="found")
    assert page("https://fennel-hollow.example/find?q=a%20b").text == "found"
    assert page("https://fennel-hollow.example/find").status_code == 404


def test_a_changing_page_has_other_bytes_every_time_and_says_the_same(page):
    address = "https://fennel-hollow.example/docs/"
    first, second = page(address), page(address)
    assert first.content != second.content
    assert first.headers["ETag"] != second.headers["ETag"]
    assert page(address, **{"If-None-Match": second.headers["ETag"]}).status_code == 200
    assert "@@" not in first.text
    assert all("<h2>Pretrain</h2>" in answer.text for answer in (first, second))
