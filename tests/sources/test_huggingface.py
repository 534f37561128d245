"""Models and datasets: gates, renames, limits, and what is asked for at all."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from crawler.sources.huggingface import most_telling_text
from crawler.sources.huggingface_listing import HuggingFaceListing
from crawler.turns import Turns
from pipelines.model import ArtifactKind, Validators, VisitStatus

OK, UNCHANGED, MISSING = VisitStatus.OK, VisitStatus.UNCHANGED, VisitStatus.MISSING
FAILED, DENIED = VisitStatus.FAILED, VisitStatus.DENIED
INFO = "/api/models/willow-lab/seedling-1b"
FILES = "/willow-lab/seedling-1b/resolve/main/"


@pytest.fixture
def case(make_case: Callable[[str], Any]) -> Any:
    return make_case("hf_model")


def info(case: Any, **changes: Any) -> dict[str, Any]:
    return json.loads(case.service.recorded(INFO)) | changes


def test_info_holds_a_selection_without_counters_and_region(case: Any) -> None:
    document = json.loads(case.visit()[-1].capture.body)
    assert document["tags"] == ["license:other", "text-generation"]
    assert not {"downloads", "likes", "trendingScore", "_id"} & set(document)
    assert [file["rfilename"] for file in document["siblings"]] == sorted(
        ["README.md", "LICENSE.txt", "USE_POLICY.md", "model.safetensors"]
    )


def test_a_model_costs_at_most_three_requests(case: Any) -> None:
    case.visit()
    assert case.service.paths()[0] == INFO
    assert sorted(case.service.paths()) == sorted([INFO, f"{FILES}README.md", f"{FILES}LICENSE.txt"])


def test_more_downloads_are_no_change(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    case.service.say(INFO, info(case, downloads=11, likes=3))
    case.service.asked.clear()
    visits = case.visit(known)
    assert {visit.status for visit in visits} == {UNCHANGED}
    assert case.service.paths() == [INFO]


def test_a_model_without_a_card_says_so_without_a_request(case: Any, tools: Any) -> None:
    case.service.say(INFO, info(case, siblings=[{"rfilename": "model.safetensors"}]))
    visits = case.visit()
    assert tools.statuses(visits) == {"card": MISSING, "info": OK}
    assert case.service.paths() == [INFO]


def test_a_text_that_left_is_missing(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    case.service.say(INFO, info(case, sha="9" * 40, siblings=[{"rfilename": "README.md"}]))
    assert tools.statuses(case.visit(known))["file:LICENSE.txt"] is MISSING


def test_a_card_of_random_bytes_failed_and_is_asked_for_again(case: Any, tools: Any) -> None:
    case.service.fault("README", status=200, body=bytes(range(256)) * 8)
    visits = case.visit()
    assert tools.statuses(visits)["card"] is FAILED
    case.service.faults.clear()
    assert tools.statuses(case.visit(tools.remember(visits)))["card"] is OK


def test_a_gated_text_is_denied_and_the_rest_is_read(case: Any, tools: Any) -> None:
    case.service.say(INFO, info(case, gated="manual"))
    case.service.fault(
        "LICENSE", status=403, headers={"X-Error-Code": "GatedRepo"}, body=b"Access is restricted"
    )
    visits = case.visit()
    assert tools.statuses(visits) == {"info": OK, "card": OK, "file:LICENSE.txt": DENIED}
    assert json.loads(visits[-1].capture.body)["gated"] == "manual"


def test_a_gated_text_is_not_asked_for_without_a_token(case: Any, tools: Any) -> None:
    case.service.say(INFO, info(case, gated="auto"))
    visits = case.visit(token=None)
    assert tools.statuses(visits)["file:LICENSE.txt"] is DENIED
    assert f"{FILES}LICENSE.txt" not in case.service.paths()
    assert all("authorization" not in asked.headers for asked in case.service.asked)


@pytest.mark.parametrize("status", [401, 404])
def test_a_private_or_absent_repository_is_missing(case: Any, status: int) -> None:
    body = b'{"error": "Invalid username or password."}'
    case.service.fault(".", status=status, headers={"X-Error-Code": "RepoNotFound"}, body=body)
    for token in (None, "some-token-or-other"):
        (visit,) = case.visit(token=token)
        assert (visit.part, visit.status, visit.http_status) == ("info", MISSING, status)


def test_a_disabled_repository_is_denied(case: Any) -> None:
    headers = {"X-Error-Message": "Access to this resource is disabled."}
    case.service.fault(".", status=403, headers=headers)
    (visit,) = case.visit()
    assert visit.status is DENIED


def test_a_refused_token_is_said_once_and_nothing_more_is_sent(
    case: Any, tools: Any, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    case.service.fault(".", status=401, headers=headers)
    refs = [tools.ref(ArtifactKind.HF_MODEL, f"willow-lab/bed-{i}") for i in range(20)]
    visits = case.visit(None, *refs, max_workers=1)
    host = case.service.url.removeprefix("http://")
    assert {(v.status, v.reason) for v in visits} == {(FAILED, f"HF_TOKEN was refused by {host} (401)")}
    assert (len(visits), len(case.service.asked)) == (20, 1)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


class CountedTurns(Turns):
    """Turns that count how often, and how many at a time, they are taken."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.most = self.taken = self._inside = 0
        self._counting = threading.Lock()

    def __enter__(self) -> None:
        super().__enter__()
        with self._counting:
            self.taken += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        with self._counting:
            self._inside -= 1
        super().__exit__()


