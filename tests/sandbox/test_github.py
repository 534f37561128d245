"""GitHub's two interfaces, asked by PyGithub and by plain requests."""

from __future__ import annotations

import base64
import hashlib
import http.client
import subprocess
from datetime import datetime

import pytest
from github import Auth, Github, GithubException, RateLimitExceededException, UnknownObjectException

FENNEL = "/repos/fennelhollow/fennel"


@pytest.fixture
def client(sandbox):
    client = Github(
        base_url=sandbox.addresses["GITHUB_API_URL"],
        auth=Auth.Token("any"),
        retry=None,
        seconds_between_requests=None,
    )
    yield client
    client.close()


def graphql(sandbox, http, query, token="any", **variables):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    order = {"query": query, "variables": variables}
    return http.post(sandbox.addresses["GITHUB_GRAPHQL_URL"], json=order, headers=headers, timeout=5)


def test_pygithub_reads_a_repository_with_licence_readme_tree_tags_and_releases(client):
    repo = client.get_repo("fennelhollow/fennel")
    assert repo.full_name == "fennelhollow/fennel"
    assert repo.license.spdx_id == "Apache-2.0"
    assert not repo.archived
    assert b"Version 2.0, January 2004" in repo.get_license().decoded_content
    assert repo.get_readme().decoded_content.startswith(b"# Fennel")
    tree = repo.get_git_tree("HEAD", recursive=True)
    assert "data/prepare/deduplicate.py" in {entry.path for entry in tree.tree}
    assert [tag.name for tag in repo.get_tags()] == ["v1.2.0", "v1.1.0", "v1.0.0"]
    assert repo.get_releases()[0].tag_name == "v1.2.0"
    assert repo.get_latest_release().tag_name == "v1.2.0"
    assert repo.get_commits()[0].sha == repo.get_branch("main").commit.sha
    assert {entry.name for entry in repo.get_contents("docs")} >= {"data.md", "training.md"}
    assert "decoder-only transformer" in repo.get_contents("docs/training.md").decoded_content.decode()


def test_pygithub_finds_its_graphql_address_by_itself(client):
    assert client.requester.graphql_url.endswith("/github/api/graphql")
    query = '{repository(owner: "quillwort", name: "sorrel") {nameWithOwner}}'
    _, answer = client.requester.graphql_query(query, {})
    assert answer["data"]["repository"]["nameWithOwner"] == "quillwort/sorrel"


def test_a_repository_that_is_not_there_is_404(client):
    with pytest.raises(UnknownObjectException):
        client.get_repo("fennelhollow/nowhere")


def test_a_token_that_begins_with_bad_is_refused_everywhere(sandbox, rest, http):
    assert rest(FENNEL, token="bad-one").status_code == 401
    assert graphql(sandbox, http, "{rateLimit{cost}}", token="bad-one").status_code == 401
    assert graphql(sandbox, http, "{rateLimit{cost}}", token=None).status_code == 401


def test_a_renamed_repository_is_redirected_and_followed(client, rest):
    assert client.get_repo("mirefen/bogbean-chat").full_name == "mirefen/bogbean"
    first = rest("/repos/mirefen/bogbean-chat/license")
    assert [step.status_code for step in first.history] == [301, 302]
    assert first.json()["license"]["spdx_id"] == "MIT"


def test_names_are_compared_without_case(rest):
    assert rest("/repos/FennelHollow/Fennel").json()["full_name"] == "fennelhollow/fennel"


