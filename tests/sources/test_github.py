"""Repositories: both roads, many at once, limits, and what GitHub is known to do."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from crawler.sources.github_documents import Mark, Tree, TreeFile, blob_sha
from crawler.sources.github_graphql import (
    BLOBS_A_QUERY,
    BYTES_A_QUERY,
    WantedFile,
    blobs_query,
    in_queries,
    parse_reply,
    parse_texts,
)
from pipelines.model import ArtifactKind, Validators, VisitStatus

OK, UNCHANGED, MISSING = VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING
FAILED, DENIED = VisitStatus.FAILED, VisitStatus.DENIED
GRAPHQL = "/a/place/of/its/own/graphql"
REPO = "/repos/willow-lab/seedling"


@pytest.fixture
def case(make_case: Callable[[str], Any]) -> Any:
    return make_case("github")


@pytest.fixture
def anonymous(make_case: Callable[[str], Any]) -> Any:
    return make_case("github_without_token")


def bodies(visits: list[Any]) -> dict[str, bytes]:
    return {visit.part: visit.capture.body for visit in visits if visit.capture}


def facts(case: Any, **changes: Any) -> dict[str, Any]:
    share = json.loads(case.service.recorded("graphql_facts"))["data"]["r0"]
    return {**share, **changes}


def reply(*shares: Any, errors: list[Any] | None = None) -> dict[str, Any]:
    data = {"rateLimit": {"cost": 1}, **{f"r{i}": share for i, share in enumerate(shares)}}
    return {"data": data, **({"errors": errors} if errors else {})}


def limits(left: int, of: int, seconds: int, now: Any) -> dict[str, str]:
    reset = int((now + timedelta(seconds=seconds)).timestamp())
    return {
        "x-ratelimit-limit": str(of),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(reset),
    }


def test_both_roads_give_the_same_bytes(case: Any, anonymous: Any) -> None:
    assert bodies(case.visit()) == bodies(anonymous.visit())


def test_the_repository_document_holds_facts_and_no_counters(case: Any) -> None:
    document = json.loads(bodies(case.visit())["repository"])
    assert document == {
        "archived": False,
        "created_at": "2031-02-03T04:05:06Z",
        "default_branch": "main",
        "description": "An invented model",
        "disabled": False,
        "fork": False,
        "full_name": "willow-lab/seedling",
        "head": "a1" * 20,
        "homepage": None,
        "license": "NOASSERTION",
        "parent": None,
        "pushed_at": "2031-04-30T10:00:00Z",
        "topics": ["language-model", "trees"],
    }


def test_the_tree_lists_files_and_neither_folders_nor_submodules(case: Any) -> None:
    lines = bodies(case.visit())["tree"].decode().splitlines()
    paths = [line.split("\t")[0] for line in lines]
    assert paths == ["LICENSE", "MODEL_CARD.md", "README.md", "docs/guide.md", "docs/index.md", "train.py"]


def test_a_text_that_is_not_utf8_is_read_by_rest_to_the_byte(case: Any) -> None:
    visits = case.visit()
    assert b"Caf\xe9" in bodies(visits)["file:docs/guide.md"]
    assert sum("/git/blobs/" in path for path in case.service.paths()) == 1


def test_a_cold_repository_costs_at_most_four_requests(case: Any) -> None:
    case.visit()
    assert len(case.service.asked) == 4  # facts, tree, texts, and the one file that is no UTF-8


def test_many_repositories_share_a_query(case: Any, tools: Any) -> None:
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(50)]
    empty = [facts(case, nameWithOwner=ref.id, defaultBranchRef=None) for ref in refs]
    case.service.say(GRAPHQL, reply(*empty))
    known = tools.remember(case.visit(None, *refs))
    case.service.asked.clear()
    visits = case.visit(known, *refs)
    assert {visit.status for visit in visits} == {UNCHANGED}
    assert len(visits) == 50 * 4
    assert len(case.service.asked) == 1


def test_one_repository_that_is_gone_leaves_the_others_of_the_query(case: Any, tools: Any) -> None:
    gone = {"type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository"}
    slow = {"path": ["r1"], "message": "Timeout on validation of query"}
    good = facts(case, defaultBranchRef=None)
    case.service.say(GRAPHQL, reply(None, None, good, errors=[gone, slow]))
    other = tools.ref(ArtifactKind.GITHUB, "willow-lab/slow")
    visits = case.visit(None, case.absent, other, case.ref)
    assert [v.status for v in visits if v.ref == case.absent] == [MISSING]
    assert [(v.status, "Timeout" in v.reason) for v in visits if v.ref == other] == [(FAILED, True)]
    assert {v.status for v in visits if v.ref == case.ref} == {OK}


def test_a_blocked_repository_is_denied_though_graphql_says_not_found(case: Any) -> None:
    gone = {"type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository"}
    case.service.say(GRAPHQL, reply(None, errors=[gone]))
    case.service.fault(f"^{REPO}$", status=451, body=b'{"message": "Repository access blocked"}')
    (visit,) = case.visit()
    assert (visit.status, visit.http_status) == (DENIED, 451)


@pytest.mark.parametrize("status", [403, 404, 410, 451])
def test_a_refusal_of_the_whole_interface_says_nothing_about_a_repository(case: Any, status: int) -> None:
    case.service.fault("graphql", status=status)
    (visit,) = case.visit()
    assert visit.status is FAILED


def test_a_query_that_is_too_much_is_asked_in_two_halves(case: Any, tools: Any) -> None:
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(4)]
    case.service.fault("graphql", "hang", times=1)
    case.service.say(GRAPHQL, reply(*[facts(case, defaultBranchRef=None)] * 2))
    visits = case.visit(None, *refs, rules=tools.impatient)
    assert {visit.status for visit in visits} == {OK}
    assert len(case.service.asked) == 3


@pytest.mark.parametrize("name", ["github", "github_without_token"])
def test_a_renamed_repository_is_followed(make_case: Callable[[str], Any], name: str) -> None:
    case = make_case(name)
    new = json.loads(case.service.recorded(REPO)) | {"full_name": "new-lab/sapling"}
    case.service.say(REPO, b"", status=301, Location=f"{case.service.url}/repositories/1")
    case.service.say("/repositories/1", new)
    case.service.say(GRAPHQL, reply(facts(case, nameWithOwner="new-lab/sapling")))
    for path in (
        "/git/ref/heads/main",
        f"/git/trees/{'a1' * 20}?recursive=1",
        f"/git/trees/{'b1' * 20}?recursive=1",
    ):
        case.service.say(f"/repos/new-lab/sapling{path}", json.loads(case.service.recorded(REPO + path)))
    visits = case.visit()
    assert json.loads(bodies(visits)["repository"])["full_name"] == "new-lab/sapling"
    assert "tree" in bodies(visits)
    assert all(visit.ref == case.ref for visit in visits)
    assert visits[-1].url == "https://github.com/new-lab/sapling"


def test_the_library_writes_nothing_to_the_terminal_by_itself(case: Any, capfd: Any) -> None:
    case.service.say(GRAPHQL, reply(None, errors=[{"type": "NOT_FOUND", "path": ["r0"], "message": "no"}]))
    case.service.say(REPO, b"", status=301, Location=f"{case.service.url}/repositories/1")
    case.visit()
    assert "/repositories/1" in case.service.paths()
    assert capfd.readouterr().err == ""


def test_an_empty_repository_is_read_by_both_roads(case: Any, anonymous: Any) -> None:
    case.service.say(GRAPHQL, reply(facts(case, defaultBranchRef=None)))
    anonymous.service.fault("git/ref", status=409, body=b'{"message": "Git Repository is empty."}')
    one, other = bodies(case.visit()), bodies(anonymous.visit())
    assert one == other
    assert (json.loads(one["repository"])["head"], one["tree"]) == (None, b"")


@pytest.mark.parametrize("parent", ["old-lab/seedling", None])
def test_the_parent_of_a_fork_is_asked_for_once(case: Any, tools: Any, parent: str | None) -> None:
    case.service.say(GRAPHQL, reply(facts(case, isFork=True, defaultBranchRef=None)))
    rest = json.loads(case.service.recorded(REPO)) | {"fork": True}
    case.service.say(REPO, rest | ({"parent": {"full_name": parent}} if parent else {}))
    first = case.visit()
    assert json.loads(bodies(first)["repository"])["parent"] == parent
    again = case.visit(tools.remember(first))
    assert {visit.status for visit in again} == {UNCHANGED}
    assert case.service.paths().count(REPO) == 1


def test_an_archived_repository_is_no_failure(case: Any) -> None:
    case.service.say(GRAPHQL, reply(facts(case, isArchived=True, defaultBranchRef=None)))
    visits = case.visit()
    assert json.loads(bodies(visits)["repository"])["archived"] is True
    assert {visit.status for visit in visits} == {OK}


def test_facts_may_change_without_a_commit(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    case.service.say(GRAPHQL, reply(facts(case, isArchived=True)))
    case.service.asked.clear()
    changed = {part for part, status in tools.statuses(case.visit(known)).items() if status is OK}
    assert (changed, len(case.service.asked)) == ({"repository"}, 1)


def test_a_file_that_left_the_tree_is_missing(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    known[case.ref]["file:OLD.md"] = Validators(sha256="0" * 64, token="0" * 40)
    case.service.night = 2
    assert tools.statuses(case.visit(known))["file:OLD.md"] is MISSING


def test_a_cut_tree_proves_no_absence(case: Any, tools: Any) -> None:
    path = f"{REPO}/git/trees/{'b1' * 20}?recursive=1"
    cut = json.loads(case.service.recorded(path)) | {"truncated": True}
    case.service.say(path, cut)
    known = {case.ref: {"file:OLD.md": Validators(sha256="0" * 64, token="0" * 40)}}
    visits = case.visit(known)
    assert "file:OLD.md" not in tools.statuses(visits)
    assert bodies(visits)["tree"].endswith(b"# truncated\n")


def test_a_large_file_is_never_fetched_and_does_not_hold_up_the_rest(case: Any, tools: Any) -> None:
    path = f"{REPO}/git/trees/{'b1' * 20}?recursive=1"
    tree = json.loads(case.service.recorded(path))
    next(entry for entry in tree["tree"] if entry["path"] == "LICENSE")["size"] = 1_000_001
    case.service.say(path, tree)
    visits = case.visit()
    licence = next(visit for visit in visits if visit.part == "file:LICENSE")
    assert (licence.status, "1000001 bytes" in licence.reason) == (FAILED, True)
    assert "incomplete" not in visits[-1].capture.token


def test_what_failed_is_asked_again_though_nothing_changed(case: Any, tools: Any) -> None:
    case.service.fault("/git/blobs/", status=503)
    first = case.visit()
    assert tools.statuses(first)["file:docs/guide.md"] is FAILED
    assert first[-1].capture.token.endswith(" incomplete")
    case.service.faults.clear()
    known = tools.remember(first)
    second = case.visit(known)
    assert tools.statuses(second)["file:docs/guide.md"] is OK
    known[case.ref].update(tools.remember(second)[case.ref])
    case.service.asked.clear()
    assert {visit.status for visit in case.visit(known)} == {UNCHANGED}
    assert len(case.service.asked) == 1


def test_a_tree_that_is_not_found_is_no_fact(case: Any, tools: Any) -> None:
    case.service.fault("/git/trees/", status=404)
    visits = case.visit()
    assert tools.statuses(visits)["tree"] is FAILED
    assert visits[-1].capture.token.endswith(" incomplete")


def test_bytes_that_are_not_what_the_tree_names_are_not_stored(case: Any, tools: Any) -> None:
    case.service.fault("/git/blobs/", status=200, body=json.dumps({"content": "bGllcw=="}).encode())
    visit = next(v for v in case.visit() if v.part == "file:docs/guide.md")
    assert (visit.status, visit.capture) == (FAILED, None)


def test_content_that_is_nowhere_is_asked_for_once_a_repository(case: Any, tools: Any) -> None:
    blobs = json.loads(case.service.recorded("graphql_blobs"))
    for share in blobs["data"]["r0"].values():
        share.update(text=None, isBinary=None)
    case.service.fault("/git/blobs/", status=404)

    answer = case.service.answer

    def without_texts(path: str, body: bytes) -> Any:
        if path == GRAPHQL and b"fragment facts" not in body:
            return 200, {"Content-Type": "application/json"}, json.dumps(blobs).encode()
        return answer(path, body)

    case.service.answer = without_texts
    visits = case.visit()
    assert {v.status for v in visits if v.part.startswith("file:")} == {MISSING}
    assert sum("/git/blobs/" in path for path in case.service.paths()) == 1


def test_a_refused_token_is_said_once_and_nothing_more_is_sent(
    case: Any, tools: Any, caplog: pytest.LogCaptureFixture
) -> None:
    case.service.fault(".", status=401, body=b'{"message": "Bad credentials"}')
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(120)]
    visits = case.visit(None, *refs)
    host = case.service.url.removeprefix("http://")
    assert {(v.status, v.reason) for v in visits} == {(FAILED, f"GITHUB_TOKEN was refused by {host} (401)")}
    assert len(visits) == 120
    assert len(case.service.asked) == 1
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1


def test_without_a_token_the_hour_is_never_overdrawn(anonymous: Any, tools: Any) -> None:
    refs = [anonymous.ref, *(tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(9))]
    left = iter(range(5, -1, -1))
    answer = anonymous.service.answer

    def counting(path: str, body: bytes) -> Any:
        status, headers, said = answer(path, body)
        return status, {**headers, **limits(next(left), 60, 1800, tools.now)}, said

    anonymous.service.answer = counting
    visits = anonymous.visit(None, *refs)
    assert len(anonymous.service.asked) == 6
    reason = "not asked yet: GitHub's limit of 60 requests an hour without a token is used up"
    assert {visit.reason for visit in visits if visit.ref == refs[-1]} == {reason}
    assert {visit.ref for visit in visits} == set(refs)


def test_without_a_token_a_repository_costs_at_most_twelve_requests(anonymous: Any, tools: Any) -> None:
    path = f"{REPO}/git/trees/{'a1' * 20}?recursive=1"
    tree = json.loads(anonymous.service.recorded(path))
    for i in range(30):
        data = f"page {i}\n".encode()
        entry = {"path": f"docs/p{i}.md", "type": "blob", "mode": "100644", "size": 9, "sha": blob_sha(data)}
        tree["tree"].append(entry)
        blob = {"content": base64.b64encode(data).decode()}
        anonymous.service.say(f"{REPO}/git/blobs/{blob_sha(data)}", blob)
    anonymous.service.say(path, tree)
    visits = anonymous.visit()
    assert len(anonymous.service.asked) == 12
    assert tools.statuses(visits)["file:README.md"] is OK
    not_asked = [visit for visit in visits if visit.status is FAILED]
    assert len(not_asked) == 34 - 7
    assert all(visit.reason.startswith("not asked yet: ") for visit in not_asked)
    known = tools.remember(visits)
    before = len(known[anonymous.ref])
    known[anonymous.ref].update(tools.remember(anonymous.visit(known))[anonymous.ref])
    assert len(known[anonymous.ref]) > before, "the next night goes on where this one ended"


@pytest.mark.parametrize("name", ["github", "github_without_token"])
def test_a_limit_that_is_reached_stops_all_further_requests(
    make_case: Callable[[str], Any], tools: Any, name: str
) -> None:
    case = make_case(name)
    said = b'{"message": "API rate limit exceeded for this address."}'
    case.service.fault(".", status=403, body=said, headers=limits(0, 60, 3000, tools.now))
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(60)]
    visits = case.visit(None, *refs)
    assert {visit.status for visit in visits} == {FAILED}
    assert all("is used up" in visit.reason for visit in visits)
    assert len(case.service.asked) == 1


def test_a_secondary_limit_is_waited_for_only_briefly(case: Any, tools: Any) -> None:
    said = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
    case.service.fault("graphql", status=403, body=said, headers={"Retry-After": "60"}, times=1)
    refs = [tools.ref(ArtifactKind.GITHUB, f"willow-lab/bed-{i}") for i in range(60)]
    visits = case.visit(None, *refs)
    assert {visit.status for visit in visits} == {FAILED}
    assert all("asks to wait 60 s" in visit.reason for visit in visits)
    assert len(case.service.asked) == 1


def test_the_token_goes_to_the_configured_host_only(case: Any) -> None:
    case.service.fault(f"^{REPO}/git/trees", "elsewhere")
    visits = case.visit()
    assert next(visit for visit in visits if visit.part == "tree").status is FAILED


def test_wanted_files_are_parcelled_by_number_and_size() -> None:
    def wanted(count: int, size: int) -> list[WantedFile]:
        files = [TreeFile(path=f"{i}.md", size=size, sha=f"{i:040}") for i in range(count)]
        return [WantedFile(repository="willow-lab/seedling", file=file) for file in files]

    assert [len(parcel) for parcel in in_queries(wanted(130, 10))] == [BLOBS_A_QUERY, BLOBS_A_QUERY, 10]
    assert all(
        sum(item.file.size for item in parcel) <= BYTES_A_QUERY for parcel in in_queries(wanted(20, 400_000))
    )
    assert in_queries([]) == []


def test_texts_of_several_repositories_find_their_way_back() -> None:
    wanted = [
        WantedFile(
            repository=f"willow-lab/bed-{i % 2}",
            file=TreeFile(path=f"{i}.md", size=2, sha=blob_sha(f"t{i}".encode())),
        )
        for i in range(4)
    ]
    query = blobs_query(wanted)
    assert query.count("repository(") == 2
    data = {
        "r0": {"f0": {"text": "t0", "isBinary": False}, "f2": {"text": "changed", "isBinary": False}},
        "r1": {"f1": {"text": "t1", "isBinary": False}, "f3": None},
    }
    texts = parse_texts(parse_reply({"data": data}, "here"), wanted)
    assert [text.data for text in texts] == [b"t0", b"t1", None, None]
    assert [text.without for text in texts] == [False, False, False, True]


def test_names_with_tabs_and_breaks_do_not_break_the_table() -> None:
    tree = Tree(sha="", files=(TreeFile(path="a\tb\nc", size=1, sha="0"),))
    assert tree.body() == b"a\\tb\\nc\t1\t0\n"


@pytest.mark.parametrize(
    "mark",
    [
        Mark(head="a", tree="b"),
        Mark(head=None, tree=None, complete=False),
        Mark(head="a", tree="b", parent="x/y", complete=False),
        Mark(head="a", tree="b", parent=""),
    ],
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert Mark.parse(str(mark)) == mark
    assert Mark.parse("") is None