def test_visits_and_lists_share_the_turns_at_the_hub(case: Any, tools: Any) -> None:
    case.service.fault(".", status=404)
    turns = CountedTurns(2)
    hub = HuggingFaceListing(
        endpoint=case.service.url,
        token=None,
        user_agent="openness-tests/1",
        clock=lambda: datetime(2031, 3, 1, tzinfo=UTC),
        turns=turns,
    )
    refs = [tools.ref(ArtifactKind.HF_MODEL, f"willow-lab/bed-{i}") for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        lists = [pool.submit(hub.fetch_models, f"willow-{i}") for i in range(4)]
        visits = case.visit(None, *refs, max_workers=6, turns=turns)
    assert len(visits) == 12
    assert all(found.result().failure for found in lists)
    # A connection that breaks before the service hears anything is tried again, in another turn.
    assert turns.taken >= len(case.service.asked) >= 16
    assert turns.most == 2


def test_a_renamed_model_is_followed(case: Any, tools: Any) -> None:
    case.service.say(INFO, b"", status=307, Location="/api/models/new-lab/sapling-1b")
    case.service.say("/api/models/new-lab/sapling-1b", info(case, id="new-lab/sapling-1b"))
    for name in ("README.md", "LICENSE.txt"):
        case.service.say(f"/new-lab/sapling-1b/resolve/main/{name}", b"text")
    visits = case.visit()
    assert tools.statuses(visits) == dict.fromkeys(case.parts, OK)
    assert json.loads(visits[-1].capture.body)["id"] == "new-lab/sapling-1b"
    assert all("new-lab/sapling-1b" in visit.url and visit.ref == case.ref for visit in visits)


def test_a_redirect_to_another_host_is_not_followed(case: Any, make_case: Callable[[str], Any]) -> None:
    other = make_case("hf_model")
    case.service.say(f"{FILES}README.md", b"", status=302, Location=f"{other.service.url}/stolen")
    card = next(visit for visit in case.visit() if visit.part == "card")
    assert (card.status, other.service.asked) == (FAILED, [])


def test_a_limit_that_is_used_up_stops_further_requests(case: Any, tools: Any) -> None:
    headers = {"RateLimit": '"api";r=0;t=120', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
    case.service.fault("^/api", status=429, headers=headers, body=b'{"error": "slow down"}')
    refs = [tools.ref(ArtifactKind.HF_MODEL, f"willow-lab/bed-{i}") for i in range(10)]
    visits = case.visit(None, *refs, max_workers=1)
    assert {visit.status for visit in visits} == {FAILED}
    assert all("API requests in five minutes is used up" in visit.reason for visit in visits)
    assert len(case.service.asked) == 1


def test_a_card_that_failed_is_asked_for_again_though_nothing_changed(case: Any, tools: Any) -> None:
    case.service.fault("README", status=503)
    first = case.visit()
    assert tools.statuses(first) == {"info": OK, "card": FAILED, "file:LICENSE.txt": OK}
    case.service.faults.clear()
    case.service.asked.clear()
    known = tools.remember(first)
    second = case.visit(known)
    assert tools.statuses(second) == {"info": OK, "card": OK, "file:LICENSE.txt": UNCHANGED}
    assert f"{FILES}LICENSE.txt" not in case.service.paths()
    known[case.ref].update(tools.remember(second)[case.ref])
    assert {visit.status for visit in case.visit(known)} == {UNCHANGED}


def test_a_commit_that_leaves_the_card_alone_leaves_it_unchanged(case: Any, tools: Any) -> None:
    known = tools.remember(case.visit())
    case.service.say(INFO, info(case, sha="9" * 40))
    assert tools.statuses(case.visit(known)) == {
        "info": OK,
        "card": UNCHANGED,
        "file:LICENSE.txt": UNCHANGED,
    }


def test_what_was_stored_without_a_mark_is_read_anew(case: Any, tools: Any) -> None:
    known = {case.ref: {"info": Validators(sha256="0" * 64, etag='"x"')}}
    assert tools.statuses(case.visit(known)) == dict.fromkeys(case.parts, OK)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["USE_POLICY.md", "LICENSE.txt", "README.md"], "LICENSE.txt"),
        (["LICENSE", "LICENSE-CODE.md"], "LICENSE"),
        (["Acceptable_Use_Policy.txt"], "Acceptable_Use_Policy.txt"),
        (["MODEL_LICENSE"], "MODEL_LICENSE"),
        (["sub/LICENSE", "licenses.json.bak/x", "README.md"], None),
        ([], None),
    ],
)
def test_the_most_telling_text(names: list[str], chosen: str | None) -> None:
    assert most_telling_text(names) == chosen


def test_the_library_is_told_to_keep_quiet() -> None:
    from huggingface_hub import constants

    assert constants.HF_HUB_DISABLE_TELEMETRY