def test_blob_tree_and_commit_names_are_those_of_git(sandbox, rest, tmp_path):
    git = ["git", "-c", "user.name=trellis", "-c", "init.defaultBranch=main", "-C", str(tmp_path)]
    for path, document in sandbox.world.thing("github/hawthorn-tools/trellis").files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(document.read())
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "-c", "core.autocrlf=false", "add", "-A", "-f"], check=True)
    expected = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    answer = rest("/repos/hawthorn-tools/trellis/git/trees/main?recursive=1").json()
    assert answer["sha"] == expected
    readme = next(entry for entry in answer["tree"] if entry["path"] == "README.md")
    blob = rest(f"/repos/hawthorn-tools/trellis/git/blobs/{readme['sha']}").json()
    body = base64.b64decode(blob["content"])
    assert hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest() == readme["sha"]
    commit = rest("/repos/hawthorn-tools/trellis/commits/HEAD").json()
    text = subprocess.run(
        [*git, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=commit_text(commit),
        check=True,
        capture_output=True,
    )
    assert text.stdout.decode().strip() == commit["sha"]


def commit_text(commit):
    author = commit["commit"]["author"]
    seconds = int(datetime.fromisoformat(author["date"]).timestamp())
    person = f"{author['name']} <{author['email']}> {seconds} +0000"
    tree = commit["commit"]["tree"]["sha"]
    return f"tree {tree}\nauthor {person}\ncommitter {person}\n\n{commit['commit']['message']}\n".encode()


def test_a_reference_names_the_commit_of_its_branch(sandbox, rest):
    sha = rest("/repos/quillwort/sorrel/commits").json()[0]["sha"]
    assert rest("/repos/quillwort/sorrel/git/ref/heads/main").json()["object"]["sha"] == sha
    assert rest("/repos/quillwort/sorrel/git/ref/heads/other").status_code == 404
    sandbox.change("github/quillwort/sorrel/files", delete=True)
    assert rest("/repos/quillwort/sorrel/git/ref/heads/main").status_code == 409


def test_raw_content_is_given_where_the_request_accepts_it(rest):
    answer = rest(f"{FENNEL}/contents/README.md", Accept="application/vnd.github.raw+json")
    assert answer.text.startswith("# Fennel")
    assert rest(f"{FENNEL}/readme", Accept="application/vnd.github.v3.raw").content == answer.content


def test_a_known_etag_is_a_304_that_costs_nothing_with_a_token_and_one_without(sandbox, rest):
    for path in (FENNEL, f"{FENNEL}/license", f"{FENNEL}/git/trees/HEAD?recursive=1", f"{FENNEL}/tags"):
        first = rest(path)
        again = rest(path, **{"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        assert not again.content
        assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
    first = rest(FENNEL, token=None)
    again = rest(FENNEL, token=None, **{"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["X-RateLimit-Remaining"] == "58"
    assert [entry.conditional for entry in sandbox.requests[-2:]] == [False, True]


def test_a_known_date_is_a_304(rest):
    first = rest(FENNEL)
    assert rest(FENNEL, **{"If-Modified-Since": first.headers["Last-Modified"]}).status_code == 304


def test_sixty_requests_an_hour_without_a_token(rest):
    answers = [rest("/repos/quillwort/sorrel/tags", token=None) for _ in range(61)]
    assert {answer.status_code for answer in answers[:60]} == {200}
    assert answers[60].status_code == 403
    assert answers[60].headers["X-RateLimit-Remaining"] == "0"
    assert rest("/repos/quillwort/sorrel/tags").headers["X-RateLimit-Limit"] == "5000"
    limits = rest("/rate_limit", token=None).json()["resources"]
    assert limits["core"]["remaining"] == 0
    assert limits["graphql"]["limit"] == 0


def test_pygithub_understands_the_exhausted_limit(sandbox, client):
    sandbox.limits.set("github.core.token", 1)
    client.get_repo("quillwort/sorrel")
    with pytest.raises(RateLimitExceededException):
        client.get_repo("fennelhollow/fennel")


def test_a_request_without_user_agent_is_refused(sandbox):
    connection = http.client.HTTPConnection(sandbox.base.removeprefix("http://"), timeout=5)
    connection.request("GET", f"/github/api/v3{FENNEL}")
    assert connection.getresponse().status == 403
    connection.close()


def test_lists_come_in_pages(rest):
    first = rest(f"{FENNEL}/tags?per_page=2")
    assert [tag["name"] for tag in first.json()] == ["v1.2.0", "v1.1.0"]
    assert 'rel="next"' in first.headers["Link"]
    rest_of_it = rest(f"{FENNEL}/tags?per_page=2&page=2")
    assert [tag["name"] for tag in rest_of_it.json()] == ["v1.0.0"]
    assert rest(f"{FENNEL}/tags?per_page=many").status_code == 422


def test_a_tree_beyond_the_limit_says_that_it_is_truncated(sandbox, rest):
    sandbox.state.tree_limit = 5
    answer = rest(f"{FENNEL}/git/trees/HEAD?recursive=1").json()
    assert answer["truncated"] is True
    assert len(answer["tree"]) == 5


def test_a_subtree_is_listed_by_its_sha(rest):
    root = rest(f"{FENNEL}/git/trees/HEAD").json()["tree"]
    docs = next(entry for entry in root if entry["path"] == "docs")
    below = rest(f"{FENNEL}/git/trees/{docs['sha']}").json()["tree"]
    assert {entry["path"] for entry in below} >= {"data.md", "training.md"}


def test_an_empty_repository_is_409_by_tree_and_null_by_graphql(sandbox, rest, http):
    sandbox.change("github/quillwort/sorrel/files", delete=True)
    assert rest("/repos/quillwort/sorrel/git/trees/HEAD").status_code == 409
    assert rest("/repos/quillwort/sorrel/readme").status_code == 404
    assert rest("/repos/quillwort/sorrel/contents/README.md").json()["message"] == "This repository is empty."
    query = '{repository(owner: "quillwort", name: "sorrel") {isEmpty defaultBranchRef {name}}}'
    answer = graphql(sandbox, http, query).json()["data"]["repository"]
    assert answer == {"isEmpty": True, "defaultBranchRef": None}


def test_a_huge_file_stands_in_the_tree_and_its_content_is_left_out(sandbox, rest):
    sandbox.change("github/quillwort/sorrel/files/weights/all.bin", size=50_000_000)
    tree = rest("/repos/quillwort/sorrel/git/trees/HEAD?recursive=1").json()["tree"]
    assert {"weights/all.bin": 50_000_000}.items() <= {e["path"]: e.get("size") for e in tree}.items()
    content = rest("/repos/quillwort/sorrel/contents/weights/all.bin").json()
    assert (content["encoding"], content["content"]) == ("none", "")
    sandbox.change("github/quillwort/sorrel/files/weights/all.bin", size=200_000_000)
    raw = rest("/repos/quillwort/sorrel/contents/weights/all.bin", Accept="application/vnd.github.raw")
    assert raw.status_code == 403


def test_a_blocked_repository_is_451(sandbox, rest):
    sandbox.change("github/quillwort/sorrel", merge={"blocked": True})
    assert rest("/repos/quillwort/sorrel").status_code == 451


BATCH = """
query($expression: String!) {
  rateLimit { cost remaining resetAt limit }
  a: repository(owner: "fennelhollow", name: "fennel") { ...facts }
  b: repository(owner: "nobody", name: "nothing") { ...facts }
  c: repository(owner: "mirefen", name: "bogbean-chat") { ...facts }
  d: repository(owner: "heathland", name: "gorse") { ...facts }
}
fragment facts on Repository {
  name nameWithOwner description homepageUrl isArchived isDisabled isFork parent { nameWithOwner }
  licenseInfo { spdxId key name } createdAt pushedAt stargazerCount
  defaultBranchRef { name target { ... on Commit { oid tree { oid } } } }
  repositoryTopics(first: 20) { nodes { topic { name } } }
  releases(first: 30, orderBy: {field: CREATED_AT, direction: DESC}) {
    nodes { tagName name publishedAt isPrerelease }
  }
  refs(refPrefix: "refs/tags/", first: 30, orderBy: {field: TAG_COMMIT_DATE, direction: DESC}) {
    nodes { name target { oid } }
  }
  readme: object(expression: $expression) { oid ... on Blob { text byteSize isBinary isTruncated } }
  root: object(expression: "HEAD:") { ... on Tree { oid entries { name type oid } } }
}
"""


def test_graphql_answers_a_batch_and_names_what_is_missing(sandbox, http):
    answer = graphql(sandbox, http, BATCH, expression="HEAD:README.md").json()
    data = answer["data"]
    assert data["a"]["licenseInfo"] == {
        "spdxId": "Apache-2.0",
        "key": "apache-2.0",
        "name": "Apache License 2.0",
    }
    assert data["a"]["readme"]["text"].startswith("# Fennel")
    assert {entry["type"] for entry in data["a"]["root"]["entries"]} == {"blob", "tree"}
    assert data["a"]["releases"]["nodes"][0]["tagName"] == "v1.2.0"
    assert data["a"]["refs"]["nodes"][0]["target"]["oid"]
    assert data["b"] is None
    assert [(error["type"], error["path"]) for error in answer["errors"]] == [("NOT_FOUND", ["b"])]
    assert data["c"]["nameWithOwner"] == "mirefen/bogbean"
    assert data["c"]["defaultBranchRef"]["name"] == "trunk"
    assert data["d"]["isArchived"] is True
    assert data["rateLimit"]["limit"] == 5000
    assert data["rateLimit"]["remaining"] == 5000 - data["rateLimit"]["cost"]


def test_graphql_and_rest_name_the_same_commit_tree_and_blob(sandbox, rest, http):
    data = graphql(sandbox, http, BATCH, expression="HEAD:README.md").json()["data"]["a"]
    commit = data["defaultBranchRef"]["target"]
    assert rest(f"{FENNEL}/commits/main").json()["sha"] == commit["oid"]
    assert rest(f"{FENNEL}/git/trees/HEAD").json()["sha"] == commit["tree"]["oid"] == data["root"]["oid"]
    assert rest(f"{FENNEL}/readme").json()["sha"] == data["readme"]["oid"]


def test_pygithub_raises_for_a_missing_alias_but_hands_over_the_others(client):
    with pytest.raises(GithubException) as caught:
        client.requester.graphql_query(BATCH, {"expression": "HEAD:README.md"})
    assert caught.value.data["data"]["a"]["name"] == "fennel"


def test_graphql_gives_no_text_of_binary_files_and_cuts_long_ones(sandbox, http):
    sandbox.change("github/quillwort/sorrel/files/README.md", body=b"Gr\xfc\xdfe aus dem Garten\n")
    sandbox.change("github/quillwort/sorrel/files/long.txt", size=900_000)
    query = """{repository(owner: "quillwort", name: "sorrel") {
      latin: object(expression: "HEAD:README.md") {... on Blob {text isBinary}}
      long: object(expression: "HEAD:long.txt") {... on Blob {byteSize isTruncated}}
      none: object(expression: "HEAD:missing") {oid}
      refs(refPrefix: "refs/tags/") {nodes {name}}
    }}"""
    answer = graphql(sandbox, http, query).json()
    repo = answer["data"]["repository"]
    assert "\ufffd" in repo["latin"]["text"]
    assert repo["long"] == {"byteSize": 900_000, "isTruncated": True}
    assert repo["none"] is None
    assert "`first`" in answer["errors"][0]["message"]


def test_a_malformed_query_is_an_error_and_no_data(sandbox, http):
    assert "errors" in graphql(sandbox, http, "{repository(").json()
    assert "data" not in graphql(sandbox, http, "{stars}").json()
    response = http.post(
        sandbox.addresses["GITHUB_GRAPHQL_URL"], data=b"[]", headers={"Authorization": "Bearer x"}, timeout=5
    )
    assert response.status_code == 400


def test_graphql_runs_out_of_points(sandbox, http):
    sandbox.limits.set("github.graphql.token", 1)
    graphql(sandbox, http, "{rateLimit {cost}}")
    assert graphql(sandbox, http, "{rateLimit {cost}}").json()["errors"][0]["type"] == "RATE_LIMIT"
