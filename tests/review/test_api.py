"""The API does what pages and commands do, for whoever may, and says what went wrong in one form."""

from __future__ import annotations

from typing import Any

import pytest

from db.audit import load_audit
from db.load import load_ratings
from db.review_values import TokenScope
from db.sign_ins import make_token, revoke_token
from db.users import load_user
from review.api.app import api_app

API = "/api/v1"


class Program:
    """A program with a token."""

    def __init__(self, desk: Any, name: str, scope: TokenScope = TokenScope.WRITE) -> None:
        self.desk = desk
        self.secret, self.token = desk.write(make_token, name, f"tests {scope}", scope, desk.clock())
        self.client = desk.browser().client
        self.headers = {"Authorization": f"Bearer {self.secret}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"{API}{path}", headers=self.headers)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"{API}{path}", json=body, headers=self.headers)

    def cell(self, slug: str, dimension: str) -> Any:
        return self.get(f"/questions/{slug}/{dimension}").json()

    def decide(self, question: Any, **body: Any) -> Any:
        cell = self.cell(question["slug"], question["dimension"])
        given = {"action": "confirm", "expected": cell["expected"], "proposal": question["proposal"], **body}
        return self.post(f"/questions/{question['slug']}/{question['dimension']}/decisions", given)


@pytest.fixture
def ada_program(desk: Any) -> Program:
    return Program(desk, "Ada Curator")


def first(program: Program, number: int = 0) -> Any:
    return program.get("/queue?limit=5").json()["items"][number]


WRITES = [
    (path, operation)
    for path, operations in api_app().openapi()["paths"].items()
    for method, operation in operations.items()
    if method == "post" and path != "/bulk/preview"
]
SOMEWHERE = {"slug": "gorse", "dimension": "license", "candidate": 1, "batch": 1}
WHOLE = {
    "decisions": {"action": "rate", "rating": "open", "expected": 0, "reason": "x"},
    "undo": {"expected": 0, "reason": "x"},
    "confirm": {"floor": 0.0, "digest": "0" * 64},
    "merge": {"project": "gorse"},
    "adopt": {},
    "dismiss": {"reason": "x"},
}


def whole(path: str) -> tuple[str, Any]:
    """An address that is there, and a body in the right form."""
    last = path.rsplit("/", 1)[-1]
    body = {"reason": "x"} if path.startswith("/batches") else WHOLE[last]
    return path.format(**SOMEWHERE), body


@pytest.mark.parametrize("path", [path for path, _ in WRITES])
def test_whoever_may_not_write_is_refused_everywhere(desk: Any, path: str) -> None:
    address, body = whole(path)
    before = desk.read(load_audit)
    nobody = desk.browser().client
    assert nobody.post(f"{API}{address}", json=body).status_code == 401
    unknown = {"Authorization": "Bearer nonsense"}
    assert nobody.post(f"{API}{address}", json=body, headers=unknown).status_code == 401
    assert Program(desk, "Rita Reader").post(address, body).status_code == 403
    assert Program(desk, "Ada Curator", TokenScope.READ).post(address, body).status_code == 403
    ada = desk.browser("Ada Curator")
    assert ada.client.post(f"{API}{address}", json=body).status_code == 403
    wrong = {"X-CSRF-Token": "wrong"}
    assert ada.client.post(f"{API}{address}", json=body, headers=wrong).status_code == 403
    elsewhere = {"X-CSRF-Token": ada.csrf, "Sec-Fetch-Site": "cross-site"}
    assert ada.client.post(f"{API}{address}", json=body, headers=elsewhere).status_code == 403
    assert [entry for entry in desk.read(load_audit) if entry.action != "sign-in"] == [
        entry for entry in before if entry.action != "sign-in"
    ]


def test_every_operation_is_described_with_its_errors() -> None:
    document = api_app().openapi()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert {"400", "401", "403", "422", "503"} <= operation["responses"].keys(), path
            assert operation.get("description") or operation.get("summary"), path
            if method == "post":
                assert "413" in operation["responses"], path


def test_a_revoked_token_is_no_good(desk: Any, ada_program: Program) -> None:
    assert ada_program.get("/queue").status_code == 200
    user = desk.read(load_user, "Ada Curator")
    desk.write(revoke_token, user.id, ada_program.token.id, desk.clock())
    assert ada_program.get("/queue").status_code == 401


def test_the_queue_is_the_queue_of_the_pages(desk: Any, ada_program: Program) -> None:
    found, after = [], ""
    while True:
        page = ada_program.get(f"/queue?limit=20{after}").json()
        found += [(item["slug"], item["dimension"]) for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == [item.cell for item in desk.questions()]
    facets = ada_program.get("/queue/facets").json()
    assert facets["total"] == len(found) == sum(facets["kinds"].values())
    assert ada_program.get("/queue?after=nonsense").status_code == 400
    assert ada_program.get("/queue?project=nobody").status_code == 400
    assert ada_program.get("/queue?limit=100000").status_code == 422


def test_a_confirmed_proposal_is_published_at_once_and_recorded(desk: Any, ada_program: Program) -> None:
    question = first(ada_program)
    answer = ada_program.decide(question)
    assert answer.status_code == 201, answer.text
    rating = desk.read(load_ratings)[question["slug"], question["dimension"]]
    assert (rating.rating.value, rating.curator) == (question["rating"], "Ada Curator")
    assert rating.decision_id == answer.json()["decision"]
    entry = desk.read(load_audit)[0]
    assert (entry.action, entry.actor) == ("decision", "Ada Curator")
    published = ada_program.get(
        f"/ratings?project={question['slug']}&dimension={question['dimension']}"
    ).json()
    assert [item["rating"] for item in published["items"]] == [question["rating"]]


def test_a_decision_is_undone(desk: Any, ada_program: Program) -> None:
    question = first(ada_program)
    done = ada_program.decide(question).json()["decision"]
    path = f"/questions/{question['slug']}/{question['dimension']}/undo"
    assert ada_program.post(path, {"expected": done - 1, "reason": "no"}).status_code == 409
    assert ada_program.post(path, {"expected": done, "reason": "no"}).status_code == 201
    assert ada_program.cell(question["slug"], question["dimension"])["is_open"]


def test_a_stale_version_and_another_cells_proposal_are_refused(desk: Any, ada_program: Program) -> None:
    one, other = first(ada_program), first(ada_program, 1)
    cell = ada_program.cell(one["slug"], one["dimension"])
    ben = Program(desk, "Ben Curator")
    assert ben.decide(one, action="reject", reason="no").status_code == 201
    late = ada_program.decide(one, expected=cell["expected"])
    assert late.status_code == 409
    assert "Ben Curator" in late.json()["error"]["detail"]
    assert ada_program.decide(other, proposal=one["proposal"]).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "rate", "reason": "x"}, 400),
        ({"action": "reject"}, 409),
        ({"action": "defer", "reason": "x"}, 400),
        ({"action": "defer", "reason": "x", "until": "2001-01-01"}, 409),
        ({"action": "confirm", "proposal": None}, 400),
        ({"action": "confirm", "link": "javascript:alert(1)"}, 400),
        ({"action": "delete"}, 422),
        ({"action": "confirm", "more": 1}, 422),
        ({"action": "rate", "rating": "open", "reason": "x" * 3000}, 422),
    ],
)
def test_a_decision_that_is_not_whole_is_refused(ada_program: Program, body: Any, status: int) -> None:
    answer = ada_program.decide(first(ada_program), **body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["status"] == status


def test_a_cell_is_rated_otherwise_and_deferred(desk: Any, ada_program: Program) -> None:
    question = first(ada_program)
    other = "closed" if question["rating"] != "closed" else "open"
    assert ada_program.decide(question, action="rate", rating=other, reason="seen").status_code == 201
    following = first(ada_program)
    later = ada_program.decide(following, action="defer", reason="later", until="2030-06-01")
    assert later.status_code == 201
    cell = ada_program.cell(following["slug"], following["dimension"])
    assert not cell["is_open"]
    assert cell["deferred_until"].startswith("2030-06-01")


def test_many_are_confirmed_as_previewed_and_taken_back_as_a_whole(desk: Any, ada_program: Program) -> None:
    wanted = {"floor": 0.7}
    preview = ada_program.post("/bulk/preview", wanted).json()
    assert preview["total"] > 0
    ada_program.decide(preview["sample"][0], action="reject", reason="no")
    stale = ada_program.post("/bulk/confirm", {**wanted, "digest": preview["digest"]})
    assert stale.status_code == 409
    preview = ada_program.post("/bulk/preview", wanted).json()
    done = ada_program.post("/bulk/confirm", {**wanted, "digest": preview["digest"]}).json()
    assert done["confirmed"] == preview["total"]
    undone = ada_program.post(f"/batches/{done['batch']}/undo", {"reason": "too many"}).json()
    assert undone == {"undone": done["confirmed"], "left": []}


def test_a_script_of_the_desk_may_use_its_session(desk: Any) -> None:
    ada = desk.browser("Ada Curator")
    question = ada.client.get(f"{API}/queue?limit=1").json()["items"][0]
    path = f"{API}/questions/{question['slug']}/{question['dimension']}"
    expected = ada.client.get(path).json()["expected"]
    answer = ada.client.post(
        f"{path}/decisions",
        json={"action": "confirm", "expected": expected, "proposal": question["proposal"]},
        headers={"X-CSRF-Token": ada.csrf},
    )
    assert answer.status_code == 201


def test_where_reading_is_public_nobody_needs_a_token_to_read(desk: Any) -> None:
    client = desk.with_options(public_read=True).browser().client
    assert client.get(f"{API}/ratings").status_code == 200
    assert client.post(f"{API}/bulk/preview", json={"floor": 0.5}).status_code == 401


def test_evidence_projects_proposals_candidates_and_runs_are_told(ada_program: Program) -> None:
    evidence = ada_program.get("/projects/gorse/evidence?limit=200").json()
    assert evidence["total"] == len(evidence["items"]) > 10
    quotes = [item for item in evidence["items"] if item["start"] is not None]
    assert all(item["end"] - item["start"] == len(item["quote"]) for item in quotes)
    proposals = ada_program.get("/proposals?project=gorse&dimension=license").json()["items"]
    assert [item["dimension"] for item in proposals] == ["license"]
    assert ada_program.get("/projects?search=gorse").json()["total"] == 1
    assert ada_program.get("/projects/gorse").json()["artifacts"]
    assert ada_program.get("/candidates?status=open").json()["total"] == 1
    runs = ada_program.get("/runs?limit=1").json()
    assert ada_program.get(f"/runs?before={runs['next']}").json()["items"][0]["id"] == runs["next"] - 1
    assert ada_program.get("/runs/1").json()["report"]["verdict"]
    pages, after = [], ""
    while after is not None:
        page = ada_program.get(f"/ratings?limit=4{after and f'&after={after}'}").json()
        pages += page["items"]
        after = page["next"]
    assert len(pages) == len({(item["slug"], item["dimension"]) for item in pages}) > 100


def test_candidates_are_worked_on(desk: Any, ada_program: Program) -> None:
    assert ada_program.post("/candidates/99/dismiss", {"reason": "x"}).status_code == 404
    assert ada_program.post("/candidates/1/merge", {"project": "nobody"}).status_code == 400
    merged = ada_program.post("/candidates/1/merge", {"project": "gorse", "role": "llm_weights"})
    assert merged.json()["status"] == "merged"
    assert ada_program.post("/candidates/1/adopt", {}).status_code == 409
    assert ada_program.post("/candidates/1/dismiss", {"reason": "after all"}).json()["status"] == "dismissed"
    assert desk.read(load_audit)[0].action == "candidate-dismissed"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"floor": NaN}', "application/json"),
        (b'{"floor": 1e999}', "application/json"),
        (b'{"floor": 0.5, "orgs": ["\\ud800"]}', "application/json"),
        (b'{"floor": 0.5, "projects": ["\\u0000"]}', "application/json"),
        (b"floor=0.5", "application/x-www-form-urlencoded"),
        (b"", "application/json"),
    ],
)
def test_whatever_is_sent_is_refused_in_one_form(ada_program: Program, body: bytes, kind: str) -> None:
    answer = ada_program.client.post(
        f"{API}/bulk/preview", content=body, headers={**ada_program.headers, "Content-Type": kind}
    )
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()["error"]) == {"status", "detail", "fields"}


def test_what_is_too_large_is_refused(ada_program: Program) -> None:
    answer = ada_program.post("/bulk/preview", {"floor": 0.5, "orgs": ["x" * 1_100_000]})
    assert answer.status_code == 413


def test_answers_are_not_kept_and_not_taken_for_anything_else(ada_program: Program) -> None:
    answer = ada_program.get("/projects/gorse")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.isascii()
